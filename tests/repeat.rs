//! Payloads that come again: the same one, a better one, a worse one.

use std::path::PathBuf;

use crate::golden::DataSet;
use crate::support::command::{Ended, run};
use crate::support::payload::{Payload, Report};
use crate::support::server::TestDatabase;

/// Runs the payload that a test made.
#[track_caller]
fn load(database: &TestDatabase, payload: &Payload) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let path = payload.write(folder.path(), "payload.tar.gz");
    run(database, "pipelines/ocp.toml", &[path])
        .calling(folder.path(), "[FOLDER]")
        .succeeds()
}

/// A payload of these hours, in which a pod uses so many core-seconds an hour.
fn payload(number: u32, hours: std::ops::Range<u32>, usage: u32) -> Payload {
    let usage = usage.to_string();
    let report = hours.fold(Report::pods(), |report, hour| {
        report.row(hour, &[("pod_usage_cpu_core_seconds", &usage)])
    });
    Payload::numbered(number).file(&format!("{number}.csv"), report.text())
}

/// The usage of the day, in core-hours.
#[track_caller]
fn check_usage(database: &TestDatabase, expected: &str) {
    let usage = database.query_value(
        "SELECT trim_scale(sum(pod_usage_cpu_core_hours))
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE namespace = 'app'",
    );
    assert_eq!(usage.as_deref(), Some(expected));
}

#[test]
fn the_same_payload_again_changes_nothing_and_says_so() {
    let set = DataSet("small");
    let database = set.database();
    run(&database, "pipelines/ocp-max.toml", &set.payloads()).succeeds();
    let before = database.digests();

    let payload: Vec<PathBuf> = set.payloads();
    run(&database, "pipelines/ocp-max.toml", &payload)
        .succeeds()
        .stderr_is(
            "[ROOT]/tests/data/small/payloads/20261001T235959-cost-mgmt.tar.gz: \
            nothing to do, all of it was loaded before, by pipeline `ocp-max`",
        );
    assert_eq!(database.digests(), before);
    let states = database.query_rows("SELECT state, rows_loaded FROM gristmill_run ORDER BY id");
    assert_eq!(
        states,
        [
            [Some("published".into()), Some("4992".into())],
            [Some("unchanged".into()), Some("0".into())],
        ]
    );
}

#[test]
fn of_equally_many_hours_the_later_manifest_wins() {
    let database = TestDatabase::migrated();
    load(&database, &payload(2, 0..4, 3600));
    check_usage(&database, "4");

    let before = database.digests_of_summaries();
    load(&database, &payload(1, 0..4, 1800)).stderr_is(
        "[FOLDER]/payload.tar.gz: another payload covers 2026-01-10 better; \
        these 4 hours do not count",
    );
    check_usage(&database, "4");
    assert_eq!(database.digests_of_summaries(), before);

    load(&database, &payload(3, 0..4, 7200)).stderr_is("");
    check_usage(&database, "8");
}

#[test]
fn more_hours_win_over_a_later_manifest() {
    let database = TestDatabase::migrated();
    load(&database, &payload(1, 0..4, 3600));
    load(&database, &payload(2, 0..3, 36000));
    check_usage(&database, "4");
}

#[test]
fn four_cumulative_uploads_count_once() {
    let database = TestDatabase::migrated();
    for (number, hours) in [(1, 6), (2, 12), (3, 18), (4, 24)] {
        load(&database, &payload(number, 0..hours, 3600));
        check_usage(&database, &hours.to_string());
    }
    let days = database.query_rows("SELECT usage_day, hours, rows FROM gristmill_day");
    assert_eq!(
        days,
        [["2026-01-10", "24", "24"].map(|cell| Some(cell.to_string()))]
    );
}

#[test]
fn other_days_of_a_payload_that_lost_one_still_count() {
    let database = TestDatabase::migrated();
    load(&database, &payload(2, 0..4, 3600));
    let tomorrow = ("interval_start", "2026-01-11 00:00:00 +0000 UTC");
    let report = Report::pods().hours(0..3).row(0, &[tomorrow]);
    load(
        &database,
        &Payload::numbered(1).file("two-days.csv", report.text()),
    );
    let days = database.query_rows(
        "SELECT day.usage_day, manifest.assembly_id
        FROM gristmill_day AS day
        JOIN reporting_common_costusagereportmanifest AS manifest
            ON manifest.id = day.manifest_id
        ORDER BY 1",
    );
    assert_eq!(
        days,
        [
            ["2026-01-10", "00000000-0000-4000-8000-000000000002"],
            ["2026-01-11", "00000000-0000-4000-8000-000000000001"],
        ]
        .map(|row| row.map(|cell| Some(cell.to_string())))
    );
}

#[test]
fn a_publish_rewrites_the_days_that_it_won_and_no_others() {
    let database = TestDatabase::migrated();
    load(&database, &payload(1, 0..4, 3600));
    let tables = database.query_rows(
        "SELECT parent.relname
        FROM pg_class AS parent
        JOIN pg_partitioned_table AS partitioning
            ON partitioning.partrelid = parent.oid
        JOIN pg_attribute AS partition_key
            ON partition_key.attrelid = parent.oid
            AND partition_key.attnum = partitioning.partattrs[0]
        WHERE
            parent.relnamespace = 'gristmill'::regnamespace
            AND partition_key.attname = 'usage_start'",
    );
    let versions: Vec<String> = tables
        .into_iter()
        .flatten()
        .flatten()
        .map(|table| {
            format!(
                "SELECT tableoid::regclass::text, ctid::text, xmin::text
                FROM {table} WHERE usage_start = '2026-01-10'"
            )
        })
        .collect();
    assert_eq!(versions.len(), 14);
    let versions = versions.join(" UNION ALL ") + " ORDER BY 1, 2";
    let before = database.query_rows(&versions);
    assert!(before.len() >= 8, "{before:?}");

    // A better payload of the next day, which has the day of the first one as well.
    let tomorrow = ("interval_start", "2026-01-11 00:00:00 +0000 UTC");
    let report = Report::pods().hours(0..3).row(0, &[tomorrow]);
    load(
        &database,
        &Payload::numbered(2).file("two-days.csv", report.text()),
    );
    let days = "SELECT count(DISTINCT usage_start) FROM reporting_ocpusagelineitem_daily_summary";
    assert_eq!(database.query_value(days).as_deref(), Some("2"));
    assert_eq!(database.query_rows(&versions), before);

    load(&database, &payload(3, 0..5, 3600));
    assert_ne!(database.query_rows(&versions), before);
}

#[test]
fn the_staging_views_say_what_the_summary_is_made_of() {
    let set = DataSet("small");
    let database = set.database();
    run(&database, "pipelines/ocp-max.toml", &set.payloads()).succeeds();
    let views = database.query_rows(
        "SELECT relname FROM pg_class
        WHERE relnamespace = 'gristmill'::regnamespace AND relname LIKE '%\\_staging\\_view'",
    );
    let views: Vec<String> = views.into_iter().flatten().flatten().collect();
    assert_eq!(views.len(), 6);
    for view in &views {
        let shown = database.query_value(&format!(
            "SELECT count(*) > 0 AND bool_and(processed) FROM {view}"
        ));
        assert_eq!(shown.as_deref(), Some("t"), "{view}");
    }

    // A payload that lost its day has rows, too.
    load(&database, &payload(1, 0..4, 3600));
    load(&database, &payload(2, 0..3, 3600));
    let shown = database.query_rows(
        "SELECT pod_usage_cpu_core_hours = 1, processed, count(*)
        FROM reporting_ocpusagelineitem_pod_staging_view
        WHERE interval_start < '2026-02-01'
        GROUP BY 1, 2
        ORDER BY 2",
    );
    assert_eq!(
        shown,
        [["t", "f", "3"], ["t", "t", "4"]].map(|row| row.map(|cell| Some(cell.to_string())))
    );
}

/// To lock a row is to write it: each day of a cluster has its claims.
#[test]
fn a_claim_that_is_known_as_it_is_is_not_written_again() {
    let database = TestDatabase::migrated();
    let volumes = |number: u32, hours| {
        let name = format!("{number}.csv");
        Payload::numbered(number).file(&name, Report::volumes().hours(hours).text())
    };
    load(&database, &volumes(1, 0..2));
    let claims = "SELECT count(*), count(*) FILTER (WHERE xmax <> 0) FROM reporting_ocp_pvcs";
    let known = [[Some("1".to_string()), Some("0".to_string())]];
    assert_eq!(database.query_rows(claims), known);
    load(&database, &volumes(2, 0..3));
    assert_eq!(database.query_rows(claims), known);
}
