//! Stages that make texts of one text: each text is shown to them once, and what they
//! say of it goes for all rows that have it.

use crate::support::component;
use crate::support::payload::Report;
use crate::support::scene::{Scene, check_quarantine, later};

/// The pipeline with the laconic stage behind the parser, and many small batches.
fn laconic() -> String {
    format!(
        "[stages.laconic]
        component = {:?}
        learn = {{ pods = \"tag-keys\" }}

        [reports.pod-usage]
        stages = [\"csv-parse\", \"laconic\", \"effective-usage\", \"label-filter\", \"unit-conversion\"]

        [limits]
        chunk = \"64 KiB\"
        ",
        component::laconic().join("laconic.wasm")
    )
}

/// Rows of three pods in turn, but for some, which are of another.
fn in_turn(rows: usize, others: &[(usize, &str)]) -> Report {
    (0..rows).fold(Report::pods(), |report, row| {
        let other = others.iter().find(|(at, _)| *at == row);
        let pod = other.map_or(["a", "b", "c"][row % 3], |(_, pod)| *pod);
        report.row((row % 24) as u32, &[("pod", pod)])
    })
}

/// How many rows are staged of which pod.
const PODS: &str = "SELECT string_agg(DISTINCT pod, ' ' ORDER BY pod)
    FROM reporting_ocpusagelineitem_pod_staging
    JOIN gristmill_generation ON gristmill_generation.id = generation AND run_id = 2";

const LEARNED: &str = "SELECT string_agg(key, ',' ORDER BY key) FROM reporting_enabledtagkeys";

#[test]
fn a_stage_of_texts_is_shown_each_of_them_once() {
    let scene = Scene::with_pipeline(&laconic());
    let ended = scene.load(&later(&in_turn(1_200, &[])));
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(ended.stderr, "");
    check_quarantine(&scene.database, &[]);
    scene.has_usage("600");
    let pods = scene.database.query_value(PODS);
    assert_eq!(pods.as_deref(), Some("a! b! c!"));
    let learned = scene.database.query_value(LEARNED);
    assert_eq!(learned.as_deref(), Some("a,b,c"));
}

#[test]
fn each_row_of_a_text_that_is_rejected_goes_to_quarantine() {
    let patient = laconic().replace("[limits]", "[limits]\nrejected-rows = \"5 %\"");
    let scene = Scene::with_pipeline(&patient);
    let bad = [0, 1, 599, 600, 1_199];
    let ended = scene.load(&later(&in_turn(1_200, &bad.map(|row| (row, "bad")))));
    assert_eq!(ended.code, Some(0), "{ended}");
    let expected = bad.map(|row| {
        let line = row + 2;
        format!("pods.csv|{line}|laconic|64|pod|bad-pod|nobody wants it|t|t|published")
    });
    check_quarantine(
        &scene.database,
        &expected.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    scene.has_usage("597.5");
}

#[test]
fn each_row_of_a_text_that_breaks_the_stage_goes_to_quarantine() {
    let forgetful = laconic().replace("learn = { pods = \"tag-keys\" }", "");
    let scene = Scene::with_pipeline(&forgetful);
    let bad = [7, 8, 700].map(|row| (row, "worse"));
    let ended = scene.load(&later(&in_turn(1_200, &bad)));
    assert_eq!(ended.code, Some(0), "{ended}");
    let lines = scene
        .database
        .query_value("SELECT string_agg(line::text, ',' ORDER BY id) FROM gristmill_quarantine");
    assert_eq!(lines.as_deref(), Some("9,10,702"));
    scene.has_usage("598.5");
}
