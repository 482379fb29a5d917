//! The lock of an inbox, which only one process has.
//!
//! Anybody who can read a folder can lock it. So the lock is a file of ours, in a folder
//! of ours, named by the inbox's device and inode.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, Stat, fstat, mkdirat, open, openat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::diagnostics::failure::{Failure, Result};

/// The folder of locks below that for our state.
const FOLDER: &str = "watch";

/// Takes the lock of an inbox, which is let go when the file is closed.
pub(super) fn hold(inbox: &Path, stat: &Stat, state: &Path) -> Result<File> {
    let shown = inbox.display();
    let path = state.join(FOLDER);
    let unusable = |error: io::Error| {
        Failure::environment(format!(
            "cannot lock inbox `{shown}` by a file in `{}`",
            path.display()
        ))
        .because(error)
        .hint("GRISTMILL_DATA names a folder of your own")
    };
    let file = lock_file(stat, state).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::definition(format!(
            "inbox `{shown}` is watched by another process"
        ))
        .hint("one is enough; it takes all payloads in turn")),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

fn lock_file(inbox: &Stat, state: &Path) -> io::Result<File> {
    // The local server lives beside it, and may be another user's.
    DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(state)?;
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let state = open(state, folder, Mode::empty())?;
    match mkdirat(&state, FOLDER, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let locks = openat(&state, FOLDER, folder | OFlags::NOFOLLOW, Mode::empty())?;
    ours(&fstat(&locks)?)?;
    let name = format!("{:x}-{:x}.lock", inbox.st_dev, inbox.st_ino);
    let flags =
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(&locks, name, flags, Mode::RUSR | Mode::WUSR)?;
    ours(&fstat(&file)?)?;
    Ok(File::from(file))
}

fn ours(stat: &Stat) -> io::Result<()> {
    match stat.st_uid == geteuid().as_raw() {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "it belongs to another user (uid {})",
            stat.st_uid
        ))),
    }
}
