//! The arguments of `gristmill log`.

use clap::Args;

use super::DatabaseArguments;

#[derive(Debug, Args)]
pub struct LogArguments {
    /// Show at most this many, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u32,
    /// Print them as JSON, with all details
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub database: DatabaseArguments,
}
