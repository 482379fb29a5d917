//! Tenants: the name of a schema, which is the one word from outside that stands in SQL,
//! and whether there is one of it.

use crate::sql::statements;
use crate::support::command::{Gristmill, gristmill, run};
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
        .arguments(["--create-schema", "--schema", name])
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
            .arguments(["--create-schema", "--schema", schema])
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
            let is_of_one = key.contains("current_schema()") || key.contains("|| scratch");
            assert!(is_of_one, "sql/{name}: {key}");
        }
        // To let go of all that a session has needs no key.
        let sql = sql.replace("pg_advisory_unlock_all()", "");
        let locks = sql.contains("pg_advisory_") || sql.contains("pg_try_advisory_");
        let keyed = sql.contains("hashtextextended(")
            || sql.contains("source_lock_key(")
            || sql.contains("scratch_lock_key(")
            || sql.contains("source_key");
        assert!(!locks || keyed, "sql/{name} locks by another key");
    }
    assert!(asking >= 5, "{asking} keys");
}

/// How many schemas the database has, but for those of Postgres.
fn schemas(database: &TestDatabase) -> Option<String> {
    database.query_value(
        "SELECT string_agg(nspname, ' ' ORDER BY nspname)
        FROM pg_namespace
        WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'public')",
    )
}

/// A name that was mistyped makes no tenant, whichever command has it.
#[test]
fn a_schema_that_is_not_there_is_said_with_those_that_are() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::usual(1).write(folder.path(), "good.tar.gz");
    let refuses = |program: Gristmill, hint: &str| {
        let ended = program
            .argument("--schema=gristmil")
            .database(&database)
            .ends_with(3);
        let words = "error: there is no schema `gristmil` in `postgresql:";
        assert!(ended.stderr.contains(words), "{ended}");
        assert!(
            ended.stderr.ends_with(&format!("hint: {hint}\n")),
            "{ended}"
        );
        assert_eq!(schemas(&database).as_deref(), Some("gristmill"), "{ended}");
    };
    let others = "the one there is `gristmill`; `gristmill db migrate --schema gristmil --create-schema` makes it";
    for arguments in [
        &["status"][..],
        &["sources", "list"],
        &["sources", "add", "--cluster-id", "c"],
        &["sources", "rename", "--cluster-id", "c", "--alias", "d"],
        &["tags", "list"],
        &["tags", "enable", "app"],
        &["quarantine", "list"],
        &["quarantine", "show", "1"],
        &["summarize", "--source", "c", "--from", "2026-01-10"],
        &["clean"],
    ] {
        refuses(gristmill(arguments), others);
    }
    let fills = "the one there is `gristmill`; `--create-schema` makes it";
    refuses(gristmill(["db", "migrate"]), fills);
    let inbox = folder.path().join("inbox");
    std::fs::create_dir(&inbox).expect("an inbox");
    let pipeline = ["pipelines/ocp.toml"];
    for arguments in [
        &["run"][..],
        &["watch", "--once"],
        &["replay", "--source", "c", "--from", "2026-01-10"],
    ] {
        let program = gristmill(arguments).arguments(pipeline).with_stages();
        let program = match arguments[0] {
            "run" => program.argument(&payload),
            "watch" => program.argument(&inbox),
            _ => program,
        };
        refuses(program, fills);
    }

    // With the word it is made, and its own from then on.
    let load = || {
        run(
            &database,
            "pipelines/ocp.toml",
            std::slice::from_ref(&payload),
        )
        .argument("--schema=gristmil")
    };
    load().argument("--create-schema").succeeds();
    load().succeeds();
    assert_eq!(schemas(&database).as_deref(), Some("gristmil gristmill"));
}

/// Where an administrator made the schema, for a role that may not make one.
#[test]
fn a_schema_that_is_empty_is_filled_by_those_that_fill() {
    let database = TestDatabase::empty();
    database.execute("CREATE SCHEMA tenant; CREATE SCHEMA theirs; CREATE TABLE theirs.orders ()");
    let status = |schema: &str| {
        gristmill(["status", "--schema", schema])
            .database(&database)
            .ends_with(3)
    };
    let ended = status("tenant");
    let words = "error: schema `tenant` of `postgresql:";
    assert!(ended.stderr.contains(words), "{ended}");
    assert!(
        ended.stderr.contains("` has no tables of gristmill\n"),
        "{ended}"
    );
    let migrate =
        |schema: &str| gristmill(["db", "migrate", "--schema", schema]).database(&database);
    migrate("tenant").succeeds();
    // With somebody else's tables it may well be another one that was meant.
    let ended = migrate("theirs").ends_with(3);
    assert!(
        ended.stderr.contains("has no tables of gristmill"),
        "{ended}"
    );
    assert!(
        ended.stderr.contains("`--create-schema` makes it"),
        "{ended}"
    );
    migrate("theirs").argument("--create-schema").succeeds();
}

/// What only reads leaves a schema as it is, and says so where that will not do.
#[test]
fn what_only_reads_neither_migrates_nor_installs() {
    let database = TestDatabase::migrated();
    let reading = [
        &["status"][..],
        &["sources", "list"],
        &["quarantine", "list"],
        &["tags", "list"],
        &["tenants", "list"],
    ];
    let read =
        |arguments: &[&str], code: i32| gristmill(arguments).database(&database).ends_with(code);
    let functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'gristmill'::regnamespace";
    database.execute("DROP FUNCTION ensure_current_months()");
    let before = database.query_value(functions);
    for arguments in reading {
        read(arguments, 0);
    }
    assert_eq!(database.query_value(functions), before);

    // As a schema that lacks the newest migration.
    database.execute(
        "DELETE FROM _sqlx_migrations
        WHERE version = (SELECT max(version) FROM _sqlx_migrations)",
    );
    let migrations = "SELECT count(*) FROM _sqlx_migrations";
    let before = database.query_value(migrations);
    for arguments in &reading[..4] {
        read(arguments, 3).stderr_is(
            "error: an older gristmill made schema `gristmill`\n\n\
            hint: this command only reads; `gristmill db migrate` brings the schema up to date",
        );
    }
    let listed = read(&["tenants", "list", "--json"], 0).json();
    assert_eq!(listed[0]["state"], "of an older gristmill");
    assert_eq!(database.query_value(migrations), before);
    assert_eq!(schemas(&database).as_deref(), Some("gristmill"));
}

#[test]
fn tenants_are_listed_with_what_they_have() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::usual(1).write(folder.path(), "good.tar.gz");
    run(&database, "pipelines/ocp.toml", &[payload])
        .arguments(["--create-schema", "--schema", "acme"])
        .succeeds();
    database.execute(
        "CREATE SCHEMA other;
        CREATE TABLE other.gristmill_source ();
        CREATE TABLE other._sqlx_migrations (LIKE acme._sqlx_migrations);
        INSERT INTO other._sqlx_migrations SELECT * FROM acme._sqlx_migrations;
        INSERT INTO other._sqlx_migrations VALUES (9999, 'of tomorrow', now(), true, '', 0)",
    );
    let listed = gristmill(["tenants", "list", "--json"])
        .database(&database)
        .succeeds();
    let mut listed = listed.json();
    let reason = listed[2]["reason"].take();
    assert_eq!(
        listed,
        serde_json::json!([
            {
                "schema": "acme",
                "state": "up to date",
                "reason": null,
                "sources": 1,
                "first_day": "2026-01-10",
                "last_day": "2026-01-10"
            },
            {
                "schema": "gristmill",
                "state": "up to date",
                "reason": null,
                "sources": 0,
                "first_day": null,
                "last_day": null
            },
            {
                "schema": "other",
                "state": "refused",
                "reason": null,
                "sources": null,
                "first_day": null,
                "last_day": null
            }
        ])
    );
    assert_eq!(reason, "its migration 9999 is unknown to this gristmill");
    let table = gristmill(["tenants", "list"])
        .database(&database)
        .succeeds();
    assert!(table.stdout.contains("acme"), "{table}");
    assert!(table.stdout.contains("up to date"), "{table}");
}
