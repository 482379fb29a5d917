//! A PgBouncer in front of a test's database.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

use super::account::Account;
use super::server::{TestDatabase, scratch};

/// How long it may take to start.
const START_MAX: Duration = Duration::from_secs(20);

/// It names its socket after it.
const PORT: u16 = 6432;

/// A running pooler, which ends with this value.
pub(crate) struct Pooler {
    child: Child,
    folder: TempDir,
    user: String,
}

impl Pooler {
    /// With these lines in its configuration, besides where things are.
    #[track_caller]
    pub(crate) fn start(database: &TestDatabase, settings: &str) -> Pooler {
        let server: PgConnectOptions = database.url().parse().expect("a URL");
        let host = match server.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => server.get_host().to_owned(),
        };
        let folder = tempfile::tempdir_in(scratch()).expect("a folder");
        let (port, user) = (server.get_port(), server.get_username());
        let written = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n\
            * = host={host} port={port} user={user}\n\
            [pgbouncer]\n\
            listen_port = {PORT}\n\
            unix_socket_dir = {}\n\
            unix_socket_mode = 0777\n\
            auth_type = any\n\
            {settings}\n",
            folder.path().display()
        );
        fs::write(&written, text).expect("a configuration");
        let account = Account::of_server(database);
        account.own(folder.path());
        account.own(&written);
        let child = account
            .command(&program())
            .arg(&written)
            .stderr(fs::File::create(folder.path().join("log")).expect("a log"))
            .spawn()
            .expect("`setpriv` of util-linux");
        let mut pooler = Pooler {
            child,
            user: user.to_owned(),
            folder,
        };
        pooler.wait();
        pooler
    }

    #[track_caller]
    fn wait(&mut self) {
        let socket = self.folder.path().join(format!(".s.PGSQL.{PORT}"));
        let begun = Instant::now();
        // The socket is there before anybody listens on it.
        while UnixStream::connect(&socket).is_err() {
            let ended = self.child.try_wait().expect("the pooler");
            if ended.is_some() || begun.elapsed() > START_MAX {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                panic!("PgBouncer did not start ({ended:?})\n{log}");
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The test's database, by way of the pooler.
    pub(crate) fn database(&self, database: &TestDatabase) -> TestDatabase {
        TestDatabase::elsewhere(&format!(
            "postgresql:///{}?host={}&port={PORT}&user={}",
            database.name(),
            self.folder.path().display(),
            self.user
        ))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // It has nothing to lose; where it is gone already, that is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Debian has it where only root looks.
#[track_caller]
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    let found = folders
        .iter()
        .map(|folder| folder.join("pgbouncer"))
        .find(|program: &PathBuf| Path::is_file(program));
    found.expect("PgBouncer, which `make setup` installs for the tests")
}
