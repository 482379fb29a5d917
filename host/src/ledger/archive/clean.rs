//! Removes payloads past retention from the archive, and files that dead runs left in it.
//! Only files that our records name are removed, in folders that are ours.
//!
//! The record of a payload becomes that of a file on its way out, then the file goes,
//! then that record. So no file is ever without a record.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::Owner;
use super::root::{Digest, is_place, place, place_of_begun};
use super::write::remove;
use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};

/// The files that left the archive, or would.
#[derive(Debug, Default)]
pub struct ArchiveCleanSummary {
    pub payloads: Vec<OldPayload>,
    /// Files that were written and not recorded to the end.
    pub stray_files: Vec<String>,
    /// The files that could not be removed, and why.
    pub files_left: Vec<String>,
}

#[derive(Debug, FromRow, Serialize)]
pub struct OldPayload {
    /// None when its source was removed.
    pub manifest_id: Option<i32>,
    pub digest: String,
    pub payload: String,
    pub bytes: i64,
    pub directory: String,
}

#[derive(Debug, FromRow)]
struct PendingFile {
    id: Uuid,
    directory: String,
    digest: Option<String>,
}

/// Whether what would leave the archive is this database's to remove.
///
/// # Errors
/// It is not, or the database fails.
pub async fn check(database: &Database, months: i32) -> Result<()> {
    let old = old_payloads(database, months).await?;
    let pending = pending_files(database).await?;
    let directories: BTreeSet<&str> = old
        .iter()
        .map(|payload| payload.directory.as_str())
        .chain(pending.iter().map(|file| file.directory.as_str()))
        .collect();
    if directories.is_empty() {
        return Ok(());
    }
    let owner = Owner::of(database).await?;
    for directory in directories.into_iter().map(Path::new) {
        // A record whose folder is none stays, and tells so.
        if is_place(directory) {
            owner.open(directory).map_err(|failure| {
                failure.within("nothing was removed").hint(
                    "`gristmill archive adopt` with the folder that is this database's says so, \
                     and where its payloads are; what is in other folders is left alone then",
                )
            })?;
        }
    }
    Ok(())
}

/// Removes what is past retention from the archive, and what dead runs left in it.
///
/// # Errors
/// A statement fails; what was removed before it stays removed.
pub async fn clean(database: &Database, months: i32, dry_run: bool) -> Result<ArchiveCleanSummary> {
    let mut cleaned = ArchiveCleanSummary::default();
    let strays = pending_files(database).await?;
    let old = old_payloads(database, months).await?;
    if strays.is_empty() && old.is_empty() {
        return Ok(cleaned);
    }
    let owner = Owner::of(database).await?;
    for stray in &strays {
        cleaned.stray_files.extend(shown(&owner, stray));
    }
    // No path is made of what is none: such a record stays for somebody to look at.
    let (old, unusable): (Vec<_>, Vec<_>) = old.into_iter().partition(|payload| {
        Digest::parse(&payload.digest).is_some() && is_place(Path::new(&payload.directory))
    });
    cleaned.files_left = unusable
        .iter()
        .map(|payload| {
            format!(
                "the record of payload `{}` names no file of an archive: `{}` in `{}`",
                payload.payload, payload.digest, payload.directory
            )
        })
        .collect();
    if !dry_run {
        forget(database, &old).await.map_err(failed)?;
        failpoint::passed(Failpoint::ArchiveForgotten);
        for file in pending_files(database).await? {
            if let Err(left) = remove_pending(database, &owner, &file).await? {
                cleaned.files_left.push(left);
            }
        }
    }
    cleaned.payloads = old;
    Ok(cleaned)
}

/// Forgets archived payloads; their files are to be removed.
async fn forget(database: &Database, old: &[OldPayload]) -> Result<(), sqlx::Error> {
    let (mut manifests, mut digests) = (Vec::new(), Vec::new());
    let (mut directories, mut orphans) = (Vec::new(), Vec::new());
    for payload in old {
        match payload.manifest_id {
            Some(manifest_id) => {
                manifests.push(manifest_id);
                digests.push(payload.digest.as_str());
            }
            None => {
                directories.push(payload.directory.as_str());
                orphans.push(payload.digest.as_str());
            }
        }
    }
    sqlx::query(include_str!("../../../../sql/gristmill_archive.delete.sql"))
        .bind(manifests)
        .bind(digests)
        .execute(database.pool())
        .await?;
    sqlx::query(include_str!(
        "../../../../sql/gristmill_archive_orphan.delete.sql"
    ))
    .bind(directories)
    .bind(orphans)
    .execute(database.pool())
    .await
    .map(drop)
}

/// Removes a file, or says why it is left.
async fn remove_pending(
    database: &Database,
    owner: &Owner,
    file: &PendingFile,
) -> Result<Result<(), String>> {
    let directory = Path::new(&file.directory);
    let digest = match file.digest.as_deref().map(Digest::parse) {
        Some(None) => {
            return Ok(Err(format!(
                "a record names no file of an archive: `{}` in `{}`",
                file.digest.as_deref().unwrap_or_default(),
                file.directory
            )));
        }
        Some(digest) => digest,
        None => None,
    };
    let root = match owner.open(directory) {
        Ok(Some(root)) => root,
        Ok(None) => {
            return Ok(Err(format!(
                "archive `{}` is not there; `gristmill archive adopt` says where it is now",
                file.directory
            )));
        }
        Err(failure) => return Ok(Err(failure.to_string())),
    };
    let mut connection = database.pool().acquire().await.map_err(failed)?;
    let removed = remove(&mut connection, &root, file.id, digest.as_ref()).await;
    Ok(removed.map_err(|failure| failure.to_string()))
}

/// The condition of a file.
fn shown(owner: &Owner, file: &PendingFile) -> Option<String> {
    let directory = PathBuf::from(&file.directory);
    let root = owner.open(&directory).ok().flatten()?;
    if root.holds_begun(file.id).is_ok_and(|there| there) {
        return Some(place_of_begun(&directory, file.id).display().to_string());
    }
    let digest = Digest::parse(file.digest.as_deref()?)?;
    let there = root.holds(&digest).is_ok_and(|there| there);
    there.then(|| place(&directory, &digest).display().to_string())
}

async fn old_payloads(database: &Database, months: i32) -> Result<Vec<OldPayload>> {
    sqlx::query_as(include_str!(
        "../../../../sql/gristmill_archive.select_old.sql"
    ))
    .bind(months)
    .fetch_all(database.pool())
    .await
    .map_err(failed)
}

async fn pending_files(database: &Database) -> Result<Vec<PendingFile>> {
    sqlx::query_as(include_str!(
        "../../../../sql/gristmill_archive_pending.select.sql"
    ))
    .fetch_all(database.pool())
    .await
    .map_err(failed)
}

fn failed(error: sqlx::Error) -> Failure {
    SqlError(error).failure("cannot clean the archive")
}
