//! `gristmill check --connect`: asks the servers of the engine `trino` for all that a fold
//! asks of them, with one row.

use tokio::runtime::Runtime;

use crate::diagnostics::failure::{Failure, Result};
use crate::lake::{Lake, Place};
use crate::pipeline::plan::Plan;
use crate::trino::{Trino, TrinoReport};

/// Whose probe it is, in the lake.
const DATABASE: &str = "check";
const SCHEMA: &str = "connect";

/// # Errors
/// The pipeline names no such servers, or one of them cannot do it.
pub(super) fn probe(plan: &Plan, runtime: &Runtime) -> Result<TrinoReport> {
    let (Some(lake), Some(trino)) = (&plan.lake, &plan.trino) else {
        let message = "the pipeline names no servers: it has no `[lake]` or no `[trino]`";
        return Err(Failure::definition(message)
            .hint("`--connect` is for pipelines of which the engine is, or may be, `trino`"));
    };
    let place = Place::new(DATABASE, SCHEMA, "pods", 0)
        .map_err(|error| Failure::bug("a probe has no place").because(error))?;
    let handle = runtime.handle();
    let lake = Lake::open(lake, handle.clone()).map_err(|error| error.failure)?;
    let trino = Trino::open(trino, handle.clone()).map_err(|error| error.failure)?;
    trino.end_on_signals()?;
    let probed = trino.probe(&lake, &place);
    probed.map_err(|error| {
        error
            .failure
            .within("the servers of the pipeline cannot fold")
    })
}

/// Two lines, below the graph.
pub(super) fn text(report: &TrinoReport) -> String {
    let TrinoReport {
        version,
        catalog,
        connector,
        schema,
        location,
    } = report;
    format!(
        "\ntrino    {version}, catalog `{catalog}` of {connector}, schema `{schema}`\n\
        lake     `{location}`: a row was written, folded and removed"
    )
}
