//! Stages that break, lie or take too much. The message says which stage, at which
//! batch and what; nothing of the payload is published or left in staging.

use crate::support::command::{file, gristmill};
use crate::support::component;
use crate::support::payload::{Payload, Report, write};
use crate::support::scene::{Scene, check_quarantine, later};

/// The pipeline with the hostile stage behind the parser.
fn hostile(behaviour: &str) -> String {
    // A busy machine shall not make another fault look like this one.
    let time = match behaviour.starts_with("spins") {
        true => "200 ms",
        false => "20 s",
    };
    format!(
        "[stages.hostile]
        component = {:?}
        config = {{ behaviour = {behaviour:?} }}
        limits = {{ memory = \"16 MiB\", time-per-batch = {time:?} }}

        [reports.pod-usage]
        stages = [\"csv-parse\", \"hostile\", \"effective-usage\", \"label-filter\", \"unit-conversion\"]
        ",
        component::hostile().join("hostile.wasm")
    )
}

/// The volumes are loaded when the stage breaks; they must not stay.
fn of_two_reports() -> Vec<u8> {
    Payload::numbered(2)
        .file("volumes.csv", Report::volumes().hours(0..3).text())
        .file("pods.csv", Report::pods().hours(0..3).text())
        .tarball()
}

/// Where in its source the hostile stage panics.
fn panicking_line() -> usize {
    let source = include_str!("hostile/src/lib.rs");
    let before = source
        .lines()
        .take_while(|line| !line.contains("the dog ate"));
    before.count() + 1
}

#[test]
fn a_stage_that_breaks_fails_the_payload() {
    for (behaviour, words) in [
        (
            "refuses",
            "refused batch 1 (lines 2 to 4): column `pod`: today is a holiday",
        ),
        (
            "panics",
            "broke at batch 1 (lines 2 to 4): trapped: `unreachable` instruction executed\n  \
            it said: panicked at src/lib.rs:LINE: the dog ate 3 rows",
        ),
        (
            "traps",
            "broke at batch 1 (lines 2 to 4): trapped: `unreachable` instruction executed",
        ),
        (
            "exits",
            "broke at batch 1 (lines 2 to 4): trapped: the stage exited, which a stage may not",
        ),
        (
            "spins",
            "broke at batch 1 (lines 2 to 4): took longer than 200ms for one batch (`time-per-batch`)",
        ),
        (
            "eats-memory",
            "broke at batch 1 (lines 2 to 4): wanted more than 16777216 bytes of memory (`memory`)",
        ),
    ] {
        let scene = Scene::with_pipeline(&hostile(behaviour));
        let words = words.replace("LINE", &panicking_line().to_string());
        scene.fails(
            &of_two_reports(),
            &format!(
                "error: cannot ingest report `pods.csv`\n  stage `hostile` {words}\n\n\
                hint: 3 rows had been read; none of them was published"
            ),
        );
    }
}

#[test]
fn a_stage_that_lies_fails_the_payload() {
    for (behaviour, lie) in [
        (
            "ragged",
            "column `pod_usage_cpu_core_seconds`: it has 2 values for 3 rows",
        ),
        (
            "wrong-type",
            "column `pod_usage_cpu_core_seconds`: it is int64 where the contract says float64",
        ),
        ("too-few-columns", "1 columns where its contract writes 2"),
        (
            "bad-offsets",
            "column `pod`: its text offsets do not divide its 3 bytes from first to last",
        ),
        ("bad-utf8", "column `pod`: its text is not valid UTF-8"),
        (
            "bad-keys",
            "column `pod`: key 7 is out of range: it has 1 values",
        ),
        (
            "loses-row",
            "3 rows went in, but 2 came out, 0 were rejected and 0 left out",
        ),
        ("rejects-twice", "row 1 is rejected twice"),
    ] {
        let scene = Scene::with_pipeline(&hostile(behaviour));
        scene.fails(
            &of_two_reports(),
            &format!(
                "error: cannot ingest report `pods.csv`\n  \
                stage `hostile` broke at batch 1 (lines 2 to 4): \
                returned something that the contract does not allow: {lie}\n\n\
                hint: 3 rows had been read; none of them was published"
            ),
        );
    }
}

#[test]
fn a_stage_cannot_return_more_than_its_limit() {
    let scene = Scene::with_pipeline(&hostile("floods").replace("16 MiB", "512 MiB"));
    scene.fails(
        &of_two_reports(),
        "error: cannot ingest report `pods.csv`\n  \
        stage `hostile` broke at batch 1 (lines 2 to 4): \
        returned something that the contract does not allow: \
        more than 67108864 bytes for one batch (`output-per-batch`)\n\n\
        hint: 3 rows had been read; none of them was published",
    );
}

#[test]
fn what_a_stage_rejects_is_quarantined_with_its_raw_row() {
    let scene = Scene::with_pipeline(&format!(
        "[limits]\nrejected-rows = \"50 %\"\n{}",
        hostile("rejects")
    ));
    let payload = later(
        &Report::pods()
            .row(0, &[])
            .row(1, &[("pod", "bad")])
            .row(2, &[])
            .row(3, &[]),
    );
    let ended = scene.load(&payload);
    assert_eq!(ended.code, Some(0), "{ended}");
    check_quarantine(
        &scene.database,
        &["pods.csv|3|hostile|64|pod|disliked|a name that nobody likes|t|t|published"],
    );
    scene.has_usage("1.5");
}

#[test]
fn what_a_stage_says_cannot_control_the_terminal() {
    let scene = Scene::with_pipeline(&hostile("behaves"));
    scene
        .load(&later(&Report::pods().hours(0..3)))
        .stderr_is("warning: stage `hostile`:  [2Jnothing to see here");
}

/// A stage that breaks before any data is there breaks the pipeline.
#[test]
fn a_stage_that_cannot_be_opened_is_a_problem_of_the_pipeline() {
    for (behaviour, words) in [
        (
            "spins-at-open",
            "took longer than 200ms for one batch (`time-per-batch`)",
        ),
        (
            "drops-unknown",
            "returned something that the contract does not allow: \
            it drops column `no_such_column`, which is not there",
        ),
        (
            "dances",
            "config key `behaviour`: unknown variant `dances`, expected one of",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let base = file("pipelines/ocp.toml");
        let text = format!("extends = {base:?}\n{}", hostile(behaviour));
        let pipeline = write(folder.path(), "pipeline.toml", text.as_bytes());
        let ended = gristmill(["check"])
            .argument(pipeline)
            .with_stages()
            .ends_with(2);
        assert!(ended.stderr.contains("stage `hostile`: "), "{ended}");
        assert!(ended.stderr.contains(words), "{ended}");
    }
}
