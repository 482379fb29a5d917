//! Poolers between us and the server: each session is as it was asked for, or nothing
//! is done.

use crate::support::command::{gristmill, run};
use crate::support::payload::{CLUSTER, Payload};
use crate::support::pooler::Pooler;
use crate::support::server::TestDatabase;
use crate::support::torture;

/// Drops what a startup packet asks for, as is often advised.
const IGNORES: &str = "ignore_startup_parameters = extra_float_digits,options";

/// The tables that are in no schema of a tenant.
#[track_caller]
fn tables_in_public(database: &TestDatabase) -> Option<String> {
    database.query_value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
}

#[test]
fn a_pooler_of_sessions_that_drops_options_keeps_tenants_apart() {
    let database = TestDatabase::empty();
    let pooler = Pooler::start(&database, &format!("pool_mode = session\n{IGNORES}"));
    let pooled = pooler.database(&database);
    for schema in ["org1", "org2"] {
        gristmill(["db", "migrate", "--create-schema", "--schema", schema])
            .database(&pooled)
            .succeeds();
    }
    gristmill([
        "sources",
        "add",
        "--cluster-id",
        "theirs",
        "--schema",
        "org1",
    ])
    .database(&pooled)
    .succeeds();
    let listed = gristmill(["sources", "list", "--json", "--schema", "org2"])
        .database(&pooled)
        .succeeds();
    assert_eq!(listed.json(), serde_json::json!([]));
    assert_eq!(tables_in_public(&database).as_deref(), Some("0"));
    let theirs = database.query_value("SELECT cluster_id FROM org1.gristmill_source");
    assert_eq!(theirs.as_deref(), Some("theirs"));
}

/// Without a word about startup parameters: then it refuses those that it does not know.
#[test]
fn payloads_load_through_a_pooler_of_sessions_as_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::usual(1).write(folder.path(), "p.tar.gz");
    let database = TestDatabase::migrated();
    let pooler = Pooler::start(&database, "pool_mode = session");
    run(
        &pooler.database(&database),
        "pipelines/ocp.toml",
        std::slice::from_ref(&payload),
    )
    .succeeds();
    let without = TestDatabase::migrated();
    run(&without, "pipelines/ocp.toml", &[payload]).succeeds();
    let rows = |database: &TestDatabase| {
        database.query_rows(
            "SELECT namespace, node, pod_usage_cpu_core_hours, cluster_capacity_cpu_core_hours
            FROM reporting_ocpusagelineitem_daily_summary ORDER BY 1, 2",
        )
    };
    assert!(!rows(&without).is_empty());
    assert_eq!(rows(&database), rows(&without));
}

#[test]
fn a_pooler_of_transactions_is_refused_and_nothing_is_left_in_its_sessions() {
    for settings in ["", "server_round_robin = 1", "default_pool_size = 1"] {
        let database = TestDatabase::empty();
        let settings = format!("pool_mode = transaction\n{IGNORES}\n{settings}");
        let pooler = Pooler::start(&database, &settings);
        let pooled = pooler.database(&database);
        // Somebody else, who is given the same session of the server as we are.
        let path =
            "SELECT current_setting('search_path') || ' ' || current_setting('lock_timeout')";
        let before = pooled.query_value(path);
        let ended = gristmill(["db", "migrate"]).database(&pooled).ends_with(3);
        let words = "cannot be used: a pooler in front of it gives us another session with each transaction";
        assert!(ended.stderr.contains(words), "{ended}");
        assert!(ended.stderr.contains("`pool_mode = session`"), "{ended}");
        assert_eq!(pooled.query_value(path), before, "{settings}");
        let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'gristmill'";
        assert_eq!(database.query_value(schemas).as_deref(), Some("0"));
    }
}

/// Where nothing is taken back between two clients.
#[test]
fn what_others_left_in_a_session_does_not_reach_ours() {
    let database = TestDatabase::migrated();
    let settings = format!("pool_mode = session\nserver_reset_query =\n{IGNORES}");
    let pooler = Pooler::start(&database, &settings);
    let pooled = pooler.database(&database);
    let seen = "SELECT count(*) FROM pg_locks AS lock JOIN pg_database AS database ON database.oid = lock.database
        WHERE lock.locktype = 'advisory' AND database.datname = current_database()";
    pooled.execute(
        "SET search_path = public;
        SET TimeZone = 'Asia/Kolkata';
        SET DateStyle = 'SQL, DMY';
        SET ROLE pg_monitor;
        SET default_transaction_read_only = on;
        CREATE TEMPORARY TABLE gristmill_source (nothing text);
        SELECT pg_advisory_lock(7);
        PREPARE sqlx_s_1 AS SELECT 1;
        PREPARE sqlx_s_2 AS SELECT 2",
    );
    assert_eq!(database.query_value(seen).as_deref(), Some("1"));
    gristmill(["sources", "add", "--cluster-id", CLUSTER])
        .database(&pooled)
        .succeeds();
    assert_eq!(database.query_value(seen).as_deref(), Some("0"));
    let known = database.query_value("SELECT cluster_id FROM gristmill_source");
    assert_eq!(known.as_deref(), Some(CLUSTER));
}

/// It waits for as long as it is made to; under torture alone.
#[test]
fn a_pooler_with_too_few_sessions_is_said_with_the_number() {
    let settings = "pool_mode = session\ndefault_pool_size = ";
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::usual(1).write(folder.path(), "p.tar.gz");
    let load = |sessions: u32| {
        let database = TestDatabase::migrated();
        let pooler = Pooler::start(&database, &format!("{settings}{sessions}"));
        run(
            &pooler.database(&database),
            "pipelines/ocp.toml",
            std::slice::from_ref(&payload),
        )
        .arguments(["--connections", "4"])
        .ends()
    };
    let ended = load(4);
    assert_eq!(ended.code, Some(0), "{ended}");
    if torture::is_on() {
        let ended = load(1);
        assert_eq!(ended.code, Some(3), "{ended}");
        assert!(ended.stderr.contains("may have 4 connections"), "{ended}");
        assert!(
            ended.stderr.contains("2 are the least that it needs"),
            "{ended}"
        );
    }
}
