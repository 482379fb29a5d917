//! The vector of the specification: one node of four cores, one namespace, three
//! pods and two volumes, through all of January 10th. Its numbers can be checked
//! by hand.

use crate::support::command::run;
use crate::support::payload::{Payload, Report};
use crate::support::server::TestDatabase;

/// `max`, with the key `app` enabled.
fn loaded() -> TestDatabase {
    let database = TestDatabase::migrated();
    database.execute(
        "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
        VALUES ('app', true, 'OCP')",
    );
    let mut pods = Report::pods();
    let mut volumes = Report::volumes();
    for hour in 0..24 {
        for (pod, usage, request) in [
            ("a", "1800", "3600"),
            ("b", "3600", "1800"),
            ("c", "720", "0"),
        ] {
            pods = pods.row(
                hour,
                &[
                    ("pod", pod),
                    ("pod_usage_cpu_core_seconds", usage),
                    ("pod_request_cpu_core_seconds", request),
                    ("pod_labels", &format!("label_app:{pod}")),
                ],
            );
        }
        for (pod, claim, volume) in [("a", "d1", "pv-d1"), ("b", "d2", "pv-d2")] {
            volumes = volumes.row(
                hour,
                &[
                    ("pod", pod),
                    ("persistentvolumeclaim", claim),
                    ("persistentvolume", volume),
                ],
            );
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::numbered(1)
        .file("pods.csv", pods.text())
        .file("volumes.csv", volumes.text())
        .write(folder.path(), "vector.tar.gz");
    run(&database, "pipelines/ocp-max.toml", &[payload]).succeeds();
    database
}

/// Compares a query's rows, written as words with spaces in between.
#[track_caller]
fn check(database: &TestDatabase, query: &str, expected: &[&str]) {
    let rows: Vec<String> = database
        .query_rows(query)
        .into_iter()
        .map(|row| {
            let cells = row.into_iter().map(|cell| cell.unwrap_or("null".into()));
            cells.collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn pods_volumes_and_what_is_left_of_the_node() {
    let database = loaded();
    check(
        &database,
        "SELECT
            namespace,
            pod_labels ->> 'app',
            trim_scale(pod_usage_cpu_core_hours),
            trim_scale(pod_request_cpu_core_hours),
            trim_scale(pod_effective_usage_cpu_core_hours),
            trim_scale(node_capacity_cpu_core_hours),
            trim_scale(cluster_capacity_cpu_core_hours)
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE data_source = 'Pod'
        ORDER BY namespace, pod_labels ->> 'app'",
        &[
            "Worker unallocated null 55.2 60 43.2 96 96",
            "app a 12 24 24 96 96",
            "app b 24 12 24 96 96",
            "app c 4.8 0 4.8 96 96",
        ],
    );
    check(
        &database,
        "SELECT namespace, persistentvolumeclaim, node, trim_scale(persistentvolumeclaim_capacity_gigabyte)
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE data_source = 'Storage'
        ORDER BY persistentvolumeclaim",
        &["app d1 n1 100", "app d2 n1 100"],
    );
    // An hour's share of a month goes on for ever, and staging holds 12 decimals
    // of it: the day is off by at most 24 halves of the last one.
    check(
        &database,
        "SELECT DISTINCT
            abs(persistentvolumeclaim_capacity_gigabyte_months - 3.225806451612903) <= 12e-12,
            abs(volume_request_storage_gigabyte_months - 3.225806451612903) <= 12e-12,
            abs(persistentvolumeclaim_usage_gigabyte_months - 1.612903225806452) <= 12e-12
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE data_source = 'Storage'",
        &["t t t"],
    );
}

#[test]
fn sums_over_the_namespace() {
    check(
        &loaded(),
        "SELECT
            trim_scale(sum(pod_usage_cpu_core_hours)),
            trim_scale(sum(pod_request_cpu_core_hours)),
            trim_scale(sum(pod_effective_usage_cpu_core_hours)),
            trim_scale(max(cluster_capacity_cpu_core_hours))
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE data_source = 'Pod' AND namespace = 'app'",
        &["40.8 36 52.8 96"],
    );
}
