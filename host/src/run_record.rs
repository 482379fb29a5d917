//! The record of a run: what it read, what made the rows, how it ended.

use sqlx::PgConnection;

use crate::books::{FileBook, StageBook};
use crate::database::{Database, SqlError};
use crate::failure::Result;
use crate::plan::{Plan, ReportAction};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Waits for the other parts of a split payload.
    Loaded,
    Published,
    /// Everything in it was known.
    Unchanged,
    Failed,
}

impl RunState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Published => "published",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

/// The sums of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunSums {
    pub rows_read: u64,
    pub rows_loaded: u64,
    pub rows_filtered: u64,
    pub rows_rejected: u64,
}

/// Opens the record of a run and says which components it uses.
///
/// # Errors
/// The database fails.
pub async fn open(database: &Database, plan: &Plan, payload: &str) -> Result<i64> {
    let failed = |error| SqlError(error).failure("cannot record the run");
    let mut transaction = database.pool().begin().await.map_err(failed)?;
    let run_id: i64 = sqlx::query_scalar(include_str!("../../sql/gristmill_run.insert.sql"))
        .bind(&plan.name)
        .bind(payload)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
    let mut reports = Vec::new();
    let mut positions = Vec::new();
    let mut stages = Vec::new();
    let mut digests = Vec::new();
    let mut configs = Vec::new();
    for report in &plan.reports {
        let ReportAction::Load(load) = &report.action else {
            continue;
        };
        for (position, stage) in load.stages().enumerate() {
            reports.push(report.name.clone());
            positions.push(position as i32);
            stages.push(stage.name.clone());
            digests.push(stage.component.digest.clone());
            configs.push(stage.config.clone());
        }
    }
    sqlx::query(include_str!("../../sql/gristmill_run_stage.insert.sql"))
        .bind(run_id)
        .bind(&reports)
        .bind(&positions)
        .bind(&stages)
        .bind(&digests)
        .bind(&configs)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(run_id)
}

/// Closes the record.
///
/// # Errors
/// The database fails.
pub async fn close(
    database: &Database,
    run_id: i64,
    state: RunState,
    manifest_id: Option<i32>,
    sums: RunSums,
    error: Option<&str>,
) -> Result<()> {
    sqlx::query(include_str!("../../sql/gristmill_run.update.sql"))
        .bind(run_id)
        .bind(state.as_str())
        .bind(manifest_id)
        .bind(sums.rows_read as i64)
        .bind(sums.rows_loaded as i64)
        .bind(sums.rows_filtered as i64)
        .bind(sums.rows_rejected as i64)
        .bind(error.map(|error| error.replace('\0', "\u{fffd}")))
        .execute(database.pool())
        .await
        .map(drop)
        .map_err(|error| SqlError(error).failure("cannot record the run"))
}

/// Records the books of a file.
///
/// # Errors
/// The database fails.
pub async fn keep_book(
    connection: &mut PgConnection,
    run_id: i64,
    book: &FileBook,
) -> Result<(), sqlx::Error> {
    let sums = |sum: fn(&StageBook) -> u64| -> Vec<i64> {
        book.stages.iter().map(|book| sum(book) as i64).collect()
    };
    let stages: Vec<&str> = book.stages.iter().map(|book| book.stage.as_str()).collect();
    sqlx::query(include_str!("../../sql/gristmill_run_book.insert.sql"))
        .bind(run_id)
        .bind(&book.file)
        .bind(stages)
        .bind(sums(|book| book.rows_in))
        .bind(sums(|book| book.rows_repeated))
        .bind(sums(|book| book.rows_out))
        .bind(sums(|book| book.rows_filtered))
        .bind(sums(|book| book.rows_rejected))
        .execute(connection)
        .await
        .map(drop)
}
