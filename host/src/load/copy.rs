//! One COPY and its transaction. It begins when the partitions that it needs are held,
//! and commits only while its generation counts on it.

use std::collections::BTreeSet;
use std::fmt;

use chrono::NaiveDate;
use sqlx::{PgConnection, Postgres, Transaction};
use tokio::sync::mpsc;

use super::encode;
use crate::database::{Database, SqlError, waiting};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::Failure;
use crate::diagnostics::hindrance::Hindrance;

/// How often partitions are made again that somebody drops at the same time.
const TRIES_MAX: u32 = 10;

/// The parts of a COPY.
pub(super) struct CopyOf {
    pub(super) database: Database,
    pub(super) generation: i64,
    pub(super) table: String,
    pub(super) statement: String,
    /// The months that it needs partitions of.
    pub(super) months: BTreeSet<NaiveDate>,
}

/// Why a COPY came to nothing.
#[derive(Debug)]
pub(super) enum CopyError {
    Database(sqlx::Error),
    /// Another run has forgotten the generation.
    Forgotten,
    /// Partitions vanish as fast as they are made.
    Unheld,
}

impl From<sqlx::Error> for CopyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl CopyError {
    pub(super) fn failure(self, doing: String) -> Failure {
        match self {
            Self::Database(error) => SqlError(error).failure(doing),
            Self::Forgotten => forgotten(doing),
            Self::Unheld => Failure::environment(doing)
                .because(anyhow::anyhow!(
                    "its partitions were dropped {TRIES_MAX} times before a row was in them"
                ))
                .hint("somebody else drops partitions of this schema; run the payload again"),
        }
    }
}

fn forgotten(doing: String) -> Failure {
    // Only a run without the lock of the source can meet this; the one with the lock says
    // so.
    Failure::hindered(Some(Hindrance::Lost), doing).because(anyhow::anyhow!(
        "another run has removed the rows that this one had loaded"
    ))
}

impl fmt::Debug for CopyOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.statement)
    }
}

impl CopyOf {
    /// Streams buffers into the COPY. When the sender goes away without the trailer, the
    /// COPY is aborted with it.
    pub(super) async fn run(self, mut buffers: mpsc::Receiver<Vec<u8>>) -> Result<u64, CopyError> {
        // A file without a row needs no connection.
        let Some(first) = buffers.recv().await else {
            return Ok(0);
        };
        let _permit = self.database.copy_permit().await?;
        let months = self.months.iter();
        let partitions = months.map(|month| (self.table.as_str(), *month)).collect();
        let mut transaction = begin(&self.database, &partitions).await?;
        let mut copy = transaction.copy_in_raw(&self.statement).await?;
        failpoint::passed(Failpoint::CopyBegun);
        let mut complete = first == encode::TRAILER;
        copy.send(first).await?;
        failpoint::passed(Failpoint::CopySent);
        while let Some(buffer) = buffers.recv().await {
            complete = buffer == encode::TRAILER;
            copy.send(buffer).await?;
        }
        if !complete {
            // Postgres writes this into its log, and nobody else is told.
            copy.abort("gristmill gives this load up").await?;
            return Ok(0);
        }
        failpoint::passed(Failpoint::CopyEnding);
        let rows = copy.finish().await?;
        hold_generation(&mut transaction, self.generation).await?;
        failpoint::passed(Failpoint::CopyHeld);
        transaction.commit().await?;
        failpoint::passed(Failpoint::CopyEnded);
        Ok(rows)
    }
}

/// A transaction in which these partitions stay: each a table and a month.
pub(super) async fn begin(
    database: &Database,
    partitions: &BTreeSet<(&str, NaiveDate)>,
) -> Result<Transaction<'static, Postgres>, CopyError> {
    let (tables, months): (Vec<&str>, Vec<NaiveDate>) = partitions.iter().copied().unzip();
    for _ in 0..TRIES_MAX {
        let mut transaction = database.pool().begin().await?;
        let held: bool =
            sqlx::query_scalar(include_str!("../../../sql/staging_partitions.hold.sql"))
                .bind(&tables)
                .bind(&months)
                .fetch_one(&mut *transaction)
                .await?;
        if held {
            return Ok(transaction);
        }
        transaction.rollback().await?;
        for (table, month) in partitions {
            ensure_partition(database, table, *month).await?;
        }
    }
    Err(CopyError::Unheld)
}

/// Holds the generation: whoever forgets it finds these rows, or they do not stay.
pub(super) async fn hold_generation(
    connection: &mut PgConnection,
    generation: i64,
) -> Result<(), CopyError> {
    let held: Option<i64> =
        sqlx::query_scalar(include_str!("../../../sql/gristmill_generation.hold.sql"))
            .bind(generation)
            .fetch_optional(connection)
            .await?;
    held.map(drop).ok_or(CopyError::Forgotten)
}

/// Makes a month's partition of a table, when it is not there.
async fn ensure_partition(
    database: &Database,
    table: &str,
    month: NaiveDate,
) -> Result<(), sqlx::Error> {
    let words = || {
        let month = month.format("%Y-%m");
        format!("waiting for the partition of `{table}` for {month}, which others may hold")
    };
    // A connection of the pool is waited for in other words.
    let mut connection = database.pool().acquire().await?;
    let ensured = sqlx::query("SELECT ensure_partition($1, $2)")
        .bind(table)
        .bind(month)
        .execute(&mut *connection);
    waiting::or_say(words, ensured).await?;
    failpoint::passed(Failpoint::MonthEnsured);
    Ok(())
}
