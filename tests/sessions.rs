//! Sessions: ours are the same whatever a server, a role or a database has set, and
//! functions do the same in anybody's.

use crate::aggregates;
use crate::sql;
use crate::support::command::{gristmill, run};
use crate::support::own_server::OwnServer;
use crate::support::payload::{Payload, Report};
use crate::support::server::TestDatabase;

/// Settings that change the meaning of something.
const ODD: [(&str, &str); 11] = [
    ("TimeZone", "Asia/Shanghai"),
    ("DateStyle", "German, DMY"),
    ("IntervalStyle", "sql_standard"),
    ("standard_conforming_strings", "off"),
    ("escape_string_warning", "off"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-8"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("quote_all_identifiers", "on"),
    ("gin_fuzzy_search_limit", "1"),
];

/// Settings that change how a session goes on.
const CONDUCT: [(&str, &str); 4] = [
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_deferrable", "on"),
    ("check_function_bodies", "off"),
    ("plpgsql.extra_errors", "all"),
];

/// Overloads that fit better than the system's own, and relations of ours by name.
const PLANTED: &str = "
    CREATE FUNCTION public.planted(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'what was planted has run'; END $$;
    CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.planted);
    CREATE OPERATOR public.<> (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.planted);
    CREATE FUNCTION public.planted(varchar, text) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'what was planted has run'; END $$;
    CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = text, FUNCTION = public.planted);
    CREATE FUNCTION public.held_days(days date[], source uuid)
    RETURNS TABLE (usage_day date, generations bigint[]) LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'what was planted has run'; END $$;
    CREATE FUNCTION public.max(varchar) RETURNS varchar LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'what was planted has run'; END $$;";

/// A payload of pods with labels and of volumes.
fn payload(number: u32) -> Payload {
    let pods = Report::pods()
        .row(0, &[("pod_labels", "label_app:web")])
        .hours(1..6);
    let volumes = Report::volumes().hours(0..6);
    Payload::numbered(number)
        .file("pods.csv", pods.text())
        .file("volumes.csv", volumes.text())
}

/// Loads a payload, and takes away what is past retention; what that said, and what
/// the tables held before and after.
#[track_caller]
fn loaded_and_cleaned(
    database: &TestDatabase,
    around: impl Fn(bool),
) -> (String, Vec<Vec<Option<String>>>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = payload(1).write(folder.path(), "p.tar.gz");
    around(true);
    run(database, "pipelines/ocp.toml", &[path])
        .env("GRISTMILL_DATA", folder.path())
        .succeeds();
    around(false);
    let rows = database.query_rows(
        "SELECT namespace, node, data_source, all_labels, usage_start, pod_usage_cpu_core_hours,
            persistentvolumeclaim_usage_gigabyte_months
        FROM reporting_ocpusagelineitem_daily_summary ORDER BY 1, 2, 3, 4",
    );
    assert!(rows.len() > 2, "{rows:?}");
    around(true);
    let said = gristmill(["clean", "--retention-days", "0", "--retention-months", "3"])
        .database(database)
        .env("GRISTMILL_DATA", folder.path())
        .succeeds()
        .stdout;
    around(false);
    let left = database.query_rows("SELECT count(*) FROM reporting_ocpusagelineitem_daily_summary");
    (said, rows, format!("{left:?}"))
}

#[test]
fn what_a_database_sets_changes_nothing() {
    let plain = TestDatabase::migrated();
    let expected = loaded_and_cleaned(&plain, |_| ());
    assert!(
        expected.2.contains("\"0\""),
        "what is old goes: {expected:?}"
    );

    let odd = TestDatabase::migrated();
    let found = loaded_and_cleaned(&odd, |begins| {
        for (name, value) in ODD.iter().chain(&CONDUCT) {
            odd.administer(&match begins {
                true => format!("ALTER DATABASE {{name}} SET {name} = {}", quoted(value)),
                false => format!("ALTER DATABASE {{name}} RESET {name}"),
            });
        }
    });
    assert_eq!(found, expected);
}

/// The settings of a session, and those that a database may have in their place.
const OURS: [(&str, &str, &str); 10] = [
    ("search_path", "\"gristmill\", pg_temp", "public"),
    ("application_name", "gristmill", "other"),
    ("statement_timeout", "0", "1h"),
    ("lock_timeout", "10min", "1h"),
    ("idle_session_timeout", "0", "1h"),
    ("idle_in_transaction_session_timeout", "10min", "1h"),
    (
        "default_transaction_isolation",
        "read committed",
        "serializable",
    ),
    ("transaction_isolation", "read committed", ""),
    ("client_min_messages", "warning", "debug1"),
    ("jit", "off", "on"),
];

#[test]
fn a_session_is_as_we_want_it_whatever_a_database_sets() {
    let database = TestDatabase::migrated();
    let columns: Vec<String> = OURS
        .iter()
        .map(|(name, ..)| format!("current_setting('{name}')"))
        .collect();
    // By the session that records a run, which is one of the pool.
    database.execute(&format!(
        "CREATE TABLE seen (settings text[]);
        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO gristmill.seen VALUES (ARRAY[{}]);
            RETURN NULL;
        END $$;
        CREATE TRIGGER see AFTER INSERT ON gristmill_run EXECUTE FUNCTION see()",
        columns.join(", ")
    ));
    for (name, _, other) in OURS.iter().filter(|(_, _, other)| !other.is_empty()) {
        database.administer(&format!("ALTER DATABASE {{name}} SET {name} = '{other}'"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = payload(1).write(folder.path(), "p.tar.gz");
    run(&database, "pipelines/ocp.toml", &[path])
        .env("GRISTMILL_DATA", folder.path())
        .succeeds();
    let found: Vec<Option<String>> = database
        .query_rows("SELECT unnest(settings) FROM gristmill.seen")
        .into_iter()
        .flatten()
        .collect();
    let wanted: Vec<Option<String>> = OURS
        .iter()
        .map(|(_, ours, _)| Some((*ours).to_string()))
        .collect();
    assert_eq!(found, wanted);
}

/// Lists are lists of words, of which each is quoted.
fn quoted(value: &str) -> String {
    let words: Vec<String> = value.split(", ").map(|word| format!("'{word}'")).collect();
    words.join(", ")
}

fn odd() -> String {
    ODD.iter()
        .map(|(name, value)| format!("SET LOCAL {name} = {};", quoted(value)))
        .collect()
}

#[test]
fn what_others_have_in_public_is_not_ours() {
    let database = TestDatabase::migrated();
    let before = loaded_and_cleaned(&database, |_| ());
    let planted = TestDatabase::migrated();
    planted.execute(PLANTED);
    let folder = tempfile::tempdir().expect("a folder");
    let path = payload(1).write(folder.path(), "p.tar.gz");
    run(&planted, "pipelines/ocp.toml", &[path])
        .env("GRISTMILL_DATA", folder.path())
        .succeeds();
    for arguments in [
        &["status", "--since", "2026-02-01"][..],
        &["sources", "list"],
        &["tags", "enable", "app"],
        &["quarantine", "list"],
        &[
            "summarize",
            "--source",
            "test-cluster",
            "--from",
            "2026-01-10",
        ],
    ] {
        gristmill(arguments).database(&planted).succeeds();
    }
    let cleaned = gristmill(["clean", "--retention-days", "0", "--retention-months", "3"])
        .database(&planted)
        .env("GRISTMILL_DATA", folder.path())
        .succeeds();
    assert_eq!(cleaned.stdout, before.0);
}

/// Everything that an aggregate is tried with, by somebody whose session is as odd as
/// it can be and in whose search path others come first.
#[test]
fn functions_do_the_same_in_anybodys_session() {
    let database = TestDatabase::migrated();
    let scene = aggregates::scene();
    database.execute(&scene);
    database.execute(PLANTED);
    let before = format!(
        "{}
        SET LOCAL search_path = public, gristmill;
        CREATE TEMPORARY TABLE gristmill_day AS SELECT * FROM gristmill.gristmill_day WITH NO DATA;
        CREATE TEMPORARY TABLE gristmill_name AS SELECT * FROM gristmill.gristmill_name WITH NO DATA",
        odd()
    );
    let behind: String = ODD
        .iter()
        .map(|(name, _)| format!("SET LOCAL {name} TO DEFAULT;"))
        .collect();
    let behind = format!(
        "DROP TABLE pg_temp.gristmill_day, pg_temp.gristmill_name;
        SET LOCAL search_path = gristmill, pg_temp; {behind}"
    );
    let mut tried = 0;
    for case in aggregates::cases() {
        if !case.calls() {
            continue;
        }
        tried += 1;
        let found = case.found_in(&database, &before, &behind);
        assert_eq!(found, case.rows, "`{}`", case.function);
    }
    assert!(tried > 20, "{tried} cases");
}

/// Functions that have no case as an aggregate: the ledger, partitions, retention.
#[test]
fn functions_of_the_ledger_do_the_same_in_anybodys_session() {
    let calls = "
        PERFORM gristmill.ensure_month('2031-03-15');
        PERFORM gristmill.ensure_current_months();
        PERFORM gristmill.register_source('00000000-0000-4000-8000-000000000002', 'cluster-2', 'two');
        PERFORM gristmill.rename_source('00000000-0000-4000-8000-000000000002', 'zwei');
        PERFORM gristmill.ensure_report_period('00000000-0000-4000-8000-000000000002', '2031-03-15');
        PERFORM gristmill.summarize_days('2026-01-10', '2026-01-10', source);
        INSERT INTO gristmill.seen SELECT claimed.outcome || claimed.hours FROM gristmill.claim_days(1) AS claimed;
        INSERT INTO gristmill.seen SELECT again.rows_recategorized || ' ' || again.rows_renamed FROM gristmill.reclassify_days('2026-01-01', '2026-01-31', source) AS again;
        PERFORM gristmill.remove_repeated_rows(1);
        INSERT INTO gristmill.seen SELECT old.reason FROM gristmill.forget_old_generations(source, '2026-10-01Z', true) AS old;
        PERFORM gristmill.replace_days(1, 1, '{2026-01-10}', 'pod-usage');
        INSERT INTO gristmill.seen SELECT old.partition_name FROM gristmill.old_partitions('2026-01-31') AS old, gristmill.drop_partition(old.partition_name);
        INSERT INTO gristmill.seen SELECT old.cluster_id FROM gristmill.old_report_periods('2026-01-31') AS old, gristmill.forget_report_period(old.report_period_id);
        PERFORM gristmill.settle_tags_values();
        INSERT INTO gristmill.seen SELECT forgotten::text FROM gristmill.forget_generation(1) AS forgotten;
        INSERT INTO gristmill.seen SELECT part.partition_name || gristmill.drop_unused_partition(part.partition_name, part.month, part.is_staging)::text FROM gristmill.partitions_by_month() AS part;";
    let seen = |settings: &str| {
        let database = TestDatabase::migrated();
        database.execute(&aggregates::scene());
        database.execute("CREATE TABLE gristmill.seen (what text)");
        database.execute(&format!(
            "BEGIN;
            {settings};
            DO $calls$
            DECLARE source CONSTANT uuid := '00000000-0000-4000-8000-000000000001';
            BEGIN {calls} END
            $calls$;
            COMMIT"
        ));
        (
            database.query_rows("SELECT what FROM seen ORDER BY what"),
            database.query_rows(
                "SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_class
                WHERE relispartition AND relkind = 'r' ORDER BY relname",
            ),
            database.query_rows(
                "SELECT report_period_start, report_period_end, cluster_id
                FROM reporting_ocpusagereportperiod ORDER BY 1, 3",
            ),
        )
    };
    let plain = seen("SET LOCAL TimeZone = 'UTC'");
    assert!(plain.0.len() > 5, "{plain:?}");
    let path = "SET LOCAL search_path = pg_temp, public;";
    assert_eq!(seen(&format!("{}{path}", odd())), plain);
}

#[test]
fn functions_for_others_keep_their_settings_and_inner_ones_have_none() {
    let database = TestDatabase::migrated();
    let kept = |name: &str| {
        let sql = format!(
            "SELECT language.lanname, coalesce(array_to_string(routine.proconfig, ';'), '')
            FROM pg_proc AS routine JOIN pg_language AS language ON language.oid = routine.prolang
            WHERE routine.pronamespace = 'gristmill'::regnamespace AND routine.proname = '{name}'"
        );
        database.query_rows(&sql).remove(0)
    };
    let mut names: Vec<String> = sql::statements()
        .into_iter()
        .filter(|(_, text)| sql::body(text).starts_with("CREATE OR REPLACE FUNCTION"))
        .map(|(name, _)| name.trim_end_matches(".sql").to_string())
        .collect();
    names.extend(["forget_hours_of_generations", "limit_enabled_tag_keys"].map(String::from));
    for name in names {
        let row = kept(&name);
        let (language, settings) = (row[0].as_deref(), row[1].clone().unwrap_or_default());
        let wanted = [
            "search_path=\"gristmill\", pg_temp",
            "TimeZone=UTC",
            "standard_conforming_strings=on",
        ];
        match language {
            // With a setting it would not be put in place where it is called.
            Some("sql") => assert_eq!(settings, "", "{name}"),
            _ => {
                for setting in wanted {
                    assert!(settings.contains(setting), "{name}: {settings}");
                }
            }
        }
    }
}

#[test]
fn functions_follow_a_schema_that_is_renamed() {
    let database = TestDatabase::migrated();
    database.execute("ALTER SCHEMA gristmill RENAME TO other");
    gristmill(["sources", "add", "--cluster-id", "one", "--schema", "other"])
        .database(&database)
        .succeeds();
    let stale = "SELECT count(*) FROM pg_proc WHERE proconfig::text LIKE '%gristmill%'";
    assert_eq!(database.query_value(stale).as_deref(), Some("0"));
}

#[test]
fn a_database_that_takes_no_writes_is_refused() {
    let database = TestDatabase::migrated();
    database.administer("ALTER DATABASE {name} SET default_transaction_read_only = on");
    for arguments in [&["status"][..], &["db", "migrate"], &["sources", "list"]] {
        let ended = gristmill(arguments).database(&database).ends_with(3);
        let words = "cannot be used: its sessions are read-only";
        assert!(ended.stderr.contains(words), "{ended}");
        assert!(
            ended.stderr.contains("`default_transaction_read_only`"),
            "{ended}"
        );
    }
}

#[test]
fn a_standby_is_refused() {
    let standby = OwnServer::standby();
    for arguments in [
        &["status"][..],
        &["db", "migrate"],
        &["tags", "enable", "app"],
        &["clean"],
    ] {
        let ended = gristmill(arguments)
            .database(&standby.database("postgres"))
            .ends_with(3);
        let words = "cannot be used: it is a standby, which takes no writes";
        assert!(ended.stderr.contains(words), "{ended}");
        assert!(ended.stderr.contains("the URL of the primary"), "{ended}");
    }
}

#[test]
fn a_database_of_another_encoding_is_refused() {
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let database = TestDatabase::encoded(encoding);
        let ended = gristmill(["db", "migrate"])
            .database(&database)
            .ends_with(3);
        let words = format!("the database keeps text in `{encoding}` and not in `UTF8`");
        assert!(ended.stderr.contains(&words), "{ended}");
    }
}

#[test]
fn sessions_that_fire_no_triggers_are_refused() {
    let database = TestDatabase::migrated();
    database.administer("ALTER DATABASE {name} SET session_replication_role = replica");
    let ended = gristmill(["status"]).database(&database).ends_with(3);
    assert!(
        ended.stderr.contains("its sessions fire no triggers"),
        "{ended}"
    );
}

/// Names are looked up in the schema and in `pg_temp`: without the schema, tables would be
/// made as temporary ones.
#[test]
fn a_role_that_may_not_use_the_schema_is_refused_by_name() {
    let database = TestDatabase::migrated();
    let role = format!("gristmill_test_outsider_{}", std::process::id());
    let elsewhere = TestDatabase::empty();
    elsewhere.execute(&format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role}"));
    database.execute(&format!(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET role = {role}', current_database()); END $$"
    ));
    for arguments in [&["db", "migrate"][..], &["sources", "list"], &["clean"]] {
        let ended = gristmill(arguments).database(&database).ends_with(3);
        let words = format!("role `{role}` may not use schema `gristmill`");
        assert!(ended.stderr.contains(&words), "{ended}");
        assert!(!ended.stderr.contains("migrat"), "{ended}");
    }
    drop(database);
    elsewhere.execute(&format!("DROP ROLE {role}"));
}
