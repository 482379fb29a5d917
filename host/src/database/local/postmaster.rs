//! What a running server says of itself in `postmaster.pid`, and whether to believe it.
//!
//! The file outlives a server that was killed, and after a reboot its process
//! id may be anybody's. So a server runs when it also answers on its socket, which is
//! in a folder that only its owner can enter.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, test_kill_process};

use super::PORT;
use crate::database::error::{DatabaseError, path_text};

const FILE_NAME: &str = "postmaster.pid";

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Postmaster {
    pub(super) process: i32,
    pub(super) socket_directory: PathBuf,
    port: u16,
    ready: bool,
}

impl Postmaster {
    pub(super) fn read(data: &Path) -> Result<Option<Postmaster>, DatabaseError> {
        Postmaster::read_file(&data.join(FILE_NAME))
    }

    fn read_file(path: &Path) -> Result<Option<Postmaster>, DatabaseError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Postmaster::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DatabaseError::system(format!("read {}", path_text(path)))(
                error,
            )),
        }
    }

    /// The lines are: process, data directory, start time, port, socket folder,
    /// listen address, shared memory, status. A starting server has written
    /// the first few only.
    fn parse(text: &str) -> Option<Postmaster> {
        let lines: Vec<&str> = text.lines().collect();
        let line = |index: usize| lines.get(index).copied().unwrap_or_default();
        Some(Postmaster {
            process: line(0).trim().parse().ok()?,
            port: line(3).trim().parse().unwrap_or_default(),
            socket_directory: PathBuf::from(line(4)),
            ready: line(7).trim() == "ready",
        })
    }

    /// Whether the server takes connections.
    pub(super) fn answers(&self) -> bool {
        let socket = self
            .socket_directory
            .join(format!(".s.PGSQL.{}", self.port));
        self.ready && UnixStream::connect(socket).is_ok()
    }

    /// Whether the process exists and is a server of this data.
    pub(super) fn lives(&self, data: &Path) -> bool {
        self.process_exists() && self.works_in(data)
    }

    /// Removes the lock files of a server that is no more. Postgres does so itself,
    /// but not while any process bears the recorded number: another one after a
    /// reboot, or the killed server until it is buried.
    pub(super) fn clear_stale(data: &Path, socket_directory: &Path) -> Result<(), DatabaseError> {
        let socket_lock = socket_directory.join(format!(".s.PGSQL.{PORT}.lock"));
        // The lock of a socket has the same lines.
        for path in [data.join(FILE_NAME), socket_lock] {
            match Postmaster::read_file(&path)? {
                Some(found) if found.process_exists() && !found.works_in(data) => {
                    fs::remove_file(&path).map_err(DatabaseError::system(format!(
                        "remove {}",
                        path_text(&path)
                    )))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn process_exists(&self) -> bool {
        Pid::from_raw(self.process)
            .is_some_and(|process| test_kill_process(process) != Err(rustix::io::Errno::SRCH))
    }

    /// Whether the process's working directory is the data, as a server's always
    /// is. Who hides it is another user's process, or dead and not yet buried.
    fn works_in(&self, data: &Path) -> bool {
        if !Path::new("/proc/self/cwd").exists() {
            return true;
        }
        match fs::read_link(format!("/proc/{}/cwd", self.process)) {
            Ok(directory) => fs::canonicalize(data).is_ok_and(|data| data == directory),
            Err(_) => false,
        }
    }
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
        assert!(!starting.answers());
    }

    #[test]
    fn an_empty_file_is_no_server() {
        assert_eq!(Postmaster::parse(""), None);
    }
}
