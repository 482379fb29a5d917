//! The status of every source, as the ledger has it, and what of it needs attention.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::failed_runs;
use super::makers::{self, MadeDays};
use crate::database::{Database, SqlError};
use crate::diagnostics::failure::Result;
use crate::ledger::warning::{self, UnknownReport, Warning, WarningKind};

/// Runs of each source that are shown.
const RUNS_MAX: i64 = 3;

/// Days with gaps that one message names.
const GAPS_NAMED: usize = 5;

/// The status of all sources.
#[derive(Debug, Serialize)]
pub struct Status {
    pub sources: Vec<SourceStatus>,
    /// Payloads that got to no source, failed, and have not been run well since.
    pub failed_runs_without_source: Vec<LastRun>,
    /// The last runs of payloads that got to no source.
    pub runs_without_source: Vec<LastRun>,
    pub attention: Vec<Attention>,
    /// What a person should know, and need not do anything about.
    pub warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
pub struct SourceStatus {
    #[serde(flatten)]
    pub summary: SourceSummary,
    /// Which engines made which days, the first ones first.
    pub engines: Vec<EngineDays>,
    pub gaps: Vec<Gap>,
    /// Which pipelines made which days.
    pub made: Vec<MadeDays>,
    /// Payloads that failed and have not been run well since, the newest first.
    pub failed_runs: Vec<LastRun>,
    pub waiting: Vec<WaitingUpload>,
    pub unknown_reports: Vec<UnknownReport>,
    /// The newest first.
    pub last_runs: Vec<LastRun>,
}

#[derive(Debug, FromRow, Serialize)]
pub struct SourceSummary {
    pub source_uuid: Uuid,
    pub cluster_id: String,
    pub cluster_alias: String,
    /// Rows of some days may have an earlier alias.
    pub is_being_renamed: bool,
    /// The uuid of the upload that came last.
    pub last_payload: Option<String>,
    pub last_payload_made_at: Option<DateTime<Utc>>,
    pub last_payload_came_at: Option<DateTime<Utc>>,
    pub first_day: Option<NaiveDate>,
    pub last_day: Option<NaiveDate>,
    pub days: i64,
    /// Those of them that additive uploads make up together.
    pub days_additive: i64,
    pub generations: i64,
    /// Those of them that hold no day any more.
    pub generations_superseded: i64,
    /// Rows in quarantine that are neither resolved nor discarded.
    pub rows_quarantined: i64,
    #[serde(skip)]
    runs_quarantined: i64,
    #[serde(skip)]
    last_run_quarantined: Option<i64>,
    /// The payload they are of, when they are of one run.
    #[serde(skip)]
    payload_quarantined: Option<String>,
}

/// Days in a row whose hours the same engines folded.
#[derive(Debug, FromRow, Serialize)]
pub struct EngineDays {
    #[serde(skip)]
    pub source_uuid: Uuid,
    /// Several where uploads or their parts went to different ones.
    pub engines: Vec<String>,
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
    pub days: i64,
    /// Time of the folds before the days were summarized; null when Postgres folded alone.
    pub fold_seconds: Option<f64>,
}

/// Hours of a day that no report covers.
#[derive(Debug, FromRow, Serialize)]
pub struct Gap {
    #[serde(skip)]
    pub source_uuid: Uuid,
    #[sqlx(rename = "usage_day")]
    pub day: NaiveDate,
    pub hours_missing: i32,
    /// Which hours; null where only their number is known.
    pub missing: Option<Vec<i32>>,
}

/// An upload that waits for files.
#[derive(Debug, FromRow, Serialize)]
pub struct WaitingUpload {
    #[serde(skip)]
    pub source_uuid: Uuid,
    pub upload: String,
    pub waits_since: DateTime<Utc>,
    /// For more than a day.
    pub overdue: bool,
    pub missing_files: Vec<String>,
}

#[derive(Clone, Debug, FromRow, Serialize)]
pub struct LastRun {
    #[serde(skip)]
    pub source_uuid: Option<Uuid>,
    #[sqlx(rename = "id")]
    pub run: i64,
    pub pipeline: String,
    pub payload: String,
    pub state: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub rows_read: i64,
    pub rows_loaded: i64,
    pub rows_filtered: i64,
    pub rows_rejected: i64,
    /// Rows of hours that an earlier upload had brought.
    pub rows_reused: i64,
    /// The engine that folded what was loaded; null when nothing was.
    pub engine: Option<String>,
    pub fold_seconds: Option<f64>,
    pub error: Option<String>,
}

/// Something that a person should look at.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Attention {
    pub source_uuid: Option<Uuid>,
    pub kind: AttentionKind,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttentionKind {
    FailedRun,
    Gap,
    OverdueUpload,
    Quarantine,
}

/// All that a tenant has, in one line.
#[derive(Debug, FromRow)]
pub struct Held {
    pub sources: i64,
    pub first_day: Option<NaiveDate>,
    pub last_day: Option<NaiveDate>,
}

/// Counts what a tenant has.
///
/// # Errors
/// The database fails.
pub fn held(database: &Database) -> Result<Held> {
    database.wait(async {
        sqlx::query_as(include_str!("../../../sql/gristmill_source.count.sql"))
            .fetch_one(database.pool())
            .await
            .map_err(|error| SqlError(error).failure("cannot count the sources"))
    })
}

/// Reads the ledger; gaps before `since` are passed over.
///
/// # Errors
/// The database fails.
pub fn status(database: &Database, since: Option<NaiveDate>) -> Result<Status> {
    database.wait(async {
        try_status(database, since)
            .await
            .map_err(|error| SqlError(error).failure("cannot read the ledger"))
    })
}

async fn try_status(database: &Database, since: Option<NaiveDate>) -> Result<Status, sqlx::Error> {
    let pool = database.pool();
    let summaries: Vec<SourceSummary> = sqlx::query_as(include_str!(
        "../../../sql/gristmill_source.select_status.sql"
    ))
    .fetch_all(pool)
    .await?;
    let mut gaps: Vec<Gap> =
        sqlx::query_as(include_str!("../../../sql/gristmill_day.select_gaps.sql"))
            .bind(since)
            .fetch_all(pool)
            .await?;
    let mut engines: Vec<EngineDays> = sqlx::query_as(include_str!(
        "../../../sql/gristmill_day.select_engines.sql"
    ))
    .fetch_all(pool)
    .await?;
    let mut waiting: Vec<WaitingUpload> = sqlx::query_as(include_str!(
        "../../../sql/reporting_common_costusagereportmanifest.select_waiting.sql"
    ))
    .fetch_all(pool)
    .await?;
    let mut runs: Vec<LastRun> =
        sqlx::query_as(include_str!("../../../sql/gristmill_run.select_last.sql"))
            .bind(RUNS_MAX)
            .fetch_all(pool)
            .await?;
    let mut unknown = warning::unknown_reports(pool).await?;
    let mut warnings = Vec::new();
    let mut made = makers::made_days(pool).await?;
    let mut failed = failed_runs::failed_runs(pool).await?;
    let mut attention = Vec::new();
    let mut sources = Vec::new();
    for summary in summaries {
        let uuid = summary.source_uuid;
        let source = SourceStatus {
            engines: engines
                .extract_if(.., |days| days.source_uuid == uuid)
                .collect(),
            gaps: gaps.extract_if(.., |gap| gap.source_uuid == uuid).collect(),
            made: made
                .extract_if(.., |made| made.source_uuid == uuid)
                .collect(),
            failed_runs: failed
                .extract_if(.., |run| run.source_uuid == Some(uuid))
                .collect(),
            waiting: waiting
                .extract_if(.., |waiting| waiting.source_uuid == uuid)
                .collect(),
            unknown_reports: unknown
                .extract_if(.., |report| report.source_uuid == uuid)
                .collect(),
            last_runs: runs
                .extract_if(.., |run| run.source_uuid == Some(uuid))
                .collect(),
            summary,
        };
        attention.extend(source.attention());
        warnings.extend(source.warnings());
        sources.push(source);
    }
    attention.extend(failed.iter().map(|run| Attention {
        source_uuid: None,
        kind: AttentionKind::FailedRun,
        message: failed_run(run),
    }));
    Ok(Status {
        sources,
        failed_runs_without_source: failed,
        runs_without_source: runs,
        attention,
        warnings,
    })
}

impl SourceSummary {
    fn quarantined(&self) -> Option<String> {
        let rows = match self.rows_quarantined {
            0 => return None,
            1 => "1 row".to_string(),
            rows => format!("{rows} rows"),
        };
        let whose = match (&self.payload_quarantined, self.last_run_quarantined) {
            (Some(payload), Some(run)) if self.runs_quarantined == 1 => {
                format!("`{payload}` (run {run})")
            }
            _ => format!("{} runs", self.runs_quarantined),
        };
        Some(format!("{rows} of {whose} in quarantine"))
    }
}

impl SourceStatus {
    fn attention(&self) -> Vec<Attention> {
        let mut attention = Vec::new();
        let mut add = |kind, message: String| {
            attention.push(Attention {
                source_uuid: Some(self.summary.source_uuid),
                kind,
                message: format!("cluster `{}`: {message}", self.summary.cluster_alias),
            });
        };
        for run in &self.failed_runs {
            add(AttentionKind::FailedRun, failed_run(run));
        }
        if let Some(quarantined) = self.summary.quarantined() {
            add(AttentionKind::Quarantine, quarantined);
        }
        if !self.gaps.is_empty() {
            add(AttentionKind::Gap, missing_hours(&self.gaps));
        }
        for waiting in self.waiting.iter().filter(|waiting| waiting.overdue) {
            add(
                AttentionKind::OverdueUpload,
                format!(
                    "upload {} waits since {} for {} of its files",
                    waiting.upload,
                    waiting.waits_since.format("%Y-%m-%d %H:%M"),
                    waiting.missing_files.len()
                ),
            );
        }
        attention
    }
}

impl SourceStatus {
    fn warnings(&self) -> Vec<Warning> {
        let summary = &self.summary;
        let warning = |kind, message: &str| Warning {
            source_uuid: summary.source_uuid,
            kind,
            message: format!("cluster `{}`: {message}", summary.cluster_alias),
        };
        let unknown = self.unknown_reports.iter();
        let mut warnings: Vec<Warning> = unknown
            .map(|report| warning(WarningKind::UnknownReport, &report.as_sentence()))
            .collect();
        if summary.is_being_renamed {
            let words = format!(
                "some days may have the former alias still; `gristmill sources rename --cluster-id \
                 {} --alias {}` goes on with them",
                summary.cluster_id, summary.cluster_alias
            );
            warnings.push(warning(WarningKind::Renaming, &words));
        }
        warnings
    }
}

fn failed_run(run: &LastRun) -> String {
    let error = run.error.as_deref().unwrap_or("it does not say why");
    let first = error.lines().next().unwrap_or_default();
    format!("`{}` (run {}) failed: {first}", run.payload, run.run)
}

/// `5 hours are missing: 2026-10-03 (04–06, 09), 2026-10-05 (1 hour)`.
fn missing_hours(gaps: &[Gap]) -> String {
    let total: i32 = gaps.iter().map(|gap| gap.hours_missing).sum();
    let named: Vec<String> = gaps
        .iter()
        .take(GAPS_NAMED)
        .map(|gap| {
            let hours = match &gap.missing {
                Some(hours) => ranges(hours),
                None => format!("{} hours", gap.hours_missing),
            };
            format!("{} ({hours})", gap.day)
        })
        .collect();
    let mut text = match total {
        1 => "1 hour is missing: ".to_string(),
        total => format!("{total} hours are missing: "),
    };
    text += &named.join(", ");
    if gaps.len() > GAPS_NAMED {
        let _ = write!(text, " and {} more days", gaps.len() - GAPS_NAMED);
    }
    text
}

/// `04–06, 09`.
fn ranges(hours: &[i32]) -> String {
    hours
        .chunk_by(|hour, next| hour + 1 == *next)
        .map(|range| match range {
            [hour] => format!("{hour:02}"),
            range => format!("{:02}–{:02}", range[0], range[range.len() - 1]),
        })
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_hours_are_ranges() {
        assert_eq!(ranges(&[4, 5, 6, 9]), "04–06, 09");
        assert_eq!(ranges(&[0]), "00");
    }

    #[test]
    fn gaps_are_named_until_it_is_too_much() {
        let day = |day| NaiveDate::from_ymd_opt(2026, 10, day).unwrap();
        let gap = |number, missing: Option<Vec<i32>>| Gap {
            source_uuid: Uuid::nil(),
            day: day(number),
            hours_missing: missing.as_ref().map_or(2, |hours| hours.len() as i32),
            missing,
        };
        assert_eq!(
            missing_hours(&[gap(1, Some(vec![3])), gap(2, None)]),
            "3 hours are missing: 2026-10-01 (03), 2026-10-02 (2 hours)"
        );
        let many: Vec<Gap> = (1..=7).map(|number| gap(number, Some(vec![0]))).collect();
        let text = missing_hours(&many);
        assert!(text.ends_with("2026-10-05 (00) and 2 more days"), "{text}");
    }
}
