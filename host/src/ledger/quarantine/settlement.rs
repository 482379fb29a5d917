//! Puts the rejected rows of a payload into quarantine, in the transaction that closes
//! its run and within a bound of time.

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::ingest::row_accounting::{FileAccount, imbalance};
use crate::ingest::{FileKind, IngestedFile, Rejects};
use crate::ledger::run_record;

/// The SQLSTATE of a statement that took too long.
const QUERY_CANCELED: &str = "57014";

/// Whose rows are rejected.
#[derive(Clone, Copy, Debug)]
pub struct RejectOrigin {
    pub run_id: i64,
    pub manifest_id: i32,
    pub generation: i64,
    /// The time that putting them into quarantine may take.
    pub time_max: Duration,
}

/// Puts what a payload rejected into quarantine, as part of the transaction that makes
/// it count. When all of it counts, what earlier runs of the manifest quarantined and
/// this one did not is `resolved`.
///
/// # Errors
/// The database fails or takes too long, or a row is missing.
pub async fn settle(
    connection: &mut PgConnection,
    origin: RejectOrigin,
    files: &[IngestedFile],
    resolves: bool,
) -> Result<()> {
    let rejected: u64 = files.iter().map(|file| file.rejected.rows()).sum();
    if rejected > 0 {
        insert(connection, origin, rejected, true).await?;
    }
    if resolves {
        let reports = files.iter().map(|file| file.name.as_str());
        let reports: Vec<&str> = reports.collect();
        sqlx::query(include_str!(
            "../../../../sql/gristmill_quarantine.resolve.sql"
        ))
        .bind(origin.run_id)
        .bind(origin.manifest_id)
        .bind(reports)
        .execute(connection)
        .await
        .map_err(unkept)?;
    }
    Ok(())
}

/// Keeps the rejected rows and the row accounting of a payload that has too many of them,
/// under its run.
///
/// # Errors
/// As `settle`.
pub fn keep(database: &Database, origin: RejectOrigin, files: &[IngestedFile]) -> Result<()> {
    database.wait(async {
        let rejected = files.iter().map(|file| file.rejected.rows()).sum();
        let mut connection = database.pool().acquire().await.map_err(unkept)?;
        let mut transaction = connection.begin().await.map_err(unkept)?;
        let reports = files
            .iter()
            .filter(|file| matches!(file.kind, FileKind::Report(_)));
        let accounts: Vec<FileAccount> = reports.map(IngestedFile::account).collect();
        run_record::keep_accounts(&mut transaction, origin.run_id, &accounts)
            .await
            .map_err(unkept)?;
        insert(&mut transaction, origin, rejected, false).await?;
        transaction.commit().await.map_err(unkept)?;
        failpoint::passed(Failpoint::RejectsKept);
        Ok(())
    })
}

/// Keeps the rows of a payload that its budget allowed, before there were too many.
///
/// # Errors
/// As `settle`.
pub fn keep_allowed(
    database: &Database,
    origin: RejectOrigin,
    rejects: &Rejects<'_>,
) -> Result<()> {
    database.wait(async {
        let mut connection = database.pool().acquire().await.map_err(unkept)?;
        let mut transaction = connection.begin().await.map_err(unkept)?;
        insert(&mut transaction, origin, rejects.rows(), false).await?;
        transaction.commit().await.map_err(unkept)?;
        failpoint::passed(Failpoint::RejectsKept);
        Ok(())
    })
}

async fn insert(
    connection: &mut PgConnection,
    origin: RejectOrigin,
    rejected: u64,
    counts: bool,
) -> Result<()> {
    let milliseconds = origin.time_max.as_millis().to_string();
    let before = bound_time(connection, &milliseconds).await?;
    let inserted: i64 = sqlx::query_scalar(include_str!(
        "../../../../sql/gristmill_quarantine.insert.sql"
    ))
    .bind(origin.run_id)
    .bind(origin.generation)
    .bind(counts)
    .bind(origin.manifest_id)
    .fetch_one(&mut *connection)
    .await
    .map_err(|error| within_time(error, origin.time_max, rejected))?;
    sqlx::query(include_str!("../../../../sql/gristmill_reject.delete.sql"))
        .bind(origin.generation)
        .execute(&mut *connection)
        .await
        .map_err(|error| within_time(error, origin.time_max, rejected))?;
    bound_time(connection, &before).await?;
    if inserted.unsigned_abs() == rejected {
        return Ok(());
    }
    Err(imbalance(format!(
        "{rejected} rows were rejected, but {inserted} would go to quarantine"
    )))
}

/// Bounds the time of what follows in the transaction; returns the bound before.
async fn bound_time(connection: &mut PgConnection, milliseconds: &str) -> Result<String> {
    let (before, _): (String, String) = sqlx::query_as(include_str!(
        "../../../../sql/session.set_statement_timeout.sql"
    ))
    .bind(milliseconds)
    .fetch_one(connection)
    .await
    .map_err(unkept)?;
    Ok(before)
}

fn within_time(error: sqlx::Error, time_max: Duration, rejected: u64) -> Failure {
    let code = error.as_database_error().and_then(|error| error.code());
    if code.as_deref() != Some(QUERY_CANCELED) {
        return unkept(error);
    }
    // The limit is the pipeline's, so another try would meet it as well.
    Failure::run(format!(
        "putting {rejected} rejected rows into quarantine took longer than {time_max:?} \
        (`quarantine-time` in `[limits]`)"
    ))
    .because(SqlError(error))
    .hint("nothing of the payload was published; the server may be busy: run it again, or allow more time")
}

fn unkept(error: sqlx::Error) -> Failure {
    SqlError(error).failure("cannot keep the rejected rows")
}
