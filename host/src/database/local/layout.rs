//! The files of one local server, who may touch them, and what they tell.
//!
//! Creates folders and takes the lock; starting and stopping are elsewhere.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::account::{self, Account};
use super::postmaster::Postmaster;
use super::{LocalServer, POLL, START_SECONDS_MAX};
use crate::database::error::{DatabaseError, path_text};

/// As long as another process may take to create, recover and start a server.
const LOCK_SECONDS_MAX: u64 = 180;

/// What of a failed start's log goes into the error.
const LOG_TAIL_LINES: usize = 8;
const LOG_BYTES_MAX: u64 = 8 << 20;

/// The files of one local server.
pub(super) struct Layout {
    /// The data directory that the user chose; other things of gristmill live there.
    pub(super) base: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) home: PathBuf,
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
}

impl Layout {
    pub(super) fn of(data_directory: &Path) -> Result<Layout, DatabaseError> {
        let base = std::path::absolute(data_directory).map_err(DatabaseError::system(format!(
            "find folder {}",
            path_text(data_directory)
        )))?;
        let home = base.join("postgres");
        Ok(Layout {
            lock: base.join("postgres.lock"),
            data: home.join("data"),
            log: home.join("server.log"),
            home,
            base,
        })
    }

    /// The server, when it runs and takes connections.
    pub(super) fn running(&self) -> Result<Option<LocalServer>, DatabaseError> {
        account::check_ownership(&self.home)?;
        let Some(postmaster) = Postmaster::read(&self.data)? else {
            return Ok(None);
        };
        if !postmaster.answers() {
            return Ok(None);
        }
        Ok(Some(LocalServer {
            process: postmaster.process,
            directory: self.home.clone(),
            socket_directory: postmaster.socket_directory,
        }))
    }

    /// As `running`, but waits for a server that is starting or stopping, which
    /// a killed predecessor may have left. Call under the lock.
    pub(super) fn settle(&self) -> Result<Option<LocalServer>, DatabaseError> {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        loop {
            if let Some(server) = self.running()? {
                return Ok(Some(server));
            }
            let Some(postmaster) = Postmaster::read(&self.data)? else {
                return Ok(None);
            };
            if !postmaster.lives(&self.data) {
                return Ok(None);
            }
            if Instant::now() > deadline {
                return Err(DatabaseError::LocalServerStart {
                    log: self.log.clone(),
                    output: self.log_tail(0),
                });
            }
            thread::sleep(POLL);
        }
    }

    /// Creates the data directory, where the lock will be.
    pub(super) fn create_base(&self) -> Result<(), DatabaseError> {
        // Root's server runs as another user, who must get through.
        let mode = if account::we_are_root() { 0o711 } else { 0o700 };
        DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(&self.base)
            .map_err(DatabaseError::system(format!(
                "create folder {}",
                path_text(&self.base)
            )))
    }

    /// Creates the server's folder, private to the account that the server is to
    /// run as. Call under the lock.
    pub(super) fn create_home(&self) -> Result<Account, DatabaseError> {
        if exists(&self.home)? && !self.abandoned()? {
            return Account::of_existing(&self.home);
        }
        let account = Account::for_new(&self.base)?;
        match DirBuilder::new().mode(0o700).create(&self.home) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => account.adopt(&self.home),
        }
        .map_err(DatabaseError::system(format!(
            "create folder {}",
            path_text(&self.home)
        )))?;
        Ok(account)
    }

    /// Whether a process was killed between creating the folder and giving it away.
    fn abandoned(&self) -> Result<bool, DatabaseError> {
        fs::read_dir(&self.home)
            .map(|mut entries| entries.next().is_none())
            .map_err(DatabaseError::system(format!(
                "read folder {}",
                path_text(&self.home)
            )))
    }

    /// Holds off other processes until dropped, or until this process dies.
    pub(super) fn lock(&self) -> Result<File, DatabaseError> {
        let doing = || DatabaseError::system(format!("lock {}", path_text(&self.lock)));
        // Ours alone: whoever can read it could hold it for ever.
        let file = match File::open(&self.lock) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&self.lock),
            opened => opened,
        }
        .and_then(ours_alone)
        .map_err(doing())?;

        let deadline = Instant::now() + Duration::from_secs(LOCK_SECONDS_MAX);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(doing()(error)),
                Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                    return Err(DatabaseError::LocalServerBusy {
                        lock: self.lock.clone(),
                        seconds: LOCK_SECONDS_MAX,
                    });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(POLL),
            }
        }
    }

    /// The major version of the Postgres that made the data, if there is any.
    pub(super) fn data_version(&self) -> Result<Option<u32>, DatabaseError> {
        let path = self.data.join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().parse().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DatabaseError::system(format!("read {}", path_text(&path)))(
                error,
            )),
        }
    }

    pub(super) fn open_log(&self, account: &Account) -> Result<File, DatabaseError> {
        let too_long = fs::metadata(&self.log).is_ok_and(|found| found.len() > LOG_BYTES_MAX);
        if too_long {
            // One old log is kept; failing to keep it is no reason not to start.
            let _ = fs::rename(&self.log, self.log.with_extension("log.old"));
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.log)
            .and_then(|log| account.adopt(&self.log).map(|()| log))
            .map_err(DatabaseError::system(format!(
                "open {}",
                path_text(&self.log)
            )))
    }

    /// The last lines of the log written after `start`.
    pub(super) fn log_tail(&self, start: u64) -> String {
        let read = || -> io::Result<String> {
            let mut log = File::open(&self.log)?;
            log.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            log.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

pub(super) fn exists(path: &Path) -> Result<bool, DatabaseError> {
    path.try_exists().map_err(DatabaseError::system(format!(
        "look at {}",
        path_text(path)
    )))
}

/// The owner of a file, not following a symbolic link.
pub(super) fn owner(path: &Path) -> io::Result<Option<(u32, u32)>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some((metadata.uid(), metadata.gid()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes from others what they were given of a file before.
fn ours_alone(file: File) -> io::Result<File> {
    if file.metadata()?.mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}
