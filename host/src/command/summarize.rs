//! `gristmill summarize`: makes the summaries of days again from staging, after a change
//! of tag mappings or cost categories.

use serde::Serialize;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{difference, open};
use crate::cli::SummarizeArguments;
use crate::database::Database;
use crate::diagnostics::days::Days;
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::difference::DayDifference;
use crate::ledger::publish::replace::{self, DayReclassification};
use crate::ledger::source;
use crate::ledger::source::Source;
use crate::terminal;
use crate::terminal::grouped;

#[derive(Debug, Serialize)]
struct SummaryOutput {
    cluster_id: String,
    source_uuid: Uuid,
    days: Vec<DayDifference>,
    /// Loaded, but their staged rows are no longer kept.
    days_not_staged: Vec<chrono::NaiveDate>,
}

/// The rows that got another category or other tags.
#[derive(Debug, Serialize)]
struct ReclassificationOutput {
    cluster_id: String,
    source_uuid: Uuid,
    days: Vec<DayReclassification>,
}

fn reclassify(
    arguments: &SummarizeArguments,
    database: &Database,
    source: &Source,
    days: Days,
) -> Result<()> {
    let reclassified = replace::reclassify(database, source, days)?;
    if arguments.json {
        terminal::json(&ReclassificationOutput {
            cluster_id: source.cluster_id.clone(),
            source_uuid: source.source_uuid,
            days: reclassified,
        });
        return Ok(());
    }
    if reclassified.is_empty() {
        terminal::say("every row has its category and its tags already");
    }
    let rows: Vec<Vec<String>> = reclassified
        .iter()
        .map(|day| {
            let count = |rows: i64| grouped(rows.unsigned_abs());
            let (categories, tags) = (count(day.rows_recategorized), count(day.rows_renamed));
            vec![day.day.to_string(), categories, tags]
        })
        .collect();
    terminal::table(
        &["day", "rows of another category", "rows of other tags"],
        &[1, 2],
        &rows,
    );
    Ok(())
}

/// # Errors
/// The database cannot be reached, or a statement fails; then nothing has changed.
pub fn execute(arguments: &SummarizeArguments, runtime: &Runtime) -> Result<()> {
    let days = Days::between(arguments.days.from, arguments.days.to)?;
    let database = open(runtime, &arguments.database, 2)?;
    let source = source::named(&database, &arguments.days.source)?;
    if arguments.reclassify {
        return reclassify(arguments, &database, &source, days);
    }
    let again = replace::summarize_again(&database, &source, days)?;
    if again.days.is_empty() {
        let failure = Failure::run(format!(
            "no staged rows of cluster `{}` are of {days}",
            source.cluster_id
        ));
        return Err(match again.unstaged.is_empty() {
            true => failure.hint("`gristmill status` shows which days are loaded"),
            false => failure.hint("`gristmill replay` loads these days from the archive again"),
        });
    }
    if !again.unstaged.is_empty() {
        let shown: Vec<String> = again.unstaged.iter().map(ToString::to_string).collect();
        terminal::say(&format!(
            "the staged rows of {} are no longer kept; `gristmill replay` loads them from the archive",
            shown.join(", ")
        ));
    }
    if arguments.json {
        terminal::json(&SummaryOutput {
            cluster_id: source.cluster_id,
            source_uuid: source.source_uuid,
            days: again.days,
            days_not_staged: again.unstaged,
        });
    } else {
        difference::show(&again.days);
    }
    Ok(())
}
