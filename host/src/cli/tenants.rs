//! The tenants of a database, as they are asked for, and how one more is made.

use clap::{Args, Subcommand};

use crate::database::DatabaseUrl;

/// Of commands that fill an empty schema.
#[derive(Clone, Copy, Debug, Args)]
pub struct CreationArguments {
    /// Make the schema where there is none; only the default one is made without it
    #[arg(long)]
    pub create_schema: bool,
}

#[derive(Debug, Subcommand)]
pub enum TenantsCommand {
    /// List the schemas with tables of gristmill
    #[command(after_help = "Example:\n  gristmill tenants list")]
    List {
        /// The database; without it gristmill's own server
        #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
        database_url: Option<DatabaseUrl>,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
}
