//! `gristmill days`: takes days of a cluster back.

use tokio::runtime::Runtime;

use super::open;
use super::removal::show;
use crate::cli::{DaysCommand, DaysRemoveArguments};
use crate::diagnostics::days::Days;
use crate::diagnostics::failure::Result;
use crate::ledger::{removal, source};
use crate::terminal;

/// # Errors
/// The range is none, the database cannot be reached, or a statement fails.
pub fn execute(command: &DaysCommand, runtime: &Runtime) -> Result<()> {
    match command {
        DaysCommand::Remove(arguments) => remove(arguments, runtime),
    }
}

fn remove(arguments: &DaysRemoveArguments, runtime: &Runtime) -> Result<()> {
    let days = Days::between(arguments.days.from, arguments.days.to)?;
    let database = open(runtime, &arguments.database, 2)?;
    let source = source::named(&database, &arguments.days.source)?;
    let removal = removal::remove_days(&database, &source, days, arguments.dry_run)?;
    if removal.tables.is_empty() && !arguments.json {
        terminal::say(&format!(
            "nothing to do, there is nothing of {days} of cluster `{}`",
            source.cluster_id
        ));
        return Ok(());
    }
    show(&removal, arguments.json);
    Ok(())
}
