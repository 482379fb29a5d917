//! Shipped payloads against the numbers of the existing product, and against
//! numbers worked out here.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::thread;

use serde_json::Value;

use crate::support::command::{file, gristmill, run};
use crate::support::golden::{check_table, check_table_without};
use crate::support::payload::write;
use crate::support::server::TestDatabase;

const SUMMARY: &str = "reporting_ocpusagelineitem_daily_summary";

/// A folder of `tests/data`.
#[derive(Clone, Copy)]
pub(crate) struct DataSet(pub(crate) &'static str);

impl DataSet {
    fn path(self, rest: &str) -> PathBuf {
        file("tests/data").join(self.0).join(rest)
    }

    /// Its payloads, by name.
    pub(crate) fn payloads(self) -> Vec<PathBuf> {
        let folder = self.path("payloads");
        let mut payloads: Vec<PathBuf> = fs::read_dir(folder)
            .expect("payloads")
            .map(|entry| entry.expect("a payload").path())
            .collect();
        payloads.sort();
        payloads
    }

    /// A database in the state in which the golden numbers were made.
    #[track_caller]
    pub(crate) fn database(self) -> TestDatabase {
        let text = fs::read_to_string(self.path("config.json")).expect("a configuration");
        let config: Value = serde_json::from_str(&text).expect("JSON");
        let text = |key: &str| config[key].as_str().expect("a text");
        let texts = |key: &str| -> Vec<&str> {
            let values = config[key].as_array().expect("a list");
            values.iter().filter_map(Value::as_str).collect()
        };
        let database = TestDatabase::migrated();
        gristmill(["sources", "add"])
            .arguments(["--cluster-id", text("cluster_id")])
            .arguments(["--alias", text("cluster_alias")])
            .arguments(["--uuid", text("source_uuid")])
            .database(&database)
            .succeeds();
        for (keys, enabled) in [("enabled_keys", true), ("disabled_keys", false)] {
            for key in texts(keys) {
                database.execute(&format!(
                    "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
                    VALUES ('{key}', {enabled}, 'OCP')"
                ));
            }
        }
        for category in config["cost_categories"].as_array().expect("a list") {
            let (name, pattern) = (&category[0], &category[1]);
            database.execute(&format!(
                "WITH category AS (
                    INSERT INTO reporting_ocp_cost_category (name, description, source_type)
                    VALUES ('{}', '', 'OCP')
                    RETURNING id
                )
                INSERT INTO reporting_ocp_cost_category_namespace (namespace, cost_category_id)
                SELECT '{}', id FROM category",
                name.as_str().expect("a name"),
                pattern.as_str().expect("a pattern")
            ));
        }
        database
    }

    #[track_caller]
    pub(crate) fn check(self, database: &TestDatabase, table: &str) {
        check_table(database, table, &self.path(&format!("golden/{table}.csv")));
    }
}

/// Loads a data set whole and compares the tables.
#[track_caller]
fn check(name: &'static str, tables: &[&str]) {
    let set = DataSet(name);
    let database = set.database();
    run(&database, "pipelines/ocp-max.toml", &set.payloads()).succeeds();
    for table in tables {
        set.check(&database, table);
    }
}

#[test]
fn tiny_is_as_in_the_existing_product() {
    check("tiny", &[SUMMARY]);
}

#[test]
fn small_is_as_in_the_existing_product() {
    check("small", &[SUMMARY, "reporting_ocp_nodes"]);
}

#[test]
fn a_payload_across_months_is_as_in_the_existing_product() {
    check("xmonth", &[SUMMARY]);
}

/// Where the existing product is wrong we differ (design.md 5): one label set per
/// object and day, one category, volumes joined by volume, roles that fall to the
/// rule, names as they are, no infinities. Elsewhere we do not.
#[test]
fn the_traps_are_as_in_the_existing_product_but_for_the_corrections() {
    const CORRECTED: [Option<&str>; 13] = [
        Some("t4-nodechg"),
        Some("t5-nschg"),
        Some("payments-prod"),
        Some("t9-rebind"),
        Some("t12-anom"),
        Some("a&b"),
        Some("a&amp;b"),
        Some("NA"),
        Some("nan"),
        Some("null"),
        Some(""),
        // The capacity that is left depends on what the others used.
        Some("Worker unallocated"),
        None,
    ];
    let set = DataSet("traps");
    let database = set.database();
    let folder = tempfile::tempdir().expect("a folder");
    let base = file("pipelines/ocp-max.toml");
    let text = format!("extends = {base:?}\n[limits]\nrejected-rows = \"5 %\"\n");
    let pipeline = write(folder.path(), "patient.toml", text.as_bytes());
    run(&database, pipeline, &set.payloads()).succeeds();
    let golden = set.path(&format!("golden/{SUMMARY}.csv"));
    check_table_without(&database, SUMMARY, &golden, "namespace", &CORRECTED);
}

#[test]
fn a_split_payload_is_published_when_its_last_part_is_there() {
    let set = DataSet("split");
    let parts = set.payloads();
    for order in [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [7, 3, 0, 6, 2, 5, 1, 4],
        [5, 6, 7, 4, 3, 2, 1, 0],
    ] {
        let parts: Vec<PathBuf> = order.iter().map(|part| parts[*part].clone()).collect();
        let (last, before) = parts.split_last().expect("eight parts");
        let database = set.database();
        run(&database, "pipelines/ocp-max.toml", before).succeeds();
        let visible =
            format!("SELECT (SELECT count(*) FROM {SUMMARY}) + count(*) FROM gristmill_day");
        assert_eq!(
            database.query_value(&visible).as_deref(),
            Some("0"),
            "{order:?}"
        );

        run(
            &database,
            "pipelines/ocp-max.toml",
            std::slice::from_ref(last),
        )
        .succeeds();
        set.check(&database, SUMMARY);
        set.check(&database, "reporting_ocp_nodes");
    }
}

/// The rows that the last of the uploads must leave in any order, without ids.
const LEFT: &str = "
    SELECT day.usage_day, day.hours, day.rows, manifest.assembly_id, NULL
    FROM gristmill_day AS day
    JOIN reporting_common_costusagereportmanifest AS manifest
        ON manifest.id = day.manifest_id
    UNION ALL
    SELECT NULL, NULL, node_capacity_cpu_cores::integer, node || resource_id, node_role || architecture
    FROM reporting_ocp_nodes
    UNION ALL
    SELECT NULL, NULL, NULL, persistent_volume || persistent_volume_claim, NULL
    FROM reporting_ocp_pvcs
    UNION ALL
    SELECT NULL, NULL, NULL, project, NULL
    FROM reporting_ocp_projects
    UNION ALL
    SELECT NULL, NULL, enabled::integer, key, provider_type
    FROM reporting_enabledtagkeys
    ORDER BY 1, 2, 3, 4, 5";

#[test]
fn of_growing_uploads_in_any_order_the_fullest_wins_once() {
    let set = DataSet("resend_growing");
    let uploads = set.payloads();
    let orders = orders(4);
    // Two at a time, as there are two processors in the smallest of machines.
    let left: Vec<Vec<Vec<Option<String>>>> = thread::scope(|scope| {
        let halves: Vec<_> = orders
            .chunks(orders.len() / 2)
            .map(|orders| {
                let uploads = &uploads;
                scope.spawn(move || {
                    let left = orders.iter().map(|order| {
                        let database = set.database();
                        let uploads: Vec<PathBuf> = order
                            .iter()
                            .map(|upload| uploads[*upload].clone())
                            .collect();
                        run(&database, "pipelines/ocp-max.toml", &uploads).succeeds();
                        set.check(&database, SUMMARY);
                        database.query_rows(LEFT)
                    });
                    left.collect::<Vec<_>>()
                })
            })
            .collect();
        halves
            .into_iter()
            .flat_map(|half| half.join().expect("a half that went well"))
            .collect()
    });
    for (order, left_now) in orders.iter().zip(&left) {
        assert_eq!(left_now, &left[0], "in order {order:?}");
    }
}

/// All orders of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    orders(count - 1)
        .into_iter()
        .flat_map(|order| {
            (0..count).map(move |place| {
                let mut order = order.clone();
                order.insert(place, count - 1);
                order
            })
        })
        .collect()
}

#[test]
fn min_charges_the_smaller_of_usage_and_request_hour_by_hour() {
    let set = DataSet("small");
    let database = set.database();
    run(&database, "pipelines/ocp.toml", &set.payloads()).succeeds();

    let rows = database.query_rows(&format!(
        "SELECT
            namespace,
            node,
            sum(pod_effective_usage_cpu_core_hours),
            sum(pod_effective_usage_memory_gigabyte_hours)
        FROM {SUMMARY}
        WHERE data_source = 'Pod' AND namespace NOT LIKE '% unallocated'
        GROUP BY namespace, node"
    ));
    let found: BTreeMap<(String, String), [f64; 2]> = rows
        .into_iter()
        .map(|row| {
            let text = |index: usize| row[index].clone().expect("a value");
            let number = |index: usize| text(index).parse().expect("a number");
            ((text(0), text(1)), [number(2), number(3)])
        })
        .collect();
    let expected = smaller_ones(&set.payloads()[0]);
    assert_eq!(
        expected.keys().collect::<Vec<_>>(),
        found.keys().collect::<Vec<_>>()
    );
    for (key, expected) in &expected {
        for (expected, found) in expected.iter().zip(&found[key]) {
            let near = (expected - found).abs() <= 1e-9 * expected.max(1.0);
            assert!(near, "{key:?}: expected {expected}, found {found}");
        }
    }
}

/// Core-hours and GiB-hours by namespace and node, from the pod report itself.
fn smaller_ones(payload: &PathBuf) -> BTreeMap<(String, String), [f64; 2]> {
    let tarball = fs::File::open(payload).expect("a payload");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(tarball));
    let mut text = String::new();
    for entry in archive.entries().expect("members") {
        let mut entry = entry.expect("a member");
        let name = entry.path_bytes().into_owned();
        if String::from_utf8_lossy(&name).contains("pod-usage") {
            entry.read_to_string(&mut text).expect("a report");
        }
    }
    let mut sums: BTreeMap<(String, String), [f64; 2]> = BTreeMap::new();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    for row in reader.deserialize() {
        let row: BTreeMap<String, String> = row.expect("a row");
        let number = |column: &str| row[column].parse::<f64>().expect("a number");
        let smaller = |resource: &str| {
            number(&format!("pod_usage_{resource}")).min(number(&format!("pod_request_{resource}")))
        };
        let sum = sums
            .entry((row["namespace"].clone(), row["node"].clone()))
            .or_default();
        sum[0] += smaller("cpu_core_seconds") / 3600.0;
        sum[1] += smaller("memory_byte_seconds") / 3600.0 / f64::from(1 << 30);
    }
    sums
}
