//! Days that are out of the ordinary, by each engine, and by several of them: the same
//! tables whatever folds the hours.

use std::path::PathBuf;

use gristmill::ledger::comparison::Scope;

use crate::engines;
use crate::support::command::{Ended, Gristmill, run};
use crate::support::contents::compare;
use crate::support::engine::{self, HERE};
use crate::support::payload::{CLUSTER, DAY, Payload, Report};
use crate::support::site::Site;

const BASE: &str = "pipelines/ocp.toml";

/// No servers.
const NONE: (&str, &str) = ("none", "");

/// Those that are compared with Postgres.
fn others() -> impl Iterator<Item = &'static str> {
    HERE.into_iter().filter(|engine| *engine != "postgres")
}

fn load(site: &Site, engine: &str, payload: PathBuf) -> Gristmill {
    load_with(site, engine, NONE, payload)
}

/// `servers` are the sections of those of `trino`, and the name of the corner that they are of.
fn load_with(site: &Site, engine: &str, servers: (&str, &str), payload: PathBuf) -> Gristmill {
    let (corner, sections) = servers;
    let pipeline = engine::with(
        BASE,
        &format!("cases-{engine}-{corner}"),
        &format!(
            "[limits]\nchunk = \"64 KiB\"\n\n[summarize]\nengine = \"{engine}\"\n\n{sections}"
        ),
    );
    run(&site.database, pipeline, &[payload]).env("GRISTMILL_DATA", site.folder())
}

/// A site that loaded the payloads one by one, each by the engine that is its turn.
#[track_caller]
fn loaded(payloads: &[Payload], engines: &[&str]) -> Site {
    loaded_with(payloads, engines, NONE)
}

#[track_caller]
fn loaded_with(payloads: &[Payload], engines: &[&str], servers: (&str, &str)) -> Site {
    let site = Site::new();
    for (number, path) in site.write(payloads).into_iter().enumerate() {
        load_with(&site, engines[number % engines.len()], servers, path).succeeds();
    }
    site
}

#[track_caller]
fn are_equal(left: &Site, right: &Site, what: &str) {
    let comparison = compare(&left.database, &right.database, &Scope::default());
    if let Some(difference) = &comparison.difference {
        panic!("{what}:\n{difference}");
    }
    assert!(comparison.tables >= 20, "{comparison:?}");
}

/// The payloads by each engine, and by each beside Postgres, make what they make by Postgres
/// alone; returns that.
#[track_caller]
fn same_by_all(payloads: &[Payload]) -> Site {
    let expected = loaded(payloads, &["postgres"]);
    for other in others() {
        for engines in [&[other][..], &["postgres", other], &[other, "postgres"]] {
            let found = loaded(payloads, engines);
            are_equal(&expected, &found, &format!("by {engines:?}"));
        }
    }
    expected
}

#[track_caller]
fn says(site: &Site, sql: &str, expected: &str) {
    let found = site.database.query_value(sql);
    assert_eq!(found.as_deref(), Some(expected), "{sql}");
}

/// Hourly rows of pods and volumes, and rows of the parts.
fn staged(site: &Site) -> [u64; 2] {
    let count = |tables: [&str; 2]| -> u64 {
        let [first, second] = tables;
        let sum =
            format!("SELECT (SELECT count(*) FROM {first}) + (SELECT count(*) FROM {second})");
        let sum = site.database.query_value(&sum).expect("a sum");
        sum.parse().expect("a number")
    };
    [
        count([
            "reporting_ocpusagelineitem_pod_staging",
            "reporting_ocpusagelineitem_storage_staging",
        ]),
        count([
            "reporting_ocpusagelineitem_pod_day_staging",
            "reporting_ocpusagelineitem_volume_day_staging",
        ]),
    ]
}

/// The two forms of a name that looks the same.
const COMPOSED: &str = "caf\u{e9}";
const DECOMPOSED: &str = "cafe\u{301}";

/// Rows of pods that are out of the ordinary, each with the hour that it is of.
fn peculiar_pods() -> Vec<(u32, Vec<(&'static str, &'static str)>)> {
    let mut rows = Vec::new();
    for hour in 0..24 {
        // A node whose role changes at noon, one with a role that nobody knows, and one that
        // has none at times.
        let noon = if hour < 12 { "worker" } else { "master" };
        rows.push((hour, vec![("node_role", noon)]));
        rows.push((
            hour,
            vec![("node", "n2"), ("pod", "b"), ("node_role", "gardener")],
        ));
        let at_times = if hour % 5 == 0 { "infra" } else { "" };
        rows.push((
            hour,
            vec![("node", "n3"), ("pod", "c"), ("node_role", at_times)],
        ));
        // Pods without a node, a machine, or labels.
        rows.push((
            hour,
            vec![
                ("node", ""),
                ("pod", "stray"),
                ("resource_id", ""),
                ("node_role", ""),
                ("node_capacity_cpu_cores", ""),
                ("node_capacity_cpu_core_seconds", ""),
                ("node_capacity_memory_bytes", ""),
                ("node_capacity_memory_byte_seconds", ""),
            ],
        ));
        // A pod with nothing measured, and one with something in some hours.
        let measured = if hour == 7 { "1800" } else { "" };
        for (pod, usage) in [("nothing", ""), ("seldom", measured)] {
            rows.push((
                hour,
                vec![
                    ("pod", pod),
                    ("pod_usage_cpu_core_seconds", usage),
                    ("pod_request_cpu_core_seconds", ""),
                    ("pod_limit_cpu_core_seconds", ""),
                    ("pod_usage_memory_byte_seconds", ""),
                    ("pod_request_memory_byte_seconds", ""),
                    ("pod_limit_memory_byte_seconds", ""),
                ],
            ));
        }
        for pod in [COMPOSED, DECOMPOSED, "日本語", "مرحبا", "😀", "e̋"] {
            rows.push((hour, vec![("namespace", "script"), ("pod", pod)]));
        }
        for namespace in [COMPOSED, DECOMPOSED, "пространство", "名前空間"] {
            rows.push((hour, vec![("namespace", namespace), ("node", "узел")]));
        }
        // Labels that change in the evening, and a machine that does.
        let labels = if hour < 18 {
            "label_app:x"
        } else {
            "label_app:y|label_app2:z"
        };
        rows.push((hour, vec![("pod", "relabelled"), ("pod_labels", labels)]));
        let machine = if hour < 6 { "i-1" } else { "i-2" };
        rows.push((
            hour,
            vec![("pod", "moved"), ("node", "n4"), ("resource_id", machine)],
        ));
        // Nine million core-hours each: the third is more than 63 bits hold.
        rows.push((
            hour,
            vec![
                ("pod", "big"),
                ("pod_limit_cpu_core_seconds", "32400000000"),
                ("pod_usage_cpu_core_seconds", "32399999999.999999"),
            ],
        ));
        rows.push((
            hour,
            vec![
                ("namespace", "machines"),
                ("pod", "virt-launcher"),
                ("pod_labels", "label_vm_kubevirt_io_name:vm1"),
            ],
        ));
    }
    // Two intervals of one hour, of which each counts; the second is known to be larger.
    for (start, end, cores) in [
        ("05:00:00", "05:29:59", "7200.000000"),
        ("05:30:00", "05:59:59", "10800.000000"),
        ("06:00:00", "06:59:59", "14400.000000"),
    ] {
        let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        rows.push((
            5,
            vec![
                ("node", "half"),
                ("pod", "half"),
                ("interval_start", leak(format!("{DAY} {start} +0000 UTC"))),
                ("interval_end", leak(format!("{DAY} {end} +0000 UTC"))),
                ("node_capacity_cpu_core_seconds", cores),
            ],
        ));
    }
    rows
}

fn peculiar_volumes() -> Vec<(u32, Vec<(&'static str, &'static str)>)> {
    let mut rows = Vec::new();
    for hour in 0..24 {
        let noon = |before, behind| if hour < 12 { before } else { behind };
        // A claim that goes to another pod, one that gets another volume, a driver and a
        // handle that change, and a class that does.
        rows.push((hour, vec![("pod", noon("a", "b"))]));
        rows.push((
            hour,
            vec![
                ("persistentvolumeclaim", "d2"),
                ("persistentvolume", noon("pv-old", "pv-new")),
            ],
        ));
        rows.push((
            hour,
            vec![
                ("persistentvolumeclaim", "d3"),
                ("persistentvolume", "pv-d3"),
                ("csi_driver", noon("", "ebs.csi.aws.com")),
                ("csi_volume_handle", noon("vol-1", "vol-2")),
                ("storageclass", noon("fast", "")),
            ],
        ));
        // A volume that nobody claims, without numbers at times.
        rows.push((
            hour,
            vec![
                ("namespace", ""),
                ("pod", ""),
                ("node", ""),
                ("persistentvolumeclaim", ""),
                ("persistentvolume", "pv-lone"),
                ("persistentvolumeclaim_usage_byte_seconds", noon("", "0")),
            ],
        ));
        rows.push((
            hour,
            vec![
                ("namespace", "machines"),
                ("pod", "virt-launcher"),
                ("persistentvolumeclaim", "vmdisk"),
                ("persistentvolume", "pv-vm"),
            ],
        ));
        rows.push((
            hour,
            vec![
                ("namespace", "script"),
                ("pod", COMPOSED),
                ("persistentvolumeclaim", COMPOSED),
                ("persistentvolume", DECOMPOSED),
            ],
        ));
    }
    rows
}

/// The reports of pods and of volumes, cut into so many: a row in turn for each.
fn reports(parts: usize) -> Vec<[String; 2]> {
    let cut = |report: fn() -> Report, rows: Vec<(u32, Vec<(&str, &str)>)>, part: usize| {
        let rows = rows.iter().enumerate();
        let of_part = rows.filter(|(number, _)| number % parts == part);
        let report = of_part.fold(report(), |report, (_, (hour, cells))| {
            report.row(*hour, cells)
        });
        report.text().to_string()
    };
    (0..parts)
        .map(|part| {
            [
                cut(Report::pods, peculiar_pods(), part),
                cut(Report::volumes, peculiar_volumes(), part),
            ]
        })
        .collect()
}

/// The peculiar day in so many tarballs of one upload.
pub(crate) fn peculiar(parts: usize) -> Vec<Payload> {
    let names = |part: usize| [format!("pods-{part}.csv"), format!("volumes-{part}.csv")];
    let all: Vec<String> = (0..parts).flat_map(names).collect();
    reports(parts)
        .iter()
        .enumerate()
        .map(|(part, [pods, volumes])| {
            let [of_pods, of_volumes] = names(part);
            Payload::numbered(1)
                .manifest("files", all.clone())
                .member(&of_pods, pods)
                .member(&of_volumes, volumes)
        })
        .collect()
}

#[test]
fn a_day_of_everything_peculiar_is_the_same_by_every_engine() {
    let expected = same_by_all(&peculiar(1));
    // What is peculiar did get there.
    let capacity = "SELECT trim_scale(max(node_capacity_cpu_core_hours))
        FROM reporting_ocpusagelineitem_daily_summary WHERE node = 'half'";
    says(&expected, capacity, "9");
    let limit = "SELECT trim_scale(sum(pod_limit_cpu_core_hours))
        FROM reporting_ocpusagelineitem_daily_summary";
    says(&expected, limit, "216000000");
    let names = "SELECT count(DISTINCT namespace)
        FROM reporting_ocpusagelineitem_daily_summary WHERE namespace LIKE 'caf%'";
    says(&expected, names, "2");
    let roles = "SELECT string_agg(node || ' ' || coalesce(node_role, '–'), ', ' ORDER BY node)
        FROM reporting_ocp_nodes WHERE node IN ('n1', 'n2', 'n3')";
    says(&expected, roles, "n1 worker, n2 worker, n3 infra");
    let machines = "SELECT string_agg(DISTINCT vm_name || ' ' || persistentvolumeclaim, ', ')
        FROM reporting_ocp_vm_summary_p WHERE persistentvolumeclaim IS NOT NULL";
    says(&expected, machines, "vm1 vmdisk");
    let moved = "SELECT string_agg(DISTINCT persistentvolume, ', ' ORDER BY persistentvolume)
        FROM reporting_ocpusagelineitem_daily_summary WHERE persistentvolumeclaim = 'd2'";
    says(&expected, moved, "pv-new, pv-old");
    let hint = "SELECT provider FROM gristmill_cloud_hint";
    says(&expected, hint, "AWS");
}

/// The parts of one upload meet in a day, in a node's interval, and in each object's row.
#[test]
fn a_day_that_is_split_anywhere_is_the_same_by_every_engine() {
    let whole = loaded(&peculiar(1), &["postgres"]);
    for parts in [2, 3] {
        let split = same_by_all(&peculiar(parts));
        are_equal(&whole, &split, &format!("in {parts} parts"));
    }
}

#[test]
fn trino_makes_the_same_of_peculiar_days() {
    let Some(servers) = engines::shared() else {
        return;
    };
    let corner = servers.corner();
    let sections = corner.sections();
    let servers = (corner.name(), sections.as_str());
    for parts in [1, 2] {
        let payloads = peculiar(parts);
        let expected = loaded(&payloads, &["postgres"]);
        for engines in [
            &["trino"][..],
            &["trino", "postgres"],
            &["embedded", "trino"],
        ] {
            let found = loaded_with(&payloads, engines, servers);
            are_equal(&expected, &found, &format!("{parts} by {engines:?}"));
        }
    }
    assert_eq!(corner.litter(), Vec::<String>::new());
}

/// Another engine replays one day of what one has made, and `summarize` makes it once more.
#[test]
fn a_day_that_another_engine_replays_is_the_same() {
    let expected = loaded(&peculiar(2), &["postgres"]);
    let summarize = |site: &Site| {
        site.database.execute(
            "INSERT INTO reporting_ocp_cost_category_namespace (namespace, cost_category_id)
            SELECT 'app%', id FROM reporting_ocp_cost_category ON CONFLICT DO NOTHING",
        );
        site.command(&["summarize", "--source", CLUSTER, "--from", DAY])
            .succeeds();
    };
    summarize(&expected);
    for other in others() {
        for (first, second) in [("postgres", other), (other, "postgres"), (other, other)] {
            let site = loaded(&peculiar(2), &[first]);
            let pipeline = engine::pipeline(BASE, second);
            let replayed = site
                .command(&["replay", "--source", CLUSTER, "--from", DAY, "--json"])
                .argument(pipeline)
                .with_stages()
                .succeeds()
                .json();
            assert!(replayed["engines"].get(second).is_some(), "{replayed:#}");
            let [hours, parts] = staged(&site);
            // The day has no rows of what was there before.
            assert_eq!(
                (hours > 0, parts > 0),
                (second == "postgres", second != "postgres")
            );
            let what = format!("{first} replayed by {second}");
            summarize(&site);
            are_equal(&expected, &site, &what);
            summarize(&site);
            are_equal(&expected, &site, &format!("{what}, summarized again"));
        }
    }
}

/// Which of additive uploads repeat each other is seen by their hours, and the first tarball
/// of an upload says that it is one.
#[test]
fn an_additive_upload_is_folded_by_postgres_whatever_its_second_tarball_says() {
    let names = ["one.csv", "two.csv"];
    let tarball = |number: u32, name: &str, hours: std::ops::Range<u32>, is_daily: bool| {
        Payload::numbered(number)
            .manifest("version", "2.0.0")
            .manifest("daily_reports", is_daily)
            .manifest("files", names.to_vec())
            .member(name, Report::pods().hours(hours).text())
    };
    let payloads = [
        tarball(1, names[0], 0..4, false),
        tarball(1, names[1], 4..8, true),
        // Repeats hours of the first.
        tarball(2, names[0], 2..6, false),
        tarball(2, names[1], 8..10, true),
    ];
    let expected = loaded(&payloads, &["postgres"]);
    let usage = "SELECT trim_scale(sum(pod_usage_cpu_core_hours))
        FROM reporting_ocpusagelineitem_daily_summary WHERE namespace = 'app'";
    says(&expected, usage, "5");
    for other in others() {
        let found = loaded(&payloads, &[other]);
        assert_eq!(staged(&found), staged(&expected), "{other}");
        assert_eq!(staged(&found)[1], 0, "{other}");
        says(&found, "SELECT count(*) FROM gristmill_fold", "0");
        are_equal(&expected, &found, other);
    }
    // What is daily by its first tarball goes to the engine, whatever the second says.
    let payloads = [
        tarball(1, names[0], 0..4, true),
        tarball(1, names[1], 4..8, false),
    ];
    let expected = loaded(&payloads, &["postgres"]);
    for other in others() {
        let found = loaded(&payloads, &[other]);
        assert_eq!(staged(&found)[0], 0, "{other}");
        are_equal(&expected, &found, other);
    }
}

/// Uploads that grow, each with what was there before: the hours of folded ones are reused.
#[test]
fn hours_of_a_folded_generation_are_reused() {
    let upload = |number: u32, hours: u32| {
        let (mut pods, mut volumes) = (Report::pods(), Report::volumes());
        for hour in 0..hours {
            for pod in ["a", "b"] {
                pods = pods.row(hour, &[("pod", pod)]);
            }
            volumes = volumes.row(hour, &[]);
        }
        Payload::numbered(number)
            .manifest("end", format!("{DAY}T{:02}:59:59Z", hours - 1))
            .file(&format!("{number}-pods.csv"), pods.text())
            .file(&format!("{number}-volumes.csv"), volumes.text())
    };
    let payloads = [upload(1, 4), upload(2, 9), upload(3, 15)];
    let expected = loaded(&payloads, &["postgres"]);
    let reused = "SELECT sum(rows_reused) FROM gristmill_run";
    says(&expected, reused, "39");
    for other in others() {
        for engines in [&[other][..], &[other, "postgres"], &["postgres", other]] {
            let found = loaded(&payloads, engines);
            says(&found, reused, "39");
            are_equal(&expected, &found, &format!("{engines:?}"));
        }
    }
}

/// So little memory that each batch is written out.
#[test]
fn a_fold_beyond_its_memory_is_the_same() {
    let many = || {
        let mut pods = Report::pods();
        for pod in 0..400 {
            let name = format!("pod-{pod}");
            for hour in 0..3 {
                pods = pods.row(hour, &[("pod", &name), ("node_role", "infra")]);
            }
        }
        Payload::numbered(1)
            .file("pods.csv", pods.text())
            .file("volumes.csv", Report::volumes().hours(0..3).text())
    };
    let expected = loaded(&[many()], &["postgres"]);
    let usual = loaded(&[many()], &["embedded"]);
    let site = Site::new();
    let path = site.write(&[many()]).remove(0);
    load(&site, "embedded", path)
        .env("GRISTMILL_TEST_FOLD_BYTES", "1")
        .succeeds();
    let [_, parts] = staged(&site);
    let [_, parts_usually] = staged(&usual);
    // Hours of a pod are in one batch and the next, of which each is written out.
    assert!(parts > parts_usually, "{parts} and {parts_usually} usually");
    let rows = "SELECT string_agg(rows::text, ' ' ORDER BY staging_table) FROM gristmill_fold";
    says(&site, rows, "1200 3");
    let written = "SELECT sum(part_rows) > 401 + 3 FROM gristmill_fold";
    says(&site, written, "t");
    are_equal(&expected, &usual, "with usual memory");
    are_equal(&expected, &site, "with little memory");
}

/// Rows are taken from each part behind the back of the fold, right when they are there.
#[test]
fn rows_that_a_part_lacks_fail_the_payload() {
    // The COPY behind which the part is there.
    for (copy, part, change, sentence) in [
        (1, "pod_day", "DELETE FROM", "has 0 of 5 rows in"),
        (
            1,
            "pod_day",
            "UPDATE SET rows = rows + 1",
            "has 6 of 5 rows in",
        ),
        (2, "node_hour", "UPDATE SET rows = 0", "has 0 of 5 rows in"),
        (2, "node_hour", "MOVE", "has 5 of 5 rows in"),
        (3, "volume_day", "DELETE FROM", "has 0 of 5 rows in"),
    ] {
        let site = Site::new();
        let payload = Payload::numbered(1)
            .file("pods.csv", Report::pods().hours(0..5).text())
            .file("volumes.csv", Report::volumes().hours(0..5).text());
        let path = site.write(&[payload]).remove(0);
        let running = load(&site, "embedded", path.clone())
            .env("GRISTMILL_TEST_STOP_AT", format!("copy-ended:{copy}"))
            .begins()
            .has_stopped();
        let table = format!("reporting_ocpusagelineitem_{part}_staging");
        let sql = match change {
            "DELETE FROM" => format!("DELETE FROM {table}"),
            // The sum is right, and no hour is.
            "MOVE" => {
                format!("UPDATE {table} SET interval_start = interval_start + interval '9 hours'")
            }
            update => update.replace("UPDATE", &format!("UPDATE {table}")),
        };
        site.database.execute(&sql);
        let ended: Ended = running.goes_on();
        let what = format!("{change} {table}\n{ended}");
        assert_eq!(ended.code, Some(1), "{what}");
        let said = format!("error: the fold {sentence} `{table}`");
        assert!(ended.stderr.contains(&said), "{said}: {what}");
        assert!(
            ended
                .stderr
                .contains("nothing of the payload was published"),
            "{what}"
        );
        says(&site, "SELECT count(*) FROM gristmill_day", "0");
        says(
            &site,
            "SELECT count(*) FROM reporting_ocpusagelineitem_daily_summary",
            "0",
        );
        assert_eq!(staged(&site), [0, 0], "{what}");
        says(&site, "SELECT count(*) FROM gristmill_generation", "0");
        says(
            &site,
            "SELECT string_agg(state, ' ') FROM gristmill_run",
            "failed",
        );
        // It may come again.
        load(&site, "embedded", path).succeeds();
        says(&site, "SELECT hours FROM gristmill_day", "5");
    }
}
