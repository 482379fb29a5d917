//! `gristmill run`: takes payloads through a pipeline into the tables.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::Duration;

use chrono::NaiveDate;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{engine, fills, open_to_load, plan};
use crate::cli::{DatabaseArguments, RunArguments};
use crate::database::{Database, SchemaName};
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::summarize::{self, NamespaceTotal};
use crate::payload::{PayloadInput, cluster_name, open_ahead};
use crate::run::{LakeFolds, PayloadResult, Runner};
use crate::terminal::{self, Table, grouped};

/// How many lines of a summary are of namespaces: with its head, its sum and what follows, it
/// is then no longer than 25 lines, which is a screen.
const NAMESPACES_MAX: usize = 16;

/// # Errors
/// No cluster has such an id, the pipeline has problems, the database cannot be reached, or a payload failed;
/// the other payloads have been run all the same.
pub fn execute(arguments: &RunArguments, runtime: &Runtime) -> Result<()> {
    if let Some(cluster_id) = &arguments.cluster_id {
        cluster_name::checked_id("--cluster-id", cluster_id)?;
    }
    let engine = engine()?;
    let plan = plan(&arguments.pipeline, &engine)?;
    let inputs = PayloadInput::of(&arguments.payloads);
    let (runner, results, failures) = thread::scope(|scope| {
        let cluster_id = arguments.cluster_id.as_deref();
        let payloads = open_ahead(scope, &inputs, cluster_id);
        let (database, workers) = open_to_load(
            &plan,
            runtime,
            &arguments.database,
            fills(arguments.creation),
            arguments.connections,
            1,
        )?;
        let mut runner = Runner::new(&plan, database, workers)?;
        runner.lake().map_or(Ok(()), LakeFolds::end_on_signals)?;
        runner.capture = arguments.capture.as_deref();
        let paths = inputs.iter().map(PayloadInput::path);
        let ran = runner.run_all(paths.zip(payloads), inputs.len());
        let (results, failures): (Vec<_>, Vec<_>) = ran.into_iter().unzip();
        let failures: Vec<Failure> = failures.into_iter().flatten().collect();
        Ok((runner, results, failures))
    })?;
    if arguments.json {
        terminal::json(&results);
    } else {
        show(&results);
        tell_quarantined(&results);
        if arguments.show_summary {
            show_summary(&arguments.database, runner.database(), &results)?;
        }
    }
    last_word(failures, results.len())
}

/// One failure speaks for itself; several are counted.
fn last_word(mut failures: Vec<Failure>, payloads: usize) -> Result<()> {
    if payloads == 1 || failures.is_empty() {
        return failures.pop().map_or(Ok(()), Err);
    }
    let message = format!("{} of {payloads} payloads failed", failures.len());
    Err(Failure::of_several(message, failures))
}

/// Rows in quarantine are no failure, and are not to be overlooked.
fn tell_quarantined(results: &[PayloadResult]) {
    // A payload that failed says so itself.
    let published = results.iter().filter(|run| run.succeeded());
    let rows: u64 = published.map(|run| run.sums.rows_rejected).sum();
    terminal::say(&match rows {
        0 => return,
        1 => "1 row is in quarantine and does not count; `gristmill quarantine list` shows it"
            .to_string(),
        rows => format!(
            "{} rows are in quarantine and do not count; `gristmill quarantine list` shows them",
            grouped(rows)
        ),
    });
}

fn show(results: &[PayloadResult]) {
    // Most payloads repeat nothing, and a table has no room to spare.
    let reuses = results.iter().any(|run| run.sums.rows_reused > 0);
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
                grouped(run.sums.rows_read),
                grouped(run.sums.rows_loaded),
            ];
            cells.extend(reuses.then(|| grouped(run.sums.rows_reused)));
            cells.extend([
                grouped(run.sums.rows_filtered),
                grouped(run.sums.rows_rejected),
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
    names.extend(reuses.then_some("reused"));
    names.extend(["left out", "quarantined", "summary rows", "time"]);
    let numbers: Vec<usize> = (3..names.len()).collect();
    // `summary rows` first, then what was left out on purpose, and the time.
    let last = names.len() - 1;
    Table::new(&names, &numbers)
        .sparing(&[last - 1, last - 3, last])
        .show(&rows);
}

/// The daily summary of all that the payloads have, added up so that it fits a screen.
fn show_summary(
    arguments: &DatabaseArguments,
    database: &Database,
    results: &[PayloadResult],
) -> Result<()> {
    let days: BTreeSet<(Uuid, NaiveDate)> = results
        .iter()
        .filter_map(|run| Some((run.source_uuid?, &run.days)))
        .flat_map(|(source, days)| days.iter().map(move |day| (source, day.day)))
        .collect();
    let days: Vec<(Uuid, NaiveDate)> = days.into_iter().collect();
    let totals = summarize::by_namespace(database, &days)?;
    let rows: Vec<Vec<String>> = fit_a_screen(&totals)
        .into_iter()
        .map(|total| {
            let measures = total.measures.iter().map(|measure| format!("{measure:.3}"));
            [total.namespace, grouped(total.rows)]
                .into_iter()
                .chain(measures)
                .collect()
        })
        .collect();
    terminal::table(
        &[
            "namespace",
            "summary\nrows",
            "CPU used\ncore-hours",
            "effective\ncore-hours",
            "effective\nGB-hours",
            "claims used\nGB-months",
        ],
        &[1, 2, 3, 4, 5],
        &rows,
    );
    for line in not_in_summary(results) {
        terminal::say(&line);
    }
    terminal::say(&format!(
        "all rows: {}",
        command_for_all(arguments, database.schema())
    ));
    Ok(())
}

/// What the table of the summary does not show.
fn not_in_summary(results: &[PayloadResult]) -> Vec<String> {
    let mut lines = vec![
        "left out here: requests, limits and the memory used, which are other columns, and what \
         other tables have"
            .to_string(),
    ];
    let without_days: Vec<&str> = results
        .iter()
        .filter(|result| result.days.is_empty())
        .map(|result| result.payload.as_str())
        .collect();
    if !without_days.is_empty() {
        lines.push(format!(
            "left out here: {} of {} payloads, which published no day: {}",
            without_days.len(),
            results.len(),
            without_days.join(", ")
        ));
    }
    lines
}

/// The first namespaces, the others as one, and the sum of all.
fn fit_a_screen(totals: &[NamespaceTotal]) -> Vec<NamespaceTotal> {
    let shown = match totals.len() > NAMESPACES_MAX {
        // The others take a line, too.
        true => NAMESPACES_MAX - 1,
        false => totals.len(),
    };
    let (first, others) = totals.split_at(shown);
    let mut lines = first.to_vec();
    if !others.is_empty() {
        let name = format!("{} others", others.len());
        lines.push(NamespaceTotal::sum(name, others));
    }
    lines.push(NamespaceTotal::sum("all".to_string(), totals));
    lines
}

/// The command that shows every row of the daily summary, ready to be typed. A given URL
/// may hold a password, so it is not repeated.
fn command_for_all(arguments: &DatabaseArguments, schema: &SchemaName) -> String {
    let program = std::env::args().next().unwrap_or_default();
    let url = match arguments.database_url {
        Some(_) => "$DATABASE_URL".to_string(),
        None => format!("$({program} db url)"),
    };
    format!(
        "psql \"{url}\" -c 'TABLE {}.reporting_ocpusagelineitem_daily_summary'",
        schema.quoted()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(count: usize) -> Vec<NamespaceTotal> {
        let total = |number: usize| NamespaceTotal {
            namespace: format!("n{number}"),
            rows: 2,
            measures: [1.0, 2.0, 3.0, 4.0],
        };
        (0..count).map(total).collect()
    }

    #[track_caller]
    fn shows(count: usize, lines: usize, last: &[&str]) {
        let shown = fit_a_screen(&totals(count));
        assert_eq!(shown.len(), lines, "{count}");
        let names: Vec<&str> = shown.iter().map(|total| total.namespace.as_str()).collect();
        assert_eq!(&names[lines - last.len()..], last, "{count}");
        let (all, parts) = shown.split_last().unwrap();
        let sum = NamespaceTotal::sum("all".to_string(), parts);
        assert_eq!(*all, sum, "nothing is lost");
        assert_eq!(all.rows, 2 * count as u64);
    }

    #[test]
    fn a_summary_fits_a_screen_and_loses_nothing() {
        shows(0, 1, &["all"]);
        shows(NAMESPACES_MAX, NAMESPACES_MAX + 1, &["n15", "all"]);
        shows(
            NAMESPACES_MAX + 1,
            NAMESPACES_MAX + 1,
            &["n14", "2 others", "all"],
        );
        shows(10_000, NAMESPACES_MAX + 1, &["n14", "9985 others", "all"]);
    }
}
