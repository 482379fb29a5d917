//! `gristmill lock`: writes the components of a pipeline and their digests into
//! `gristmill.lock`.

use super::{engine, plan};
use crate::cli::{LockArguments, PipelineArguments};
use crate::diagnostics::failure::{Failure, Result};
use crate::pipeline::lock::{self, Change, LockedStage, LockedStages};
use crate::pipeline::plan::StagePlan;
use crate::stage::CONTRACT_VERSION;
use crate::terminal;

/// # Errors
/// The pipeline has problems, or the lock cannot be written.
pub fn execute(arguments: &LockArguments) -> Result<()> {
    let pipeline = PipelineArguments {
        pipeline: arguments.pipeline.clone(),
        stages: arguments.stages.clone(),
        locked: false,
    };
    let plan = plan(&pipeline, &engine()?)?;
    let stages: LockedStages = plan.stages.iter().map(locked).collect();
    let count = stages.len();
    let path = lock::path_for(&plan.path);
    let changes = lock::write(&plan.path, stages).map_err(|error| {
        Failure::environment(format!("cannot write lock `{}`", path.display())).because(error)
    })?;
    for change in &changes {
        terminal::say(&Change::to_string(change));
    }
    terminal::say(&match changes.is_empty() {
        true => format!("{}: {count} stages, unchanged", path.display()),
        false => format!("{}: {count} stages", path.display()),
    });
    Ok(())
}

fn locked(stage: &StagePlan) -> (String, LockedStage) {
    let component = &stage.component;
    let locked = LockedStage {
        component: stage.named.clone(),
        sha256: component.digest.clone(),
        bytes: component.bytes,
        world: component.world.to_string(),
        contract: CONTRACT_VERSION.to_string(),
    };
    (stage.name.clone(), locked)
}
