//! `gristmill clean`: what is past retention goes.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::command::{Gristmill, gristmill, run};
use crate::support::payload::Payload;
use crate::support::server::TestDatabase;

/// Stands in for the functions that decide what of the database goes; what they
/// were called with is kept.
const DECIDERS: &str = "
    CREATE TABLE calls (what text, bound text, dry_run boolean);
    CREATE OR REPLACE FUNCTION forget_old_generations(source_uuid uuid, before timestamptz, dry_run boolean)
    RETURNS TABLE (generation bigint, manifest_id integer, reason text, rows bigint)
    LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO calls VALUES ('forget', (now() - before)::text, dry_run);
        RETURN QUERY VALUES (7::bigint, 1, 'superseded', 1200::bigint), (8, 2, 'old', 34);
    END $$;
    CREATE OR REPLACE FUNCTION old_partitions(cutoff_month date)
    RETURNS TABLE (table_name text, partition_name text, rows_estimate bigint)
    LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO calls VALUES (
            'drop',
            age(date_trunc('month', now() AT TIME ZONE 'UTC'), cutoff_month::timestamp)::text
        );
        RETURN QUERY VALUES ('summary', 'summary_2026_01', NULL::bigint);
    END $$";

struct Site {
    database: TestDatabase,
    data: TempDir,
}

impl Site {
    /// With the usual payload in the archive.
    #[track_caller]
    fn new() -> Site {
        let site = Site {
            database: TestDatabase::migrated(),
            data: tempfile::tempdir().expect("a folder"),
        };
        site.database.execute(DECIDERS);
        let folder = tempfile::tempdir().expect("a folder");
        let path = Payload::usual(1).write(folder.path(), "p.tar.gz");
        run(&site.database, "pipelines/ocp.toml", &[path])
            .env("GRISTMILL_DATA", site.data.path())
            .succeeds();
        site
    }

    fn clean(&self, arguments: &[&str]) -> Gristmill {
        gristmill(["clean"])
            .arguments(arguments)
            .database(&self.database)
    }

    #[track_caller]
    fn calls(&self) -> Vec<String> {
        let rows = self
            .database
            .query_rows("SELECT concat_ws(' ', what, bound, dry_run) FROM calls");
        rows.into_iter().flatten().flatten().collect()
    }

    /// The archived tarballs: of the table, and of the directory.
    #[track_caller]
    fn archived(&self) -> (usize, usize) {
        let rows = self
            .database
            .query_rows("SELECT digest FROM gristmill_archive");
        let folders = fs::read_dir(self.data.path().join("archive/gristmill"));
        let files = folders
            .expect("the archive")
            .map(|folder| folder.expect("an entry").path())
            .filter(|path| path.is_dir())
            .flat_map(|folder: PathBuf| fs::read_dir(folder).expect("a folder"));
        (rows.len(), files.count())
    }

    /// Has the payload be of the month so many months ago.
    fn made_months_ago(&self, months: u32) {
        self.database.execute(&format!(
            "UPDATE reporting_common_costusagereportmanifest
            SET billing_period_start_datetime
                = date_trunc('month', now() AT TIME ZONE 'UTC') - interval '{months} months';
            UPDATE gristmill_day
            SET usage_day = date_trunc('month', now() AT TIME ZONE 'UTC') - interval '{months} months'"
        ));
    }
}

#[test]
fn staged_rows_go_by_days_and_nothing_else_without_months() {
    let site = Site::new();
    site.made_months_ago(50);
    let ended = site.clean(&[]).succeeds().stderr_is(
        "summaries and the archive stay: `--retention-months N` says how long to keep them",
    );
    assert!(ended.stdout.contains("staged rows, superseded"), "{ended}");
    assert!(ended.stdout.contains("1,200 rows"), "{ended}");
    site.clean(&["--retention-days", "3"]).succeeds();
    assert_eq!(site.calls(), ["forget 7 days f", "forget 3 days f"]);
    assert_eq!(site.archived(), (1, 1));
}

#[test]
fn the_archive_goes_by_calendar_months() {
    let site = Site::new();
    site.made_months_ago(3);
    site.clean(&["--retention-months", "4"]).succeeds();
    assert_eq!(site.archived(), (1, 1));
    assert_eq!(site.calls(), ["forget 7 days f", "drop 4 mons"]);

    let before = site.calls().len();
    let shown = site
        .clean(&["--retention-months", "3", "--dry-run", "--json"])
        .succeeds()
        .json();
    assert_eq!(shown["payloads"][0]["payload"], "p.tar.gz");
    assert_eq!(shown["generations"][1]["reason"], "old");
    assert_eq!(shown["partitions"][0]["partition_name"], "summary_2026_01");
    assert_eq!(shown["dry_run"], true);
    assert_eq!(site.calls()[before..], ["forget 7 days t", "drop 3 mons"]);
    assert_eq!(site.archived(), (1, 1));

    site.clean(&[])
        .env("RETAIN_NUM_MONTHS", "3")
        .succeeds()
        .stderr_is("");
    assert_eq!(site.archived(), (0, 0));
}

#[test]
fn a_payload_that_holds_a_day_of_a_later_month_stays() {
    let site = Site::new();
    site.made_months_ago(5);
    site.database.execute(
        "UPDATE gristmill_day
        SET usage_day = date_trunc('month', now() AT TIME ZONE 'UTC') - interval '3 months'",
    );
    site.clean(&["--retention-months", "4"]).succeeds();
    assert_eq!(site.archived(), (1, 1));
}

#[test]
fn too_few_months_are_refused() {
    let database = TestDatabase::migrated();
    let ended = gristmill(["clean", "--retention-months", "2"])
        .database(&database)
        .ends_with(2);
    assert!(ended.stderr.contains("2 is not in 3..=120"), "{ended}");
}
