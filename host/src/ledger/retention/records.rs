//! Removes the records of payloads that are past retention: quarantine with its raw rows;
//! row accounting; runs; manifests with the statuses of their files; and the rows that
//! dead runs had rejected.
//!
//! SQL decides what must stay. Each statement takes a part and is a transaction of its
//! own, so none holds anybody up for long.

use serde::Serialize;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::{Connection, Postgres};
use uuid::Uuid;

use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::pipeline::plan::RecordRetention;

/// Rows in quarantine that go at a time: each has up to a megabyte of raw text.
const QUARANTINE_ROWS_MAX: i64 = 1_000;

/// Records of other kinds that go at a time, each with some that hang on it.
const RECORDS_MAX: i64 = 1_000;

/// Records that went, or would, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OldRecords {
    pub quarantined_rows: u64,
    /// Runs whose row accounting went.
    pub row_accounts: u64,
    pub runs: u64,
    /// With the statuses of their files.
    pub manifests: u64,
    /// Rows that runs which died had rejected.
    pub rows_of_dead_runs: u64,
}

type Statement = QueryScalar<'static, Postgres, i64, PgArguments>;

/// Removes records that are past retention.
///
/// # Errors
/// A statement fails; what was removed before it stays removed.
pub(super) async fn clean(
    database: &Database,
    retention: RecordRetention,
    dry_run: bool,
) -> Result<OldRecords> {
    let quarantine_days = i32::from(retention.quarantine_days);
    let quarantine = Part::new("the quarantine", QUARANTINE_ROWS_MAX, dry_run);
    let records = |what| Part::new(what, RECORDS_MAX, dry_run);
    if !dry_run {
        sqlx::query(include_str!("../../../../sql/gristmill_run.fail_dead.sql"))
            .execute(database.pool())
            .await
            .map_err(|error| records("the records of runs").failure(error))?;
    }
    let old = OldRecords {
        rows_of_dead_runs: records("rejected rows of dead runs")
            .remove(database, |part| {
                sqlx::query_scalar(include_str!(
                    "../../../../sql/gristmill_reject.delete_dead.sql"
                ))
                .bind(part.rows_max())
                .bind(dry_run)
            })
            .await?,
        quarantined_rows: quarantine
            .remove(database, |part| {
                sqlx::query_scalar(include_str!(
                    "../../../../sql/gristmill_quarantine.delete_old.sql"
                ))
                .bind(quarantine_days)
                .bind(part.rows_max())
                .bind(dry_run)
            })
            .await?,
        row_accounts: records("row accounting")
            .remove(database, |part| {
                sqlx::query_scalar(include_str!(
                    "../../../../sql/gristmill_row_account.delete_old.sql"
                ))
                .bind(i32::from(retention.row_accounts_days))
                .bind(part.rows_max())
                .bind(dry_run)
            })
            .await?,
        runs: records("the records of runs")
            .remove(database, |part| {
                sqlx::query_scalar(include_str!("../../../../sql/gristmill_run.delete_old.sql"))
                    .bind(i32::from(retention.runs_days))
                    .bind(part.rows_max())
                    .bind(dry_run)
                    .bind(quarantine_days)
            })
            .await?,
        manifests: manifests(database, retention, &records("manifests")).await?,
    };
    failpoint::passed(Failpoint::RecordsCleaned);
    Ok(old)
}

/// Takes each source in turn; one that is being loaded is left alone.
async fn manifests(database: &Database, retention: RecordRetention, part: &Part) -> Result<u64> {
    let days = i32::from(retention.manifests_days);
    let sources: Vec<Uuid> = sqlx::query_scalar(include_str!(
        "../../../../sql/reporting_common_costusagereportmanifest.select_old_sources.sql"
    ))
    .bind(days)
    .fetch_all(database.pool())
    .await
    .map_err(|error| part.failure(error))?;
    let mut removed = 0;
    for source_uuid in sources {
        let statement = |part: &Part| -> Statement {
            sqlx::query_scalar(include_str!(
                "../../../../sql/reporting_common_costusagereportmanifest.delete_old.sql"
            ))
            .bind(source_uuid)
            .bind(days)
            .bind(part.rows_max())
            .bind(part.dry_run)
            .bind(i32::from(retention.quarantine_days))
        };
        if part.dry_run {
            removed += part.remove(database, statement).await?;
            continue;
        }
        let failed = |error| part.failure(error);
        let mut lock = database.pool().acquire().await.map_err(failed)?.detach();
        let locked: bool = sqlx::query_scalar(include_str!(
            "../../../../sql/gristmill_source.try_lock.sql"
        ))
        .bind(source_uuid.to_string())
        .fetch_one(&mut lock)
        .await
        .map_err(failed)?;
        if locked {
            removed += part.remove(database, statement).await?;
        }
        // The lock goes with the connection, however that ends.
        let _ = lock.close().await;
    }
    Ok(removed)
}

/// Removes records part by part.
struct Part {
    what: &'static str,
    rows_max: i64,
    dry_run: bool,
}

impl Part {
    fn new(what: &'static str, rows_max: i64, dry_run: bool) -> Self {
        Self {
            what,
            rows_max,
            dry_run,
        }
    }

    /// All of them are counted at once where none goes.
    fn rows_max(&self) -> Option<i64> {
        (!self.dry_run).then_some(self.rows_max)
    }

    /// Runs the statement until it finds less than it may take.
    async fn remove(
        &self,
        database: &Database,
        statement: impl Fn(&Self) -> Statement,
    ) -> Result<u64> {
        let mut removed = 0;
        loop {
            let rows = statement(self)
                .fetch_one(database.pool())
                .await
                .map_err(|error| self.failure(error))?;
            removed += rows.unsigned_abs();
            if self.dry_run || rows < self.rows_max {
                return Ok(removed);
            }
        }
    }

    fn failure(&self, error: sqlx::Error) -> Failure {
        SqlError(error).failure(format!("cannot clean {}", self.what))
    }
}
