//! Chooses the engine that folds what a run loads.

use crate::diagnostics::failure::{Failure, Result};
use crate::fold::FOLDS;
use crate::ingest::sizes;
use crate::ledger::publish::Upload;
use crate::payload::Payload;
use crate::pipeline::plan::{AggregationEngine, EngineChoice, Plan};

/// The engine for an upload of these payloads: the environment's, or that of its source, or
/// the pipeline's. An additive upload always goes to Postgres, since rows that such uploads
/// repeat are found by their hours.
///
/// # Errors
/// The size decides, and a payload is broken.
pub(super) fn choose<'p>(
    plan: &Plan,
    upload: &Upload<'_>,
    payloads: impl IntoIterator<Item = &'p Payload>,
) -> Result<AggregationEngine> {
    if upload.is_additive {
        return Ok(AggregationEngine::Postgres);
    }
    let engine = match plan.engines.choice(upload.engine()) {
        EngineChoice::Always(engine) => engine,
        // Nothing need be read to know that.
        EngineChoice::BySize(by_size) if by_size.trino_from.is_none() => by_size.below,
        EngineChoice::BySize(by_size) => {
            let tables: Vec<&str> = FOLDS.iter().map(|fold| fold.table).collect();
            let mut bytes = 0;
            for payload in payloads {
                bytes += sizes::bytes_for(plan, payload, &tables)?;
            }
            by_size.engine(bytes)
        }
    };
    if engine == AggregationEngine::Trino && (plan.lake.is_none() || plan.trino.is_none()) {
        return Err(Failure::definition(format!(
            "cluster `{}` has engine `trino`, and pipeline `{}` has no `[trino]` and `[lake]`",
            upload.cluster_id(),
            plan.name
        ))
        .hint("say where Trino and its object storage are, or give the cluster another engine with `gristmill sources set`"));
    }
    Ok(engine)
}
