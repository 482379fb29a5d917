//! Uploads that repeat hours of earlier ones: these are not loaded again, and nobody who
//! reads the tables can tell.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::golden::DataSet;
use crate::support::command::{Ended, file, gristmill, run, stages};
use crate::support::contents::{self, Compared};
use crate::support::payload::{CLUSTER, DAY, Payload, Report, write};
use crate::support::server::TestDatabase;
use crate::support::site::Site;

/// What is known of a day and of its month, but not how it came to be known.
const KNOWN: Compared = Compared {
    tables: "relname NOT LIKE '%\\_staging' AND relname NOT IN (
        'gristmill_run', 'gristmill_run_book', 'gristmill_run_stage', 'gristmill_generation',
        'gristmill_coverage', 'gristmill_hour_read', 'gristmill_archive', 'gristmill_quarantine',
        'reporting_common_costusagereportmanifest', 'reporting_common_costusagereportstatus',
        '_sqlx_migrations')",
    without: &[],
};

/// Every row that is staged of a day's holders, as consumers see it.
const STAGED: &str = "
    SELECT 'pod', (to_jsonb(s) - '{generation,report_period_id}'::text[])::text
    FROM reporting_ocpusagelineitem_pod_staging_view AS s WHERE processed
    UNION ALL
    SELECT 'storage', (to_jsonb(s) - '{generation,report_period_id}'::text[])::text
    FROM reporting_ocpusagelineitem_storage_staging_view AS s WHERE processed
    UNION ALL
    SELECT 'node', (to_jsonb(s) - '{generation,report_period_id}'::text[])::text
    FROM reporting_ocpusagelineitem_node_labels_staging_view AS s WHERE processed
    UNION ALL
    SELECT 'namespace', (to_jsonb(s) - '{generation,report_period_id}'::text[])::text
    FROM reporting_ocpusagelineitem_namespace_labels_staging_view AS s WHERE processed
    UNION ALL
    SELECT 'vm', (to_jsonb(s) - '{generation,report_period_id}'::text[])::text
    FROM reporting_ocpusagelineitem_vm_staging_view AS s WHERE processed
    UNION ALL
    SELECT 'gpu', (to_jsonb(s) - '{generation,report_period_id}'::text[])::text
    FROM reporting_ocpusagelineitem_gpu_staging_view AS s WHERE processed
    ORDER BY 1, 2";

/// What was loaded of the hours of a day's holders.
const COVERED: &str = "
    SELECT coverage.report, coverage.interval_start, sum(coverage.rows)
    FROM gristmill_day_manifest AS holder
    JOIN gristmill_generation AS generation
        ON generation.manifest_id = holder.manifest_id
    JOIN gristmill_coverage AS coverage
        ON coverage.generation = generation.id
    GROUP BY 1, 2
    ORDER BY 1, 2";

/// Staged rows in all, whether they count or not.
const STAGED_ROWS: &str = "
    SELECT (SELECT count(*) FROM reporting_ocpusagelineitem_pod_staging)
        + (SELECT count(*) FROM reporting_ocpusagelineitem_storage_staging)
        + (SELECT count(*) FROM reporting_ocpusagelineitem_node_labels_staging)
        + (SELECT count(*) FROM reporting_ocpusagelineitem_namespace_labels_staging)
        + (SELECT count(*) FROM reporting_ocpusagelineitem_vm_staging)
        + (SELECT count(*) FROM reporting_ocpusagelineitem_gpu_staging)";

/// A shipped day, upload by upload.
struct Shipped {
    set: DataSet,
    /// The text of each report.
    reports: Vec<String>,
    folder: tempfile::TempDir,
}

impl Shipped {
    fn small() -> Shipped {
        let set = DataSet("small");
        let tarball = fs::File::open(&set.payloads()[0]).expect("a payload");
        let mut archive = tar::Archive::new(GzDecoder::new(tarball));
        let mut reports = Vec::new();
        for entry in archive.entries().expect("members") {
            let mut entry = entry.expect("a member");
            let path = entry.path().expect("a name").into_owned();
            if path.extension().is_some_and(|extension| extension == "csv") {
                let mut text = String::new();
                entry.read_to_string(&mut text).expect("text");
                reports.push(text);
            }
        }
        Shipped {
            set,
            reports,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// The upload of the first hours, after `change`.
    fn upload(&self, hours: u32, change: impl Fn(&str) -> String) -> PathBuf {
        let mut payload = Payload::numbered(hours)
            .manifest("cluster_id", "11111111-0000-4000-8000-000000000001")
            .manifest("date", format!("2026-10-02T00:{hours:02}:00Z"))
            .manifest("start", "2026-10-01T00:00:00Z")
            .manifest("end", format!("2026-10-01T{:02}:59:59Z", hours - 1));
        for (number, report) in self.reports.iter().enumerate() {
            let mut lines = report.lines();
            let header = lines.next().expect("a header");
            let of_upload = lines.filter(|line| {
                let start = line.split(',').nth(2).expect("interval_start");
                start[11..13].parse::<u32>().expect("an hour") < hours
            });
            let text: String = std::iter::once(header)
                .chain(of_upload)
                .flat_map(|line| [line, "\n"])
                .collect();
            payload = payload.file(&format!("{hours}-{number}.csv"), &change(&text));
        }
        payload.write(self.folder.path(), &format!("{hours}.tar.gz"))
    }

    fn as_it_is(&self, hours: u32) -> PathBuf {
        self.upload(hours, str::to_string)
    }
}

/// Runs the payloads one by one; returns what became of the last.
#[track_caller]
fn load(database: &TestDatabase, pipeline: impl AsRef<Path>, payloads: &[PathBuf]) -> Value {
    let ended = run(database, pipeline, payloads)
        .argument("--json")
        .succeeds();
    let results = ended.json();
    results
        .as_array()
        .and_then(|runs| runs.last())
        .expect("a run")
        .clone()
}

fn number(result: &Value, key: &str) -> u64 {
    result[key]
        .as_u64()
        .unwrap_or_else(|| panic!("no {key} in {result}"))
}

/// Nobody who reads the tables can tell one database from the other.
#[track_caller]
fn reads_like(found: &TestDatabase, expected: &TestDatabase, after: &str) {
    contents::difference(found, expected, KNOWN).is_none(after);
    assert!(
        found.query_rows(STAGED) == expected.query_rows(STAGED),
        "staging after {after}"
    );
    assert_eq!(
        found.query_rows(COVERED),
        expected.query_rows(COVERED),
        "coverage after {after}"
    );
}

#[test]
fn hours_that_are_taken_over_are_as_if_they_had_been_loaded() {
    let day = Shipped::small();
    let at_once = day.set.database();
    let whole = load(&at_once, "pipelines/ocp-max.toml", &[day.as_it_is(24)]);
    let rows = |database: &TestDatabase| database.query_value(STAGED_ROWS).expect("a number");

    let step_by_step = day.set.database();
    let mut read = 0;
    for hours in [6, 12, 18, 24] {
        let result = load(
            &step_by_step,
            "pipelines/ocp-max.toml",
            &[day.as_it_is(hours)],
        );
        assert_eq!(number(&result, "rows_taken_over"), read, "{hours} hours");
        read = number(&result, "rows_read");
        let loaded = number(&result, "rows_loaded") + number(&result, "rows_taken_over");
        assert_eq!(loaded, read, "{hours} hours");
    }
    assert_eq!(read, number(&whole, "rows_read"));
    reads_like(&step_by_step, &at_once, "four uploads");
    // Each row was copied once, and no other is there.
    assert_eq!(rows(&step_by_step), rows(&at_once));
    let copied = "SELECT sum(rows_loaded)::bigint::text, sum(rows_taken_over)::bigint > 0 FROM gristmill_run";
    assert_eq!(
        step_by_step.query_rows(copied),
        [[Some(rows(&at_once)), Some("t".into())]]
    );

    // One byte of the first row differs in the uploads before the last.
    let loaded_whole = day.set.database();
    for hours in [6, 12] {
        let other = day.upload(hours, |report| {
            let (header, rest) = report.split_once('\n').expect("a header");
            let (first, rest) = rest.split_once('\n').expect("a row");
            let changed = first.replacen(":59:59 ", ":59:58 ", 1);
            match header.contains("pod_usage_cpu_core_seconds") && hours == 12 {
                true => format!("{header}\n{changed}\n{rest}"),
                false => report.to_string(),
            }
        });
        load(&loaded_whole, "pipelines/ocp-max.toml", &[other]);
    }
    let result = load(&loaded_whole, "pipelines/ocp-max.toml", &[day.as_it_is(24)]);
    assert_eq!(number(&result, "rows_taken_over"), 0);
    reads_like(&loaded_whole, &at_once, "uploads that repeat nothing");
    assert_ne!(rows(&loaded_whole), rows(&at_once));
}

#[test]
fn what_is_taken_over_is_said() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<PathBuf> = [usual(1, 2), usual(2, 5)]
        .iter()
        .enumerate()
        .map(|(number, payload)| payload.write(folder.path(), &format!("{number}.tar.gz")))
        .collect();
    let ended: Ended = run(&database, "pipelines/ocp.toml", &paths).succeeds();
    assert!(ended.stdout.contains("   taken over   "), "{ended}");
    let last = ended.stdout.lines().find(|line| line.contains("1.tar.gz"));
    let words: Vec<&str> = last.expect("a line").split_whitespace().collect();
    // Read, loaded, taken over.
    assert_eq!(words[4..7], ["15", "9", "6"], "{ended}");
    assert_eq!(
        database.query_rows(
            "SELECT stage, rows_in, rows_out, rows_taken_over
            FROM gristmill_run_book
            WHERE run_id = 2 AND file = '2-pods.csv' AND position < 2
            ORDER BY position"
        ),
        [
            ["csv-parse", "10", "6", "4"],
            ["effective-usage", "6", "6", "0"]
        ]
        .map(|row| row.map(|cell| Some(cell.to_string())))
    );
    assert_eq!(
        database.query_rows(
            "SELECT report_name, rows_loaded, rows_taken_over
            FROM reporting_common_costusagereportstatus
            ORDER BY 1"
        ),
        [
            ["1-pods.csv", "4", "0"],
            ["1-volumes.csv", "2", "0"],
            ["2-pods.csv", "6", "4"],
            ["2-volumes.csv", "3", "2"]
        ]
        .map(|row| row.map(|cell| Some(cell.to_string())))
    );
}

/// Two pods and a volume in the first hours of the day.
fn usual(number: u32, hours: u32) -> Payload {
    Payload::numbered(number)
        .file(&format!("{number}-pods.csv"), pods(0..hours).text())
        .file(&format!("{number}-volumes.csv"), volumes(hours).text())
}

fn pods(hours: std::ops::Range<u32>) -> Report {
    hours.fold(Report::pods(), |report, hour| {
        report.row(hour, &[("pod_labels", "label_app:shop")]).row(
            hour,
            &[("pod", "b"), ("pod_usage_cpu_core_seconds", "3600")],
        )
    })
}

fn volumes(hours: u32) -> Report {
    Report::volumes().hours(0..hours)
}

/// Loads uploads; the last is said to take over so many rows, and the tables are as if
/// it had come alone.
#[track_caller]
fn takes_over(uploads: &[Payload], rows: u64) {
    takes_over_by(
        &file("pipelines/ocp.toml"),
        &file("pipelines/ocp.toml"),
        uploads,
        rows,
    );
}

/// As `takes_over`, with another pipeline for the last.
#[track_caller]
fn takes_over_by(before: &Path, pipeline: &Path, uploads: &[Payload], rows: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<PathBuf> = uploads
        .iter()
        .enumerate()
        .map(|(number, payload)| payload.write(folder.path(), &format!("{number}.tar.gz")))
        .collect();
    let (last, first) = paths.split_last().expect("uploads");
    let (database, alone) = (TestDatabase::migrated(), TestDatabase::migrated());
    load(&database, before, first);
    let result = load(&database, pipeline, std::slice::from_ref(last));
    assert_eq!(number(&result, "rows_taken_over"), rows, "{result}");
    load(&alone, pipeline, std::slice::from_ref(last));
    reads_like(&database, &alone, "uploads of a day");
}

#[test]
fn repeated_hours_are_taken_over_however_they_stand() {
    takes_over(&[usual(1, 2), usual(2, 5)], 6);
    // Nothing is new.
    takes_over(&[usual(1, 2), usual(2, 2)], 6);
    // In another order, and in two files of which one has the half of an hour.
    let header = Report::pods().text().to_string();
    let text = pods(0..3).text().to_string();
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    lines.reverse();
    let part = |lines: &[&str]| header.clone() + &lines.join("\n") + "\n";
    let reversed = Payload::numbered(2)
        .file("a.csv", &part(&lines[..3]))
        .file("b.csv", &part(&lines[3..]))
        .file("volumes.csv", volumes(3).text());
    takes_over(&[usual(1, 2), reversed], 6);
    // What was taken over once is taken over again.
    takes_over(&[usual(1, 2), usual(2, 3), usual(3, 5)], 9);
}

#[test]
fn hours_with_other_bytes_are_loaded() {
    let with_pods = |pods: &str| {
        Payload::numbered(2)
            .file("pods.csv", pods)
            .file("volumes.csv", volumes(5).text())
    };
    let text = pods(0..5).text().to_string();
    // One byte.
    takes_over(
        &[
            usual(1, 2),
            with_pods(&text.replacen(",3600,", ",3601,", 1)),
        ],
        0,
    );
    // A row less, and one more.
    let (header, rows) = text.split_once('\n').expect("a header");
    let (first, rest) = rows.split_once('\n').expect("a row");
    takes_over(&[usual(1, 2), with_pods(&format!("{header}\n{rest}"))], 0);
    takes_over(
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
    takes_over(&[usual(1, 2), with_pods(&format!("{swapped}\n{rows}"))], 0);
    let renamed = header.replace("pod_limit_memory_byte_seconds", "some_other_byte_seconds");
    let optional = header.replace("node_role", "some_role");
    assert_ne!(renamed, optional);
    takes_over(&[usual(1, 2), with_pods(&format!("{optional}\n{rows}"))], 0);
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
    assert_eq!(number(&result, "rows_taken_over"), 0);
    assert_eq!(number(&result, "rows_loaded"), 10);
    // An hour.
    let later_hours = Payload::numbered(2)
        .file("pods.csv", pods(1..5).text())
        .file("volumes.csv", volumes(5).text());
    takes_over(&[usual(1, 2), later_hours], 0);
}

#[test]
fn hours_that_went_another_way_are_loaded() {
    let (ocp, max) = (file("pipelines/ocp.toml"), file("pipelines/ocp-max.toml"));
    takes_over_by(&ocp, &max, &[usual(1, 2), usual(2, 5)], 0);

    // The same stage in other bytes: with a section that says nothing.
    let folder = tempfile::tempdir().expect("a folder");
    let mut component = fs::read(stages().join("effective_usage.wasm")).expect("a component");
    component.extend([0, 2, 1, b'x']);
    write(folder.path(), "other.wasm", &component);
    let text = format!("extends = {ocp:?}\n[stages.effective-usage]\ncomponent = \"other.wasm\"\n");
    let other = write(folder.path(), "other.toml", text.as_bytes());
    takes_over_by(&ocp, &other, &[usual(1, 2), usual(2, 5)], 0);

    // Of another name and with other thresholds it is the same way.
    let text = format!(
        "extends = {ocp:?}\n[pipeline]\nname = \"named\"\n[limits]\nrejected-rows = \"2 %\"\n"
    );
    let named = write(folder.path(), "named.toml", text.as_bytes());
    takes_over_by(&ocp, &named, &[usual(1, 2), usual(2, 5)], 6);
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
    assert_eq!(number(&result, "rows_taken_over"), 0);
    let tagged = "SELECT DISTINCT pod_labels ->> 'app'
        FROM reporting_ocpusagelineitem_daily_summary WHERE pod_labels ? 'app'";
    assert_eq!(database.query_value(tagged).as_deref(), Some("shop"));
    let result = load(
        &database,
        "pipelines/ocp.toml",
        &path(usual(3, 6), "3.tar.gz"),
    );
    assert_eq!(number(&result, "rows_taken_over"), 15);
    assert_eq!(database.query_value(tagged).as_deref(), Some("shop"));
}

#[test]
fn hours_with_rows_in_quarantine_are_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let ocp = file("pipelines/ocp.toml");
    let text = format!("extends = {ocp:?}\n[limits]\nrejected-rows = \"50 %\"\n");
    let patient = write(folder.path(), "patient.toml", text.as_bytes());
    let with_bad_row = |number: u32, hours: u32| {
        let pods = pods(0..hours).row(0, &[("pod_usage_cpu_core_seconds", "much")]);
        Payload::numbered(number)
            .file(&format!("{number}.csv"), pods.text())
            .file(&format!("{number}-volumes.csv"), volumes(hours).text())
    };
    takes_over_by(
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
    assert_eq!(number(&result, "rows_taken_over"), 6);
    assert_eq!(number(&result, "rows_rejected"), 1);
    let quarantined = "SELECT count(*) FROM gristmill_quarantine";
    assert_eq!(database.query_value(quarantined).as_deref(), Some("1"));
}

#[test]
fn a_row_of_no_hour_leaves_what_is_read_unknown() {
    let folder = tempfile::tempdir().expect("a folder");
    let ocp = file("pipelines/ocp.toml");
    let text = format!("extends = {ocp:?}\n[limits]\nrejected-rows = \"50 %\"\n");
    let patient = write(folder.path(), "patient.toml", text.as_bytes());
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
    assert_eq!(number(&result, "rows_taken_over"), 0);
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
            number(&result, "rows_taken_over"),
            number(&result, "rows_loaded")
        ),
        (0, 10)
    );
    let second = [part("2-volumes.csv", &volumes(5)).write(folder.path(), "2b.tar.gz")];
    let result = load(&database, "pipelines/ocp.toml", &second);
    assert_eq!(
        (
            number(&result, "rows_taken_over"),
            number(&result, "rows_loaded")
        ),
        (0, 5)
    );
    // What came in parts is taken over as a whole.
    let third = [usual(3, 6).write(folder.path(), "3.tar.gz")];
    let result = load(&database, "pipelines/ocp.toml", &third);
    assert_eq!(number(&result, "rows_taken_over"), 15);
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
        assert_eq!(number(&result, "rows_taken_over"), 0, "{result}");
        assert_eq!(result["state"], "loaded");
        assert_eq!(database.digests_of_summaries(), published);
        let result = load(
            &database,
            "pipelines/ocp.toml",
            std::slice::from_ref(parts[1]),
        );
        assert_eq!(number(&result, "rows_taken_over"), 0, "{result}");
        assert_eq!(result["state"], "published");
        reads_like(&database, &alone, "two parts");
    }
}

#[test]
fn an_additive_upload_neither_takes_over_nor_is_taken_over() {
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
        assert_eq!(number(&result, "rows_taken_over"), 0, "{result}");
        assert_eq!(number(&result, "rows_loaded"), 15, "{result}");
    }
}

#[test]
fn an_upload_takes_nothing_over_of_a_later_one() {
    // It has more hours and wins the day, but the other may come to be asked for again.
    takes_over(&[usual(2, 2), usual(1, 5)], 0);
    // It loses the day.
    let folder = tempfile::tempdir().expect("a folder");
    let database = TestDatabase::migrated();
    let paths = [
        usual(2, 5).write(folder.path(), "2.tar.gz"),
        usual(1, 2).write(folder.path(), "1.tar.gz"),
    ];
    let result = load(&database, "pipelines/ocp.toml", &paths);
    assert_eq!(result["days"][0]["outcome"], "lost");
    assert_eq!(number(&result, "rows_taken_over"), 0);
    // What lost its day is not taken over either, though it is earlier.
    let third = [usual(3, 6).write(folder.path(), "3.tar.gz")];
    let result = load(&database, "pipelines/ocp.toml", &third);
    assert_eq!(number(&result, "rows_taken_over"), 15);
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
    let strict = pipeline("strict.toml", "[publish]\ncoverage = \"storage-usage\"\n");
    run(&database, &strict, std::slice::from_ref(&second)).ends_with(1);
    let patient = pipeline("patient.toml", "[limits]\nrejected-rows = \"50 %\"\n");
    let result = load(&database, &patient, &[second]);
    assert_eq!(number(&result, "rows_taken_over"), 0);
    assert_eq!(result["days"][0]["outcome"], "lost");
    // The day can be made again from what the first one staged.
    assert_eq!(database.query_rows(STAGED).len(), 6);
}

#[test]
fn an_upload_that_lost_one_of_its_days_is_not_taken_over() {
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
    assert_eq!(number(&result, "rows_taken_over"), 0);
    assert_eq!(number(&result, "rows_loaded"), 12);
    // The two together hold both days alone, and the last has the rows of one of them.
    let result = load(
        &database,
        "pipelines/ocp.toml",
        &path(two_days(4, 6), "4.tar.gz"),
    );
    assert_eq!(number(&result, "rows_taken_over"), 0);
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
    assert_eq!(number(&result, "rows_taken_over"), 6);
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
    assert_eq!(ended.json()[0]["rows_taken_over"], 0);
}

/// A site after two uploads, of which the second took over the first.
fn site() -> (Site, Vec<PathBuf>) {
    let site = Site::new();
    let paths = site.write(&[usual(1, 2), usual(2, 5)]);
    site.run(&paths).succeeds();
    let taken = "SELECT rows_taken_over FROM gristmill_run ORDER BY id DESC LIMIT 1";
    assert_eq!(site.database.query_value(taken).as_deref(), Some("6"));
    (site, paths)
}

#[track_caller]
fn replay(site: &Site, pipeline: &str) {
    site.command(&["replay", pipeline, "--source", CLUSTER, "--from", DAY])
        .with_stages()
        .succeeds();
}

#[test]
fn what_was_taken_over_is_replayed_as_one_upload() {
    let (site, paths) = site();
    let alone = Site::new();
    alone.run(&paths[1..]).succeeds();
    reads_like(&site.database, &alone.database, "a takeover");

    // The first upload is known, and stays what it is.
    site.run(&paths[..1]).succeeds().stderr_is(
        "[FOLDER]/payload-0.tar.gz: nothing to do, all of it was loaded before, by pipeline `ocp`",
    );
    reads_like(&site.database, &alone.database, "the first upload again");
    for pipeline in ["pipelines/ocp.toml", "pipelines/ocp-max.toml"] {
        replay(&site, pipeline);
        replay(&alone, pipeline);
        reads_like(&site.database, &alone.database, pipeline);
        site.is_in_order(pipeline);
        let rows = site.database.query_value(STAGED_ROWS);
        assert_eq!(rows.as_deref(), Some("15"), "staged rows after {pipeline}");
    }

    // What was replayed is loaded when it comes again, and that is taken over.
    let more = site.write(&[usual(3, 6), usual(4, 7)]);
    let result = load(&site.database, "pipelines/ocp-max.toml", &more[..1]);
    assert_eq!(number(&result, "rows_taken_over"), 0);
    let result = load(&site.database, "pipelines/ocp-max.toml", &more[1..]);
    assert_eq!(number(&result, "rows_taken_over"), 18);
}

/// The upload in a month that is not over yet.
fn to_come(number: u32, hours: u32) -> Payload {
    let text = |report: &Report| report.text().replace("2026-0", "2098-0");
    Payload::numbered(number)
        .manifest("start", "2098-01-10T00:00:00Z")
        .manifest("end", "2098-01-10T23:59:59Z")
        .file(&format!("{number}-pods.csv"), &text(&pods(0..hours)))
        .file(&format!("{number}-volumes.csv"), &text(&volumes(hours)))
}

#[test]
fn what_was_taken_over_is_not_superseded() {
    let (site, alone) = (Site::new(), Site::new());
    let payloads = site.write(&[to_come(1, 2), to_come(2, 5)]);
    site.run(&payloads).succeeds();
    alone.run(&payloads[1..]).succeeds();
    for site in [&site, &alone] {
        site.command(&["clean", "--retention-days", "0"]).succeeds();
        assert_eq!(
            site.database.query_value(STAGED_ROWS).as_deref(),
            Some("15")
        );
        site.command(&["summarize", "--source", CLUSTER, "--from", "2098-01-10"])
            .succeeds();
    }
    reads_like(&site.database, &alone.database, "a clean-up");
    site.is_in_order("a clean-up");
}

#[test]
fn what_was_taken_over_is_cleaned_as_one_upload() {
    let (site, paths) = site();
    let alone = Site::new();
    alone.run(&paths[1..]).succeeds();
    for site in [&site, &alone] {
        // The day is over for long.
        site.command(&["clean", "--retention-days", "0"]).succeeds();
        assert_eq!(site.database.query_value(STAGED_ROWS).as_deref(), Some("0"));
    }
    reads_like(&site.database, &alone.database, "a clean-up");
    site.is_in_order("a clean-up");
    // What has no staged rows any more is not taken over.
    let more = site.write(&[usual(3, 6)]);
    let result = load(&site.database, "pipelines/ocp.toml", &more);
    assert_eq!(number(&result, "rows_taken_over"), 0);
    assert_eq!(number(&result, "rows_loaded"), 18);
}
