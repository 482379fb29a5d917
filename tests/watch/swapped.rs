//! Somebody renames another payload to the place of one at work, or writes into it:
//! what was opened is what is run, kept and put away, and nothing is lost.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::process::{Pid, Signal};
use sha2::{Digest as _, Sha256};

use super::{Watching, deliver, names, watch};
use crate::local_server::wait_until;
use crate::support::command::{Gristmill, run};
use crate::support::payload::{Payload, Report, write};
use crate::support::server::TestDatabase;

/// Where the manifest is read and no row is.
const OPENED: &str = "source-locked";

/// Waits until a program has stopped itself.
pub(crate) fn has_stopped(process: Pid) {
    let stat = format!("/proc/{}/stat", process.as_raw_nonzero());
    wait_until("the program has stopped itself", || {
        let stat = fs::read_to_string(&stat).expect("the process is there");
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
        state.starts_with('T') || state.starts_with('Z')
    });
}

fn stopping(command: Gristmill) -> Gristmill {
    command.env("GRISTMILL_TEST_STOP_AT", OPENED)
}

fn second() -> Payload {
    Payload::numbered(7).file("pods.csv", Report::pods().hours(0..5).text())
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest of each archived payload by the number of its upload.
fn archived(database: &TestDatabase) -> Vec<Vec<Option<String>>> {
    database.query_rows(
        "SELECT right(manifest.assembly_id, 1), archive.digest
        FROM gristmill_archive AS archive
        JOIN reporting_common_costusagereportmanifest AS manifest
            ON manifest.id = archive.manifest_id
        ORDER BY 1",
    )
}

fn row(number: &str, payload: &Payload) -> Vec<Option<String>> {
    vec![Some(number.to_string()), Some(digest(&payload.tarball()))]
}

#[test]
fn a_payload_that_takes_the_name_of_one_at_work_is_run_too() {
    let database = TestDatabase::migrated();
    let inbox = tempfile::tempdir().expect("a folder");
    deliver(&Payload::usual(1), inbox.path(), "p.tar.gz");
    let watching = Watching::begin(stopping(watch(&database, inbox.path()).argument("--json")));
    has_stopped(Pid::from_child(&watching.child));
    deliver(&second(), inbox.path(), "p.tar.gz");
    watching.signal(Signal::CONT);
    let first = watching.result("p.tar.gz");
    assert_eq!(first["state"], "published", "{first}");
    assert_eq!(first["moved_to"], serde_json::Value::Null, "{first}");
    assert_eq!(first["rows_loaded"], 3, "{first}");
    let other = watching.result("p.tar.gz");
    assert_eq!(other["state"], "published", "{other}");
    assert_eq!(other["rows_read"], 5, "{other}");
    watching.stops();
    let rows = [row("1", &Payload::usual(1)), row("7", &second())];
    assert_eq!(archived(&database), rows);
    let kept = fs::read(inbox.path().join("done/p.tar.gz")).expect("the second payload");
    assert_eq!(digest(&kept), digest(&second().tarball()));
    assert_eq!(names(&inbox.path().join("done")), ["p.tar.gz"]);
}

#[test]
fn a_payload_that_is_written_to_while_it_is_run_is_run_again() {
    let database = TestDatabase::migrated();
    let inbox = tempfile::tempdir().expect("a folder");
    deliver(&Payload::usual(1), inbox.path(), "p.tar.gz");
    let watching = Watching::begin(stopping(watch(&database, inbox.path()).argument("--json")));
    has_stopped(Pid::from_child(&watching.child));
    write(inbox.path(), "p.tar.gz", &second().tarball());
    watching.signal(Signal::CONT);
    watching.says("was written to while it was run");
    watching.handles("p.tar.gz");
    watching.stops();
    assert_eq!(archived(&database), [row("7", &second())]);
    assert_eq!(names(&inbox.path().join("failed")), [""; 0]);
}

/// Runs a payload, and does something to it once it is open.
fn disturbed(
    payload: &Path,
    disturb: impl FnOnce(),
) -> (TestDatabase, crate::support::command::Ended) {
    let database = TestDatabase::migrated();
    let command = run(&database, "pipelines/ocp.toml", &[payload.to_path_buf()]);
    let running = stopping(command).begins();
    has_stopped(running.process());
    disturb();
    running.signal(Signal::CONT);
    (database, running.ends())
}

#[test]
fn run_goes_by_what_it_opened() {
    let here = tempfile::tempdir().expect("a folder");
    let path = Payload::usual(1).write(here.path(), "p.tar.gz");
    let (database, ended) = disturbed(&path, || {
        let other = second().write(here.path(), "other");
        fs::rename(other, &path).expect("the other one in its place");
    });
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(archived(&database), [row("1", &Payload::usual(1))]);
    let loaded = "SELECT count(*) FROM reporting_ocpusagelineitem_pod_staging";
    assert_eq!(database.query_value(loaded).as_deref(), Some("3"));
}

/// Same size, same time of change: the bytes tell.
#[test]
fn a_tarball_that_is_written_to_is_refused_whatever_its_time_says() {
    let here = tempfile::tempdir().expect("a folder");
    let path = Payload::usual(1).write(here.path(), "p.tar.gz");
    let (database, ended) = disturbed(&path, || {
        let file = fs::File::options()
            .write(true)
            .read(true)
            .open(&path)
            .expect("the payload");
        let before = file.metadata().and_then(|metadata| metadata.modified());
        // The time in the header of gzip, which nobody reads.
        file.write_all_at(&[1], 4).expect("another byte");
        file.set_modified(before.expect("a time"))
            .expect("our file");
    });
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(
        ended.stderr.contains("was changed while it was run"),
        "{ended}"
    );
    let published = "SELECT count(*) FROM gristmill_day";
    assert_eq!(database.query_value(published).as_deref(), Some("0"));
}

#[test]
fn a_folder_whose_files_are_replaced_is_refused() {
    let here = tempfile::tempdir().expect("a folder");
    let folder = Payload::usual(1).write_unpacked(here.path());
    let (database, ended) = disturbed(&folder, || {
        let other = write(
            here.path(),
            "other",
            Report::pods().hours(0..5).text().as_bytes(),
        );
        fs::rename(other, here.path().join("pods.csv")).expect("another report");
    });
    assert_eq!(ended.code, Some(1), "{ended}");
    let words = "member `pods.csv` was changed while the payload was run";
    assert!(ended.stderr.contains(words), "{ended}");
    let published = "SELECT count(*) FROM gristmill_day";
    assert_eq!(database.query_value(published).as_deref(), Some("0"));
}
