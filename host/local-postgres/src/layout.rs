//! The files of one local server, who may touch them, and what they tell.
//!
//! Creates folders and takes the lock; starting and stopping are elsewhere.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, mkdirat};
use rustix::io::Errno;

use crate::account::Account;
use crate::application::Application;
use crate::error::{Error, path_text};
use crate::folder::{Folder, private_file};
use crate::postmaster::{Postmaster, Process};
use crate::{LocalServer, POLL, START_SECONDS_MAX, trusted};

/// What the server is started on, in its folder.
pub(crate) const DATA: &str = "data";

const LOG: &str = "server.log";
const LOG_BEFORE: &str = "server.log.old";

/// As long as another process may take to create, recover and start a server.
const LOCK_SECONDS_MAX: u64 = 180;

/// What of a failed start's log goes into the error.
const LOG_TAIL_LINES: usize = 8;
const LOG_BYTES_MAX: u64 = 8 << 20;
const LOG_TAIL_BYTES: u64 = 64 << 10;

/// A version is a number and a line's end.
const VERSION_BYTES_MAX: u64 = 64;

/// The server's folder, held open, and whose it is.
pub(crate) struct Home {
    pub(crate) account: Account,
    folder: Folder,
}

impl Home {
    /// Does something in the folder, with no other rights than its owner's.
    pub(crate) fn act<T: Send>(
        &self,
        doing: String,
        work: impl FnOnce(&Folder) -> io::Result<T> + Send,
    ) -> Result<T, Error> {
        let folder = &self.folder;
        self.account
            .acting(|| work(folder))
            .map_err(Error::system(doing))
    }

    /// The same in the folder of the data; nothing where there is none.
    pub(crate) fn act_in_data<T: Send>(
        &self,
        doing: String,
        work: impl FnOnce(&Folder) -> io::Result<T> + Send,
    ) -> Result<Option<T>, Error> {
        self.act(doing, |folder| {
            folder.folder(DATA)?.map(|data| work(&data)).transpose()
        })
    }
}

/// The files of one local server.
pub(crate) struct Layout {
    pub(crate) application: Application,
    /// The data directory that the user chose; other things of the application live there.
    pub(crate) base: PathBuf,
    pub(crate) lock: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) log: PathBuf,
}

impl Layout {
    pub(crate) fn of(application: &Application, data_directory: &Path) -> Result<Layout, Error> {
        let base = std::path::absolute(data_directory).map_err(Error::system(format!(
            "find folder {}",
            path_text(data_directory)
        )))?;
        let home = base.join(application.folder);
        Ok(Layout {
            application: *application,
            lock: base.join(application.lock_file()),
            data: home.join(DATA),
            log: home.join(LOG),
            home,
            base,
        })
    }

    /// The data directory, if there is one.
    pub(crate) fn open_base(&self) -> Result<Option<OwnedFd>, Error> {
        trusted::enter(&self.base, false)
    }

    /// Creates the data directory, where the lock will be.
    pub(crate) fn create_base(&self) -> Result<OwnedFd, Error> {
        trusted::enter(&self.base, true)?.ok_or_else(|| {
            Error::system(format!("create folder {}", path_text(&self.base)))(
                io::ErrorKind::NotFound.into(),
            )
        })
    }

    /// The server's folder, if there is one. Call again after a wait: another process
    /// may have made it.
    pub(crate) fn open_home(&self, base: &OwnedFd) -> Result<Option<Home>, Error> {
        let doing = format!("open folder {}", path_text(&self.home));
        let Some(folder) =
            Folder::open(base, self.application.folder).map_err(Error::system(doing))?
        else {
            return Ok(None);
        };
        let account = Account::owning(&folder, &self.home)?;
        Ok(Some(Home { account, folder }))
    }

    /// The server, when it runs and takes connections.
    pub(crate) fn running(&self, home: &Home) -> Result<Option<(LocalServer, Process)>, Error> {
        let Some(postmaster) = Postmaster::read(self, home)? else {
            return Ok(None);
        };
        let Some(process) = postmaster.process(home)? else {
            return Ok(None);
        };
        if !postmaster.answers(home)? {
            return Ok(None);
        }
        let server = LocalServer {
            name: self.application.name,
            process: postmaster.process,
            directory: self.home.clone(),
            socket_directory: postmaster.socket_directory,
        };
        Ok(Some((server, process)))
    }

    /// As `running`, but waits for a server that is starting or stopping, which
    /// a killed predecessor may have left. Call under the lock.
    pub(crate) fn settle(&self, home: &Home) -> Result<Option<(LocalServer, Process)>, Error> {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        loop {
            if let Some(server) = self.running(home)? {
                return Ok(Some(server));
            }
            let Some(postmaster) = Postmaster::read(self, home)? else {
                return Ok(None);
            };
            if postmaster.process(home)?.is_none() {
                return Ok(None);
            }
            if Instant::now() > deadline {
                return Err(Error::Start {
                    log: self.log.clone(),
                    output: self.log_tail(home, 0),
                });
            }
            thread::sleep(POLL);
        }
    }

    /// Creates the server's folder, private to the account that the server is to
    /// run as. Call under the lock.
    pub(crate) fn create_home(&self, base: &OwnedFd) -> Result<Home, Error> {
        if let Some(home) = self.open_home(base)?
            && !self.abandoned(&home)?
        {
            let Home { account, folder } = home;
            let account = account.entering(&self.home)?;
            return Ok(Home { account, folder });
        }
        let account = Account::for_new(&self.base)?;
        let name = self.application.folder;
        let create = || {
            match mkdirat(base, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let folder = Folder::open(base, name)?.ok_or(io::ErrorKind::NotFound)?;
            account.adopt(&folder)?;
            // Opened once more, as what it is now.
            Ok(Folder::open(base, name)?.ok_or(io::ErrorKind::NotFound)?)
        };
        let folder = create().map_err(|error: io::Error| {
            Error::system(format!("create folder {}", path_text(&self.home)))(error)
        })?;
        Ok(Home { account, folder })
    }

    /// Whether a process was killed between creating the folder and giving it away.
    fn abandoned(&self, home: &Home) -> Result<bool, Error> {
        home.act(format!("read folder {}", path_text(&self.home)), |folder| {
            folder.is_empty()
        })
    }

    /// Holds off other processes until dropped, or until this process dies.
    pub(crate) fn lock(&self, base: &OwnedFd) -> Result<File, Error> {
        let doing = || Error::system(format!("lock {}", path_text(&self.lock)));
        let file = private_file(base, &self.application.lock_file()).map_err(doing())?;
        let deadline = Instant::now() + Duration::from_secs(LOCK_SECONDS_MAX);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(doing()(error)),
                Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                    return Err(Error::Busy {
                        lock: self.lock.clone(),
                        seconds: LOCK_SECONDS_MAX,
                    });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(POLL),
            }
        }
    }

    /// The major version of the Postgres that made the data, if there is any.
    pub(crate) fn data_version(&self, home: &Home) -> Result<Option<u32>, Error> {
        let path = self.data.join("PG_VERSION");
        let text = home.act_in_data(format!("read {}", path_text(&path)), |data| {
            data.read("PG_VERSION", VERSION_BYTES_MAX)
        })?;
        Ok(text.flatten().and_then(|text| text.trim().parse().ok()))
    }

    /// The log, to write to; with its length.
    pub(crate) fn open_log(&self, home: &Home) -> Result<(File, u64), Error> {
        home.act(format!("open {}", path_text(&self.log)), |folder| {
            if folder
                .length(LOG)?
                .is_some_and(|length| length > LOG_BYTES_MAX)
            {
                // One old log is kept; failing to keep it is no reason not to start.
                let _ = folder.rename(LOG, LOG_BEFORE);
            }
            let log = folder.appended(LOG)?;
            let length = log.metadata()?.len();
            Ok((log, length))
        })
    }

    /// The last lines of the log written after `start`, or why they cannot be read.
    pub(crate) fn log_tail(&self, home: &Home, start: u64) -> String {
        let read = home.act(format!("read {}", path_text(&self.log)), |folder| {
            folder.read_end(LOG, start, LOG_TAIL_BYTES)
        });
        let text = match read {
            Ok(text) => text.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}
