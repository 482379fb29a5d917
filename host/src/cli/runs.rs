//! The runs of payloads, as people refer to them.

use clap::Subcommand;

use super::DatabaseArguments;

#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Mark failed runs as discarded, so that `status` names them no more; their records stay
    #[command(after_help = "Example:\n  gristmill runs discard 7 --reason \"a photograph\"")]
    Discard {
        /// The runs, as `status` numbers them
        #[arg(value_name = "RUN", required = true)]
        ids: Vec<i64>,
        /// The reason, which is kept with the runs
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        database: DatabaseArguments,
    },
}
