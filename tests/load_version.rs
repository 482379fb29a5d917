//! The version of the load. Hours that an earlier upload brought are reused when both
//! were loaded on the same way; the host's own part of that way has a version, which
//! somebody has to raise. This notices when nobody did.

use gristmill::pipeline::plan::LOAD_VERSION;
use sha2::{Digest as _, Sha256};

use crate::support::command::{file, run};
use crate::support::payload::{Payload, write};
use crate::support::server::TestDatabase;

/// The kinds of reports; `load_version/<kind>.csv` has odd numbers, labels and names, and
/// a row that is refused.
const KINDS: [&str; 6] = [
    "pod-usage",
    "storage-usage",
    "node-labels",
    "namespace-labels",
    "vm-usage",
    "gpu-usage",
];

/// What each version makes of them, the last one with what it makes now. An entry is
/// never changed: another digest is another version.
const VERSIONS: &[(u32, &str)] = &[(
    1,
    "854bcfba514a75eff3b99f10de075ff5ab1831d60b804337a686f151e7785c4f",
)];

/// All that a load leaves of a report's bytes and that an upload may reuse, without
/// what differs from one load to the next.
const STAGED: &str = "
    SELECT 'pod', (to_jsonb(staged) - ARRAY['generation', 'source_uuid', 'report_period_id', 'processed'])::text
    FROM reporting_ocpusagelineitem_pod_staging_view AS staged
    UNION ALL
    SELECT 'storage', (to_jsonb(staged) - ARRAY['generation', 'source_uuid', 'report_period_id', 'processed'])::text
    FROM reporting_ocpusagelineitem_storage_staging_view AS staged
    UNION ALL
    SELECT 'node', (to_jsonb(staged) - ARRAY['generation', 'source_uuid', 'report_period_id', 'processed'])::text
    FROM reporting_ocpusagelineitem_node_labels_staging_view AS staged
    UNION ALL
    SELECT 'namespace', (to_jsonb(staged) - ARRAY['generation', 'source_uuid', 'report_period_id', 'processed'])::text
    FROM reporting_ocpusagelineitem_namespace_labels_staging_view AS staged
    UNION ALL
    SELECT 'vm', (to_jsonb(staged) - ARRAY['generation', 'source_uuid', 'report_period_id', 'processed'])::text
    FROM reporting_ocpusagelineitem_vm_staging_view AS staged
    UNION ALL
    SELECT 'gpu', (to_jsonb(staged) - ARRAY['generation', 'source_uuid', 'report_period_id', 'processed'])::text
    FROM reporting_ocpusagelineitem_gpu_staging_view AS staged
    UNION ALL
    SELECT 'coverage', concat_ws(' ', report, interval_start AT TIME ZONE 'UTC', rows)
    FROM gristmill_coverage
    UNION ALL
    SELECT 'read', concat_ws(' ', report, interval_start AT TIME ZONE 'UTC', rows_read, encode(digest, 'hex'))
    FROM gristmill_hour_read
    UNION ALL
    SELECT 'refused', concat_ws(' ', report, line, stage, column_name, code)
    FROM gristmill_quarantine
    UNION ALL
    SELECT 'key', key::text
    FROM reporting_enabledtagkeys";

#[test]
fn what_is_staged_changes_with_the_version_of_the_load() {
    let folder = tempfile::tempdir().expect("a folder");
    let ocp = file("pipelines/ocp.toml");
    let text = format!("extends = {ocp:?}\n[limits]\nrejected-rows = \"50 %\"\n");
    let pipeline = write(folder.path(), "patient.toml", text.as_bytes());
    let database = TestDatabase::migrated();
    database.execute(
        "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
        VALUES ('app', true, 'OCP')
        ON CONFLICT DO NOTHING",
    );
    let payload = KINDS.iter().fold(Payload::numbered(1), |payload, kind| {
        let report = std::fs::read_to_string(file(&format!("tests/load_version/{kind}.csv")));
        payload.file(&format!("{kind}.csv"), &report.expect("a report"))
    });
    let path = payload.write(folder.path(), "payload.tar.gz");
    run(&database, &pipeline, &[path]).succeeds();

    let rows = database.query_rows(&format!("SET TimeZone = 'UTC'; {STAGED}"));
    let of = |what: &str| {
        let same = rows.iter().filter(|row| row[0].as_deref() == Some(what));
        same.count()
    };
    for table in ["pod", "storage", "node", "namespace", "vm", "gpu"] {
        assert_eq!(of(table), 4, "rows of {table}");
    }
    assert_eq!(of("refused"), KINDS.len());
    let mut text: Vec<String> = rows
        .into_iter()
        .map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" "))
        .collect();
    // The order does not depend on the collation of the database.
    text.sort();
    let digest: String = Sha256::digest(text.join("\n"))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let (version, recorded) = VERSIONS.last().expect("a version");
    assert!(
        *version == LOAD_VERSION && *recorded == digest,
        "what is staged of the same bytes has the digest {digest}, and the load has version {LOAD_VERSION}; \
        recorded is {recorded} of version {version}: when the digest is another one, raise `LOAD_VERSION` in \
        `host/src/pipeline/plan/load_version.rs`, and add a line with both to `VERSIONS` here\n{}",
        text.join("\n")
    );
}

#[test]
fn no_version_of_the_load_comes_twice() {
    for pair in VERSIONS.windows(2) {
        let [(earlier, before), (later, after)] = pair else {
            panic!("two versions");
        };
        assert!(earlier < later && before != after, "{pair:?}");
    }
}
