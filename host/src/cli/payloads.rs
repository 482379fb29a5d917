//! The verbs that run payloads through a pipeline.

use std::path::PathBuf;

use clap::Args;

use super::{
    ConnectionsArguments, CreationArguments, DatabaseArguments, PipelineArguments,
    SourceDaysArguments,
};

#[derive(Debug, Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub pipeline: PipelineArguments,
    /// Tarballs, directories or CSV files; all CSV files together are one payload
    #[arg(value_name = "PAYLOAD", required = true)]
    pub payloads: Vec<PathBuf>,
    /// The cluster of CSV files, alone or in a directory, which have no manifest to say it
    #[arg(long, value_name = "ID")]
    pub cluster_id: Option<String>,
    /// Keep what a stage breaks at or refuses in this folder, as cases for `stage test`
    #[arg(long, value_name = "DIR")]
    pub capture: Option<PathBuf>,
    /// Show the daily summary of the days that the payloads cover, by namespace
    #[arg(long)]
    pub show_summary: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connections: ConnectionsArguments,
    #[command(flatten)]
    pub creation: CreationArguments,
    #[command(flatten)]
    pub database: DatabaseArguments,
}

#[derive(Debug, Args)]
pub struct WatchArguments {
    #[command(flatten)]
    pub pipeline: PipelineArguments,
    /// The folder that payloads appear in
    #[arg(value_name = "INBOX")]
    pub inbox: PathBuf,
    /// Run the payloads that are there, and stop
    #[arg(long)]
    pub once: bool,
    /// Look into the folder at this interval, in milliseconds
    #[arg(
        long,
        value_name = "MILLISECONDS",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u64).range(10..=3_600_000)
    )]
    pub poll_milliseconds: u64,
    /// Run at most this many payloads at a time, of different sources
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..=16)
    )]
    pub payloads_at_once: u32,
    /// Where loaded payloads go; `done` below the inbox when absent
    #[arg(long, value_name = "DIR")]
    pub done: Option<PathBuf>,
    /// Where refused payloads go; `failed` below the inbox when absent
    #[arg(long, value_name = "DIR")]
    pub failed: Option<PathBuf>,
    /// Print the result of each payload as a line of JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connections: ConnectionsArguments,
    #[command(flatten)]
    pub creation: CreationArguments,
    #[command(flatten)]
    pub database: DatabaseArguments,
}

#[derive(Debug, Args)]
pub struct ReplayArguments {
    #[command(flatten)]
    pub pipeline: PipelineArguments,
    #[command(flatten)]
    pub days: SourceDaysArguments,
    /// Print the difference as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connections: ConnectionsArguments,
    #[command(flatten)]
    pub creation: CreationArguments,
    #[command(flatten)]
    pub database: DatabaseArguments,
}
