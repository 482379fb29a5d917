//! Removes staged rows that no summary will need again. First their generations stop
//! counting, one source at a time. Then the rows go, in whole partitions where that is
//! possible. Rows of no generation, which earlier versions could leave, go as well.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{CleanSummary, OldGeneration, Retention, partitions};
use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::Result;
use crate::ledger::source;
use crate::ledger::staged_rows;

pub(super) async fn clean(
    database: &Database,
    retention: Retention,
    cleaned: &mut CleanSummary,
) -> Result<()> {
    let failed = |error| SqlError(error).failure("cannot forget old staged rows");
    let sources = source::select(database, None, None).await?;
    let mut connection = database.pool().acquire().await.map_err(failed)?;
    for source in sources {
        let old = old_of(&mut connection, retention, source.source_uuid);
        cleaned.generations.extend(old.await.map_err(failed)?);
    }
    cleaned.generations.sort_by_key(|old| old.generation);
    failpoint::passed(Failpoint::GenerationsCleaned);
    if !retention.dry_run {
        let forgotten = staged_rows::forgotten(&mut connection)
            .await
            .map_err(failed)?;
        if !forgotten.is_empty() {
            // The rows of dropped partitions need not be deleted one by one.
            partitions::drop_unused(&mut connection, Some(true), cleaned).await?;
        }
        staged_rows::remove(&mut connection, &forgotten)
            .await
            .map_err(failed)?;
        failpoint::passed(Failpoint::StagedRowsRemoved);
    }
    cleaned.orphaned_rows = orphans(&mut connection, retention.dry_run)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Finds the old generations of a source; unless it is a dry run, they count no more. A
/// source that is being loaded has none.
async fn old_of(
    connection: &mut PgConnection,
    retention: Retention,
    source_uuid: Uuid,
) -> Result<Vec<OldGeneration>, sqlx::Error> {
    sqlx::query_as(include_str!(
        "../../../../sql/gristmill_generation.forget_old.sql"
    ))
    .bind(source_uuid)
    .bind(retention.days)
    .bind(retention.dry_run)
    .fetch_all(connection)
    .await
}

/// Removes rows whose generation has no record; returns how many.
async fn orphans(connection: &mut PgConnection, dry_run: bool) -> Result<i64, sqlx::Error> {
    let partitions: Vec<String> = sqlx::query_scalar("SELECT staging_partitions(NULL)")
        .fetch_all(&mut *connection)
        .await?;
    let mut rows = 0;
    for partition in partitions {
        let found: i64 = sqlx::query_scalar("SELECT remove_orphaned_rows($1, $2)")
            .bind(partition)
            .bind(dry_run)
            .fetch_one(&mut *connection)
            .await?;
        rows += found;
    }
    Ok(rows)
}
