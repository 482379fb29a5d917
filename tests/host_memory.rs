//! Stages and components that keep to their limits and want the host's memory. The host
//! stays small: it knows what a batch will be before it makes it, and compiles where
//! its memory has an end.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::support::command::{Ended, file, gristmill};
use crate::support::component;
use crate::support::cost::Cost;
use crate::support::payload::{Report, write};
use crate::support::scene::{Scene, later};
use crate::support::torture::contained;

/// More than any stage or component shall cost, in the host and in a child of it each.
const MEMORY_BYTES_MAX: u64 = 512 << 20;

/// The pipeline with a hostile stage behind the parser.
fn hostile(behaviour: &str, limits: &str) -> String {
    format!(
        "[stages.hostile]
        component = {:?}
        config = {{ behaviour = {behaviour:?} }}
        limits = {{ memory = \"256 MiB\", time-per-batch = \"60 s\"{limits} }}

        [reports.pod-usage]
        stages = [\"csv-parse\", \"hostile\", \"effective-usage\", \"label-filter\", \"unit-conversion\"]
        ",
        component::hostile().join("hostile.wasm")
    )
}

/// So many pods of one hour.
fn pods(count: usize) -> Vec<u8> {
    let pod = |report: Report, number: usize| report.row(0, &[("pod", &format!("p{number}"))]);
    later(&(0..count).fold(Report::pods(), pod))
}

/// The payload fails with these words, and the host stays small.
#[track_caller]
fn costs_little(pipeline: &str, payload: &[u8], words: &str) -> (Scene, Ended) {
    let scene = Scene::without_floor(pipeline);
    let before = scene.database.digests_of_published();
    let (
        ended,
        Cost {
            memory_peak_bytes, ..
        },
    ) = scene.load_at_a_cost(payload);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains(words), "{ended}");
    assert!(
        memory_peak_bytes < MEMORY_BYTES_MAX,
        "the host held {memory_peak_bytes} bytes\n{ended}"
    );
    let after = scene.database.digests_of_published();
    assert_eq!(after, before, "something was left behind");
    contained();
    (scene, ended)
}

/// A megabyte as it comes out of the stage, three gigabytes as the table has it.
#[test]
fn one_text_for_all_rows_is_not_written_out() {
    let words = "broke at batch 1 (lines 2 to 3001): \
        returned something that the contract does not allow: \
        rows of more than 67108864 bytes for one batch, with their texts written out \
        (`batch-memory`)";
    let (scene, _) = costs_little(&hostile("one-text", ""), &pods(3_000), words);
    scene.loads_without_the_stage();
    let tight = hostile("one-text", ", batch-memory = \"3 MiB\"");
    costs_little(
        &tight,
        &pods(4),
        "rows of more than 3145728 bytes for one batch",
    );
    // Rows within the limit are loaded, a piece at a time.
    let scene = Scene::with_pipeline(&hostile("one-text", ""));
    let (ended, cost) = scene.load_at_a_cost(&pods(40));
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(cost.memory_peak_bytes < MEMORY_BYTES_MAX, "{cost:?}");
}

#[test]
fn rows_that_are_repeated_are_counted_before_they_are_taken() {
    costs_little(
        &hostile("repeats-one-text", ""),
        &pods(3_000),
        "rows of more than 67108864 bytes for one batch",
    );
}

/// Three thousand reasons of 8 kB each.
#[test]
fn why_a_row_is_rejected_is_cut_on_its_way_in() {
    let (scene, _) = costs_little(
        &hostile("rejects-all-at-length", ""),
        &pods(3_000),
        "3000 of 3000 rows were rejected",
    );
    let lengths = scene
        .database
        .query_value("SELECT max(length(message)) || ' of ' || count(*) FROM gristmill_quarantine");
    assert_eq!(lengths.as_deref(), Some("1024 of 3000"));
}

#[test]
fn a_document_is_looked_at_and_not_made() {
    let (scene, _) = costs_little(
        &hostile("much-json", ""),
        &pods(1),
        "invalid type: sequence, expected a map",
    );
    scene.loads_without_the_stage();
}

/// Each byte of the file, in a row of its own.
#[test]
fn rows_of_next_to_nothing_count() {
    let pipeline = format!(
        "[stages.hostile]
        component = {:?}
        config = {{ behaviour = \"splits-bytes\" }}
        limits = {{ memory = \"512 MiB\", time-per-batch = \"60 s\" }}

        [reports.pod-usage]
        stages = [\"hostile\", \"effective-usage\", \"label-filter\", \"unit-conversion\"]
        ",
        component::hostile_parser().join("hostile_parser.wasm")
    );
    costs_little(
        &pipeline,
        &pods(500),
        "stage `hostile` broke at batch 1: returned something that the contract does not allow: \
        rows of more than 67108864 bytes for one batch",
    );
}

/// A component of one function in which everything is alive everywhere.
fn bomb(locals: usize, loops: usize) -> Vec<u8> {
    let mut text = String::from("(component (core module (func (local");
    text += &" i64".repeat(locals);
    text += ")";
    text += &" loop".repeat(loops);
    for local in 0..locals {
        let next = (local + 1) % locals;
        let _ = write!(
            text,
            " local.get {local} i64.const 1 i64.add local.set {next}"
        );
    }
    for depth in 0..loops {
        let _ = write!(text, " local.get {depth} i32.wrap_i64 br_if 0 end");
    }
    text += ")))";
    wat::parse_str(&text).expect("a component")
}

fn pipeline_of(folder: &Path, limits: &str) -> PathBuf {
    let text = format!(
        "extends = {:?}
        [stages.bomb]
        component = \"bomb.wasm\"
        {limits}
        [reports.pod-usage]
        stages = [\"csv-parse\", \"bomb\", \"effective-usage\", \"label-filter\", \"unit-conversion\"]
        ",
        file("pipelines/ocp.toml")
    );
    write(folder, "pipeline.toml", text.as_bytes())
}

#[test]
fn a_component_that_takes_too_much_memory_to_compile_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = bomb(20_000, 8_000);
    assert!(bytes.len() < 720_000, "{}", bytes.len());
    write(folder.path(), "bomb.wasm", &bytes);
    let check = |limits: &str| {
        gristmill(["check"])
            .argument(pipeline_of(folder.path(), limits))
            .with_stages()
            .calling(folder.path(), "[FOLDER]")
            .ends_at_a_cost()
    };
    let inspect = || {
        gristmill(["stage", "inspect"])
            .argument(folder.path().join("bomb.wasm"))
            .calling(folder.path(), "[FOLDER]")
            .ends_at_a_cost()
    };
    let small = "limits = { compile-memory = \"128 MiB\" }";
    for ((ended, cost), limit) in [
        (check(""), 436_207_616),
        (check(small), 134_217_728),
        (inspect(), 436_207_616),
    ] {
        let words = format!(
            "component `[FOLDER]/bomb.wasm` took more than {limit} bytes of memory to compile \
            (`compile-memory`)"
        );
        assert!(ended.to_string().contains(&words), "{ended}");
        let Cost {
            memory_peak_bytes,
            children_peak_bytes,
            ..
        } = cost;
        assert!(
            children_peak_bytes > 64 << 20,
            "nothing was compiled: {cost:?}"
        );
        assert!(
            memory_peak_bytes + children_peak_bytes < MEMORY_BYTES_MAX,
            "{cost:?}"
        );
    }
    contained();
}
