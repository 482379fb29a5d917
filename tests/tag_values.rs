//! Where the values of tags were seen: the union of what the label summaries of all
//! clusters and months say, whatever was enabled, disabled, loaded and forgotten
//! before, and in whatever order.

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::support::payload::{Payload, Report};
use crate::support::server::TestDatabase;
use crate::support::site::Site;

const KEYS: [&str; 2] = ["app", "team"];
const CLUSTERS: [&str; 3] = ["a", "b", "c"];
const MONTHS: [&str; 3] = ["2020-01", "2020-02", "2020-03"];

/// Values of a key. A label set has one of them or none.
const VALUES: usize = 4;

/// Histories of a run, and events of each.
const HISTORIES: usize = 4;
const EVENTS: usize = 20;

/// A day in each month of each cluster: three pods and a volume, whose labels come with
/// the events.
const SCENE: &str = "
    CREATE TEMPORARY TABLE months AS
    SELECT
        row_number() OVER (ORDER BY cluster, month) AS id,
        cluster,
        ('00000000-0000-4000-8000-00000000000' || cluster)::uuid AS source_uuid,
        (month || '-15')::date AS day
    FROM unnest('{a,b,c}'::text[]) AS clusters (cluster)
    CROSS JOIN unnest('{2020-01,2020-02,2020-03}'::text[]) AS months (month);

    SELECT register_source(source_uuid, cluster, 'alias of ' || cluster), ensure_month(day) FROM months;
    SELECT ensure_report_period(source_uuid, day) FROM months;
    INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
    VALUES ('app', false, 'OCP'), ('team', false, 'OCP');

    INSERT INTO gristmill_label_set (id, labels)
    SELECT
        app * 5 + team,
        jsonb_strip_nulls(jsonb_build_object(
            'app', CASE WHEN app < 4 THEN 'v' || app END,
            'team', CASE WHEN team < 4 THEN 'v' || team END
        ))
    FROM generate_series(0, 4) AS app, generate_series(0, 4) AS team;
    INSERT INTO gristmill_name (id, name) VALUES (0, ''), (1, 'shop'), (2, 'bank'), (11, 'n1'), (12, 'n2');

    INSERT INTO reporting_common_costusagereportmanifest (
        id, assembly_id, provider_id, billing_period_start_datetime, num_total_files, coverage_report,
        completed_datetime
    )
    SELECT id, id, source_uuid, day, 1, 'pod-usage', now() FROM months;
    INSERT INTO gristmill_run (pipeline, payload) SELECT 'scene', 'scene' FROM months;
    INSERT INTO gristmill_generation (id, manifest_id, run_id, source_uuid, state)
    OVERRIDING SYSTEM VALUE
    SELECT id, id, id, source_uuid, 'complete' FROM months;
    INSERT INTO gristmill_coverage (generation, report, interval_start, rows)
    SELECT id, 'pod-usage', day::timestamp AT TIME ZONE 'UTC', 4 FROM months;
    INSERT INTO gristmill_day (source_uuid, usage_day, manifest_id, hours, rows)
    SELECT source_uuid, day, id, 1, 4 FROM months;
    INSERT INTO gristmill_day_manifest (source_uuid, usage_day, manifest_id)
    SELECT source_uuid, day, id FROM months;

    INSERT INTO reporting_ocpusagelineitem_pod_staging (
        generation, source_uuid, report_period_id, interval_start, namespace_name_id, node_name_id, pod, pod_labels_id
    )
    SELECT id, source_uuid, 1, day::timestamp AT TIME ZONE 'UTC', namespace, node, pod, 24
    FROM months
    CROSS JOIN (VALUES (1, 11, 'p0'), (1, 12, 'p1'), (2, 12, 'p2')) AS pods (namespace, node, pod);
    INSERT INTO reporting_ocpusagelineitem_storage_staging (
        generation, source_uuid, report_period_id, interval_start,
        namespace, pod, persistentvolumeclaim, persistentvolume, storageclass, persistentvolumeclaim_labels_id
    )
    SELECT id, source_uuid, 1, day::timestamp AT TIME ZONE 'UTC', 'shop', '', 'd1', 'pv1', 'fast', 24
    FROM months";

/// The values that enabled keys must have.
const EXPECTED: &str = "
    SELECT
        label.key,
        value,
        array_agg(DISTINCT month.cluster_id::text) AS cluster_ids,
        array_agg(DISTINCT month.cluster_alias) AS cluster_aliases,
        array_agg(DISTINCT label.namespace) AS namespaces,
        array_agg(DISTINCT label.node) AS nodes
    FROM (
        SELECT report_period_id, key, values, namespace, node FROM reporting_ocpusagepodlabel_summary
        UNION ALL
        SELECT report_period_id, key, values, namespace, node FROM reporting_ocpstoragevolumelabel_summary
    ) AS label
    JOIN reporting_ocpusagereportperiod AS month ON month.id = label.report_period_id
    JOIN reporting_enabledtagkeys AS tag ON tag.key = label.key AND tag.enabled
    CROSS JOIN unnest(label.values) AS value
    GROUP BY label.key, value
    ORDER BY 1, 2";

const FOUND: &str = "
    SELECT key, value, cluster_ids, cluster_aliases, namespaces, nodes
    FROM reporting_ocptags_values
    ORDER BY 1, 2";

#[track_caller]
fn check(database: &TestDatabase, after: &str) {
    let expected = database.query_rows(EXPECTED);
    let found = database.query_rows(FOUND);
    assert_eq!(found, expected, "after {after}");
}

#[derive(Clone, Debug)]
enum Event {
    /// A key, and whether it is enabled from now on.
    Switch(usize, bool),
    /// A payload of a cluster and month, with the labels of its four objects.
    Payload(usize, usize, [[usize; 2]; 4]),
    /// The month of a cluster once more, after what anybody did to the values.
    Summarize(usize, usize, &'static str),
    /// All clusters forget the first month or the first two.
    Forget(usize),
    /// `team` is known as `app`, or under its own name.
    Map(bool),
    /// A cluster has another alias.
    Rename(usize, u8),
}

/// Damage that must not matter once the month was summarized again.
const DAMAGES: [&str; 4] = [
    "SELECT",
    "DELETE FROM reporting_ocptags_values",
    "UPDATE reporting_ocptags_values SET nodes = '{}', namespaces = '{other}' WHERE value < 'v2'",
    "INSERT INTO reporting_ocptags_values (key, value, cluster_ids, cluster_aliases, namespaces)
    VALUES ('app', 'never seen', '{z}', '{z}', '{z}') ON CONFLICT DO NOTHING",
];

fn events() -> impl Strategy<Value = Vec<Event>> {
    let place = || (0..CLUSTERS.len(), 0..MONTHS.len());
    let labels = prop::array::uniform4(prop::array::uniform2(0..=VALUES));
    let event = prop_oneof![
        4 => (0..KEYS.len(), any::<bool>()).prop_map(|(key, on)| Event::Switch(key, on)),
        8 => (place(), labels).prop_map(|((cluster, month), labels)| Event::Payload(cluster, month, labels)),
        2 => (place(), 0..DAMAGES.len())
            .prop_map(|((cluster, month), damage)| Event::Summarize(cluster, month, DAMAGES[damage])),
        1 => (0..2_usize).prop_map(Event::Forget),
        1 => any::<bool>().prop_map(Event::Map),
        1 => (0..CLUSTERS.len(), any::<u8>()).prop_map(|(cluster, alias)| Event::Rename(cluster, alias)),
    ];
    prop::collection::vec(event, EVENTS)
}

/// Lets a history happen, and looks after each event that makes values.
fn happens(database: &TestDatabase, events: &[Event]) {
    let mut enabled = [false; 2];
    for (number, event) in events.iter().enumerate() {
        let after = format!("event {number} of {events:#?}");
        let summarize = |cluster: usize, month: usize| {
            format!(
                "SELECT summarize_days('{month}-15', '{month}-15', '00000000-0000-4000-8000-00000000000{cluster}')",
                month = MONTHS[month],
                cluster = CLUSTERS[cluster],
            )
        };
        match event {
            Event::Switch(key, on) => {
                enabled[*key] = *on;
                database.execute(&format!(
                    "UPDATE reporting_enabledtagkeys SET enabled = {on} WHERE key = '{}'",
                    KEYS[*key]
                ));
            }
            Event::Payload(cluster, month, labels) => {
                // Stages let pass the labels of keys that are enabled.
                let sets = labels.map(|[app, team]| {
                    let app = if enabled[0] { app } else { VALUES };
                    let team = if enabled[1] { team } else { VALUES };
                    app * 5 + team
                });
                let generation = cluster * MONTHS.len() + month + 1;
                database.execute(&format!(
                    "UPDATE reporting_ocpusagelineitem_pod_staging
                    SET pod_labels_id = (ARRAY[{}, {}, {}])[right(pod, 1)::int + 1]
                    WHERE generation = {generation};
                    UPDATE reporting_ocpusagelineitem_storage_staging
                    SET persistentvolumeclaim_labels_id = {}
                    WHERE generation = {generation};
                    {}",
                    sets[0],
                    sets[1],
                    sets[2],
                    sets[3],
                    summarize(*cluster, *month)
                ));
                check(database, &after);
            }
            Event::Summarize(cluster, month, damage) => {
                database.execute(&format!(
                    "{damage}; {}; SELECT restore_tags_values()",
                    summarize(*cluster, *month)
                ));
                check(database, &after);
            }
            Event::Forget(months) => database.execute(&format!(
                "SELECT forget_report_period(old.report_period_id)
                FROM old_report_periods('{}-01') AS old;
                SELECT settle_tags_values()",
                MONTHS[*months]
            )),
            Event::Map(on) => database.execute(match on {
                true => {
                    "INSERT INTO reporting_tagmapping (parent_id, child_id)
                    SELECT parent.uuid, child.uuid
                    FROM reporting_enabledtagkeys AS parent, reporting_enabledtagkeys AS child
                    WHERE parent.key = 'app' AND child.key = 'team'
                    ON CONFLICT DO NOTHING"
                }
                false => "DELETE FROM reporting_tagmapping",
            }),
            Event::Rename(cluster, alias) => database.execute(&format!(
                "SELECT rename_source('00000000-0000-4000-8000-00000000000{}', 'number {alias}')",
                CLUSTERS[*cluster]
            )),
        }
    }
}

#[test]
fn values_are_those_of_all_label_summaries_after_any_history() {
    let scene = TestDatabase::migrated();
    scene.execute(SCENE);
    let mut runner = TestRunner::new(Config {
        rng_seed: RngSeed::Fixed(15),
        ..Config::default()
    });
    for _ in 0..HISTORIES {
        let history = events().new_tree(&mut runner).expect("a history").current();
        happens(&scene.copy(), &history);
    }
}

/// An hour of pod `a` on the 10th of a month.
fn payload(number: u32, cluster: &str, month: &str, labels: &str) -> Payload {
    let day = format!("{month}-10");
    let report = Report::pods().row(
        0,
        &[
            (
                "report_period_start",
                &format!("{month}-01 00:00:00 +0000 UTC"),
            ),
            ("interval_start", &format!("{day} 00:00:00 +0000 UTC")),
            ("interval_end", &format!("{day} 00:59:59 +0000 UTC")),
            ("pod_labels", labels),
        ],
    );
    Payload::numbered(number)
        .manifest("cluster_id", cluster)
        .manifest("start", format!("{day}T00:00:00Z"))
        .manifest("end", format!("{day}T23:59:59Z"))
        .file("pods.csv", report.text())
}

/// Where each value of `app` was seen.
#[track_caller]
fn check_clusters(site: &Site, expected: &[&str]) {
    let found: Vec<String> = site
        .database
        .query_rows(
            "SELECT value || ' ' || cluster_ids::text FROM reporting_ocptags_values ORDER BY 1",
        )
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    assert_eq!(found, expected);
    check(&site.database, "all that");
}

/// Two months of one cluster and one of another.
fn site() -> (Site, Vec<PathBuf>) {
    let site = Site::new();
    let payloads = site.write(&[
        payload(1, "cluster-a", "2025-12", "label_app:december"),
        payload(2, "cluster-a", "2026-01", "label_app:january"),
        payload(3, "cluster-b", "2026-01", "label_app:other"),
        payload(4, "cluster-a", "2026-01", "label_app:january"),
        payload(5, "cluster-a", "2026-01", "label_app:january"),
    ]);
    site.command(&["tags", "enable", "app"]).succeeds();
    site.run(&payloads[..3]).succeeds();
    (site, payloads)
}

#[test]
fn a_key_that_is_enabled_again_has_the_values_of_all_clusters_and_months() {
    let (site, payloads) = site();
    let all = [
        "december {cluster-a}",
        "january {cluster-a}",
        "other {cluster-b}",
    ];
    check_clusters(&site, &all);
    site.command(&["tags", "disable", "app"]).succeeds();
    site.run(&payloads[3..4]).succeeds();
    check_clusters(&site, &[]);
    site.command(&["tags", "enable", "app"]).succeeds();
    site.run(&payloads[4..]).succeeds();
    check_clusters(&site, &all);
}

#[test]
fn values_that_were_lost_come_back_with_any_summary_that_is_asked_for() {
    let (site, _) = site();
    let all = [
        "december {cluster-a}",
        "january {cluster-a}",
        "other {cluster-b}",
    ];
    for arguments in [
        &["summarize", "--source", "cluster-b", "--from", "2026-01"][..],
        &[
            "replay",
            "pipelines/ocp.toml",
            "--source",
            "cluster-a",
            "--from",
            "2025-12",
        ],
    ] {
        site.database.execute(
            "DELETE FROM reporting_ocptags_values WHERE value <> 'december';
            UPDATE reporting_ocptags_values SET cluster_ids = '{nobody}'",
        );
        let command = site.command(arguments);
        match arguments[0] {
            "replay" => command.with_stages(),
            _ => command,
        }
        .succeeds();
        check_clusters(&site, &all);
    }
}

#[test]
fn a_summary_without_a_new_tag_does_not_wait_for_the_values() {
    let (site, _) = site();
    let other = site.database.session();
    other.execute("BEGIN; SELECT distrust_tags_values(); UPDATE gristmill_tag_key SET values_state = 'complete'");
    site.database.execute(
        "SET lock_timeout = '5s';
        SELECT summarize_days('2026-01-10', '2026-01-10', source_uuid)
        FROM gristmill_source
        WHERE cluster_id = 'cluster-a'",
    );
    other.execute("ROLLBACK");
}
