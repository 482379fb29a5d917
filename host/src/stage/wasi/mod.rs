//! The WASI that a component's language runtime may ask for. It holds nothing.
//!
//! A stage has no authority: no files, network, clock, environment or randomness.
//! But most toolchains link a runtime that imports some of WASI before the stage's
//! own code begins. `wasmtime-wasi` answers those imports from an empty context: no
//! environment, no arguments, no directories, a clock that stands still, bytes from
//! a fixed seed. What is written to standard output or error goes to the stage's log.
//! Sockets may be imported, since the runtime of Python does, and are not there: a call
//! ends the stage. Every other interface that is not listed here is refused when the
//! component is loaded.
//!
//! WASI runs in the host, where the time limit of a stage does not reach. So none of
//! its calls waits ([`io`]), and each makes the host hold as much as `limits` allows.

mod clock;
mod io;
mod output;

use std::fmt;
use std::sync::{Arc, Mutex};

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, HasSelf, Linker, ResourceTable, ResourceTableError, ResourceType,
};
use wasmtime::{Engine, Error, Result};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sync};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_io::bindings::wasi::io::error;

use self::clock::{Clock, HasClock, StillClock};
use self::io::{HasIo, Io};
use self::output::{Output, Stream, Written};
use super::limits::{RANDOM_BYTES_MAX, WASI_RESOURCES_MAX};
use super::state::State;
use crate::diagnostics::log_line::LogLevel;

/// The seed of the random bytes of every stage.
const SEED: u64 = 0x6772_6973_746d_696c;

type Add = fn(&mut Linker<State>) -> Result<()>;

/// The interfaces that a component may import, without their versions, and what
/// defines each.
const INTERFACES: [(&str, Add); 20] = [
    ("wasi:cli/environment", |linker| {
        cli::environment::add_to_linker::<_, WasiCli>(linker, State::cli)
    }),
    ("wasi:cli/exit", |linker| {
        cli::exit::add_to_linker::<_, WasiCli>(linker, State::cli)
    }),
    ("wasi:cli/stderr", |linker| {
        cli::stderr::add_to_linker::<_, WasiCli>(linker, State::cli)
    }),
    ("wasi:cli/stdin", |linker| {
        cli::stdin::add_to_linker::<_, WasiCli>(linker, State::cli)
    }),
    ("wasi:cli/stdout", |linker| {
        cli::stdout::add_to_linker::<_, WasiCli>(linker, State::cli)
    }),
    ("wasi:cli/terminal-input", |linker| {
        cli::terminal_input::add_to_linker::<_, WasiCli>(linker, State::cli)
    }),
    ("wasi:cli/terminal-output", |linker| {
        cli::terminal_output::add_to_linker::<_, WasiCli>(linker, State::cli)
    }),
    ("wasi:cli/terminal-stderr", |linker| {
        cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, State::cli)
    }),
    ("wasi:cli/terminal-stdin", |linker| {
        cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, State::cli)
    }),
    ("wasi:cli/terminal-stdout", |linker| {
        cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, State::cli)
    }),
    ("wasi:clocks/monotonic-clock", |linker| {
        clocks::monotonic_clock::add_to_linker::<_, HasClock>(linker, |state| Clock(state.clocks()))
    }),
    ("wasi:clocks/wall-clock", |linker| {
        clocks::wall_clock::add_to_linker::<_, WasiClocks>(linker, State::clocks)
    }),
    ("wasi:filesystem/preopens", |linker| {
        filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, State::filesystem)
    }),
    ("wasi:filesystem/types", |linker| {
        sync::filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, State::filesystem)
    }),
    ("wasi:io/error", |linker| {
        error::add_to_linker::<_, HasSelf<ResourceTable>>(linker, |state| state.ctx().table)
    }),
    ("wasi:io/poll", |linker| {
        sync::io::poll::add_to_linker::<_, HasIo>(linker, |state| Io(state.ctx().table))
    }),
    ("wasi:io/streams", |linker| {
        sync::io::streams::add_to_linker::<_, HasIo>(linker, |state| Io(state.ctx().table))
    }),
    ("wasi:random/insecure", |linker| {
        random::insecure::add_to_linker::<_, WasiRandom>(linker, State::random)
    }),
    ("wasi:random/insecure-seed", |linker| {
        random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, State::random)
    }),
    ("wasi:random/random", |linker| {
        random::random::add_to_linker::<_, WasiRandom>(linker, State::random)
    }),
];

/// Whether an import, as a component names it, is of an interface that is there. Of
/// the versions of 0.2, a later one has all that an earlier one has.
pub(super) fn is_inert(import: &str) -> bool {
    let interface = interface(import);
    INTERFACES.iter().any(|(name, _)| interface == Some(name))
}

/// Whether an import is of an interface that is not there, but that a component may name.
pub(super) fn is_absent(import: &str) -> bool {
    interface(import).is_some_and(|interface| interface.starts_with(ABSENT))
}

/// The interface of an import of a release of 0.2, without its version.
fn interface(import: &str) -> Option<&str> {
    let (interface, version) = import.split_once("@0.2.")?;
    let is_release = version.bytes().all(|byte| byte.is_ascii_digit());
    is_release.then_some(interface)
}

/// Interfaces that runtimes of languages import and stages have no use for.
const ABSENT: &str = "wasi:sockets/";

/// Resources of other interfaces, which are there and which the absent ones name.
const PRESENT: [&str; 4] = ["error", "input-stream", "output-stream", "pollable"];

/// Stands for the resources of interfaces that are not there. Nobody ever has one.
struct AbsentResource;

/// A function was called that is not there.
#[derive(Debug)]
struct AbsentCalled(String);

impl fmt::Display for AbsentCalled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the stage called `{}`, which a stage may not",
            self.0
        )
    }
}

impl std::error::Error for AbsentCalled {}

/// Defines those interfaces that a component names and that are not there: each function
/// ends the stage.
pub(super) fn add_absent(
    linker: &mut Linker<State>,
    engine: &Engine,
    component: &Component,
) -> Result<()> {
    let component_type = component.component_type();
    for (import, item) in component_type.imports(engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        if !is_absent(import) {
            continue;
        }
        let mut absent = linker.instance(import)?;
        for (name, item) in instance.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(_) => {
                    let called = format!("{import} {name}");
                    absent.func_new(name, move |_, _, _, _| {
                        Err(AbsentCalled(called.clone()).into())
                    })?;
                }
                ComponentItem::Resource(_) if !PRESENT.contains(&name) => {
                    let resource = ResourceType::host::<AbsentResource>();
                    absent.resource(name, resource, |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Defines every interface that a component may import.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    INTERFACES.iter().try_for_each(|(_, add)| add(linker))
}

/// The WASI of one store.
pub(super) struct Wasi {
    context: WasiCtx,
    resources: ResourceTable,
    written: Arc<Mutex<Written>>,
}

impl Wasi {
    /// No environment, arguments, directories, addresses or input, which is what a
    /// context has that nobody gave any. Clocks and chance are the machine's in it.
    pub(super) fn empty(lines_max: u64) -> Self {
        let written = Written::with_room(lines_max);
        let output = |stream| Output {
            stream,
            written: Arc::clone(&written),
        };
        let chance = Xoshiro256PlusPlus::seed_from_u64(SEED);
        let context = WasiCtxBuilder::new()
            .stdout(output(Stream::Output))
            .stderr(output(Stream::Error))
            .wall_clock(StillClock)
            .monotonic_clock(StillClock)
            .secure_random(chance.clone())
            .insecure_random(chance)
            .insecure_random_seed(0)
            .max_random_size(RANDOM_BYTES_MAX)
            .build();
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(WASI_RESOURCES_MAX);
        Self {
            context,
            resources,
            written,
        }
    }

    /// The lines that were written to standard output and error since the last call, each
    /// with its level, and how many more there were. At the `end` of a call, with the line
    /// that has not ended.
    pub(super) fn take_lines(&mut self, end: bool) -> (Vec<(LogLevel, String)>, u64) {
        let mut written = output::locked(&self.written);
        match end {
            true => written.take_all(),
            false => written.take_lines(),
        }
    }

    /// The end of what was written since lines were taken at the end of a call, in place
    /// of its lines.
    pub(super) fn take_end(&mut self) -> Vec<u8> {
        output::locked(&self.written).take_end()
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi.context,
            table: &mut self.wasi.resources,
        }
    }
}

/// Why a call of WASI broke the stage, where the library has no sentence for it.
pub(super) fn reason(error: &Error) -> Option<String> {
    if error.is::<I32Exit>() {
        return Some("the stage exited, which a stage may not".into());
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return Some(format!(
            "the stage holds more than {WASI_RESOURCES_MAX} streams and pollables"
        ));
    }
    let words = error.root_cause().to_string();
    words.starts_with("requested len").then(|| {
        format!("the stage asked for more than {RANDOM_BYTES_MAX} random bytes in one call")
    })
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

    use super::*;
    use crate::stage::{Engine as StageEngine, Limits};

    /// Something of each interface, in the order of the list.
    const MEMBERS: [&str; INTERFACES.len()] = [
        "get-arguments",
        "exit",
        "get-stderr",
        "get-stdin",
        "get-stdout",
        "terminal-input",
        "terminal-output",
        "get-terminal-stderr",
        "get-terminal-stdin",
        "get-terminal-stdout",
        "now",
        "now",
        "get-directories",
        "filesystem-error-code",
        "error",
        "poll",
        "input-stream",
        "get-insecure-random-u64",
        "insecure-seed",
        "get-random-u64",
    ];

    #[test]
    fn every_interface_on_the_list_is_there_and_no_other() {
        let engine = StageEngine::new(None).unwrap();
        let is_there = |import: &str, member: &str| {
            // Whatever the member is, it is not missed for being of another type.
            let text =
                format!("(component (import {import:?} (instance (export {member:?} (func)))))");
            let bytes = wat::parse_str(text).unwrap();
            let component = Component::new(&engine.engine, bytes).unwrap();
            match engine.linker.instantiate_pre(&component) {
                Ok(_) => true,
                Err(error) => !format!("{error:#}").contains("is missing"),
            }
        };
        for ((interface, _), member) in INTERFACES.iter().zip(MEMBERS) {
            // Of toolchains that are older than the library, and of younger ones.
            for version in ["0.2.0", "0.2.6", "0.2.99"] {
                let import = format!("{interface}@{version}");
                assert!(is_inert(&import) && is_there(&import, member), "{import}");
            }
        }
        for (import, member) in [
            ("wasi:cli/environment", "get-arguments"),
            ("wasi:cli/environment@0.2.0-rc-2023-12-05", "get-arguments"),
            ("wasi:cli/environment@0.3.0", "get-arguments"),
            ("wasi:sockets/instance-network@0.2.6", "instance-network"),
        ] {
            assert!(!is_inert(import) && !is_there(import, member), "{import}");
        }
        assert!(is_absent("wasi:sockets/tcp@0.2.9"));
        assert!(!is_absent("wasi:sockets/tcp@0.3.0") && !is_absent("wasi:http/types@0.2.9"));
    }

    #[test]
    fn chance_is_the_same_in_every_store() {
        let drawn = || {
            let mut state = State::new(&Limits::default());
            let chance = state.random();
            (
                random::Host::get_random_bytes(chance, 16).unwrap(),
                random::Host::get_random_u64(chance).unwrap(),
                insecure::Host::get_insecure_random_bytes(chance, 16).unwrap(),
                insecure::Host::get_insecure_random_u64(chance).unwrap(),
                insecure_seed::Host::insecure_seed(chance).unwrap(),
            )
        };
        assert_eq!(drawn(), drawn());
        assert_ne!(drawn().0, [0; 16]);
    }

    #[test]
    fn as_much_chance_as_is_allowed_can_be_had_in_one_call() {
        let mut state = State::new(&Limits::default());
        let mut draw = |count| random::Host::get_random_bytes(state.random(), count);
        assert_eq!(draw(RANDOM_BYTES_MAX).unwrap().len(), 65_536);
        let error = draw(RANDOM_BYTES_MAX + 1).unwrap_err();
        assert_eq!(
            reason(&error).as_deref(),
            Some("the stage asked for more than 65536 random bytes in one call")
        );
    }
}
