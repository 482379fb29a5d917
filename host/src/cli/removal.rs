//! The arguments of what is taken back: sources, days, uploads that wait for files.

use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::{DatabaseArguments, SourceDaysArguments};

#[derive(Debug, Args)]
pub struct SourceRemoveArguments {
    /// The cluster's id
    #[arg(long, value_name = "ID")]
    pub cluster_id: String,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub database: DatabaseArguments,
}

#[derive(Debug, Subcommand)]
pub enum DaysCommand {
    /// Remove days of a cluster from every table; running their payloads again brings them
    /// back
    #[command(
        after_help = "Example:\n  gristmill days remove --source my-cluster --from 2026-01-10 --dry-run"
    )]
    Remove(DaysRemoveArguments),
}

#[derive(Debug, Args)]
pub struct DaysRemoveArguments {
    #[command(flatten)]
    pub days: SourceDaysArguments,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub database: DatabaseArguments,
}

#[derive(Debug, Subcommand)]
pub enum UploadsCommand {
    /// List uploads, the latest first; those that wait or waited in vain when no state is said
    #[command(after_help = "Example:\n  gristmill uploads list --state all")]
    List {
        /// Uploads of this cluster: its id, its alias or the source's uuid, or exactly
        /// `cluster:ID`, `alias:NAME` or `uuid:UUID`
        #[arg(long, value_name = "CLUSTER")]
        source: Option<String>,
        /// Uploads in this state
        #[arg(long, value_enum)]
        state: Option<UploadState>,
        /// List at most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Give up an upload of which files never came; running all of it again brings it back
    #[command(
        after_help = "Example:\n  gristmill uploads abandon 00000000-0000-4000-8000-000000000007"
    )]
    Abandon {
        /// The upload, as `list` shows it
        #[arg(value_name = "UPLOAD")]
        upload: Uuid,
        /// Of this cluster, where several have an upload of this name: as in `list`
        #[arg(long, value_name = "CLUSTER")]
        source: Option<String>,
        #[command(flatten)]
        database: DatabaseArguments,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UploadState {
    /// Some of its files are loaded, others have not come
    Waiting,
    /// It waited until a later upload held its days
    Superseded,
    /// A person gave it up
    Abandoned,
    /// All of its days were taken back
    Removed,
    /// All of its files are loaded
    Published,
    /// None of its files is loaded
    Failed,
    All,
}
