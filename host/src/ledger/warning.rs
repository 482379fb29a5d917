//! What `status` warns of: things that a person should know, and need not do anything
//! about.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::ingest::beginning;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub source_uuid: Uuid,
    pub kind: WarningKind,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningKind {
    UnknownReport,
    Renaming,
}

/// Reports of a kind that the pipeline did not know, which were read past.
#[derive(Debug, FromRow, Serialize)]
pub struct UnknownReport {
    #[serde(skip)]
    pub source_uuid: Uuid,
    pub uploads: i64,
    pub since: DateTime<Utc>,
    pub last_file: String,
    /// The first of them.
    pub columns: Vec<String>,
}

impl UnknownReport {
    pub(super) fn as_sentence(&self) -> String {
        let whose = match self.uploads {
            1 => "an upload".to_string(),
            uploads => format!("{uploads} uploads"),
        };
        format!(
            "reports of a kind that the pipeline does not know are read past, in {whose} since {}, \
             last `{}`: its header begins with `{}`; a `[reports.NAME]` loads them, or ignores them \
             with `ignore = true`",
            self.since.format("%Y-%m-%d %H:%M"),
            self.last_file,
            beginning(&self.columns)
        )
    }
}

/// Those of uploads that count, of all sources.
///
/// # Errors
/// The database fails.
pub(super) async fn unknown_reports(pool: &PgPool) -> Result<Vec<UnknownReport>, sqlx::Error> {
    sqlx::query_as(include_str!(
        "../../../sql/reporting_common_costusagereportstatus.select_unknown.sql"
    ))
    .fetch_all(pool)
    .await
}
