//! The reads of a publish when there are ninety days of history: the days that it
//! changes, by index or by partition, and nothing of the others.

use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use crate::sql;
use crate::support::command::run;
use crate::support::payload::{Payload, Report};
use crate::support::server::TestDatabase;

/// Ninety days of one source, before the day that the usual payload covers.
const HISTORY: &str = "
    SELECT register_source('00000000-0000-4000-8000-00000000000f', 'other', 'other');
    SELECT ensure_month(month::date)
    FROM generate_series(timestamp '2025-10-01', '2026-01-01', '1 month') AS month;

    INSERT INTO gristmill_name (id, name)
    SELECT 100 + number, 'namespace-' || number FROM generate_series(0, 9) AS number
    UNION ALL
    SELECT 200 + number, 'node-' || number FROM generate_series(0, 4) AS number;

    INSERT INTO reporting_ocpusagelineitem_pod_staging (
        generation, source_uuid, report_period_id, interval_start, interval_end, namespace_name_id, node_name_id, pod,
        pod_usage_cpu_core_hours_e12, node_capacity_cpu_core_hours_e12
    )
    SELECT
        -1000 - extract(epoch FROM day)::bigint / 86400,
        source.source_uuid, 1, hour, hour + interval '59:59',
        100 + pod % 10, 200 + pod % 5, 'pod-' || pod, 1000, 1000
    FROM gristmill_source AS source
    CROSS JOIN generate_series(timestamptz '2025-10-12 00:00Z', '2026-01-09 00:00Z', '1 day') AS day
    CROSS JOIN generate_series(day, day + interval '23 hours', '1 hour') AS hour
    CROSS JOIN generate_series(1, 50) AS pod
    WHERE source.cluster_id = 'test-cluster'
    -- As rows arrive: block ranges are good for nothing else.
    ORDER BY hour;

    CREATE TEMPORARY TABLE hours_of_objects AS
    SELECT
        -1000 - extract(epoch FROM day)::bigint / 86400 AS generation,
        source.source_uuid,
        hour,
        -- Long, so that few rows fill many blocks.
        rpad('object-' || number, 240, 'o') AS object
    FROM gristmill_source AS source
    CROSS JOIN generate_series(timestamptz '2025-10-12 00:00Z', '2026-01-09 00:00Z', '1 day') AS day
    CROSS JOIN generate_series(day, day + interval '23 hours', '1 hour') AS hour
    CROSS JOIN generate_series(1, 30) AS number
    WHERE source.cluster_id = 'test-cluster'
    ORDER BY hour;

    INSERT INTO reporting_ocpusagelineitem_storage_staging (
        generation, source_uuid, report_period_id, interval_start,
        namespace, pod, persistentvolumeclaim, persistentvolume, storageclass
    )
    SELECT generation, source_uuid, 1, hour, object, object, object, object, 'fast' FROM hours_of_objects;

    INSERT INTO reporting_ocpusagelineitem_node_labels_staging (
        generation, source_uuid, report_period_id, interval_start, node
    )
    SELECT generation, source_uuid, 1, hour, object FROM hours_of_objects;

    INSERT INTO reporting_ocpusagelineitem_namespace_labels_staging (
        generation, source_uuid, report_period_id, interval_start, namespace
    )
    SELECT generation, source_uuid, 1, hour, object FROM hours_of_objects;

    INSERT INTO reporting_ocpusagelineitem_vm_staging (
        generation, source_uuid, report_period_id, interval_start, namespace, node, vm_name
    )
    SELECT generation, source_uuid, 1, hour, object, object, object FROM hours_of_objects;

    INSERT INTO reporting_ocpusagelineitem_gpu_staging (
        generation, source_uuid, report_period_id, interval_start,
        namespace, node, pod, gpu_uuid, gpu_model_name, gpu_vendor_name
    )
    SELECT generation, source_uuid, 1, hour, object, object, object, object, 'model', 'vendor' FROM hours_of_objects;

    INSERT INTO reporting_ocpusagelineitem_daily_summary (
        usage_start, usage_end, source_uuid, data_source, namespace, node, pod_labels, all_labels
    )
    SELECT
        day, day, source.source_uuid, 'Pod', 'namespace-' || pod, 'node-' || pod % 5,
        jsonb_build_object('app', 'app-' || pod % 40), '{}'
    FROM gristmill_source AS source
    CROSS JOIN generate_series(date '2025-10-12', '2026-01-09', '1 day') AS day
    CROSS JOIN generate_series(1, 200) AS pod;

    -- The tags of other months, and of this one.
    INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type) VALUES ('app', true, 'OCP');
    INSERT INTO gristmill_tag_key (key, values_state) VALUES ('app', 'complete');
    INSERT INTO reporting_ocptags_values (key, value, cluster_ids, cluster_aliases, namespaces, nodes)
    SELECT 'app', 'shop-' || number, '{other}', '{other}', '{namespace}', '{node}'
    FROM generate_series(1, 10000) AS number;
    INSERT INTO reporting_ocpusagepodlabel_summary (key, values, report_period_id, namespace, node)
    SELECT 'app', '{none}', 1, 'app', 'n1';
    INSERT INTO reporting_ocpusagepodlabel_summary (key, values, report_period_id, namespace, node)
    SELECT 'app', '{shop}', 1000 + number % 20, 'namespace-' || number, 'node-' || number
    FROM generate_series(1, 10000) AS number;
    INSERT INTO reporting_ocpstoragevolumelabel_summary (key, values, report_period_id, namespace, node)
    SELECT key, values, report_period_id, namespace, node
    FROM reporting_ocpusagepodlabel_summary
    WHERE report_period_id >= 1000;
    INSERT INTO gristmill_label_set (id, labels)
    SELECT number, jsonb_build_object('app', number) FROM generate_series(1, 20000) AS number;
    INSERT INTO gristmill_name (id, name)
    SELECT 1000 + number, 'name-' || number FROM generate_series(1, 5000) AS number;

    WITH manifests AS (
        INSERT INTO reporting_common_costusagereportmanifest (
            assembly_id, provider_id, billing_period_start_datetime, num_total_files
        )
        SELECT 'history-' || number, source.source_uuid, '2025-12-01', 1
        FROM gristmill_source AS source
        CROSS JOIN generate_series(1, 1500) AS number
        RETURNING id, provider_id
    ),
    runs AS (
        INSERT INTO gristmill_run (pipeline, payload, state)
        SELECT 'ocp', 'history', 'published'
        FROM generate_series(1, 3000)
        RETURNING id
    )
    SELECT count(*) FROM manifests, (SELECT count(*) FROM runs) AS made;

    INSERT INTO gristmill_generation (manifest_id, run_id, source_uuid, state)
    SELECT manifest.id, run.id, manifest.provider_id, 'complete'
    FROM reporting_common_costusagereportmanifest AS manifest
    JOIN gristmill_run AS run ON run.id = manifest.id
    WHERE manifest.assembly_id LIKE 'history-%';

    INSERT INTO reporting_common_costusagereportstatus (manifest_id, report_name, report, generation, status)
    SELECT manifest_id, 'history.csv', 'pod-usage', id, 1 FROM gristmill_generation WHERE run_id > 2;
    INSERT INTO gristmill_coverage (generation, report, interval_start, rows)
    SELECT id, 'pod-usage', timestamptz '2025-10-12Z' + make_interval(hours => id::integer), 1
    FROM gristmill_generation
    WHERE run_id > 2;
    INSERT INTO gristmill_hour_read (generation, report, interval_start, rows_read, digest)
    SELECT generation, report, interval_start, rows, decode(repeat('00', 16), 'hex')
    FROM gristmill_coverage
    ON CONFLICT DO NOTHING;
    INSERT INTO gristmill_archive (manifest_id, digest, source_uuid, payload, files, bytes, directory)
    SELECT manifest_id, id, source_uuid, 'history', '{}', 1, 'nowhere' FROM gristmill_generation WHERE run_id > 2;

    INSERT INTO gristmill_quarantine (
        run_id, generation, report, file, stage, component_digest, code, message, raw
    )
    SELECT run_id, id, 'pod-usage', 'history.csv', 'csv-parse', '', 'not-a-number', '', ''
    FROM gristmill_generation
    CROSS JOIN generate_series(1, 5);

    INSERT INTO gristmill_reject (
        generation, batch, report, file, stage, component_digest, code, message, raw
    )
    SELECT id, 1, 'pod-usage', 'history.csv', 'csv-parse', '', 'not-a-number', '', ''
    FROM gristmill_generation
    CROSS JOIN generate_series(1, 5);

    INSERT INTO reporting_common_costusagereportstatus (manifest_id, report_name, generation)
    SELECT manifest_id, 'history-' || number || '.csv', id
    FROM gristmill_generation
    CROSS JOIN generate_series(1, 3) AS number
    WHERE run_id > 2;

    -- The days of years, and a manifest that holds none.
    INSERT INTO gristmill_day (source_uuid, usage_day, manifest_id, hours, rows)
    SELECT
        '00000000-0000-4000-8000-00000000000f', date '2015-01-01' + number, 2 + number % 1000, 24, 1
    FROM generate_series(1, 3000) AS number;
    INSERT INTO reporting_common_costusagereportmanifest (
        id, assembly_id, provider_id, billing_period_start_datetime, num_total_files
    )
    VALUES (900000, 'free', '00000000-0000-4000-8000-00000000000f', '2015-01-01', 1);
    INSERT INTO gristmill_run (id, pipeline, payload, state)
    OVERRIDING SYSTEM VALUE
    VALUES (900000, 'ocp', 'free', 'failed');";

/// A database with that history, and with the usual payload.
fn database() -> &'static TestDatabase {
    &databases().0
}

/// That one, and another with the same in it for what changes it.
fn databases() -> &'static (TestDatabase, TestDatabase) {
    static DATABASES: OnceLock<(TestDatabase, TestDatabase)> = OnceLock::new();
    DATABASES.get_or_init(|| {
        let database = TestDatabase::migrated();
        let folder = tempfile::tempdir().expect("a folder");
        let load = |number: u32, hours: u32| {
            let report = Report::pods().hours(0..hours);
            let payload = Payload::numbered(number)
                .file("pods.csv", report.text())
                .write(folder.path(), "payload.tar.gz");
            run(&database, "pipelines/ocp.toml", &[payload]).succeeds();
        };
        load(1, 3);
        database.execute(HISTORY);
        load(2, 4);
        // Autovacuum does this on a server that is not a test's.
        database.execute("VACUUM (ANALYZE)");
        let copy = database.copy();
        // It takes the place of the other, whose archive is not asked for.
        copy.execute(
            "UPDATE gristmill_archive_owner
            SET database_oid = (SELECT oid FROM pg_database WHERE datname = current_database())",
        );
        (database, copy)
    })
}

/// The plans of all that these statements do, those of functions among them.
#[track_caller]
fn plans(sql: &str) -> Vec<String> {
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"])
        .env("PGOPTIONS", "-c search_path=gristmill")
        .arg(database().url())
        .args(["--command", "LOAD 'auto_explain'"])
        .args(["--command", "SET auto_explain.log_min_duration = 0"])
        .args(["--command", "SET auto_explain.log_nested_statements = on"])
        .args(["--command", "SET client_min_messages = log"])
        .args(["--command", &format!("BEGIN; {sql}; ROLLBACK")])
        .output()
        .expect("psql");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success(), "{said}");
    said.split("LOG:  duration")
        .skip(1)
        .map(str::to_string)
        .collect()
}

/// The lines of plans that read a table.
fn scans(plans: &[String]) -> Vec<&str> {
    plans
        .iter()
        .flat_map(|plan| plan.lines())
        .map(|line| line.trim().trim_start_matches("->").trim())
        .filter(|line| line.contains("Scan "))
        .collect()
}

#[test]
fn a_publish_reads_the_days_that_it_changes() {
    // The first day of a session is planned in another way than those that follow.
    let summarize = "SELECT summarize_days('2026-01-10', '2026-01-10', source_uuid)
        FROM gristmill_source
        WHERE cluster_id = 'test-cluster'";
    let plans = plans(&format!("{summarize}; {summarize}"));
    let scans = scans(&plans);
    let partitions: Vec<&&str> = scans
        .iter()
        .filter(|scan| scan.contains("_2025_") || scan.contains("_2026_"))
        .collect();
    assert!(partitions.len() > 10, "{scans:#?}");
    let other_months: Vec<_> = partitions
        .iter()
        .filter(|scan| !scan.contains("_2026_01"))
        .collect();
    assert!(other_months.is_empty(), "it reads {other_months:#?}");
    let whole: Vec<_> = partitions
        .iter()
        .filter(|scan| {
            let large = scan.contains("pod_staging_2026") || scan.contains("daily_summary_2026");
            large && scan.contains("Seq Scan")
        })
        .collect();
    assert!(whole.is_empty(), "it reads a whole month: {whole:#?}");
}

/// Of tables that grow with every month and are not partitioned.
#[test]
fn a_publish_reads_no_table_of_history_from_end_to_end() {
    let database = &databases().1;
    let folder = tempfile::tempdir().expect("a folder");
    // A place that has the key already, and one that has it not.
    let report = Report::pods()
        .hours(0..4)
        .row(4, &[("pod_labels", "label_app:shop-7")])
        .row(5, &[("namespace", "new"), ("pod_labels", "label_app:new")]);
    let payload = Payload::numbered(3)
        .file("pods.csv", report.text())
        .write(folder.path(), "payload.tar.gz");
    run(database, "pipelines/ocp.toml", &[payload])
        .env("GRISTMILL_DATA", folder.path())
        .succeeds();
    // Sessions tell what they read when they end.
    let sessions = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while database.query_value(sessions).as_deref() != Some("0") {
        thread::sleep(Duration::from_millis(20));
    }
    let tables = database.query_rows(
        "SELECT pg_class.relname, seq_tup_read::text, coalesce(idx_scan, 0)::text
        FROM pg_stat_user_tables AS counted
        JOIN pg_class ON pg_class.oid = counted.relid
        WHERE relkind = 'r' AND NOT relispartition AND reltuples >= 1000
        ORDER BY 1",
    );
    let large: Vec<&str> = tables.iter().filter_map(|row| row[0].as_deref()).collect();
    assert!(large.len() >= 12, "{large:?}");
    let read: Vec<_> = tables
        .iter()
        // Whether there is any row at all is known by the first one.
        .filter(|row| !matches!(row[1].as_deref(), Some("0" | "1" | "2" | "3")))
        .collect();
    assert!(read.is_empty(), "it reads all of {read:?}");
    for table in [
        "reporting_ocpusagepodlabel_summary",
        "reporting_ocptags_values",
        "gristmill_generation",
    ] {
        let used = tables
            .iter()
            .any(|row| row[0].as_deref() == Some(table) && row[2].as_deref() != Some("0"));
        assert!(used, "nothing was counted of `{table}`");
    }

    let values = "SELECT string_agg(value || ' ' || cluster_ids::text, ', ' ORDER BY value)
        FROM reporting_ocptags_values
        WHERE 'test-cluster' = ANY (cluster_ids)";
    let values = database.query_value(values);
    assert_eq!(
        values.as_deref(),
        Some("new {test-cluster}, none {test-cluster}, shop-7 {other,test-cluster}")
    );
}

#[test]
fn forgetting_a_generation_finds_its_rows_by_the_index_of_each_staging_table() {
    for table in [
        "pod",
        "storage",
        "node_labels",
        "namespace_labels",
        "vm",
        "gpu",
    ] {
        let partition = format!("reporting_ocpusagelineitem_{table}_staging_2025_12");
        let plans = plans(&format!("SELECT remove_staged_rows('{partition}', -21465)"));
        let partition = format!(" on {partition}");
        let scans = scans(&plans);
        let scans: Vec<_> = scans
            .iter()
            .filter(|scan| scan.contains(&partition))
            .collect();
        let is_by_index = |scan: &&&str| scan.starts_with("Bitmap Heap Scan");
        assert!(
            !scans.is_empty() && scans.iter().all(is_by_index),
            "{table}: {scans:#?}"
        );
    }
}

/// A statement of `sql/` with these parameters.
fn statement(name: &str, parameters: &str) -> String {
    let body = sql::body(&sql::statements()[name]);
    format!("PREPARE statement AS {body} EXECUTE statement ({parameters})")
}

fn delete_old(table: &str, parameters: &str) -> String {
    statement(&format!("{table}.delete_old.sql"), parameters)
}

#[test]
fn every_index_of_ours_is_used() {
    let source = "(SELECT source_uuid FROM gristmill_source WHERE cluster_id = 'test-cluster')";
    for (index, query) in [
        (
            "generation_interval_start_idx",
            "SELECT node_capacities_of_day('2026-01-10', ARRAY[1, 2]::bigint[])",
        ),
        (
            "generation_interval_start_idx",
            "SELECT remove_staged_rows('reporting_ocpusagelineitem_pod_staging_2025_12', -21465)",
        ),
        (
            "source_uuid_usage_start_idx",
            &format!("SELECT delete_usage_rows('2026-01-10', 1, {source})"),
        ),
        (
            "reporting_ocpusagepodlabel_summary_place_key",
            &format!("SELECT refresh_pod_label_summary('{{2026-01-10}}', 1, {source}, '{{app}}')"),
        ),
        (
            "reporting_ocpstoragevolumelabel_summary_place_key",
            &format!(
                "SELECT refresh_volume_label_summary('{{2026-01-10}}', 1, {source}, '{{app}}')"
            ),
        ),
        (
            "gristmill_generation_manifest_id_index",
            "SELECT claim_days(77)",
        ),
        (
            "gristmill_quarantine_run_id_index",
            "DELETE FROM gristmill_quarantine WHERE run_id = 77",
        ),
        (
            "gristmill_quarantine_generation_index",
            "DELETE FROM gristmill_generation WHERE id = 77",
        ),
        (
            "gristmill_quarantine_resolved_by_run_index",
            "DELETE FROM gristmill_run WHERE id = 900000",
        ),
        (
            "gristmill_generation_run_id_index",
            "DELETE FROM gristmill_run WHERE id = 900000",
        ),
        (
            "gristmill_quarantine_quarantined_at_index",
            &delete_old("gristmill_quarantine", "400, 1000, false"),
        ),
        (
            "gristmill_run_started_at_index",
            &delete_old("gristmill_run", "400, 1000, false, 90"),
        ),
        (
            "gristmill_run_started_at_index",
            &delete_old("gristmill_row_account", "400, 1000, false"),
        ),
        (
            "gristmill_run_manifest_id_index",
            &statement("gristmill_quarantine.insert.sql", "1, 1, true, 77"),
        ),
        (
            "gristmill_run_manifest_id_index",
            &statement("gristmill_quarantine.resolve.sql", "1, 77, '{pods.csv}'"),
        ),
        (
            "gristmill_reject_generation_index",
            "DELETE FROM gristmill_generation WHERE id = 77",
        ),
        (
            "reporting_common_costusagereportstatus_generation_index",
            "DELETE FROM gristmill_generation WHERE id = 77",
        ),
        (
            "gristmill_day_holder_index",
            "DELETE FROM reporting_common_costusagereportmanifest WHERE id = 900000",
        ),
        (
            "all_labels_idx",
            "SELECT count(*) FROM reporting_ocpusagelineitem_daily_summary WHERE all_labels ? 'none'",
        ),
        (
            "pod_labels_idx",
            "SELECT count(*) FROM reporting_ocpusagelineitem_daily_summary WHERE pod_labels @> '{\"app\": \"none\"}'",
        ),
        (
            "volume_labels_idx",
            "SELECT count(*) FROM reporting_ocpusagelineitem_daily_summary WHERE volume_labels @> '{\"app\": \"none\"}'",
        ),
    ] {
        let plans = plans(query);
        assert!(
            plans.iter().any(|plan| plan.contains(index)),
            "`{index}` is not used by {query}:\n{}",
            plans.join("\n")
        );
    }
}
