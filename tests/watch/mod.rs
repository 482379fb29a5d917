//! `gristmill watch`: payloads are run as they appear, and put away with what
//! became of them.

/// A database, an archive or a lock that is not to be had.
mod surroundings;
/// Payloads that are not what they were a moment ago.
mod swapped;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::local_server::wait_until;
use crate::support::command::{Gristmill, file, gristmill};
use crate::support::payload::{Payload, Report, write};
use crate::support::server::TestDatabase;

/// Far longer than anything takes; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) use self::swapped::has_stopped;

fn watch(database: &TestDatabase, inbox: &Path) -> Gristmill {
    watch_by(database, &file("pipelines/ocp.toml"), inbox)
}

fn watch_by(database: &TestDatabase, pipeline: &Path, inbox: &Path) -> Gristmill {
    gristmill(["watch"])
        .argument(pipeline)
        .argument(inbox)
        .arguments(["--poll-milliseconds", "20"])
        .with_stages()
        .database(database)
        .calling(inbox, "[INBOX]")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a file").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn an_inbox_is_drained_the_oldest_first() {
    let database = TestDatabase::migrated();
    let inbox = tempfile::tempdir().expect("a folder");
    let older = Payload::usual(1).write(inbox.path(), "z-older.tar.gz");
    let past = std::time::SystemTime::now() - Duration::from_secs(3600);
    fs::File::options()
        .write(true)
        .open(older)
        .and_then(|file| file.set_modified(past))
        .expect("an older file");
    Payload::usual(2).write(inbox.path(), "a-newer.tar.gz");
    write(inbox.path(), "bad.tgz", b"?");
    write(inbox.path(), "notes.txt", b"not a payload");
    write(inbox.path(), ".uploading.tar.gz", b"?");

    let ended = watch(&database, inbox.path())
        .arguments(["--once", "--json"])
        .ends_with(1);
    let lines: Vec<serde_json::Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    let told: Vec<[&str; 3]> = lines
        .iter()
        .map(|line| ["payload", "state", "moved_to"].map(|key| line[key].as_str().unwrap_or("?")))
        .collect();
    assert_eq!(told.len(), 3, "{ended}");
    for line in [
        [
            "[INBOX]/z-older.tar.gz",
            "published",
            "[INBOX]/done/z-older.tar.gz",
        ],
        [
            "[INBOX]/a-newer.tar.gz",
            "published",
            "[INBOX]/done/a-newer.tar.gz",
        ],
        ["[INBOX]/bad.tgz", "failed", "[INBOX]/failed/bad.tgz"],
    ] {
        assert!(told.contains(&line), "{ended}");
    }
    // The bad one is of no source, and may be told of at any time.
    let of_the_source: Vec<&str> = told
        .iter()
        .map(|line| line[0])
        .filter(|payload| !payload.ends_with("bad.tgz"))
        .collect();
    assert_eq!(
        of_the_source,
        ["[INBOX]/z-older.tar.gz", "[INBOX]/a-newer.tar.gz"]
    );
    let last = ended.stderr.lines().last().expect("a last word");
    let last: serde_json::Value = serde_json::from_str(last).expect("one object");
    assert_eq!(last["message"], "1 of 3 payloads failed", "{ended}");
    let hint = "they are in `[INBOX]/failed`, each with its reason";
    assert_eq!(last["hint"], hint, "{ended}");

    assert_eq!(
        names(inbox.path()),
        [".uploading.tar.gz", "done", "failed", "notes.txt"]
    );
    assert_eq!(
        names(&inbox.path().join("done")),
        ["a-newer.tar.gz", "z-older.tar.gz"]
    );
    let failed = inbox.path().join("failed");
    assert_eq!(names(&failed), ["bad.tgz", "bad.tgz.error.txt"]);
    let reason = fs::read_to_string(failed.join("bad.tgz.error.txt")).expect("a reason");
    let inbox_name = inbox.path().display();
    assert_eq!(
        reason,
        format!(
            "error: payload `{inbox_name}/bad.tgz` is refused\n  \
            it is not a whole gzip-compressed tar archive: unexpected end of file\n\n\
            hint: nothing of it was published; \
            ask the operator of the cluster for a new upload\n"
        )
    );

    // Nothing is there any more.
    watch(&database, inbox.path())
        .argument("--once")
        .succeeds()
        .stdout_is("")
        .stderr_is("");
}

#[test]
fn an_inbox_that_cannot_be_watched_is_named() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(folder.path(), "file", b"");
    watch(&database, &file)
        .ends_with(2)
        .stdout_is("")
        .stderr_is("error: inbox `[INBOX]` is no folder");
}

/// With `--once`, a database out of reach is the end, and the payload stays.
#[test]
fn a_payload_stays_where_there_is_no_database() {
    let inbox = tempfile::tempdir().expect("a folder");
    Payload::usual(1).write(inbox.path(), "p.tar.gz");
    gristmill(["watch", "pipelines/ocp.toml", "--once"])
        .argument(inbox.path())
        .with_stages()
        .ends_with(3);
    assert!(inbox.path().join("p.tar.gz").is_file());
}

/// The program at work, line by line.
struct Watching {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Watching {
    fn begin(command: Gristmill) -> Watching {
        let mut child = command.starts();
        let stdout = lines(child.stdout.take().expect("a pipe"));
        let stderr = lines(child.stderr.take().expect("a pipe"));
        Watching {
            child,
            stdout,
            stderr,
        }
    }

    #[track_caller]
    fn says(&self, words: &str) {
        self.says_at_once(&[words]);
    }

    /// All of it in one line, as a failure is told to a program.
    #[track_caller]
    fn says_at_once(&self, words: &[&str]) {
        loop {
            let line = self.stderr.recv_timeout(PATIENCE).expect(words[0]);
            if words.iter().all(|words| line.contains(words)) {
                return;
            }
        }
    }

    #[track_caller]
    fn handles(&self, payload: &str) {
        let line = self.result(payload);
        assert_eq!(line["state"], "published", "{line}");
    }

    /// The message about the next payload, which is this one.
    #[track_caller]
    fn result(&self, payload: &str) -> serde_json::Value {
        let line = self.line();
        let path = line["payload"].as_str().unwrap_or("?");
        assert!(path.ends_with(payload), "{line}");
        line
    }

    /// The message about the next payload.
    #[track_caller]
    fn line(&self) -> serde_json::Value {
        let line = self.stdout.recv_timeout(PATIENCE).expect("a payload");
        serde_json::from_str(&line).expect("a line of JSON")
    }

    #[track_caller]
    fn ends_well(mut self) {
        let status = self.child.wait().expect("an end");
        let told: Vec<String> = self.stderr.iter().collect();
        assert_eq!(status.code(), Some(0), "{told:?}");
    }

    fn signal(&self, signal: Signal) {
        let process = Pid::from_child(&self.child);
        kill_process(process, signal).expect("a signal");
    }

    #[track_caller]
    fn stops(mut self) {
        self.signal(Signal::TERM);
        self.says("stopped");
        let status = self.child.wait().expect("an end");
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // Where a test failed before it stopped; otherwise it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// As an uploader should: whole at once, under another name before.
fn deliver(payload: &Payload, inbox: &Path, name: &str) {
    let hidden = write(inbox, &format!(".{name}"), &payload.tarball());
    fs::rename(hidden, inbox.join(name)).expect("a payload");
}

#[test]
fn payloads_are_run_as_they_appear_also_after_the_database_was_away() {
    let database = TestDatabase::migrated();
    let inbox = tempfile::tempdir().expect("a folder");
    let watching = Watching::begin(watch(&database, inbox.path()).argument("--json"));
    watching.says("watching ");
    deliver(&Payload::usual(1), inbox.path(), "first.tar.gz");
    watching.handles("first.tar.gz");

    // One is enough for an inbox.
    watch(&database, inbox.path()).ends_with(2).stderr_is(
        "error: inbox `[INBOX]` is watched by another process\n\n\
            hint: one is enough; it takes all payloads in turn",
    );

    database.close();
    let second = Payload::numbered(7).file("pods.csv", Report::pods().hours(0..5).text());
    deliver(&second, inbox.path(), "second.tar.gz");
    watching.says("the payload stays in the inbox until the database is back");
    database.reopen();
    watching.says("the database is back");
    watching.handles("second.tar.gz");
    assert_eq!(
        names(&inbox.path().join("done")),
        ["first.tar.gz", "second.tar.gz"]
    );
    assert_eq!(names(&inbox.path().join("failed")), [] as [&str; 0]);
    watching.stops();
}

/// The server's processes of the sessions that a payload held, and that wait for the next.
fn waiting_sessions(database: &TestDatabase) -> Vec<Vec<Option<String>>> {
    database.query_rows(
        "SELECT pid
        FROM pg_stat_activity
        WHERE
            datname = current_database()
            AND state = 'idle'
            AND query LIKE '%pg_advisory_unlock_all() AS unlocked%'
        ORDER BY pid",
    )
}

#[test]
fn sessions_serve_one_payload_after_another_and_are_replaced_when_they_are_gone() {
    let database = TestDatabase::migrated();
    let inbox = tempfile::tempdir().expect("a folder");
    let watching = Watching::begin(watch(&database, inbox.path()).argument("--json"));
    watching.says("watching ");
    let hours = |number: u32| {
        let report = Report::pods().hours(0..number);
        Payload::numbered(number).file("pods.csv", report.text())
    };
    let run = |number: u32| {
        let name = format!("{number}.tar.gz");
        deliver(&hours(number), inbox.path(), &name);
        watching.handles(&name);
        // What ends a payload comes after its result.
        wait_until("its session waits", || {
            waiting_sessions(&database).len() == 1
        });
        waiting_sessions(&database)
    };
    let first = run(1);
    assert_eq!(run(2), first);
    assert_eq!(run(3), first);
    for session in &first {
        let process = session[0].as_deref().expect("a process");
        database.execute(&format!("SELECT pg_terminate_backend({process})"));
    }
    let others = run(4);
    assert!(others.iter().all(|session| !first.contains(session)));
    let held = "SELECT count(*) FROM pg_locks
        WHERE locktype = 'advisory' AND database = (
            SELECT oid FROM pg_database WHERE datname = current_database()
        )";
    assert_eq!(database.query_value(held).as_deref(), Some("0"));
    watching.stops();
}
