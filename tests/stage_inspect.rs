//! `gristmill stage inspect`: what a component is, and whether it may run.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::command::{Gristmill, gristmill, stages};
use crate::support::payload::write;

fn inspect(component: PathBuf) -> Gristmill {
    gristmill(["stage", "inspect"])
        .without_env("DATABASE_URL")
        .argument(component)
}

/// A component written by hand, in a folder that goes with the test.
fn by_hand(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = wat::parse_str(text).expect("a component");
    let path = write(folder.path(), "by_hand.wasm", &bytes);
    (folder, path)
}

#[test]
fn a_stage_shows_its_contract() {
    let inspected = inspect(stages().join("label_filter.wasm"))
        .arguments(["--schema", "pod=utf8,pod_labels=dictionary", "--json"])
        .succeeds()
        .stderr_is("")
        .json();
    for (key, value) in [
        ("world", json!("transform")),
        ("version", json!("0.1.0")),
        ("host_version", json!("0.1.0")),
        ("may_run", json!(true)),
        ("reason", Value::Null),
        ("sha256", json!("[DIGEST]")),
        ("refuses", Value::Null),
        (
            "contract",
            json!({
                "reads": [{"name": "pod_labels", "type": "dictionary"}],
                "writes": [{"name": "pod_labels", "type": "json"}],
                "drops": [],
                "row_effect": "keeps",
            }),
        ),
    ] {
        assert_eq!(inspected[key], value, "{key}");
    }
    assert!(inspected["compile_seconds"].as_f64() > Some(0.0));
    assert!(inspected["bytes"].as_u64() > Some(1_000));
    let imports = inspected["imports"].as_array().expect("imports");
    let log = json!({"name": "gristmill:stage/log@0.1.0", "verdict": "contract"});
    assert!(imports.contains(&log), "{inspected}");
}

#[test]
fn without_columns_it_says_which_are_missing() {
    let ended = inspect(stages().join("effective_usage.wasm"))
        .arguments(["--config", "method = \"max\""])
        .succeeds();
    for words in [
        "  world      transform 0.1.0\n",
        "  may run    yes\n",
        "the contract\n",
        "opened with config {\"method\":\"max\"}\n  \
        refuses    column `pod_usage_cpu_core_seconds`: is missing\n             \
        `--schema COLUMN=TYPE,…` says which columns reach it",
    ] {
        assert!(ended.stdout.contains(words), "{words}\n{ended}");
    }
}

#[test]
fn a_parser_gives_what_it_is_asked_for() {
    let ended = inspect(stages().join("csv_parse.wasm"))
        .arguments(["--schema", "pod=dictionary"])
        .succeeds();
    assert!(
        ended.stdout.contains("  world      parser 0.1.0\n"),
        "{ended}"
    );
    assert!(
        ended.stdout.ends_with("  gives      pod dictionary\n"),
        "{ended}"
    );
}

#[test]
fn another_version_of_the_contract_is_named() {
    let (folder, path) = by_hand(
        "(component
            (import \"gristmill:stage/log@0.9.0\" (instance))
            (instance $stage)
            (export \"gristmill:stage/transform@0.9.0\" (instance $stage)))",
    );
    let ended = inspect(path).calling(folder.path(), "[FOLDER]").succeeds();
    for words in [
        "  world      transform; built for 0.9.0, this host speaks 0.1.0\n",
        "  may run    no: component `[FOLDER]/by_hand.wasm` was built for version 0.9.0 \
        of the stage contract; this host speaks 0.1.0\n             \
        build it again with `wit/released/0.1.0/stage.wit`, or run it with a gristmill that speaks 0.9.0\n",
        "  gristmill:stage/log@0.9.0  the contract, in a version that this host does not speak",
    ] {
        assert!(ended.stdout.contains(words), "{words}\n{ended}");
    }
}

#[test]
fn each_import_gets_a_verdict() {
    let (folder, path) = by_hand(
        "(component
            (import \"wasi:cli/environment@0.2.6\" (instance))
            (import \"wasi:sockets/tcp@0.2.6\" (instance))
            (import \"wasi:http/types@0.2.6\" (instance))
            (instance $stage)
            (export \"gristmill:stage/parser@0.1.0\" (instance $stage)))",
    );
    let inspected = inspect(path)
        .calling(folder.path(), "[FOLDER]")
        .argument("--json")
        .succeeds()
        .json();
    assert_eq!(
        inspected["imports"],
        json!([
            {"name": "wasi:cli/environment@0.2.6", "verdict": "inert"},
            {"name": "wasi:sockets/tcp@0.2.6", "verdict": "absent"},
            {"name": "wasi:http/types@0.2.6", "verdict": "refused"},
        ])
    );
    assert_eq!(inspected["may_run"], false);
    assert_eq!(
        inspected["reason"],
        "component `[FOLDER]/by_hand.wasm` imports `wasi:http/types@0.2.6`, \
        which a stage may not"
    );
}

#[test]
fn what_is_compiled_already_comes_from_the_cache() {
    let cache = tempfile::tempdir().expect("a folder");
    let component = stages().join("unit_conversion.wasm");
    let inspected = || {
        let inspect = inspect(component.clone()).env("GRISTMILL_CACHE", cache.path());
        inspect.argument("--json").succeeds().json()
    };
    let (first, second) = (inspected(), inspected());
    assert_eq!(
        (&first["cached"], &second["cached"]),
        (&json!(false), &json!(true))
    );
    // To a microsecond: it is what the first one took.
    let time = |inspected: &Value| inspected["compile_seconds"].as_f64().expect("a time");
    assert!(
        (time(&first) - time(&second)).abs() < 1e-5,
        "{first}\n{second}"
    );
}

#[test]
fn what_is_no_component_is_looked_at_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let module = wat::parse_str("(module)").expect("a module");
    for (name, bytes, reason) in [
        ("text.wasm", &b"hello"[..], "is not WebAssembly: it is text"),
        (
            "zip.wasm",
            b"PK\x03\x04",
            "is not WebAssembly: it is a zip archive",
        ),
        ("module.wasm", &module, "is not a WebAssembly component: "),
    ] {
        let inspected = inspect(write(folder.path(), name, bytes))
            .argument("--json")
            .ends_with(1)
            .json();
        assert_eq!(inspected["may_run"], false, "{name}");
        assert_eq!(inspected["bytes"], bytes.len(), "{name}");
        let found = inspected["reason"].as_str().expect("a reason");
        assert!(found.contains(reason), "{found}");
    }
    let ended = inspect(folder.path().join("no.wasm"))
        .ends_with(3)
        .stdout_is("");
    assert!(ended.stderr.contains("cannot read component"), "{ended}");
}
