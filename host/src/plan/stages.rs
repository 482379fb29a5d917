//! The stages of a definition: their components found and loaded, their limits
//! settled.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::StagePlan;
use super::resolve::Resolver;
use crate::definition;
use crate::problem::{Problem, Span};
use crate::stage::{Limits, Reason};

/// Less cuts headers and makes batches of nothing; more is not a chunk.
pub(super) const CHUNK_BYTES_RANGE: RangeInclusive<u64> = 64 << 10..=256 << 20;

/// From the first page of a small component to all that 32-bit memory can be.
const MEMORY_BYTES_RANGE: RangeInclusive<u64> = 64 << 10..=4 << 30;

/// From a tick of the clock that interrupts stages to an hour.
const TIME_MILLISECONDS_RANGE: RangeInclusive<u64> = 10..=3_600_000;

impl Resolver<'_> {
    pub(super) fn stage(
        &mut self,
        name: &Spanned<String>,
        stage: &definition::Stage,
    ) -> Option<StagePlan> {
        let path = self.component_path(&stage.component)?;
        let pin = stage.sha256.as_ref();
        let loaded = self
            .surroundings
            .engine
            .load(&path, pin.map(|pin| pin.get_ref().as_str()));
        let component = match loaded {
            Ok(component) => component,
            Err(unusable) => {
                let span = match (unusable.reason, pin) {
                    (Reason::Pin, Some(pin)) => pin.span(),
                    _ => stage.component.span(),
                };
                let mut problem = Problem::new(
                    span,
                    format!("stage `{}`: {}", name.get_ref(), unusable.message),
                );
                problem.hint = unusable.hint;
                problem.environment = unusable.reason == Reason::Unreadable;
                self.report(problem);
                return None;
            }
        };
        let config = match &stage.config {
            Some(config) => match serde_json::to_string(config.get_ref()) {
                Ok(json) => json,
                Err(error) => {
                    self.report(Problem::new(config.span(), error.to_string()));
                    return None;
                }
            },
            None => "{}".to_string(),
        };
        let own = stage.limits.as_ref().map(Spanned::get_ref);
        if let (Some(limits), Some(own)) = (&stage.limits, own)
            && (own.chunk.is_some() || own.rejected_rows.is_some())
        {
            self.report(Problem::new(
                limits.span(),
                "`chunk` and `rejected-rows` are limits of the pipeline, not of a stage",
            ));
        }
        let limits = self.stage_limits(own)?;
        Some(StagePlan {
            name: name.get_ref().clone(),
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
        })
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
        let time = own
            .and_then(|own| own.time_per_batch.as_ref())
            .or(common.time_per_batch.as_ref());
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
            time_per_batch: match time {
                Some(time) => {
                    let milliseconds = time.get_ref().0.as_millis() as u64;
                    let range = TIME_MILLISECONDS_RANGE;
                    self.within("time-per-batch", time.span(), milliseconds, range)?;
                    time.get_ref().0
                }
                None => default.time_per_batch,
            },
        })
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
        let unit = if key.starts_with("time") {
            "ms"
        } else {
            "bytes"
        };
        let (least, most) = (range.start(), range.end());
        self.report(Problem::new(
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
        self.report(
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
