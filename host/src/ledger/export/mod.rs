//! Exports the rows of some days of a table or view, as CSV or Parquet. Each is one
//! statement, so that all rows are of one moment.
//!
//! The text of the statement is made by Postgres, which quotes the names and values in it.

mod parquet;

use std::io::{self, Write};

use futures_util::TryStreamExt as _;
use sqlx::FromRow;
use sqlx::postgres::PgPoolCopyExt as _;
use uuid::Uuid;

use self::parquet::ParquetFile;
use crate::database::{Database, SqlError};
use crate::diagnostics::days::Days;
use crate::diagnostics::failure::{Failure, Result};

/// How many tables a message names.
const NAMED_MAX: usize = 30;

/// The rows that are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub table: &'a str,
    pub days: Days,
    pub source_uuid: Option<Uuid>,
}

/// The statements of an export, and the columns of the rows.
#[derive(FromRow)]
struct Statement {
    names: Vec<String>,
    kinds: Vec<String>,
    has_source: bool,
    copied: String,
    typed: String,
}

/// Hands the rows to `line` as CSV, a line at a time, the header first; returns their
/// number.
///
/// # Errors
/// There is no such table, the database fails, or `line` does.
pub fn csv(
    database: &Database,
    wanted: Wanted<'_>,
    line: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<u64> {
    database.wait(async {
        let statement = statement(database, wanted).await?;
        let failed = |error| SqlError(error).failure(format!("cannot export `{}`", wanted.table));
        let mut lines = database
            .pool()
            .copy_out_raw(&statement.copied)
            .await
            .map_err(failed)?;
        let mut rows = 0_u64;
        while let Some(bytes) = lines.try_next().await.map_err(failed)? {
            line(&bytes).map_err(not_written)?;
            rows += 1;
        }
        // The header is a line, too.
        Ok(rows.saturating_sub(1))
    })
}

/// Writes the rows as a Parquet file; returns their number.
///
/// # Errors
/// There is no such table, the database fails, or the file cannot be written.
pub fn parquet(
    database: &Database,
    wanted: Wanted<'_>,
    to: &mut (dyn Write + Send),
) -> Result<u64> {
    database.wait(async {
        let statement = statement(database, wanted).await?;
        let failed = |error| SqlError(error).failure(format!("cannot export `{}`", wanted.table));
        let mut file = ParquetFile::begin(&statement.names, &statement.kinds, to)?;
        // Made by Postgres, of names and values that it has quoted.
        let mut rows = sqlx::query(&statement.typed).fetch(database.pool());
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            file.add(&row)?;
        }
        file.end()
    })
}

async fn statement(database: &Database, wanted: Wanted<'_>) -> Result<Statement> {
    let failed = |error| SqlError(error).failure("cannot look for the table");
    let found: Option<Statement> =
        sqlx::query_as(include_str!("../../../../sql/export.statement.sql"))
            .bind(wanted.table)
            .bind(wanted.days.first)
            .bind(wanted.days.last)
            .bind(wanted.source_uuid)
            .fetch_optional(database.pool())
            .await
            .map_err(failed)?;
    match found {
        Some(found) if found.has_source || wanted.source_uuid.is_none() => Ok(found),
        Some(_) => Err(Failure::definition(format!(
            "`{}` does not say of which source its rows are",
            wanted.table
        ))
        .hint("leave `--source` out")),
        None => {
            let tables: Vec<String> =
                sqlx::query_scalar(include_str!("../../../../sql/export.tables.sql"))
                    .fetch_all(database.pool())
                    .await
                    .map_err(failed)?;
            Err(unknown(wanted.table, &tables))
        }
    }
}

fn unknown(table: &str, tables: &[String]) -> Failure {
    let near = tables
        .iter()
        .map(|known| (strsim::levenshtein(table, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 4);
    let hint = match near {
        Some((_, known)) => format!("there is `{known}`"),
        None => {
            let named: Vec<String> = tables
                .iter()
                .take(NAMED_MAX)
                .map(|table| format!("`{table}`"))
                .collect();
            format!("those that there are: {}", named.join(", "))
        }
    };
    Failure::definition(format!("no table or view with days is called `{table}`")).hint(hint)
}

fn not_written(error: io::Error) -> Failure {
    let hindrance = crate::diagnostics::hindrance::of_reading(&error);
    Failure::hindered(hindrance, "cannot write the export").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_unknown_is_said_with_the_one_that_is_meant() {
        let tables = ["gristmill_day_view".to_string(), "other".to_string()];
        let hint = |table: &str| unknown(table, &tables).hint;
        let near = "there is `gristmill_day_view`";
        assert_eq!(hint("gristmill_days_view").as_deref(), Some(near));
        let all = "those that there are: `gristmill_day_view`, `other`";
        assert_eq!(hint("x").as_deref(), Some(all));
    }
}
