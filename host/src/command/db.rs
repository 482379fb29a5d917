//! `gristmill db`: the schema, and the server that gristmill starts itself.

use serde_json::json;
use tokio::runtime::Runtime;

use super::{fills, open, open_target, target, unreachable_database};
use crate::cli::DbCommand;
use crate::database::{self, Database, SchemaAccess};
use crate::diagnostics::failure::Result;
use crate::ledger::action;
use crate::ledger::readers;
use crate::terminal;

/// # Errors
/// The database cannot be reached, or the schema cannot be brought up to date.
pub fn execute(command: &DbCommand, runtime: &Runtime) -> Result<()> {
    match command {
        DbCommand::Migrate {
            database,
            creation,
            set_aside,
        } => {
            let target = target(database, fills(*creation));
            let opened = match set_aside {
                true => runtime
                    .block_on(Database::open_anew(&target, 1))
                    .map_err(|error| unreachable_database(&error))?,
                false => open_target(runtime, &target, 1)?,
            };
            let migrated = opened.migrated();
            if let Some(aside) = &migrated.set_aside {
                let subject = format!("schema `{}` is `{aside}`", opened.schema());
                let details = json!({ "set_aside": aside });
                action::record_done(&opened, "db migrate --set-aside", &subject, details)?;
            }
            if migrated.nothing() {
                terminal::say(&format!("schema `{}` is up to date", opened.schema()));
            } else {
                terminal::say(&format!(
                    "schema `{}` of {} is up to date now: {} migrations applied",
                    opened.schema(),
                    opened.location(),
                    migrated.migrations.len()
                ));
            }
        }
        DbCommand::GrantReader { role, database } => {
            let opened = open(runtime, database, 1)?;
            let tables = readers::grant(&opened, role)?;
            terminal::say(&format!(
                "role `{role}` may read {tables} tables and views of schema `{}`, and those to come",
                opened.schema()
            ));
        }
        DbCommand::Url { database } => {
            let url = database::url(&target(database, SchemaAccess::Read))
                .map_err(|error| unreachable_database(&error))?;
            terminal::text(&url);
        }
        DbCommand::Stop => {
            let stopped = database::stop_local(&database::default_data_directory())
                .map_err(|error| unreachable_database(&error))?;
            terminal::say(if stopped {
                "stopped"
            } else {
                "no server of ours is running"
            });
        }
    }
    Ok(())
}
