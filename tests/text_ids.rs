//! The ids of names and label sets, which are stored once. They are made with a secret
//! of the schema, and are nothing that somebody from outside could make collide.

use std::thread;

use crate::local_server::wait_until;
use crate::support::command::gristmill;
use crate::support::payload::{Payload, Report};
use crate::support::scene::{Scene, check_quarantine, later};
use crate::support::server::TestDatabase;

/// Texts of one id, when it was the first eight bytes of their SHA-256.
const COLLIDING: [&str; 2] = ["p-ffe16840f2883d3b", "p-13bc47e101ca5792"];

/// The nodes of the pods that count, and their core-hours.
const NODES: &str = "
    SELECT node, trim_scale(sum(pod_usage_cpu_core_hours))
    FROM reporting_ocpusagelineitem_daily_summary
    WHERE data_source = 'Pod' AND namespace = 'app'
    GROUP BY node
    ORDER BY node";

fn patient() -> Scene {
    Scene::with_pipeline("[limits]\nrejected-rows = \"50 %\"")
}

/// Lets the id that a text will get be another's.
fn take(database: &TestDatabase, table: &str, text: &str, other: &str) {
    database.execute(&format!(
        "INSERT INTO gristmill_{table} SELECT text_id(secret, '{text}'), '{other}' FROM gristmill_secret"
    ));
}

#[test]
fn names_made_to_collide_are_two() {
    let scene = Scene::new();
    let report = (0..10).fold(Report::pods(), |report, hour| {
        let node = COLLIDING[hour as usize % 2];
        report.row(hour, &[("node", node)])
    });
    let ended = scene.load(&later(&report));
    assert_eq!(ended.code, Some(0), "{ended}");
    check_quarantine(&scene.database, &[]);
    let half = Some("2.5".to_string());
    let mut expected = COLLIDING.map(|node| vec![Some(node.to_string()), half.clone()]);
    expected.sort();
    assert_eq!(scene.database.query_rows(NODES), expected);
}

#[test]
fn a_name_whose_id_is_taken_costs_its_rows() {
    let scene = patient();
    take(&scene.database, "name", "unlucky", "somebody else");
    let report = Report::pods()
        .hours(0..4)
        .row(4, &[("node", "unlucky"), ("pod", "b")])
        .hours(4..6)
        .row(6, &[("namespace", "unlucky"), ("resource_id", "unlucky")])
        .hours(6..8);
    let ended = scene.load(&later(&report));
    assert_eq!(ended.code, Some(0), "{ended}");
    check_quarantine(
        &scene.database,
        &[
            "pods.csv|6|load|null|node|id-taken|`unlucky` cannot be stored: its id is that of another name|f|t|published",
            "pods.csv|9|load|null|namespace|id-taken|`unlucky` cannot be stored: its id is that of another name|f|t|published",
        ],
    );
    let expected = [["n1", "4"].map(|cell| Some(cell.to_string()))];
    assert_eq!(scene.database.query_rows(NODES), expected);

    // Nobody has lost the name: it counts as soon as it has an id.
    scene
        .database
        .execute("UPDATE gristmill_name SET name = 'unlucky' WHERE name = 'somebody else'");
    let better = Report::pods()
        .hours(0..9)
        .row(9, &[("node", "unlucky"), ("pod", "b")]);
    let payload = Payload::numbered(3)
        .manifest("date", "2026-01-13T00:00:00Z")
        .file("pods.csv", better.text());
    let ended = scene.load(&payload.tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
    let expected = [["n1", "4.5"], ["unlucky", "0.5"]];
    assert_eq!(
        scene.database.query_rows(NODES),
        expected.map(|row| row.map(|cell| Some(cell.to_string())))
    );
}

#[test]
fn a_label_set_whose_id_is_taken_costs_its_rows() {
    let scene = patient();
    take(
        &scene.database,
        "label_set",
        r#"{"vm_kubevirt_io_name":"unlucky"}"#,
        r#"{"vm_kubevirt_io_name":"somebody else"}"#,
    );
    let labels = [("pod_labels", "label_vm_kubevirt_io_name:unlucky")];
    let report = Report::pods().hours(0..4).row(4, &labels).hours(5..8);
    let ended = scene.load(&later(&report));
    assert_eq!(ended.code, Some(0), "{ended}");
    check_quarantine(
        &scene.database,
        &[
            "pods.csv|6|load|null|pod_labels|id-taken|`{\\\"vm_kubevirt_io_name\\\":\\\"unlucky\\\"}` \
            cannot be stored: its id is that of another label set|f|t|published",
        ],
    );
    scene.has_usage("3.5");
}

#[test]
fn every_schema_has_a_secret_of_its_own_that_nobody_else_reads() {
    let database = TestDatabase::empty();
    database.execute(
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor",
    );
    for schema in ["one", "two"] {
        gristmill(["db", "migrate", "--create-schema", "--schema", schema])
            .env("DATABASE_URL", database.url())
            .succeeds();
    }
    let found = database.query_rows(
        "SELECT count(*), count(DISTINCT secret), min(length(secret)), max(length(secret))
        FROM (SELECT secret FROM one.gristmill_secret UNION ALL SELECT secret FROM two.gristmill_secret) AS secrets",
    );
    assert_eq!(
        found,
        [["2", "2", "32", "32"].map(|cell| Some(cell.to_string()))]
    );
    let privileges = database.query_rows(
        "SELECT has_table_privilege(role, 'one.' || relation, 'SELECT')
        FROM (VALUES ('public'), ('pg_monitor')) AS roles (role)
        CROSS JOIN (VALUES ('gristmill_secret'), ('gristmill_name')) AS relations (relation)
        ORDER BY relation, role",
    );
    let can_read: Vec<Option<String>> = privileges.into_iter().flatten().collect();
    let expected = ["t", "t", "f", "f"].map(|cell| Some(cell.to_string()));
    assert_eq!(
        can_read, expected,
        "the name table shows that the grant works"
    );
}

#[test]
fn a_lost_secret_is_told() {
    let scene = Scene::new();
    scene.database.execute("DELETE FROM gristmill_secret");
    let ended = scene.load(&later(&Report::pods().row(9, &[("node", "new")])));
    assert_eq!(ended.code, Some(1), "{ended}");
    let words =
        "table `gristmill_secret` has lost its row, without which no text gets the id that it had";
    assert!(ended.stderr.contains(words), "{ended}");
}

/// A statement does not see what another load stores beside it.
#[test]
fn a_text_that_another_load_stores_meanwhile_is_found() {
    let scene = Scene::new();
    let another = scene.database.session();
    another.execute(
        "BEGIN;
        INSERT INTO gristmill.gristmill_name
        SELECT gristmill.text_id(secret, 'new'), 'new' FROM gristmill.gristmill_secret",
    );
    let report = Report::pods().hours(0..9).row(9, &[("node", "new")]);
    let ended = thread::scope(|scope| {
        let load = scope.spawn(|| scene.load(&later(&report)));
        wait_until("the load waits for the other one", || {
            let waiting = scene.database.query_value(
                "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'",
            );
            waiting.as_deref() == Some("1") || load.is_finished()
        });
        another.execute("COMMIT");
        load.join().expect("the load")
    });
    assert_eq!(ended.code, Some(0), "{ended}");
    check_quarantine(&scene.database, &[]);
    let expected = [["n1", "4.5"], ["new", "0.5"]];
    assert_eq!(
        scene.database.query_rows(NODES),
        expected.map(|row| row.map(|cell| Some(cell.to_string())))
    );
}
