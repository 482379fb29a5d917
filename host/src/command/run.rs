//! `gristmill run`: payloads through a pipeline into the tables.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::Duration;

use chrono::NaiveDate;
use tokio::runtime::Runtime;

use super::{engine, open_to_load, plan};
use crate::cli::RunArguments;
use crate::database::Database;
use crate::diagnostics::failure::{Exit, Failure, Result};
use crate::ledger::summarize;
use crate::payload::cluster_name;
use crate::payload::open_ahead;
use crate::run::{PayloadResult, Runner};
use crate::terminal::{self, grouped};

/// # Errors
/// No cluster has such an id, the pipeline has problems, the database cannot be reached, or a payload failed;
/// the other payloads have been run all the same.
pub fn execute(arguments: &RunArguments, runtime: &Runtime) -> Result<()> {
    if let Some(cluster_id) = &arguments.cluster_id {
        cluster_name::checked_id("--cluster-id", cluster_id)?;
    }
    let engine = engine()?;
    let plan = plan(&arguments.pipeline, &engine)?;
    let (runner, results, failures) = thread::scope(|scope| {
        let cluster_id = arguments.cluster_id.as_deref();
        let payloads = open_ahead(scope, &arguments.payloads, cluster_id);
        let (database, workers) = open_to_load(
            &plan,
            runtime,
            &arguments.database,
            arguments.connections,
            1,
        )?;
        let mut runner = Runner::new(&plan, database, workers)?;
        runner.capture = arguments.capture.as_deref();
        let mut results = Vec::new();
        let mut failures = Vec::new();
        for (path, payload) in arguments.payloads.iter().zip(payloads) {
            let (result, failure) = runner.run(path, payload);
            failures.extend(failure);
            results.push(result);
        }
        Ok((runner, results, failures))
    })?;
    if arguments.json {
        terminal::json(&results);
    } else {
        show(&results);
        if arguments.show_summary {
            show_summary(runner.database(), &results)?;
        }
    }
    last_word(failures, results.len())
}

/// One failure speaks for itself; several are printed, and counted at the end.
fn last_word(mut failures: Vec<Failure>, payloads: usize) -> Result<()> {
    if payloads == 1 || failures.is_empty() {
        return failures.pop().map_or(Ok(()), Err);
    }
    let mut exit = Exit::Run;
    for failure in &failures {
        terminal::failure(failure);
        if failure.exit as u8 > exit as u8 {
            exit = failure.exit;
        }
    }
    let mut last = Failure::run(format!("{} of {payloads} payloads failed", failures.len()));
    last.exit = exit;
    Err(last)
}

fn show(results: &[PayloadResult]) {
    // Most payloads repeat nothing, and a table has no room to spare.
    let takes_over = results.iter().any(|run| run.rows_taken_over > 0);
    let rows: Vec<Vec<String>> = results
        .iter()
        .map(|run| {
            let won: Vec<String> = run
                .days
                .iter()
                .filter(|day| day.outcome == "won")
                .map(|day| day.day.to_string())
                .collect();
            let days = match won.as_slice() {
                [] => "–".to_string(),
                [day] => day.clone(),
                [first, .., last] => format!("{} days, {first} to {last}", won.len()),
            };
            let file = Path::new(&run.payload).file_name().unwrap_or_default();
            let mut cells = vec![
                file.to_string_lossy().into_owned(),
                run.state.to_string(),
                days,
                grouped(run.rows_read),
                grouped(run.rows_loaded),
            ];
            cells.extend(takes_over.then(|| grouped(run.rows_taken_over)));
            cells.extend([
                grouped(run.rows_filtered),
                grouped(run.rows_rejected),
                grouped(run.summary_rows_inserted),
                format!(
                    "{:.2} s",
                    Duration::from_secs_f64(run.seconds).as_secs_f64()
                ),
            ]);
            cells
        })
        .collect();
    let mut names = vec!["payload", "state", "days won", "rows read", "loaded"];
    names.extend(takes_over.then_some("taken over"));
    names.extend(["left out", "quarantined", "summary rows", "time"]);
    let numbers: Vec<usize> = (3..names.len()).collect();
    terminal::table(&names, &numbers, &rows);
}

fn show_summary(database: &Database, results: &[PayloadResult]) -> Result<()> {
    let mut shown = BTreeSet::new();
    let mut lines = Vec::new();
    for run in results {
        let Some(source) = run.source_uuid else {
            continue;
        };
        let days: Vec<NaiveDate> = run
            .days
            .iter()
            .map(|day| day.day)
            .filter(|day| shown.insert((source, *day)))
            .collect();
        let rows = summarize::daily_summary(database, source, &days)?;
        lines.extend(rows.into_iter().map(|row| {
            let numbers = row
                .measures
                .into_iter()
                .map(|number| number.map_or_else(String::new, |number| format!("{number:.3}")));
            std::iter::once(row.day.to_string())
                .chain(row.texts.into_iter().map(Option::unwrap_or_default))
                .chain(numbers)
                .collect::<Vec<String>>()
        }));
    }
    terminal::table(
        &[
            "day",
            "source",
            "namespace",
            "node",
            "claim",
            "labels",
            "CPU used\ncore-hours",
            "requested\ncore-hours",
            "effective\ncore-hours",
            "effective\nGB-hours",
            "node capacity\ncore-hours",
            "claim capacity\nGB-months",
            "claim used\nGB-months",
        ],
        &[6, 7, 8, 9, 10, 11, 12],
        &lines,
    );
    Ok(())
}
