//! `gristmill archive`: shows which database owns an archive, and takes it for this one.

use tokio::runtime::Runtime;

use super::open;
use crate::cli::{AdoptArguments, ArchiveCommand};
use crate::database;
use crate::diagnostics::failure::Result;
use crate::ledger::archive::{self, Adoption};
use crate::terminal;

/// # Errors
/// The database cannot be reached, or the archive not be written.
pub fn execute(command: &ArchiveCommand, runtime: &Runtime) -> Result<()> {
    match command {
        ArchiveCommand::Adopt(arguments) => adopt(arguments, runtime),
    }
}

fn adopt(arguments: &AdoptArguments, runtime: &Runtime) -> Result<()> {
    let database = open(runtime, &arguments.database, 1)?;
    let directory = match &arguments.directory {
        Some(directory) => directory.clone(),
        None => database::default_archive(),
    };
    let adopted = archive::adopt(&database, &directory)?;
    match arguments.json {
        true => terminal::json(&adopted),
        false => tell(&adopted),
    }
    Ok(())
}

fn tell(adopted: &Adoption) {
    let shown = adopted.directory.display();
    terminal::say(&match (&adopted.former_owner, adopted.was_ours) {
        (_, true) => format!("archive `{shown}` is this database's, as before"),
        (Some(former), _) => format!(
            "archive `{shown}` is this database's from now on; {former}, whose it was, is refused"
        ),
        (None, _) => format!("archive `{shown}` is this database's from now on"),
    });
    terminal::say(&format!(
        "{} archived payloads of this database are in it",
        adopted.payloads_there
    ));
    if adopted.payloads_moved > 0 {
        terminal::say(&format!(
            "{} of them were recorded in another folder",
            adopted.payloads_moved
        ));
    }
    if adopted.payloads_missing > 0 {
        terminal::say(&format!(
            "{} more are recorded and not there; `gristmill run` of a payload puts it back",
            adopted.payloads_missing
        ));
    }
}
