//! A server that is a standby: it recovers for ever, and takes no writes.

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

/// A running standby of a primary that never comes, which ends with this value.
pub(crate) struct Standby {
    child: Child,
    folder: TempDir,
}

impl Standby {
    #[track_caller]
    pub(crate) fn start() -> Standby {
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
        let signal = data.join("standby.signal");
        fs::write(&signal, "").expect("a file");
        account.own(&signal);
        let child = account
            .command(&binaries.program("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .args(["-c", "port=5432", "-c", "shared_buffers=16MB"])
            .stderr(fs::File::create(folder.path().join("log")).expect("a log"))
            .spawn()
            .expect("a server");
        let mut standby = Standby { child, folder };
        standby.wait();
        standby
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
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                panic!("the standby did not start ({ended:?})\n{log}");
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn database(&self) -> TestDatabase {
        TestDatabase::elsewhere(&format!(
            "postgresql:///postgres?host={}&port={PORT}&user=gristmill",
            self.folder.path().display()
        ))
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        // Its other processes end when they miss it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
