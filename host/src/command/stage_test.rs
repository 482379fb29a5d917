//! `gristmill stage test`: runs the case files of stages. No database, no network.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{engine, stage_folders};
use crate::case;
use crate::cli::StageTestArguments;
use crate::failure::{Failure, Result};
use crate::report;

const CASE_FILE: &str = "cases.toml";

#[derive(Debug, Serialize)]
struct Verdict {
    stage: String,
    case: String,
    passed: bool,
    differences: Vec<String>,
}

/// # Errors
/// A case fails, a case file is wrong, or a component is missing.
pub fn execute(arguments: &StageTestArguments) -> Result<()> {
    let engine = engine()?;
    let mut verdicts = Vec::new();
    for target in &arguments.targets {
        let tested = Tested::find(target, &stage_folders(&arguments.stages))?;
        let component = engine.load(&tested.component, None).map_err(|unusable| {
            let mut failure = Failure::definition(unusable.message);
            failure.hint = unusable.hint;
            failure
        })?;
        let cases = case::load(&tested.cases).map_err(|(sources, problem)| {
            let failure = if problem.environment {
                Failure::environment
            } else {
                Failure::definition
            };
            failure(sources.render(&problem))
        })?;
        for case in &cases {
            let name = case.name.get_ref();
            if arguments
                .filter
                .as_ref()
                .is_some_and(|filter| !name.contains(filter))
            {
                continue;
            }
            let differences = case.run(&component);
            verdicts.push(Verdict {
                stage: tested.name.clone(),
                case: name.clone(),
                passed: differences.is_empty(),
                differences,
            });
        }
    }
    if arguments.json {
        report::json(&verdicts);
    } else {
        show(&verdicts);
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.passed).count();
    if verdicts.is_empty() {
        return Err(Failure::definition("no case was run")
            .hint("`--filter` leaves out the cases whose name does not hold its text"));
    }
    if failed > 0 {
        return Err(Failure::run(format!(
            "{failed} of {} cases failed",
            verdicts.len()
        )));
    }
    report::say(&format!("{} cases passed", verdicts.len()));
    Ok(())
}

/// A component and its cases.
struct Tested {
    name: String,
    component: PathBuf,
    cases: PathBuf,
}

impl Tested {
    fn find(target: &Path, stage_folders: &[PathBuf]) -> Result<Self> {
        if target.is_file() {
            let folder = target.parent().unwrap_or(Path::new(""));
            return Ok(Self {
                name: stem(target),
                component: target.to_path_buf(),
                cases: folder.join(CASE_FILE),
            });
        }
        let folder = target.canonicalize().map_err(|error| {
            Failure::environment(format!("cannot find stage `{}`", target.display())).because(error)
        })?;
        let name = stem(&folder);
        let file = format!("{}.wasm", name.replace('-', "_"));
        // Where cargo leaves a stage of its own, then where components are placed.
        let component = [folder.clone(), folder.join("target/wasm32-wasip2/release")]
            .iter()
            .chain(stage_folders)
            .map(|folder| folder.join(&file))
            .find(|path| path.is_file())
            .ok_or_else(|| {
                Failure::environment(format!(
                    "component `{file}` of stage `{name}` was not found"
                ))
                .hint("build it for `wasm32-wasip2`, or name its folder with `--stages DIR`")
            })?;
        Ok(Self {
            name,
            component,
            cases: target.join(CASE_FILE),
        })
    }
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn show(verdicts: &[Verdict]) {
    for verdict in verdicts {
        let mark = if verdict.passed { "ok    " } else { "FAILED" };
        report::data(&format!("{mark} {}: {}", verdict.stage, verdict.case));
        for difference in &verdict.differences {
            for line in difference.lines() {
                report::data(&format!("         {line}"));
            }
        }
    }
}
