//! `gristmill stage test`: runs the case files of stages. No database, no network.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::stage_alone::{name, unusable};
use super::{engine, metered_engine, stage_folders, stage_watch};
use crate::authoring::case::{self, CaseFile, Difference, Verdict, junit};
use crate::authoring::stage_folder::StageFolder;
use crate::cli::StageTestArguments;
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::log_line::LogLine;
use crate::stage::{Component, Engine};
use crate::terminal;

const CASE_FILE: &str = "cases.toml";

/// Log lines of a case that fails which are shown.
const LOG_LINES_SHOWN: usize = 20;

/// One case that was run.
#[derive(Debug, Serialize)]
struct TestOutput {
    stage: String,
    case: String,
    passed: bool,
    differences: Vec<String>,
    /// Its expectation was rewritten.
    #[serde(skip)]
    updated: bool,
    /// What the stage logged.
    #[serde(skip)]
    log: Vec<LogLine>,
    #[serde(skip)]
    shown: Vec<String>,
    /// The command that runs this case alone.
    #[serde(skip)]
    again: String,
    #[serde(skip)]
    time: Duration,
}

/// # Errors
/// A case fails, a case file is wrong, or a component is missing.
pub fn execute(arguments: &StageTestArguments) -> Result<()> {
    let bench = Bench::new()?;
    match arguments.watch {
        true => stage_watch::execute(arguments, || bench.round(arguments)),
        false => bench.round(arguments),
    }
}

/// The engines, which serve every round.
struct Bench {
    engine: Engine,
    /// Made when a case first asks what fuel it takes.
    metered: OnceCell<Engine>,
}

impl Bench {
    fn new() -> Result<Self> {
        Ok(Self {
            engine: engine()?,
            metered: OnceCell::new(),
        })
    }

    fn metered(&self) -> Result<&Engine> {
        match self.metered.get() {
            Some(engine) => Ok(engine),
            None => {
                let engine = metered_engine()?;
                Ok(self.metered.get_or_init(|| engine))
            }
        }
    }

    /// Runs all cases once and says how they went.
    fn round(&self, arguments: &StageTestArguments) -> Result<()> {
        let mut tested = Vec::new();
        for target in &arguments.targets {
            self.target(target, arguments, &mut tested)?;
        }
        if let Some(path) = &arguments.junit {
            write_junit(path, &tested)?;
        }
        if arguments.json {
            terminal::json(&tested);
        } else {
            show(&tested);
        }
        let failed = tested.iter().filter(|case| !case.passed).count();
        let updated = tested.iter().filter(|case| case.updated).count();
        if tested.is_empty() {
            return Err(Failure::definition("no case was run")
                .hint("`--filter` leaves out the cases whose name does not hold its text"));
        }
        if failed > 0 {
            return Err(Failure::run(format!(
                "{failed} of {} cases failed",
                tested.len()
            )));
        }
        terminal::say(&match updated {
            0 => format!("{} cases passed", tested.len()),
            _ => format!("{} cases passed, {updated} of them updated", tested.len()),
        });
        Ok(())
    }

    fn target(
        &self,
        target: &Path,
        arguments: &StageTestArguments,
        tested: &mut Vec<TestOutput>,
    ) -> Result<()> {
        let found = Target::find(target, &stage_folders(&arguments.stages))?;
        if let Some(source) = &found.newer_source {
            let component = found.component.display();
            tracing::warn!(
                "component `{component}` is older than `{}`: these cases are of what was built \
                 before (`gristmill stage build {}` builds it anew)",
                source.display(),
                quoted(&target.to_string_lossy())
            );
        }
        let component = self.engine.load(&found.component, None).map_err(unusable)?;
        let file =
            CaseFile::load(&found.cases, arguments.update).map_err(|(sources, problem)| {
                let place = found.cases.display().to_string();
                Failure::of_problem(&sources, &problem).at(place)
            })?;
        let mut metered: Option<Component> = None;
        let mut verdicts: Vec<(usize, Verdict, Duration)> = Vec::new();
        for (position, case) in file.cases.iter().enumerate() {
            let filter = arguments.filter.as_ref();
            if filter.is_some_and(|filter| !case.name.get_ref().contains(filter)) {
                continue;
            }
            if case.is_metered() && metered.is_none() {
                let engine = self.metered()?;
                metered = Some(engine.load(&found.component, None).map_err(unusable)?);
            }
            let component = match &metered {
                Some(metered) if case.is_metered() => metered,
                _ => &component,
            };
            let started = Instant::now();
            let verdict = case.run(component);
            verdicts.push((position, verdict, started.elapsed()));
        }
        let to_update = |verdict: &Verdict| arguments.update && verdict.can_be_updated();
        if arguments.update {
            let changed: Vec<(usize, &Verdict)> = verdicts
                .iter()
                .filter(|(_, verdict, _)| !verdict.passed() && to_update(verdict))
                .map(|(position, verdict, _)| (*position, verdict))
                .collect();
            file.update(&changed).map_err(|reason| {
                Failure::environment(format!(
                    "cannot update case file `{}`: {reason}",
                    found.cases.display()
                ))
            })?;
        }
        for (position, verdict, time) in verdicts {
            let name = file.cases[position].name.get_ref();
            let updated = !verdict.passed() && to_update(&verdict);
            let differences = match updated {
                true => &[][..],
                false => &verdict.differences,
            };
            tested.push(TestOutput {
                stage: found.name.clone(),
                case: name.clone(),
                passed: differences.is_empty(),
                differences: differences.iter().map(Difference::to_string).collect(),
                updated,
                shown: case::lines(differences),
                log: verdict.log.clone(),
                again: again(target, &arguments.stages, name),
                time,
            });
        }
        Ok(())
    }
}

/// A component and its cases.
struct Target {
    name: String,
    component: PathBuf,
    cases: PathBuf,
    /// A source that was written after the component was built.
    newer_source: Option<PathBuf>,
}

impl Target {
    fn find(target: &Path, stage_folders: &[PathBuf]) -> Result<Self> {
        if target.is_file() {
            return Ok(Self {
                name: name(target),
                component: target.to_path_buf(),
                cases: cases_of(target),
                newer_source: None,
            });
        }
        let folder = stage_folder(target)?;
        let file = folder.component_file();
        let built = folder.component();
        let newer_source = built
            .as_ref()
            .and_then(|component| folder.newer_source(component));
        let component = built
            .or_else(|| {
                let placed = stage_folders.iter().map(|folder| folder.join(&file));
                placed.into_iter().find(|path| path.is_file())
            })
            .ok_or_else(|| {
                Failure::environment(format!(
                    "component `{file}` of stage `{}` was not found",
                    folder.name()
                ))
                .hint("build it for `wasm32-wasip2`, or name its folder with `--stages DIR`")
            })?;
        Ok(Self {
            name: folder.name().to_string(),
            component,
            cases: cases_of(target),
            newer_source,
        })
    }
}

pub(super) fn stage_folder(folder: &Path) -> Result<StageFolder> {
    StageFolder::at(folder).map_err(|error| {
        Failure::environment(format!("cannot find stage `{}`", folder.display()))
            .because(error)
            .at(folder.display().to_string())
    })
}

/// The case file of a folder, or the one beside a component.
pub(super) fn cases_of(target: &Path) -> PathBuf {
    let folder = match target.is_dir() {
        true => target,
        false => target.parent().unwrap_or(Path::new("")),
    };
    folder.join(CASE_FILE)
}

/// The command line that runs one case.
fn again(target: &Path, stages: &[PathBuf], case: &str) -> String {
    let mut words = vec![
        "gristmill stage test".to_string(),
        quoted(&target.to_string_lossy()),
    ];
    for folder in stages {
        words.extend(["--stages".into(), quoted(&folder.to_string_lossy())]);
    }
    words.extend(["--filter".into(), quoted(case)]);
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn write_junit(path: &Path, tested: &[TestOutput]) -> Result<()> {
    let results: Vec<junit::Result<'_>> = tested
        .iter()
        .map(|case| junit::Result {
            stage: &case.stage,
            case: &case.case,
            differences: &case.differences,
            time: case.time,
        })
        .collect();
    let unwritten =
        || Failure::environment(format!("cannot write results to `{}`", path.display()));
    let document = junit::document(&results).map_err(|error| unwritten().because(error))?;
    std::fs::write(path, document).map_err(|error| unwritten().because(error))
}

fn show(tested: &[TestOutput]) {
    for case in tested {
        let mark = match (case.passed, case.updated) {
            (true, true) => "updated",
            (true, false) => "ok     ",
            (false, _) => "FAILED ",
        };
        terminal::text(&format!("{mark} {}: {}", case.stage, case.case));
        if !case.passed {
            for line in &case.shown {
                terminal::text(&format!("         {line}"));
            }
            for line in case.log.iter().take(LOG_LINES_SHOWN) {
                let level = line.level.word();
                terminal::text(&format!("         {level}: {}", line.message));
            }
            let more = case.log.len().saturating_sub(LOG_LINES_SHOWN);
            if more > 0 {
                terminal::text(&format!(
                    "         {more} more log lines; `stage run` shows all"
                ));
            }
            terminal::text(&format!("         again: {}", case.again));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_for_one_case_can_be_pasted() {
        assert_eq!(
            again(Path::new("my stage"), &["out".into()], "it's cheap"),
            r"gristmill stage test 'my stage' --stages out --filter 'it'\''s cheap'"
        );
    }
}
