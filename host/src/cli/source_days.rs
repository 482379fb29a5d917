//! Days of a cluster, as verbs that work on some are told them.

use clap::Args;

use crate::diagnostics::days::DayOrMonth;

#[derive(Debug, Args)]
pub struct SourceDaysArguments {
    /// The cluster: its id, its alias or the source's uuid, or exactly
    /// `cluster:ID`, `alias:NAME` or `uuid:UUID`
    #[arg(long, value_name = "CLUSTER")]
    pub source: String,
    /// The first day, or month (2026-10)
    #[arg(long, value_name = "DATE")]
    pub from: DayOrMonth,
    /// The last day or month; `--from` when absent
    #[arg(long, value_name = "DATE")]
    pub to: Option<DayOrMonth>,
}
