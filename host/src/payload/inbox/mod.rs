//! The inbox: a folder that payloads appear in. Finds those that are whole, and puts them
//! away when they are done.
//!
//! A tarball counts as whole when two looks in a row find it the same. One that was
//! renamed into the folder is so at the second look. Hidden files are left alone.
//!
//! Whoever uploads may write into the folder, and is not trusted. The folder is opened
//! once, and everything in it is reached below that handle. No link is followed, and only
//! plain files with one name are read.

mod away;
mod lock;
mod names;
mod place;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, Stat, fstat, open, openat, statat};
use rustix::io::Errno;

pub use self::away::PutAway;
use self::place::Place;
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::hindrance;
use crate::diagnostics::printable;
use crate::payload::{Look, OpenFile, other_kind};

/// Where loaded payloads go, below the inbox unless said otherwise.
const DONE: &str = "done";

/// Where refused ones go, each with a text that says why.
const FAILED: &str = "failed";

/// Where payloads go, if not below the inbox.
#[derive(Clone, Copy, Debug, Default)]
pub struct Folders<'f> {
    pub done: Option<&'f Path>,
    pub failed: Option<&'f Path>,
}

#[derive(Debug)]
pub struct Inbox {
    path: PathBuf,
    folder: OwnedFd,
    done: Place,
    failed: Place,
    /// Held as long as the inbox is watched.
    _lock: File,
}

/// A payload as a look found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub name: OsString,
    /// For people; the file is reached by its name below the inbox.
    pub path: PathBuf,
    pub look: Look,
}

/// The files that earlier looks found.
#[derive(Debug, Default)]
pub struct Seen {
    payloads: BTreeMap<OsString, Look>,
    /// The files that were passed over, and why.
    passed_over: BTreeMap<OsString, String>,
}

/// The result of a look into the inbox.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct InboxLook {
    /// Whole payloads, the oldest first.
    pub ready: Vec<Arrival>,
    /// Payloads that changed since the last look, or that it did not find.
    pub changing: usize,
    /// Messages about files that are passed over since this look.
    pub passed_over: Vec<String>,
}

/// The thing under a name.
enum FoundEntry {
    Payload(Look),
    /// Something that is never read, and why.
    Odd(String),
}

impl Inbox {
    /// Opens the inbox for this process alone. `state` is a folder of ours for what has
    /// to be kept from those who can write into the inbox.
    ///
    /// # Errors
    /// There is no such folder, another process watches it, or what is below it is not
    /// ours.
    pub fn open(path: &Path, folders: Folders<'_>, state: &Path) -> Result<Self> {
        let shown = path.display();
        if !path.is_dir() {
            return Err(Failure::definition(format!("inbox `{shown}` is no folder")));
        }
        let unusable = |error: Errno| {
            Failure::environment(format!("cannot use inbox `{shown}`"))
                .because(io::Error::from(error))
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(path, flags, Mode::empty()).map_err(unusable)?;
        let lock = lock::hold(path, &fstat(&folder).map_err(unusable)?, state)?;
        let place = |named: Option<&Path>, usual: &str, option: &str| match named {
            Some(named) => Place::named(named, path, &folder, option),
            None => Place::below(path, &folder, OsStr::new(usual), option),
        };
        let done = place(folders.done, DONE, "--done")?;
        let failed = place(folders.failed, FAILED, "--failed")?;
        Ok(Self {
            path: path.to_path_buf(),
            done,
            failed,
            folder,
            _lock: lock,
        })
    }

    /// Where refused payloads go.
    pub fn failed_folder(&self) -> &Path {
        self.failed.path()
    }

    /// # Errors
    /// The folder cannot be read.
    pub fn look(&self, seen: &mut Seen) -> Result<InboxLook> {
        let (payloads, odd) = self.found().map_err(|error| {
            Failure::environment(format!("cannot read inbox `{}`", self.path.display()))
                .because(error)
        })?;
        let (ready, changing): (Vec<_>, Vec<_>) = payloads
            .iter()
            .partition(|(name, look)| seen.payloads.get(*name) == Some(*look));
        let changing = changing.len();
        let mut ready: Vec<Arrival> = ready
            .into_iter()
            .map(|(name, look)| Arrival {
                name: name.clone(),
                path: self.path.join(name),
                look: *look,
            })
            .collect();
        ready.sort_by(|one, other| {
            let key = |arrival: &Arrival| (arrival.look.modified, arrival.name.clone());
            key(one).cmp(&key(other))
        });
        let passed_over = odd
            .iter()
            .filter(|(name, why)| seen.passed_over.get(*name) != Some(*why))
            .map(|(name, why)| {
                let path = self.path.join(name).display().to_string();
                format!("{}: {why}", printable::line(&path))
            })
            .collect();
        *seen = Seen {
            payloads,
            passed_over: odd,
        };
        Ok(InboxLook {
            ready,
            changing,
            passed_over,
        })
    }

    /// The payloads, and what is called like one and is none.
    fn found(&self) -> io::Result<(BTreeMap<OsString, Look>, BTreeMap<OsString, String>)> {
        let (mut payloads, mut odd) = (BTreeMap::new(), BTreeMap::new());
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name.as_bytes().starts_with(b".") || names::suffix(name).is_empty() {
                continue;
            }
            match self.under(name) {
                Ok(Some(FoundEntry::Payload(look))) => {
                    payloads.insert(name.to_os_string(), look);
                }
                Ok(Some(FoundEntry::Odd(why))) => {
                    odd.insert(name.to_os_string(), why);
                }
                // A file that goes away meanwhile is none of ours.
                Ok(None) => {}
                Err(error) => {
                    odd.insert(name.to_os_string(), format!("passed over: {error}"));
                }
            }
        }
        Ok((payloads, odd))
    }

    fn under(&self, name: &OsStr) -> io::Result<Option<FoundEntry>> {
        match statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FoundEntry::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a payload; `None` when it is no longer as the look found it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn take(&self, arrival: &Arrival) -> Result<Option<OpenFile>> {
        let unreadable = |error: io::Error| {
            let message = format!("cannot read payload `{}`", arrival.path.display());
            Failure::hindered(hindrance::of_reading(&error), message).because(error)
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.folder, &arrival.name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            // Gone, or a link by now.
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(unreadable(error.into())),
        };
        let stat = fstat(&file).map_err(|error| unreadable(error.into()))?;
        match FoundEntry::of(&stat) {
            FoundEntry::Payload(look) if look == arrival.look => {
                OpenFile::new(file).map(Some).map_err(unreadable)
            }
            _ => Ok(None),
        }
    }

    /// Puts a loaded payload away. `file` is what was opened of it, if it was.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn done(&self, arrival: &Arrival, file: Option<&OpenFile>) -> Result<PutAway> {
        self.put_away(arrival, file, &self.done, None)
    }

    /// Puts a refused payload away, and beside it the reason.
    ///
    /// # Errors
    /// It cannot be moved, or the reason not be written.
    pub fn failed(
        &self,
        arrival: &Arrival,
        file: Option<&OpenFile>,
        reason: &str,
    ) -> Result<PutAway> {
        self.put_away(arrival, file, &self.failed, Some(reason))
    }

    fn put_away(
        &self,
        arrival: &Arrival,
        file: Option<&OpenFile>,
        place: &Place,
        reason: Option<&str>,
    ) -> Result<PutAway> {
        let moving = away::Move {
            inbox: &self.folder,
            arrival,
            file,
            place,
        };
        moving.put_away(reason).map_err(|error| {
            Failure::environment(format!(
                "cannot move `{}` to `{}`",
                arrival.path.display(),
                place.path().display()
            ))
            .because(error)
        })
    }
}

impl FoundEntry {
    fn of(stat: &Stat) -> Self {
        match other_kind(stat) {
            Some(kind) => Self::Odd(format!("passed over, it is {kind} and no plain file")),
            // Its other name may be in a folder that the uploader cannot read.
            None if stat.st_nlink > 1 => Self::Odd(
                "passed over, the file has another name; deliver a copy of its own".to_string(),
            ),
            None => Self::Payload(Look::of(stat)),
        }
    }
}

#[cfg(test)]
mod tests;
