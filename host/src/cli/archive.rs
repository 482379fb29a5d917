//! The arguments of `gristmill archive`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DatabaseArguments;

#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// Take an archive for this database; the one that had it is refused from then on
    #[command(
        after_help = "Example:\n  gristmill archive adopt --directory /srv/gristmill/archive"
    )]
    Adopt(AdoptArguments),
}

#[derive(Debug, Args)]
pub struct AdoptArguments {
    /// The directory that `[archive]` names; `archive` in the data folder when absent
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Print what it did as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub database: DatabaseArguments,
}
