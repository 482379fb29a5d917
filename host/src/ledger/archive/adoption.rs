//! Gives an archive to another database: after the database was copied, after the archive
//! was moved, or when an archive of an earlier version names no owner.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;
use sqlx::Connection;

use super::root::{Digest, Ownership, Root};
use super::{Owner, folder_of};
use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::action;

/// The result of taking an archive.
#[derive(Debug, Serialize)]
pub struct Adoption {
    pub directory: PathBuf,
    /// Nothing had to be taken.
    pub was_ours: bool,
    /// The database that is refused from now on, where the archive said so.
    pub former_owner: Option<String>,
    /// Payloads whose records say that they are in it, and that are.
    pub payloads_there: usize,
    /// Those of them that were recorded elsewhere.
    pub payloads_moved: usize,
    /// Payloads whose records say that they are in it, and that are not.
    pub payloads_missing: usize,
}

/// Takes the archive below a directory for this database, with all that its records have
/// in it. Records of folders that are not this database's are of this one from then on.
///
/// # Errors
/// The folder cannot be written, or the database fails; it may be tried again.
pub fn adopt(database: &Database, directory: &Path) -> Result<Adoption> {
    database.wait(async {
        let directory = folder_of(database, directory)?;
        let shown = directory.display();
        let unwritable = |error: io::Error| {
            Failure::environment(format!("cannot take archive `{shown}`")).because(error)
        };
        let mut connection = database.pool().acquire().await.map_err(failed)?;
        let mut transaction = connection.begin().await.map_err(failed)?;
        let taken = Owner::take(database, &mut transaction, &directory, &unwritable);
        let (owner, root, before) = taken.await?;
        let places: Vec<(String, String)> = sqlx::query_as(include_str!(
            "../../../../sql/gristmill_archive.select_places.sql"
        ))
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
        let mut by_folder: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
        for (folder, digest) in places {
            by_folder.entry(folder.into()).or_default().push(digest);
        }
        let mut adopted = Adoption {
            directory: directory.clone(),
            was_ours: before == Ownership::Ours,
            former_owner: match before {
                Ownership::Others(former) => {
                    Some(format!("schema `{}` of {}", former.schema, former.database))
                }
                _ => None,
            },
            payloads_there: 0,
            payloads_moved: 0,
            payloads_missing: 0,
        };
        let (mut folders, mut digests) = (Vec::new(), Vec::new());
        for (folder, named) in by_folder {
            // One that is another's, not there or no folder at all has nothing of ours.
            let theirs = match folder == directory {
                true => None,
                false => owner.open(&folder).ok().flatten(),
            };
            for digest in named {
                let is_here = holds(&root, &digest).map_err(unwritable)?;
                let stays = match &theirs {
                    Some(other) => !is_here || holds(other, &digest).map_err(unwritable)?,
                    None => false,
                };
                if stays {
                    continue;
                }
                // A file that is being written counts as none.
                match (is_here, digest.is_empty()) {
                    (true, _) => adopted.payloads_there += 1,
                    (false, true) => {}
                    (false, false) => adopted.payloads_missing += 1,
                }
                if folder != directory {
                    adopted.payloads_moved += usize::from(is_here);
                    folders.push(folder.to_string_lossy().into_owned());
                    digests.push(digest);
                }
            }
        }
        sqlx::query(include_str!("../../../../sql/gristmill_archive.move.sql"))
            .bind(folders)
            .bind(digests)
            .bind(directory.to_string_lossy())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        if !adopted.was_ours || adopted.payloads_moved > 0 {
            let subject = format!("archive `{shown}`");
            let details = json!(adopted);
            action::record(&mut transaction, "archive adopt", &subject, details)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        failpoint::passed(Failpoint::ArchiveAdopted);
        Ok(adopted)
    })
}

fn holds(root: &Root, digest: &str) -> io::Result<bool> {
    match Digest::parse(digest) {
        Some(digest) => root.holds(&digest),
        None => Ok(false),
    }
}

fn failed(error: sqlx::Error) -> Failure {
    SqlError(error).failure("cannot record whose the archive is")
}
