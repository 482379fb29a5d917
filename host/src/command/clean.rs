//! `gristmill clean`: what is past retention goes.

use std::collections::BTreeMap;

use tokio::runtime::Runtime;

use super::{default_archive, open};
use crate::cli::CleanArguments;
use crate::failure::{Failure, Result};
use crate::report::{self, grouped};
use crate::retention::{self, Cleaned, Retention};

/// # Errors
/// The database cannot be reached, a statement fails, or a file of the archive
/// cannot be removed.
pub fn execute(arguments: &CleanArguments, runtime: &Runtime) -> Result<()> {
    let database = open(runtime, &arguments.database, 1)?;
    let retention = Retention {
        days: i32::from(arguments.retention_days),
        months: arguments.retention_months.map(i32::from),
        dry_run: arguments.dry_run,
    };
    let archive = default_archive(&database)?;
    let cleaned = retention::clean(&database, retention, archive.directory());
    let cleaned = runtime.block_on(cleaned)?;
    if arguments.json {
        report::json(&cleaned);
    } else {
        show(&cleaned);
        if retention.months.is_none() {
            report::say(
                "summaries and the archive stay: `--retention-months N` says how long to keep them",
            );
        }
        if !cleaned.partitions_in_use.is_empty() {
            report::say(&format!(
                "{} partitions are left, since their tables were in use: the next `clean` takes them",
                cleaned.partitions_in_use.len()
            ));
        }
        if cleaned.dry_run {
            report::say("nothing was removed: this was a dry run");
        }
    }
    if cleaned.files_left.is_empty() {
        return Ok(());
    }
    let mut failure =
        Failure::environment("some files of the archive are left, and no longer used");
    failure.causes = cleaned.files_left;
    Err(failure)
}

fn show(cleaned: &Cleaned) {
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
            "archive, in no record".to_string(),
            format!("{} files", cleaned.stray_files.len()),
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
        true => report::say("nothing is past retention"),
        false => report::table(&["what", "which", "size"], &[2], &rows),
    }
}
