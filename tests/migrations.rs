//! How a schema is brought up to date, through `gristmill db migrate`.

use std::process::{Command, Output};

use crate::support::command::gristmill;
use crate::support::payload::Payload;
use crate::support::server::TestDatabase;
use crate::support::site::Site;

fn migrate(database: &TestDatabase, schema: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gristmill"))
        .args(["db", "migrate", "--schema", schema])
        .args(["--database-url", database.url()])
        .output()
        .expect("gristmill runs")
}

#[track_caller]
fn migrated(database: &TestDatabase, schema: &str) {
    let output = migrate(database, schema);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
}

#[track_caller]
fn refused(database: &TestDatabase, reason: &str) {
    let output = migrate(database, "gristmill");
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{words}");
    assert!(words.contains(reason), "{words}");
    assert!(words.contains("hint: "), "{words}");
}

const STATE: &str = "
    SELECT max(xmin::text::bigint), obj_description('_sqlx_migrations'::regclass, 'pg_class')
    FROM _sqlx_migrations";

#[test]
fn migrating_twice_changes_nothing() {
    let database = TestDatabase::migrated();
    let before = database.query_rows(STATE);
    migrated(&database, "gristmill");
    assert_eq!(database.query_rows(STATE), before);
}

#[test]
fn every_tenant_has_a_schema_of_its_own() {
    let database = TestDatabase::empty();
    // `user` is a keyword of SQL, and a name like any other.
    for schema in ["tenant_1", "tenant_2", "user"] {
        migrated(&database, schema);
    }
    let tables = database.query_rows(
        "SELECT DISTINCT array_agg(relname::text ORDER BY relname)
        FROM pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text ~ 'tenant|user'
        GROUP BY relnamespace",
    );
    assert_eq!(tables.len(), 1, "the schemas are alike");
    assert_eq!(
        database.query_value("SELECT to_regclass('public._sqlx_migrations') IS NULL"),
        Some("t".to_owned())
    );
}

#[test]
fn processes_that_migrate_at_once_do_not_collide() {
    let database = TestDatabase::empty();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| migrated(&database, "gristmill"));
        }
    });
}

#[test]
fn a_history_that_is_not_ours_is_refused() {
    let database = TestDatabase::migrated();
    database.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'of tomorrow', TRUE, '', 0)",
    );
    refused(&database, "its migration 9999 is unknown to this gristmill");

    database.execute("DELETE FROM _sqlx_migrations WHERE version IN (1, 9999)");
    refused(&database, "migration 1 is not applied, but the later ");
}

#[test]
fn a_changed_migration_is_refused() {
    let database = TestDatabase::migrated();
    database.execute("UPDATE _sqlx_migrations SET checksum = '' WHERE version = 1");
    refused(&database, "migration 1 has changed since it was applied");
}

/// Makes a schema one of the numbering before the baseline: it had the same first table,
/// in a file of another text, and 102 migrations.
fn make_old(database: &TestDatabase) {
    database.execute(
        "UPDATE _sqlx_migrations
        SET checksum = decode(
            '0c5c994cbb1aaff1f4d710fc33fd0c3368f2659a3993e47e693b1fb3197e746589c58a047afd2a5019ce0677adc0b767',
            'hex'
        )
        WHERE version = 1;
        INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        SELECT version, 'of before', TRUE, '', 0
        FROM generate_series(1, 102) AS version
        ON CONFLICT DO NOTHING",
    );
}

#[test]
fn a_schema_from_before_the_baseline_is_refused() {
    let database = TestDatabase::migrated();
    make_old(&database);
    let ended = gristmill(["status"]).database(&database).ends_with(3);
    ended.stderr_is(
        "error: schema `gristmill` cannot be migrated: a gristmill from before the baseline of the migrations made it

hint: load the payloads of its archive into a new schema: `gristmill run PIPELINE ARCHIVE/gristmill/*/*.tar.gz --schema NEW`; \
or have `gristmill db migrate --set-aside` rename it `gristmill_set_aside` and make a new one in its place, and load them into that",
    );
}

/// What `make run` meets on a machine with an old local server: everything is there under
/// the old names.
#[test]
fn a_schema_that_is_set_aside_leaves_its_place_and_its_archive() {
    let site = Site::new();
    let database = &site.database;
    let payloads = site.write(&[Payload::usual(1)]);
    site.run(&payloads).succeeds();
    let before = database.query_rows(USAGE);
    make_old(database);
    site.run(&payloads).ends_with(3);

    let set_aside = || site.command(&["db", "migrate", "--set-aside"]);
    let renamed = "schema `gristmill` is called `gristmill_set_aside` from now on";
    let ended = set_aside().succeeds();
    assert!(ended.stderr.contains(renamed), "{ended}");
    let aside = USAGE.replace("FROM ", "FROM gristmill_set_aside.");
    assert_eq!(database.query_rows(&aside), before);
    assert!(database.query_rows(USAGE).is_empty());

    // The archive is the new schema's, and what is in it can be loaded.
    site.run(&site.archived()).succeeds();
    assert_eq!(database.query_rows(USAGE), before);
    site.is_in_order("a schema was set aside");

    // It happens once, and not by mistake once more.
    let ended = set_aside().succeeds();
    assert!(!ended.stderr.contains(renamed), "{ended}");
    site.run(&payloads).succeeds();
    make_old(database);
    let ended = set_aside().ends_with(3);
    let words =
        "could not set schema `gristmill` aside\n  schema \"gristmill_set_aside\" already exists";
    assert!(ended.stderr.contains(words), "{ended}");
}

const USAGE: &str = "
    SELECT namespace, node, sum(pod_usage_cpu_core_hours)
    FROM reporting_ocpusagelineitem_daily_summary
    GROUP BY namespace, node
    ORDER BY namespace, node";

const VIEWS: &str = "
    SELECT relname, pg_get_viewdef(pg_class.oid), col_description(pg_class.oid, attnum)
    FROM pg_class
    JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = 'gristmill'::regnamespace AND relkind = 'v' AND attname = 'processed'
    ORDER BY relname";

#[test]
fn views_come_back_as_they_are_now() {
    let database = TestDatabase::migrated();
    let before = database.query_rows(VIEWS);
    assert_eq!(before.len(), 6);
    let view = before[0][0].clone().unwrap();
    database.execute(&format!("DROP VIEW {view}"));
    migrated(&database, "gristmill");
    assert_eq!(database.query_rows(VIEWS), before);

    // As another version left it: with other columns.
    database.execute(&format!(
        "DROP VIEW {view};
        CREATE VIEW {view} AS SELECT 1 AS processed;
        COMMENT ON TABLE _sqlx_migrations IS 'an older digest'"
    ));
    migrated(&database, "gristmill");
    assert_eq!(database.query_rows(VIEWS), before);
}

/// The functions of the schema, each with the digest of its whole definition.
const FUNCTIONS: &str = "
    SELECT
        oid::regprocedure,
        CASE prokind
            WHEN 'a' THEN (SELECT md5(made::text) FROM pg_aggregate AS made WHERE made.aggfnoid = pg_proc.oid)
            ELSE md5(pg_get_functiondef(oid))
        END
    FROM pg_proc
    WHERE pronamespace = 'gristmill'::regnamespace
    ORDER BY oid::regprocedure::text";

#[test]
fn a_lost_function_comes_back() {
    let database = TestDatabase::migrated();
    let before = database.query_rows(FUNCTIONS);
    let signature = before[0][0].clone().unwrap();
    database.execute(&format!("DROP FUNCTION {signature}"));
    migrated(&database, "gristmill");
    assert_eq!(database.query_rows(FUNCTIONS), before);
}

#[test]
fn a_function_whose_signature_changed_is_replaced() {
    let database = TestDatabase::migrated();
    let before = database.query_rows(FUNCTIONS);
    let names = database.query_rows(
        "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'gristmill'::regnamespace",
    );
    let name = names[0][0].clone().unwrap();
    // As another version left it: once with other parameters, once with other results.
    for parameters in ["(an_old_parameter text)", ""] {
        let old = if parameters.is_empty() {
            let signature = before[0][0].clone().unwrap();
            format!("DROP FUNCTION {signature}; CREATE FUNCTION {signature}")
        } else {
            format!("CREATE FUNCTION {name} {parameters}")
        };
        database.execute(&format!(
            "{old} RETURNS point LANGUAGE sql AS $$ SELECT point(0, 0) $$;
            COMMENT ON TABLE _sqlx_migrations IS 'an older digest'"
        ));
        migrated(&database, "gristmill");
        assert_eq!(database.query_rows(FUNCTIONS), before);
    }
}
