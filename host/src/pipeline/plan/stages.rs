//! The stages of a definition: finds and loads their components, and settles their
//! limits.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::StagePlan;
use super::resolve::Resolver;
use crate::diagnostics::problem::{Problem, Span};
use crate::pipeline::definition::{self, Time};
use crate::stage::{Limits, LoadLimits, Reason};

/// Less cuts headers and makes batches of nothing; more is not a chunk.
pub(super) const CHUNK_BYTES_RANGE: RangeInclusive<u64> = 64 << 10..=256 << 20;

/// From the first page of a small component to all that 32-bit memory can be.
const MEMORY_BYTES_RANGE: RangeInclusive<u64> = 64 << 10..=4 << 30;

/// From a tick of the clock that interrupts stages to an hour.
const TIME_MILLISECONDS_RANGE: RangeInclusive<u64> = 10..=3_600_000;

/// From less than a batch of a small chunk to what offsets of 32 bits can tell apart.
const BATCH_BYTES_RANGE: RangeInclusive<u64> = 1 << 20..=i32::MAX as u64;

/// From what the smallest component takes to what a machine has.
const COMPILE_BYTES_RANGE: RangeInclusive<u64> = 64 << 20..=64 << 30;

/// From a small component to more than any toolchain makes.
const COMPONENT_BYTES_RANGE: RangeInclusive<u64> = 1 << 10..=1 << 30;

/// More is no log but data. None is a choice.
const LOG_LINES_RANGE: RangeInclusive<u64> = 0..=100_000;

impl<'a> Resolver<'a> {
    pub(super) fn stage(
        &mut self,
        name: &Spanned<String>,
        stage: &definition::Stage,
    ) -> Option<StagePlan> {
        let path = self.component_path(&stage.component)?;
        let own = stage.limits.as_ref().map(Spanned::get_ref);
        let load_limits = self.load_limits(own)?;
        let locked = self.locked(name)?;
        let engine = self.surroundings.engine;
        let loaded = engine.load_within(&path, locked, load_limits);
        let component = match loaded {
            Ok(component) => component,
            Err(unusable) => {
                let mut problem = Problem::new(
                    stage.component.span(),
                    format!("stage `{}`: {}", name.get_ref(), unusable.message),
                );
                problem.hint = unusable.hint;
                if let (Reason::Pin, Some(lock)) = (unusable.reason, self.surroundings.lock) {
                    problem.message = format!(
                        "stage `{}`: component `{}` is not the one that lock `{}` has",
                        name.get_ref(),
                        path.display(),
                        lock.path.display()
                    );
                    let digest = problem.hint.take().unwrap_or_default();
                    problem.hint = Some(format!("{digest}; {}", self.lock_again()));
                }
                problem.environment = unusable.reason == Reason::Unreadable;
                self.add(problem);
                return None;
            }
        };
        let config = match &stage.config {
            Some(config) => match serde_json::to_string(config.get_ref()) {
                Ok(json) => json,
                Err(error) => {
                    self.add(Problem::new(config.span(), error.to_string()));
                    return None;
                }
            },
            None => "{}".to_string(),
        };
        if let (Some(limits), Some(own)) = (&stage.limits, own) {
            let of_pipeline = [
                ("chunk", own.chunk.is_some()),
                ("months-back", own.months_back.is_some()),
                ("months-ahead", own.months_ahead.is_some()),
            ];
            for (key, _) in of_pipeline.into_iter().filter(|(_, given)| *given) {
                self.add(Problem::new(
                    limits.span(),
                    format!("`{key}` is a limit of the pipeline, not of a stage"),
                ));
            }
        }
        if let Some(limits) = &stage.limits {
            self.has_no_budget(limits);
        }
        if let (Some(limits), Some(own)) = (&stage.limits, own)
            && own.lock_wait.is_some()
        {
            self.add(Problem::new(
                limits.span(),
                "`lock-wait` is a limit of the pipeline, not of a stage",
            ));
        }
        let rejected_rows = self.rejected_rows_of(stage.limits.as_ref());
        let limits = self.stage_limits(own)?;
        Some(StagePlan {
            name: name.get_ref().clone(),
            named: stage.component.get_ref().clone(),
            component,
            config,
            bind: stage
                .bind
                .iter()
                .map(|(name, set)| (name.get_ref().clone(), *set.get_ref()))
                .collect(),
            learn: stage
                .learn
                .iter()
                .map(|(topic, set)| (topic.get_ref().clone(), *set.get_ref()))
                .collect(),
            limits,
            rejected_rows: rejected_rows?,
        })
    }

    /// The limits of a stage's component.
    fn load_limits(&mut self, own: Option<&definition::Limits>) -> Option<LoadLimits> {
        let common = &self.definition.limits;
        let default = LoadLimits::default();
        let size = own
            .and_then(|own| own.component_size.as_ref())
            .or(common.component_size.as_ref());
        let time = own
            .and_then(|own| own.compile_time.as_ref())
            .or(common.compile_time.as_ref());
        let memory = own
            .and_then(|own| own.compile_memory.as_ref())
            .or(common.compile_memory.as_ref());
        Some(LoadLimits {
            component_bytes: match size {
                Some(size) => {
                    let range = COMPONENT_BYTES_RANGE;
                    self.within("component-size", size.span(), size.get_ref().0, range)?
                }
                None => default.component_bytes,
            },
            compile_time: match time {
                Some(time) => self.time("compile-time", time)?,
                None => default.compile_time,
            },
            compile_memory_bytes: match memory {
                Some(memory) => {
                    let range = COMPILE_BYTES_RANGE;
                    self.within("compile-memory", memory.span(), memory.get_ref().0, range)?
                }
                None => default.compile_memory_bytes,
            },
        })
    }

    /// The digest that the lock has for a stage; `Some(None)` where nothing is locked.
    fn locked(&mut self, name: &Spanned<String>) -> Option<Option<&'a str>> {
        let Some(lock) = self.surroundings.lock else {
            return Some(None);
        };
        let shown = lock.path.display();
        let Some((_, locked)) = lock.stages.get(name.get_ref()) else {
            let message = format!("stage `{}` is not in lock `{shown}`", name.get_ref());
            let hint = self.lock_again();
            self.add(Problem::new(name.span(), message).hint(hint));
            return None;
        };
        Some(Some(&locked.sha256))
    }

    /// A stage's own limits, else the pipeline's, else the defaults.
    fn stage_limits(&mut self, own: Option<&definition::Limits>) -> Option<Limits> {
        let common = &self.definition.limits;
        let default = Limits::default();
        let memory = own
            .and_then(|own| own.memory.as_ref())
            .or(common.memory.as_ref());
        let output = own
            .and_then(|own| own.output_per_batch.as_ref())
            .or(common.output_per_batch.as_ref());
        let batch = own
            .and_then(|own| own.batch_memory.as_ref())
            .or(common.batch_memory.as_ref());
        let time = own
            .and_then(|own| own.time_per_batch.as_ref())
            .or(common.time_per_batch.as_ref());
        let log = own
            .and_then(|own| own.log_lines.as_ref())
            .or(common.log_lines.as_ref());
        Some(Limits {
            memory_bytes: match memory {
                Some(memory) => self.within(
                    "memory",
                    memory.span(),
                    memory.get_ref().0,
                    MEMORY_BYTES_RANGE,
                )?,
                None => default.memory_bytes,
            },
            output_bytes: match output {
                Some(output) => self.within(
                    "output-per-batch",
                    output.span(),
                    output.get_ref().0,
                    MEMORY_BYTES_RANGE,
                )?,
                None => default.output_bytes,
            },
            batch_bytes: match batch {
                Some(batch) => {
                    let range = BATCH_BYTES_RANGE;
                    self.within("batch-memory", batch.span(), batch.get_ref().0, range)?
                }
                None => default.batch_bytes,
            },
            time_per_batch: match time {
                Some(time) => self.time("time-per-batch", time)?,
                None => default.time_per_batch,
            },
            log_lines: match log {
                Some(log) => {
                    self.within("log-lines", log.span(), *log.get_ref(), LOG_LINES_RANGE)?
                }
                None => default.log_lines,
            },
        })
    }

    fn time(&mut self, key: &str, time: &Spanned<Time>) -> Option<Duration> {
        let milliseconds = time.get_ref().0.as_millis() as u64;
        self.within(key, time.span(), milliseconds, TIME_MILLISECONDS_RANGE)?;
        Some(time.get_ref().0)
    }

    /// A limit that can work at all.
    pub(super) fn within(
        &mut self,
        key: &str,
        span: Span,
        value: u64,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        if range.contains(&value) {
            return Some(value);
        }
        let unit = match key {
            "time-per-batch" | "compile-time" | "lock-wait" | "patience" | "quarantine-time"
            | "time-per-statement" => "ms",
            "keep-days" => "days",
            "open-files" => "files",
            "log-lines" | "log-lines-of-payload" => "lines",
            "quarantine-rows" | "rejected-rows-floor" => "rows",
            "learned-words" => "words",
            "tries" => "tries",
            _ => "bytes",
        };
        let (least, most) = (range.start(), range.end());
        self.add(Problem::new(
            span,
            format!("`{key}` must be between {least} and {most} {unit}"),
        ));
        None
    }

    fn component_path(&mut self, component: &Spanned<String>) -> Option<PathBuf> {
        let named = Path::new(component.get_ref());
        let beside_file = self
            .sources
            .path(&component.span())
            .and_then(Path::parent)
            .map(Path::to_path_buf);
        let beside_pipeline = self.path.parent().map(Path::to_path_buf);
        let folders: Vec<PathBuf> = beside_file
            .into_iter()
            .chain(beside_pipeline)
            .chain(self.surroundings.stage_folders.iter().cloned())
            .collect();
        if let Some(path) = folders
            .iter()
            .map(|folder| folder.join(named))
            .find(|path| path.is_file())
        {
            return Some(path);
        }
        let mut looked: Vec<String> = folders
            .iter()
            .map(|folder| match folder.as_os_str().is_empty() {
                true => ".".to_string(),
                false => folder.display().to_string(),
            })
            .collect();
        looked.dedup();
        self.add(
            Problem::new(
                component.span(),
                format!("component `{}` was not found", named.display()),
            )
            .hint(format!(
                "looked in {}; `--stages DIR` names another folder",
                looked.join(", ")
            ))
            .environment(),
        );
        None
    }
}
