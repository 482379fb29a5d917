//! The JSON Schema of the pipeline file: what `check` can read, an editor accepts.

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;

use crate::support::command::{file, gristmill};

/// Texts that are no TOML, or that name what no list of words has, or that have a secret where
/// its place belongs.
const UNREADABLE: [&str; 6] = [
    "not_toml",
    "unknown_key",
    "bad_quantity",
    "digest_in_a_stage",
    "engine_unknown",
    "secret_written",
];

fn schema() -> Value {
    gristmill(["schema"]).succeeds().stderr_is("").json()
}

fn validator() -> Validator {
    let schema = schema();
    assert!(jsonschema::meta::is_valid(&schema));
    jsonschema::validator_for(&schema).expect("a schema")
}

fn definitions() -> Vec<PathBuf> {
    ["pipelines", "tests/definitions", "tests/definitions/parts"]
        .iter()
        .flat_map(|folder| fs::read_dir(file(folder)).expect("a folder"))
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect()
}

fn document(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).expect("a file");
    let table: toml::Table = toml::from_str(&text).ok()?;
    Some(serde_json::to_value(table).expect("a value"))
}

#[test]
fn a_file_that_can_be_read_is_valid_and_another_is_not() {
    let validator = validator();
    let (mut valid, mut invalid) = (0, 0);
    for path in definitions() {
        let Some(document) = document(&path) else {
            continue;
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let readable = !UNREADABLE.contains(&name.as_ref());
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(errors.is_empty(), readable, "{path:?}: {errors:?}");
        *(if readable { &mut valid } else { &mut invalid }) += 1;
    }
    assert!(valid > 20 && invalid == 5, "{valid} valid, {invalid} not");
}

#[test]
fn an_editor_refuses_what_check_refuses() {
    let validator = validator();
    let whole = document(&file("pipelines/ocp.toml")).expect("a pipeline");
    assert!(validator.is_valid(&whole));
    for (pointer, value) in [
        ("/no-such-key", serde_json::json!(1)),
        ("/stages/csv-parse/componnent", serde_json::json!("a.wasm")),
        ("/stages/csv-parse/component", serde_json::json!(7)),
        ("/stages/csv-parse/config", serde_json::json!("min")),
        (
            "/stages/csv-parse/bind",
            serde_json::json!({"a": "no-such-set"}),
        ),
        ("/limits/memory", serde_json::json!("128")),
        ("/limits/memory", serde_json::json!(128)),
        ("/limits/time-per-batch", serde_json::json!("2 days")),
        ("/limits/rejected-rows", serde_json::json!("1")),
        ("/reports/pod-usage/detect", serde_json::json!("pod")),
        ("/reports/pod-usage/columns/pod", serde_json::json!("json")),
        (
            "/reports/pod-usage/columns/pod",
            serde_json::json!({"typ": "text"}),
        ),
        (
            "/reports/pod-usage/columns/pod",
            serde_json::json!({"optional": true}),
        ),
        ("/archive/keep", serde_json::json!("yes")),
        ("/extends", serde_json::json!(1)),
    ] {
        let mut document = whole.clone();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = match parent {
            "/archive" => {
                document["archive"] = serde_json::json!({});
                &mut document["archive"]
            }
            parent => document.pointer_mut(parent).expect("a table"),
        };
        parent[key] = value.clone();
        assert!(!validator.is_valid(&document), "{pointer} = {value}");
    }
    for pointer in [
        "/pipeline",
        "/reports",
        "/pipeline/name",
        "/stages/csv-parse/component",
        "/reports/pod-usage/detect",
    ] {
        let mut document = whole.clone();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = document.pointer_mut(parent).expect("a table");
        parent.as_object_mut().expect("a table").remove(key);
        assert!(!validator.is_valid(&document), "without {pointer}");
        // The file that it extends may have it.
        document["extends"] = serde_json::json!("base.toml");
        assert!(validator.is_valid(&document), "extends, without {pointer}");
    }
}
