//! The name of a tenant's schema: the one word from outside that stands in SQL.

use crate::sql::statements;
use crate::support::command::{gristmill, run};
use crate::support::payload::Payload;
use crate::support::server::TestDatabase;

/// The names that no schema may have, and why.
const REFUSED: [(&str, &str); 22] = [
    ("", "it is empty"),
    (" ", "must start with"),
    ("1", "must start with"),
    ("Tenant", "must start with"),
    ("$tenant", "must start with"),
    ("\"", "must start with"),
    ("\u{1b}[2J", "must start with"),
    ("ç", "must start with"),
    (
        "a\"; DROP SCHEMA public CASCADE; --",
        "lower-case letters, digits",
    ),
    ("a'; SELECT pg_sleep(9); --", "lower-case letters, digits"),
    ("a\"\"b", "lower-case letters, digits"),
    ("a,public", "lower-case letters, digits"),
    ("a.b", "lower-case letters, digits"),
    ("a/../b", "lower-case letters, digits"),
    ("a b", "lower-case letters, digits"),
    ("a\nb", "lower-case letters, digits"),
    ("aB", "lower-case letters, digits"),
    ("tenant\u{301}", "lower-case letters, digits"),
    // It looks like a letter.
    ("tenаnt", "lower-case letters, digits"),
    ("pg_catalog", "Postgres keeps it for itself"),
    ("pg_tenant", "Postgres keeps it for itself"),
    ("information_schema", "Postgres keeps it for itself"),
];

#[test]
fn a_schema_is_called_by_a_plain_word_or_not_at_all() {
    let long = "a".repeat(64);
    let too_long = (long.as_str(), "it is longer than 63 bytes");
    for (name, reason) in REFUSED.into_iter().chain([too_long]) {
        let ways = [
            gristmill(["db", "migrate", "--schema", name]),
            gristmill(["db", "migrate"]).env("GRISTMILL_SCHEMA", name),
            gristmill(["run", "pipelines/ocp.toml", "x.tar.gz", "--schema", name]),
            gristmill(["status", "--schema", name]),
        ];
        for way in ways {
            // Nobody listens at the database that it would ask.
            let ended = way.ends_with(2);
            assert!(
                ended.stderr.contains("cannot name a schema") && ended.stderr.contains(reason),
                "{name:?}\n{ended}"
            );
        }
    }
}

/// Keywords and the longest names are quoted, and cut nowhere.
#[test]
fn a_schema_may_be_called_by_a_keyword() {
    let database = TestDatabase::empty();
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::usual(1).write(folder.path(), "good.tar.gz");
    let longest = "a".repeat(63);
    for name in ["select", "user", "_", longest.as_str()] {
        run(
            &database,
            "pipelines/ocp.toml",
            std::slice::from_ref(&payload),
        )
        .arguments(["--schema", name])
        .succeeds();
        let rows = database.query_value(&format!(
            "SELECT count(*) FROM \"{name}\".reporting_ocpusagelineitem_daily_summary"
        ));
        assert_eq!(rows.as_deref(), Some("2"), "{name}");
    }
    let schemas = "
        SELECT count(*)
        FROM pg_namespace
        WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'public')";
    assert_eq!(database.query_value(schemas).as_deref(), Some("4"));
}

/// Locks are those of a database: of one cluster in two schemas no run waits for another.
#[test]
fn tenants_do_not_wait_for_each_other() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let payloads = [Payload::usual(1).write(folder.path(), "good.tar.gz")];
    let load = |schema: &str| {
        run(&database, "pipelines/ocp.toml", &payloads)
            .arguments(["--schema", schema])
            .env("GRISTMILL_DATA", folder.path())
    };
    load("gristmill").succeeds();
    load("other").succeeds();
    let one = database.session();
    one.execute("SELECT pg_advisory_lock(source_lock_key(source_uuid)) FROM gristmill_source");
    // The same again is found out behind the lock.
    let ended = load("other").succeeds();
    assert!(!ended.stderr.contains("waiting for"), "{ended}");
    // `clean` of the other one has its sources, and leaves those of this one alone.
    let generations = |schema: &str| {
        let count = database.query_value(&format!(
            "SELECT count(*) FROM {schema}.gristmill_generation WHERE state = 'complete'"
        ));
        count.expect("a count")
    };
    database.execute(
        "UPDATE gristmill.gristmill_generation SET started_at = '2026-01-01Z';
        UPDATE other.gristmill_generation SET started_at = '2026-01-01Z'",
    );
    for schema in ["gristmill", "other"] {
        gristmill(["clean", "--retention-days", "0", "--schema", schema])
            .env("GRISTMILL_DATA", folder.path())
            .database(&database)
            .succeeds();
    }
    assert_eq!(generations("gristmill"), "1");
    assert_eq!(generations("other"), "0");
}

/// A lock that lacks the schema would be everybody's.
#[test]
fn every_lock_is_of_a_schema() {
    let mut asking = 0;
    for (name, sql) in statements() {
        for call in sql.split("hashtextextended(").skip(1) {
            let key = call.split(", 0)").next().unwrap_or_default();
            asking += 1;
            assert!(key.contains("current_schema()"), "sql/{name}: {key}");
        }
        let locks = sql.contains("pg_advisory_") || sql.contains("pg_try_advisory_");
        let keyed = sql.contains("hashtextextended(")
            || sql.contains("source_lock_key(")
            || sql.contains("source_key");
        assert!(!locks || keyed, "sql/{name} locks by another key");
    }
    assert!(asking >= 5, "{asking} keys");
}
