//! Uploads that are loaded whole, though they repeat hours: what they repeat differs in
//! some way, or was not loaded as they are.

use std::fs;
use std::path::{Path, PathBuf};

use super::{STAGED, load, number, pods, reads_like, reuses, reuses_by, usual, volumes};
use crate::support::command::{file, gristmill, run, stages};
use crate::support::payload::{Payload, Report, write};
use crate::support::server::TestDatabase;

#[test]
fn hours_with_other_bytes_are_loaded() {
    let with_pods = |pods: &str| {
        Payload::numbered(2)
            .file("pods.csv", pods)
            .file("volumes.csv", volumes(5).text())
    };
    let text = pods(0..5).text().to_string();
    // One byte.
    reuses(
        &[
            usual(1, 2),
            with_pods(&text.replacen(",3600,", ",3601,", 1)),
        ],
        0,
    );
    // A row less, and one more.
    let (header, rows) = text.split_once('\n').expect("a header");
    let (first, rest) = rows.split_once('\n').expect("a row");
    reuses(&[usual(1, 2), with_pods(&format!("{header}\n{rest}"))], 0);
    reuses(
        &[
            usual(1, 2),
            with_pods(&format!("{header}\n{first}\n{rows}")),
        ],
        0,
    );
    // Two columns that have changed their places, and one that nobody wants.
    let swapped = header.replace(
        "pod_usage_cpu_core_seconds,pod_request_cpu_core_seconds",
        "pod_request_cpu_core_seconds,pod_usage_cpu_core_seconds",
    );
    assert_ne!(swapped, header);
    reuses(&[usual(1, 2), with_pods(&format!("{swapped}\n{rows}"))], 0);
    let renamed = header.replace("pod_limit_memory_byte_seconds", "some_other_byte_seconds");
    let optional = header.replace("node_role", "some_role");
    assert_ne!(renamed, optional);
    reuses(&[usual(1, 2), with_pods(&format!("{optional}\n{rows}"))], 0);
}

#[test]
fn an_upload_that_lacks_what_an_earlier_one_had_is_loaded() {
    // A kind of report.
    let pods_alone = Payload::numbered(2).file("pods.csv", pods(0..5).text());
    let folder = tempfile::tempdir().expect("a folder");
    let database = TestDatabase::migrated();
    let paths = [
        usual(1, 2).write(folder.path(), "1.tar.gz"),
        pods_alone.write(folder.path(), "2.tar.gz"),
    ];
    let result = load(&database, "pipelines/ocp.toml", &paths);
    assert_eq!(number(&result, "rows_reused"), 0);
    assert_eq!(number(&result, "rows_loaded"), 10);
    // An hour.
    let later_hours = Payload::numbered(2)
        .file("pods.csv", pods(1..5).text())
        .file("volumes.csv", volumes(5).text());
    reuses(&[usual(1, 2), later_hours], 0);
}

#[test]
fn hours_that_went_another_way_are_loaded() {
    let (ocp, max) = (file("pipelines/ocp.toml"), file("pipelines/ocp-max.toml"));
    reuses_by(&ocp, &max, &[usual(1, 2), usual(2, 5)], 0);

    // The same stage in other bytes: with a section that says nothing.
    let folder = tempfile::tempdir().expect("a folder");
    let mut component = fs::read(stages().join("effective_usage.wasm")).expect("a component");
    component.extend([0, 2, 1, b'x']);
    write(folder.path(), "other.wasm", &component);
    let text = format!("extends = {ocp:?}\n[stages.effective-usage]\ncomponent = \"other.wasm\"\n");
    let other = write(folder.path(), "other.toml", text.as_bytes());
    reuses_by(&ocp, &other, &[usual(1, 2), usual(2, 5)], 0);

    // Of another name and with other thresholds it is the same way.
    let text = format!(
        "extends = {ocp:?}\n[pipeline]\nname = \"named\"\n[limits]\nrejected-rows = \"2 %\"\n"
    );
    let named = write(folder.path(), "named.toml", text.as_bytes());
    reuses_by(&ocp, &named, &[usual(1, 2), usual(2, 5)], 6);
}

#[test]
fn hours_are_loaded_when_other_tags_are_enabled() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = TestDatabase::migrated();
    let path = |payload: Payload, name: &str| [payload.write(folder.path(), name)];
    load(
        &database,
        "pipelines/ocp.toml",
        &path(usual(1, 2), "1.tar.gz"),
    );
    gristmill(["tags", "enable", "app"])
        .database(&database)
        .succeeds();
    let result = load(
        &database,
        "pipelines/ocp.toml",
        &path(usual(2, 5), "2.tar.gz"),
    );
    assert_eq!(number(&result, "rows_reused"), 0);
    let tagged = "SELECT DISTINCT pod_labels ->> 'app'
        FROM reporting_ocpusagelineitem_daily_summary WHERE pod_labels ? 'app'";
    assert_eq!(database.query_value(tagged).as_deref(), Some("shop"));
    let result = load(
        &database,
        "pipelines/ocp.toml",
        &path(usual(3, 6), "3.tar.gz"),
    );
    assert_eq!(number(&result, "rows_reused"), 15);
    assert_eq!(database.query_value(tagged).as_deref(), Some("shop"));
}

/// The shipped pipeline, but that half of the rows may be rejected.
fn patient(folder: &Path) -> PathBuf {
    let ocp = file("pipelines/ocp.toml");
    let text = format!("extends = {ocp:?}\n[limits]\nrejected-rows = \"50 %\"\n");
    write(folder, "patient.toml", text.as_bytes())
}

#[test]
fn hours_with_rows_in_quarantine_are_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let patient = patient(folder.path());
    let with_bad_row = |number: u32, hours: u32| {
        let pods = pods(0..hours).row(0, &[("pod_usage_cpu_core_seconds", "much")]);
        Payload::numbered(number)
            .file(&format!("{number}.csv"), pods.text())
            .file(&format!("{number}-volumes.csv"), volumes(hours).text())
    };
    reuses_by(
        &patient,
        &patient,
        &[with_bad_row(1, 2), with_bad_row(2, 5)],
        0,
    );
    // New rows in quarantine hinder nothing, and are there once.
    let database = TestDatabase::migrated();
    let paths = [
        usual(1, 2).write(folder.path(), "1.tar.gz"),
        with_bad_row(2, 5).write(folder.path(), "2.tar.gz"),
    ];
    let result = load(&database, &patient, &paths);
    assert_eq!(number(&result, "rows_reused"), 6);
    assert_eq!(number(&result, "rows_rejected"), 1);
    let quarantined = "SELECT count(*) FROM gristmill_quarantine";
    assert_eq!(database.query_value(quarantined).as_deref(), Some("1"));
    // They hinder the next upload, also when retention has taken them.
    database.execute("DELETE FROM gristmill_quarantine");
    let path = with_bad_row(3, 6).write(folder.path(), "3.tar.gz");
    let result = load(&database, &patient, &[path]);
    assert_eq!(number(&result, "rows_reused"), 0);
    assert_eq!(database.query_value(quarantined).as_deref(), Some("1"));
}

#[test]
fn a_row_of_no_hour_leaves_what_is_read_unknown() {
    let folder = tempfile::tempdir().expect("a folder");
    let patient = patient(folder.path());
    let database = TestDatabase::migrated();
    let ancient = ("interval_start", "1000-01-01 00:00:00 +0000 UTC");
    let odd = Payload::numbered(2)
        .file("pods.csv", pods(0..5).row(0, &[ancient]).text())
        .file("volumes.csv", volumes(5).text());
    let paths = [
        usual(1, 2).write(folder.path(), "1.tar.gz"),
        odd.write(folder.path(), "2.tar.gz"),
    ];
    let result = load(&database, &patient, &paths);
    assert_eq!(number(&result, "rows_reused"), 0);
    assert_eq!(number(&result, "rows_loaded"), 15);
    assert_eq!(number(&result, "rows_rejected"), 1);
}

#[test]
fn a_split_upload_is_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = TestDatabase::migrated();
    let files = vec!["2-pods.csv".to_string(), "2-volumes.csv".to_string()];
    let part = |name: &str, report: &Report| {
        Payload::numbered(2)
            .manifest("files", files.clone())
            .member(name, report.text())
    };
    let first = [
        usual(1, 2).write(folder.path(), "1.tar.gz"),
        part("2-pods.csv", &pods(0..5)).write(folder.path(), "2a.tar.gz"),
    ];
    let result = load(&database, "pipelines/ocp.toml", &first);
    assert_eq!(
        (
            number(&result, "rows_reused"),
            number(&result, "rows_loaded")
        ),
        (0, 10)
    );
    let second = [part("2-volumes.csv", &volumes(5)).write(folder.path(), "2b.tar.gz")];
    let result = load(&database, "pipelines/ocp.toml", &second);
    assert_eq!(
        (
            number(&result, "rows_reused"),
            number(&result, "rows_loaded")
        ),
        (0, 5)
    );
    // An upload that came in parts is reused whole.
    let third = [usual(3, 6).write(folder.path(), "3.tar.gz")];
    let result = load(&database, "pipelines/ocp.toml", &third);
    assert_eq!(number(&result, "rows_reused"), 15);
}

#[test]
fn an_upload_of_which_a_file_is_elsewhere_is_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = ["2-pods.csv", "2-volumes.csv", "2-more.csv"].map(str::to_string);
    let pods_and_volumes = Payload::numbered(2)
        .manifest("files", files.to_vec())
        .member("2-pods.csv", pods(0..5).text())
        .member("2-volumes.csv", volumes(5).text())
        .write(folder.path(), "2a.tar.gz");
    let more = Payload::numbered(2)
        .manifest("files", files.to_vec())
        .member("2-more.csv", pods(5..6).text())
        .write(folder.path(), "2b.tar.gz");
    let first = usual(1, 2).write(folder.path(), "1.tar.gz");
    let alone = TestDatabase::migrated();
    load(
        &alone,
        "pipelines/ocp.toml",
        &[pods_and_volumes.clone(), more.clone()],
    );
    // The missing file comes after what repeats the first upload, or before.
    for parts in [[&pods_and_volumes, &more], [&more, &pods_and_volumes]] {
        let database = TestDatabase::migrated();
        load(
            &database,
            "pipelines/ocp.toml",
            std::slice::from_ref(&first),
        );
        let published = database.digests_of_summaries();
        let result = load(
            &database,
            "pipelines/ocp.toml",
            std::slice::from_ref(parts[0]),
        );
        assert_eq!(number(&result, "rows_reused"), 0, "{result}");
        assert_eq!(result["state"], "loaded");
        assert_eq!(database.digests_of_summaries(), published);
        let result = load(
            &database,
            "pipelines/ocp.toml",
            std::slice::from_ref(parts[1]),
        );
        assert_eq!(number(&result, "rows_reused"), 0, "{result}");
        assert_eq!(result["state"], "published");
        reads_like(&database, &alone, "two parts");
    }
}

#[test]
fn an_additive_upload_neither_reuses_nor_is_reused() {
    let additive = |number, hours| usual(number, hours).manifest("daily_reports", false);
    for uploads in [
        [additive(1, 2), additive(2, 5)],
        [additive(1, 2), usual(2, 5)],
        [usual(1, 2), additive(2, 5)],
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let database = TestDatabase::migrated();
        let paths = [
            uploads[0].write(folder.path(), "1.tar.gz"),
            uploads[1].write(folder.path(), "2.tar.gz"),
        ];
        let result = load(&database, "pipelines/ocp.toml", &paths);
        assert_eq!(number(&result, "rows_reused"), 0, "{result}");
        assert_eq!(number(&result, "rows_loaded"), 15, "{result}");
    }
}

#[test]
fn an_upload_reuses_nothing_of_a_later_one() {
    // It has more hours and wins the day, but the other may come to be asked for again.
    reuses(&[usual(2, 2), usual(1, 5)], 0);
    // It loses the day.
    let folder = tempfile::tempdir().expect("a folder");
    let database = TestDatabase::migrated();
    let paths = [
        usual(2, 5).write(folder.path(), "2.tar.gz"),
        usual(1, 2).write(folder.path(), "1.tar.gz"),
    ];
    let result = load(&database, "pipelines/ocp.toml", &paths);
    assert_eq!(result["days"][0]["outcome"], "lost");
    assert_eq!(number(&result, "rows_reused"), 0);
    // An upload that lost its day is not reused either, though it is earlier.
    let third = [usual(3, 6).write(folder.path(), "3.tar.gz")];
    let result = load(&database, "pipelines/ocp.toml", &third);
    assert_eq!(number(&result, "rows_reused"), 15);
}

#[test]
fn an_upload_whose_hours_count_by_another_report_is_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let ocp = file("pipelines/ocp.toml");
    let pipeline = |name: &str, text: &str| {
        let text = format!("extends = {ocp:?}\n{text}");
        write(folder.path(), name, text.as_bytes())
    };
    let database = TestDatabase::migrated();
    let pods_alone = Payload::numbered(1).file("1.csv", pods(0..3).text());
    let first = pods_alone.write(folder.path(), "1.tar.gz");
    load(&database, &ocp, &[first]);
    let bad = ("pod_usage_cpu_core_seconds", "much");
    let second = Payload::numbered(2)
        .file("2.csv", pods(0..5).row(4, &[bad]).text())
        .file("2-volumes.csv", volumes(1).text())
        .write(folder.path(), "2.tar.gz");
    // It is refused at first, but known by then as one whose volumes count.
    let strict = pipeline(
        "strict.toml",
        "publish.coverage = \"storage-usage\"\nlimits.rejected-rows-floor = 0\n",
    );
    run(&database, &strict, std::slice::from_ref(&second)).ends_with(1);
    let patient = pipeline("patient.toml", "[limits]\nrejected-rows = \"50 %\"\n");
    let result = load(&database, &patient, &[second]);
    assert_eq!(number(&result, "rows_reused"), 0);
    assert_eq!(result["days"][0]["outcome"], "lost");
    // The day can be made again from what the first one staged.
    assert_eq!(database.query_rows(STAGED).len(), 6);
}

#[test]
fn an_upload_that_lost_one_of_its_days_is_not_reused() {
    let next_day = |report: Report, hour: u32| {
        let start = format!("2026-01-11 {hour:02}:00:00 +0000 UTC");
        report.row(hour, &[("interval_start", &start)])
    };
    let two_days = |number: u32, hours: u32| {
        let pods = (0..2).fold(pods(0..hours), next_day);
        Payload::numbered(number)
            .manifest("end", "2026-01-11T23:59:59Z")
            .file(&format!("{number}.csv"), pods.text())
    };
    let of_next_day = Payload::numbered(2)
        .manifest("start", "2026-01-11T00:00:00Z")
        .manifest("end", "2026-01-11T23:59:59Z")
        .file("2.csv", (0..4).fold(Report::pods(), next_day).text());
    let folder = tempfile::tempdir().expect("a folder");
    let path = |payload: Payload, name: &str| [payload.write(folder.path(), name)];
    let database = TestDatabase::migrated();
    load(
        &database,
        "pipelines/ocp.toml",
        &path(two_days(1, 2), "1.tar.gz"),
    );
    load(
        &database,
        "pipelines/ocp.toml",
        &path(of_next_day, "2.tar.gz"),
    );
    let result = load(
        &database,
        "pipelines/ocp.toml",
        &path(two_days(3, 5), "3.tar.gz"),
    );
    assert_eq!(number(&result, "rows_reused"), 0);
    assert_eq!(number(&result, "rows_loaded"), 12);
    // The two together hold both days alone, and the last has the rows of one of them.
    let result = load(
        &database,
        "pipelines/ocp.toml",
        &path(two_days(4, 6), "4.tar.gz"),
    );
    assert_eq!(number(&result, "rows_reused"), 0);
}

#[test]
fn a_payload_that_fails_says_what_it_would_say_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (database, alone) = (TestDatabase::migrated(), TestDatabase::migrated());
    let first = usual(1, 2).write(folder.path(), "1.tar.gz");
    load(&database, "pipelines/ocp.toml", &[first]);
    let before = database.digests_of_published();
    let without = Report::volumes().without("persistentvolumeclaim_capacity_bytes");
    let bad = Payload::numbered(2)
        .file("2-pods.csv", pods(0..5).text())
        .file("2-volumes.csv", without.hours(0..5).text())
        .write(folder.path(), "2.tar.gz");
    let fails = |database| {
        let bad = std::slice::from_ref(&bad);
        run(database, "pipelines/ocp.toml", bad).ends_with(1).stderr
    };
    let said = fails(&database);
    assert!(
        said.contains("persistentvolumeclaim_capacity_bytes"),
        "{said}"
    );
    assert_eq!(said, fails(&alone));
    assert_eq!(database.digests_of_published(), before);
    // A better one comes.
    let good = usual(3, 5).write(folder.path(), "3.tar.gz");
    let result = load(&database, "pipelines/ocp.toml", &[good]);
    assert_eq!(number(&result, "rows_reused"), 6);
}

#[test]
fn a_run_that_captures_loads_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = TestDatabase::migrated();
    let paths = [usual(1, 2).write(folder.path(), "1.tar.gz")];
    load(&database, "pipelines/ocp.toml", &paths);
    let paths = [usual(2, 5).write(folder.path(), "2.tar.gz")];
    let ended = run(&database, "pipelines/ocp.toml", &paths)
        .argument("--json")
        .argument("--capture")
        .argument(folder.path())
        .succeeds();
    assert_eq!(ended.json()[0]["rows_reused"], 0);
}
