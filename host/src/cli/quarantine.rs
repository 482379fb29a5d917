//! The rows in quarantine, as people look for them and deal with them.

use clap::{Args, Subcommand, ValueEnum};

use super::{ConnectionsArguments, DatabaseArguments, PipelineArguments};

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List rows, the newest first
    #[command(after_help = "Example:\n  gristmill quarantine list --code not-a-number")]
    List {
        #[command(flatten)]
        filter: QuarantineFilter,
        /// Rows of this state
        #[arg(long, value_enum, default_value_t = QuarantineState::Open)]
        state: QuarantineState,
        /// List at most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Show all details of a row, and its raw text
    #[command(after_help = "Example:\n  gristmill quarantine show 1")]
    Show {
        /// The row, as `list` numbers it
        #[arg(value_name = "ROW")]
        id: i64,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Run the archived payloads of open rows again; rows that load now are resolved
    #[command(
        after_help = "Example:\n  gristmill quarantine replay pipelines/ocp.toml --source my-cluster"
    )]
    Replay {
        #[command(flatten)]
        pipeline: PipelineArguments,
        /// Payloads of this cluster: its id, its alias or the source's uuid, or exactly
        /// `cluster:ID`, `alias:NAME` or `uuid:UUID`
        #[arg(long, value_name = "CLUSTER")]
        source: Option<String>,
        /// The payload of this run
        #[arg(long, value_name = "RUN")]
        run: Option<i64>,
        /// Print the result of each payload as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connections: ConnectionsArguments,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Mark open rows as discarded; they are kept
    #[command(after_help = "Example:\n  gristmill quarantine discard 1 --reason checked")]
    Discard {
        /// The rows, as `list` numbers them
        #[arg(value_name = "ROW")]
        ids: Vec<i64>,
        #[command(flatten)]
        filter: QuarantineFilter,
        /// The reason, which is kept with the rows
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        database: DatabaseArguments,
    },
}

#[derive(Debug, Args)]
pub struct QuarantineFilter {
    /// Rows of this cluster: its id, its alias or the source's uuid, or exactly
    /// `cluster:ID`, `alias:NAME` or `uuid:UUID`
    #[arg(long, value_name = "CLUSTER")]
    pub source: Option<String>,
    /// Rows of this run
    #[arg(long, value_name = "RUN")]
    pub run: Option<i64>,
    /// Rows that this stage rejected; `load` for the table
    #[arg(long, value_name = "NAME")]
    pub stage: Option<String>,
    /// Rows with this reason, such as `not-a-number`
    #[arg(long, value_name = "CODE")]
    pub code: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QuarantineState {
    /// Needs attention
    Open,
    /// Came through in a later run
    Resolved,
    /// A person has discarded it
    Discarded,
    All,
}
