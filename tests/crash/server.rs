//! The server goes away under a run, or has no room. The run ends by itself, and says
//! so; run again, everything is as if nothing had happened.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gristmill::database;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use super::{DAYS, payload};
use crate::local_server::{DataDirectory, gone, wait_until};
use crate::support::command::{Ended, Gristmill, Running};
use crate::support::payload::{Payload, Report};
use crate::support::server::TestDatabase;
use crate::support::site::Site;
use crate::support::torture::{Chance, Work, figure};

/// In the middle of a COPY, and of the transaction that publishes.
const IN_THE_MIDDLE: [&str; 2] = ["copy-sent", "days-summarized"];

/// Bytes that a file of the server may have while there is no room: more than any of
/// its catalogs, less than the rows of `many_rows`.
const ROOM_BYTES: &str = "4194304";

impl Running {
    /// Waits until it has stopped itself.
    #[track_caller]
    pub(crate) fn has_stopped(self) -> Running {
        let stat = format!("/proc/{}/stat", self.process().as_raw_nonzero());
        wait_until("the program has stopped itself", || {
            let stat = fs::read_to_string(&stat).expect("the process is there");
            let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
            state.starts_with('T') || state.starts_with('Z')
        });
        self
    }

    pub(crate) fn goes_on(self) -> Ended {
        self.signal(Signal::CONT);
        self.ends()
    }
}

fn stopped_at(command: Gristmill, failpoint: &str) -> Running {
    command
        .env("GRISTMILL_TEST_STOP_AT", failpoint)
        .begins()
        .has_stopped()
}

#[track_caller]
fn failed(ended: &Ended, failpoint: &str) {
    assert!(matches!(ended.code, Some(1 | 3)), "at {failpoint}\n{ended}");
    assert!(
        ended.stderr.starts_with("error: "),
        "at {failpoint}\n{ended}"
    );
}

/// Ends every other session of the database.
fn cut_connections(site: &Site) {
    site.database.execute(
        "SELECT pg_terminate_backend(pid)
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
}

#[test]
fn connections_that_are_cut_at_a_step() {
    let (site, untouched) = (Site::new(), Site::new());
    let payloads = site.write(&[payload(1, &DAYS, 2)]);
    untouched.run(&payloads).succeeds();
    for failpoint in [
        // Once it is there it is not placed again.
        "archive-placed",
        "source-locked",
        "generation-opened",
        "label-sets-stored",
        "copy-begun",
        "copy-sent",
        "copy-ending",
        "generation-recorded",
        "days-claimed",
        "days-summarized",
        "manifest-completed",
    ] {
        let running = stopped_at(site.run(&payloads), failpoint);
        cut_connections(&site);
        failed(&running.goes_on(), failpoint);
        figure("connections cut", 1);
    }
    site.run(&payloads).succeeds();
    site.is_like(&untouched, "connections that were cut");
}

#[test]
fn connections_that_are_cut_at_any_moment() {
    let (site, untouched) = (Site::new(), Site::new());
    let payloads = site.write(&[payload(1, &DAYS, 2), payload(2, &DAYS[..1], 3)]);
    untouched.run(&payloads).succeeds();
    let mut chance = Chance(3);
    let work = Work::new(12, 200, Duration::from_secs(2 * 60));
    for _ in (0..).take_while(|done| work.goes_on(*done)) {
        let running = site.run(&payloads).begins();
        for _ in 0..chance.below(30) {
            // As long as a question takes.
            site.database.query_value("SELECT 1");
        }
        cut_connections(&site);
        let ended = running.ends();
        if ended.code != Some(0) {
            assert!(ended.stderr.contains("error: "), "{ended}");
            figure("connections cut", 1);
        }
    }
    site.run(&payloads).succeeds();
    site.is_like(&untouched, "connections that were cut");
}

/// A site on a server of its own.
struct OwnServer {
    data: DataDirectory,
    site: Site,
}

impl OwnServer {
    #[track_caller]
    fn new() -> OwnServer {
        let data = DataDirectory::new();
        let url = data.url();
        OwnServer::at(data, &url)
    }

    fn at(data: DataDirectory, url: &str) -> OwnServer {
        let site = Site::with(TestDatabase::elsewhere(url));
        site.command(&["db", "migrate"]).succeeds();
        OwnServer { data, site }
    }

    fn postmaster(&self) -> Pid {
        self.data.postmaster().expect("the server runs")
    }

    /// Runs the payload again once the server is back, started anew if need be, and
    /// compares with a site where nothing happened.
    #[track_caller]
    fn recovers(&self, payload: &Payload, after: &str) {
        self.data.url();
        wait_until("the server takes connections", || {
            self.site.command(&["db", "migrate"]).ends().code == Some(0)
        });
        let untouched = Site::new();
        let paths = untouched.write(std::slice::from_ref(payload));
        untouched.run(&paths).succeeds();
        self.site.run(&paths).succeeds();
        self.site.is_like(&untouched, after);
    }
}

#[test]
fn a_session_that_is_killed_takes_the_server_with_it_for_a_moment() {
    for failpoint in IN_THE_MIDDLE {
        let server = OwnServer::new();
        let payload = payload(1, &DAYS, 2);
        let paths = server.site.write(std::slice::from_ref(&payload));
        let running = stopped_at(server.site.run(&paths), failpoint);
        // The server treats the loss of any session as a crash of all.
        let session = server.site.database.query_value(
            "SELECT max(pid)
            FROM pg_stat_activity
            WHERE application_name = 'gristmill'",
        );
        let session = session.expect("a session").parse().expect("a number");
        let session = Pid::from_raw(session).expect("a process");
        kill_process(session, Signal::KILL).expect("a session of ours");
        wait_until("the session is gone", || gone(session));
        failed(&running.goes_on(), failpoint);
        server.recovers(&payload, failpoint);
        figure("servers killed", 1);
    }
}

#[test]
fn a_server_that_is_shut_down_at_once() {
    for failpoint in IN_THE_MIDDLE {
        let server = OwnServer::new();
        let payload = payload(1, &DAYS, 2);
        let paths = server.site.write(std::slice::from_ref(&payload));
        let running = stopped_at(server.site.run(&paths), failpoint);
        let postmaster = server.postmaster();
        kill_process(postmaster, Signal::QUIT).expect("a server of ours");
        wait_until("the server is gone", || gone(postmaster));
        failed(&running.goes_on(), failpoint);
        server.recovers(&payload, failpoint);
        figure("servers killed", 1);
    }
}

/// Programs of a server whose files can only have so many bytes.
fn programs(folder: &Path, file_bytes_max: &str) -> PathBuf {
    let real = database::server_programs()
        .expect("there is a server")
        .directory;
    let folder = folder.join(file_bytes_max);
    fs::create_dir(&folder).expect("a folder");
    // The server may run as another user.
    let passable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&folder, passable.clone()).expect("our folder");
    for (name, options) in [
        // The files of the log are smaller than the room.
        ("initdb", "--wal-segsize=1"),
        ("pg_ctl", ""),
        ("postgres", ""),
    ] {
        let program = folder.join(name);
        let real = real.join(name).display().to_string();
        let limit = format!("prlimit --fsize={file_bytes_max}");
        let script = format!("#!/bin/sh\nexec {limit} '{real}' \"$@\" {options}\n");
        fs::write(&program, script).expect("a program");
        fs::set_permissions(&program, passable.clone()).expect("our program");
    }
    folder
}

/// Rows of some megabytes in staging.
fn many_rows() -> Payload {
    let mut report = Report::pods();
    for pod in 0..1_500 {
        let pod = format!("a-pod-with-a-rather-long-name-{pod}");
        for hour in 0..20 {
            report = report.row(hour, &[("pod", &pod)]);
        }
    }
    Payload::numbered(1).file("pods.csv", report.text())
}

/// The files of the server may not grow, which it takes as a disk that is full.
#[test]
fn a_disk_that_is_full() {
    let data = DataDirectory::new();
    let folder = data.folder();
    let (wide, narrow) = (programs(folder, "unlimited"), programs(folder, ROOM_BYTES));
    let url = data.url_with(&wide);
    let server = OwnServer::at(data, &url);
    let payload = many_rows();
    let paths = server.site.write(std::slice::from_ref(&payload));
    server.data.run("stop");
    server.data.url_with(&narrow);
    let ended = server.site.run(&paths).ends();
    failed(&ended, "a full disk");
    assert!(ended.stderr.contains("pod_staging"), "{ended}");
    server.data.run("stop");
    server.data.url_with(&wide);
    server.recovers(&payload, "a disk that was full");
    figure("full disks", 1);
}

/// The disk of the archive is full: the system ends the host.
#[test]
fn an_archive_that_is_full() {
    let (site, untouched) = (Site::new(), Site::new());
    let payloads = site.write(&[payload(1, &DAYS, 2)]);
    let running = stopped_at(site.run(&payloads), "archive-begun");
    let limit = Rlimit {
        current: Some(100),
        maximum: Some(100),
    };
    prlimit(Some(running.process()), Resource::Fsize, limit).expect("a process of ours");
    assert_eq!(running.goes_on().code, None);
    site.run(&payloads).succeeds();
    untouched.run(&payloads).succeeds();
    site.is_like(&untouched, "an archive that was full");
    figure("full disks", 1);
}
