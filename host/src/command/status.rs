//! `gristmill status`: how every source stands, and which of them need attention.

use chrono::{DateTime, Utc};
use tokio::runtime::Runtime;

use super::open;
use crate::cli::StatusArguments;
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::status::{self, Attention, AttentionKind, LastRun, SourceStatus, SourceSummary};
use crate::terminal::{self, Table, grouped};

/// # Errors
/// A source needs attention, or the database cannot be reached.
pub fn execute(arguments: &StatusArguments, runtime: &Runtime) -> Result<()> {
    let database = open(runtime, &arguments.database, 1)?;
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
        let runs: Vec<Vec<String>> = status
            .sources
            .iter()
            .flat_map(|source| {
                let alias = source.summary.cluster_alias.as_str();
                source.last_runs.iter().map(move |last| run(alias, last))
            })
            .chain(status.runs_without_source.iter().map(|last| run("", last)))
            .collect();
        let header = [
            "run",
            "cluster",
            "payload",
            "state",
            "started (UTC)",
            "loaded",
            "quarantined",
        ];
        Table::new(&header, &[0, 5, 6]).sparing(&[1]).show(&runs);
    }
    let Some(first) = status.attention.first() else {
        return Ok(());
    };
    if let [_] = &status.attention[..] {
        return Err(Failure::run(first.message.clone()));
    }
    let mut failure = Failure::run(format!("{} need attention", counted(&status.attention)));
    failure.causes = status
        .attention
        .into_iter()
        .map(|attention| attention.message)
        .collect();
    Err(failure)
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

fn run(cluster: &str, run: &LastRun) -> Vec<String> {
    vec![
        run.run.to_string(),
        cluster.to_string(),
        run.payload.clone(),
        run.state.clone(),
        minute(run.started_at),
        grouped(run.rows_loaded.unsigned_abs()),
        grouped(run.rows_rejected.unsigned_abs()),
    ]
}

fn minute(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M").to_string()
}
