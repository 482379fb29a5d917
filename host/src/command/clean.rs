//! `gristmill clean`: removes all that is past retention.

use std::collections::BTreeMap;

use tokio::runtime::Runtime;

use super::{engine, open, refuse};
use crate::cli::{CleanArguments, RecordArguments};
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::lake_record;
use crate::ledger::retention::{self, CleanSummary, OldRecords, Retention};
use crate::pipeline::definition;
use crate::pipeline::plan::{LakePlan, RecordRetention, Surroundings, TrinoPlan, resolve_servers};
use crate::run::LakeFolds;
use crate::terminal::{self, grouped};

/// # Errors
/// The pipeline has problems, the database cannot be reached, a statement fails, what
/// would leave the archive is another database's, or a file of it cannot be removed.
pub fn execute(arguments: &CleanArguments, runtime: &Runtime) -> Result<()> {
    let (records, servers) = of_pipeline(&arguments.records)?;
    let database = open(runtime, &arguments.database, 1)?;
    let retention = Retention {
        days: i32::from(arguments.retention_days),
        months: arguments.retention_months.map(i32::from),
        records,
        dry_run: arguments.dry_run,
    };
    let mut cleaned = retention::clean(&database, retention)?;
    match servers {
        Some((lake, trino)) => {
            let lake = LakeFolds::open(&lake, &trino, &database)?;
            lake.end_on_signals()?;
            let (places, left) = lake.clean(&database, arguments.dry_run)?;
            cleaned.lake_places = places;
            cleaned.files_left.extend(left);
        }
        None => {
            let places = lake_record::count(&database)?;
            if places > 0 {
                terminal::say(&format!(
                    "{places} places in the lake are on record: `--pipeline` with the pipeline that has the lake removes those that no run needs"
                ));
            }
        }
    }
    if arguments.json {
        terminal::json(&cleaned);
    } else {
        show(&cleaned);
        if retention.months.is_none() {
            terminal::say(
                "summaries and the archive stay: `--retention-months N` says how long to keep them",
            );
        }
        if !cleaned.partitions_in_use.is_empty() {
            terminal::say(&format!(
                "{} partitions are left, since their tables were in use: the next `clean` takes them",
                cleaned.partitions_in_use.len()
            ));
        }
        if cleaned.dry_run {
            terminal::say("nothing was removed: this was a dry run");
        }
    }
    if cleaned.files_left.is_empty() {
        return Ok(());
    }
    let mut failure =
        Failure::environment("some files of the archive are left, and no longer wanted");
    failure.causes = cleaned.files_left;
    Err(failure)
}

/// How long records are kept, and the servers of engine `trino`, as the pipeline says.
fn of_pipeline(
    arguments: &RecordArguments,
) -> Result<(RecordRetention, Option<(LakePlan, TrinoPlan)>)> {
    let Some(pipeline) = &arguments.pipeline else {
        return Ok((arguments.over(RecordRetention::default()), None));
    };
    let shown = pipeline.display().to_string();
    let loaded = definition::load(pipeline)
        .map_err(|unreadable| refuse(&unreadable.sources, &[unreadable.problem], &shown))?;
    let records = RecordRetention::of(&loaded.definition.retention)
        .map(|said| arguments.over(said))
        .map_err(|problem| refuse(&loaded.sources, &[problem], &shown))?;
    let surroundings = Surroundings {
        engine: &engine()?,
        stage_folders: &[],
        postgres_pipeline: None,
        asked_engine: None,
        lock: None,
    };
    let servers = resolve_servers(&loaded, &surroundings)
        .map_err(|problems| refuse(&loaded.sources, &problems, &shown))?;
    Ok((records, servers))
}

fn show(cleaned: &CleanSummary) {
    let mut rows = Vec::new();
    let mut staged: BTreeMap<&str, (usize, i64)> = BTreeMap::new();
    for generation in &cleaned.generations {
        let (count, sum) = staged.entry(&generation.reason).or_default();
        *count += 1;
        *sum += generation.rows;
    }
    for (reason, (count, sum)) in staged {
        rows.push(vec![
            format!("staged rows, {reason}"),
            format!("{count} generations"),
            format!("{} rows", grouped(sum.unsigned_abs())),
        ]);
    }
    let OldRecords {
        quarantined_rows,
        row_accounts,
        runs,
        manifests,
        rows_of_dead_runs,
    } = cleaned.records;
    for (what, count, unit) in [
        ("quarantine", quarantined_rows, "rows"),
        ("quarantine, of dead runs", rows_of_dead_runs, "rows"),
        ("row accounting", row_accounts, "runs"),
        ("runs", runs, "runs"),
        ("manifests and file statuses", manifests, "manifests"),
    ] {
        if count > 0 {
            let size = format!("{} {unit}", grouped(count));
            rows.push(vec![what.to_string(), String::new(), size]);
        }
    }
    if cleaned.orphaned_rows > 0 {
        rows.push(vec![
            "staged rows, of no upload".to_string(),
            String::new(),
            format!("{} rows", grouped(cleaned.orphaned_rows.unsigned_abs())),
        ]);
    }
    if !cleaned.empty_partitions.is_empty() {
        rows.push(vec![
            "partitions, empty".to_string(),
            format!("{} partitions", cleaned.empty_partitions.len()),
            String::new(),
        ]);
    }
    if !cleaned.lake_places.is_empty() {
        rows.push(vec![
            "lake, of no run".to_string(),
            format!("{} places", cleaned.lake_places.len()),
            String::new(),
        ]);
    }
    if !cleaned.payloads.is_empty() {
        let bytes: i64 = cleaned.payloads.iter().map(|payload| payload.bytes).sum();
        rows.push(vec![
            "archive".to_string(),
            format!("{} payloads", cleaned.payloads.len()),
            format!("{:.1} MB", bytes as f64 / 1e6),
        ]);
    }
    if !cleaned.stray_files.is_empty() {
        rows.push(vec![
            "archive, never recorded".to_string(),
            format!("{} files", cleaned.stray_files.len()),
            String::new(),
        ]);
    }
    if !cleaned.scratch_schemas.is_empty() {
        rows.push(vec![
            "scratch, of dead runs".to_string(),
            format!("{} schemas", cleaned.scratch_schemas.len()),
            String::new(),
        ]);
    }
    for partition in &cleaned.partitions {
        rows.push(vec![
            partition.table_name.clone(),
            partition.partition_name.clone(),
            match partition.rows_estimate {
                Some(rows) => format!("about {} rows", grouped(rows.unsigned_abs())),
                None => "not counted".to_string(),
            },
        ]);
    }
    for period in &cleaned.report_periods {
        rows.push(vec![
            "report period and its tags".to_string(),
            period.month.format("%Y-%m").to_string(),
            period.cluster_id.clone(),
        ]);
    }
    match rows.is_empty() {
        true => terminal::say("nothing is past retention"),
        false => terminal::table(&["what", "which", "size"], &[2], &rows),
    }
}
