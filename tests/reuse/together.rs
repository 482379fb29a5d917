//! Growing uploads in one command: they are published together, and nobody who reads the
//! tables can tell.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{KNOWN, Shipped, load, number, pods, usual, volumes};
use crate::support::command::{Ended, run};
use crate::support::contents::{self, ALL, Compared};
use crate::support::payload::{Payload, Report};
use crate::support::server::TestDatabase;
use crate::support::site::Site;

/// All that is compared elsewhere, and the records of runs and of what each loaded.
const ALL_AND_RUNS: Compared = Compared {
    tables_left_out: &[
        "gristmill_action",
        "gristmill_archive_owner",
        "gristmill_archive_pending",
        "gristmill_secret",
        "_sqlx_migrations",
    ],
    ..ALL
};

/// How each run came out, and how many rows the summary gained with it.
fn outcomes(ended: &Ended) -> Vec<(String, String, u64)> {
    let results = ended.json();
    let results = results.as_array().expect("runs");
    let text = |value: &Value| value.as_str().unwrap_or("–").to_string();
    let outcome = |result: &Value| {
        let day = text(&result["days"][0]["outcome"]);
        let gained = number(result, "summary_rows_inserted");
        (text(&result["state"]), day, gained)
    };
    results.iter().map(outcome).collect()
}

fn written(folder: &Path, uploads: &[Payload]) -> Vec<PathBuf> {
    let name = |number: usize| format!("{number}.tar.gz");
    let uploads = uploads.iter().enumerate();
    uploads
        .map(|(number, payload)| payload.write(folder, &name(number)))
        .collect()
}

/// Runs payloads in one command and one by one, with the same result; returns what the
/// command says. `together` tells which of them did not make their day themselves.
#[track_caller]
fn are_alike(
    databases: (TestDatabase, TestDatabase),
    pipeline: &str,
    paths: &[PathBuf],
    together: &[bool],
    code: i32,
) -> Ended {
    let (database, one_by_one) = databases;
    let ended = run(&database, pipeline, paths)
        .argument("--json")
        .ends_with(code);
    let made: Vec<(String, String, u64)> = paths
        .iter()
        .flat_map(|path| {
            let alone = run(&one_by_one, pipeline, std::slice::from_ref(path));
            outcomes(&alone.argument("--json").ends())
        })
        .collect();
    let expected: Vec<(String, String, u64)> = made
        .into_iter()
        .zip(together)
        .map(|((state, day, gained), together)| match together {
            true => {
                assert!(gained > 0, "it makes its day when it comes alone");
                (state, day, 0)
            }
            false => (state, day, gained),
        })
        .collect();
    assert_eq!(outcomes(&ended), expected, "{ended}");
    contents::are_same(&database, &one_by_one, ALL_AND_RUNS, "growing uploads");
    ended
}

fn empty() -> (TestDatabase, TestDatabase) {
    (TestDatabase::migrated(), TestDatabase::migrated())
}

#[test]
fn growing_uploads_of_a_command_make_their_day_once() {
    let day = Shipped::small();
    let paths = [6, 12, 18, 24].map(|hours| day.as_it_is(hours));
    for pipeline in ["pipelines/ocp.toml", "pipelines/ocp-max.toml"] {
        let databases = (day.set.database(), day.set.database());
        let together = [true, true, true, false];
        are_alike(databases, pipeline, &paths, &together, 0);
    }
}

#[test]
fn an_upload_waits_for_none_that_repeats_less_than_all_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    // Another byte in the third; the fourth repeats that one.
    let text = pods(0..5).text().replacen(",3600,", ",3601,", 1);
    let other = Payload::numbered(3)
        .file("3-pods.csv", &text)
        .file("3-volumes.csv", volumes(5).text());
    let text = pods(0..7).text().replacen(",3600,", ",3601,", 1);
    let last = Payload::numbered(4)
        .file("4-pods.csv", &text)
        .file("4-volumes.csv", volumes(7).text());
    let paths = written(folder.path(), &[usual(1, 2), usual(2, 4), other, last]);
    let together = [true, false, true, false];
    are_alike(empty(), "pipelines/ocp.toml", &paths, &together, 0);
    // An older one, the same once more, and one of another cluster.
    let elsewhere = usual(5, 6).manifest("cluster_id", "elsewhere");
    let uploads = [usual(4, 5), usual(1, 3), usual(1, 3), elsewhere];
    let paths = written(folder.path(), &uploads);
    let together = [false; 4];
    are_alike(empty(), "pipelines/ocp.toml", &paths, &together, 0);
}

#[test]
fn an_upload_is_published_when_the_next_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad = |number: u32| {
        let without = Report::volumes().without("persistentvolumeclaim_capacity_bytes");
        Payload::numbered(number)
            .file("pods.csv", pods(0..5).text())
            .file("volumes.csv", without.hours(0..5).text())
    };
    let other_files = usual(1, 2).manifest("files", serde_json::json!(["other.csv"]));
    for broken in [bad(3), other_files] {
        let paths = written(
            folder.path(),
            &[usual(1, 2), usual(2, 4), broken, usual(4, 6)],
        );
        let ended = run(
            &TestDatabase::migrated(),
            "pipelines/ocp.toml",
            &paths[2..3],
        )
        .ends();
        let together = [true, false, false, false];
        let code = ended.code.expect("an end");
        are_alike(
            empty(),
            "pipelines/ocp.toml",
            &paths,
            &together,
            code.max(1),
        );
    }
    // It is not there at all.
    let mut paths = written(folder.path(), &[usual(1, 2), usual(2, 4)]);
    paths.push("missing.tar.gz".into());
    let together = [true, false, false];
    are_alike(empty(), "pipelines/ocp.toml", &paths, &together, 2);
}

/// Whichever of them the database refuses, the others count.
#[test]
fn an_upload_that_cannot_be_published_takes_no_other_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = written(folder.path(), &[usual(1, 2), usual(2, 4), usual(3, 6)]);
    let refuse = |database: &TestDatabase, file: &str| {
        database.execute(&format!(
            "ALTER TABLE reporting_common_costusagereportstatus
            ADD CHECK (report_name <> '{file}' OR completed_datetime IS NULL)"
        ));
    };
    for (refused, states) in [
        ("3-pods.csv", ["published", "published", "failed"]),
        ("1-pods.csv", ["failed", "published", "published"]),
    ] {
        let database = TestDatabase::migrated();
        refuse(&database, refused);
        let ended = run(&database, "pipelines/ocp.toml", &paths)
            .argument("--json")
            .ends_with(1);
        let found: Vec<String> = outcomes(&ended).into_iter().map(|run| run.0).collect();
        assert_eq!(found, states, "{refused}: {ended}");
        // Run again, they come to what they would have come to without that.
        database.execute(
            "ALTER TABLE reporting_common_costusagereportstatus
            DROP CONSTRAINT reporting_common_costusagereportstatus_check",
        );
        run(&database, "pipelines/ocp.toml", &paths).succeeds();
        let undisturbed = TestDatabase::migrated();
        load(&undisturbed, "pipelines/ocp.toml", &paths);
        contents::are_same(&database, &undisturbed, KNOWN, refused);
    }
}

/// A kill takes what waits with it, and the next run loads it again.
#[test]
fn a_kill_while_uploads_wait_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = written(folder.path(), &[usual(1, 2), usual(2, 4), usual(3, 6)]);
    let undisturbed = Site::new();
    undisturbed.run(&paths).succeeds();
    for failpoint in [
        "copy-sent",
        "archive-placed",
        "days-claimed",
        "days-summarized",
        "publish-committed",
    ] {
        for passes in [2, 3, 4] {
            let site = Site::new();
            let ended = site
                .run(&paths)
                .env("GRISTMILL_TEST_KILL_AT", format!("{failpoint}:{passes}"))
                .ends();
            if ended.code == Some(0) {
                continue;
            }
            site.run(&paths).succeeds();
            site.is_in_order(failpoint);
            contents::are_same(&site.database, &undisturbed.database, ALL, failpoint);
        }
    }
}
