//! `gristmill status`: how every source stands, and which of them need attention.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::command::{Ended, gristmill, run};
use crate::support::payload::{CLUSTER, Payload, Report};
use crate::support::server::TestDatabase;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[track_caller]
fn load(database: &TestDatabase, payload: &Payload, code: i32) {
    let folder = folder();
    let path = payload.write(folder.path(), "p.tar.gz");
    run(database, "pipelines/ocp.toml", &[path])
        .env("GRISTMILL_DATA", folder.path())
        .ends_with(code);
}

#[track_caller]
fn status(database: &TestDatabase, arguments: &[&str], code: i32) -> Ended {
    gristmill(["status"])
        .arguments(arguments)
        .database(database)
        .ends_with(code)
}

/// An upload of these hours, each of a day and an hour of it. Those of another number
/// say other things of them.
fn hours(number: u32, hours: &[(u32, u32)]) -> Payload {
    let usage = number.to_string();
    let report = hours.iter().fold(Report::pods(), |report, (day, hour)| {
        let start = format!("2026-01-{day:02} {hour:02}:00:00 +0000 UTC");
        let usage = ("pod_usage_cpu_core_seconds", usage.as_str());
        report.row(0, &[("interval_start", &start), usage])
    });
    Payload::numbered(number).file("pods.csv", report.text())
}

#[test]
fn a_source_that_is_well_is_shown() {
    let database = TestDatabase::migrated();
    load(&database, &hours(1, &[(10, 3), (10, 4)]), 0);
    load(&database, &hours(2, &[(10, 3), (10, 4), (10, 5)]), 0);
    let shown = status(&database, &["--json"], 0).json();
    let source = &shown["sources"][0];
    let has = |key: &str, value: Value| assert_eq!(source[key], value, "{key}\n{shown:#}");
    has("cluster_id", json!(CLUSTER));
    has(
        "last_payload",
        json!("00000000-0000-4000-8000-000000000002"),
    );
    has("days", json!(1));
    has("first_day", json!("2026-01-10"));
    has("last_day", json!("2026-01-10"));
    has("gaps", json!([]));
    has("waiting", json!([]));
    has("generations", json!(2));
    has("generations_superseded", json!(1));
    has("rows_quarantined", json!(0));
    assert_eq!(source["last_runs"].as_array().map(Vec::len), Some(2));
    assert_eq!(source["last_runs"][0]["state"], "published");
    assert_eq!(shown["attention"], json!([]));

    let table = status(&database, &[], 0).stdout;
    assert!(table.contains("1, 2026-01-10"), "{table}");
    assert!(table.contains("2 (1 superseded)"), "{table}");
}

#[test]
fn missing_hours_are_named() {
    let database = TestDatabase::migrated();
    let mut seen: Vec<(u32, u32)> = (20..24).map(|hour| (10, hour)).collect();
    seen.extend(
        (0..24)
            .filter(|hour| !matches!(hour, 4..=6 | 9))
            .map(|hour| (11, hour)),
    );
    // Nothing at all of the 12th.
    seen.extend([(13, 0), (13, 1), (13, 3)]);
    load(&database, &hours(1, &seen), 0);
    let message = "cluster `test-cluster`: 29 hours are missing: \
        2026-01-11 (04–06, 09), 2026-01-12 (00–23), 2026-01-13 (02)";
    let ended = status(&database, &["--json"], 1);
    let failure: Value = serde_json::from_str(&ended.stderr).expect("one object");
    assert_eq!(failure["message"], message);
    status(&database, &[], 1).stderr_is(&format!("error: {message}"));
    let shown = ended.json();
    assert_eq!(
        shown["sources"][0]["gaps"][0],
        json!({ "day": "2026-01-11", "hours_missing": 4, "missing": [4, 5, 6, 9] })
    );
    assert_eq!(shown["attention"][0]["kind"], "gap");
    assert_eq!(shown["attention"][0]["message"], message);
    status(&database, &["--since", "2026-01-14"], 0);

    // With the staged rows goes which hours there were, not how many.
    database.execute("SELECT forget_generation(id) FROM gristmill_generation");
    status(&database, &[], 1).stderr_is(
        "error: cluster `test-cluster`: 28 hours are missing: \
        2026-01-11 (4 hours), 2026-01-12 (00–23)",
    );
}

#[test]
fn what_failed_waits_or_was_rejected_needs_a_person() {
    let database = TestDatabase::migrated();
    let mut rows = Report::pods().hours(0..23);
    for pod in 0..10 {
        let pod = format!("p{pod}");
        rows = (0..23).fold(rows, |rows, hour| rows.row(hour, &[("pod", &pod)]));
    }
    let rows = rows
        .row(23, &[("pod_usage_cpu_core_seconds", "much")])
        .row(23, &[]);
    load(
        &database,
        &Payload::numbered(1).file("pods.csv", rows.text()),
        0,
    );
    status(&database, &[], 1)
        .stderr_is("error: cluster `test-cluster`: 1 row of `p.tar.gz` (run 1) in quarantine");
    gristmill(["quarantine", "discard", "1", "--reason", "seen"])
        .database(&database)
        .succeeds();

    // A part of an upload whose other part does not come.
    let part = Payload::numbered(2)
        .file("pods.csv", Report::pods().hours(0..3).text())
        .manifest("files", json!(["pods.csv", "volumes.csv"]));
    load(&database, &part, 0);
    let shown = status(&database, &["--json"], 0).json();
    let waiting = &shown["sources"][0]["waiting"][0];
    assert_eq!(waiting["missing_files"], json!(["volumes.csv"]));
    assert_eq!(waiting["overdue"], false);
    database.execute(
        "UPDATE reporting_common_costusagereportmanifest
        SET creation_datetime = '2026-01-12 08:30:00Z' WHERE id = 2",
    );
    status(&database, &[], 1).stderr_is(
        "error: cluster `test-cluster`: upload 00000000-0000-4000-8000-000000000002 waits \
        since 2026-01-12 08:30 for 1 of its files\n\n\
        hint: `gristmill uploads list` shows what uploads lack, and `gristmill uploads abandon UPLOAD` \
        gives one up",
    );

    let bad = Report::pods().with_too_many_bad();
    load(
        &database,
        &Payload::numbered(3).file("pods.csv", bad.text()),
        1,
    );
    let ended = status(&database, &[], 1);
    assert!(
        ended.stderr.starts_with("error: 1 failed run, 1 cluster with rows in quarantine, 1 upload that waits for files need attention\n"),
        "{ended}"
    );
    assert!(
        ended
            .stderr
            .contains("`p.tar.gz` (run 3) failed: 11 of 11 rows were rejected"),
        "{ended}"
    );

    // And a payload that got to no source at all.
    let folder = folder();
    let path = crate::support::payload::write(folder.path(), "broken.tar.gz", b"no tarball");
    run(&database, "pipelines/ocp.toml", &[path]).ends_with(1);
    let shown = status(&database, &["--json"], 1).json();
    assert_eq!(shown["runs_without_source"][0]["payload"], "broken.tar.gz");
    assert_eq!(shown["attention"].as_array().map(Vec::len), Some(4));
}

/// Others that load do not make it less of a failure.
#[test]
fn a_payload_that_failed_is_known_until_it_is_run_well_or_discarded() {
    let database = TestDatabase::migrated();
    let folder = folder();
    let bad = Report::pods().with_too_many_bad();
    let bad = Payload::numbered(1).file("pods.csv", bad.text());
    let run_as = |name: &str, bytes: &[u8], code: i32| {
        let path = crate::support::payload::write(folder.path(), name, bytes);
        run(&database, "pipelines/ocp.toml", &[path])
            .env("GRISTMILL_DATA", folder.path())
            .ends_with(code);
    };
    run_as("bad.tar.gz", &bad.tarball(), 1);
    run_as("broken.tar.gz", b"no tarball", 1);
    run_as("broken.tar.gz", b"nor this", 1);
    let whole = hours(2, &[(10, 3), (10, 4)]);
    run_as("good.tar.gz", &whole.tarball(), 0);
    run_as("good.tar.gz", &whole.tarball(), 0);
    let failed = |code: i32| {
        let shown = status(&database, &["--json"], code).json();
        let failed = |list: &Value| {
            let runs = list.as_array().expect("runs").iter();
            runs.map(|run| run["run"].as_i64().expect("a number"))
                .collect::<Vec<_>>()
        };
        let source = &shown["sources"][0]["failed_runs"];
        (failed(source), failed(&shown["failed_runs_without_source"]))
    };
    assert_eq!(failed(1), (vec![1], vec![3]));
    let ended = status(&database, &[], 1);
    for words in [
        "cluster `test-cluster`: `bad.tar.gz` (run 1) failed: 11 of 11 rows were rejected",
        "`broken.tar.gz` (run 3) failed: ",
        "`gristmill runs discard RUN --reason TEXT`",
    ] {
        assert!(ended.stderr.contains(words), "{ended}");
    }

    // One of them is run well, under whatever name; the other one does not matter.
    run_as("mended.tar.gz", &hours(1, &[(10, 3)]).tarball(), 0);
    assert_eq!(failed(1), (vec![], vec![3]));
    let discard = |run: &str, code: i32| {
        gristmill(["runs", "discard", run, "--reason", "a photograph"])
            .database(&database)
            .ends_with(code)
    };
    discard("4", 1).stderr_is(
        "error: run 4 is none that failed and was not discarded\n\n\
        hint: nothing was changed; `gristmill status` numbers the failed runs",
    );
    assert_eq!(failed(1), (vec![], vec![3]));
    discard("3", 0).stderr_is("1 failed run is discarded now");
    assert_eq!(failed(0), (vec![], vec![]));
    let kept = "SELECT state || ' ' || reason FROM gristmill_run WHERE id = 3";
    assert_eq!(
        database.query_value(kept).as_deref(),
        Some("failed a photograph")
    );
    // It is only this failure that does not matter.
    run_as("broken.tar.gz", b"once more", 1);
    assert_eq!(failed(1), (vec![], vec![7]));
    run_as("broken.tar.gz", &hours(3, &[(10, 3)]).tarball(), 0);
    assert_eq!(failed(0), (vec![], vec![]));
}

/// After a replay of some days under another pipeline.
#[test]
fn which_pipeline_made_which_day_is_shown() {
    let database = TestDatabase::migrated();
    let every_hour: Vec<(u32, u32)> = (10..=13)
        .flat_map(|day| (0..24).map(move |hour| (day, hour)))
        .collect();
    load(&database, &hours(1, &every_hour), 0);
    let made = || {
        let shown = status(&database, &["--json"], 0).json();
        shown["sources"][0]["made"].clone()
    };
    let line = |first: &str, last: &str, days: u32, pipeline: &str, run: u32| {
        json!({
            "first_day": first,
            "last_day": last,
            "days": days,
            "pipelines": [pipeline],
            "last_run": run
        })
    };
    assert_eq!(
        made(),
        json!([line("2026-01-10", "2026-01-13", 4, "ocp", 1)])
    );
    // Where there is one, nobody needs to be told.
    let table = status(&database, &[], 0).stdout;
    assert!(!table.contains("pipeline"), "{table}");

    let folder = folder();
    load_into(&folder, &database, &hours(1, &every_hour));
    gristmill(["replay", "pipelines/ocp-max.toml"])
        .with_stages()
        .arguments([
            "--source",
            CLUSTER,
            "--from",
            "2026-01-11",
            "--to",
            "2026-01-12",
        ])
        .database(&database)
        .env("GRISTMILL_DATA", folder.path())
        .succeeds();
    assert_eq!(
        made(),
        json!([
            line("2026-01-10", "2026-01-10", 1, "ocp", 1),
            line("2026-01-11", "2026-01-12", 2, "ocp-max", 3),
            line("2026-01-13", "2026-01-13", 1, "ocp", 1),
        ])
    );
    let table = status(&database, &[], 0).stdout;
    assert!(
        table.contains("│ test-cluster   2026-01-11 to 2026-01-12   ocp-max"),
        "{table}"
    );

    // Summarizing again makes the same days of the same rows.
    let before = made();
    gristmill(["summarize", "--source", CLUSTER, "--from", "2026-01"])
        .database(&database)
        .succeeds();
    assert_eq!(made(), before);
    // It is known for longer than the rows.
    database.execute("SELECT forget_generation(id) FROM gristmill_generation");
    assert_eq!(made(), before);
}

/// Runs a payload that was loaded before, so that the archive of this folder has it.
#[track_caller]
fn load_into(folder: &TempDir, database: &TestDatabase, payload: &Payload) {
    let path = payload.write(folder.path(), "p.tar.gz");
    run(database, "pipelines/ocp.toml", &[path])
        .env("GRISTMILL_DATA", folder.path())
        .succeeds();
}

/// They are no failure, and not to be overlooked.
#[test]
fn rows_in_quarantine_are_said_at_the_end_of_a_run() {
    let database = TestDatabase::migrated();
    let folder = folder();
    let mut rows = Report::pods();
    for pod in 0..20 {
        let pod = format!("p{pod}");
        rows = (0..23).fold(rows, |rows, hour| rows.row(hour, &[("pod", &pod)]));
    }
    let bad = rows.row(23, &[("pod_usage_cpu_core_seconds", "much")]);
    let payload = Payload::numbered(1).file("pods.csv", bad.text());
    let path = payload.write(folder.path(), "p.tar.gz");
    let load = |path: std::path::PathBuf| run(&database, "pipelines/ocp.toml", &[path]).succeeds();
    let ended = load(path);
    let words = "1 row is in quarantine and does not count; `gristmill quarantine list` shows it\n";
    assert!(ended.stderr.ends_with(words), "{ended}");
    let ended = load(hours(2, &[(11, 3)]).write(folder.path(), "q.tar.gz"));
    assert!(!ended.stderr.contains("quarantine"), "{ended}");
}
