//! The database: where it is, and the verbs that look after it.

use clap::{Args, Subcommand};

use super::CreationArguments;
use crate::database::{DatabaseUrl, SchemaName};

#[derive(Debug, Args)]
pub struct DatabaseArguments {
    /// The database; without it gristmill starts its own server
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<DatabaseUrl>,
    /// The tenant's schema
    #[arg(long, env = "GRISTMILL_SCHEMA", value_name = "NAME", default_value_t)]
    pub schema: SchemaName,
}

#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Bring the schema up to date
    #[command(after_help = "Example:\n  gristmill db migrate --schema tenant_one --create-schema")]
    Migrate {
        #[command(flatten)]
        database: DatabaseArguments,
        #[command(flatten)]
        creation: CreationArguments,
        /// Rename a schema that is too old for this gristmill, and make a new one in its place
        #[arg(long)]
        set_aside: bool,
    },
    /// Let a role read all tables, those of months to come included, and nothing else
    #[command(after_help = "Example:\n  gristmill db grant-reader analyst")]
    GrantReader {
        /// The role, which must be there
        #[arg(value_name = "ROLE")]
        role: String,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Print the database's URL, for psql and its like
    #[command(after_help = "Example:\n  gristmill db url")]
    Url {
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Stop the server that gristmill started
    #[command(after_help = "Example:\n  gristmill db stop")]
    Stop,
}
