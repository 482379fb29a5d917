//! `gristmill summarize`: days once more from staging, after a change of tag
//! mappings or cost categories.

use serde::Serialize;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{difference, open};
use crate::cli::SummarizeArguments;
use crate::days::Days;
use crate::difference::DayDifference;
use crate::failure::{Failure, Result};
use crate::plan::AggregationEngine;
use crate::publish::replace;
use crate::{report, source};

#[derive(Debug, Serialize)]
struct Summarized {
    cluster_id: String,
    source_uuid: Uuid,
    days: Vec<DayDifference>,
    /// Loaded, but their staged rows are no longer kept.
    days_not_staged: Vec<chrono::NaiveDate>,
}

/// # Errors
/// The database cannot be reached, or a statement fails; then nothing has changed.
pub fn execute(arguments: &SummarizeArguments, runtime: &Runtime) -> Result<()> {
    let days = Days::between(arguments.from, arguments.to)?;
    let database = open(runtime, &arguments.database, 2)?;
    let source = runtime.block_on(source::named(&database, &arguments.source))?;
    let again = runtime.block_on(replace::summarize_again(
        &database,
        &source,
        days,
        AggregationEngine::Postgres,
    ))?;
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
        report::say(&format!(
            "the staged rows of {} are no longer kept; `gristmill replay` loads them from the archive",
            shown.join(", ")
        ));
    }
    if arguments.json {
        report::json(&Summarized {
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
