//! Stages. Only this room knows that they are WebAssembly components.
//!
//! An [`Engine`] loads a [`Component`]; a component opens as a [`Parser`] or a
//! [`Transform`], one per report file. Nothing that a stage returns is used before it has
//! been checked here.

mod bindings;
mod cache;
mod compiler;
mod component;
mod coverage;
mod crossing;
mod documents;
mod engine;
mod error;
pub(crate) mod fuzzing;
mod inspect;
pub mod limits;
mod parser;
mod state;
mod transform;
mod wasi;
mod weight;

use wasmtime::component::ResourceAny;
use wasmtime::{Store, Trap};

use self::bindings::gristmill::stage::types::{BoundSet, Fact as WitFact, Failure as WitFailure};
pub use self::compiler::{COMPILE_COMMAND, Compiler, compile_for_parent};
pub use self::component::{CONTRACT_VERSION, Component, ComponentRefusal, Reason, World};
pub use self::engine::Engine;
pub use self::error::StageError;
pub use self::inspect::{Import, Inspection, Verdict};
pub use self::limits::{Limits, LoadLimits};
pub use self::parser::{Parser, ParserOutput, WantedColumn};
pub use self::state::printable_of_row as cut_for_row;
use self::state::{State, printable};
pub use self::transform::{Contract, MemoizedOutput, RowEffect, Transform, TransformOutput};
pub use self::weight::{rejected_bytes, too_large, written_out_bytes};

/// The settings with which a stage is opened, besides the columns that reach it.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The configuration as a JSON object.
    pub config: String,
    /// Bound sets: name and sorted words.
    pub sets: Vec<(String, Vec<String>)>,
    pub limits: Limits,
}

/// Something that a stage learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub topic: String,
    pub words: Vec<String>,
}

/// The time and memory that a stage has taken since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Instructions executed; counted by a metered engine alone.
    pub fuel: Option<u64>,
    /// Linear memory.
    pub memory_bytes: u64,
    /// Bytes of columns, or of the file, that were handed to it.
    pub bytes_in: u64,
    /// Bytes of columns, and of what says where rows come from, that it returned.
    pub bytes_out: u64,
}

/// A store with an opened stage in it.
struct StageInstance {
    store: Store<State>,
    stage: Option<ResourceAny>,
    limits: Limits,
    bytes_in: u64,
    bytes_out: u64,
}

impl StageInstance {
    fn new(store: Store<State>, limits: Limits) -> Self {
        Self {
            store,
            stage: None,
            limits,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    fn cost(&self) -> Cost {
        Cost {
            // Without fuel in its configuration a store has none to tell of.
            fuel: self.store.get_fuel().ok().map(|left| u64::MAX - left),
            memory_bytes: self.store.data().memory_bytes(),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        }
    }

    /// Gives the stage its full time again, before a call.
    fn begin(&mut self) {
        self.store.data_mut().memory_refused = false;
        self.store.set_epoch_deadline(ticks(&self.limits));
    }

    /// The result of a call: what the stage answered, or why it could not.
    fn end<T>(&mut self, result: wasmtime::Result<Result<T, WitFailure>>) -> Result<T, StageError> {
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failure)) => Err(failure.into()),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// The meaning of a trap.
    fn broken(&mut self, error: &wasmtime::Error) -> StageError {
        if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
            return StageError::Time {
                limit: self.limits.time_per_batch,
            };
        }
        let state = self.store.data_mut();
        if state.memory_refused {
            return StageError::Memory {
                limit_bytes: self.limits.memory_bytes,
            };
        }
        let reason = wasi::reason(error).unwrap_or_else(|| error.root_cause().to_string());
        if reason.contains("fuel") && reason.contains("hostcall") {
            return StageError::malformed(format!(
                "more than {} bytes for one batch (`output-per-batch`)",
                self.limits.output_bytes
            ));
        }
        StageError::Trap {
            reason: reason
                .replace("wasm trap: ", "")
                .replace("wasm `unreachable`", "`unreachable`"),
            said: state.last_words(),
        }
    }

    fn stage(&self) -> Result<ResourceAny, StageError> {
        self.stage.ok_or_else(|| StageError::Trap {
            reason: "it is closed".into(),
            said: None,
        })
    }
}

/// How many ticks of the epoch make the time limit, and one more because the
/// first may come at once.
fn ticks(limits: &Limits) -> u64 {
    let tick = limits::EPOCH_TICK.as_millis();
    u64::try_from(limits.time_per_batch.as_millis() / tick).unwrap_or(u64::MAX / 2) + 1
}

fn bound_sets<'a>(sets: &'a [(String, Vec<&'a str>)]) -> Vec<BoundSet<'a>> {
    sets.iter()
        .map(|(name, words)| BoundSet { name, words })
        .collect()
}

fn borrowed(sets: &[(String, Vec<String>)]) -> Vec<(String, Vec<&str>)> {
    sets.iter()
        .map(|(name, words)| (name.clone(), words.iter().map(String::as_str).collect()))
        .collect()
}

impl From<WitFailure> for StageError {
    fn from(failure: WitFailure) -> Self {
        match failure {
            WitFailure::Config(fault) => Self::Config {
                key: printable(&fault.key),
                reason: printable(&fault.reason),
            },
            WitFailure::Schema(fault) => Self::Schema {
                column: printable(&fault.column),
                reason: printable(&fault.reason),
            },
            WitFailure::Input(fault) => Self::Input {
                line: fault.line,
                column: fault.column.as_deref().map(printable),
                reason: printable(&fault.reason),
            },
        }
    }
}

fn facts(facts: Vec<WitFact>) -> Vec<Fact> {
    facts
        .into_iter()
        .map(|fact| Fact {
            topic: fact.topic,
            words: fact.words,
        })
        .collect()
}
