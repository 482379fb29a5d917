//! `gristmill log`: who changed what by hand.

use tokio::runtime::Runtime;

use super::open;
use crate::cli::LogArguments;
use crate::diagnostics::failure::Result;
use crate::ledger::action;
use crate::terminal;

/// # Errors
/// The database cannot be reached.
pub fn execute(arguments: &LogArguments, runtime: &Runtime) -> Result<()> {
    let database = open(runtime, &arguments.database, 1)?;
    let actions = action::list(&database, arguments.limit.into())?;
    if arguments.json {
        terminal::json(&actions);
        return Ok(());
    }
    if actions.is_empty() {
        terminal::say("nobody has changed anything by hand");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = actions
        .iter()
        .map(|action| {
            vec![
                action.done_at.format("%Y-%m-%d %H:%M:%S").to_string(),
                action.command.clone(),
                action.subject.clone(),
                action.system_user.clone(),
                action.database_role.clone(),
            ]
        })
        .collect();
    terminal::table(
        &["done (UTC)", "command", "what", "user", "database role"],
        &[],
        &rows,
    );
    if actions.len() as u64 == u64::from(arguments.limit) {
        terminal::say("there may be more; `--limit N` shows them");
    }
    Ok(())
}
