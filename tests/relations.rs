//! Relations between payloads that must hold whatever the right numbers are
//! (`semantics.md` 10). Those between data sets that differ in their clusters or in
//! their order of arrival are in `golden` and `properties`.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use tempfile::TempDir;

use crate::golden::DataSet;
use crate::support::command::run;
use crate::support::payload::write;
use crate::support::server::TestDatabase;

/// All that consumers read of usage, without ids and times of the load.
#[track_caller]
fn contents(database: &TestDatabase) -> Vec<Vec<Option<String>>> {
    let tables = database.query_rows(
        "SELECT relname
        FROM pg_class
        WHERE
            relnamespace = 'gristmill'::regnamespace
            AND relkind IN ('r', 'p')
            AND NOT relispartition
            AND relname ~ '^reporting_ocp.*(_summary|_p|_values)$'",
    );
    let rows: Vec<String> = tables
        .into_iter()
        .flatten()
        .flatten()
        .map(|table| {
            format!(
                "SELECT
                    '{table}',
                    (to_jsonb(contents) - ARRAY['id', 'uuid', 'report_period_id'])::text
                FROM {table} AS contents"
            )
        })
        .collect();
    assert!(rows.len() >= 17, "{rows:?}");
    database.query_rows(&(rows.join(" UNION ALL ") + " ORDER BY 1, 2"))
}

/// The payload as a folder of files whose rows are in the opposite order.
fn reversed(payload: &Path) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let file = fs::File::open(payload).expect("the payload");
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    for member in archive.entries().expect("members") {
        let mut member = member.expect("a member");
        let name = member
            .path()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let mut text = String::new();
        member.read_to_string(&mut text).expect("text");
        if name.ends_with(".csv") {
            let mut lines: Vec<&str> = text.lines().collect();
            if let Some(rows) = lines.get_mut(1..) {
                rows.reverse();
            }
            text = lines.join("\n") + "\n";
        }
        write(folder.path(), &name, text.as_bytes());
    }
    folder
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let set = DataSet("xmonth");
    let [there, back] = [set.database(), set.database()];
    let payloads = set.payloads();
    run(&there, "pipelines/ocp-max.toml", &payloads).succeeds();
    let folder = reversed(&payloads[0]);
    run(
        &back,
        "pipelines/ocp-max.toml",
        &[folder.path().to_path_buf()],
    )
    .succeeds();
    let contents_there = contents(&there);
    assert!(contents_there.len() > 20);
    assert_eq!(contents_there, contents(&back));
}

#[test]
fn a_payload_in_parts_is_the_payload() {
    let (whole, parts) = (DataSet("small"), DataSet("split"));
    let databases = [whole, parts].map(|set| {
        let database = set.database();
        run(&database, "pipelines/ocp-max.toml", &set.payloads()).succeeds();
        database
    });
    let [whole, parts] = databases.each_ref().map(contents);
    assert!(whole.len() > 200);
    assert_eq!(whole, parts);
}

#[test]
fn without_enabled_keys_there_are_no_labels_but_the_name_of_a_machine() {
    let database = TestDatabase::migrated();
    run(
        &database,
        "pipelines/ocp-max.toml",
        &DataSet("small").payloads(),
    )
    .succeeds();
    let labels = "SELECT count(*)
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE all_labels - 'vm_kubevirt_io_name' <> '{}'";
    assert_eq!(database.query_value(labels).as_deref(), Some("0"));
    // They are known, and not enabled.
    let keys = "SELECT count(*) > 0 AND NOT bool_or(enabled) FROM reporting_enabledtagkeys";
    assert_eq!(database.query_value(keys).as_deref(), Some("t"));
}
