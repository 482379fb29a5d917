//! Rows that a stage or the load refused: how they get into quarantine, what is known
//! of them, and what becomes of them.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::database::{Database, SqlError};
use crate::failure::{Failure, Result};
use crate::ingest::{FileKind, IngestedFile};
use crate::run_record;
use crate::step::{self, Step};

/// Whose rows are rejected.
#[derive(Clone, Copy, Debug)]
pub struct Rejecting {
    pub run_id: i64,
    pub manifest_id: i32,
    /// `None` when the payload failed.
    pub generation: Option<i64>,
}

/// What a person asks for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub ids: Option<Vec<i64>>,
    pub source_uuid: Option<Uuid>,
    pub run_id: Option<i64>,
    pub stage: Option<String>,
    pub code: Option<String>,
    pub state: Option<String>,
}

/// A row in quarantine.
#[derive(Debug, FromRow, Serialize)]
pub struct QuarantinedRow {
    pub id: i64,
    pub state: String,
    pub run: i64,
    pub pipeline: String,
    pub payload: String,
    pub run_state: String,
    /// The uuid of the upload.
    pub upload: Option<String>,
    pub cluster_id: Option<String>,
    pub report: String,
    pub file: String,
    pub line: Option<i64>,
    pub stage: String,
    /// Empty for the load, which is no component.
    pub component_digest: String,
    #[serde(rename = "column")]
    pub column_name: Option<String>,
    pub code: String,
    pub message: String,
    /// As it stood in the file.
    #[serde(serialize_with = "as_text")]
    pub raw: Vec<u8>,
    pub quarantined_at: DateTime<Utc>,
    pub changed_at: Option<DateTime<Utc>>,
    pub resolved_by_run: Option<i64>,
    pub reason: Option<String>,
}

/// An upload with open rows.
#[derive(Debug, FromRow)]
pub struct OpenUpload {
    pub manifest_id: i32,
    pub assembly_id: String,
    pub source_uuid: Uuid,
    pub published: bool,
    pub payload: String,
    pub rows_open: i64,
}

fn as_text<S: Serializer>(raw: &[u8], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(raw))
}

/// Puts a file's rejected rows into quarantine.
pub async fn insert(
    connection: &mut PgConnection,
    rejecting: Rejecting,
    report: &str,
    file: &IngestedFile,
) -> Result<(), sqlx::Error> {
    if file.rejects.is_empty() {
        return Ok(());
    }
    // A message may quote the row, and text columns hold no NUL.
    let text = |text: &str| text.replace('\0', "\u{fffd}");
    let rejects = &file.rejects;
    let rows = || rejects.iter().map(|reject| &reject.row);
    sqlx::query(include_str!("../../sql/gristmill_quarantine.insert.sql"))
        .bind(rejecting.run_id)
        .bind(rejecting.generation)
        .bind(report)
        .bind(&file.name)
        .bind(
            rows()
                .map(|row| row.line.map(|line| line as i64))
                .collect::<Vec<_>>(),
        )
        .bind(
            rejects
                .iter()
                .map(|reject| reject.stage.clone())
                .collect::<Vec<_>>(),
        )
        .bind(
            rejects
                .iter()
                .map(|reject| reject.digest.clone())
                .collect::<Vec<_>>(),
        )
        .bind(
            rows()
                .map(|row| row.column.as_deref().map(text))
                .collect::<Vec<_>>(),
        )
        .bind(rows().map(|row| text(&row.code)).collect::<Vec<_>>())
        .bind(rows().map(|row| text(&row.message)).collect::<Vec<_>>())
        .bind(rows().map(|row| row.raw.clone()).collect::<Vec<_>>())
        .bind(rejecting.manifest_id)
        .execute(connection)
        .await
        .map(drop)
}

/// Keeps the rejected rows and the books of a payload that failed, under its run.
///
/// # Errors
/// The database fails.
pub async fn keep(
    database: &Database,
    run_id: i64,
    manifest_id: i32,
    files: &[IngestedFile],
) -> Result<()> {
    let failed = |error| SqlError(error).failure("cannot keep the rejected rows");
    let mut connection = database.pool().acquire().await.map_err(failed)?;
    let rejecting = Rejecting {
        run_id,
        manifest_id,
        generation: None,
    };
    for file in files {
        if let FileKind::Report(report) = &file.kind {
            run_record::keep_book(&mut connection, run_id, &file.book())
                .await
                .map_err(failed)?;
            insert(&mut connection, rejecting, report, file)
                .await
                .map_err(failed)?;
        }
    }
    step::passed(Step::RejectsKept);
    Ok(())
}

/// Marks what earlier runs quarantined of a file and this one let through.
pub async fn resolve(
    connection: &mut PgConnection,
    run_id: i64,
    manifest_id: i32,
    file: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/gristmill_quarantine.resolve.sql"))
        .bind(run_id)
        .bind(manifest_id)
        .bind(file)
        .execute(connection)
        .await
        .map(drop)
}

/// The rows that a person asks for, the newest first.
///
/// # Errors
/// The database fails.
pub async fn list(
    database: &Database,
    filter: &Filter,
    rows_max: i64,
) -> Result<Vec<QuarantinedRow>> {
    sqlx::query_as(include_str!("../../sql/gristmill_quarantine.select.sql"))
        .bind(&filter.ids)
        .bind(filter.source_uuid)
        .bind(filter.run_id)
        .bind(&filter.stage)
        .bind(&filter.code)
        .bind(&filter.state)
        .bind(rows_max)
        .fetch_all(database.pool())
        .await
        .map_err(unreadable)
}

/// One row.
///
/// # Errors
/// There is none with this number, or the database fails.
pub async fn row(database: &Database, id: i64) -> Result<QuarantinedRow> {
    let filter = Filter {
        ids: Some(vec![id]),
        ..Filter::default()
    };
    list(database, &filter, 1).await?.pop().ok_or_else(|| {
        Failure::run(format!("there is no row {id} in quarantine"))
            .hint("`gristmill quarantine list` shows the rows with their numbers")
    })
}

/// Marks open rows as of no interest; returns which were open.
///
/// # Errors
/// The database fails.
pub async fn discard(database: &Database, ids: &[i64], reason: &str) -> Result<Vec<i64>> {
    sqlx::query_scalar(include_str!("../../sql/gristmill_quarantine.discard.sql"))
        .bind(ids)
        .bind(reason)
        .fetch_all(database.pool())
        .await
        .map_err(|error| SqlError(error).failure("cannot discard rows in quarantine"))
}

/// The uploads with open rows, the latest first.
///
/// # Errors
/// The database fails.
pub async fn open_uploads(
    database: &Database,
    source_uuid: Option<Uuid>,
    run_id: Option<i64>,
) -> Result<Vec<OpenUpload>> {
    sqlx::query_as(include_str!(
        "../../sql/gristmill_quarantine.select_uploads.sql"
    ))
    .bind(source_uuid)
    .bind(run_id)
    .fetch_all(database.pool())
    .await
    .map_err(unreadable)
}

fn unreadable(error: sqlx::Error) -> Failure {
    SqlError(error).failure("cannot read the quarantine")
}
