//! The folders that payloads are put into. They are opened once, and belong to us.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, fstat, fstatvfs, mkdirat, open, openat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::names::REASON;
use crate::diagnostics::failure::{Failure, Result};
use crate::payload::Look;

/// Bytes of a file's name on most file systems, and the fewest that we count on.
const NAME_BYTES_MAX: u64 = 255;
const NAME_BYTES_MIN: u64 = 64;

#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    pub(super) directory: OwnedFd,
    /// Bytes of a payload's name here, so that its reason has one as well.
    pub(super) name_bytes_max: usize,
}

impl Place {
    /// A folder right below the inbox, made when it is not there. Those who can write
    /// into the inbox can put something else in its place, so it must be a folder and
    /// ours. `option` is what names another one.
    pub(super) fn below(
        inbox: &Path,
        folder: &OwnedFd,
        name: &OsStr,
        option: &str,
    ) -> Result<Self> {
        let path = inbox.join(name);
        let shown = path.display();
        let hint =
            || format!("remove it, or name a folder outside of the inbox with `{option} DIR`");
        let refused = |what: String| Failure::environment(format!("`{shown}` {what}")).hint(hint());
        let failed = |error: Errno| unusable(&path, error.into());
        match mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = match openat(folder, name, flags, Mode::empty()) {
            Ok(directory) => directory,
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(refused("is a link or a file, not a folder".into()));
            }
            Err(error) => return Err(failed(error)),
        };
        let owner = fstat(&directory).map_err(failed)?.st_uid;
        if owner != geteuid().as_raw() {
            return Err(refused(format!("belongs to another user (uid {owner})")));
        }
        Self::of(path.clone(), directory).map_err(failed)
    }

    /// A folder that a person named, made when it is not there.
    pub(super) fn named(path: &Path, inbox: &Path, folder: &OwnedFd, option: &str) -> Result<Self> {
        let failed = |error: Errno| unusable(path, error.into());
        let io_failed = |error: io::Error| unusable(path, error);
        let inbox_real = inbox.canonicalize().map_err(io_failed)?;
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if parent
            .canonicalize()
            .is_ok_and(|parent| parent == inbox_real)
            && let Some(name) = path.file_name()
        {
            return Self::below(inbox, folder, name, option);
        }
        fs::create_dir_all(path).map_err(io_failed)?;
        if path
            .canonicalize()
            .map_err(io_failed)?
            .starts_with(&inbox_real)
        {
            return Err(Failure::definition(format!(
                "`{}` cannot be the folder of `{option}`: it is the inbox, or deep inside of it",
                path.display()
            ))
            .hint("name a folder outside of the inbox, or right below it"));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(path, flags, Mode::empty()).map_err(failed)?;
        let same = |one: &OwnedFd, other: &OwnedFd| -> rustix::io::Result<bool> {
            Ok(Look::of(&fstat(one)?).is_same_file(&Look::of(&fstat(other)?)))
        };
        if same(&directory, folder).map_err(failed)? {
            return Err(Failure::definition(format!(
                "`{}` is the inbox, and cannot be the folder of `{option}`",
                path.display()
            )));
        }
        Self::of(path.to_path_buf(), directory).map_err(failed)
    }

    fn of(path: PathBuf, directory: OwnedFd) -> rustix::io::Result<Self> {
        let bytes_max = match fstatvfs(&directory)?.f_namemax {
            // Some file systems do not say.
            0 => NAME_BYTES_MAX,
            bytes => bytes.clamp(NAME_BYTES_MIN, NAME_BYTES_MAX),
        };
        Ok(Self {
            path,
            directory,
            name_bytes_max: bytes_max as usize - REASON.len(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn unusable(path: &Path, error: io::Error) -> Failure {
    Failure::environment(format!("cannot use folder `{}`", path.display())).because(error)
}
