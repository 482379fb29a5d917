//! The Postgres server that gristmill starts itself when it is given no URL.
//!
//! It lives in `postgres/` of the data directory, listens on a unix socket in a
//! private folder and nowhere else, and outlives the command that started it, so
//! that the next command finds it running. It is an ordinary durable server;
//! only the tests ask for a throw-away one. Root's runs as another user, whose folder
//! root does not trust: see `account` and `folder`. Everything here waits and blocks: a
//! running server costs a few file reads, a start about a tenth of a second.

mod account;
mod binaries;
mod folder;
mod launch;
mod layout;
mod postmaster;
mod settings;
mod socket;
mod trusted;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use self::layout::Layout;
use self::postmaster::Postmaster;
use super::error::{DatabaseError, path_text};

pub use self::binaries::Binaries;
pub(super) use self::binaries::VERSION_MIN;
pub(super) use self::folder::Refused;
pub use self::settings::Durability;

/// Name of the server's superuser and of its one database.
const NAME: &str = "gristmill";

/// No TCP port; Postgres only names its socket after it.
const PORT: u16 = 5432;

/// A start waits for crash recovery, which reads at most `max_wal_size`.
const START_SECONDS_MAX: u64 = 120;
const STOP_SECONDS_MAX: u64 = 60;

/// How often to look whether something has happened.
const POLL: Duration = Duration::from_millis(5);

/// A local server that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalServer {
    /// The postmaster's process id.
    pub process: i32,
    /// Where its files are.
    pub directory: PathBuf,
    socket_directory: PathBuf,
}

impl LocalServer {
    /// The server's database as a URL that psql and sqlx accept.
    pub fn url(&self) -> String {
        let host = socket::percent_encode(&self.socket_directory);
        format!("postgresql:///{NAME}?host={host}&port={PORT}&user={NAME}")
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.socket_directory)
            .port(PORT)
            .username(NAME)
            .database(NAME)
            .ssl_mode(PgSslMode::Disable)
    }
}

/// Returns the running server of this data directory, after creating and
/// starting it where needed.
pub(super) fn start(
    data_directory: &Path,
    durability: Durability,
    say: &dyn Fn(&str),
) -> Result<LocalServer, DatabaseError> {
    let layout = Layout::of(data_directory)?;
    if let Some(base) = layout.open_base()?
        && let Some(home) = layout.open_home(&base)?
        && let Some((server, _)) = layout.running(&home)?
    {
        return Ok(server);
    }

    let base = layout.create_base()?;
    let _lock = layout.lock(&base)?;
    // Another process may have started it while we waited.
    if let Some(home) = layout.open_home(&base)?
        && let Some((server, _)) = layout.settle(&home)?
    {
        return Ok(server);
    }

    let home = layout.create_home(&base)?;
    let binaries = match layout.data_version(&home)? {
        Some(data_version) => Binaries::find_version(data_version)?.ok_or_else(|| {
            DatabaseError::ServerProgramsMismatch {
                directory: layout.data.clone(),
                data_version,
            }
        })?,
        None => {
            let binaries = Binaries::find()?;
            say(&format!(
                "creating a Postgres {} server in {}",
                binaries.version,
                path_text(&layout.home)
            ));
            layout.initialise(&home, &binaries, durability)?;
            binaries
        }
    };
    say(&format!(
        "starting Postgres {} in {}",
        binaries.version,
        path_text(&layout.home)
    ));
    layout.prepare(&home, durability)?;
    layout.launch(&home, &binaries)
}

/// Stops the server of this data directory; says whether there was one.
pub(super) fn stop(data_directory: &Path) -> Result<bool, DatabaseError> {
    let layout = Layout::of(data_directory)?;
    let Some(base) = layout.open_base()? else {
        return Ok(false);
    };
    if layout.open_home(&base)?.is_none() {
        return Ok(false);
    }
    let _lock = layout.lock(&base)?;
    // Another process may have removed or made it while we waited.
    let Some(home) = layout.open_home(&base)? else {
        return Ok(false);
    };
    let Some((server, process)) = layout.settle(&home)? else {
        return Ok(false);
    };
    process.shut_down(&home)?;
    let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
    while let Some(found) = Postmaster::read(&layout, &home)?
        && found.process == server.process
        && found.process(&home)?.is_some()
    {
        if Instant::now() > deadline {
            return Err(DatabaseError::LocalServerStop {
                process: server.process,
                seconds: STOP_SECONDS_MAX,
            });
        }
        thread::sleep(POLL);
    }
    // Only of interest in /tmp, where it would be litter.
    let folder = &server.socket_directory;
    let _ = home.account.acting(|| fs::remove_dir(folder));
    Ok(true)
}
