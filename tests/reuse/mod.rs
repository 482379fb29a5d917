//! Uploads that repeat hours of earlier ones: these are not loaded again, and nobody who
//! reads the tables can tell.

/// Replayed, summarized and cleaned.
mod afterwards;
/// Uploads that are loaded whole.
mod loaded_whole;
/// Uploads of one command.
mod together;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::golden::DataSet;
use crate::support::command::{Ended, file, run};
use crate::support::contents::{self, Compared};
use crate::support::payload::{Payload, Report};
use crate::support::server::TestDatabase;

/// The tables of a day and of its month, but not those that tell how the rows came.
const KNOWN: Compared = Compared {
    tables_left_out: &[
        "gristmill_action",
        "gristmill_run",
        "gristmill_row_account",
        "gristmill_run_stage",
        "gristmill_generation",
        "gristmill_coverage",
        "gristmill_hour_read",
        "gristmill_archive",
        "gristmill_archive_owner",
        "gristmill_archive_pending",
        "gristmill_quarantine",
        "reporting_common_costusagereportmanifest",
        "reporting_common_costusagereportstatus",
        "reporting_ocpusagelineitem_gpu_staging",
        "reporting_ocpusagelineitem_namespace_labels_staging",
        "reporting_ocpusagelineitem_node_labels_staging",
        "reporting_ocpusagelineitem_pod_staging",
        "reporting_ocpusagelineitem_storage_staging",
        "reporting_ocpusagelineitem_vm_staging",
        "_sqlx_migrations",
    ],
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

/// The rows that were loaded of the hours of a day's holders.
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
    contents::are_same(found, expected, KNOWN, after);
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
fn hours_that_are_reused_are_as_if_they_had_been_loaded() {
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
        assert_eq!(number(&result, "rows_reused"), read, "{hours} hours");
        read = number(&result, "rows_read");
        let loaded = number(&result, "rows_loaded") + number(&result, "rows_reused");
        assert_eq!(loaded, read, "{hours} hours");
    }
    assert_eq!(read, number(&whole, "rows_read"));
    reads_like(&step_by_step, &at_once, "four uploads");
    // Each row was copied once, and no other is there.
    assert_eq!(rows(&step_by_step), rows(&at_once));
    let copied =
        "SELECT sum(rows_loaded)::bigint::text, sum(rows_reused)::bigint > 0 FROM gristmill_run";
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
    assert_eq!(number(&result, "rows_reused"), 0);
    reads_like(&loaded_whole, &at_once, "uploads that repeat nothing");
    assert_ne!(rows(&loaded_whole), rows(&at_once));
}

#[test]
fn reused_rows_are_counted_and_shown() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<PathBuf> = [usual(1, 2), usual(2, 5)]
        .iter()
        .enumerate()
        .map(|(number, payload)| payload.write(folder.path(), &format!("{number}.tar.gz")))
        .collect();
    let ended: Ended = run(&database, "pipelines/ocp.toml", &paths).succeeds();
    assert!(ended.stdout.contains("   reused   "), "{ended}");
    let last = ended.stdout.lines().find(|line| line.contains("1.tar.gz"));
    let words: Vec<&str> = last.expect("a line").split_whitespace().collect();
    // Read, loaded, reused.
    assert_eq!(words[4..7], ["15", "9", "6"], "{ended}");
    assert_eq!(
        database.query_rows(
            "SELECT stage, rows_in, rows_out, rows_reused
            FROM gristmill_row_account
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
            "SELECT report_name, rows_loaded, rows_reused
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

/// Loads uploads; the last reuses so many rows, and the tables are as if
/// it had come alone.
#[track_caller]
fn reuses(uploads: &[Payload], rows: u64) {
    reuses_by(
        &file("pipelines/ocp.toml"),
        &file("pipelines/ocp.toml"),
        uploads,
        rows,
    );
}

/// As `reuses`, with another pipeline for the last.
#[track_caller]
fn reuses_by(before: &Path, pipeline: &Path, uploads: &[Payload], rows: u64) {
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
    assert_eq!(number(&result, "rows_reused"), rows, "{result}");
    load(&alone, pipeline, std::slice::from_ref(last));
    reads_like(&database, &alone, "uploads of a day");
}

#[test]
fn repeated_hours_are_reused_however_they_stand() {
    reuses(&[usual(1, 2), usual(2, 5)], 6);
    // Nothing is new.
    reuses(&[usual(1, 2), usual(2, 2)], 6);
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
    reuses(&[usual(1, 2), reversed], 6);
    // Hours that were reused once are reused again.
    reuses(&[usual(1, 2), usual(2, 3), usual(3, 5)], 9);
}
