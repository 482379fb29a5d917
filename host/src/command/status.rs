//! `gristmill status`: how every source stands, and which of them need attention.

use chrono::{DateTime, Utc};
use tokio::runtime::Runtime;

use super::open_to_read;
use crate::cli::StatusArguments;
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::makers::MadeDays;
use crate::ledger::status::{
    self, Attention, AttentionKind, LastRun, SourceStatus, SourceSummary, Status,
};
use crate::pipeline::plan::AggregationEngine;
use crate::terminal::{self, Table, grouped};

/// # Errors
/// A source needs attention, or the database cannot be reached.
pub fn execute(arguments: &StatusArguments, runtime: &Runtime) -> Result<()> {
    let database = open_to_read(runtime, &arguments.database)?;
    let status = status::status(&database, arguments.since)?;
    if arguments.json {
        terminal::json(&status);
    } else {
        let rows: Vec<Vec<String>> = status.sources.iter().map(source).collect();
        let header = [
            "cluster",
            "last payload (UTC)",
            "days",
            "hours missing",
            "waiting",
            "generations",
            "in quarantine",
        ];
        Table::new(&header, &[3, 4, 5, 6])
            .sparing(&[5, 4])
            .show(&rows);
        // Most sites have one pipeline.
        if status.sources.iter().any(|source| source.made.len() > 1) {
            let made: Vec<Vec<String>> = status.sources.iter().flat_map(makers).collect();
            terminal::table(&["cluster", "days", "pipeline", "last run"], &[3], &made);
        }
        show_engines(&status.sources);
        show_runs(&status);
    }
    for warning in &status.warnings {
        tracing::warn!("{}", warning.message);
    }
    let Some(first) = status.attention.first() else {
        return Ok(());
    };
    let has = |kind: AttentionKind| {
        let mut attention = status.attention.iter();
        attention.any(|attention| attention.kind == kind)
    };
    let some_wait = has(AttentionKind::OverdueUpload);
    let has_failed = has(AttentionKind::FailedRun);
    let mut failure = match &status.attention[..] {
        [_] => Failure::run(first.message.clone()),
        several => Failure::run(format!("{} need attention", counted(several))),
    };
    if status.attention.len() > 1 {
        let attention = status.attention.into_iter();
        failure.causes = attention.map(|attention| attention.message).collect();
    }
    let waiting = "`gristmill uploads list` shows what uploads lack, and `gristmill uploads abandon \
                   UPLOAD` gives one up";
    let failed = "a payload that failed is named until it is run well; `gristmill runs discard RUN \
                  --reason TEXT` has it named no more";
    Err(match (some_wait, has_failed) {
        (true, true) => failure.hint(format!("{waiting}; {failed}")),
        (true, false) => failure.hint(waiting),
        (false, true) => failure.hint(failed),
        (false, false) => failure,
    })
}

/// Which engines made which days, unless Postgres made all of them.
fn show_engines(sources: &[SourceStatus]) {
    let rows: Vec<Vec<String>> = sources
        .iter()
        .flat_map(|source| {
            let alias = &source.summary.cluster_alias;
            source.engines.iter().map(move |stretch| {
                vec![
                    alias.clone(),
                    match stretch.first_day == stretch.last_day {
                        true => stretch.first_day.to_string(),
                        false => format!("{} to {}", stretch.first_day, stretch.last_day),
                    },
                    stretch.engines.join(", "),
                    fold_time(stretch.fold_seconds),
                ]
            })
        })
        .collect();
    let days = sources.iter().flat_map(|source| &source.engines);
    if are_of_others(days.flat_map(|days| &days.engines)) {
        terminal::table(&["cluster", "days", "engine", "fold"], &[3], &rows);
    }
}

fn show_runs(status: &Status) {
    let runs: Vec<(&str, &LastRun)> = status
        .sources
        .iter()
        .flat_map(|source| {
            let alias = source.summary.cluster_alias.as_str();
            source.last_runs.iter().map(move |run| (alias, run))
        })
        .chain(status.runs_without_source.iter().map(|run| ("", run)))
        .collect();
    // A table has no room to spare for what is the same everywhere.
    let with_engine = are_of_others(runs.iter().filter_map(|(_, run)| run.engine.as_ref()));
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|(alias, last)| run(alias, last, with_engine))
        .collect();
    let mut names = vec!["run", "cluster", "payload", "state", "started (UTC)"];
    names.extend(
        with_engine
            .then_some(["engine", "fold"])
            .into_iter()
            .flatten(),
    );
    names.extend(["loaded", "quarantined"]);
    let numbers: Vec<usize> = std::iter::once(0)
        .chain(names.len() - 2..names.len())
        .collect();
    Table::new(&names, &numbers).sparing(&[1]).show(&rows);
}

/// Whether one of them is not Postgres.
fn are_of_others<'e>(mut engines: impl Iterator<Item = &'e String>) -> bool {
    engines.any(|engine| engine != AggregationEngine::Postgres.as_str())
}

/// `1.52 s`; nothing where Postgres folds, which is part of summarizing.
fn fold_time(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "–".to_string(), |seconds| format!("{seconds:.2} s"))
}

/// `1 failed run, 2 clusters with missing hours`.
fn counted(attention: &[Attention]) -> String {
    let kinds = [
        (AttentionKind::FailedRun, "failed run", "failed runs"),
        (
            AttentionKind::Quarantine,
            "cluster with rows in quarantine",
            "clusters with rows in quarantine",
        ),
        (
            AttentionKind::Gap,
            "cluster with missing hours",
            "clusters with missing hours",
        ),
        (
            AttentionKind::OverdueUpload,
            "upload that waits for files",
            "uploads that wait for files",
        ),
    ];
    let counted = kinds.iter().filter_map(|(kind, one, many)| {
        match attention.iter().filter(|of| of.kind == *kind).count() {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        }
    });
    counted.collect::<Vec<_>>().join(", ")
}

fn source(source: &SourceStatus) -> Vec<String> {
    let summary = &source.summary;
    let missing: i32 = source.gaps.iter().map(|gap| gap.hours_missing).sum();
    vec![
        summary.cluster_alias.clone(),
        summary
            .last_payload_came_at
            .map_or_else(|| "–".into(), minute),
        days(summary),
        missing.to_string(),
        source.waiting.len().to_string(),
        match summary.generations_superseded {
            0 => summary.generations.to_string(),
            superseded => format!("{} ({superseded} superseded)", summary.generations),
        },
        grouped(summary.rows_quarantined.unsigned_abs()),
    ]
}

fn days(summary: &SourceSummary) -> String {
    let additive = match summary.days_additive {
        0 => String::new(),
        days => format!(" ({days} additive)"),
    };
    match (summary.first_day, summary.last_day) {
        (Some(first), Some(last)) if first == last => {
            format!("{}, {first}{additive}", summary.days)
        }
        (Some(first), Some(last)) => format!("{}, {first} to {last}{additive}", summary.days),
        _ => "–".to_string(),
    }
}

/// Which pipelines made which days of a source.
fn makers(source: &SourceStatus) -> Vec<Vec<String>> {
    let line = |made: &MadeDays| {
        let days = match made.first_day == made.last_day {
            true => made.first_day.to_string(),
            false => format!("{} to {}", made.first_day, made.last_day),
        };
        let pipelines = match made.pipelines.is_empty() {
            true => "not known".to_string(),
            false => made.pipelines.join(", "),
        };
        vec![
            source.summary.cluster_alias.clone(),
            days,
            pipelines,
            made.last_run
                .map_or_else(|| "–".into(), |run| run.to_string()),
        ]
    };
    source.made.iter().map(line).collect()
}

fn run(cluster: &str, run: &LastRun, with_engine: bool) -> Vec<String> {
    let mut cells = vec![
        run.run.to_string(),
        cluster.to_string(),
        run.payload.clone(),
        run.state.clone(),
        minute(run.started_at),
    ];
    if with_engine {
        cells.push(run.engine.clone().unwrap_or_else(|| "–".to_string()));
        cells.push(fold_time(run.fold_seconds));
    }
    cells.extend([
        grouped(run.rows_loaded.unsigned_abs()),
        grouped(run.rows_rejected.unsigned_abs()),
    ]);
    cells
}

fn minute(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M").to_string()
}
