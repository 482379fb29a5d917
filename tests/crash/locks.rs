//! Sessions that end alone: a time-out of idle ones or a firewall ends that which locks
//! the source, and the run knows nothing of it.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::{DAYS, payload};
use crate::local_server::wait_until;
use crate::support::command::{Ended, Running};
use crate::support::payload::{Payload, Report};
use crate::support::site::Site;
use crate::support::torture::{Work, figure};

/// Where a run is while its session ends, and how often it has got there: before, within
/// and behind each COPY. The payloads here have two, each with a transaction of its own.
const PLACES: [(&str, u32); 9] = [
    ("generation-opened", 1),
    ("copy-begun", 1),
    ("copy-ending", 1),
    ("copy-held", 1),
    ("copy-ended", 1),
    ("copy-held", 2),
    ("copy-ended", 2),
    ("month-ensured", 2),
    ("copy-sent", 2),
];

/// The places that `make test` tries.
const USUALLY: u32 = 5;

/// Starts a run that stops there.
#[track_caller]
fn stops_at(site: &Site, payloads: &[PathBuf], place: (&str, u32)) -> Running {
    let (failpoint, times) = place;
    let failpoints = site.folder().join("failpoints");
    let _ = std::fs::remove_file(&failpoints);
    let running = site
        .run(payloads)
        .env("GRISTMILL_TEST_FAILPOINTS", &failpoints)
        .env("GRISTMILL_TEST_KEPT_BYTES", "0")
        .env("GRISTMILL_TEST_STOP_AT", format!("{failpoint}:{times}"))
        .begins();
    wait_until("it stops there", || {
        let passed = std::fs::read_to_string(&failpoints).unwrap_or_default();
        passed.lines().filter(|line| *line == failpoint).count() >= times as usize
    });
    running
}

/// Starts a run that stops there, and ends the session by which it locks its source.
#[track_caller]
fn loses_its_lock_at(site: &Site, payloads: &[PathBuf], place: (&str, u32)) -> Running {
    let running = stops_at(site, payloads, place);
    let ended = site.database.query_rows(
        "SELECT pg_terminate_backend(held.pid, 30000)
        FROM gristmill_source AS source
        JOIN pg_locks AS held
            ON held.locktype = 'advisory'
            AND held.granted
            AND (held.classid::bigint << 32 | held.objid::bigint) = source_lock_key(source.source_uuid)
        JOIN pg_database AS database
            ON database.oid = held.database
            AND database.datname = current_database()",
    );
    assert_eq!(ended, [[Some("t".to_string())]], "its session at {place:?}");
    running
}

/// It says that its session has ended, and that this is nothing of its own.
#[track_caller]
fn notices(ended: &Ended) {
    assert_eq!(ended.code, Some(3), "{ended}");
    let words = "the session that kept other runs out of cluster `test-cluster` has ended";
    assert_eq!(ended.stderr.matches(words).count(), 1, "{ended}");
    assert_eq!(ended.stderr.matches("error: ").count(), 1, "{ended}");
}

#[test]
fn a_run_that_lost_its_lock_leaves_nothing_in_the_way_of_another() {
    let alone = Site::new();
    let payloads = [payload(1, &DAYS, 3)];
    alone.run(&alone.write(&payloads)).succeeds();
    let work = Work::new(USUALLY, PLACES.len() as u32, Duration::from_secs(60));
    for (done, place) in (0..).zip(PLACES) {
        if !work.goes_on(done) {
            break;
        }
        let site = Site::new();
        let paths = site.write(&payloads);
        let first = loses_its_lock_at(&site, &paths, place);
        let second = site.run(&paths).begins();
        // It is done, or waits for a COPY that is at its end.
        wait_until("another run has come that far", || {
            let state = site.database.query_value(
                "SELECT
                    EXISTS (SELECT FROM gristmill_run WHERE state = 'published')
                    OR EXISTS (
                        SELECT
                        FROM pg_stat_activity
                        WHERE
                            datname = current_database()
                            AND wait_event_type = 'Lock'
                            AND wait_event = 'transactionid'
                    )",
            );
            state.as_deref() == Some("t")
        });
        first.signal(Signal::CONT);
        notices(&first.ends());
        let second = second.ends();
        assert_eq!(second.code, Some(0), "{second}");
        site.is_like(&alone, &format!("a lock that was lost at {place:?}"));
        figure("locks lost", 1);
    }
}

#[test]
fn a_run_that_lost_its_lock_publishes_nothing_and_may_come_again() {
    let (site, alone) = (Site::new(), Site::new());
    let payloads = [payload(1, &DAYS, 2)];
    let paths = site.write(&payloads);
    let run = loses_its_lock_at(&site, &paths, ("copy-ended", 2));
    run.signal(Signal::CONT);
    notices(&run.ends());
    let days = site
        .database
        .query_value("SELECT count(*) FROM gristmill_day");
    assert_eq!(days.as_deref(), Some("0"));
    site.run(&paths).succeeds();
    alone.run(&alone.write(&payloads)).succeeds();
    site.is_like(&alone, "a lock that was lost before the end");
}

/// Whoever does that passes over the lock of the source.
#[test]
fn a_run_whose_rows_somebody_removed_publishes_nothing_and_may_come_again() {
    let (site, alone) = (Site::new(), Site::new());
    let payloads = [payload(1, &DAYS, 2)];
    let paths = site.write(&payloads);
    let run = stops_at(&site, &paths, ("copy-ended", 2));
    site.database
        .execute("UPDATE gristmill_generation SET state = 'forgotten'");
    run.signal(Signal::CONT);
    let ended = run.ends();
    assert_eq!(ended.code, Some(3), "{ended}");
    let words = "the rows that it had loaded were removed";
    assert_eq!(ended.stderr.matches(words).count(), 1, "{ended}");
    let hours = "SELECT (SELECT count(*) FROM gristmill_day)
        + (SELECT count(*) FROM gristmill_coverage)
        + (SELECT count(*) FROM gristmill_hour_read)";
    assert_eq!(site.database.query_value(hours).as_deref(), Some("0"));
    site.run(&paths).succeeds();
    alone.run(&alone.write(&payloads)).succeeds();
    site.is_like(&alone, "rows that somebody removed");
}

#[test]
fn a_run_that_lost_its_lock_keeps_no_rejected_rows() {
    let site = Site::new();
    let bad = Report::pods().with_too_many_bad();
    let bad = Payload::numbered(2).file("bad.csv", bad.hours(1..3).text());
    let paths = site.write(&[bad]);
    let run = loses_its_lock_at(&site, &paths, ("copy-ended", 1));
    run.signal(Signal::CONT);
    notices(&run.ends());
    let kept = site
        .database
        .query_value("SELECT count(*) FROM gristmill_quarantine");
    assert_eq!(kept.as_deref(), Some("0"));
}

#[test]
fn a_replay_that_lost_its_lock_changes_nothing() {
    let site = Site::new();
    let paths = site.write(&[payload(1, &DAYS, 2)]);
    site.run(&paths).succeeds();
    let before = site.database.digests_of_summaries();
    // The run that stops is a replay; its archive is that of the site.
    let failpoints = site.folder().join("failpoints");
    let replay = site
        .command(&["replay", "pipelines/ocp.toml", "--source", "test-cluster"])
        .arguments(["--from", DAYS[0], "--to", DAYS[1]])
        .with_stages()
        .env("GRISTMILL_TEST_FAILPOINTS", &failpoints)
        .env("GRISTMILL_TEST_KEPT_BYTES", "0")
        .env("GRISTMILL_TEST_STOP_AT", "copy-ended:2")
        .begins();
    wait_until("it stops there", || {
        let passed = std::fs::read_to_string(&failpoints).unwrap_or_default();
        passed.matches("copy-ended").count() == 2
    });
    site.database.execute(
        "SELECT pg_terminate_backend(held.pid, 30000)
        FROM gristmill_source AS source
        JOIN pg_locks AS held
            ON held.locktype = 'advisory'
            AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (held.classid::bigint << 32 | held.objid::bigint) = source_lock_key(source.source_uuid)",
    );
    replay.signal(Signal::CONT);
    notices(&replay.ends());
    assert_eq!(site.database.digests_of_summaries(), before);
    // Its staged rows go with the next run of the source.
    site.run(&paths).succeeds();
    site.is_in_order("a replay that lost its lock");
}
