//! The WASI that a component's language runtime may ask for, made inert.
//!
//! A stage has no authority: no files, network, clock, environment or randomness.
//! But most toolchains link a runtime that imports some of WASI before the stage's
//! own code begins. Those imports get answers that hold nothing: an empty
//! environment, no directories, a clock that stands still, bytes from a fixed seed.
//! What is written to standard output or error is kept for error messages. Every
//! other function of these interfaces traps and names itself; every other
//! interface is refused when the component is loaded.

use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, Resource, ResourceType, Val};
use wasmtime::{Engine, Result, StoreContextMut};

use super::state::State;

/// Interfaces that are inert here, without their versions.
const INERT: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// What one write to standard error may hold, as `check-write` answers it.
const WRITE_BYTES_MAX: u64 = 4096;

/// A host resource that stands for any of WASI's; it holds nothing.
struct Inert;

/// Whether an import, as a component names it, is one of the inert ones.
pub(super) fn is_inert(import: &str) -> bool {
    let interface = import.split('@').next().unwrap_or(import);
    INERT.contains(&interface)
}

/// Defines every inert interface that the component imports.
pub(super) fn add_to_linker(
    linker: &mut Linker<State>,
    component: &Component,
    engine: &Engine,
) -> Result<()> {
    for (name, import) in component.component_type().imports(engine) {
        if !is_inert(name) {
            continue;
        }
        if let ComponentItem::ComponentInstance(interface) = import.ty {
            let mut instance = linker.instance(name)?;
            define(&mut instance, name, &interface, engine)?;
        }
    }
    Ok(())
}

fn define(
    instance: &mut LinkerInstance<'_, State>,
    interface: &str,
    exports: &ComponentInstance,
    engine: &Engine,
) -> Result<()> {
    for (name, item) in exports.exports(engine) {
        match item.ty {
            ComponentItem::Resource(_) => {
                instance.resource(name, ResourceType::host::<Inert>(), |_, _| Ok(()))?;
            }
            ComponentItem::ComponentFunc(_) => {
                let function = name.to_string();
                let full_name = format!("{interface}#{name}");
                instance.func_new(name, move |store, _type, parameters, results| {
                    answer(store, &function, &full_name, parameters, results)
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn answer(
    mut store: StoreContextMut<'_, State>,
    function: &str,
    full_name: &str,
    parameters: &[Val],
    results: &mut [Val],
) -> Result<()> {
    let result = match function {
        "get-environment" | "get-arguments" | "get-directories" => Val::List(Vec::new()),
        "initial-cwd" | "get-terminal-stdin" | "get-terminal-stdout" | "get-terminal-stderr" => {
            Val::Option(None)
        }
        "get-stdin" | "get-stdout" | "get-stderr" | "subscribe" => {
            let inert = Resource::<Inert>::new_own(0);
            Val::Resource(inert.try_into_resource_any(&mut store)?)
        }
        "[method]output-stream.check-write" => {
            Val::Result(Ok(Some(Box::new(Val::U64(WRITE_BYTES_MAX)))))
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            if let Some(Val::List(bytes)) = parameters.get(1) {
                let bytes: Vec<u8> = bytes
                    .iter()
                    .filter_map(|byte| match byte {
                        Val::U8(byte) => Some(*byte),
                        _ => None,
                    })
                    .collect();
                store.data_mut().write_stderr(&bytes);
            }
            Val::Result(Ok(None))
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            Val::Result(Ok(None))
        }
        "get-random-u64" | "get-insecure-random-u64" => Val::U64(draw(store.data_mut())),
        "insecure-seed" | "get-insecure-seed" => Val::Tuple(vec![Val::U64(0), Val::U64(0)]),
        "get-random-bytes" | "get-insecure-random-bytes" => {
            let count = match parameters.first() {
                Some(Val::U64(count)) => (*count).min(WRITE_BYTES_MAX) as usize,
                _ => 0,
            };
            Val::List(
                (0..count)
                    .map(|_| Val::U8(draw(store.data_mut()) as u8))
                    .collect(),
            )
        }
        "now" if full_name.contains("monotonic-clock") => Val::U64(0),
        "resolution" if full_name.contains("monotonic-clock") => Val::U64(1),
        "now" | "resolution" => Val::Record(vec![
            ("seconds".into(), Val::U64(0)),
            (
                "nanoseconds".into(),
                Val::U32(u32::from(function == "resolution")),
            ),
        ]),
        "exit" | "exit-with-code" => {
            return Err(wasmtime::format_err!(
                "the stage exited, which a stage may not"
            ));
        }
        _ => {
            return Err(wasmtime::format_err!(
                "the stage called `{full_name}`, which a stage may not"
            ));
        }
    };
    if let Some(slot) = results.first_mut() {
        *slot = result;
    }
    Ok(())
}

/// The next number of a fixed sequence (splitmix64).
fn draw(state: &mut State) -> u64 {
    state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = state.random;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
