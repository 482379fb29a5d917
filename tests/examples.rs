//! The example sites of `pipelines/examples`: a stage in each language at work in a
//! real pipeline.

use std::fs;

use crate::support::command::{Gristmill, file, run, same};
use crate::support::payload::{DAY, Payload, Report};
use crate::support::server::TestDatabase;
use crate::support::tools::{self, cache, example};

/// The cases of an example's stage, all of them.
#[track_caller]
fn has_cases_that_pass(site: &str, project: &str) {
    let folder = example(site, project).join(project);
    let cases = fs::read_to_string(folder.join("cases.toml")).expect("cases");
    let count = cases.matches("[[case]]").count();
    tools::stage(&["test"])
        .argument(&folder)
        .succeeds()
        .stderr_is(&format!("{count} cases passed"));
}

/// Runs a payload through a pipeline, with machine code kept between tests.
fn load(database: &TestDatabase, pipeline: std::path::PathBuf, payload: &Payload) -> Gristmill {
    let folder = tempfile::tempdir().expect("a folder").keep();
    let payload = payload.write(&folder, "payload.tar.gz");
    run(database, pipeline, &[payload]).env("GRISTMILL_CACHE", cache())
}

#[test]
fn a_policy_of_its_own_in_python() {
    has_cases_that_pass("floor", "floor-usage");
    let idle = [("pod", "idle"), ("pod_usage_cpu_core_seconds", "0")];
    let busy = [("pod", "busy"), ("pod_usage_cpu_core_seconds", "7200")];
    let report = (0..3).fold(Report::pods(), |report, hour| {
        report.row(hour, &idle).row(hour, &busy)
    });
    let payload = Payload::numbered(1).file("pods.csv", report.text());
    // Three hours: each pod requests a core, one uses none of it, the other two.
    for (pipeline, expected) in [
        (file("pipelines/ocp.toml"), "3"),
        (file("pipelines/ocp-max.toml"), "9"),
        (example("floor", "floor-usage").join("floor.toml"), "7.5"),
    ] {
        let database = TestDatabase::migrated();
        load(&database, pipeline, &payload).succeeds();
        let charged = database.query_value(
            "SELECT trim_scale(sum(pod_effective_usage_cpu_core_hours))
            FROM reporting_ocpusagelineitem_daily_summary
            WHERE namespace = 'app'",
        );
        assert_eq!(charged.as_deref(), Some(expected));
    }
}

#[test]
fn labels_in_one_spelling_in_javascript() {
    has_cases_that_pass("labels", "normalize-labels");
    let report = Report::pods()
        .row(0, &[("pod", "a"), ("pod_labels", "label_app:web")])
        .row(0, &[("pod", "b"), ("pod_labels", "label_Application:Web")])
        .row(0, &[("pod", "c"), ("pod_labels", "label_APP: web")]);
    let payload = Payload::numbered(1).file("pods.csv", report.text());
    for (pipeline, expected) in [
        (file("pipelines/ocp.toml"), "0.5"),
        (
            example("labels", "normalize-labels").join("labels.toml"),
            "1.5",
        ),
    ] {
        let database = TestDatabase::migrated();
        database.execute(
            "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
            VALUES ('app', true, 'OCP')",
        );
        load(&database, pipeline, &payload).succeeds();
        let of_web = database.query_value(
            "SELECT trim_scale(sum(pod_usage_cpu_core_hours))
            FROM reporting_ocpusagelineitem_daily_summary
            WHERE namespace = 'app' AND pod_labels = '{\"app\": \"web\"}'",
        );
        assert_eq!(of_web.as_deref(), Some(expected));
    }
}

/// An hour of a pod in the report of that other system.
fn hour(hour: u32, cpu_used: &str) -> String {
    format!(
        "{{\"month\": \"2026-01-01T00:00:00Z\", \"next_month\": \"2026-02-01T00:00:00Z\", \
        \"start\": \"{DAY}T{hour:02}:00:00Z\", \"end\": \"{DAY}T{hour:02}:59:59Z\", \
        \"node\": \"n1\", \"namespace\": \"app\", \"pod\": \"a\", \
        \"cpu_used\": {cpu_used}, \"cpu_requested\": 3600, \
        \"node_cores\": 4, \"node_core_seconds\": 14400, \
        \"labels\": {{\"app\": \"web\"}}, \"rack\": 7}}\n"
    )
}

#[test]
fn another_report_format_in_rust() {
    has_cases_that_pass("json-lines", "json-lines-parse");
    let report: String = (0..200).map(|row| hour(row % 3, "18")).collect();
    let report = report + &hour(3, "\"much\"");
    let payload = Payload::numbered(1).file("pods.json", &report);
    let database = TestDatabase::migrated();
    let pipeline = example("json-lines", "json-lines-parse").join("json-lines.toml");
    load(&database, pipeline, &payload).succeeds();
    let usage = database.query_rows(
        "SELECT
            trim_scale(sum(pod_usage_cpu_core_hours)),
            trim_scale(sum(pod_request_cpu_core_hours)),
            trim_scale(sum(pod_effective_usage_cpu_core_hours))
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE namespace = 'app'",
    );
    let expected = ["1", "200", "1"].map(|sum| Some(sum.to_string()));
    assert_eq!(usage, [expected]);
    let quarantined = database.query_rows(
        "SELECT file, line, stage, column_name, code, convert_from(raw, 'UTF8')
        FROM gristmill_quarantine",
    );
    let raw = hour(3, "\"much\"");
    let expected = [
        "pods.json",
        "201",
        "json-lines-parse",
        "pod_usage_cpu_core_seconds",
        "not-a-number",
        raw.trim_end(),
    ];
    assert_eq!(quarantined, [expected.map(|cell| Some(cell.to_string()))]);
    // Its labels are known as those of any report are.
    let keys = database.query_value("SELECT string_agg(key, ',') FROM reporting_enabledtagkeys");
    assert_eq!(keys.as_deref(), Some("app"));
}

/// The projects are as `gristmill stage new` makes them, but for the author's part.
#[test]
fn what_all_projects_share_is_the_same_in_all() {
    let copies = [
        (
            "plugins/templates/python/gristmill.py",
            "floor/floor-usage/gristmill.py",
        ),
        (
            "plugins/templates/python/requirements.txt",
            "floor/floor-usage/requirements.txt",
        ),
        ("wit/stage.wit", "floor/floor-usage/wit/stage.wit"),
        (
            "plugins/templates/javascript/gristmill.js",
            "labels/normalize-labels/gristmill.js",
        ),
        ("wit/stage.wit", "labels/normalize-labels/wit/stage.wit"),
    ];
    for (original, copy) in copies {
        let read = |path: &str| fs::read_to_string(file(path)).expect("a file");
        let copy = format!("pipelines/examples/{copy}");
        same(&copy, &read(&copy), &read(original));
    }
}
