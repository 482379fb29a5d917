//! How a schema is brought up to date, through `gristmill db migrate`.

use std::fs;
use std::process::{Command, Output};

use crate::support::command::{file, run};
use crate::support::payload::{Payload, Report};
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

/// A schema as the migrations up to this one left it, with these functions.
fn migrated_up_to(version: u32, functions: &[&str]) -> TestDatabase {
    let database = TestDatabase::migrated();
    let mut migrations: Vec<_> = fs::read_dir(file("migrations"))
        .expect("the folder")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| {
            let name = path.file_name().expect("a name").to_string_lossy();
            name.split_once('_')
                .and_then(|(number, _)| number.parse::<u32>().ok())
                .is_some_and(|number| number <= version)
        })
        .collect();
    migrations.sort();
    assert_eq!(migrations.len(), version as usize);
    database.execute(&format!(
        "DELETE FROM _sqlx_migrations WHERE version > {version};
        ALTER TABLE _sqlx_migrations SET SCHEMA public;
        DROP SCHEMA gristmill CASCADE;
        CREATE SCHEMA gristmill;
        ALTER TABLE public._sqlx_migrations SET SCHEMA gristmill"
    ));
    let functions = functions
        .iter()
        .map(|name| file(&format!("sql/{name}.sql")));
    for path in migrations.into_iter().chain(functions) {
        database.execute(&fs::read_to_string(path).expect("SQL"));
    }
    database
}

/// Pods of two months as they were staged when each row had its names, and what
/// the view needs to say that the first of them were summarized.
const STAGED_WITH_NAMES: &str = "
    CREATE TABLE partitioned_tables (
        schema_name text, table_name text, partition_of_table_name text, partition_type text,
        partition_col text, partition_parameters jsonb, active boolean
    );
    SELECT ensure_month('2025-12-01'), ensure_month('2026-01-01');

    INSERT INTO reporting_tenant_api_provider (uuid, name, type, provider_id)
    VALUES ('00000000-0000-4000-8000-000000000001', 'one', 'OCP', '00000000-0000-4000-8000-000000000001');
    INSERT INTO gristmill_source (source_uuid, cluster_id, cluster_alias)
    VALUES ('00000000-0000-4000-8000-000000000001', 'cluster-1', 'one');
    INSERT INTO reporting_common_costusagereportmanifest (
        id, assembly_id, provider_id, billing_period_start_datetime, num_total_files, completed_datetime
    )
    VALUES (7, 'upload', '00000000-0000-4000-8000-000000000001', '2026-01-01Z', 1, now());
    INSERT INTO gristmill_run (pipeline, payload) VALUES ('ocp', 'payload');
    INSERT INTO gristmill_generation (manifest_id, run_id, source_uuid, state)
    VALUES (7, 1, '00000000-0000-4000-8000-000000000001', 'complete');
    INSERT INTO gristmill_day (source_uuid, usage_day, manifest_id, hours, rows, processed_at)
    VALUES ('00000000-0000-4000-8000-000000000001', '2026-01-10', 7, 2, 6, now());
    INSERT INTO gristmill_day_manifest (source_uuid, usage_day, manifest_id)
    VALUES ('00000000-0000-4000-8000-000000000001', '2026-01-10', 7);
    INSERT INTO gristmill_label_set (id, labels) VALUES (1, '{\"app\": \"web\"}');

    INSERT INTO reporting_ocpusagelineitem_pod_staging
    SELECT
        1, '00000000-0000-4000-8000-000000000001', 1, '2026-01-01Z', '2026-02-01Z',
        hour, hour + interval '1 hour',
        number, number + 1, number + 2, number + 3, number + 4, number + 5, number + 6, number + 7,
        4e12, 5e12, 6e12, 7e12, 1,
        namespace, node, 'pod-' || number, resource_id, 'worker'
    FROM (
        VALUES
            (1, timestamptz '2026-01-10 00:00Z', 'app', 'n1', 'i-1'),
            (2, '2026-01-10 01:00Z', 'app', '', ''),
            (3, '2026-01-10 01:00Z', repeat('🦀', 253), E'a\\\\b\\n', NULL),
            (4, '2025-12-31 23:00Z', 'n1', 'n1', 'n1')
    ) AS staged (number, hour, namespace, node, resource_id)";

#[test]
fn staged_pods_keep_their_names() {
    let functions = [
        "ensure_month",
        "ensure_partition",
        "monthly_tables",
        "has_partition_register",
        "register_partition",
    ];
    let database = migrated_up_to(66, &functions);
    database.execute(STAGED_WITH_NAMES);
    let seen = || {
        [
            "SELECT staged::text FROM reporting_ocpusagelineitem_pod_staging_view AS staged
            WHERE generation = 1 ORDER BY pod",
            "SELECT attname::text, format_type(atttypid, atttypmod)
            FROM pg_attribute
            WHERE attrelid = 'reporting_ocpusagelineitem_pod_staging_view'::regclass
            ORDER BY attnum",
            "SELECT
                relid::regclass::text, pg_get_expr(relpartbound, relid),
                (
                    SELECT string_agg(regexp_replace(pg_get_indexdef(indexrelid), '.* USING ', ''), ' ')
                    FROM pg_index
                    WHERE indrelid = relid
                )
            FROM pg_partition_tree('reporting_ocpusagelineitem_pod_staging')
            JOIN pg_class ON oid = relid
            WHERE relid::regclass::text ~ '(staging|2025_12|2026_01)$'
            ORDER BY 1",
            "SELECT tableoid::regclass::text, generation, interval_start, pod
            FROM reporting_ocpusagelineitem_pod_staging
            WHERE generation = 1
            ORDER BY pod",
            "SELECT table_name, partition_of_table_name, partition_parameters
            FROM partitioned_tables
            WHERE table_name ~ 'pod_staging_(2025_12|2026_01)$'
            ORDER BY 1",
        ]
        .map(|sql| database.query_rows(sql))
    };
    let before = seen();
    assert_eq!(before.each_ref().map(Vec::len), [4, 26, 3, 4, 2]);
    assert!(format!("{before:?}").contains("🦀"), "{before:?}");
    migrated(&database, "gristmill");
    assert_eq!(seen(), before);
    let left = "SELECT relname FROM pg_class WHERE relname LIKE 'reporting%\\_text%'";
    assert!(database.query_rows(left).is_empty());

    // A load gives the names the ids that they have.
    let names = "SELECT count(*), count(DISTINCT name) FROM gristmill_name";
    let stored = || database.query_rows(names);
    assert_eq!(stored(), [["6", "6"].map(|count| Some(count.to_string()))]);
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::numbered(1)
        .file("pods.csv", Report::pods().hours(0..2).text())
        .write(folder.path(), "payload.tar.gz");
    run(&database, "pipelines/ocp.toml", &[payload]).succeeds();
    assert_eq!(stored(), [["6", "6"].map(|count| Some(count.to_string()))]);
    assert_eq!(seen()[0], before[0]);
}
