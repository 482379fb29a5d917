//! Files that call themselves stages: what they import, what they do before anybody
//! calls them, and what they are in the first place. `gristmill check` says what is
//! wrong, and a pipeline without them loads as ever.

use std::path::Path;

use crate::support::command::{file, gristmill, same};
use crate::support::payload::write;
use crate::support::scene::Scene;
use crate::support::torture::contained;

/// The host looks for this before it looks any further.
const EXPORTED: &str =
    r#"(instance $stage) (export "gristmill:stage/transform@0.1.0" (instance $stage))"#;

/// The message about a component that did no harm and is no stage.
const NO_STAGE: &str = "is not a complete stage: \
    instance export `gristmill:stage/transform@0.1.0` does not have export `[static]stage.open`";

/// A component whose module has this in it.
fn with_module(module: &str) -> Vec<u8> {
    component(&format!(
        "(core module $m {module}) (core instance (instantiate $m))"
    ))
}

/// A component with this in it.
fn component(text: &str) -> Vec<u8> {
    let text = format!("(component {text} {EXPORTED})");
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\nin {text}"))
}

/// A component that imports an interface without a function.
fn importing(name: &str) -> Vec<u8> {
    component(&format!(r#"(import "{name}" (instance))"#))
}

/// The messages of `gristmill check` about components, all of them before they are
/// compared.
#[derive(Default)]
struct Checks {
    found: String,
    expected: String,
}

impl Checks {
    #[track_caller]
    fn add(&mut self, name: &str, bytes: &[u8], expected: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "hostile.wasm", bytes);
        let found = problem(folder.path());
        self.found += &format!("{name}: {found}\n");
        self.expected += &format!("{name}: {expected}\n");
        contained();
    }

    #[track_caller]
    fn are_as_expected(&self) {
        same("what it says", &self.found, &self.expected);
    }
}

/// The message of `gristmill check` about the component in a folder.
#[track_caller]
fn problem(folder: &Path) -> String {
    let text = format!(
        "extends = {:?}
        [stages.hostile]
        component = \"hostile.wasm\"
        limits = {{ memory = \"16 MiB\", time-per-batch = \"2 s\" }}
        [reports.pod-usage]
        stages = [\"csv-parse\", \"hostile\", \"effective-usage\", \"label-filter\", \"unit-conversion\"]
        ",
        file("pipelines/ocp.toml")
    );
    let pipeline = write(folder, "pipeline.toml", text.as_bytes());
    let ended = gristmill(["check"])
        .argument(pipeline)
        .with_stages()
        .calling(folder, "[FOLDER]")
        .ends_with(2);
    let line = ended.stderr.lines().find_map(|line| {
        let (_, words) = line.split_once("stage `hostile`: ")?;
        // Where a file is cut is of no interest.
        let words = words.split(" (at offset").next()?;
        Some(words.to_string())
    });
    line.unwrap_or_else(|| panic!("it says nothing of the stage\n{ended}"))
}

#[test]
fn what_is_no_component_is_refused() {
    let mut checks = Checks::default();
    let good = component("(core module)");
    let no_component =
        |why: &str| format!("`[FOLDER]/hostile.wasm` is not a WebAssembly component: {why}");
    let no_wasm = |kind: &str| format!("`[FOLDER]/hostile.wasm` is not WebAssembly: it is {kind}");
    checks.add("an empty file", b"", &no_wasm("an empty file"));
    checks.add("text", b"#!/bin/sh\n", &no_wasm("a script"));
    checks.add(
        "a magic number and nothing else",
        b"\0asm",
        &no_component("unexpected end-of-file"),
    );
    checks.add(
        "half a component",
        &good[..12],
        &no_component("section range 10..18 is out of bounds (bound = 12)"),
    );
    let module = wat::parse_str("(module)").expect("a module");
    checks.add(
        "a core module",
        &module,
        &no_component("attempted to parse a wasm module with a component parser"),
    );
    let mut damaged = with_module("");
    // The number of its first section, of which there is none.
    damaged[8] = 0xff;
    checks.add(
        "a damaged component",
        &damaged,
        &no_component("malformed section id"),
    );
    let large = vec![0; 65 << 20];
    checks.add(
        "a component that is too large",
        &large,
        "component `[FOLDER]/hostile.wasm` has 68157440 bytes, more than 67108864 (`component-size`)",
    );
    checks.are_as_expected();
}

#[test]
fn what_a_stage_may_not_have_is_refused_by_name() {
    let mut checks = Checks::default();
    for import in [
        "acme:database/query@1.0.0",
        "gristmill:stage/log@9.0.0",
        "gristmill:stage/secrets@0.1.0",
        "wasi:http/outgoing-handler@0.2.6",
        "wasi:keyvalue/store@0.2.0",
        "wasi:sockets/instance-network@0.2.0-rc-2023-12-05",
        "wasi:sockets/tcp@0.3.0",
    ] {
        let expected =
            format!("component `[FOLDER]/hostile.wasm` imports `{import}`, which a stage may not");
        checks.add(import, &importing(import), &expected);
    }
    checks.are_as_expected();
}

/// The runtime of Python names them, whatever a stage does.
#[test]
fn sockets_may_be_named_and_not_used() {
    let mut checks = Checks::default();
    for import in [
        "wasi:sockets/instance-network@0.2.6",
        "wasi:sockets/ip-name-lookup@0.2.6",
        "wasi:sockets/tcp-create-socket@0.2.6",
        "wasi:sockets/udp@0.2.6",
    ] {
        checks.add(import, &importing(import), NO_STAGE);
    }
    let calling = component(
        r#"(import "wasi:sockets/network@0.2.6" (instance $types
            (export "network" (type (sub resource)))))
        (alias export $types "network" (type $network))
        (import "wasi:sockets/instance-network@0.2.6" (instance $sockets
            (alias outer 1 $network (type $outer))
            (export "network" (type $network (eq $outer)))
            (export "instance-network" (func (result (own $network))))))
        (core func $call (canon lower (func $sockets "instance-network")))
        (core module $m
            (import "host" "call" (func $call (result i32)))
            (func $s (drop (call $call)))
            (start $s))
        (core instance (instantiate $m (with "host" (instance (export "call" (func $call))))))"#,
    );
    checks.add(
        "a call",
        &calling,
        "trapped: the stage called `wasi:sockets/instance-network@0.2.6 instance-network`, \
        which a stage may not",
    );
    checks.are_as_expected();
}

#[test]
fn what_begins_before_it_is_called_has_the_same_limits() {
    let mut checks = Checks::default();
    let started = |body: &str| with_module(&format!("(func $s {body}) (start $s)"));
    checks.add(
        "a start that spins",
        &started("(loop br 0)"),
        "took longer than 2s for one batch (`time-per-batch`)",
    );
    checks.add(
        "a start that traps",
        &started("unreachable"),
        "trapped: `unreachable` instruction executed",
    );
    checks.add(
        "a start that recurses",
        &started("call $s"),
        "trapped: call stack exhausted",
    );
    checks.add(
        "a start that divides by zero",
        &started("(drop (i32.div_u (i32.const 1) (i32.const 0)))"),
        "trapped: integer divide by zero",
    );
    let wanted = "wanted more than 16777216 bytes of memory (`memory`)";
    checks.add(
        "a memory that is too large",
        &with_module("(memory 257)"),
        wanted,
    );
    checks.add(
        "a memory that grows for ever",
        &with_module(
            "(memory 1) (func $s
                (loop (br_if 0 (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
                unreachable)
            (start $s)",
        ),
        wanted,
    );
    checks.add(
        "a table that grows for ever",
        &with_module(
            "(table $t 1 funcref) (func $s
                (loop (br_if 0 (i32.ge_s
                    (table.grow $t (ref.null func) (i32.const 1000)) (i32.const 0))))
                unreachable)
            (start $s)",
        ),
        "trapped: `unreachable` instruction executed",
    );
    checks.add(
        "a table that is too large",
        &with_module("(table 100001 funcref)"),
        "trapped: table minimum size of 100001 elements exceeds table limits",
    );
    checks.add(
        "memory that is read out of bounds",
        &with_module("(memory 1) (func $s (drop (i32.load (i32.const -4)))) (start $s)"),
        "trapped: out of bounds memory access",
    );
    checks.are_as_expected();
}

#[test]
fn features_that_nobody_needs_harm_nobody() {
    let mut checks = Checks::default();
    for (name, module) in [
        ("a 64-bit memory", "(memory i64 1)"),
        ("two memories", "(memory 1) (memory 1)"),
        ("tail calls", "(func $s return_call $s)"),
    ] {
        checks.add(name, &with_module(module), NO_STAGE);
    }
    for (name, module, why) in [
        (
            "a shared memory",
            "(memory 1 1 shared)",
            "threads must be enabled for shared memories",
        ),
        (
            "garbage collection",
            "(type (struct (field i32)))",
            "cannot define struct types when gc types are disabled",
        ),
        ("exceptions", "(tag)", "exceptions proposal not enabled"),
    ] {
        let refused = format!("`[FOLDER]/hostile.wasm` is not a WebAssembly component: {why}");
        checks.add(name, &with_module(module), &refused);
    }
    checks.are_as_expected();
}

#[test]
fn a_good_payload_loads_after_all_that() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "hostile.wasm", b"\0asm");
    problem(folder.path());
    Scene::new().still_loads();
}
