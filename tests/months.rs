//! Months: reports that go over the end of one, and of which there may be rows.

use std::ops::Range;
use std::time::Duration;

use chrono::{Datelike, Months, Utc};

use crate::support::command::{file, gristmill};
use crate::support::payload::{Payload, Report, write};
use crate::support::scene::{Scene, later, loadable_months};
use crate::support::server::TestDatabase;
use crate::support::torture::{Work, figure};

/// Rows of some 250 bytes: more than the smallest chunk has in one month.
const ROWS_OF_A_MONTH: u32 = 400;

#[test]
fn a_month_that_begins_in_the_middle_of_a_report_finds_its_partition() {
    let scene = Scene::with_pipeline("limits.chunk = \"64 KiB\"\n");
    let rows = |report: Report, day: &str| {
        (0..ROWS_OF_A_MONTH).fold(report, |report, row| {
            let start = format!("{day} 05:00:00 +0000 UTC");
            let pod = format!("pod-{row}");
            report.row(
                5,
                &[
                    ("interval_start", &start),
                    ("pod", &pod),
                    ("pod_usage_cpu_core_seconds", "3600"),
                ],
            )
        })
    };
    // Neither month has a partition, and the second is met in a later chunk.
    let report = rows(rows(Report::pods(), "2026-05-31"), "2026-06-01");
    let payload = Payload::numbered(7).file("pods.csv", report.text());
    let ended = scene.load(&payload.tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
    let usage = scene.database.query_rows(
        "SELECT usage_start, trim_scale(pod_usage_cpu_core_hours)
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE namespace = 'app' AND usage_start > '2026-05-01'
        ORDER BY usage_start",
    );
    let row = |day: &str| vec![Some(day.to_string()), Some("400".to_string())];
    assert_eq!(usage, [row("2026-05-31"), row("2026-06-01")]);
}

/// A payload of pods that is of so many months before this one.
fn of_months(number: u32, months_ago: Range<u32>) -> Payload {
    let first = Utc::now().date_naive().with_day(1).expect("a first day");
    let report = months_ago.fold(Report::pods(), |report, months_ago| {
        let start = format!("{} 05:00:00 +0000 UTC", first - Months::new(months_ago));
        report.row(5, &[("interval_start", &start)])
    });
    Payload::numbered(number).file(&format!("{number}.csv"), report.text())
}

/// Relations of partitions, and of what belongs to them.
#[track_caller]
fn relations(database: &TestDatabase) -> u64 {
    let count = database.query_value(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'gristmill'::regnamespace",
    );
    count.and_then(|count| count.parse().ok()).expect("a count")
}

#[test]
fn a_row_of_another_age_is_quarantined_and_makes_no_month() {
    let scene = Scene::new();
    let before = relations(&scene.database);
    let strays = [
        ("1970-01-01", "months-back", 120),
        ("2099-12-31", "months-ahead", 2),
    ];
    let good = Report::pods().hours(0..3);
    let good = (0..300).fold(good, |report, pod| {
        report.row(3, &[("pod", &format!("pod-{pod}"))])
    });
    let report = strays.iter().fold(good, |report, (day, ..)| {
        let start = format!("{day} 23:00:00 +0000 UTC");
        report.row(0, &[("pod", "stray"), ("interval_start", &start)])
    });
    let ended = scene.load(&later(&report));
    assert_eq!(ended.code, Some(0), "{ended}");
    let rejected = scene.database.query_rows(
        "SELECT column_name, code, message, convert_from(raw, 'UTF8') LIKE '%,stray,%'
        FROM gristmill_quarantine
        ORDER BY line",
    );
    let expected = strays.map(|(day, key, limit)| {
        let message = format!(
            "{day}T23:00:00Z is not in the months {}: `{key}` in `[limits]` is {limit}",
            loadable_months()
        );
        ["interval_start", "out-of-range", &message, "t"].map(|cell| Some(cell.to_string()))
    });
    assert_eq!(rejected, expected);
    assert_eq!(relations(&scene.database), before, "no month was made");
}

#[test]
fn a_payload_of_other_months_is_refused_by_name() {
    let scene = Scene::with_pipeline("limits.months-back = 12\n");
    let today = Utc::now().date_naive();
    let (far, old) = (today + Months::new(4), today - Months::new(14));
    for (number, start, end, limit) in [
        (2, today, far, "`months-ahead` in `[limits]` is 2"),
        (3, old, today, "`months-back` in `[limits]` is 12"),
    ] {
        let before = scene.database.digests();
        // A cluster that nobody knows stays unknown.
        let payload = of_months(number, 0..1)
            .manifest("cluster_id", "another")
            .manifest("start", format!("{start}T00:00:00Z"))
            .manifest("end", format!("{end}T00:00:00Z"));
        let ended = scene.load(&payload.tarball());
        assert_eq!(ended.code, Some(1), "{ended}");
        assert!(ended.stderr.contains("bad.tar.gz` is refused"), "{ended}");
        assert!(ended.stderr.contains(limit), "{ended}");
        assert_eq!(scene.database.digests(), before);
    }
}

#[test]
fn limits_of_months_are_the_pipelines() {
    let folder = tempfile::tempdir().expect("a folder");
    let ocp = file("pipelines/ocp.toml");
    let text = format!(
        "extends = {ocp:?}\n[stages.csv-parse]\ncomponent = \"csv_parse.wasm\"\nlimits = {{ months-back = 1 }}\n"
    );
    let pipeline = write(folder.path(), "pipeline.toml", text.as_bytes());
    let ended = gristmill(["check"])
        .argument(&pipeline)
        .with_stages()
        .ends_with(2);
    let words = "`months-back` is a limit of the pipeline, not of a stage";
    assert!(ended.stderr.contains(words), "{ended}");
}

#[test]
fn months_are_made_for_tables_that_get_rows() {
    let scene = Scene::new();
    let of_month = |months_ago: u32| {
        let first = Utc::now().date_naive().with_day(1).expect("a first day");
        let suffix = (first - Months::new(months_ago))
            .format("%Y_%m")
            .to_string();
        let tables = scene.database.query_rows(&format!(
            "SELECT relname
            FROM pg_class
            WHERE
                relnamespace = 'gristmill'::regnamespace
                AND relispartition
                AND relkind = 'r'
                AND relname LIKE '%\\_{suffix}'"
        ));
        let names: Vec<String> = tables.into_iter().flatten().flatten().collect();
        let staging = |name: &&String| name.contains("_staging_");
        (
            names.iter().filter(staging).count(),
            names.len() - names.iter().filter(staging).count(),
        )
    };
    let ended = scene.load(&of_months(2, 70..71).tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(of_month(70), (1, 14), "pods, and the summaries");
    // A run that publishes nothing makes no partition of a summary.
    let bad = of_months(3, 80..81).file("bad.csv", Report::pods().with_too_many_bad().text());
    let ended = scene.load(&bad.tarball());
    assert_eq!(ended.code, Some(1), "{ended}");
    assert_eq!(of_month(80), (1, 0));
    // Neither does a manifest that only says so.
    let first = Utc::now().date_naive().with_day(1).expect("a first day");
    let wide = of_months(4, 90..91)
        .manifest("start", format!("{}T00:00:00Z", first - Months::new(100)))
        .manifest("end", format!("{}T00:00:00Z", first - Months::new(70)));
    let ended = scene.load(&wide.tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(of_month(90), (1, 14));
    assert_eq!(of_month(95), (0, 0));
    // `clean` drops what is empty, of any month.
    let clean = |arguments: &[&str]| {
        gristmill(["clean"])
            .arguments(arguments)
            .database(&scene.database)
            .succeeds()
            .json()
    };
    let shown = clean(&["--dry-run", "--json"]);
    let before = relations(&scene.database);
    assert!(
        shown["empty_partitions"].as_array().map_or(0, Vec::len) > 10,
        "{shown}"
    );
    assert_eq!(relations(&scene.database), before);
    let usage = "SELECT count(*) FROM reporting_ocpusagelineitem_daily_summary";
    let rows = scene.database.query_value(usage);
    let dropped = clean(&["--json"]);
    assert_eq!(dropped["empty_partitions"], shown["empty_partitions"]);
    assert_eq!(of_month(80), (0, 0));
    assert!(relations(&scene.database) < before);
    assert_eq!(scene.database.query_value(usage), rows);
    assert_eq!(
        clean(&["--json"])["empty_partitions"],
        serde_json::json!([])
    );
}

/// So many that the server, whose table of locks has the usual size, could not hold the
/// partitions of all of them at once.
#[test]
fn payloads_of_many_months_leave_room_for_others() {
    let scene = Scene::new();
    let work = Work::new(1, 30, Duration::from_secs(90));
    let mut done = 0;
    while work.goes_on(done) {
        let number = 2 + done;
        let cluster = format!("cluster-{}", done % 7);
        let months = done % 5 * 20..done % 5 * 20 + 36;
        let payload = of_months(number, months).manifest("cluster_id", cluster);
        let ended = scene.load(&payload.tarball());
        assert_eq!(ended.code, Some(0), "{ended}");
        done += 1;
        figure("payloads of 36 months loaded", 1);
    }
    gristmill(["clean", "--retention-days", "0"])
        .database(&scene.database)
        .succeeds();
    let ended = scene.load(&of_months(50, 0..1).tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
}

#[test]
fn a_transaction_locks_the_months_that_it_changes() {
    let scene = Scene::new();
    let ended = scene.load(&of_months(2, 0..36).tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
    let locked = |statement: &str| -> u64 {
        let count = scene.database.query_rows(&format!(
            "BEGIN;
            {statement};
            SELECT count(*)
            FROM pg_locks
            JOIN pg_class
                ON pg_class.oid = relation
            WHERE
                pid = pg_backend_pid()
                AND (relname LIKE '%\\_20__\\___' OR relname LIKE '%\\_20__\\___\\_%');
            ROLLBACK"
        ));
        let last = count.last().and_then(|row| row[0].clone());
        last.and_then(|count| count.parse().ok()).expect("a count")
    };
    // Of 36 months; one has up to 22 partitions with some 30 indexes.
    for statement in [
        "SELECT claim_days(max(id)) FROM reporting_common_costusagereportmanifest",
        "SELECT remove_repeated_rows(max(id)) FROM reporting_common_costusagereportmanifest",
        "SELECT summarize_days(max(usage_day), max(usage_day), min(source_uuid::text)::uuid) FROM gristmill_day",
        "SELECT replace_days(manifest_id, 99, ARRAY[usage_day], 'pod-usage') FROM gristmill_day LIMIT 1",
        "SELECT forget_generation(min(id)) FROM gristmill_generation",
    ] {
        let count = locked(statement);
        assert!(count < 80, "{count} by {statement}");
    }
}
