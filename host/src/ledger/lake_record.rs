//! Records places in the lake: before anything is there, and until nothing is. They belong
//! to the owner of the archive, so that a copy of the database removes nothing of the
//! original's.

use sqlx::Connection;
use uuid::Uuid;

use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::Result;
use crate::ledger::archive::Owner;

/// A place that has a record.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LakeRecord {
    pub place: String,
    /// The lake's location, as it was when the place was begun.
    pub location: String,
}

/// The identity of this database, by which places of several are told apart.
///
/// # Errors
/// The database is a copy that has not adopted the archive of the original, or it fails.
pub fn identity(database: &Database) -> Result<Uuid> {
    database.wait(Owner::identity(database))
}

/// Writes a place down that is about to be filled.
///
/// # Errors
/// The database fails.
pub fn begin(
    database: &Database,
    record: &LakeRecord,
    source_uuid: Uuid,
    run_id: i64,
) -> Result<()> {
    let begun = sqlx::query(include_str!("../../../sql/gristmill_lake.insert.sql"))
        .bind(&record.place)
        .bind(&record.location)
        .bind(source_uuid)
        .bind(run_id)
        .execute(database.pool());
    database
        .wait(begun)
        .map(|_| failpoint::passed(Failpoint::LakeRecorded))
        .map_err(failed)
}

/// Says how long a place stays, whose hours are folded.
///
/// # Errors
/// The database fails.
pub fn keep(database: &Database, place: &str, days: u16) -> Result<()> {
    let kept = sqlx::query(include_str!("../../../sql/gristmill_lake.keep.sql"))
        .bind(place)
        .bind(i32::from(days))
        .execute(database.pool());
    database.wait(kept).map(drop).map_err(failed)
}

/// Strikes out a place of which nothing is left.
///
/// # Errors
/// The database fails.
pub fn forget(database: &Database, place: &str) -> Result<()> {
    let forgotten = sqlx::query(include_str!("../../../sql/gristmill_lake.delete.sql"))
        .bind(place)
        .execute(database.pool());
    database
        .wait(forgotten)
        .map(|_| failpoint::passed(Failpoint::LakeForgotten))
        .map_err(failed)
}

/// The places of a source that are no longer needed. The caller has the source's lock, so
/// that those of no end are a dead run's.
///
/// # Errors
/// The database is a copy that has not adopted the archive of the original, or it fails.
pub fn due(database: &Database, source_uuid: Uuid) -> Result<Vec<LakeRecord>> {
    database.wait(async {
        let due: Vec<LakeRecord> =
            sqlx::query_as(include_str!("../../../sql/gristmill_lake.select_due.sql"))
                .bind(source_uuid)
                .fetch_all(database.pool())
                .await
                .map_err(failed)?;
        if !due.is_empty() {
            Owner::of(database).await?;
        }
        Ok(due)
    })
}

/// How many places have a record.
///
/// # Errors
/// The database fails.
pub fn count(database: &Database) -> Result<i64> {
    let counted = sqlx::query_scalar(include_str!("../../../sql/gristmill_lake.count.sql"))
        .fetch_one(database.pool());
    database.wait(counted).map_err(failed)
}

/// Calls with the places of each source that are no longer needed, while no run is at work
/// on it; returns the clusters that runs are at work on.
///
/// # Errors
/// As `due`, or the call fails.
pub fn for_each_idle_source(
    database: &Database,
    mut each: impl FnMut(&[LakeRecord]) -> Result<()>,
) -> Result<Vec<String>> {
    let sources: Vec<(Uuid, String)> = database
        .wait(
            sqlx::query_as(include_str!(
                "../../../sql/gristmill_lake.select_sources.sql"
            ))
            .fetch_all(database.pool()),
        )
        .map_err(failed)?;
    let mut busy = Vec::new();
    for (source_uuid, cluster_id) in sources {
        // The lock is the session's, and goes with it.
        let (lock, locked) = database.wait(async {
            let mut lock = database.pool().acquire().await.map_err(failed)?.detach();
            let locked: bool =
                sqlx::query_scalar(include_str!("../../../sql/gristmill_source.try_lock.sql"))
                    .bind(source_uuid.to_string())
                    .fetch_one(&mut lock)
                    .await
                    .map_err(failed)?;
            Ok((lock, locked))
        })?;
        let done = match locked {
            true => due(database, source_uuid).and_then(|due| each(&due)),
            false => {
                busy.push(cluster_id);
                Ok(())
            }
        };
        let _ = database.wait(lock.close());
        done?;
    }
    Ok(busy)
}

fn failed(error: sqlx::Error) -> crate::diagnostics::failure::Failure {
    SqlError(error).failure("cannot read or change the records of the lake")
}
