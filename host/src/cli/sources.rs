//! The sources, the clusters that payloads come from, as people manage them.

use clap::Subcommand;
use uuid::Uuid;

use super::{DatabaseArguments, SourceRemoveArguments};

#[derive(Debug, Subcommand)]
pub enum SourcesCommand {
    /// List the sources
    #[command(after_help = "Example:\n  gristmill sources list --json")]
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Register a cluster
    #[command(
        after_help = "Example:\n  gristmill sources add --cluster-id other-cluster --alias Production"
    )]
    Add {
        /// The cluster's id, as its payloads have it
        #[arg(long, value_name = "ID")]
        cluster_id: String,
        /// Its name for people; the id when absent
        #[arg(long, value_name = "NAME")]
        alias: Option<String>,
        /// The source's uuid; derived from the cluster's id when absent
        #[arg(long)]
        uuid: Option<Uuid>,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Give a source another alias
    #[command(
        after_help = "Example:\n  gristmill sources rename --cluster-id other-cluster --alias Northern"
    )]
    Rename {
        /// The cluster's id
        #[arg(long, value_name = "ID")]
        cluster_id: String,
        /// The new name
        #[arg(long, value_name = "NAME")]
        alias: String,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Remove a cluster with all that there is of it in any table; running its payloads
    /// again brings it back
    #[command(
        after_help = "Example:\n  gristmill sources remove --cluster-id other-cluster --dry-run"
    )]
    Remove(SourceRemoveArguments),
    /// Change how a source is treated
    #[command(
        after_help = "Example:\n  gristmill sources set --cluster-id other-cluster --engine postgres"
    )]
    Set {
        /// The cluster's id
        #[arg(long, value_name = "ID")]
        cluster_id: String,
        /// The engine that folds its hours into days, before that of the pipeline; `pipeline`
        /// for the pipeline's
        #[arg(long, value_parser = ["postgres", "embedded", "trino", "auto", "pipeline"])]
        engine: String,
        #[command(flatten)]
        database: DatabaseArguments,
    },
}
