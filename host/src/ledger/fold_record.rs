//! Records which engine folded what of a generation.

use chrono::NaiveDate;

use crate::database::{Database, SqlError};
use crate::diagnostics::failure::Result;
use crate::pipeline::plan::AggregationEngine;

/// A fold of one staging table's hours.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldRecord {
    pub staging_table: &'static str,
    pub engine: AggregationEngine,
    pub days: Vec<NaiveDate>,
    /// The hourly rows, and the rows that they became.
    pub rows: u64,
    pub part_rows: u64,
    pub seconds: f64,
}

/// Writes down what was folded.
///
/// # Errors
/// The database fails.
pub fn record(
    database: &Database,
    run_id: i64,
    generation: i64,
    folds: &[FoldRecord],
) -> Result<()> {
    database.wait(async {
        for fold in folds {
            sqlx::query(include_str!("../../../sql/gristmill_fold.insert.sql"))
                .bind(run_id)
                .bind(generation)
                .bind(fold.staging_table)
                .bind(fold.engine.as_str())
                .bind(&fold.days)
                .bind(fold.rows as i64)
                .bind(fold.part_rows as i64)
                .bind(fold.seconds)
                .execute(database.pool())
                .await
                .map_err(|error| SqlError(error).failure("cannot record the fold"))?;
        }
        Ok(())
    })
}
