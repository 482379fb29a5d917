//! Relations between payloads that must hold whatever the right numbers are
//! (`semantics.md` 10). Those between data sets that differ in their clusters or in
//! their order of arrival are in `golden` and `properties`.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use gristmill::ledger::comparison::Scope;
use tempfile::TempDir;

use crate::golden::DataSet;
use crate::support::command::run;
use crate::support::contents::compare;
use crate::support::payload::write;
use crate::support::server::TestDatabase;

/// Consumers read the same in both; says how many rows that is.
#[track_caller]
fn read_the_same(left: &TestDatabase, right: &TestDatabase) -> u64 {
    let comparison = compare(left, right, &Scope::default());
    if let Some(difference) = comparison.difference {
        panic!("{difference}");
    }
    assert!(comparison.tables >= 17, "{} tables", comparison.tables);
    comparison.rows
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
    assert!(read_the_same(&there, &back) > 20);
}

#[test]
fn a_payload_in_parts_is_the_payload() {
    let (whole, parts) = (DataSet("small"), DataSet("split"));
    let databases = [whole, parts].map(|set| {
        let database = set.database();
        run(&database, "pipelines/ocp-max.toml", &set.payloads()).succeeds();
        database
    });
    let [whole, parts] = &databases;
    assert!(read_the_same(whole, parts) > 200);
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
