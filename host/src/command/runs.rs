//! `gristmill runs`: says of failed runs that they do not matter.

use tokio::runtime::Runtime;

use super::open;
use crate::cli::RunsCommand;
use crate::diagnostics::failure::Result;
use crate::ledger::failed_runs;
use crate::terminal;

/// # Errors
/// A run did not fail, or the database cannot be reached.
pub fn execute(command: &RunsCommand, runtime: &Runtime) -> Result<()> {
    let RunsCommand::Discard {
        ids,
        reason,
        database,
    } = command;
    let database = open(runtime, database, 1)?;
    failed_runs::discard(&database, ids, reason)?;
    let counted = match ids.len() {
        1 => "1 failed run is".to_string(),
        count => format!("{count} failed runs are"),
    };
    terminal::say(&format!("{counted} discarded now"));
    Ok(())
}
