//! `gristmill replay` and `gristmill summarize`: days that are made once more.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::command::{Gristmill, file, gristmill, root, run, stages};
use crate::support::payload::{CLUSTER, Payload, Report};
use crate::support::server::TestDatabase;

/// The day after the usual one.
const NEXT_DAY: &str = "2026-01-11";

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

    /// Runs the payloads that a test made.
    #[track_caller]
    fn load(&self, payloads: &[Payload]) {
        let folder = tempfile::tempdir().expect("a folder");
        let paths: Vec<PathBuf> = payloads
            .iter()
            .enumerate()
            .map(|(number, payload)| payload.write(folder.path(), &format!("{number}.tar.gz")))
            .collect();
        self.load_files(&paths);
    }

    #[track_caller]
    fn load_files(&self, paths: &[PathBuf]) {
        run(&self.database, "pipelines/ocp.toml", paths)
            .env("GRISTMILL_DATA", self.data.path())
            .succeeds();
    }

    fn command(&self, name: &str) -> Gristmill {
        gristmill([name])
            .database(&self.database)
            .env("GRISTMILL_DATA", self.data.path())
    }

    fn replay(&self, from: &str, to: &str) -> Gristmill {
        self.command("replay")
            .argument("pipelines/ocp.toml")
            .with_stages()
            .arguments(["--source", CLUSTER, "--from", from, "--to", to])
    }

    #[track_caller]
    fn enable(&self, key: &str) {
        self.command("tags").arguments(["enable", key]).succeeds();
    }

    #[track_caller]
    fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".into());
        let rows = self.database.query_rows(sql);
        rows.into_iter()
            .map(|row| row.into_iter().map(text).collect())
            .collect()
    }

    /// The summary of every day, without the columns that differ from run to run.
    #[track_caller]
    fn summary(&self) -> Vec<Vec<String>> {
        self.rows(
            "SELECT to_jsonb(summary) - 'uuid'
            FROM reporting_ocpusagelineitem_daily_summary AS summary
            ORDER BY 1",
        )
    }

    /// Days, labels and the transaction that wrote them.
    #[track_caller]
    fn labels(&self) -> Vec<Vec<String>> {
        self.rows(
            "SELECT usage_start, pod_labels
            FROM reporting_ocpusagelineitem_daily_summary
            WHERE namespace = 'app'
            ORDER BY 1, 2",
        )
    }
}

/// Hours of two days; a pod with a label, using so many core-seconds an hour.
fn two_days(number: u32) -> Payload {
    let report = (0..3).fold(Report::pods(), |report, hour| {
        let (start, end) = (
            format!("{NEXT_DAY} {hour:02}:00:00 +0000 UTC"),
            format!("{NEXT_DAY} {hour:02}:59:59 +0000 UTC"),
        );
        let labels = ("pod_labels", "label_app:shop");
        report.row(hour, &[labels]).row(
            hour,
            &[labels, ("interval_start", &start), ("interval_end", &end)],
        )
    });
    Payload::numbered(number).file(&format!("{number}.csv"), report.text())
}

#[test]
fn an_enabled_key_shows_in_days_already_loaded_and_in_no_others() {
    let site = Site::new();
    site.load(&[two_days(1)]);
    assert_eq!(site.labels(), [["2026-01-10", "{}"], ["2026-01-11", "{}"]]);
    let versions = "SELECT usage_start, xmin
        FROM reporting_ocpusagelineitem_daily_summary ORDER BY 1, uuid";
    let first_day = |rows: Vec<Vec<String>>| -> Vec<Vec<String>> {
        rows.into_iter()
            .filter(|row| row[0] == "2026-01-10")
            .collect()
    };
    let before = first_day(site.rows(versions));
    site.enable("app");

    let difference = site
        .replay(NEXT_DAY, NEXT_DAY)
        .argument("--json")
        .succeeds()
        .json();
    assert_eq!(
        site.labels(),
        [["2026-01-10", "{}"], ["2026-01-11", r#"{"app": "shop"}"#]]
    );
    assert_eq!(first_day(site.rows(versions)), before);
    assert_eq!(difference["payloads"], 1);
    let replayed = &difference["replayed"][0];
    let payload = replayed["payload"].as_str().expect("a file");
    assert!(payload.ends_with(".tar.gz"), "{difference}");
    let days = replayed["days"].as_array().expect("days");
    assert!(!days.is_empty(), "{difference}");
    assert_eq!(difference["rows_loaded"], 6);
    let days = difference["days"].as_array().expect("days");
    assert_eq!(days.len(), 1);
    assert_eq!(days[0]["day"], NEXT_DAY);
    assert_eq!(days[0]["before"]["labels"], 0);
    assert_eq!(days[0]["after"]["labels"], 1);
    assert_eq!(days[0]["before"]["rows"], days[0]["after"]["rows"]);
    assert_eq!(days[0]["after"]["usage_cpu_core_hours"], 1.5);

    // The other day keeps the rows that it had, of the generation that it had.
    let staged = "SELECT (interval_start AT TIME ZONE 'UTC')::date, generation, count(*)
        FROM reporting_ocpusagelineitem_pod_staging GROUP BY 1, 2 ORDER BY 1, 2";
    assert_eq!(
        site.rows(staged),
        [["2026-01-10", "1", "3"], ["2026-01-11", "2", "3"]]
    );

    // And what is left of the first generation goes when the other day follows.
    site.replay("2026-01", "2026-01").succeeds();
    assert_eq!(
        site.labels(),
        [
            ["2026-01-10", r#"{"app": "shop"}"#],
            ["2026-01-11", r#"{"app": "shop"}"#]
        ]
    );
    assert_eq!(
        site.rows(staged),
        [["2026-01-10", "3", "3"], ["2026-01-11", "3", "3"]]
    );
    assert_eq!(
        site.rows("SELECT id, state FROM gristmill_generation"),
        [["3", "complete"]]
    );
    let runs = "SELECT payload, state, rows_loaded FROM gristmill_run ORDER BY id";
    assert_eq!(
        site.rows(runs),
        [
            ["0.tar.gz", "published", "6"],
            ["replay of 0.tar.gz, 2026-01-11", "published", "6"],
            [
                "replay of 0.tar.gz, 2026-01-10 to 2026-01-11",
                "published",
                "6"
            ],
        ]
    );
}

#[test]
fn the_difference_is_shown_day_by_day() {
    let site = Site::new();
    site.load(&[two_days(1)]);
    site.enable("app");
    let ended = site.replay("2026-01-10", NEXT_DAY).succeeds();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(
        lines[3].contains("2026-01-10") && lines[3].contains("0 → 1"),
        "{ended}"
    );
    assert!(
        lines[4].contains("2026-01-11") && lines[4].contains("0 → 1"),
        "{ended}"
    );
    assert!(!ended.stdout.contains("1.500 →"), "{ended}");
}

#[test]
fn only_the_payload_that_holds_a_day_is_replayed() {
    let site = Site::new();
    let hours = |number: u32, hours| {
        Payload::numbered(number).file("pods.csv", Report::pods().hours(hours).text())
    };
    site.load(&[hours(1, 0..2), hours(2, 0..5), hours(3, 0..4)]);
    let before = site.summary();
    let difference = site
        .replay("2026-01-10", "2026-01-10")
        .argument("--json")
        .succeeds()
        .json();
    assert_eq!(difference["rows_loaded"], 5);
    assert_eq!(site.summary(), before);
    let ledger = "SELECT manifest_id, hours, rows FROM gristmill_day";
    assert_eq!(site.rows(ledger), [["2", "5", "5"]]);
}

#[test]
fn a_split_payload_is_replayed_whole_also_when_its_staged_rows_are_gone() {
    let site = Site::new();
    let parts = fs::read_dir(file("tests/data/split/payloads")).expect("the payloads");
    let mut parts: Vec<PathBuf> = parts.map(|part| part.expect("an entry").path()).collect();
    parts.sort();
    site.load_files(&parts);
    let before = site.summary();
    let staged = "SELECT count(*) FROM reporting_ocpusagelineitem_pod_staging";
    let rows = site.rows(staged);
    site.rows("SELECT forget_generation(id) FROM gristmill_generation");
    assert_eq!(site.rows(staged), [["0"]]);

    let cluster = "11111111-0000-4000-8000-000000000001";
    let replay = || {
        site.command("replay")
            .argument("pipelines/ocp.toml")
            .with_stages()
            .arguments(["--source", cluster, "--from", "2026-10"])
    };
    let ended = site
        .command("summarize")
        .arguments(["--source", cluster, "--from", "2026-10"])
        .ends_with(1);
    assert!(ended.stderr.contains("hint: `gristmill replay`"), "{ended}");
    replay().succeeds();
    assert_eq!(site.rows(staged), rows);
    assert_eq!(site.summary(), before);
    replay().succeeds();
    assert_eq!(site.rows(staged), rows);
    assert_eq!(site.summary(), before);
    assert_eq!(
        site.rows("SELECT count(*) FROM gristmill_generation"),
        [["1"]]
    );
}

#[test]
fn a_replay_that_fails_changes_nothing() {
    let site = Site::new();
    site.load(&[two_days(1)]);
    site.enable("app");
    let before = site.database.digests_of_published();
    site.database.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON reporting_ocpusagelineitem_daily_summary
        FOR EACH ROW EXECUTE FUNCTION fail()",
    );
    let ended = site.replay("2026-01-10", NEXT_DAY).ends_with(1);
    assert!(ended.stderr.contains("the disk is full"), "{ended}");
    assert_eq!(site.database.digests_of_published(), before);
    let failed = "SELECT count(*) FROM reporting_common_costusagereportstatus WHERE status <> 1";
    assert_eq!(site.rows(failed), [["0"]]);

    site.database
        .execute("DROP TRIGGER fail ON reporting_ocpusagelineitem_daily_summary");
    site.replay("2026-01-10", NEXT_DAY).succeeds();
}

#[test]
fn a_replay_that_is_killed_while_it_publishes_changes_nothing() {
    let site = Site::new();
    site.load(&[two_days(1)]);
    site.enable("app");
    let summary = site.summary();
    let ledger = "SELECT to_jsonb(day) FROM gristmill_day AS day ORDER BY usage_day";
    let days = site.rows(ledger);
    site.database.execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$;
        CREATE TRIGGER wait AFTER INSERT ON reporting_ocpusagelineitem_daily_summary
        FOR EACH STATEMENT EXECUTE FUNCTION wait()",
    );
    let mut replay = Command::new(env!("CARGO_BIN_EXE_gristmill"))
        .args(["replay", "pipelines/ocp.toml", "--source", CLUSTER])
        .args(["--from", "2026-01", "--stages"])
        .arg(stages())
        .current_dir(root())
        .env("DATABASE_URL", site.database.url())
        .env("GRISTMILL_DATA", site.data.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("gristmill runs");
    let asleep = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'PgSleep'";
    while site.rows(asleep) != [["1"]] {
        assert!(
            replay.try_wait().expect("its state").is_none(),
            "it ended early"
        );
        thread::sleep(Duration::from_millis(20));
    }
    replay.kill().expect("it runs");
    replay.wait().expect("it ends");
    // Postgres has not noticed yet; others see the old state already.
    assert_eq!(site.summary(), summary);
    site.rows(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    site.database
        .execute("DROP TRIGGER wait ON reporting_ocpusagelineitem_daily_summary");
    assert_eq!(site.summary(), summary);
    assert_eq!(site.rows(ledger), days);
    let generations = "SELECT id, state FROM gristmill_generation ORDER BY id";
    assert_eq!(
        site.rows(generations),
        [["1", "complete"], ["2", "loading"]]
    );

    site.replay("2026-01", "2026-01").succeeds();
    assert_eq!(site.rows(generations), [["3", "complete"]]);
    assert_eq!(
        site.labels(),
        [
            ["2026-01-10", r#"{"app": "shop"}"#],
            ["2026-01-11", r#"{"app": "shop"}"#]
        ]
    );
}

#[test]
fn days_whose_staged_rows_are_gone_stay_when_their_neighbour_is_replayed() {
    let site = Site::new();
    site.load(&[two_days(1)]);
    let before = site.summary();
    site.rows("SELECT forget_generation(id) FROM gristmill_generation");
    site.replay(NEXT_DAY, NEXT_DAY).succeeds();
    assert_eq!(site.summary(), before);
    let again = site
        .command("summarize")
        .arguments(["--source", CLUSTER, "--from", "2026-01", "--json"])
        .succeeds()
        .json();
    assert_eq!(again["days_not_staged"], serde_json::json!(["2026-01-10"]));
    assert_eq!(site.summary(), before);
}

#[test]
fn a_replay_that_dies_changes_nothing_and_the_next_one_clears_up() {
    let site = Site::new();
    site.load(&[two_days(1)]);
    let before = site.summary();
    // A killed process leaves rows of a generation that never completed.
    site.database.execute(
        "INSERT INTO gristmill_generation (manifest_id, run_id, source_uuid)
        SELECT manifest_id, run_id, source_uuid FROM gristmill_generation;
        INSERT INTO reporting_ocpusagelineitem_pod_staging
        SELECT (jsonb_populate_record(staged, '{\"generation\": 2}')).*
        FROM reporting_ocpusagelineitem_pod_staging AS staged",
    );
    site.command("summarize")
        .arguments(["--source", CLUSTER, "--from", "2026-01"])
        .succeeds();
    assert_eq!(site.summary(), before);
    site.replay("2026-01", "2026-01").succeeds();
    assert_eq!(site.summary(), before);
    let staged = "SELECT DISTINCT generation FROM reporting_ocpusagelineitem_pod_staging";
    assert_eq!(site.rows(staged), [["3"]]);
}

#[test]
fn a_day_that_would_be_left_without_rows_is_refused() {
    let site = Site::new();
    site.load(&[two_days(1)]);
    let before = site.database.digests_of_published();
    // As if the archive held another payload under the name.
    let other = Payload::numbered(1).file("1.csv", Report::pods().hours(0..3).text());
    let folder = tempfile::tempdir().expect("a folder");
    site.database.execute("DELETE FROM gristmill_archive");
    let _ = fs::remove_dir_all(site.data.path().join("archive"));
    let path = other.write(folder.path(), "other.tar.gz");
    site.load_files(&[path]);
    site.replay(NEXT_DAY, NEXT_DAY).ends_with(1).stderr_is(
        "error: the replay of other.tar.gz, 2026-01-11 failed\n  \
          the pipeline makes no row of 2026-01-11, which has rows now\n\n\
        hint: nothing of the day was changed",
    );
    assert_eq!(site.database.digests_of_published(), before);
}

#[test]
fn what_the_archive_lacks_is_named_before_anything_is_done() {
    let site = Site::new();
    let next_day = Report::pods().row(0, &[("interval_start", "2026-01-11 00:00:00 +0000 UTC")]);
    site.load(&[
        Payload::usual(1),
        Payload::numbered(2).file("next.csv", next_day.text()),
    ]);
    site.rows("UPDATE gristmill_archive SET directory = '/nowhere' WHERE manifest_id = 2");
    // The pipeline's own archive is looked at as well.
    site.replay("2026-01-10", NEXT_DAY).succeeds();

    let lost = site.rows("SELECT digest FROM gristmill_archive WHERE manifest_id = 2");
    let digest = &lost[0][0];
    let path = site.data.path().join(format!(
        "archive/gristmill/{}/{digest}.tar.gz",
        &digest[..2]
    ));
    let bytes = fs::read(&path).expect("the archived payload");
    fs::remove_file(&path).expect("it was there");
    let before = site.database.digests();
    site.replay("2026-01-10", NEXT_DAY).ends_with(1).stderr_is(
        "error: nothing was replayed: the archive lacks the payloads of 2026-01-11\n\n\
        hint: `gristmill run` of a payload that was loaded before puts it into the archive; \
        `--from` and `--to` can leave these days out",
    );
    assert_eq!(site.database.digests(), before);

    fs::write(&path, &bytes[..bytes.len() - 1]).expect("a damaged payload");
    let ended = site.replay(NEXT_DAY, NEXT_DAY).ends_with(1);
    assert!(
        ended.stderr.contains("is damaged: its SHA-256 is"),
        "{ended}"
    );
    assert_eq!(site.database.digests(), before);

    site.command("replay")
        .argument("pipelines/ocp.toml")
        .with_stages()
        .arguments(["--source", "nobody", "--from", "2026-01"])
        .ends_with(2)
        .stderr_is(
            "error: there is no source `nobody`\n\n\
            hint: `gristmill sources list` shows the sources",
        );
    site.replay("2026-02", "2026-02").ends_with(1).stderr_is(
        "error: no payload of cluster `test-cluster` holds 2026-02-01 to 2026-02-28\n\n\
        hint: `gristmill status` shows which days are loaded",
    );
}

#[test]
fn days_are_summarized_again_after_a_change_of_categories() {
    let site = Site::new();
    site.load(&[two_days(1)]);
    let before = site.summary();
    site.database.execute(
        "INSERT INTO reporting_ocp_cost_category (name, description, source_type, system_default, label)
        VALUES ('Shop', '', 'OCP', false, '{}');
        INSERT INTO reporting_ocp_cost_category_namespace (namespace, system_default, cost_category_id)
        SELECT 'app', false, id FROM reporting_ocp_cost_category WHERE name = 'Shop'",
    );
    let difference = site
        .command("summarize")
        .arguments(["--source", CLUSTER, "--from", NEXT_DAY, "--json"])
        .succeeds()
        .json();
    assert_eq!(difference["days"][0]["day"], NEXT_DAY);
    assert_eq!(difference["days"].as_array().map(Vec::len), Some(1));
    let categories = "SELECT usage_start, cost_category_id IS NOT NULL
        FROM reporting_ocpusagelineitem_daily_summary WHERE namespace = 'app' ORDER BY 1";
    assert_eq!(
        site.rows(categories),
        [["2026-01-10", "f"], ["2026-01-11", "t"]]
    );
    assert_eq!(site.summary().len(), before.len());
}

/// Each row of a table, and the transaction that wrote it.
#[track_caller]
fn versions(site: &Site, table: &str, columns: &str) -> Vec<String> {
    let rows = site.rows(&format!(
        "SELECT concat_ws(' ', {columns}), xmin FROM {table} AS row ORDER BY 1"
    ));
    rows.into_iter().map(|row| row.join(" of ")).collect()
}

#[test]
fn a_change_of_categories_or_mappings_touches_only_its_rows() {
    const SUMMARY: &str = "reporting_ocpusagelineitem_daily_summary";
    let site = Site::new();
    site.enable("app");
    site.enable("tier");
    let report = Report::pods()
        .row(0, &[("pod_labels", "label_tier:web")])
        .row(0, &[("namespace", "other"), ("pod", "b")])
        .row(
            0,
            &[
                ("interval_start", "2026-01-11 00:00:00 +0000 UTC"),
                ("namespace", "other"),
            ],
        );
    site.load(&[Payload::numbered(1).file("pods.csv", report.text())]);
    // Neither needs what is staged.
    site.rows("SELECT forget_generation(id) FROM gristmill_generation");
    let summary = || versions(&site, SUMMARY, "usage_start, namespace");
    let projects = || {
        let table = "reporting_ocp_pod_summary_by_project_p";
        versions(&site, table, "usage_start, namespace")
    };
    let reclassify = || {
        site.command("summarize").arguments([
            "--source",
            CLUSTER,
            "--from",
            "2026-01",
            "--reclassify",
        ])
    };
    let changed = |before: &[String], after: &[String]| -> Vec<String> {
        let new = after.iter().filter(|row| !before.contains(row));
        new.filter_map(|row| Some(row.split_once(" of ")?.0.to_string()))
            .collect()
    };
    let (first, first_projects) = (summary(), projects());
    assert_eq!(first.len(), 5, "three of pods, two of what is left");
    reclassify()
        .succeeds()
        .stderr_is("every row has its category and its tags already");
    assert_eq!(
        (summary(), projects()),
        (first.clone(), first_projects.clone())
    );

    site.database.execute(
        "INSERT INTO reporting_ocp_cost_category (name, description, source_type, system_default, label)
        VALUES ('Shop', '', 'OCP', false, '{}');
        INSERT INTO reporting_ocp_cost_category_namespace (namespace, system_default, cost_category_id)
        SELECT 'app', false, id FROM reporting_ocp_cost_category WHERE name = 'Shop'",
    );
    let shown = reclassify().argument("--json").succeeds().json();
    assert_eq!(
        shown["days"],
        serde_json::json!([{"day": "2026-01-10", "rows_recategorized": 1, "rows_renamed": 0}])
    );
    let second = summary();
    assert_eq!(changed(&first, &second), ["2026-01-10 app"]);
    // Of the tables made of it, the day; the next one is as it was.
    assert_eq!(
        changed(&first_projects, &projects()),
        ["2026-01-10 app", "2026-01-10 other"]
    );

    let third_projects = projects();
    site.command("tags")
        .arguments(["map", "tier", "app"])
        .succeeds();
    let shown = reclassify().argument("--json").succeeds().json();
    assert_eq!(
        shown["days"],
        serde_json::json!([{"day": "2026-01-10", "rows_recategorized": 0, "rows_renamed": 1}])
    );
    assert_eq!(changed(&second, &summary()), ["2026-01-10 app"]);
    assert_eq!(projects(), third_projects);
    assert_eq!(site.labels(), [["2026-01-10", r#"{"app": "web"}"#]]);
}
