//! The verbs that look after what was loaded.

use chrono::NaiveDate;
use clap::Args;

use super::{DatabaseArguments, RecordArguments, SourceDaysArguments};

#[derive(Debug, Args)]
pub struct StatusArguments {
    /// Ignore gaps before this day
    #[arg(long, value_name = "DATE")]
    pub since: Option<NaiveDate>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub database: DatabaseArguments,
}

#[derive(Debug, Args)]
pub struct SummarizeArguments {
    #[command(flatten)]
    pub days: SourceDaysArguments,
    /// Only update the cost categories and tag names of summarized rows, in place
    #[arg(long)]
    pub reclassify: bool,
    /// Print the difference as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub database: DatabaseArguments,
}

#[derive(Debug, Args)]
pub struct CleanArguments {
    /// Keep staged rows for this many days; longer where a summary needs them
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    pub retention_days: u16,
    /// Keep summaries and archived payloads for this many months; all when absent
    #[arg(
        long,
        env = "RETAIN_NUM_MONTHS",
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(3..=120)
    )]
    pub retention_months: Option<u16>,
    #[command(flatten)]
    pub records: RecordArguments,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub database: DatabaseArguments,
}
