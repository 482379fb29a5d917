//! The budget of a payload: its rows in quarantine, words and messages. All of its files
//! count together, and none of it is kept in memory.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::hostile_payloads::unpacked;
use crate::support::command::{gristmill, run};
use crate::support::payload::{Payload, Report, write};
use crate::support::scene::Scene;
use crate::support::server::TestDatabase;

/// What a run may hold, in a build without optimisation: less than half of what a
/// payload of few bytes took when each file had a bound of its own.
const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// A pipeline that minds no bad row, with these limits.
fn patient(limits: &str) -> Scene {
    Scene::with_pipeline(&format!("[limits]\nrejected-rows = \"100 %\"\n{limits}\n"))
}

/// A report with so many good rows, each after a bad one.
fn halves(rows: usize) -> Report {
    (0..rows).fold(Report::pods(), |report, row| {
        let hour = row as u32 % 24;
        report
            .row(hour, &[("pod_usage_cpu_core_seconds", "much")])
            .row(hour, &[("pod", &format!("pod-{row}"))])
    })
}

/// An upload that wins the day, of these reports.
fn upload(number: u32, reports: &[Report]) -> Payload {
    let payload =
        Payload::numbered(number).manifest("date", format!("2026-01-12T00:{number:02}:00Z"));
    reports
        .iter()
        .enumerate()
        .fold(payload, |payload, (place, report)| {
            payload.file(&format!("pods-{place}.csv"), report.text())
        })
}

#[track_caller]
fn count(database: &TestDatabase, of: &str) -> u64 {
    let count = database.query_value(&format!("SELECT count(*) FROM {of}"));
    count.and_then(|count| count.parse().ok()).expect("a count")
}

/// Twenty files of 95,000 bad rows each, in some 20 kB.
#[test]
fn a_small_tarball_of_bad_rows_takes_little_memory_and_little_room() {
    let scene = Scene::new();
    let bad = Report::pods().text().to_string() + &"a\n".repeat(95_000);
    let payload = (0..20).fold(
        Payload::numbered(2).manifest("date", "2026-01-12T00:00:00Z"),
        |payload, number| payload.file(&format!("{number}.csv"), &bad),
    );
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(&unpacked(&payload.tarball()))
        .expect("memory");
    let tarball = encoder.finish().expect("memory");
    assert!(tarball.len() < 30_000, "{} bytes", tarball.len());
    let (ended, cost) = scene.load_at_a_cost(&tarball);
    assert_eq!(ended.code, Some(1), "{ended}");
    let words =
        "more than 100000 rows of the payload were rejected (`quarantine-rows` in `[limits]`)";
    assert!(ended.stderr.contains(words), "{ended}");
    let hint =
        "nothing of the payload was published; 100,000 of the rows are in quarantine under run 2";
    assert!(ended.stderr.contains(hint), "{ended}");
    assert!(
        cost.memory_peak_bytes < MEMORY_BYTES_MAX,
        "it took {} MiB",
        cost.memory_peak_bytes >> 20
    );
    assert_eq!(count(&scene.database, "gristmill_quarantine"), 100_000);
    assert_eq!(count(&scene.database, "gristmill_reject"), 0);
    scene.still_loads();
}

#[test]
fn the_files_of_a_payload_have_one_budget_of_rows() {
    let scene = patient("quarantine-rows = 5");
    let reports = [halves(2), halves(2), halves(2)];
    let ended = scene.load(&upload(2, &reports[..2]).tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(count(&scene.database, "gristmill_quarantine"), 4);
    let before = scene.database.digests_of_published();
    let ended = scene.load(&upload(3, &reports).tarball());
    assert_eq!(ended.code, Some(1), "{ended}");
    let words = "more than 5 rows of the payload were rejected (`quarantine-rows` in `[limits]`)";
    assert!(ended.stderr.contains(words), "{ended}");
    assert_eq!(scene.database.digests_of_published(), before);
    // The rows within the budget are listed, under a run that failed.
    let listed = gristmill(["quarantine", "list", "--json", "--run", "3"])
        .database(&scene.database)
        .succeeds()
        .json();
    let listed = listed.as_array().expect("rows");
    assert_eq!(listed.len(), 5);
    assert!(listed.iter().all(|row| row["run_state"] == "failed"));
    assert_eq!(count(&scene.database, "gristmill_reject"), 0);
    let rejected = "SELECT rows_rejected FROM gristmill_run WHERE id = 3";
    assert_eq!(scene.database.query_value(rejected).as_deref(), Some("5"));
}

#[test]
fn the_files_of_a_payload_have_one_budget_of_bytes() {
    let scene = patient("quarantine-bytes = \"2 KiB\"");
    let reports = [halves(2), halves(2), halves(2)];
    let ended = scene.load(&upload(2, &reports[..1]).tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
    let ended = scene.load(&upload(3, &reports).tarball());
    assert_eq!(ended.code, Some(1), "{ended}");
    for words in [
        "the rejected rows of the payload take 2.",
        " KiB, more than 2 KiB (`quarantine-bytes` in `[limits]`)",
    ] {
        assert!(ended.stderr.contains(words), "{ended}");
    }
    let kept = count(&scene.database, "gristmill_quarantine WHERE run_id = 3");
    assert!((1..6).contains(&kept), "{kept}");
}

#[test]
fn putting_rows_into_quarantine_has_an_end() {
    let scene = patient("quarantine-time = \"10 ms\"");
    let before = scene.database.digests_of_published();
    let ended = scene.load(&upload(2, &[halves(6_000)]).tarball());
    assert_eq!(ended.code, Some(1), "{ended}");
    let words = "putting 6000 rejected rows into quarantine took longer than 10ms (`quarantine-time` in `[limits]`)";
    assert!(ended.stderr.contains(words), "{ended}");
    assert_eq!(scene.database.digests_of_published(), before);
    assert_eq!(count(&scene.database, "gristmill_reject"), 0);
}

#[test]
fn stages_learn_so_many_words_of_a_payload() {
    let labelled = |keys: std::ops::Range<u32>| {
        keys.fold(Report::pods(), |report, key| {
            report.row(key % 24, &[("pod_labels", &format!("label_k{key}:v"))])
        })
    };
    let scene = patient("learned-words = 10");
    // The second file teaches nothing new.
    let ended = scene.load(&upload(2, &[labelled(0..9), labelled(0..9)]).tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
    let ended = scene.load(&upload(3, &[labelled(0..9), labelled(9..18)]).tarball());
    assert_eq!(ended.code, Some(1), "{ended}");
    let words =
        "the stages learned more than 10 words of the payload (`learned-words` in `[limits]`)";
    assert!(ended.stderr.contains(words), "{ended}");
    let known = count(
        &scene.database,
        "reporting_enabledtagkeys WHERE key LIKE 'k%'",
    );
    assert_eq!(known, 9, "keys of the payload that failed");
}

/// Columns that nobody wants are words, too: a header has many in few bytes.
#[test]
fn columns_that_nobody_wants_are_words_of_the_payload() {
    let scene = patient("learned-words = 100");
    let header = Report::pods().hours(0..2).text().to_string();
    let (names, rows) = header.split_once('\n').expect("a header");
    let more: String = (0..150).map(|column| format!(",c{column}")).collect();
    let cells = ",".repeat(150);
    let rows: String = rows.lines().map(|row| format!("{row}{cells}\n")).collect();
    let payload = Payload::numbered(2).file("pods.csv", &format!("{names}{more}\n{rows}"));
    let ended = scene.load(&payload.tarball());
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(
        ended.stderr.contains("(`learned-words` in `[limits]`)"),
        "{ended}"
    );
}

#[test]
fn a_limit_of_a_payload_is_none_of_a_stage_and_has_bounds() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = crate::support::command::file("pipelines/ocp.toml");
    for (text, words) in [
        (
            "[stages.csv-parse.limits]\nquarantine-rows = 5",
            "`quarantine-rows` is a limit of the pipeline, not of a stage",
        ),
        (
            "[limits]\nquarantine-rows = 10_000_001",
            "`quarantine-rows` must be between 0 and 10000000 rows",
        ),
        (
            "[limits]\nquarantine-bytes = \"1 B\"",
            "`quarantine-bytes` must be between 1024 and 4294967296 bytes",
        ),
        (
            "[limits]\nlearned-words = 10_000_001",
            "`learned-words` must be between 0 and 10000000 words",
        ),
        (
            "[retention]\nquarantine-days = 0",
            "`quarantine-days` must be between 1 and 3650 days",
        ),
    ] {
        let text = format!("extends = {base:?}\n{text}\n");
        let path = write(folder.path(), "pipeline.toml", text.as_bytes());
        let ended = gristmill(["check"])
            .argument(&path)
            .with_stages()
            .ends_with(2);
        assert!(ended.stderr.contains(words), "{ended}");
    }
}

/// Killed when a part is written: nobody sees it, and it goes.
#[test]
fn what_a_run_that_died_had_rejected_is_never_seen_and_goes() {
    let scene = patient("");
    let folder = tempfile::tempdir().expect("a folder");
    let path = upload(2, &[halves(1_500)]).write(folder.path(), "killed.tar.gz");
    let pipeline = write(
        folder.path(),
        "pipeline.toml",
        format!(
            "extends = {:?}\nlimits.rejected-rows = \"100 %\"\n",
            crate::support::command::file("pipelines/ocp.toml")
        )
        .as_bytes(),
    );
    let kill = || {
        let killed = run(&scene.database, &pipeline, std::slice::from_ref(&path))
            .env("GRISTMILL_TEST_KILL_AT", "rejects-written")
            .ends();
        assert_eq!(killed.code, None, "{killed}");
        assert_eq!(count(&scene.database, "gristmill_reject"), 1_000);
        assert_eq!(count(&scene.database, "gristmill_quarantine"), 0);
        crate::local_server::wait_until("the server has noticed", || {
            let sessions = "pg_stat_activity
                WHERE datname = current_database() AND application_name = 'gristmill'";
            count(&scene.database, sessions) == 0
        });
    };
    let listed = || {
        gristmill(["quarantine", "list", "--state", "all", "--json"])
            .database(&scene.database)
            .succeeds()
            .json()
    };
    kill();
    assert_eq!(listed().as_array().map(Vec::len), Some(0));
    let cleaned = gristmill(["clean", "--json"])
        .database(&scene.database)
        .succeeds()
        .json();
    assert_eq!(cleaned["records"]["rows_of_dead_runs"], 1_000);
    assert_eq!(count(&scene.database, "gristmill_reject"), 0);
    kill();
    // The next run of the source.
    run(&scene.database, &pipeline, std::slice::from_ref(&path)).succeeds();
    assert_eq!(count(&scene.database, "gristmill_reject"), 0);
    assert_eq!(count(&scene.database, "gristmill_quarantine"), 1_500);
    let in_order = "SELECT bool_and(line > before) FROM (
        SELECT line, lag(line, 1, 0) OVER (ORDER BY id) AS before FROM gristmill_quarantine
    ) AS rows";
    assert_eq!(scene.database.query_value(in_order).as_deref(), Some("t"));
}

/// Rows that are discarded or listed are not read: they may be gigabytes.
#[test]
fn rows_are_discarded_and_listed_without_being_read() {
    let scene = Scene::new();
    scene.database.execute(
        "INSERT INTO gristmill_quarantine (
            run_id, report, file, line, stage, component_digest, code, message, raw
        )
        SELECT 1, 'pod-usage', 'pods.csv', number, 'csv-parse', '', 'odd', 'is odd',
            convert_to(repeat('x', 1 << 20), 'UTF8')
        FROM generate_series(1, 400) AS number",
    );
    let of_quarantine = |arguments: &[&str]| {
        let (ended, cost) = gristmill(["quarantine"])
            .arguments(arguments)
            .database(&scene.database)
            .ends_at_a_cost();
        assert_eq!(ended.code, Some(0), "{ended}");
        assert!(
            cost.memory_peak_bytes < 150 << 20,
            "{arguments:?} took {} MiB",
            cost.memory_peak_bytes >> 20
        );
        ended
    };
    let listed = of_quarantine(&["list", "--limit", "1000"]);
    assert!(listed.stdout.contains("is odd"), "{listed}");
    of_quarantine(&["discard", "--run", "1", "--reason", "too large"]).stderr_is(
        "400 rows were discarded; `gristmill quarantine list --state discarded` shows them",
    );
    assert_eq!(
        count(
            &scene.database,
            "gristmill_quarantine WHERE state = 'discarded'"
        ),
        400
    );
}
