//! `gristmill replay`: runs archived payloads through the pipeline as it is now, in place
//! of what they made before.

use tokio::runtime::Runtime;

use super::{difference, engine, fills, open_to_load, plan};
use crate::cli::ReplayArguments;
use crate::diagnostics::days::Days;
use crate::diagnostics::failure::Result;
use crate::ledger::source;
use crate::run::{Ingestion, LakeFolds, Replay, archives_of};
use crate::terminal;

/// # Errors
/// The pipeline has problems, a payload is not in the archive, the database cannot
/// be reached, or a payload failed; those before it stay replayed.
pub fn execute(arguments: &ReplayArguments, runtime: &Runtime) -> Result<()> {
    let days = Days::between(arguments.days.from, arguments.days.to)?;
    let engine = engine()?;
    let plan = plan(&arguments.pipeline, &engine)?;
    let (database, workers) = open_to_load(
        &plan,
        runtime,
        &arguments.database,
        fills(arguments.creation),
        arguments.connections,
        1,
    )?;
    let lake = LakeFolds::of(&plan, &database)?;
    lake.as_ref().map_or(Ok(()), LakeFolds::end_on_signals)?;
    let replay = Replay {
        archives: archives_of(&plan, &database)?,
        source: source::named(&database, &arguments.days.source)?,
        ingestion: Ingestion {
            plan: &plan,
            database: &database,
            workers,
            lake: lake.as_ref(),
            capture: None,
            turn: None,
        },
    };
    let (result, failure) = replay.days(days)?;
    if arguments.json {
        terminal::json(&result);
    } else {
        difference::show(&result.days);
    }
    failure.map_or(Ok(()), Err)
}
