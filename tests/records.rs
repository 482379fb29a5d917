//! Records of payloads that are past retention: what goes by `gristmill clean`, what
//! stays, and who says so.

use serde_json::{Value, json};

use crate::support::command::{Gristmill, file, gristmill, run};
use crate::support::payload::{Payload, write};
use crate::support::server::TestDatabase;

/// Beside the usual payload, which holds a day, is staged and archived: manifests that
/// hold nothing, each with a file, a run, its account, and a row in quarantine, of so
/// many days ago.
const OLD: &str = "
    INSERT INTO reporting_common_costusagereportmanifest (
        assembly_id, provider_id, billing_period_start_datetime, num_total_files, creation_datetime
    )
    SELECT 'old-' || days, source_uuid, '2026-01-01', 1, now() - days * interval '1 day'
    FROM gristmill_source
    CROSS JOIN unnest(ARRAY[10, 50, 95, 395, 405]) AS days
    ORDER BY days;
    INSERT INTO reporting_common_costusagereportstatus (manifest_id, report_name)
    SELECT id, 'pods.csv' FROM reporting_common_costusagereportmanifest WHERE assembly_id LIKE 'old-%';
    INSERT INTO gristmill_run (pipeline, payload, manifest_id, state, started_at)
    SELECT 'ocp', assembly_id, id, 'failed', creation_datetime
    FROM reporting_common_costusagereportmanifest
    WHERE assembly_id LIKE 'old-%'
    ORDER BY id;
    INSERT INTO gristmill_row_account (
        run_id, file, position, stage, rows_in, rows_repeated, rows_out, rows_filtered, rows_rejected
    )
    SELECT id, 'pods.csv', 0, 'csv-parse', 1, 0, 0, 0, 1 FROM gristmill_run WHERE payload LIKE 'old-%';
    INSERT INTO gristmill_quarantine (
        run_id, report, file, line, stage, component_digest, code, message, raw, quarantined_at, state, reason
    )
    SELECT
        id, 'pod-usage', 'pods.csv', number, 'csv-parse', '', 'odd', 'is odd', 'somebody',
        started_at, new_state, 'none'
    FROM gristmill_run
    CROSS JOIN unnest(ARRAY['open', 'discarded']) WITH ORDINALITY AS states (new_state, number)
    WHERE payload LIKE 'old-%'";

fn database() -> TestDatabase {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let path = Payload::usual(1).write(folder.path(), "p.tar.gz");
    run(&database, "pipelines/ocp.toml", &[path])
        .env("GRISTMILL_DATA", folder.path())
        .succeeds();
    // However old it is.
    database.execute(
        "UPDATE reporting_common_costusagereportmanifest
        SET creation_datetime = '2001-01-01', completed_datetime = '2001-01-01';
        UPDATE gristmill_run SET started_at = '2001-01-01'",
    );
    database.execute(OLD);
    database
}

fn clean(database: &TestDatabase, arguments: &[&str]) -> Gristmill {
    gristmill(["clean", "--json"])
        .arguments(arguments)
        .database(database)
}

#[track_caller]
fn cleaned(database: &TestDatabase, arguments: &[&str]) -> Value {
    clean(database, arguments).succeeds().json()["records"].clone()
}

/// The rest of the old ones, and whether the others are all there.
#[track_caller]
fn left(database: &TestDatabase) -> Vec<String> {
    let rows = database.query_rows(
        "SELECT 'manifests', string_agg(assembly_id, ' ' ORDER BY id)
        FROM reporting_common_costusagereportmanifest WHERE assembly_id LIKE 'old-%'
        UNION ALL
        SELECT 'statuses', count(*)::text
        FROM reporting_common_costusagereportstatus WHERE report_name = 'pods.csv' AND generation IS NULL
        UNION ALL
        SELECT 'runs', string_agg(payload, ' ' ORDER BY id) FROM gristmill_run WHERE payload LIKE 'old-%'
        UNION ALL
        SELECT 'accounts', string_agg(DISTINCT payload, ' ')
        FROM gristmill_row_account JOIN gristmill_run AS run ON run.id = run_id WHERE payload LIKE 'old-%'
        UNION ALL
        SELECT 'quarantine', string_agg(payload || ' ' || quarantine.state, ' ' ORDER BY run.id, quarantine.state DESC)
        FROM gristmill_quarantine AS quarantine JOIN gristmill_run AS run ON run.id = run_id
        UNION ALL
        SELECT 'others', concat_ws(
            ' ',
            (SELECT count(*) FROM gristmill_run WHERE payload = 'p.tar.gz'),
            (SELECT count(*) FROM reporting_common_costusagereportmanifest WHERE assembly_id NOT LIKE 'old-%'),
            (SELECT count(*) > 0 FROM reporting_common_costusagereportstatus WHERE generation IS NOT NULL)
        )",
    );
    rows.into_iter()
        .map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(": "))
        .collect()
}

const UNTOUCHED: [&str; 6] = [
    "manifests: old-10 old-50 old-95 old-395 old-405",
    "statuses: 5",
    "runs: old-10 old-50 old-95 old-395 old-405",
    "accounts: old-10 old-395 old-405 old-50 old-95",
    "quarantine: old-10 open old-10 discarded old-50 open old-50 discarded \
    old-95 open old-95 discarded old-395 open old-395 discarded old-405 open old-405 discarded",
    "others: 1 1 t",
];

#[test]
fn records_go_by_the_days_that_are_said_and_a_dry_run_takes_none() {
    let database = database();
    // Row accounts of the usual payload go too, and its run and manifest are needed.
    let by_default = json!({
        "quarantined_rows": 6,
        "row_accounts": 4,
        "runs": 1,
        "manifests": 1,
        "rows_of_dead_runs": 0,
    });
    assert_eq!(left(&database), UNTOUCHED);
    assert_eq!(cleaned(&database, &["--dry-run"]), by_default);
    assert_eq!(left(&database), UNTOUCHED);

    assert_eq!(cleaned(&database, &[]), by_default);
    assert_eq!(
        left(&database),
        [
            "manifests: old-10 old-50 old-95 old-395",
            "statuses: 4",
            "runs: old-10 old-50 old-95 old-395",
            "accounts: old-10 old-50",
            "quarantine: old-10 open old-10 discarded old-50 open old-50 discarded",
            "others: 1 1 t",
        ]
    );
    assert_eq!(
        cleaned(&database, &[]),
        json!({
            "quarantined_rows": 0,
            "row_accounts": 0,
            "runs": 0,
            "manifests": 0,
            "rows_of_dead_runs": 0,
        })
    );
    // A row in quarantine keeps its run and its manifest.
    let days = ["--runs-days", "1", "--manifests-days", "1"];
    assert_eq!(cleaned(&database, &days)["runs"], 2);
    assert!(left(&database).contains(&"runs: old-10 old-50".to_string()));
    assert!(left(&database).contains(&"manifests: old-10 old-50".to_string()));
    let all = [
        "--quarantine-days",
        "1",
        "--runs-days",
        "1",
        "--manifests-days",
        "1",
    ];
    assert_eq!(
        cleaned(&database, &[&all[..], &["--dry-run"]].concat())["manifests"],
        2
    );
    assert_eq!(cleaned(&database, &all)["manifests"], 2);
    assert_eq!(
        left(&database),
        [
            "manifests",
            "statuses: 0",
            "runs",
            "accounts",
            "quarantine",
            "others: 1 1 t"
        ]
    );
}

#[test]
fn a_pipeline_says_how_long_and_an_argument_says_more() {
    let database = database();
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "extends = {:?}\n[retention]\nquarantine-days = 30\nrow-accounts-days = 400\n\
        runs-days = 40\nmanifests-days = 390\n",
        file("pipelines/ocp.toml")
    );
    let path = write(folder.path(), "pipeline.toml", text.as_bytes());
    let path = path.display().to_string();
    assert_eq!(
        cleaned(&database, &["--pipeline", &path, "--dry-run"]),
        json!({
            "quarantined_rows": 8,
            "row_accounts": 2,
            "runs": 4,
            "manifests": 2,
            "rows_of_dead_runs": 0,
        })
    );
    let said = cleaned(
        &database,
        &["--pipeline", &path, "--quarantine-days", "60", "--dry-run"],
    );
    assert_eq!(said["quarantined_rows"], 6);
    // The problem is shown at its place.
    let text = "[pipeline]\nname = \"x\"\n[reports]\n[retention]\nruns-days = 4000\n";
    let path = write(folder.path(), "wrong.toml", text.as_bytes());
    let ended = clean(&database, &["--pipeline", &path.display().to_string()]).ends_with(2);
    assert!(
        ended
            .stdout
            .contains("`runs-days` must be between 1 and 3650 days"),
        "{ended}"
    );
    assert!(ended.stdout.contains("wrong.toml:5:13"), "{ended}");
    let ended = clean(&database, &["--runs-days", "0"]).ends_with(2);
    assert!(ended.stdout.contains("0 is not in 1..=3650"), "{ended}");
}

/// More than one statement takes, and a source that is at work.
#[test]
fn records_go_in_parts_and_not_while_their_source_is_loaded() {
    let database = database();
    database.execute(
        "INSERT INTO gristmill_quarantine (
            run_id, report, file, line, stage, component_digest, code, message, raw, quarantined_at
        )
        SELECT 1, 'pod-usage', 'pods.csv', number, 'csv-parse', '', 'odd', 'is odd', '', '2001-01-01'
        FROM generate_series(1, 2500) AS number",
    );
    // As gristmill_source.lock.sql does.
    let lock = crate::sql::body(&crate::sql::statements()["gristmill_source.lock.sql"]);
    let session = database.session();
    let source = database
        .query_value("SELECT source_uuid FROM gristmill_source")
        .expect("a source");
    session.execute("SET search_path = gristmill");
    session.execute(&format!(
        "PREPARE lock (text) AS {lock} EXECUTE lock ('{source}')"
    ));
    let records = cleaned(&database, &[]);
    assert_eq!(records["quarantined_rows"], 2_506);
    assert_eq!(records["manifests"], 0);
    drop(session);
    assert_eq!(cleaned(&database, &[])["manifests"], 1);
}
