//! The servers that tests of the engine `trino` ask: a Trino of two nodes, and an S3 server,
//! all on loopback, started on first use and gone with the tests.
//!
//! A test that needs them begins with
//!
//! ```ignore
//! let Some(engines) = engines::shared() else { return };
//! let corner = engines.corner();
//! ```
//!
//! and has a schema of Trino and a prefix of the bucket to itself; `engines::private()` is for
//! tests that break servers. Where there are none the test is noted as skipped, which `make
//! test` tells in its last lines; with `ENGINES=required`, and in CI, it fails.
//!
//! `GRISTMILL_TEST_TRINO` (`http://host:port/catalog`) and `GRISTMILL_TEST_S3`
//! (`http://key:secret@host:port/bucket`, which that Trino's catalog reads and writes) name
//! others, which the shared ones are then.

mod catalog;
/// `check --connect`.
mod checking;
pub(crate) mod corner;
/// Failures of the real servers.
mod failing;
/// Against the real servers.
mod folding;
mod installed;
mod process;
/// Against a stand-in.
mod protocol;
mod rows;
mod s3;
/// Commands that are ended while Trino is at work.
mod signals;
mod stand_in;
mod trino;

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use self::installed::Installed;
use self::s3::{Bucket, S3};
use self::trino::Trino;
use crate::support::server::scratch;

/// Servers that tests may ask.
pub(crate) struct Engines {
    url: String,
    catalog: String,
    bucket: Bucket,
    /// Where they are ours.
    pub(crate) own: Option<Own>,
}

/// Servers of ours.
pub(crate) struct Own {
    pub(crate) trino: Trino,
    pub(crate) s3: S3,
    /// What Trino's catalog `files` calls `local:///`.
    pub(crate) files: PathBuf,
}

/// Holds servers up for `make bench BENCH=--engines`, until the file is removed that
/// `GRISTMILL_TEST_SERVERS` names and that has the sections of a pipeline for them.
#[test]
#[ignore = "it waits for a benchmark"]
fn held_up_for_a_benchmark() {
    let path = PathBuf::from(env::var_os("GRISTMILL_TEST_SERVERS").expect("a path"));
    let engines = shared().expect("servers");
    std::fs::write(&path, engines.corner().sections()).expect("a file");
    while path.exists() {
        thread::sleep(std::time::Duration::from_millis(200));
    }
}

/// The servers that all tests of a process share. `None` says that the test is skipped.
#[track_caller]
pub(crate) fn shared() -> Option<&'static Engines> {
    static SHARED: OnceLock<Result<Engines, String>> = OnceLock::new();
    let started = SHARED.get_or_init(|| match named() {
        Some(engines) => engines,
        None => start(),
    });
    or_skip(started.as_ref().map_err(Clone::clone))
}

/// Servers that a test may break.
pub(crate) struct Private {
    pub(crate) engines: Engines,
    /// Each takes gigabytes, so there is one at a time.
    _turn: MutexGuard<'static, ()>,
}

#[track_caller]
pub(crate) fn private() -> Option<Private> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    Some(Private {
        engines: or_skip(start())?,
        _turn: turn,
    })
}

/// Those of the environment.
fn named() -> Option<Result<Engines, String>> {
    let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let trino = variable("GRISTMILL_TEST_TRINO")?;
    let Some(s3) = variable("GRISTMILL_TEST_S3") else {
        return Some(Err(
            "GRISTMILL_TEST_TRINO needs GRISTMILL_TEST_S3".to_owned()
        ));
    };
    let wrong = || "GRISTMILL_TEST_TRINO is no `http://host:port/catalog`".to_owned();
    let parsed = trino.rsplit_once('/').ok_or_else(wrong).and_then(|parts| {
        let bucket = Bucket::parse(&s3);
        let wrong = "GRISTMILL_TEST_S3 is no `http://key:secret@host:port/bucket`";
        Ok((parts, bucket.ok_or(wrong)?))
    });
    Some(parsed.map(|((url, catalog), bucket)| Engines {
        url: url.to_owned(),
        catalog: catalog.to_owned(),
        bucket,
        own: None,
    }))
}

fn start() -> Result<Engines, String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let installed = Installed::find()?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = trino::folder(scratch(), number).map_err(|error| error.to_string())?;
    let files = folder.join("files");
    std::fs::create_dir(&files).map_err(|error| error.to_string())?;
    let s3 = S3::start(&installed, &folder)?;
    let trino = Trino::start(&installed, &folder, &s3.bucket, &files)?;
    Ok(Engines {
        url: trino.url(),
        catalog: "lake".to_owned(),
        bucket: s3.bucket.clone(),
        own: Some(Own { trino, s3, files }),
    })
}

#[track_caller]
fn or_skip<T>(started: Result<T, String>) -> Option<T> {
    let reason = match started {
        Ok(engines) => return Some(engines),
        Err(reason) => reason,
    };
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let required = is_set("GRISTMILL_TEST_ENGINES") || is_set("CI");
    // What is there and does not start is a failure everywhere.
    if required || Installed::find().is_ok() {
        panic!("this test needs Trino and an S3 server\n{reason}");
    }
    if let Some(path) = env::var_os("GRISTMILL_TEST_SKIPPED") {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let thread = thread::current();
        let line = format!("{}\n", thread.name().unwrap_or("a test"));
        // One write a line, since tests end at the same time.
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("a list of skipped tests");
    }
    None
}
