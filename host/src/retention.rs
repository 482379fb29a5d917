//! What is past retention, and its end: staged rows by days; summaries and the
//! archive by calendar months.
//!
//! What must not go is decided in SQL. Here is the order: of a payload its record
//! first and then its file, so that no record is without one. A file that nothing
//! refers to, left by a run that died, goes when it is old.

mod partitions;
mod periods;
mod staging;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::NaiveDate;
use serde::Serialize;
use sqlx::FromRow;

use crate::archive;
use crate::database::{Database, SqlError};
use crate::failure::{Failure, Result};
use crate::step::{self, Step};

/// A file of the archive may be without a record for as long as its payload takes to
/// load, and some.
const STRAY_AGE_MIN: Duration = Duration::from_secs(24 * 3600);

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Days that staged rows are kept at the least.
    pub days: i32,
    /// Calendar months before the current one; the last of them goes. Without it
    /// nothing that is kept by months goes.
    pub months: Option<i32>,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What went, or would.
#[derive(Debug, Default, Serialize)]
pub struct Cleaned {
    pub dry_run: bool,
    pub generations: Vec<OldGeneration>,
    pub payloads: Vec<OldPayload>,
    pub partitions: Vec<OldPartition>,
    /// Of any month, with nothing in them that counts.
    pub empty_partitions: Vec<OldPartition>,
    /// Those that others used all the time, which the next time may find free.
    pub partitions_in_use: BTreeSet<String>,
    /// Staged rows of no generation.
    pub orphaned_rows: i64,
    pub report_periods: Vec<OldReportPeriod>,
    /// Files of the archive that nothing refers to.
    pub stray_files: Vec<String>,
    /// Archived files that could not be removed, and why.
    pub files_left: Vec<String>,
}

#[derive(Debug, FromRow, Serialize)]
pub struct OldGeneration {
    pub generation: i64,
    pub manifest_id: i32,
    pub reason: String,
    pub rows: i64,
}

#[derive(Debug, FromRow, Serialize)]
pub struct OldPayload {
    pub manifest_id: i32,
    pub digest: String,
    pub payload: String,
    pub bytes: i64,
    pub directory: String,
}

#[derive(Debug, FromRow, Serialize)]
pub struct OldPartition {
    pub table_name: String,
    pub partition_name: String,
    /// Null where nobody has counted.
    pub rows_estimate: Option<i64>,
}

/// A month of a cluster, which goes with its tags.
#[derive(Debug, FromRow, Serialize)]
pub struct OldReportPeriod {
    pub report_period_id: i32,
    pub cluster_id: String,
    pub month: NaiveDate,
}

/// Removes what is past retention. `archive` is where the schema's payloads are kept
/// unless a pipeline says otherwise.
///
/// # Errors
/// A statement fails; what was removed before it stays removed.
pub async fn clean(database: &Database, retention: Retention, archive: &Path) -> Result<Cleaned> {
    let mut cleaned = Cleaned {
        dry_run: retention.dry_run,
        ..Cleaned::default()
    };
    staging::clean(database, retention, &mut cleaned).await?;
    if let Some(months) = retention.months {
        clean_months(database, months, archive, &mut cleaned).await?;
    }
    // What was emptied above is among them.
    let mut connection = partitions::connection(database).await?;
    partitions::drop_unused(&mut connection, None, &mut cleaned).await?;
    step::passed(Step::EmptyPartitionsDropped);
    Ok(cleaned)
}

/// Removes what is kept by calendar months.
async fn clean_months(
    database: &Database,
    months: i32,
    archive: &Path,
    cleaned: &mut Cleaned,
) -> Result<()> {
    // Records that go now may be the only ones of their directory.
    let mut directories = archive_directories(database).await?;
    directories.insert(archive.to_path_buf());
    clean_archive(database, months, cleaned).await?;
    for directory in directories {
        clean_stray_files(database, &directory, cleaned).await?;
    }
    let mut connection = partitions::connection(database).await?;
    partitions::drop_old(&mut connection, months, cleaned).await?;
    periods::clean(&mut connection, months, cleaned).await?;
    step::passed(Step::PartitionsDropped);
    Ok(())
}

async fn clean_archive(database: &Database, months: i32, cleaned: &mut Cleaned) -> Result<()> {
    let failed = |error| -> Failure { SqlError(error).failure("cannot clean the archive") };
    cleaned.payloads = sqlx::query_as(include_str!("../../sql/gristmill_archive.select_old.sql"))
        .bind(months)
        .fetch_all(database.pool())
        .await
        .map_err(failed)?;
    if cleaned.dry_run {
        return Ok(());
    }
    let old = &cleaned.payloads;
    let manifests: Vec<i32> = old.iter().map(|payload| payload.manifest_id).collect();
    let digests: Vec<&str> = old.iter().map(|payload| payload.digest.as_str()).collect();
    let unreferenced: Vec<(String, String)> =
        sqlx::query_as(include_str!("../../sql/gristmill_archive.delete.sql"))
            .bind(manifests)
            .bind(digests)
            .fetch_all(database.pool())
            .await
            .map_err(failed)?;
    step::passed(Step::ArchiveForgotten);
    for (digest, directory) in unreferenced {
        remove(&archive::place(Path::new(&directory), &digest), cleaned);
    }
    Ok(())
}

async fn archive_directories(database: &Database) -> Result<BTreeSet<PathBuf>> {
    let directories: Vec<String> = sqlx::query_scalar(include_str!(
        "../../sql/gristmill_archive.select_directories.sql"
    ))
    .fetch_all(database.pool())
    .await
    .map_err(|error| SqlError(error).failure("cannot read the archive's records"))?;
    Ok(directories.into_iter().map(PathBuf::from).collect())
}

/// Removes the files of a directory that no record refers to, unless somebody may be
/// about to record them.
async fn clean_stray_files(
    database: &Database,
    directory: &Path,
    cleaned: &mut Cleaned,
) -> Result<()> {
    let old: Vec<PathBuf> = files_below(directory)
        .into_iter()
        .filter(|path| is_older(path, STRAY_AGE_MIN))
        .collect();
    if old.is_empty() {
        return Ok(());
    }
    let digests: Vec<String> = sqlx::query_scalar(include_str!(
        "../../sql/gristmill_archive.select_digests.sql"
    ))
    .bind(directory.to_string_lossy())
    .fetch_all(database.pool())
    .await
    .map_err(|error| SqlError(error).failure("cannot read the archive's records"))?;
    let recorded: BTreeSet<PathBuf> = digests
        .iter()
        .map(|digest| archive::place(directory, digest))
        .collect();
    for path in old.iter().filter(|path| !recorded.contains(*path)) {
        cleaned.stray_files.push(path.display().to_string());
        if !cleaned.dry_run {
            remove(path, cleaned);
        }
    }
    Ok(())
}

fn remove(path: &Path, cleaned: &mut Cleaned) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => cleaned
            .files_left
            .push(format!("cannot remove `{}`: {error}", path.display())),
        _ => step::passed(Step::ArchiveRemoved),
    }
}

/// The files that an archive may have made in its directory. What cannot be read
/// there stays.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".tar.gz") || name.starts_with('.') && name.ends_with(".unfinished")
    };
    let mut files = entries(directory);
    let folders: Vec<PathBuf> = files.extract_if(.., |path| path.is_dir()).collect();
    files.extend(folders.iter().flat_map(|folder| entries(folder)));
    files.retain(|path| path.is_file() && ours(path));
    files
}

fn is_older(path: &Path, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| {
        SystemTime::now()
            .duration_since(modified)
            .is_ok_and(|since| since > age)
    })
}
