//! `gristmill sources rename`: the alias changes wherever rows show it, a day at a time.

use std::path::PathBuf;

use crate::support::command::Ended;
use crate::support::payload::{CLUSTER, Payload, Report};
use crate::support::site::Site;

/// Three hours of a pod on each of these days.
fn payload(number: u32, cluster: &str, days: &[&str]) -> Payload {
    let report = days.iter().fold(Report::pods(), |report, day| {
        (0..3).fold(report, |report, hour| {
            let period = format!("{}-01 00:00:00 +0000 UTC", &day[..7]);
            let start = format!("{day} {hour:02}:00:00 +0000 UTC");
            let cells = [
                ("report_period_start", period.as_str()),
                ("interval_start", start.as_str()),
                ("pod_labels", "label_app:shop"),
            ];
            report.row(hour, &cells)
        })
    });
    Payload::numbered(number)
        .manifest("cluster_id", cluster)
        .manifest("start", format!("{}T00:00:00Z", days[0]))
        .manifest("end", format!("{}T23:59:59Z", days[days.len() - 1]))
        .file("pods.csv", report.text())
}

const DAYS: [&str; 3] = ["2026-01-30", "2026-01-31", "2026-02-01"];

fn site() -> (Site, Vec<PathBuf>) {
    let site = Site::new();
    site.command(&["tags", "enable", "app"]).succeeds();
    let paths = site.write(&[payload(1, CLUSTER, &DAYS), payload(2, "other", &DAYS[..1])]);
    site.run(&paths).succeeds();
    (site, paths)
}

fn rename(site: &Site, alias: &str) -> Ended {
    site.command(&[
        "sources",
        "rename",
        "--cluster-id",
        CLUSTER,
        "--alias",
        alias,
    ])
    .succeeds()
}

/// The aliases of the cluster, by day, in every table that shows them.
fn aliases(site: &Site) -> Vec<String> {
    let tables = site
        .database
        .query_rows("SELECT table_name FROM daily_tables() WHERE is_aliased ORDER BY 1");
    let tables: Vec<String> = tables.into_iter().flatten().flatten().collect();
    assert!(tables.len() > 12, "{tables:?}");
    let selects: Vec<String> = tables
        .iter()
        .map(|table| {
            format!(
                "SELECT usage_start, cluster_alias FROM {table} JOIN gristmill_source AS source USING (source_uuid)
                WHERE source.cluster_id = '{CLUSTER}'"
            )
            .replace("cluster_alias FROM", &format!("{table}.cluster_alias FROM"))
        })
        .collect();
    let rows = site.database.query_rows(&format!(
        "SELECT usage_start || ' ' || string_agg(DISTINCT cluster_alias, ',' ORDER BY cluster_alias)
        FROM ({}) AS shown (usage_start, cluster_alias) GROUP BY usage_start ORDER BY usage_start",
        selects.join(" UNION ALL ")
    ));
    rows.into_iter().flatten().flatten().collect()
}

fn tag_aliases(site: &Site) -> Option<String> {
    site.database
        .query_value("SELECT cluster_aliases::text FROM reporting_ocptags_values")
}

#[test]
fn rows_and_tags_have_the_new_alias_at_once() {
    let (site, _) = site();
    rename(&site, "new").stderr_is(
        "cluster `test-cluster` is called `new` now\nthe rows of 3 days have the new name",
    );
    assert_eq!(aliases(&site), DAYS.map(|day| format!("{day} new")));
    assert_eq!(tag_aliases(&site).as_deref(), Some("{new,other}"));
    let others = "SELECT string_agg(DISTINCT cluster_alias, ',') FROM reporting_ocp_pod_summary_p
        WHERE cluster_id = 'other'";
    assert_eq!(site.database.query_value(others).as_deref(), Some("other"));
    // The same again has nothing to do, another one has.
    rename(&site, "new").stderr_is("cluster `test-cluster` is called `new` now");
    rename(&site, "newer");
    assert_eq!(aliases(&site), DAYS.map(|day| format!("{day} newer")));
}

/// Killed after some days, it goes on; what comes in between has one alias on each day.
#[test]
fn a_renaming_that_is_broken_off_goes_on() {
    let (site, paths) = site();
    // Bills of a cloud, which no summary makes anew.
    site.database.execute(
        "INSERT INTO reporting_ocpusagelineitem_daily_summary (
            usage_start, usage_end, source_uuid, cluster_id, cluster_alias, namespace, node, data_source,
            infrastructure_raw_cost, report_period_id
        )
        SELECT day, day, source_uuid, cluster_id, cluster_alias, 'app', 'n1', 'Pod', 7, 1
        FROM gristmill_source, unnest('{2026-01-30,2026-01-31,2026-02-01}'::date[]) AS day
        WHERE cluster_id = 'test-cluster'",
    );
    let killed = site
        .command(&[
            "sources",
            "rename",
            "--cluster-id",
            CLUSTER,
            "--alias",
            "new",
        ])
        .env("GRISTMILL_TEST_KILL_AT", "day-renamed")
        .ends();
    assert_eq!(killed.code, None, "{killed}");
    let half = [
        "2026-01-30 new",
        "2026-01-31 test-cluster",
        "2026-02-01 test-cluster",
    ];
    assert_eq!(aliases(&site), half);
    let shown = site.command(&["status", "--json"]).ends();
    assert_eq!(shown.json()["warnings"][0]["kind"], "renaming");
    assert!(shown.stderr.contains("goes on with them"), "{shown}");
    // A day that is made anew meanwhile is made so as a whole.
    let last = payload(3, CLUSTER, &DAYS[2..]);
    let last = site.write(&[
        payload(1, CLUSTER, &DAYS),
        payload(2, "other", &DAYS[..1]),
        last,
    ]);
    site.run(&last[2..]).succeeds();
    let later = [
        "2026-01-30 new",
        "2026-01-31 test-cluster",
        "2026-02-01 new",
    ];
    assert_eq!(aliases(&site), later);

    rename(&site, "new").stderr_is(
        "cluster `test-cluster` is called `new` now\n\
        an earlier command was broken off; this one went on with it\n\
        the rows of 1 day have the new name",
    );
    assert_eq!(aliases(&site), DAYS.map(|day| format!("{day} new")));
    assert_eq!(tag_aliases(&site).as_deref(), Some("{new,other}"));
    let shown = site.command(&["status", "--json"]).ends();
    assert_eq!(shown.json()["warnings"], serde_json::json!([]));
    let entries = site.command(&["log", "--json"]).succeeds().json();
    let renames = entries.as_array().map(|entries| {
        let renames = entries
            .iter()
            .filter(|entry| entry["command"] == "sources rename");
        renames.count()
    });
    assert_eq!(renames, Some(1), "it was said once");
    drop(paths);
}

/// Whatever is read at whichever moment has one alias for one day.
#[test]
fn nobody_sees_two_aliases_on_one_day() {
    let (site, _) = site();
    let renaming = site
        .command(&[
            "sources",
            "rename",
            "--cluster-id",
            CLUSTER,
            "--alias",
            "new",
        ])
        .begins();
    for _ in 0..40 {
        for day in aliases(&site) {
            assert!(!day.contains(','), "{day}");
        }
    }
    assert_eq!(renaming.ends().code, Some(0));
}
