//! Moves a payload out of the inbox. It moves the file that was run, under a name that is
//! free, or nothing.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, fsync, openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use uuid::Uuid;

use super::place::Place;
use super::{Arrival, names};
use crate::payload::{Look, OpenFile};

/// The place of a payload that was to be put away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutAway {
    Moved(PathBuf),
    /// Somebody took it away; whoever did knows why.
    Gone,
    /// Another file has its name now, and stays.
    Replaced,
    /// Somebody wrote into it, so that it is no longer what was run. It stays.
    Changed,
}

/// A payload and where it goes.
pub(super) struct Move<'m> {
    pub(super) inbox: &'m OwnedFd,
    pub(super) arrival: &'m Arrival,
    /// The open payload, where it could be opened.
    pub(super) file: Option<&'m OpenFile>,
    pub(super) place: &'m Place,
}

/// How one name was received.
enum MoveAttempt {
    Placed,
    /// The name is taken.
    Taken,
    Not(PutAway),
}

impl Move<'_> {
    /// Moves the payload. With a reason, that is written first: a payload without one
    /// would tell nobody what to do.
    pub(super) fn put_away(&self, reason: Option<&str>) -> io::Result<PutAway> {
        if let Some(other) = self.is_other()? {
            return Ok(other);
        }
        for name in names::candidates(&self.arrival.name, self.place.name_bytes_max) {
            let reason = match reason {
                Some(text) => match self.write_reason(&name, text)? {
                    Some(reason) => Some(reason),
                    None => continue,
                },
                None => None,
            };
            let tried = self.place_under(&name);
            if let (Some(reason), Ok(MoveAttempt::Taken | MoveAttempt::Not(_)) | Err(_)) =
                (&reason, &tried)
            {
                // The caller needs to hear the first failure.
                let _ = unlinkat(&self.place.directory, reason, AtFlags::empty());
            }
            match tried? {
                MoveAttempt::Placed => return Ok(PutAway::Moved(self.place.path().join(name))),
                MoveAttempt::Not(other) => return Ok(other),
                MoveAttempt::Taken => {}
            }
        }
        Err(io::Error::other("no name is free"))
    }

    /// Why the name in the inbox is not that of the payload as it was run, if so.
    fn is_other(&self) -> io::Result<Option<PutAway>> {
        let run = &self.arrival.look;
        Ok(match look(self.inbox, &self.arrival.name)? {
            None => Some(PutAway::Gone),
            Some(now) if !now.is_same_file(run) => Some(PutAway::Replaced),
            Some(now) if !now.is_same_contents(run) => Some(PutAway::Changed),
            Some(_) => None,
        })
    }

    /// Writes the reason of a payload of that name; `None` when there is one already.
    fn write_reason(&self, name: &OsStr, text: &str) -> io::Result<Option<OsString>> {
        let reason = names::reason(name);
        let Some(mut file) = create(&self.place.directory, &reason, 0o666)? else {
            return Ok(None);
        };
        let written = file.write_all(text.as_bytes());
        if written.is_err() {
            // The caller needs to hear the first failure.
            let _ = unlinkat(&self.place.directory, &reason, AtFlags::empty());
        }
        written.map(|()| Some(reason))
    }

    fn place_under(&self, name: &OsStr) -> io::Result<MoveAttempt> {
        let (from, to) = (&self.arrival.name, &self.place.directory);
        match rename_to_free(self.inbox, from, to, name) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(MoveAttempt::Taken),
            // It is the payload that is gone, or the place.
            Err(Errno::NOENT) => {
                return match self.is_other()? {
                    Some(other) => Ok(MoveAttempt::Not(other)),
                    None => Err(Errno::NOENT.into()),
                };
            }
            Err(Errno::XDEV) => return self.copy_to(name),
            Err(error) => return Err(error.into()),
        }
        match look(to, name)? {
            Some(moved) if moved.is_same_file(&self.arrival.look) => Ok(MoveAttempt::Placed),
            // Somebody renamed another one to its place in this very moment.
            _ => {
                self.give_back(to, name)?;
                Ok(MoveAttempt::Not(PutAway::Replaced))
            }
        }
    }

    /// Moves a file that is not ours to move back to the inbox.
    fn give_back(&self, from: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let names = names::candidates(&self.arrival.name, self.place.name_bytes_max);
        for free in [self.arrival.name.clone()].into_iter().chain(names) {
            match rename_to_free(from, name, self.inbox, &free) {
                Err(Errno::EXIST) => {}
                given => return Ok(given?),
            }
        }
        Err(io::Error::other("no name is free"))
    }

    /// Puts a copy on another file system, safely on its disk, and removes the payload.
    fn copy_to(&self, name: &OsStr) -> io::Result<MoveAttempt> {
        let to = &self.place.directory;
        let Some(payload) = self.file else {
            return Err(Errno::XDEV.into());
        };
        if look(to, name)?.is_some() {
            return Ok(MoveAttempt::Taken);
        }
        let unfinished = UnfinishedMove {
            directory: to,
            name: format!(".{}.unfinished", Uuid::new_v4()).into(),
        };
        let Some(mut copy) = create(to, &unfinished.name, 0o600)? else {
            return Ok(MoveAttempt::Taken);
        };
        io::copy(&mut payload.reader(), &mut copy)?;
        copy.sync_all()?;
        if !payload.is_unchanged()? {
            return Ok(MoveAttempt::Not(PutAway::Changed));
        }
        match rename_to_free(to, &unfinished.name, to, name) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(MoveAttempt::Taken),
            Err(error) => return Err(error.into()),
        }
        fsync(to)?;
        self.remove()?;
        Ok(MoveAttempt::Placed)
    }

    /// Removes the payload from the inbox, but no other one of its name: it gets a name
    /// that nobody knows first, and is looked at there.
    fn remove(&self) -> io::Result<()> {
        let hidden: OsString = format!(".{}.done", Uuid::new_v4()).into();
        match renameat(self.inbox, &self.arrival.name, self.inbox, &hidden) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        match look(self.inbox, &hidden)? {
            Some(moved) if moved.is_same_file(&self.arrival.look) => {
                Ok(unlinkat(self.inbox, &hidden, AtFlags::empty())?)
            }
            Some(_) => self.give_back(self.inbox, &hidden),
            None => Ok(()),
        }
    }
}

/// How what has a name looks; a link is looked at itself.
fn look(directory: &OwnedFd, name: &OsStr) -> io::Result<Option<Look>> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(Look::of(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A new file; `None` when the name is taken, be it by a link to nowhere.
fn create(directory: &OwnedFd, name: &OsStr, mode: u32) -> io::Result<Option<File>> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(directory, name, flags, Mode::from_raw_mode(mode)) {
        Ok(file) => Ok(Some(File::from(file))),
        Err(Errno::EXIST) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Renames and replaces nothing.
fn rename_to_free(
    from: &OwnedFd,
    name: &OsStr,
    to: &OwnedFd,
    free: &OsStr,
) -> rustix::io::Result<()> {
    match renameat_with(from, name, to, free, RenameFlags::NOREPLACE) {
        // Some file systems cannot promise that; but nobody else writes to the place.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            match statat(to, free, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST),
                Err(Errno::NOENT) => renameat(from, name, to, free),
                Err(error) => Err(error),
            }
        }
        renamed => renamed,
    }
}

/// A file that is gone when this is dropped, unless it got another name.
struct UnfinishedMove<'d> {
    directory: &'d OwnedFd,
    name: OsString,
}

impl Drop for UnfinishedMove<'_> {
    fn drop(&mut self) {
        // After the rename there is nothing to remove.
        let _ = unlinkat(self.directory, &self.name, AtFlags::empty());
    }
}
