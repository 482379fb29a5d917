//! Properties of the tables that hold for any uploads, in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use rustix::process::Signal;

use crate::support::command::run;
use crate::support::contents::{self, Compared};
use crate::support::engine;
use crate::support::payload::{Payload, Report};
use crate::support::server::TestDatabase;
use crate::support::site::Site;
use crate::support::torture::{Chance, Work, figure};

const DAYS: [&str; 3] = ["2026-01-30", "2026-01-31", "2026-02-01"];
const DAYS_OF_MONTH: [u64; 3] = [31, 31, 28];
const NODES: [&str; 3] = ["n1", "n2", "n3"];
const NAMESPACES: [&str; 3] = ["shop", "kube-system", "billing"];
const PODS: usize = 4;

/// Hours of a day that can be reported.
const HOURS: u32 = 6;

/// Histories of a run, unless the caller says how many.
const CASES: u32 = 8;

/// No other history is begun after this time.
const TIME_MAX: Duration = Duration::from_secs(14);

/// Of a core-hour, or of a GiB-hour: what all amounts are multiples of. It takes
/// 9 seconds, which is a number of hours with an end.
const UNITS_PER_HOUR: u64 = 400;

#[derive(Clone, Debug)]
struct History {
    pods: Vec<Pod>,
    /// Cores, by day and node.
    cores: [[u64; 3]; 3],
    uploads: Vec<Upload>,
    /// Arrivals, each an index into the uploads.
    orders: [Vec<usize>; 2],
    /// The engine of each upload, in the second order; the first one has Postgres alone.
    engines: Vec<&'static str>,
}

#[derive(Clone, Debug)]
struct Pod {
    namespace: usize,
    node: usize,
    /// On the next node in odd hours; with a volume it stays.
    moves: bool,
    has_volume: bool,
    /// Another label from the third hour on.
    changes_label: bool,
    request: u64,
    /// For each day, a bit for each hour in which it runs.
    hours: [u8; 3],
}

#[derive(Clone, Debug)]
struct Upload {
    /// It adds to its days, and has its first one from this hour on.
    adds_from: Option<u32>,
    /// It has this day up to an hour, and perhaps the next one.
    day: usize,
    until: [u32; 2],
    /// Later if larger; many are equal.
    date: u32,
    /// The seed of its numbers.
    salt: u64,
}

impl Pod {
    fn runs(&self, day: usize, hour: u32) -> bool {
        self.hours[day] >> hour & 1 == 1
    }

    fn node_at(&self, hour: u32) -> usize {
        let step = self.moves && !self.has_volume && hour % 2 == 1;
        (self.node + usize::from(step)) % NODES.len()
    }

    fn labels_at(&self, hour: u32) -> &'static str {
        match self.changes_label && hour >= 3 {
            true => "label_app:late|label_team:one",
            false => "label_app:early|label_team:one",
        }
    }
}

impl Upload {
    /// Until which hour it tells of a day; 0 if it does not.
    fn until(&self, day: usize) -> u32 {
        match day.checked_sub(self.day) {
            Some(offset @ (0 | 1)) => self.until[offset],
            _ => 0,
        }
    }

    /// The hours of a day that it tells of.
    fn range(&self, day: usize) -> std::ops::Range<u32> {
        let from = match self.adds_from {
            Some(hour) if day == self.day => hour,
            _ => 0,
        };
        from..self.until(day)
    }

    /// The usage of a pod in an hour.
    fn usage(&self, pod: usize, day: usize, hour: u32) -> u64 {
        let place = (day as u64 * 31 + u64::from(hour)) * 31 + pod as u64;
        (place * 7919 + self.salt * 104_729) % UNITS_PER_HOUR
    }
}

fn histories() -> impl Strategy<Value = History> {
    let pod = (
        0..NAMESPACES.len(),
        0..NODES.len(),
        any::<[bool; 3]>(),
        0..UNITS_PER_HOUR,
        prop::array::uniform3(0_u8..1 << HOURS),
    )
        .prop_map(|(namespace, node, flags, request, hours)| Pod {
            namespace,
            node,
            moves: flags[0],
            has_volume: flags[1],
            changes_label: flags[2],
            request,
            hours,
        });
    let adds_from = prop::option::weighted(0.4, 0..HOURS);
    let hours = (1..=HOURS, 0..=HOURS);
    let upload = (adds_from, 0..DAYS.len(), hours, 0_u32..3, 0_u64..1000).prop_map(
        |(adds_from, day, (until, until_next), date, salt)| Upload {
            adds_from,
            day,
            until: [until, until_next],
            date,
            salt,
        },
    );
    (
        prop::collection::vec(pod, 1..=PODS),
        prop::array::uniform3(prop::array::uniform3(1_u64..5)),
        prop::collection::vec(upload, 2..=6),
    )
        .prop_flat_map(|(pods, cores, uploads)| {
            let all: Vec<usize> = (0..uploads.len()).collect();
            let repeats = prop::collection::vec(any::<(Index, Index)>(), 0..3);
            (
                Just(all.clone()).prop_shuffle(),
                Just(all.clone()).prop_shuffle(),
                repeats,
                prop::collection::vec(prop::sample::select(&engine::HERE), all.len()),
            )
                .prop_map(move |(mut first, second, repeats, engines)| {
                    for (upload, place) in repeats {
                        let upload = first[upload.index(first.len())];
                        first.insert(place.index(first.len()), upload);
                    }
                    History {
                        pods: pods.clone(),
                        cores,
                        uploads: uploads.clone(),
                        orders: [first, second],
                        engines,
                    }
                })
        })
}

impl History {
    /// An upload as it would arrive.
    fn payload(&self, number: usize) -> Payload {
        let upload = &self.uploads[number];
        let (mut pods, mut volumes) = (Report::pods(), Report::volumes());
        for (day, date) in DAYS.iter().enumerate() {
            for hour in upload.range(day) {
                for (pod, running) in self.pods.iter().enumerate() {
                    if !running.runs(day, hour) {
                        continue;
                    }
                    let cells = self.cells(upload, pod, day, hour);
                    let month = &date[..7];
                    let times = [
                        (
                            "report_period_start",
                            format!("{month}-01 00:00:00 +0000 UTC"),
                        ),
                        (
                            "interval_start",
                            format!("{date} {hour:02}:00:00 +0000 UTC"),
                        ),
                        ("interval_end", format!("{date} {hour:02}:59:59 +0000 UTC")),
                    ];
                    let row = |report: Report, cells: &[(&'static str, String)]| {
                        let cells = times.iter().chain(cells);
                        let cells: Vec<(&str, &str)> = cells
                            .map(|(column, cell)| (*column, cell.as_str()))
                            .collect();
                        report.row(hour, &cells)
                    };
                    pods = row(pods, &cells);
                    if running.has_volume {
                        let name = |kind: &str| format!("{kind}{pod}");
                        let cells = [
                            ("namespace", NAMESPACES[running.namespace].to_string()),
                            ("pod", name("pod")),
                            ("persistentvolumeclaim", name("claim")),
                            ("persistentvolume", name("volume")),
                        ];
                        volumes = row(volumes, &cells);
                    }
                }
            }
        }
        let last = DAYS[(upload.day + 1).min(DAYS.len() - 1)];
        let number = u32::try_from(number).expect("a few") + 1;
        Payload::numbered(number)
            .manifest("daily_reports", upload.adds_from.is_none())
            .manifest("date", format!("2026-02-03T0{}:00:00Z", upload.date))
            .manifest("start", format!("{}T00:00:00Z", DAYS[upload.day]))
            .manifest("end", format!("{last}T23:59:59Z"))
            .file("pods.csv", pods.text())
            .file("volumes.csv", volumes.text())
    }

    fn cells(
        &self,
        upload: &Upload,
        pod: usize,
        day: usize,
        hour: u32,
    ) -> Vec<(&'static str, String)> {
        let running = &self.pods[pod];
        let node = running.node_at(hour);
        let seconds = |units: u64| (units * 3600 / UNITS_PER_HOUR).to_string();
        // As many GiB as cores.
        let bytes = |units: u64| ((units * 3600 / UNITS_PER_HOUR) << 30).to_string();
        let (usage, request) = (upload.usage(pod, day, hour), running.request);
        let cores = self.cores[day][node];
        vec![
            ("node", NODES[node].into()),
            ("resource_id", format!("i-{}", NODES[node])),
            ("namespace", NAMESPACES[running.namespace].into()),
            ("pod", format!("pod{pod}")),
            ("pod_labels", running.labels_at(hour).into()),
            ("pod_usage_cpu_core_seconds", seconds(usage)),
            ("pod_request_cpu_core_seconds", seconds(request)),
            ("pod_usage_memory_byte_seconds", bytes(usage)),
            ("pod_request_memory_byte_seconds", bytes(request)),
            ("node_capacity_cpu_cores", cores.to_string()),
            ("node_capacity_cpu_core_seconds", (cores * 3600).to_string()),
            ("node_capacity_memory_bytes", (cores << 30).to_string()),
            (
                "node_capacity_memory_byte_seconds",
                ((cores * 3600) << 30).to_string(),
            ),
        ]
    }

    /// Hours of a day that an upload has rows of.
    fn hours(&self, upload: &Upload, day: usize) -> Vec<u32> {
        let has_rows = |hour: &u32| self.pods.iter().any(|pod| pod.runs(day, *hour));
        upload.range(day).filter(has_rows).collect()
    }

    /// Which upload counts for each hour of a day, and which one is the latest of
    /// them: of the fullest one, then the latest, then the one with the largest id;
    /// or of all additive ones together, when they have more hours.
    fn winners(&self, day: usize) -> Option<(usize, BTreeMap<u32, usize>)> {
        let mut added = BTreeMap::new();
        let mut latest = None;
        let mut fullest: Option<(usize, BTreeMap<u32, usize>)> = None;
        let mut uploads: Vec<(usize, &Upload)> = self.uploads.iter().enumerate().collect();
        uploads.sort_by_key(|(number, upload)| (upload.date, *number));
        for (number, upload) in uploads {
            let hours = self.hours(upload, day);
            if hours.is_empty() {
                continue;
            }
            let held = fullest.as_ref().map_or(0, |(_, hours)| hours.len());
            let count = hours.len();
            let hours = hours.into_iter().map(|hour| (hour, number));
            if upload.adds_from.is_some() {
                latest = Some(number);
                added.extend(hours);
            } else if count >= held {
                fullest = Some((number, hours.collect()));
            }
        }
        match fullest {
            Some((_, held)) if held.len() < added.len() => Some((latest?, added)),
            None => Some((latest?, added)),
            fullest => fullest,
        }
    }

    /// The lines that the tables must have, in units.
    fn expected(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        for (day, date) in DAYS.iter().enumerate() {
            let Some((winner, hours)) = self.winners(day) else {
                continue;
            };
            lines.insert(format!(
                "{date} held by {} with {} hours",
                winner + 1,
                hours.len()
            ));
            let mut used: BTreeMap<(usize, usize), [u64; 3]> = BTreeMap::new();
            let mut claimed: BTreeMap<usize, u64> = BTreeMap::new();
            let mut seen: BTreeSet<(usize, u32)> = BTreeSet::new();
            for (hour, upload) in hours {
                let upload = &self.uploads[upload];
                for (number, pod) in self.pods.iter().enumerate() {
                    if !pod.runs(day, hour) {
                        continue;
                    }
                    let (node, usage) = (pod.node_at(hour), upload.usage(number, day, hour));
                    let sums = used.entry((pod.namespace, node)).or_default();
                    let amounts = [usage, pod.request, usage.min(pod.request)];
                    for (sum, amount) in sums.iter_mut().zip(amounts) {
                        *sum += amount;
                    }
                    if pod.has_volume {
                        *claimed.entry(number).or_default() += 100;
                    }
                    seen.insert((node, hour));
                }
            }
            for ((namespace, node), [usage, request, effective]) in used {
                let (namespace, node) = (NAMESPACES[namespace], NODES[node]);
                lines.insert(format!(
                    "{date} {namespace} {node} {usage} {request} {effective}"
                ));
            }
            for (node, name) in NODES.iter().enumerate() {
                let hours = seen.iter().filter(|(other, _)| *other == node).count() as u64;
                if hours > 0 {
                    let capacity = self.cores[day][node] * hours * UNITS_PER_HOUR;
                    lines.insert(format!("{date} {name} has {capacity}"));
                }
            }
            for (pod, gigabyte_hours) in claimed {
                let days = DAYS_OF_MONTH[day];
                lines.insert(format!("{date} claim{pod} {gigabyte_hours} of {days}"));
            }
        }
        lines
    }
}

/// The same, as the tables say it.
const FOUND: &str = "
    SELECT
        day.usage_day || ' held by ' || right(manifest.assembly_id, 12)::integer
            || ' with ' || day.hours || ' hours'
    FROM gristmill_day AS day
    JOIN reporting_common_costusagereportmanifest AS manifest
        ON manifest.id = day.manifest_id
    UNION ALL
    SELECT
        usage_start || ' ' || namespace || ' ' || node
            || ' ' || trim_scale(sum(pod_usage_cpu_core_hours) * 400)
            || ' ' || trim_scale(sum(pod_request_cpu_core_hours) * 400)
            || ' ' || trim_scale(sum(pod_effective_usage_memory_gigabyte_hours) * 400)
    FROM reporting_ocpusagelineitem_daily_summary
    WHERE data_source = 'Pod' AND namespace NOT LIKE '% unallocated'
    GROUP BY usage_start, namespace, node
    UNION ALL
    SELECT DISTINCT usage_start || ' ' || node || ' has ' || trim_scale(node_capacity_cpu_core_hours * 400)
    FROM reporting_ocpusagelineitem_daily_summary
    WHERE data_source = 'Pod'
    UNION ALL
    SELECT
        usage_start || ' ' || persistentvolumeclaim
            || ' ' || trim_scale(round(sum(persistentvolumeclaim_capacity_gigabyte_months) * 24 * month.days, 4))
            || ' of ' || month.days
    FROM reporting_ocpusagelineitem_daily_summary
    CROSS JOIN LATERAL (
        SELECT extract(day FROM date_trunc('month', usage_start) + interval '1 month - 1 day')
    ) AS month (days)
    WHERE data_source = 'Storage'
    GROUP BY usage_start, persistentvolumeclaim, month.days";

/// Measures of pods that are summed.
const POD_MEASURES: [&str; 8] = [
    "pod_usage_cpu_core_hours",
    "pod_request_cpu_core_hours",
    "pod_effective_usage_cpu_core_hours",
    "pod_limit_cpu_core_hours",
    "pod_usage_memory_gigabyte_hours",
    "pod_request_memory_gigabyte_hours",
    "pod_effective_usage_memory_gigabyte_hours",
    "pod_limit_memory_gigabyte_hours",
];

const VOLUME_MEASURES: [&str; 3] = [
    "persistentvolumeclaim_capacity_gigabyte_months",
    "volume_request_storage_gigabyte_months",
    "persistentvolumeclaim_usage_gigabyte_months",
];

/// Tables that are sums of the daily summary: name, kind of rows, group, measures.
const SUMS: [(&str, &str, &str, &[&str]); 5] = [
    (
        "reporting_ocp_pod_summary_p",
        "Pod",
        "cluster_id",
        &POD_MEASURES,
    ),
    (
        "reporting_ocp_pod_summary_by_node_p",
        "Pod",
        "node",
        &POD_MEASURES,
    ),
    (
        "reporting_ocp_pod_summary_by_project_p",
        "Pod",
        "namespace",
        &POD_MEASURES,
    ),
    (
        "reporting_ocp_volume_summary_p",
        "Storage",
        "persistentvolumeclaim",
        &VOLUME_MEASURES,
    ),
    (
        "reporting_ocp_volume_summary_by_project_p",
        "Storage",
        "(namespace, persistentvolumeclaim)",
        &VOLUME_MEASURES,
    ),
];

/// Rows that one of the tables of sums has and the daily summary does not give, and
/// the reverse.
fn wrong_sums(database: &TestDatabase) -> Vec<Vec<Option<String>>> {
    let wrong = SUMS.map(|(table, kind, group, measures)| {
        let sums = measures.join("), sum(");
        let summed = format!(
            "SELECT usage_start, ({group})::text, sum({sums})
            FROM reporting_ocpusagelineitem_daily_summary
            WHERE data_source = '{kind}' AND namespace NOT LIKE '% unallocated'
            GROUP BY usage_start, {group}"
        );
        let measures = measures.join(", ");
        let kept = format!("SELECT usage_start, ({group})::text, {measures} FROM {table}");
        format!(
            "SELECT '{table}', 'too few', to_jsonb(row)
            FROM ({summed} EXCEPT ALL {kept}) AS row
            UNION ALL
            SELECT '{table}', 'too many', to_jsonb(row)
            FROM ({kept} EXCEPT ALL {summed}) AS row"
        )
    });
    database.query_rows(&wrong.join(" UNION ALL "))
}

/// Days and nodes of which usage and what is left are not the capacity.
fn wrong_capacities(database: &TestDatabase) -> Vec<Vec<Option<String>>> {
    let parts = ["usage", "request", "effective_usage"].map(|part| {
        format!(
            "sum(pod_{part}_cpu_core_hours) <> max(node_capacity_cpu_core_hours)
            OR sum(pod_{part}_memory_gigabyte_hours) <> max(node_capacity_memory_gigabyte_hours)"
        )
    });
    database.query_rows(&format!(
        "SELECT usage_start::text, node
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE data_source = 'Pod'
        GROUP BY usage_start, node
        HAVING
            {}
            OR count(*) FILTER (WHERE namespace LIKE '% unallocated') <> 1
        UNION ALL
        SELECT day.usage_start::text, 'the cluster'
        FROM (
            SELECT
                usage_start,
                node,
                max(node_capacity_cpu_core_hours) AS node_hours,
                max(cluster_capacity_cpu_core_hours) AS cluster_hours
            FROM reporting_ocpusagelineitem_daily_summary
            WHERE data_source = 'Pod'
            GROUP BY usage_start, node
        ) AS day
        GROUP BY day.usage_start
        HAVING sum(day.node_hours) <> max(day.cluster_hours)",
        parts.join(" OR ")
    ))
}

/// What only grows: it tells of uploads, too, that lost their days since. Of daily
/// ones the fuller has all that the others had; of additive ones it need not.
const GROWING: [&str; 6] = [
    "reporting_ocp_nodes",
    "reporting_ocp_projects",
    "reporting_ocp_pvcs",
    "reporting_ocpstoragevolumelabel_summary",
    "reporting_ocptags_values",
    "reporting_ocpusagepodlabel_summary",
];

/// All that consumers read, without ids and times of the load.
fn contents(database: &TestDatabase, left_out: &[&str]) -> Vec<Vec<Option<String>>> {
    let tables = database.query_rows(
        "SELECT relname
        FROM pg_class
        WHERE
            relnamespace = 'gristmill'::regnamespace
            AND relkind IN ('r', 'p')
            AND NOT relispartition
            AND relname LIKE 'reporting\\_ocp%'
            AND relname NOT LIKE '%\\_staging'",
    );
    let rows: Vec<String> = tables
        .into_iter()
        .flatten()
        .flatten()
        .filter(|table| !left_out.contains(&table.as_str()))
        .map(|table| {
            // A node has the cores of the day that was summarised last.
            let last = match table.as_str() {
                "reporting_ocp_nodes" => " - 'node_capacity_cpu_cores'",
                _ => "",
            };
            format!(
                "SELECT
                    '{table}',
                    (
                        to_jsonb(contents) - ARRAY[
                            'id',
                            'uuid',
                            'cluster_id',
                            'report_period_id',
                            'summary_data_creation_datetime',
                            'summary_data_updated_datetime'
                        ]{last}
                    )::text
                FROM {table} AS contents"
            )
        })
        .collect();
    database.query_rows(&(rows.join(" UNION ALL ") + " ORDER BY 1, 2"))
}

/// Loads the history in one of its orders, each upload with the engine that it has.
fn loaded(history: &History, order: &[usize], engines: &[&str]) -> TestDatabase {
    let database = TestDatabase::migrated();
    database.execute(
        "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
        VALUES ('app', true, 'OCP')",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let payloads: Vec<_> = order
        .iter()
        .enumerate()
        .map(|(place, upload)| {
            let payload = history.payload(*upload);
            payload.write(folder.path(), &format!("{place}.tar.gz"))
        })
        .collect();
    // Neighbours with one engine are one command, as a site would have it.
    let turns: Vec<(&str, _)> = order
        .iter()
        .map(|upload| engines.get(*upload).copied().unwrap_or("postgres"))
        .zip(payloads)
        .collect();
    for turn in turns.chunk_by(|(one, _), (next, _)| one == next) {
        let payloads: Vec<_> = turn.iter().map(|(_, payload)| payload.clone()).collect();
        let pipeline = engine::pipeline("pipelines/ocp.toml", turn[0].0);
        run(&database, pipeline, &payloads)
            .env("GRISTMILL_DATA", folder.path())
            .succeeds();
    }
    database
}

fn check(history: &History) -> Result<(), TestCaseError> {
    let [first, second] = &history.orders;
    let databases = [
        loaded(history, first, &[]),
        loaded(history, second, &history.engines),
    ];
    for database in &databases {
        let found: Vec<String> = database
            .query_rows(FOUND)
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        let lines: BTreeSet<String> = found.iter().cloned().collect();
        prop_assert_eq!(found.len(), lines.len(), "something is there twice");
        let expected = history.expected();
        let missing: Vec<_> = expected.difference(&lines).collect();
        let unexpected: Vec<_> = lines.difference(&expected).collect();
        prop_assert!(
            missing.is_empty() && unexpected.is_empty(),
            "expected {missing:#?}, found {unexpected:#?}"
        );
        prop_assert_eq!(wrong_sums(database), Vec::<Vec<Option<String>>>::new());
        prop_assert_eq!(
            wrong_capacities(database),
            Vec::<Vec<Option<String>>>::new()
        );
    }
    let adds = |upload: &Upload| upload.adds_from.is_some();
    let left_out = match history.uploads.iter().any(adds) {
        true => &GROWING[..],
        false => &[],
    };
    let [first, second] = databases
        .each_ref()
        .map(|database| contents(database, left_out));
    let only = |left: &[Vec<Option<String>>], right: &[Vec<Option<String>>]| -> Vec<_> {
        left.iter()
            .filter(|row| !right.contains(row))
            .cloned()
            .collect()
    };
    prop_assert!(
        first == second,
        "the order shows\nin the first: {:#?}\nin the second: {:#?}",
        only(&first, &second),
        only(&second, &first)
    );
    Ok(())
}

#[test]
fn totals_agree_whatever_arrives_in_whatever_order() {
    let config = match env::var_os("PROPTEST_CASES") {
        Some(_) => Config::default(),
        None => Config {
            cases: CASES,
            rng_seed: RngSeed::Fixed(1),
            ..Config::default()
        },
    };
    let time_max = match env::var_os("PROPTEST_CASES") {
        Some(_) => Duration::MAX,
        None => TIME_MAX,
    };
    let started = Instant::now();
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        max_shrink_iters: 40,
        ..config
    });
    let result = runner.run(&histories(), |history| match started.elapsed() < time_max {
        true => check(&history),
        false => Ok(()),
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// What does not depend on who came when: a node has the cores of the day that was
/// summarised last.
const WHATEVER_COMES_WHEN: Compared = Compared {
    without: &["node_capacity_cpu_cores"],
    ..contents::ALL
};

/// Histories that are uploaded by several hosts at once, again and again, and broken
/// off in between.
const TURBULENT_CASES: u32 = 4;

/// Hosts at work at the same time, each with some of the uploads in some order.
const HOSTS: usize = 3;

/// Rounds of hosts before the last one, in which nobody is killed.
const ROUNDS: usize = 3;

fn check_turbulence(history: &History, seed: u64) {
    let (calm, site) = (Site::new(), Site::new());
    let payloads: Vec<Payload> = (0..history.uploads.len())
        .map(|number| history.payload(number))
        .collect();
    let paths = site.write(&payloads);
    calm.run(&paths).succeeds();
    let mut chance = Chance(seed);
    for round in 0..=ROUNDS {
        let hosts: Vec<_> = (0..HOSTS)
            .map(|host| {
                let mut its = paths.clone();
                its.rotate_left(chance.below(paths.len()));
                if chance.below(2) == 0 {
                    its.reverse();
                }
                // In the last round the first host has all of them.
                if round < ROUNDS || host > 0 {
                    its.truncate(1 + chance.below(paths.len()));
                }
                site.run(&its).begins()
            })
            .collect();
        if round < ROUNDS {
            // The moment of the kill is part of the history.
            thread::sleep(Duration::from_secs_f64(chance.part() / 2.0));
            hosts[chance.below(HOSTS)].signal(Signal::KILL);
        }
        for host in hosts {
            let ended = host.ends();
            match ended.code {
                Some(0) => {}
                None => figure("kills survived", 1),
                Some(_) => panic!("a host failed, seed {seed}\n{ended}"),
            }
        }
    }
    let after = format!("a history with seed {seed}");
    contents::are_same(&site.database, &calm.database, WHATEVER_COMES_WHEN, &after);
    site.is_in_order(&after);
    figure("histories", 1);
}

#[test]
fn every_upload_counts_once_whatever_is_repeated_broken_off_or_at_once() {
    let mut runner = TestRunner::new(Config {
        rng_seed: RngSeed::Fixed(2),
        ..Config::default()
    });
    let work = Work::new(TURBULENT_CASES, 100, Duration::from_secs(3 * 60));
    for seed in (0..).take_while(|done| work.goes_on(*done)) {
        let history = histories()
            .new_tree(&mut runner)
            .expect("a history")
            .current();
        check_turbulence(&history, u64::from(seed));
    }
}
