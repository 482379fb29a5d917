//! Uploads of operators before 3.0, which add to a day instead of replacing it.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{Ended, Gristmill, gristmill, run};
use crate::support::payload::{CLUSTER, DAY, Payload, Report};
use crate::support::server::TestDatabase;

/// A database, and a data directory for its archive.
struct Site {
    database: TestDatabase,
    data: TempDir,
}

impl Site {
    fn new() -> Site {
        Site {
            database: TestDatabase::migrated(),
            data: tempfile::tempdir().expect("a folder"),
        }
    }

    /// Runs payloads that a test made, each by itself.
    #[track_caller]
    fn load(&self, payloads: &[Payload]) {
        for payload in payloads {
            self.run(payload).succeeds();
        }
    }

    fn run(&self, payload: &Payload) -> Gristmill {
        let path: PathBuf = payload.write(self.data.path(), "p.tar.gz");
        run(&self.database, "pipelines/ocp.toml", &[path])
            .env("GRISTMILL_DATA", self.data.path())
            .calling(self.data.path(), "[FOLDER]")
    }

    #[track_caller]
    fn command(&self, arguments: &[&str]) -> Gristmill {
        gristmill(arguments.iter().copied())
            .database(&self.database)
            .env("GRISTMILL_DATA", self.data.path())
    }

    #[track_caller]
    fn replay(&self) -> Value {
        self.command(&["replay", "pipelines/ocp.toml"])
            .with_stages()
            .arguments(["--source", CLUSTER, "--from", DAY, "--to", DAY, "--json"])
            .succeeds()
            .json()
    }

    #[track_caller]
    fn rows(&self, sql: &str) -> Vec<String> {
        let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".into());
        let rows = self.database.query_rows(sql);
        rows.into_iter()
            .map(|row| row.into_iter().map(text).collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// The usage of each pod's namespace, in core-hours.
    #[track_caller]
    fn usage(&self) -> Vec<String> {
        self.rows(
            "SELECT namespace, trim_scale(pod_usage_cpu_core_hours)
            FROM reporting_ocpusagelineitem_daily_summary
            WHERE data_source = 'Pod' AND namespace NOT LIKE '% unallocated'
            ORDER BY 1",
        )
    }

    /// Day, hours, rows and holders.
    #[track_caller]
    fn ledger(&self) -> Vec<String> {
        self.rows(
            "SELECT
                day.hours,
                day.rows,
                string_agg(right(manifest.assembly_id, 1), '+' ORDER BY manifest.assembly_id)
            FROM gristmill_day AS day
            JOIN gristmill_day_manifest AS holder
                ON holder.source_uuid = day.source_uuid
                AND holder.usage_day = day.usage_day
            JOIN reporting_common_costusagereportmanifest AS manifest
                ON manifest.id = holder.manifest_id
            GROUP BY day.usage_day, day.hours, day.rows
            ORDER BY day.usage_day",
        )
    }

    /// All that consumers read, without ids and times of the load.
    #[track_caller]
    fn contents(&self) -> Vec<String> {
        let mut contents = self.usage();
        contents.extend(self.ledger());
        contents.extend(self.rows(
            "SELECT
                namespace, node, persistentvolumeclaim, node_capacity_cpu_core_hours,
                pod_effective_usage_cpu_core_hours, persistentvolumeclaim_usage_gigabyte_months
            FROM reporting_ocpusagelineitem_daily_summary
            ORDER BY 1, 2, 3",
        ));
        contents
    }
}

/// An upload that replaces its day.
fn daily(number: u32, hours: std::ops::Range<u32>, usage: u32) -> Payload {
    let usage = usage.to_string();
    let report = hours.fold(Report::pods(), |report, hour| {
        report.row(hour, &[("pod_usage_cpu_core_seconds", &usage)])
    });
    Payload::numbered(number).file(&format!("{number}.csv"), report.text())
}

/// An upload that adds to its day.
fn additive(number: u32, hours: std::ops::Range<u32>, usage: u32) -> Payload {
    daily(number, hours, usage)
        .manifest("version", "2.0.0")
        .manifest("daily_reports", false)
}

#[track_caller]
fn says(ended: &Ended, text: &str) {
    assert!(ended.stderr.contains(text), "{ended}");
}

#[test]
fn additive_uploads_add_up_and_the_same_one_counts_once() {
    let site = Site::new();
    site.load(&[additive(1, 0..6, 3600), additive(2, 6..12, 1800)]);
    assert_eq!(site.usage(), ["app 9"]);
    assert_eq!(site.ledger(), ["12 12 1+2"]);
    let capacity = "SELECT DISTINCT trim_scale(node_capacity_cpu_core_hours)
        FROM reporting_ocpusagelineitem_daily_summary";
    assert_eq!(site.rows(capacity), ["48"]);

    let before = site.database.digests();
    let ended = site.run(&additive(1, 0..6, 3600)).succeeds();
    says(&ended, "nothing to do");
    assert_eq!(site.database.digests(), before);

    // Every row says that it was used, whichever upload brought it.
    let staged = "SELECT DISTINCT processed FROM reporting_ocpusagelineitem_pod_staging_view";
    assert_eq!(site.rows(staged), ["t"]);
}

#[test]
fn without_a_version_an_upload_holds_the_month_so_far() {
    let site = Site::new();
    let cumulative = |number, hours| additive(number, hours, 3600).manifest("version", "");
    site.load(&[
        cumulative(1, 0..6),
        cumulative(2, 0..12),
        cumulative(3, 0..3),
    ]);
    assert_eq!(site.usage(), ["app 12"]);
    assert_eq!(site.ledger(), ["12 12 2"]);
}

#[test]
fn an_hour_that_was_collected_twice_counts_once_as_it_was_last() {
    let first = additive(1, 0..4, 3600);
    let volumes = |payload: Payload, hours| {
        payload.file("volumes.csv", Report::volumes().hours(hours).text())
    };
    let first = volumes(first, 0..4);
    // The same hour of another pod stays.
    let other = Report::pods()
        .row(3, &[("pod_usage_cpu_core_seconds", "1800")])
        .row(3, &[("pod", "b"), ("namespace", "other")])
        .row(4, &[]);
    let second = volumes(
        Payload::numbered(2)
            .file("2.csv", other.text())
            .manifest("version", "2.0.0")
            .manifest("daily_reports", false),
        3..5,
    );
    let months = "SELECT round(sum(persistentvolumeclaim_capacity_gigabyte_months) * 24 * 31)
        FROM reporting_ocpusagelineitem_daily_summary";
    let mut contents = Vec::new();
    for order in [[&first, &second], [&second, &first]] {
        let site = Site::new();
        site.load(&order.map(Clone::clone));
        assert_eq!(site.usage(), ["app 4", "other 0.5"]);
        assert_eq!(site.rows(months), ["500"], "five hours of 100 GiB");
        assert_eq!(
            site.rows("SELECT count(*) FROM reporting_ocpusagelineitem_pod_staging"),
            ["6"]
        );
        contents.push(site.contents());

        // And once more after both are loaded anew.
        site.replay();
        assert_eq!(site.contents(), contents[0]);
    }
    assert_eq!(contents[0], contents[1]);
}

#[test]
fn a_daily_upload_replaces_additive_ones_unless_they_have_more_hours() {
    // Whichever comes first: eight hours of the one against six and then twelve of
    // the others.
    let payloads = [
        additive(1, 0..6, 3600),
        additive(2, 6..12, 3600),
        daily(3, 0..8, 7200),
    ];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let site = Site::new();
        site.load(&order.map(|number| payloads[number].clone()));
        assert_eq!(site.usage(), ["app 12"], "{order:?}");
        assert_eq!(site.ledger(), ["12 12 1+2"], "{order:?}");
    }

    // Of equally many hours the daily one counts, though it was made earlier.
    let payloads = [
        daily(1, 0..12, 7200),
        additive(2, 0..6, 3600),
        additive(3, 6..12, 3600),
    ];
    for order in [[0, 1, 2], [1, 0, 2], [1, 2, 0], [2, 1, 0]] {
        let site = Site::new();
        site.load(&order.map(|number| payloads[number].clone()));
        assert_eq!(site.usage(), ["app 24"], "{order:?}");
        assert_eq!(site.ledger(), ["12 12 1"], "{order:?}");
    }
}

#[test]
fn an_additive_upload_that_loses_says_so() {
    let site = Site::new();
    site.load(&[daily(1, 0..12, 3600)]);
    let before = site.database.digests_of_summaries();
    let ended = site.run(&additive(2, 12..14, 3600)).succeeds();
    says(
        &ended,
        "another payload covers 2026-01-10 better; these 2 hours do not count",
    );
    assert_eq!(site.database.digests_of_summaries(), before);
}

#[test]
fn a_split_additive_upload_takes_part_when_it_is_whole() {
    let site = Site::new();
    let part = |name: &str, hours| {
        let files = serde_json::json!(["a.csv", "b.csv"]);
        Payload::numbered(2)
            .file(name, Report::pods().hours(hours).text())
            .manifest("files", files)
            .manifest("version", "2.0.0")
            .manifest("daily_reports", false)
    };
    site.load(&[part("a.csv", 6..8), additive(1, 0..6, 3600)]);
    assert_eq!(site.ledger(), ["6 6 1"]);
    site.load(&[part("b.csv", 8..10)]);
    assert_eq!(site.ledger(), ["10 10 1+2"]);
    assert_eq!(site.usage(), ["app 8"]);
}

#[test]
fn gaps_are_those_of_all_uploads_together() {
    let site = Site::new();
    let next_day = ("interval_start", "2026-01-11 00:00:00 +0000 UTC");
    let next_day = Report::pods().row(0, &[next_day]);
    site.load(&[
        additive(1, 0..6, 3600),
        additive(2, 8..24, 3600),
        Payload::numbered(3).file("3.csv", next_day.text()),
    ]);
    let ended = site.command(&["status"]).ends_with(1);
    says(
        &ended,
        "error: cluster `test-cluster`: 2 hours are missing: 2026-01-10 (06–07)",
    );
    assert!(
        ended
            .stdout
            .contains("2, 2026-01-10 to 2026-01-11 (1 additive)"),
        "{ended}"
    );
    site.load(&[additive(4, 6..8, 3600)]);
    let shown = site.command(&["status", "--json"]).succeeds().json();
    assert_eq!(shown["sources"][0]["days_additive"], 1);
    assert_eq!(shown["sources"][0]["generations_superseded"], 0);
}

#[test]
fn a_replay_makes_every_upload_of_the_day_anew() {
    let site = Site::new();
    site.load(&[additive(1, 0..6, 3600), additive(2, 6..12, 1800)]);
    let before = site.contents();
    let replayed = site.replay();
    assert_eq!(replayed["payloads"], 2);
    assert_eq!(replayed["days"].as_array().map(Vec::len), Some(1));
    assert_eq!(replayed["days"][0]["before"], replayed["days"][0]["after"]);
    assert_eq!(site.contents(), before);
    let generations = "SELECT id FROM gristmill_generation ORDER BY id";
    assert_eq!(site.rows(generations), ["3", "4"]);
}

#[test]
fn a_day_is_not_made_of_some_of_its_uploads() {
    let site = Site::new();
    site.load(&[additive(1, 0..6, 3600), additive(2, 6..12, 3600)]);
    site.rows("SELECT forget_generation(1)");
    let before = site.contents();
    let again = site
        .command(&["summarize", "--source", CLUSTER, "--from", DAY, "--json"])
        .ends_with(1);
    let hint = again.json()["hint"].to_string();
    assert!(hint.starts_with("\"`gristmill replay`"), "{again}");
    assert_eq!(site.contents(), before);

    let ended = site.run(&additive(3, 12..14, 3600)).ends_with(1);
    says(
        &ended,
        "cannot add to 2026-01-10: the staged rows that it is made of are no longer kept",
    );
    assert_eq!(site.contents(), before);

    site.replay();
    assert_eq!(site.contents(), before);
    site.load(&[additive(3, 12..14, 3600)]);
    assert_eq!(site.usage(), ["app 14"]);
}

#[test]
fn an_additive_upload_that_lost_is_kept_as_long_as_it_may_still_win() {
    let site = Site::new();
    // Of this month, in which a day may still be made anew.
    let today = site.rows("SELECT (now() AT TIME ZONE 'UTC')::date")[0].clone();
    let of_today = |number: u32, hours: std::ops::Range<u32>, daily: bool| {
        let report = hours.fold(Report::pods(), |report, hour| {
            let start = format!("{today} {hour:02}:00:00 +0000 UTC");
            report.row(0, &[("interval_start", &start)])
        });
        Payload::numbered(number)
            .file(&format!("{number}.csv"), report.text())
            .manifest("version", "2.0.0")
            .manifest("daily_reports", daily)
    };
    site.load(&[
        of_today(1, 0..6, false),
        of_today(2, 0..2, true),
        of_today(3, 0..8, true),
    ]);
    let generations = "SELECT id FROM gristmill_generation ORDER BY id";
    assert_eq!(site.rows(generations), ["1", "2", "3"]);
    site.command(&["clean", "--retention-days", "0"]).succeeds();
    assert_eq!(site.rows(generations), ["1", "3"]);
    site.load(&[of_today(4, 6..12, false)]);
    assert_eq!(site.ledger(), ["12 12 1+4"]);
}
