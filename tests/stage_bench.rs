//! `gristmill stage bench`: the cost of a stage. Speed is only a number here: the machine
//! may be busy.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::command::{Gristmill, gristmill, stages};
use crate::support::payload::{Report, write};

fn bench(component: &str) -> Gristmill {
    gristmill(["stage", "bench"])
        .without_env("DATABASE_URL")
        .argument(stages().join(component))
        .arguments(["--rounds", "1"])
}

/// A report of a day, in a folder that goes with the test.
fn report() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let report = Report::pods().hours(0..24).text().to_string();
    let path = write(folder.path(), "pods.csv", report.as_bytes());
    (folder, path)
}

#[track_caller]
fn number(batch: &Value, key: &str) -> f64 {
    batch[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key}: {batch}"))
}

#[test]
fn a_transform_is_measured_by_batch_size() {
    let (_folder, path) = report();
    let run = || {
        bench("effective_usage.wasm")
            .argument("--in")
            .argument(&path)
            .arguments(["--batch-rows", "10,1000", "--json"])
            .succeeds()
            .stderr_is("")
            .json()
    };
    let (first, second) = (run(), run());
    assert_eq!(first["world"], "transform");
    for key in ["compile_seconds", "open_seconds"] {
        assert!(number(&first, key) > 0.0, "{key}");
    }
    let sizes = first["batches"].as_array().expect("sizes");
    assert_eq!(sizes.len(), 2);
    for (position, (batch, rows)) in sizes.iter().zip([10, 1_000]).enumerate() {
        assert_eq!(batch["rows"], rows);
        assert!(number(batch, "rows_per_second") > 0.0);
        assert!(number(batch, "spread") >= 0.0);
        // Two columns of float64 come out, four go in.
        assert_eq!(number(batch, "bytes_out_per_row"), 16.0);
        assert!(number(batch, "bytes_in_per_row") >= 32.0);
        for key in ["fuel_per_row", "bytes_in_per_row", "memory_bytes"] {
            assert!(number(batch, key) > 0.0, "{key}");
            assert_eq!(batch[key], second["batches"][position][key], "{key}");
        }
    }
    // The cost of a call itself is spread over more rows.
    assert!(number(&sizes[0], "fuel_per_row") > number(&sizes[1], "fuel_per_row"));
}

#[test]
fn a_parser_is_measured_too() {
    let (_folder, path) = report();
    let ended = bench("csv_parse.wasm")
        .argument("--in")
        .argument(&path)
        .arguments(["--batch-rows", "100"])
        .succeeds();
    assert!(ended.stdout.contains("A/A spread"), "{ended}");
    assert!(ended.stdout.contains("│          100"), "{ended}");
    assert!(ended.stderr.starts_with("compiles in "), "{ended}");
}

#[test]
fn nothing_can_be_measured_without_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    for component in ["effective_usage.wasm", "csv_parse.wasm"] {
        bench(component)
            .argument("--in")
            .argument(write(folder.path(), "none.csv", b"pod,x\n"))
            .ends_with(2)
            .stdout_is("")
            .stderr_is("error: the input cannot be used: the input has no rows to measure with");
    }
}
