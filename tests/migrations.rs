//! How a schema is brought up to date, through `gristmill db migrate`.

use std::process::{Command, Output};

use crate::support::command::gristmill;
use crate::support::payload::Payload;
use crate::support::server::TestDatabase;
use crate::support::site::Site;

fn migrate(database: &TestDatabase, schema: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gristmill"))
        .args(["db", "migrate", "--create-schema", "--schema", schema])
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

/// Another product may have tables of the same names, since ours are those that its
/// consumers know.
#[test]
fn tables_of_another_product_are_found_before_anything_is_made() {
    let database = TestDatabase::empty();
    database.execute(
        "CREATE SCHEMA gristmill;
        CREATE TABLE gristmill.reporting_ocp_cost_summary_p (id integer);
        CREATE VIEW gristmill.reporting_ocp_nodes AS SELECT 1 AS id;
        CREATE FUNCTION gristmill.held_days() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    );
    let things = "
        SELECT array_agg(relname::text ORDER BY relname)
        FROM pg_class
        WHERE relnamespace = 'gristmill'::regnamespace";
    let before = database.query_rows(things);
    for arguments in [
        &["db", "migrate"][..],
        &["db", "migrate", "--create-schema"],
    ] {
        gristmill(arguments)
            .database(&database)
            .ends_with(3)
            .stderr_is(
                "error: schema `gristmill` has things of another product that are called as gristmill's: \
                `held_days`, `reporting_ocp_cost_summary_p` and `reporting_ocp_nodes`\n\n\
                hint: nothing was changed; give gristmill a schema of its own: `--schema NAME --create-schema`",
            );
        assert_eq!(database.query_rows(things), before);
    }
}

#[test]
fn migrations_of_another_program_are_not_taken_for_ours() {
    let database = TestDatabase::migrated();
    database.execute(
        "UPDATE _sqlx_migrations SET checksum = '';
        COMMENT ON TABLE _sqlx_migrations IS NULL",
    );
    refused(&database, "its migrations are of another program");
    let ended = gristmill(["status"]).database(&database).ends_with(3);
    assert!(
        ended.stderr.contains("has no tables of gristmill\n"),
        "{ended}"
    );
}

/// What fails in the middle leaves nothing behind: not a table, not the schema.
#[test]
fn migrations_happen_together_or_not_at_all() {
    let database = TestDatabase::empty();
    // The last one of them cannot be done.
    database.execute(
        "CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (
                SELECT
                FROM pg_event_trigger_ddl_commands()
                WHERE object_identity = 'gristmill.reporting_ocptags_values'
            ) THEN
                RAISE EXCEPTION 'no more tables';
            END IF;
        END
        $$;
        CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
            EXECUTE FUNCTION public.refuse()",
    );
    let ended = gristmill(["db", "migrate"])
        .database(&database)
        .ends_with(3);
    assert!(ended.stderr.contains("no more tables"), "{ended}");
    assert!(
        ended
            .stderr
            .contains("_create_reporting_ocptags_values.sql` failed"),
        "{ended}"
    );
    let schema = "SELECT to_regnamespace('gristmill') IS NULL";
    assert_eq!(database.query_value(schema).as_deref(), Some("t"));
    database.execute("DROP EVENT TRIGGER refuse");
    gristmill(["db", "migrate"]).database(&database).succeeds();
}

/// An older program would put its own functions in the place of a newer one's.
#[test]
fn functions_of_a_newer_program_are_left_alone() {
    let database = TestDatabase::migrated();
    let mark = "SELECT obj_description('_sqlx_migrations'::regclass, 'pg_class')";
    database.execute(
        "COMMENT ON TABLE _sqlx_migrations IS 'gristmill functions 9999 sha256:of-tomorrow'",
    );
    for arguments in [&["db", "migrate"][..], &["status"], &["clean"]] {
        let ended = gristmill(arguments).database(&database).ends_with(3);
        let words = "schema `gristmill` cannot be migrated: its functions are of version 9999, and those of this gristmill of version ";
        assert!(ended.stderr.contains(words), "{ended}");
        assert!(
            ended
                .stderr
                .contains("hint: a newer gristmill was here; use that one"),
            "{ended}"
        );
    }
    assert_eq!(
        database.query_value(mark).as_deref(),
        Some("gristmill functions 9999 sha256:of-tomorrow")
    );
    // Those of an older one are replaced, and of one that said no version.
    for older in [
        "gristmill functions 0 sha256:ab",
        "gristmill functions sha256:ab",
    ] {
        database.execute(&format!("COMMENT ON TABLE _sqlx_migrations IS '{older}'"));
        migrated(&database, "gristmill");
        assert!(database.query_value(mark).is_some_and(|mark| mark != older));
    }
}

#[test]
fn a_migration_that_takes_time_says_what_it_is_at() {
    let database = TestDatabase::empty();
    database.execute(
        "CREATE FUNCTION public.wait() RETURNS event_trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (
                SELECT
                FROM pg_event_trigger_ddl_commands()
                WHERE object_identity = 'gristmill.gristmill_secret'
            ) THEN
                PERFORM pg_advisory_xact_lock(7);
            END IF;
        END
        $$;
        CREATE EVENT TRIGGER wait ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
            EXECUTE FUNCTION public.wait()",
    );
    let other = database.session();
    other.execute("SELECT pg_advisory_lock(7)");
    let migrating = gristmill(["db", "migrate"]).database(&database).begins();
    std::thread::sleep(std::time::Duration::from_secs(8));
    other.execute("SELECT pg_advisory_unlock(7)");
    let ended = migrating.ends();
    assert_eq!(ended.code, Some(0), "{ended}");
    let waits =
        "_create_gristmill_secret.sql`: at work for 5 s, waiting for another session at work on ";
    assert!(ended.stderr.contains(waits), "{ended}");
    assert!(ended.stderr.contains("migration 33 of "), "{ended}");
}

/// Of a schema that has something in it each is named; of a new one nobody wants to hear
/// each table.
#[test]
fn the_migrations_of_an_upgrade_are_named() {
    let database = TestDatabase::empty();
    let ended = gristmill(["db", "migrate"]).database(&database).succeeds();
    assert!(!ended.stderr.contains("migration 1 of "), "{ended}");
    let newest = database.query_rows(
        "DELETE FROM _sqlx_migrations
        WHERE version = (SELECT max(version) FROM _sqlx_migrations)
        RETURNING lpad(version::text, 4, '0') || '_' || replace(description, ' ', '_')",
    );
    let newest = newest[0][0].as_deref().expect("a name");
    // It may fail, since all that it makes is there.
    let ended = gristmill(["db", "migrate"]).database(&database).ends();
    let named = format!("migration 1 of 1, `migrations/{newest}.sql`\n");
    assert!(ended.stderr.contains(&named), "{ended}");
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

hint: load the payloads of its archive into a new schema: `gristmill run PIPELINE ARCHIVE/gristmill/*/*.tar.gz --schema NEW --create-schema`; \
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
