//! `gristmill quarantine`: the rows that were refused, and what people do with them.

use serde_json::Value;

use crate::containment::{clumsy, with_bad};
use crate::support::command::{Ended, file, gristmill};
use crate::support::payload::{CLUSTER, Payload, Report, write};
use crate::support::scene::{Scene, later};

/// A payload of 300 rows, of which two are in quarantine as rows 1 and 2.
fn scene() -> Scene {
    let scene = Scene::with_pipeline(&clumsy("panics", ""));
    let ended = scene.load(&later(&with_bad(300, &[7, 8])));
    assert_eq!(ended.code, Some(0), "{ended}");
    scene
}

#[track_caller]
fn quarantine(scene: &Scene, arguments: &[&str], code: i32) -> Ended {
    gristmill(["quarantine"])
        .arguments(arguments)
        .database(&scene.database)
        .ends_with(code)
}

#[track_caller]
fn replay(scene: &Scene, arguments: &[&str], code: i32) -> Ended {
    gristmill(["quarantine", "replay"])
        .arguments(arguments)
        .with_stages()
        .database(&scene.database)
        .ends_with(code)
}

/// The rows of a state, as JSON.
#[track_caller]
fn rows(scene: &Scene, state: &str, filter: &[&str]) -> Vec<Value> {
    let arguments = [&["list", "--json", "--state", state], filter].concat();
    let shown = quarantine(scene, &arguments, 0).json();
    shown.as_array().expect("rows").clone()
}

fn status(scene: &Scene) -> Ended {
    gristmill(["status", "--since", "2026-02-01"])
        .database(&scene.database)
        .ends()
}

#[test]
fn rows_are_listed_by_what_is_asked_for() {
    let scene = scene();
    for (filter, expected) in [
        (vec![], 2),
        (vec!["--stage", "clumsy"], 2),
        (vec!["--stage", "csv-parse"], 0),
        (vec!["--code", "stage-trapped"], 2),
        (vec!["--code", "not-a-number"], 0),
        (vec!["--source", CLUSTER, "--run", "2"], 2),
        (vec!["--run", "1"], 0),
    ] {
        assert_eq!(rows(&scene, "open", &filter).len(), expected, "{filter:?}");
    }
    assert_eq!(rows(&scene, "all", &["--limit", "1"]).len(), 1);
    quarantine(&scene, &["list", "--source", "nobody"], 2).stderr_is(
        "error: there is no source `nobody`\n\nhint: `gristmill sources list` shows the sources",
    );

    let table = quarantine(&scene, &["list"], 0).stdout;
    assert!(table.contains("stage-trapped"), "{table}");
    assert!(table.contains("it slipped out of my hands"), "{table}");
}

#[test]
fn a_row_is_shown_with_all_that_is_known_of_it() {
    let scene = scene();
    let shown = quarantine(&scene, &["show", "1"], 0).stdout;
    for words in [
        "state        open\n",
        "run          2, published, of pipeline `ocp`\n",
        "upload       00000000-0000-4000-8000-000000000002\n",
        "cluster      test-cluster\n",
        "report       pod-usage\n",
        "file         pods.csv\n",
        "line         9\n",
        "stage        clumsy\n",
        "component    [DIGEST]\n",
        "code         stage-trapped\n",
        "raw          2026-01-01 00:00:00 +0000 UTC,",
        ",n1,app,bad,1800.000000,",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    let row = quarantine(&scene, &["show", "1", "--json"], 0).json();
    assert_eq!(row["line"], 9);
    assert_eq!(row["code"], "stage-trapped");
    quarantine(&scene, &["show", "99"], 1).stderr_is(
        "error: there is no row 99 in quarantine\n\n\
        hint: `gristmill quarantine list` shows the rows with their numbers",
    );
}

/// A row may hold anything; a terminal must not do what it says.
#[test]
fn a_row_cannot_control_the_terminal() {
    let scene = Scene::with_pipeline("[limits]\nrejected-rows = \"100 %\"");
    let report = with_bad(3, &[]).row(3, &[("pod_usage_cpu_core_seconds", "\u{1b}[2Jmuch")]);
    scene.load(&later(&report));
    for arguments in [&["list"][..], &["show", "1"]] {
        let shown = quarantine(&scene, arguments, 0).stdout;
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
    let shown = quarantine(&scene, &["show", "1"], 0).stdout;
    assert!(shown.contains(",\\u{1b}[2Jmuch,"), "{shown}");
}

#[test]
fn what_comes_through_now_is_resolved() {
    let scene = scene();
    let ended = status(&scene);
    assert_eq!(ended.code, Some(1), "{ended}");
    ended.stderr_is("error: cluster `test-cluster`: 2 rows of `bad.tar.gz` (run 2) in quarantine");
    scene.has_usage("149");

    // The stage is no longer in the way.
    let replayed = replay(&scene, &["pipelines/ocp.toml", "--json"], 0).json();
    assert_eq!(replayed[0]["rows_open_before"], 2);
    assert_eq!(replayed[0]["rows_open"], 0);
    assert_eq!(replayed[0]["run"], 3);
    scene.has_usage("150");
    assert_eq!(rows(&scene, "open", &[]).len(), 0);
    let resolved = rows(&scene, "resolved", &[]);
    assert_eq!(resolved.len(), 2);
    assert_eq!(resolved[0]["resolved_by_run"], 3);
    assert!(resolved[0]["changed_at"].is_string());
    let ended = status(&scene);
    assert_eq!(ended.code, Some(0), "{ended}");
    replay(&scene, &["pipelines/ocp.toml"], 0).stderr_is("nothing to do, no row of these is open");
}

#[test]
fn what_still_breaks_stays_one_open_row() {
    let scene = scene();
    let folder = tempfile::tempdir().expect("a folder");
    let base = file("pipelines/ocp.toml");
    // The same stage, breaking in another way.
    let text = format!("extends = {base:?}\n{}", clumsy("lies", ""));
    let pipeline = write(folder.path(), "pipeline.toml", text.as_bytes());
    let pipeline = pipeline.display().to_string();
    replay(&scene, &[&pipeline], 0);
    let open = rows(&scene, "open", &[]);
    assert_eq!(open.len(), 2);
    assert_eq!(rows(&scene, "all", &[]).len(), 2);
    assert_eq!(open[0]["id"], 2);
    assert_eq!(open[0]["code"], "stage-malformed-output");
    scene.has_usage("149");
}

#[test]
fn a_day_that_had_nothing_but_quarantined_rows_comes_with_them() {
    let scene = Scene::with_pipeline(&clumsy("panics", ""));
    let report = with_bad(200, &[]).row(
        0,
        &[
            ("pod", "bad"),
            ("interval_start", "2026-01-11 05:00:00 +0000 UTC"),
        ],
    );
    scene.load(&later(&report));
    let days = "SELECT string_agg(usage_day::text, ',' ORDER BY usage_day) FROM gristmill_day";
    let held = || scene.database.query_value(days);
    assert_eq!(held().as_deref(), Some("2026-01-10"));
    replay(&scene, &["pipelines/ocp.toml"], 0);
    assert_eq!(held().as_deref(), Some("2026-01-10,2026-01-11"));
    scene.has_usage("100.5");
    assert_eq!(rows(&scene, "open", &[]).len(), 0);
}

#[test]
fn a_discarded_row_is_kept_with_the_reason_and_counts_no_more() {
    let scene = scene();
    quarantine(&scene, &["discard", "--reason", "why not"], 2).stderr_is(
        "error: nothing says which rows to discard\n\n\
        hint: name rows, or `--source`, `--run`, `--stage` or `--code`",
    );
    let ended = quarantine(&scene, &["discard", "1"], 2);
    assert!(ended.stderr.contains("--reason"), "{ended}");
    quarantine(&scene, &["discard", "1", "--reason", " "], 2);
    quarantine(&scene, &["discard", "1", "--reason", "a test pod"], 0).stderr_is(
        "1 rows were discarded; `gristmill quarantine list --state discarded` shows them",
    );
    let discarded = rows(&scene, "discarded", &[]);
    assert_eq!(discarded[0]["id"], 1);
    assert_eq!(discarded[0]["reason"], "a test pod");
    assert!(
        discarded[0]["raw"]
            .as_str()
            .is_some_and(|raw| raw.contains(",bad,"))
    );
    status(&scene)
        .stderr_is("error: cluster `test-cluster`: 1 row of `bad.tar.gz` (run 2) in quarantine");

    quarantine(
        &scene,
        &["discard", "--run", "2", "--reason", "the other too"],
        0,
    );
    assert_eq!(status(&scene).code, Some(0));
    // It does not come back by failing again.
    let again = scene.load(&Payload::usual(3).tarball());
    assert_eq!(again.code, Some(0), "{again}");
    assert_eq!(rows(&scene, "open", &[]).len(), 0);
    replay(&scene, &["pipelines/ocp.toml"], 0).stderr_is("nothing to do, no row of these is open");
}

#[test]
fn a_payload_that_failed_is_run_again_and_resolves_its_rows() {
    let scene = Scene::without_floor("");
    let report = Report::pods()
        .row(0, &[("pod_usage_cpu_core_seconds", "much")])
        .row(1, &[]);
    let payload = later(&report);
    assert_eq!(scene.load(&payload).code, Some(1));
    assert_eq!(scene.load(&payload).code, Some(1));
    let open = rows(&scene, "open", &[]);
    assert_eq!(open.len(), 1, "one row, however often it fails");
    assert_eq!(open[0]["run"], 3);
    replay(&scene, &["pipelines/ocp.toml"], 1).stderr_is(
        "error: upload 00000000-0000-4000-8000-000000000002 was never published, \
        so there is nothing to put its rows to\n\n\
        hint: `gristmill run` of payload `bad.tar.gz` with the pipeline as it is now does the same",
    );
}
