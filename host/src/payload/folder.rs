//! A payload that is a folder: plain files below one open directory, each as it was
//! when the folder was opened.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::archive::TarballFault;
use super::opened::{Look, OpenFile, other_kind};
use super::{MANIFEST, MANIFEST_BYTES_MAX};

/// An open folder, and what was in it.
#[derive(Debug)]
pub(super) struct Folder {
    directory: OwnedFd,
    /// The manifest's text.
    pub(super) manifest: Vec<u8>,
    members: BTreeMap<String, Look>,
}

impl Folder {
    /// Opens a folder and reads its manifest; gives the folder back when it has none.
    pub(super) fn open(directory: File) -> Result<Result<Self, File>, TarballFault> {
        let directory = OwnedFd::from(directory);
        let Some(file) = open_member(&directory, MANIFEST)? else {
            return Ok(Err(File::from(directory)));
        };
        let mut manifest = Vec::new();
        file.reader()
            .take(MANIFEST_BYTES_MAX + 1)
            .read_to_end(&mut manifest)
            .map_err(|error| unreadable(MANIFEST, error))?;
        Ok(Ok(Self {
            directory,
            manifest,
            members: BTreeMap::new(),
        }))
    }

    /// Notes how these files look that are there.
    pub(super) fn note(&mut self, names: &[String]) -> Result<(), TarballFault> {
        for name in names {
            if let Some(look) = look(&self.directory, name)? {
                self.members.insert(name.clone(), look);
            }
        }
        Ok(())
    }

    /// The bytes of a file that was there when the folder was opened.
    pub(super) fn bytes_of(&self, name: &str) -> Option<u64> {
        u64::try_from(self.members.get(name)?.bytes).ok()
    }

    /// Hands a file to `read` as it was when the folder was opened; `None` for one
    /// that was not there.
    pub(super) fn member<T>(
        &self,
        name: &str,
        read: impl FnOnce(&OpenFile) -> Result<T, TarballFault>,
    ) -> Result<Option<T>, TarballFault> {
        let Some(noted) = self.members.get(name) else {
            return Ok(None);
        };
        let changed = || {
            TarballFault::Refused(format!(
                "member `{name}` was changed while the payload was run"
            ))
        };
        let file = open_member(&self.directory, name)?.ok_or_else(changed)?;
        if !file.look().is_same_contents(noted) {
            return Err(changed());
        }
        let done = read(&file)?;
        match file.is_unchanged() {
            Ok(true) => Ok(Some(done)),
            Ok(false) => Err(changed()),
            Err(error) => Err(unreadable(name, error)),
        }
    }
}

/// How a member looks; a link may lead anywhere, and reading a pipe may never end.
fn look(directory: &OwnedFd, name: &str) -> Result<Option<Look>, TarballFault> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if other_kind(&stat).is_none() => Ok(Some(Look::of(&stat))),
        Ok(_) => Err(no_file(name)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(unreadable(name, error.into())),
    }
}

/// Opens a plain file of a folder; `None` when it is not there.
pub(super) fn open_member(
    directory: &OwnedFd,
    name: &str,
) -> Result<Option<OpenFile>, TarballFault> {
    let Some(look) = look(directory, name)? else {
        return Ok(None);
    };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = openat(directory, name, flags, Mode::empty())
        .map_err(io::Error::from)
        .and_then(|file| OpenFile::new(File::from(file)))
        .map_err(|error| unreadable(name, error))?;
    // Between the two it may have become something else.
    match opened.look().is_same_file(&look) {
        true => Ok(Some(opened)),
        false => Err(no_file(name)),
    }
}

fn no_file(name: &str) -> TarballFault {
    TarballFault::Refused(format!("member `{name}` is not a plain file"))
}

fn unreadable(name: &str, error: io::Error) -> TarballFault {
    TarballFault::Member(name.to_string(), error)
}
