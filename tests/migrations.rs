//! How a schema is brought up to date, through `gristmill db migrate`.

use std::process::{Command, Output};

use crate::support::server::TestDatabase;

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

/// The functions of the schema, each with the digest of its whole definition.
const FUNCTIONS: &str = "
    SELECT oid::regprocedure, md5(pg_get_functiondef(oid))
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
