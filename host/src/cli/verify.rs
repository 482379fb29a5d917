//! The arguments of `gristmill verify`, as they are typed.

use clap::Args;

use super::{ConnectionsArguments, DatabaseArguments, PipelineArguments};
use crate::diagnostics::days::DayOrMonth;

#[derive(Debug, Args)]
pub struct VerifyArguments {
    #[command(flatten)]
    pub pipeline: PipelineArguments,
    /// The engine that is compared with `postgres`
    #[arg(long, value_parser = ["embedded", "trino", "postgres"])]
    pub engine: String,
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
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connections: ConnectionsArguments,
    #[command(flatten)]
    pub database: DatabaseArguments,
}
