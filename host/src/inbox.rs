//! A folder that payloads appear in: which of them are whole, and where they go
//! when they are done.
//!
//! A tarball counts as whole when two looks in a row find it with the same size and
//! time of change; one that was renamed into the folder is so at once. Hidden files
//! and files of other kinds are left alone.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::failure::{Failure, Result};

/// What the names of payloads end with.
const SUFFIXES: [&str; 2] = [".tar.gz", ".tgz"];

/// Where loaded payloads go, below the inbox.
const DONE: &str = "done";

/// Where refused ones go, each with a text that says why.
const FAILED: &str = "failed";

/// What a look tells of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    bytes: u64,
    changed: SystemTime,
}

#[derive(Debug)]
pub struct Inbox {
    folder: PathBuf,
    /// What the last look found.
    seen: BTreeMap<OsString, Look>,
    /// Held as long as the inbox is watched.
    _lock: File,
}

/// What a look into the inbox came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Whole payloads, the oldest first.
    pub ready: Vec<PathBuf>,
    /// Payloads that changed since the last look, or that it did not find.
    pub changing: usize,
}

impl Inbox {
    /// # Errors
    /// There is no such folder, another process watches it, or it cannot be written.
    pub fn open(folder: &Path) -> Result<Self> {
        let shown = folder.display();
        if !folder.is_dir() {
            return Err(Failure::definition(format!("inbox `{shown}` is no folder")));
        }
        let unusable = |error: io::Error| {
            Failure::environment(format!("cannot use inbox `{shown}`")).because(error)
        };
        let lock = File::open(folder).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::definition(format!(
                    "inbox `{shown}` is watched by another process"
                ))
                .hint("one is enough; it takes all payloads in turn"));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        for below in [DONE, FAILED] {
            fs::create_dir_all(folder.join(below)).map_err(unusable)?;
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            seen: BTreeMap::new(),
            _lock: lock,
        })
    }

    /// # Errors
    /// The folder cannot be read.
    pub fn look(&mut self) -> Result<Looked> {
        let seen = self.payloads().map_err(|error| {
            Failure::environment(format!("cannot read inbox `{}`", self.folder.display()))
                .because(error)
        })?;
        let (ready, changing): (Vec<_>, Vec<_>) = seen
            .iter()
            .partition(|(name, look)| self.seen.get(*name) == Some(*look));
        let changing = changing.len();
        let mut ready: Vec<(SystemTime, &OsString)> = ready
            .into_iter()
            .map(|(name, look)| (look.changed, name))
            .collect();
        ready.sort();
        let ready = ready
            .into_iter()
            .map(|(_, name)| self.folder.join(name))
            .collect();
        self.seen = seen;
        Ok(Looked { ready, changing })
    }

    fn payloads(&self) -> io::Result<BTreeMap<OsString, Look>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let text = name.to_string_lossy();
            if text.starts_with('.') || suffix(&text).is_none() {
                continue;
            }
            // A file that goes away meanwhile is none of ours.
            let Ok(metadata) = fs::metadata(entry.path()) else {
                continue;
            };
            if metadata.is_file() {
                let look = Look {
                    bytes: metadata.len(),
                    changed: metadata.modified()?,
                };
                found.insert(name, look);
            }
        }
        Ok(found)
    }

    /// Puts a loaded payload away.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn done(&self, payload: &Path) -> Result<PathBuf> {
        self.put_away(payload, DONE, None)
    }

    /// Puts a refused payload away, and beside it the reason.
    ///
    /// # Errors
    /// It cannot be moved, or the reason not be written.
    pub fn failed(&self, payload: &Path, reason: &str) -> Result<PathBuf> {
        self.put_away(payload, FAILED, Some(reason))
    }

    fn put_away(&self, payload: &Path, below: &str, reason: Option<&str>) -> Result<PathBuf> {
        let to = free_place(&self.folder.join(below), payload);
        // The reason first: a payload without one would tell nobody what to do.
        let written = match reason {
            Some(reason) => fs::write(reason_path(&to), reason),
            None => Ok(()),
        };
        written
            .and_then(|()| fs::rename(payload, &to))
            .map_err(|error| {
                Failure::environment(format!(
                    "cannot move `{}` to `{}`",
                    payload.display(),
                    to.display()
                ))
                .because(error)
            })?;
        Ok(to)
    }
}

/// `NAME.tar.gz.error.txt` of `NAME.tar.gz`.
fn reason_path(payload: &Path) -> PathBuf {
    let mut path = payload.as_os_str().to_owned();
    path.push(".error.txt");
    PathBuf::from(path)
}

/// The payload's name in a folder, with a number when it is taken.
fn free_place(folder: &Path, payload: &Path) -> PathBuf {
    let name = payload.file_name().unwrap_or_default();
    let plain = folder.join(name);
    if !plain.exists() {
        return plain;
    }
    let text = name.to_string_lossy();
    let end = suffix(&text).unwrap_or_default();
    let stem = &text[..text.len() - end.len()];
    (2_u64..)
        .map(|number| folder.join(format!("{stem}.{number}{end}")))
        .find(|place| !place.exists())
        .unwrap_or(plain)
}

fn suffix(name: &str) -> Option<&'static str> {
    SUFFIXES.into_iter().find(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn names(looked: &Looked) -> Vec<String> {
        let names = looked.ready.iter().map(|path| path.file_name().unwrap());
        names.map(|name| name.to_string_lossy().into()).collect()
    }

    fn changed(path: &Path, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }

    #[test]
    fn a_file_is_ready_when_two_looks_agree_and_the_oldest_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut inbox = Inbox::open(folder.path()).unwrap();
        for name in [
            "b.tar.gz",
            "a.tgz",
            ".hidden.tar.gz",
            "c.csv",
            "growing.tar.gz",
        ] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        changed(&folder.path().join("a.tgz"), 2_000);
        changed(&folder.path().join("b.tar.gz"), 1_000);
        assert_eq!(
            inbox.look().unwrap(),
            Looked {
                ready: Vec::new(),
                changing: 3
            }
        );
        fs::write(folder.path().join("growing.tar.gz"), "more of it").unwrap();
        let looked = inbox.look().unwrap();
        assert_eq!(names(&looked), ["b.tar.gz", "a.tgz"]);
        assert_eq!(looked.changing, 1);
        // Written again with the same size: the time tells.
        changed(&folder.path().join("a.tgz"), 3_000);
        assert_eq!(
            names(&inbox.look().unwrap()),
            ["b.tar.gz", "growing.tar.gz"]
        );
    }

    #[test]
    fn what_is_put_away_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(folder.path()).unwrap();
        let payload = folder.path().join("p.tar.gz");
        for expected in ["failed/p.tar.gz", "failed/p.2.tar.gz"] {
            fs::write(&payload, expected).unwrap();
            let to = inbox.failed(&payload, "it is bad\n").unwrap();
            assert_eq!(to, folder.path().join(expected));
            assert_eq!(fs::read_to_string(&to).unwrap(), expected);
            let reason = folder.path().join(format!("{expected}.error.txt"));
            assert_eq!(fs::read_to_string(reason).unwrap(), "it is bad\n");
        }
        fs::write(&payload, "good").unwrap();
        inbox.done(&payload).unwrap();
        assert!(folder.path().join("done/p.tar.gz").is_file() && !payload.exists());
    }

    #[test]
    fn one_process_watches_an_inbox() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(folder.path()).unwrap();
        let second = Inbox::open(folder.path()).unwrap_err();
        assert!(second.message.ends_with("is watched by another process"));
        drop(inbox);
        Inbox::open(folder.path()).unwrap();
    }
}
