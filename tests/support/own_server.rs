//! Servers of a test's own, for what the shared one is not: a standby, or one that others
//! replicate.

use std::fs;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use gristmill::database;
use tempfile::TempDir;

use super::account::Account;
use super::server::{TestDatabase, scratch};

/// How long it may take to start.
const START_MAX: Duration = Duration::from_secs(60);

const PORT: u16 = 5432;

/// A running server, which ends with this value.
pub(crate) struct OwnServer {
    child: Child,
    folder: TempDir,
}

impl OwnServer {
    /// A standby of a primary that never comes: it recovers for ever, and takes no writes.
    #[track_caller]
    pub(crate) fn standby() -> OwnServer {
        Self::start(Some("standby.signal"), &[])
    }

    /// One whose changes others can be told of.
    #[track_caller]
    pub(crate) fn replicated() -> OwnServer {
        Self::start(None, &["-c", "wal_level=logical"])
    }

    #[track_caller]
    fn start(signal: Option<&str>, settings: &[&str]) -> OwnServer {
        let account = Account::of_server(&TestDatabase::empty());
        let binaries = database::server_programs().expect("the programs of a server");
        let folder = tempfile::tempdir_in(scratch()).expect("a folder");
        account.own(folder.path());
        let data = folder.path().join("data");
        let made = account
            .command(&binaries.program("initdb"))
            .arg("--pgdata")
            .arg(&data)
            .args(["--username", "gristmill", "--auth", "trust", "--no-sync"])
            .args(["--encoding", "UTF8", "--locale", "C"])
            .status()
            .expect("`setpriv` of util-linux");
        assert!(made.success(), "initdb");
        if let Some(signal) = signal {
            let signal = data.join(signal);
            fs::write(&signal, "").expect("a file");
            account.own(&signal);
        }
        let child = account
            .command(&binaries.program("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .args(["-c", "port=5432", "-c", "shared_buffers=16MB"])
            .args(settings)
            .stderr(fs::File::create(folder.path().join("log")).expect("a log"))
            .spawn()
            .expect("a server");
        let mut server = OwnServer { child, folder };
        server.wait();
        server
    }

    #[track_caller]
    fn wait(&mut self) {
        let begun = Instant::now();
        let status = self.folder.path().join("data/postmaster.pid");
        loop {
            let text = fs::read_to_string(&status).unwrap_or_default();
            if text
                .lines()
                .nth(7)
                .is_some_and(|line| line.trim() == "ready")
            {
                return;
            }
            let ended = self.child.try_wait().expect("the server");
            if ended.is_some() || begun.elapsed() > START_MAX {
                panic!("the server did not start ({ended:?})\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn database(&self, name: &str) -> TestDatabase {
        TestDatabase::elsewhere(&format!(
            "postgresql:///{name}?host={}&port={PORT}&user=gristmill",
            self.folder.path().display()
        ))
    }

    /// The messages of the server.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // Its other processes end when they miss it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
