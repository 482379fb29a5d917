//! Reads a component from a file, checks whether it may run here, and makes stages of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wasmtime::Store;
use wasmtime::component::{Component as WasmtimeComponent, Instance, InstancePre};

use super::cache;
use super::compiler::{CompileRefusal, CompiledCode};
use super::engine::Engine;
use super::inspect::{Import, Verdict, exported};
use super::limits::{Limits, LoadLimits};
use super::state::State;
use super::{StageError, StageInstance, wasi};
use crate::diagnostics::file_kind;

/// The version of the contract that this host speaks.
pub const CONTRACT_VERSION: &str = "0.1.0";

/// Which of the two worlds a component is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    Parser,
    Transform,
}

impl fmt::Display for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Parser => "parser",
            Self::Transform => "transform",
        })
    }
}

/// A component that may run.
#[derive(Clone)]
pub struct Component {
    pub path: PathBuf,
    /// SHA-256 of the file, in hexadecimal.
    pub digest: String,
    pub bytes: u64,
    pub world: World,
    /// The imports, as the component names them.
    pub imports: Vec<String>,
    pre: InstancePre<State>,
    metered: bool,
}

impl fmt::Debug for Component {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Component")
            .field("path", &self.path)
            .field("digest", &self.digest)
            .field("world", &self.world)
            .finish_non_exhaustive()
    }
}

/// Why a file cannot be used as a stage.
#[derive(Debug, PartialEq, Eq)]
pub struct ComponentRefusal {
    pub message: String,
    pub hint: Option<String>,
    pub reason: Reason,
    /// The file, once it is known which.
    pub path: PathBuf,
}

/// Where to look for the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The file cannot be read.
    Unreadable,
    /// It is not the file that was pinned.
    Pin,
    /// It is no stage that may run here.
    Component,
}

impl ComponentRefusal {
    fn new(message: String) -> Self {
        Self {
            message,
            hint: None,
            reason: Reason::Component,
            path: PathBuf::new(),
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn reason(mut self, reason: Reason) -> Self {
        self.reason = reason;
        self
    }
}

impl Engine {
    /// Reads and compiles a component and checks what it imports and exports. With
    /// a `pin`, nothing is compiled that has another digest.
    ///
    /// # Errors
    /// The file is unreadable, too large, not the one pinned, not a component, made
    /// for another version of the contract, or wants what a stage may not have.
    pub fn load(&self, path: &Path, pin: Option<&str>) -> Result<Component, ComponentRefusal> {
        self.load_within(path, pin, LoadLimits::default())
    }

    /// As `load`, with other limits than usual.
    ///
    /// # Errors
    /// As `load`.
    pub fn load_within(
        &self,
        path: &Path,
        pin: Option<&str>,
        limits: LoadLimits,
    ) -> Result<Component, ComponentRefusal> {
        self.loaded(path, pin, limits)
            .map_err(|refusal| ComponentRefusal {
                path: path.to_path_buf(),
                ..refusal
            })
    }

    fn loaded(
        &self,
        path: &Path,
        pin: Option<&str>,
        limits: LoadLimits,
    ) -> Result<Component, ComponentRefusal> {
        let shown = path.display();
        let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        if size > limits.component_bytes {
            return Err(too_large(path, size, limits.component_bytes));
        }
        let bytes = read(path)?;
        if !bytes.starts_with(b"\0asm") {
            return Err(not_webassembly(path, &bytes));
        }
        let digest = hex::encode(Sha256::digest(&bytes));
        if let Some(pin) = pin
            && *pin != digest
        {
            return Err(ComponentRefusal::new(format!(
                "component `{shown}` is not the one that was pinned"
            ))
            .hint(format!("{pin} was pinned, it is {digest}"))
            .reason(Reason::Pin));
        }
        let size = bytes.len() as u64;
        let compiled = self
            .compiled(bytes, &digest, limits)
            .map_err(|why| not_compiled(path, limits, &why))?;
        self.admit(path, size, digest, &compiled)
    }

    /// Admits a compiled component if it is a stage that may run here.
    pub(super) fn admit(
        &self,
        path: &Path,
        bytes: u64,
        digest: String,
        compiled: &wasmtime::component::Component,
    ) -> Result<Component, ComponentRefusal> {
        let shown = path.display();
        let component_type = compiled.component_type();
        let exports: Vec<&str> = component_type
            .exports(&self.engine)
            .map(|(name, _)| name)
            .collect();
        let world = world_of(&exports).map_err(|mut unusable| {
            unusable.message = format!("component `{shown}` {}", unusable.message);
            unusable
        })?;
        let imports: Vec<String> = component_type
            .imports(&self.engine)
            .map(|(name, _)| name.to_string())
            .collect();
        if let Some(import) = imports.iter().find(|import| !is_allowed(import)) {
            return Err(ComponentRefusal::new(format!(
                "component `{shown}` imports `{import}`, which a stage may not"
            ))
            .hint("a stage gets its configuration and its batches, nothing else"));
        }
        let mut linker = self.linker.clone();
        let pre = wasi::add_absent(&mut linker, &self.engine, compiled)
            .and_then(|()| linker.instantiate_pre(compiled))
            .map_err(|error| ComponentRefusal::new(format!("component `{shown}`: {error:#}")))?;
        Ok(Component {
            path: path.to_path_buf(),
            digest,
            bytes,
            world,
            imports,
            pre,
            metered: self.metered,
        })
    }

    /// The compiled component: from the cache, or compiled now.
    fn compiled(
        &self,
        bytes: Vec<u8>,
        digest: &str,
        limits: LoadLimits,
    ) -> Result<WasmtimeComponent, CompileRefusal> {
        match self.cache.find(&self.engine, digest) {
            Some((component, _)) => Ok(component),
            None => self
                .compile_within(bytes, digest, limits)
                .map(|(component, _)| component),
        }
    }

    /// The component compiled now, whatever is in the cache, and how long that took.
    pub(super) fn compile_within(
        &self,
        bytes: Vec<u8>,
        digest: &str,
        limits: LoadLimits,
    ) -> Result<(WasmtimeComponent, Duration), CompileRefusal> {
        let compiled = self
            .compiler
            .compile(&self.engine, self.metered, bytes, limits)?;
        let CompiledCode { code, time } = compiled;
        self.cache.keep(&self.engine, digest, &code, time);
        let component = cache::load(&self.engine, &code)
            .map_err(|error| CompileRefusal::Refused(error.root_cause().to_string()))?;
        Ok((component, time))
    }
}

impl Component {
    /// A new instance in a store of its own, with the limits in force. `bind` looks
    /// up the functions of the world.
    pub(super) fn instantiate<G>(
        &self,
        limits: Limits,
        bind: impl FnOnce(&InstancePre<State>, &mut Store<State>, &Instance) -> wasmtime::Result<G>,
    ) -> Result<(StageInstance, G), StageError> {
        let mut store = Store::new(self.pre.engine(), State::new(&limits));
        store.limiter(|state| state);
        store.set_hostcall_fuel(usize::try_from(limits.output_bytes).unwrap_or(usize::MAX));
        store.epoch_deadline_trap();
        if self.metered {
            // The fuel that is gone was used.
            store
                .set_fuel(u64::MAX)
                .map_err(|error| StageError::malformed(error.to_string()))?;
        }
        let mut opened = StageInstance::new(store, limits);
        opened.begin();
        let instance = match self.pre.instantiate(&mut opened.store) {
            Ok(instance) => instance,
            Err(error) => return Err(opened.broken(&error)),
        };
        match bind(&self.pre, &mut opened.store, &instance) {
            Ok(guest) => Ok((opened, guest)),
            Err(error) => Err(StageError::Incomplete {
                reason: format!("{error:#}"),
            }),
        }
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, ComponentRefusal> {
    std::fs::read(path).map_err(|error| {
        let shown = path.display();
        let refusal = ComponentRefusal::new(format!("cannot read component `{shown}`: {error}"))
            .reason(Reason::Unreadable);
        match path.is_dir() {
            true => refusal.hint("it is a folder; name the component (`.wasm`) in it"),
            false => refusal,
        }
    })
}

pub(super) fn too_large(path: &Path, size: u64, bytes_max: u64) -> ComponentRefusal {
    ComponentRefusal::new(format!(
        "component `{}` has {size} bytes, more than {bytes_max} (`component-size`)",
        path.display()
    ))
}

/// Why a component cannot be used that was not compiled.
pub(super) fn not_compiled(
    path: &Path,
    limits: LoadLimits,
    why: &CompileRefusal,
) -> ComponentRefusal {
    let shown = path.display();
    match why {
        CompileRefusal::Time => ComponentRefusal::new(format!(
            "component `{shown}` took longer than {:?} to compile (`compile-time`)",
            limits.compile_time
        )),
        CompileRefusal::Memory => ComponentRefusal::new(format!(
            "component `{shown}` took more than {} bytes of memory to compile (`compile-memory`)",
            limits.compile_memory_bytes
        )),
        CompileRefusal::Refused(reason) => ComponentRefusal::new(format!(
            "`{shown}` is not a WebAssembly component: {reason}"
        ))
        .hint("build it for `wasm32-wasip2`; a core module is not a component"),
        CompileRefusal::Unable(reason) => {
            ComponentRefusal::new(format!("cannot compile component `{shown}`: {reason}"))
                .hint("gristmill compiles in a child process; see that it can start itself")
                .reason(Reason::Unreadable)
        }
    }
}

pub(super) fn not_webassembly(path: &Path, bytes: &[u8]) -> ComponentRefusal {
    let kind = file_kind::of(&bytes[..bytes.len().min(file_kind::BYTES_MAX as usize)]);
    ComponentRefusal::new(format!(
        "`{}` is not WebAssembly: it is {kind}",
        path.display()
    ))
    .hint("a stage is a component (`.wasm`); `gristmill stage build` makes one of a project")
}

fn is_allowed(import: &str) -> bool {
    matches!(
        Import::judged(import).verdict,
        Verdict::Contract | Verdict::Inert | Verdict::Absent
    )
}

fn world_of(exports: &[&str]) -> Result<World, ComponentRefusal> {
    match exports.iter().find_map(|export| exported(export)) {
        Some((world, CONTRACT_VERSION)) => Ok(world),
        Some((_, version)) => Err(ComponentRefusal::new(format!(
            "was built for version {version} of the stage contract; this host speaks {CONTRACT_VERSION}"
        ))
        .hint(format!(
            "build it again with `wit/released/{CONTRACT_VERSION}/stage.wit`, or run it with a gristmill that speaks {version}"
        ))),
        None => Err(ComponentRefusal::new(
            "exports neither `gristmill:stage/parser` nor `gristmill:stage/transform`".into(),
        )
        .hint("a stage exports one of the worlds of `wit/stage.wit`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_of_the_contract_is_named() {
        let refused = world_of(&["gristmill:stage/transform@0.9.0"]).unwrap_err();
        assert_eq!(
            refused.message,
            "was built for version 0.9.0 of the stage contract; this host speaks 0.1.0"
        );
        assert_eq!(
            world_of(&["memory", "gristmill:stage/parser@0.1.0"]),
            Ok(World::Parser)
        );
    }

    #[test]
    fn what_reaches_out_is_not_among_the_allowed_imports() {
        assert!(is_allowed("wasi:cli/environment@0.2.6"));
        assert!(is_allowed("gristmill:stage/log@0.1.0"));
        assert!(!is_allowed("wasi:sockets/tcp@0.3.0"));
        assert!(!is_allowed("wasi:http/outgoing-handler@0.2.6"));
        assert!(!is_allowed("acme:database/query"));
    }
}
