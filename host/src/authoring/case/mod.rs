//! Test cases of a stage: input and expectation as data, run against the component
//! with no database and no network.

mod budget;
mod difference;
pub mod junit;
mod update;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use toml::Spanned;

use self::budget::Budget;
pub use self::difference::{Difference, lines};
use self::update::Expectation;
use crate::authoring::harness::table::Table;
use crate::authoring::harness::{Fault, Harness, Outcome};
use crate::diagnostics::log_line::LogLine;
use crate::diagnostics::problem::{Problem, Sources};
use crate::pipeline::definition::{self, Bytes, Column};
use crate::rows::column::ColumnType;
use crate::stage::{Component, Limits, Settings};

/// A case file, in order.
#[derive(Debug)]
pub struct CaseFile {
    path: PathBuf,
    text: String,
    pub cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseText {
    case: Vec<Case>,
}

/// One case as its author wrote it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    pub name: Spanned<String>,
    /// Handed to the stage as JSON.
    config: Option<toml::Table>,
    /// Words of the sets bound to the stage.
    #[serde(default)]
    sets: BTreeMap<String, Vec<String>>,
    /// Limits other than the usual ones.
    #[serde(default)]
    limits: definition::Limits,
    /// Types of input columns that shall not be guessed. Transforms only.
    #[serde(default)]
    types: BTreeMap<String, ColumnType>,
    /// The columns wanted of the file. Parsers only.
    #[serde(default)]
    columns: IndexMap<String, Column>,
    /// Hand the input over in chunks of this size. Parsers only.
    chunk_bytes: Option<usize>,
    input: String,
    output: Option<String>,
    rejects: Option<String>,
    facts: Option<BTreeMap<String, Vec<String>>>,
    error: Option<String>,
    /// The most that the stage may use.
    budget: Option<Budget>,
}

/// The result of a case.
#[derive(Debug)]
pub struct Verdict {
    /// From what the case expects; none when it passes.
    pub differences: Vec<Difference>,
    /// The outcome that the case would have to expect; `None` when the stage broke, which
    /// no case should expect.
    expectation: Option<Expectation>,
    /// What the stage logged, on the plain path.
    pub log: Vec<LogLine>,
}

impl CaseFile {
    /// Reads a case file. With `incomplete`, a case may expect nothing yet.
    ///
    /// # Errors
    /// The problem with the case file, with its place.
    pub fn load(path: &Path, incomplete: bool) -> Result<Self, (Sources, Problem)> {
        let mut sources = Sources::default();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read case file `{}`: {error}", path.display());
                return Err((sources, Problem::new(None, message).environment()));
            }
        };
        sources.add(path, &text);
        let file: CaseText = match toml::from_str(&text) {
            Ok(file) => file,
            Err(error) => {
                let message = error.message().trim_end().replace('\n', ", ");
                return Err((sources, Problem::new(error.span(), message)));
            }
        };
        for (position, case) in file.case.iter().enumerate() {
            if let Some(problem) = case.problem(&file.case[..position], incomplete) {
                return Err((sources, problem));
            }
        }
        Ok(Self {
            path: path.to_path_buf(),
            text,
            cases: file.case,
        })
    }

    /// Writes what the cases came to into the file, where they differ, and leaves
    /// all else as it stands. The verdicts are those of cases by position.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn update(&self, verdicts: &[(usize, &Verdict)]) -> Result<(), String> {
        let changes = verdicts
            .iter()
            .filter_map(|(position, verdict)| Some((*position, verdict.expectation.as_ref()?)));
        let text = update::rewritten(&self.text, changes)?;
        if text == self.text {
            return Ok(());
        }
        std::fs::write(&self.path, text).map_err(|error| error.to_string())
    }
}

impl Case {
    fn problem(&self, before: &[Self], incomplete: bool) -> Option<Problem> {
        let span = self.name.span();
        let same_name = |other: &Self| other.name.get_ref() == self.name.get_ref();
        if before.iter().any(same_name) {
            return Some(Problem::new(span, "two cases have this name"));
        }
        match (&self.output, &self.error) {
            (Some(_), Some(_)) => Some(Problem::new(
                span,
                "a case expects either `output` or `error`, not both",
            )),
            (None, None) if !incomplete => Some(
                Problem::new(span, "a case expects either `output` or `error`")
                    .hint("`--update` fills in what the stage makes of it"),
            ),
            _ => None,
        }
    }

    /// Whether the case says what fuel it may take, so that a metered engine must
    /// run it.
    pub fn is_metered(&self) -> bool {
        self.budget.is_some_and(|budget| budget.is_metered())
    }

    /// Runs the case, and takes it along the path of a run besides: the same must come of
    /// it. What it expects, and what it may take, is about the plain path.
    pub fn run(&self, component: &Component) -> Verdict {
        let harness = match self.harness() {
            Ok(harness) => harness,
            Err(fault) => return self.judge_fault(&fault),
        };
        let mut log = Vec::new();
        let plain = harness.run_logged(component, &self.input, &mut log);
        let divergence = harness.divergence(component, &self.input, &plain);
        let mut verdict = match &plain {
            Ok(outcome) => self.judge(outcome),
            Err(fault) => self.judge_fault(fault),
        };
        let divergence = divergence.map(Difference::Path);
        verdict.differences.extend(divergence);
        verdict.log = log;
        verdict
    }

    fn harness(&self) -> Result<Harness, Fault> {
        let config = self.config.clone().unwrap_or_default();
        Ok(Harness {
            settings: Settings {
                config: serde_json::to_string(&config)
                    .map_err(|error| Fault::Input(error.to_string()))?,
                sets: self.sets.clone().into_iter().collect(),
                limits: self.limits(),
            },
            types: self.types.clone(),
            columns: self.columns.clone(),
            chunk_bytes: self.chunk_bytes,
            batch_rows: None,
        })
    }

    fn limits(&self) -> Limits {
        let usual = Limits::default();
        let own = &self.limits;
        let bytes = |own: &Option<Spanned<Bytes>>, usual| {
            own.as_ref().map_or(usual, |bytes| bytes.get_ref().0)
        };
        Limits {
            memory_bytes: bytes(&own.memory, usual.memory_bytes),
            output_bytes: bytes(&own.output_per_batch, usual.output_bytes),
            batch_bytes: bytes(&own.batch_memory, usual.batch_bytes),
            time_per_batch: own
                .time_per_batch
                .as_ref()
                .map_or(usual.time_per_batch, |time| time.get_ref().0),
            log_lines: own
                .log_lines
                .as_ref()
                .map_or(usual.log_lines, |lines| *lines.get_ref()),
        }
    }

    fn judge(&self, outcome: &Outcome) -> Verdict {
        let (output, rejects) = (outcome.output(), outcome.rejected());
        let mut differences = match (&self.output, &self.error) {
            (Some(expected), _) => difference::of_tables("output", expected, &output),
            (None, Some(error)) => vec![Difference::Other(format!(
                "expected the error `{error}`, got {} rows",
                output.rows.len()
            ))],
            (None, None) => vec![Difference::Other("nothing is expected yet".into())],
        };
        if self.error.is_none() {
            differences.extend(self.judge_rejects(&rejects));
            differences.extend(self.judge_facts(&outcome.facts));
        }
        let expectation = Expectation::outcome(
            output,
            rejects,
            self.facts.is_some().then(|| outcome.facts.clone()),
        );
        if let Some(budget) = self.budget {
            differences.extend(budget.differences(outcome));
        }
        Verdict {
            differences,
            expectation: Some(expectation),
            log: Vec::new(),
        }
    }

    fn judge_rejects(&self, rejects: &Table) -> Vec<Difference> {
        let expected = self.rejects.as_deref();
        if expected.is_none() && rejects.rows.is_empty() {
            return Vec::new();
        }
        match expected {
            Some(expected) => difference::of_tables("rejects", expected, rejects),
            None => difference::unexpected("rejects", rejects),
        }
    }

    fn judge_facts(&self, facts: &BTreeMap<String, Vec<String>>) -> Option<Difference> {
        let expected = self.facts.as_ref()?;
        (expected != facts)
            .then(|| Difference::Other(format!("facts: expected {expected:?}, got {facts:?}")))
    }

    fn judge_fault(&self, fault: &Fault) -> Verdict {
        let actual = fault.to_string();
        let difference = match &self.error {
            Some(error) if actual == *error => None,
            Some(error) => Some(format!(
                "expected the error `{error}`, got the error `{actual}`"
            )),
            None => Some(format!("failed: {actual}")),
        };
        Verdict {
            differences: difference.map(Difference::Other).into_iter().collect(),
            expectation: fault.is_refusal().then(|| Expectation::error(actual)),
            log: Vec::new(),
        }
    }
}

impl Verdict {
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// Whether `update` makes the case pass: its expectation is at fault, and not
    /// its budget, or a stage that broke or has two answers.
    pub fn can_be_updated(&self) -> bool {
        let is_of_stage = |difference: &Difference| {
            matches!(difference, Difference::Budget { .. } | Difference::Path(_))
        };
        self.expectation.is_some() && !self.differences.iter().any(is_of_stage)
    }
}
