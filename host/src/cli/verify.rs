//! The arguments of `gristmill verify`, as they are typed.

use clap::Args;

use super::{ConnectionsArguments, DatabaseArguments, PipelineArguments, SourceDaysArguments};

#[derive(Debug, Args)]
pub struct VerifyArguments {
    #[command(flatten)]
    pub pipeline: PipelineArguments,
    /// The engine that is compared with `postgres`
    #[arg(long, value_parser = ["embedded", "trino", "postgres"])]
    pub engine: String,
    #[command(flatten)]
    pub days: SourceDaysArguments,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connections: ConnectionsArguments,
    #[command(flatten)]
    pub database: DatabaseArguments,
}
