//! What a running server says of itself in `postmaster.pid`, and whether to believe it.
//!
//! The file outlives a server that was killed, and after a reboot its process
//! id may be anybody's; and whoever is the server's user can write what he likes into it.
//! So a server runs when the process is that user's, runs a `postgres`, works in the
//! data, and answers on a socket in a folder that only its owner can enter.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, test_kill_process};

use crate::account::Account;
use crate::error::{Error, path_text};
use crate::folder::Folder;
use crate::layout::{Home, Layout};
use crate::{PORT, socket};

const FILE_NAME: &str = "postmaster.pid";

/// The file has eight short lines and two paths.
const BYTES_MAX: u64 = 16 << 10;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Postmaster {
    pub(crate) process: i32,
    pub(crate) socket_directory: PathBuf,
    port: u16,
    ready: bool,
}

/// The process of a server, held: its number may become another's, this does not.
#[derive(Debug)]
pub(crate) struct Process {
    number: i32,
    handle: OwnedFd,
}

impl Process {
    /// The fast shutdown: sessions are ended, what they committed is kept. Sent with the
    /// rights of the server's user, who can end only what is his.
    pub(crate) fn shut_down(&self, home: &Home) -> Result<(), Error> {
        let doing = format!("signal process {}", self.number);
        home.act(doing, |_| {
            match pidfd_send_signal(&self.handle, Signal::INT) {
                // It has ended meanwhile.
                Err(Errno::SRCH) => Ok(()),
                sent => Ok(sent?),
            }
        })
    }
}

impl Postmaster {
    pub(crate) fn read(layout: &Layout, home: &Home) -> Result<Option<Postmaster>, Error> {
        let path = layout.data.join(FILE_NAME);
        let text = home.act_in_data(format!("read {}", path_text(&path)), |data| {
            data.read(FILE_NAME, BYTES_MAX)
        })?;
        Ok(text.flatten().and_then(|text| Postmaster::parse(&text)))
    }

    /// The lines are: process, data directory, start time, port, socket folder,
    /// listen address, shared memory, status. A starting server has written
    /// the first few only.
    fn parse(text: &str) -> Option<Postmaster> {
        let lines: Vec<&str> = text.lines().collect();
        let line = |index: usize| lines.get(index).copied().unwrap_or_default();
        Some(Postmaster {
            // That of a server for a single session is negative; to the kernel, such a
            // number would be a group of processes.
            process: line(0).trim().parse().ok().filter(|number| *number > 0)?,
            port: line(3).trim().parse().unwrap_or_default(),
            socket_directory: PathBuf::from(line(4)),
            ready: line(7).trim() == "ready",
        })
    }

    /// Whether the server takes connections.
    pub(crate) fn answers(&self, home: &Home) -> Result<bool, Error> {
        if !self.ready {
            return Ok(false);
        }
        let folder = &self.socket_directory;
        let owner = home.account.owner();
        home.act(
            format!("look at the socket in {}", path_text(folder)),
            |_| socket::answers(folder, self.port, self.process, owner),
        )
    }

    /// The process, if it is the server of this data.
    pub(crate) fn process(&self, home: &Home) -> Result<Option<Process>, Error> {
        let doing = || format!("look at process {}", self.process);
        let Some(number) = Pid::from_raw(self.process) else {
            return Ok(None);
        };
        // Held before it is looked at: should the number become another's in between,
        // what is held is gone, and takes no signal.
        let handle = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(handle) => handle,
            // It has ended, or is a thread.
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Ok(None),
            Err(error) => return Err(Error::system(doing())(error.into())),
        };
        let is_server =
            home.act_in_data(doing(), |data| Ok(self.is_server(data, &home.account)))?;
        Ok((is_server == Some(true)).then_some(Process {
            number: self.process,
            handle,
        }))
    }

    /// Removes the lock files of a server that is no more. Postgres does so itself,
    /// but not while any process bears the recorded number: another one after a
    /// reboot, or the killed server until it is buried.
    pub(crate) fn clear_stale(
        layout: &Layout,
        home: &Home,
        socket_directory: &Path,
    ) -> Result<(), Error> {
        let path = layout.data.join(FILE_NAME);
        let socket_lock = format!(".s.PGSQL.{PORT}.lock");
        home.act_in_data(format!("remove {}", path_text(&path)), |data| {
            // The lock of a socket has the same lines.
            let sockets = Folder::open(rustix::fs::CWD, socket_directory)?;
            let files = sockets
                .iter()
                .map(|sockets| (sockets, socket_lock.as_str()));
            for (folder, name) in [(data, FILE_NAME)].into_iter().chain(files) {
                let found = folder.read(name, BYTES_MAX)?;
                let found = found.and_then(|text| Postmaster::parse(&text));
                if found.is_some_and(|found| found.process_exists() && !found.works_in(data)) {
                    folder.remove(name)?;
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Whether the process exists. Who acts for the account may not signal others, which
    /// is another answer than that there are none.
    fn process_exists(&self) -> bool {
        Pid::from_raw(self.process)
            .is_some_and(|process| test_kill_process(process) != Err(Errno::SRCH))
    }

    /// Whether the process is the account's, runs the server's program, and works in
    /// the data. To be asked with the account's rights: then the system shows what is
    /// the account's, and hides all else.
    fn is_server(&self, data: &Folder, account: &Account) -> bool {
        if !account.is_another() && !processes_show() {
            return true;
        }
        let owner = account.owner().to_string();
        let status = fs::read_to_string(self.shown("status")).unwrap_or_default();
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        // The real user, and those that its rights are, were and are of files.
        let is_account = users.is_some_and(|users| {
            let mut users = users.split_whitespace().peekable();
            users.peek().is_some() && users.all(|user| user == owner)
        });
        is_account && self.runs_postgres(account) && self.works_in(data)
    }

    fn runs_postgres(&self, account: &Account) -> bool {
        let Ok(program) = fs::read_link(self.shown("exe")) else {
            return false;
        };
        let name = program.file_name().unwrap_or_default().as_bytes();
        // Some systems wrap it. One that was replaced since has more behind its name.
        let name = name.strip_prefix(b".").unwrap_or(name);
        let metadata = fs::metadata(self.shown("exe"));
        // Whoever can write the program can have it called as he likes.
        let is_forged = |metadata: fs::Metadata| metadata.uid() == account.owner();
        name.starts_with(b"postgres") && !(account.is_another() && metadata.is_ok_and(is_forged))
    }

    /// Whether the process's working directory is the data, as a server's always
    /// is. Who hides it is another user's process, or dead and not yet buried.
    fn works_in(&self, data: &Folder) -> bool {
        if !processes_show() {
            return true;
        }
        fs::metadata(self.shown("cwd")).is_ok_and(|directory| data.is(&directory))
    }

    /// Where the system shows something of the process.
    fn shown(&self, what: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{what}", self.process))
    }
}

/// Whether the system shows processes at all.
fn processes_show() -> bool {
    // The link itself: what it leads to may be hidden from the account.
    fs::symlink_metadata("/proc/self").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_server_is_read() {
        let text = "4711\n/data/postgres/data\n1767225600\n5432\n/data/postgres/socket\n\n  5432001   7\nready   \n";
        let expected = Postmaster {
            process: 4711,
            socket_directory: PathBuf::from("/data/postgres/socket"),
            port: 5432,
            ready: true,
        };
        assert_eq!(Postmaster::parse(text), Some(expected));
    }

    #[test]
    fn a_starting_server_is_not_ready() {
        let starting = Postmaster::parse("4711\n/data\n1767225600\n5432\n").unwrap();
        assert!(!starting.ready);
    }

    #[test]
    fn what_names_no_process_is_no_server() {
        for text in [
            "",
            "\n",
            "0\n",
            "-1\n",
            "-4711\n",
            "99999999999\n",
            "postgres\n",
        ] {
            assert_eq!(Postmaster::parse(text), None, "{text:?}");
        }
    }
}
