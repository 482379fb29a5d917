//! Quarantine: the rows that a stage or the load refused. [`reject_writer`] and
//! [`settlement`] put them there; this file lists, resolves and discards them.

mod reject_writer;
mod settlement;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::json;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

pub use self::reject_writer::RejectWriter;
pub use self::settlement::{RejectOrigin, keep, keep_allowed, settle};
use crate::database::{Database, SqlError};
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::action;

/// The rows that a person asks for.
#[derive(Clone, Debug, Default, Serialize)]
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
    /// The load has none.
    pub component_digest: Option<String>,
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

/// The rows that a person asks for, the newest first; their raw text only `with_raw`.
///
/// # Errors
/// The database fails.
pub fn list(
    database: &Database,
    filter: &Filter,
    rows_max: i64,
    with_raw: bool,
) -> Result<Vec<QuarantinedRow>> {
    database.wait(async {
        sqlx::query_as(include_str!(
            "../../../../sql/gristmill_quarantine.select.sql"
        ))
        .bind(&filter.ids)
        .bind(filter.source_uuid)
        .bind(filter.run_id)
        .bind(&filter.stage)
        .bind(&filter.code)
        .bind(&filter.state)
        .bind(rows_max)
        .bind(with_raw)
        .fetch_all(database.pool())
        .await
        .map_err(unreadable)
    })
}

/// One row.
///
/// # Errors
/// There is none with this number, or the database fails.
pub fn row(database: &Database, id: i64) -> Result<QuarantinedRow> {
    let filter = Filter {
        ids: Some(vec![id]),
        ..Filter::default()
    };
    let mut rows = list(database, &filter, 1, true)?;
    rows.pop().ok_or_else(|| unknown(id))
}

/// Marks open rows as of no interest, without reading them; returns how many there were.
///
/// # Errors
/// There is none with one of the numbers asked for, or the database fails.
pub fn discard(database: &Database, filter: &Filter, reason: &str) -> Result<u64> {
    database.wait(async {
        if let Some(ids) = &filter.ids {
            let unknown_ids: Vec<i64> = sqlx::query_scalar(include_str!(
                "../../../../sql/gristmill_quarantine.select_unknown.sql"
            ))
            .bind(ids)
            .fetch_all(database.pool())
            .await
            .map_err(unreadable)?;
            if let Some(id) = unknown_ids.first() {
                return Err(unknown(*id));
            }
        }
        let failed = |error| SqlError(error).failure("cannot discard rows in quarantine");
        let mut transaction = database.pool().begin().await.map_err(failed)?;
        let rows = discard_in(&mut transaction, filter, reason)
            .await
            .map_err(failed)?;
        if rows > 0 {
            let subject = format!("{rows} rows in quarantine: {reason}");
            let details = json!({ "rows": rows, "reason": reason, "chosen": filter });
            action::record(&mut transaction, "quarantine discard", &subject, details)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(rows)
    })
}

/// As `discard`, in the caller's transaction, and whatever numbers there are.
pub(crate) async fn discard_in(
    connection: &mut PgConnection,
    filter: &Filter,
    reason: &str,
) -> Result<u64, sqlx::Error> {
    sqlx::query(include_str!(
        "../../../../sql/gristmill_quarantine.discard.sql"
    ))
    .bind(&filter.ids)
    .bind(filter.source_uuid)
    .bind(filter.run_id)
    .bind(&filter.stage)
    .bind(&filter.code)
    .bind(reason)
    .execute(connection)
    .await
    .map(|done| done.rows_affected())
}

fn unknown(id: i64) -> Failure {
    Failure::run(format!("there is no row {id} in quarantine"))
        .hint("`gristmill quarantine list` shows the rows with their numbers")
}

/// The uploads with open rows, the latest first.
///
/// # Errors
/// The database fails.
pub fn open_uploads(
    database: &Database,
    source_uuid: Option<Uuid>,
    run_id: Option<i64>,
) -> Result<Vec<OpenUpload>> {
    database.wait(async {
        sqlx::query_as(include_str!(
            "../../../../sql/gristmill_quarantine.select_uploads.sql"
        ))
        .bind(source_uuid)
        .bind(run_id)
        .fetch_all(database.pool())
        .await
        .map_err(unreadable)
    })
}

fn unreadable(error: sqlx::Error) -> Failure {
    SqlError(error).failure("cannot read the quarantine")
}
