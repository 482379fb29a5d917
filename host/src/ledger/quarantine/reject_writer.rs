//! Writes the rejected rows of a payload into the database as they are found, while it is
//! loaded. Nobody sees them before they are put into quarantine, and they go with their
//! generation.

use sqlx::PgConnection;

use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::Result;
use crate::ingest::chain::RejectedBy;
use crate::ingest::{FoundReject, RejectSink};
use crate::rows::batch::RejectedRow;

/// Writes what a generation rejects. Used from threads outside of the runtime.
pub struct RejectWriter {
    database: Database,
    generation: i64,
}

impl RejectWriter {
    pub fn of(database: &Database, generation: i64) -> Self {
        Self {
            database: database.clone(),
            generation,
        }
    }
}

impl RejectSink for RejectWriter {
    fn keep(&self, rejects: &[FoundReject]) -> Result<()> {
        let written = async {
            let mut connection = self.database.pool().acquire().await?;
            insert(&mut connection, self.generation, rejects).await
        };
        self.database
            .wait(written)
            .map(|()| failpoint::passed(Failpoint::RejectsWritten))
            .map_err(|error| SqlError(error).failure("cannot write down the rejected rows"))
    }
}

async fn insert(
    connection: &mut PgConnection,
    generation: i64,
    rejects: &[FoundReject],
) -> Result<(), sqlx::Error> {
    // A message may quote the row, and text columns hold no NUL.
    let text = |text: &str| text.replace('\0', "\u{fffd}");
    let rows = || rejects.iter().map(|found| &found.reject.row);
    let texts = |text: fn(&FoundReject) -> &String| -> Vec<&str> {
        rejects.iter().map(|found| text(found).as_str()).collect()
    };
    let of_rows = |of: fn(&RejectedRow) -> &String| -> Vec<String> {
        rows().map(|row| text(of(row))).collect()
    };
    let by = || rejects.iter().map(|found| &found.reject.by);
    sqlx::query(include_str!("../../../../sql/gristmill_reject.insert.sql"))
        .bind(generation)
        .bind(
            rejects
                .iter()
                .map(|found| found.batch as i64)
                .collect::<Vec<_>>(),
        )
        .bind(texts(|found| &found.report))
        .bind(texts(|found| &found.file))
        .bind(
            rows()
                .map(|row| row.line.map(|line| line as i64))
                .collect::<Vec<_>>(),
        )
        .bind(by().map(RejectedBy::name).collect::<Vec<_>>())
        .bind(by().map(RejectedBy::digest).collect::<Vec<_>>())
        .bind(
            rows()
                .map(|row| row.column.as_deref().map(text))
                .collect::<Vec<_>>(),
        )
        .bind(of_rows(|row| &row.code))
        .bind(of_rows(|row| &row.message))
        .bind(rows().map(|row| row.raw.as_slice()).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}
