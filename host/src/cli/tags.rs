//! The label keys that become tags, as people manage them.

use clap::Subcommand;

use super::DatabaseArguments;

#[derive(Debug, Subcommand)]
pub enum TagsCommand {
    /// List the keys that payloads have shown: enabled or not, and mapped to which
    #[command(after_help = "Example:\n  gristmill tags list")]
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Enable keys, which then become tags; at most 200 in all
    #[command(after_help = "Example:\n  gristmill tags enable app application")]
    Enable {
        /// The keys, as `list` shows them
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Disable keys, which then are no tags any more
    #[command(after_help = "Example:\n  gristmill tags disable application")]
    Disable {
        /// The keys
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Map a key to another one, whose name it then has
    #[command(after_help = "Example:\n  gristmill tags map app application")]
    Map {
        /// The key that is renamed
        #[arg(value_name = "CHILD")]
        child: String,
        /// The key that stays
        #[arg(value_name = "PARENT")]
        parent: String,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Undo mappings, so that keys have their own names again
    #[command(after_help = "Example:\n  gristmill tags unmap app")]
    Unmap {
        /// The keys that were renamed
        #[arg(value_name = "CHILD", required = true)]
        keys: Vec<String>,
        #[command(flatten)]
        database: DatabaseArguments,
    },
}
