//! Monthly partitions, and what `gristmill clean` takes of them and of staging.
//! `clean` has the arguments and the archive; here are the functions themselves.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::command::{Gristmill, gristmill, run};
use crate::support::payload::{Payload, Report};
use crate::support::server::TestDatabase;

/// A table as another product has it: what it enters, triggers create.
const REGISTER: &str = "
    CREATE TABLE partitioned_tables (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        schema_name text NOT NULL,
        table_name text NOT NULL,
        partition_of_table_name text NOT NULL,
        partition_type text NOT NULL,
        partition_col text NOT NULL,
        partition_parameters jsonb NOT NULL,
        active boolean NOT NULL DEFAULT true,
        UNIQUE (schema_name, table_name)
    )";

const TRIGGERS: &str = "
    CREATE FUNCTION follow_register() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            EXECUTE format('DROP TABLE %I.%I', OLD.schema_name, OLD.table_name);
        ELSE
            EXECUTE format(
                'CREATE TABLE %I.%I PARTITION OF %I.%I FOR VALUES FROM (%L) TO (%L)',
                NEW.schema_name, NEW.table_name, NEW.schema_name, NEW.partition_of_table_name,
                NEW.partition_parameters ->> 'from', NEW.partition_parameters ->> 'to'
            );
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER follow_register AFTER INSERT OR DELETE ON partitioned_tables
    FOR EACH ROW EXECUTE FUNCTION follow_register()";

struct Site {
    database: TestDatabase,
    data: TempDir,
}

impl Site {
    fn new() -> Site {
        let site = Site {
            database: TestDatabase::migrated(),
            data: tempfile::tempdir().expect("a folder"),
        };
        site.database.execute(
            "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
            VALUES ('app', true, 'OCP')",
        );
        site
    }

    #[track_caller]
    fn rows(&self, sql: &str) -> Vec<String> {
        let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".into());
        let rows = self.database.query_rows(sql);
        rows.into_iter()
            .map(|row| row.into_iter().map(text).collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// The second day of the month so many months ago.
    #[track_caller]
    fn day(&self, months_ago: u32) -> String {
        self.rows(&format!(
            "SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '{months_ago} months')::date + 1"
        ))
        .remove(0)
    }

    /// Loads so many hours of that day, with a label that tells the month. Loads of other
    /// numbers say other things of them.
    #[track_caller]
    fn load(&self, number: u32, months_ago: u32, hours: u32) {
        let day = self.day(months_ago);
        let label = format!("label_app:{}", &day[..7]);
        let usage = number.to_string();
        let report = (0..hours).fold(Report::pods(), |report, hour| {
            let start = format!("{day} {hour:02}:00:00 +0000 UTC");
            let cells = [
                ("interval_start", start.as_str()),
                ("pod_labels", &label),
                ("pod_usage_cpu_core_seconds", &usage),
            ];
            report.row(0, &cells)
        });
        let path: PathBuf = Payload::numbered(number)
            .manifest("start", format!("{day}T00:00:00Z"))
            .manifest("end", format!("{day}T23:59:59Z"))
            .file(&format!("{number}.csv"), report.text())
            .write(self.data.path(), "p.tar.gz");
        run(&self.database, "pipelines/ocp.toml", &[path])
            .env("GRISTMILL_DATA", self.data.path())
            .succeeds();
    }

    fn clean(&self, arguments: &[&str]) -> Gristmill {
        gristmill(["clean"])
            .arguments(arguments)
            .database(&self.database)
            .env("GRISTMILL_DATA", self.data.path())
    }

    /// The days of the summary, and those that staging has.
    #[track_caller]
    fn days(&self) -> [Vec<String>; 2] {
        [
            self.rows(
                "SELECT DISTINCT usage_start FROM reporting_ocpusagelineitem_daily_summary ORDER BY 1",
            ),
            self.rows(
                "SELECT DISTINCT (interval_start AT TIME ZONE 'UTC')::date
                FROM reporting_ocpusagelineitem_pod_staging ORDER BY 1",
            ),
        ]
    }

    /// The months that a table has partitions of, as numbers of months ago.
    #[track_caller]
    fn months(&self, table: &str) -> Vec<String> {
        self.rows(&format!(
            "SELECT
                extract(year FROM distance) * 12 + extract(month FROM distance)
            FROM pg_inherits
            JOIN pg_class AS partition
                ON partition.oid = inhrelid
            CROSS JOIN LATERAL age(
                date_trunc('month', now() AT TIME ZONE 'UTC'),
                to_timestamp(right(partition.relname, 7), 'YYYY_MM')::timestamp
            ) AS distance
            WHERE inhparent = '{table}'::regclass
            ORDER BY 1"
        ))
    }
}

#[test]
fn the_previous_the_current_and_the_next_month_always_exist() {
    let site = Site::new();
    let tables = site.rows(
        "SELECT parent.relname
        FROM pg_class AS parent
        JOIN pg_partitioned_table AS partitioning
            ON partitioning.partrelid = parent.oid
        WHERE
            parent.relnamespace = 'gristmill'::regnamespace
            AND partitioning.partstrat = 'r'",
    );
    assert_eq!(
        tables.len(),
        23,
        "the daily summary, 13 made of it, six of staging, three of day parts"
    );
    for table in &tables {
        assert_eq!(site.months(table), ["-1", "0", "1"], "{table}");
    }
    // Also when a month begins long after the schema was made.
    let next = site.rows(
        "SELECT format('reporting_ocp_gpu_summary_p_%s', to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYYY_MM'))",
    );
    site.database.execute(&format!("DROP TABLE {}", next[0]));
    gristmill(["db", "migrate"])
        .database(&site.database)
        .succeeds();
    assert_eq!(site.months("reporting_ocp_gpu_summary_p"), ["-1", "0", "1"]);
}

#[test]
fn summaries_go_by_calendar_months_with_all_that_is_of_them() {
    let site = Site::new();
    for (number, months_ago) in [(1, 5), (2, 4), (3, 3), (4, 1), (5, 0)] {
        site.load(number, months_ago, 2);
    }
    let values = "SELECT value FROM reporting_ocptags_values ORDER BY 1";
    assert_eq!(site.rows(values).len(), 5);
    let before = site.database.digests();

    let shown = site
        .clean(&["--retention-months", "4", "--dry-run", "--json"])
        .succeeds()
        .json();
    assert_eq!(shown["report_periods"].as_array().map(Vec::len), Some(2));
    assert_eq!(shown["report_periods"][0]["cluster_id"], "test-cluster");
    assert_eq!(
        shown["report_periods"][0]["month"],
        site.day(5)[..8].to_string() + "01"
    );
    assert_eq!(shown["partitions"].as_array().map(Vec::len), Some(28));
    assert_eq!(site.database.digests(), before);

    site.clean(&["--retention-months", "4"]).succeeds();
    let kept = [site.day(3), site.day(1), site.day(0)];
    let [summary, _] = site.days();
    assert_eq!(summary, kept);
    assert_eq!(
        site.months("reporting_ocp_pod_summary_p"),
        ["-1", "0", "1", "3"]
    );
    let months = kept.map(|day| day[..7].to_string());
    assert_eq!(site.rows(values), months);
    let labels = "SELECT values[1] FROM reporting_ocpusagepodlabel_summary ORDER BY 1";
    assert_eq!(site.rows(labels), months);
    assert_eq!(
        site.rows(
            "SELECT to_char(report_period_start AT TIME ZONE 'UTC', 'YYYY-MM')
            FROM reporting_ocpusagereportperiod ORDER BY 1"
        ),
        months
    );
    site.clean(&["--retention-months", "4"])
        .succeeds()
        .stderr_is("nothing is past retention");
}

#[test]
fn on_doubt_no_month_goes() {
    let site = Site::new();
    site.load(1, 5, 1);
    for function in ["old_partitions", "old_report_periods"] {
        for cutoff in ["now()::date", "(now() - interval '1 month')::date", "NULL"] {
            let refused = site.rows(&format!(
                "DO $$
                BEGIN
                    PERFORM {function}({cutoff});
                    RAISE EXCEPTION 'it was not refused';
                EXCEPTION WHEN invalid_parameter_value THEN
                    NULL;
                END $$"
            ));
            assert!(refused.is_empty());
        }
    }
    // A partition of another span is somebody's decision.
    site.database.execute(
        "CREATE TABLE odd PARTITION OF reporting_ocp_pod_summary_p
        FOR VALUES FROM ('2001-01-01') TO ('2001-03-01')",
    );
    site.clean(&["--retention-months", "4"]).succeeds();
    assert_eq!(site.rows("SELECT to_regclass('odd')"), ["odd"]);
}

#[test]
fn staged_rows_go_when_no_summary_will_need_them() {
    let site = Site::new();
    site.load(1, 0, 2);
    site.load(2, 0, 3);
    site.load(3, 1, 2);
    site.load(4, 2, 2);
    let generations = "SELECT run_id FROM gristmill_generation ORDER BY id";
    // All of them were loaded within a week.
    site.clean(&[]).succeeds();
    assert_eq!(site.rows(generations), ["1", "2", "3", "4"]);

    let shown = site
        .clean(&["--retention-days", "0", "--dry-run", "--json"])
        .succeeds()
        .json();
    let shown: Vec<(&str, i64)> = shown["generations"]
        .as_array()
        .expect("generations")
        .iter()
        .map(|old| {
            let reason = old["reason"].as_str().expect("a reason");
            (reason, old["rows"].as_i64().expect("rows"))
        })
        .collect();
    assert_eq!(shown, [("superseded", 2), ("old", 2)]);
    assert_eq!(site.rows(generations), ["1", "2", "3", "4"]);

    let before = site.database.digests_of_summaries();
    site.clean(&["--retention-days", "0"]).succeeds();
    assert_eq!(site.rows(generations), ["2", "3"]);
    let [_, staged] = site.days();
    assert_eq!(staged, [site.day(1), site.day(0)]);
    assert_eq!(site.database.digests_of_summaries(), before);
    // The month that nobody needs is dropped, not emptied.
    assert_eq!(
        site.months("reporting_ocpusagelineitem_pod_staging"),
        ["-1", "0", "1"]
    );
}

#[test]
fn partitions_are_registered_where_another_product_keeps_a_register() {
    for triggers in [false, true] {
        let site = Site::new();
        site.database.execute(REGISTER);
        if triggers {
            site.database.execute(TRIGGERS);
        }
        site.load(1, 5, 1);
        let month = site.day(5)[..7].to_string();
        let register = "SELECT
                schema_name, table_name, partition_type, partition_col, active,
                partition_parameters ->> 'default', partition_parameters ->> 'from'
            FROM partitioned_tables
            WHERE partition_of_table_name IN (
                'reporting_ocp_pod_summary_p', 'reporting_ocpusagelineitem_pod_staging'
            )
            ORDER BY table_name";
        let suffix = month.replace('-', "_");
        assert_eq!(
            site.rows(register),
            [
                format!(
                    "gristmill reporting_ocp_pod_summary_p_{suffix} range usage_start t false {month}-01"
                ),
                format!(
                    "gristmill reporting_ocpusagelineitem_pod_staging_{suffix} range interval_start t false {month}-01"
                ),
            ]
        );
        assert_eq!(
            site.rows("SELECT count(*) FROM partitioned_tables"),
            ["15"],
            "the summaries and the one staging table that has rows; months that were there before are nobody's business"
        );
        let [summary, staged] = site.days();
        assert_eq!((summary, staged), (vec![site.day(5)], vec![site.day(5)]));

        site.clean(&["--retention-months", "4", "--retention-days", "0"])
            .succeeds();
        assert_eq!(site.rows("SELECT count(*) FROM partitioned_tables"), ["0"]);
        assert_eq!(site.months("reporting_ocp_pod_summary_p"), ["-1", "0", "1"]);
    }
}

#[test]
fn another_table_of_that_name_is_left_alone() {
    let site = Site::new();
    site.database
        .execute("CREATE TABLE partitioned_tables (name text)");
    site.load(1, 5, 1);
    assert_eq!(site.rows("SELECT count(*) FROM partitioned_tables"), ["0"]);
}

/// Rows of versions that let a COPY end after its generation was forgotten.
#[test]
fn rows_of_no_generation_go_whatever_their_number() {
    let site = Site::new();
    site.load(1, 0, 2);
    site.load(2, 1, 2);
    let staged = "SELECT count(*) FROM reporting_ocpusagelineitem_pod_staging";
    let before = site.database.digests_of_published();
    // Older than all, in between, and newer.
    site.database.execute(
        "INSERT INTO gristmill_generation (manifest_id, run_id, source_uuid)
        SELECT manifest_id, run_id, source_uuid FROM gristmill_generation WHERE id = 1;
        DELETE FROM gristmill_generation WHERE id = 3;
        INSERT INTO reporting_ocpusagelineitem_pod_staging
        SELECT (jsonb_populate_record(staged, jsonb_build_object('generation', orphan.id))).*
        FROM reporting_ocpusagelineitem_pod_staging AS staged
        CROSS JOIN unnest(ARRAY[-7, 0, 3, 1000000]) AS orphan (id)",
    );
    assert_eq!(site.rows(staged), ["20"]);
    let shown = site.clean(&["--dry-run", "--json"]).succeeds().json();
    assert_eq!(shown["orphaned_rows"], 16);
    assert_eq!(site.rows(staged), ["20"]);
    let ended = site.clean(&[]).succeeds();
    assert!(ended.stdout.contains("of no upload"), "{ended}");
    assert!(ended.stdout.contains("16 rows"), "{ended}");
    assert_eq!(site.rows(staged), ["4"]);
    assert_eq!(site.database.digests_of_published(), before);
}

#[test]
fn a_dry_run_locks_nothing() {
    let site = Site::new();
    site.load(1, 0, 2);
    site.load(2, 0, 3);
    site.load(3, 5, 1);
    // As it would be asked for, in one transaction; and what that holds at its end.
    let held = site.rows(
        "BEGIN;
        DO $$
        BEGIN
            PERFORM forget_old_generations(source_uuid, now(), true) FROM gristmill_source;
            PERFORM old_partitions((now() - interval '3 months')::date);
            PERFORM old_report_periods((now() - interval '3 months')::date);
            PERFORM is_unused_partition(partition_name, month, is_staging) FROM partitions_by_month();
            PERFORM remove_orphaned_rows(name, true) FROM staging_partitions(NULL) AS staged (name);
        END $$;
        SELECT DISTINCT locktype, mode
        FROM pg_locks
        WHERE
            pid = pg_backend_pid()
            AND (locktype = 'advisory' OR mode NOT IN ('AccessShareLock', 'ExclusiveLock'));
        COMMIT",
    );
    assert!(held.is_empty(), "{held:?}");
    // A dry run counts by the runs that are at work.
    let old = |site: &Site| {
        let shown = site
            .clean(&["--retention-days", "0", "--dry-run", "--json"])
            .succeeds()
            .json();
        shown["generations"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(old(&site), 2);
    let busy = site.database.session();
    busy.execute("SELECT pg_advisory_lock(source_lock_key(source_uuid)) FROM gristmill_source");
    assert_eq!(old(&site), 0);
}

#[test]
fn what_is_in_use_is_cleaned_without_its_table_and_nobody_waits() {
    let site = Site::new();
    site.load(1, 5, 2);
    site.load(2, 0, 1);
    // A load that takes its time has its table, as COPY does.
    let load = site.database.session();
    load.execute(
        "BEGIN;
        SELECT hold_partitions('reporting_ocpusagelineitem_pod_staging', '{}')",
    );
    let clean = site.clean(&["--retention-days", "0"]).begins();
    // Those that come meanwhile wait for a moment at most.
    let longest = (0..20)
        .map(|_| {
            let begun = Instant::now();
            site.database.execute(
                "BEGIN;
                SELECT hold_partitions('reporting_ocpusagelineitem_pod_staging', '{}');
                SELECT pg_sleep(0.05);
                COMMIT",
            );
            begun.elapsed()
        })
        .max();
    let ended = clean.ends();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(longest < Some(Duration::from_secs(5)), "{longest:?}");
    assert!(
        ended
            .stderr
            .contains("are left, since their tables were in use"),
        "{ended}"
    );
    let [_, staged] = site.days();
    assert_eq!(staged, [site.day(0)], "the rows are gone all the same");
    let table = "reporting_ocpusagelineitem_pod_staging";
    assert_eq!(site.months(table), ["-1", "0", "1", "5"]);
    load.execute("COMMIT");
    site.clean(&["--retention-days", "0"]).succeeds();
    assert_eq!(site.months(table), ["-1", "0", "1"]);
}

#[test]
fn a_month_that_has_rows_is_not_dropped_and_one_that_was_is_not_held() {
    let site = Site::new();
    site.load(1, 5, 1);
    let month = site.rows(
        "SELECT format('%L, %L, true', partition_name, month)
        FROM partitions_by_month()
        WHERE is_staging AND month < (now() - interval '2 months')::date",
    );
    assert_eq!(month.len(), 1);
    let drop = format!("SELECT drop_unused_partition({})", month[0]);
    assert_eq!(site.rows(&drop), ["f"], "it has rows that count");
    site.rows("SELECT forget_generation(id) FROM gristmill_generation");
    assert_eq!(site.rows(&drop), ["t"]);
    assert_eq!(site.rows(&drop), ["f"], "it is gone");
    let held = format!(
        "SELECT hold_partitions('reporting_ocpusagelineitem_pod_staging', ARRAY['{}01'::date])",
        &site.day(5)[..8]
    );
    assert_eq!(site.rows(&held), ["f"]);
}

/// Its cluster may never send anything again.
#[test]
fn what_a_run_left_that_died_goes_without_another_one() {
    let site = Site::new();
    let report = Report::pods().hours(0..4);
    let path = Payload::numbered(1)
        .file("pods.csv", report.text())
        .write(site.data.path(), "p.tar.gz");
    let killed = run(&site.database, "pipelines/ocp.toml", &[path])
        .env("GRISTMILL_DATA", site.data.path())
        .env("GRISTMILL_TEST_KILL_AT", "copy-ended")
        .ends();
    assert_eq!(killed.code, None, "{killed}");
    let staged = "SELECT count(*) > 0 FROM reporting_ocpusagelineitem_pod_staging";
    assert_eq!(site.database.query_value(staged).as_deref(), Some("t"));
    let said = site
        .clean(&["--retention-days", "0", "--dry-run"])
        .succeeds();
    assert!(said.stdout.contains("staged rows, interrupted"), "{said}");
    assert_eq!(site.database.query_value(staged).as_deref(), Some("t"));
    site.clean(&["--retention-days", "0"]).succeeds();
    assert_eq!(site.database.query_value(staged).as_deref(), Some("f"));
    let generations = "SELECT count(*) FROM gristmill_generation";
    assert_eq!(site.database.query_value(generations).as_deref(), Some("0"));
}
