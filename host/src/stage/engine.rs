//! The engine that every stage of a process runs in, and the clock that
//! interrupts stages which take too long.

use std::path::Path;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Engine as WasmtimeEngine};

use super::bindings::gristmill::stage::{log, types};
use super::cache::Cache;
use super::compiler::Compiler;
use super::limits::EPOCH_TICK;
use super::state::State;
use super::wasi;

/// Compiles, caches and hosts components.
pub struct Engine {
    pub(super) engine: WasmtimeEngine,
    /// All that a component may import.
    pub(super) linker: Linker<State>,
    pub(super) cache: Cache,
    pub(super) compiler: Compiler,
    /// Whether its components count fuel.
    pub(super) metered: bool,
}

impl Engine {
    /// `cache` is where compiled components are kept; `None` compiles at every
    /// start.
    ///
    /// # Errors
    /// The machine cannot run compiled WebAssembly.
    pub fn new(cache: Option<&Path>) -> wasmtime::Result<Self> {
        Self::make(cache, false)
    }

    /// An engine whose components count fuel: the instructions that they execute,
    /// the same on every machine. It costs more than a quarter of their speed, so
    /// it is for measuring and not for running.
    ///
    /// # Errors
    /// As `new`.
    pub fn metered(cache: Option<&Path>) -> wasmtime::Result<Self> {
        Self::make(cache, true)
    }

    /// The same, but it has this compile what is not in the cache. Without a word it
    /// is compiled here.
    #[must_use]
    pub fn with_compiler(mut self, compiler: Compiler) -> Self {
        self.compiler = compiler;
        self
    }

    fn make(cache: Option<&Path>, metered: bool) -> wasmtime::Result<Self> {
        let engine = machine(metered)?;
        let linker = linker(&engine)?;
        let weak = engine.weak();
        std::thread::Builder::new()
            .name("epoch".into())
            .spawn(move || {
                while let Some(engine) = weak.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    std::thread::sleep(EPOCH_TICK);
                }
            })?;
        Ok(Self {
            engine,
            linker,
            cache: Cache::open(cache),
            compiler: Compiler::Here,
            metered,
        })
    }
}

fn linker(engine: &WasmtimeEngine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    log::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    types::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    wasi::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// The engine without its clock, which is all that compiling needs. A child process
/// that compiles must have the same settings as its parent.
pub(super) fn machine(metered: bool) -> wasmtime::Result<WasmtimeEngine> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .consume_fuel(metered)
        // The same input gives the same output on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // Backtraces hold addresses; the panic hook of the SDK says more.
        .wasm_backtrace_max_frames(None);
    WasmtimeEngine::new(&config)
}
