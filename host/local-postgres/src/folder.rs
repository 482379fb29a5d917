//! A folder that is held open: what is done in it is done there, wherever its path
//! leads meanwhile. No link is followed, no pipe is waited for, and nothing is read or
//! written but plain files of the folder's owner, or of root.

use std::error::Error;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, fstat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use rustix::path::Arg;

/// Follows what follows the name of a file that is about to take its place.
const NEW: &str = ".new";

/// Opened with [`Folder::open`].
#[derive(Debug)]
pub(crate) struct Folder {
    handle: OwnedFd,
    pub(crate) owner: u32,
    pub(crate) group: u32,
    device: u64,
    inode: u64,
}

impl Folder {
    /// The folder of this name in another one, whoever owns it, if there is one.
    pub(crate) fn open(parent: impl AsFd, name: impl Arg) -> io::Result<Option<Folder>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = match openat(parent, name, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(refused("it is a link, or no folder")),
            Err(error) => return Err(error.into()),
        };
        let found = fstat(&handle)?;
        Ok(Some(Folder {
            handle,
            owner: found.st_uid,
            group: found.st_gid,
            device: found.st_dev,
            inode: found.st_ino,
        }))
    }

    /// The folder of this name in it, which must have the same owner.
    pub(crate) fn folder(&self, name: &str) -> io::Result<Option<Folder>> {
        let found = Folder::open(&self.handle, name)?;
        match &found {
            Some(folder) if folder.owner != self.owner => Err(foreign(folder.owner)),
            _ => Ok(found),
        }
    }

    /// Whether this is the folder with that metadata.
    pub(crate) fn is(&self, metadata: &Metadata) -> bool {
        (metadata.dev(), metadata.ino()) == (self.device, self.inode)
    }

    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        for entry in Dir::read_from(&self.handle)? {
            if ![c".", c".."].contains(&entry?.file_name()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The beginning of a file, if there is one.
    pub(crate) fn read(&self, name: &str, bytes_max: u64) -> io::Result<Option<String>> {
        self.read_from(name, 0, bytes_max)
    }

    /// What stands in a file behind `start`, and of that the last `bytes_max`.
    pub(crate) fn read_end(
        &self,
        name: &str,
        start: u64,
        bytes_max: u64,
    ) -> io::Result<Option<String>> {
        let length = self.length(name)?.unwrap_or_default();
        self.read_from(name, start.max(length.saturating_sub(bytes_max)), bytes_max)
    }

    fn read_from(&self, name: &str, start: u64, bytes_max: u64) -> io::Result<Option<String>> {
        let mut file = match self.open_file(name, OFlags::RDONLY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// How long a file is, if there is one.
    pub(crate) fn length(&self, name: &str) -> io::Result<Option<u64>> {
        match statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found.st_size.try_into().unwrap_or_default())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A file to write to at its end, made when there is none.
    pub(crate) fn appended(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)
    }

    /// Puts a new file in the place of what is there.
    pub(crate) fn replace(&self, name: &str, text: &str) -> io::Result<()> {
        let new = format!("{name}{NEW}");
        // One that a killed predecessor has left.
        self.remove(&new)?;
        self.open_file(&new, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?
            .write_all(text.as_bytes())?;
        self.rename(&new, name)
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.handle, from, &self.handle, to)?)
    }

    /// Removes a file, or a link, if there is one.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sees to it that names outlive a crash of the machine.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.handle)?)
    }

    fn open_file(&self, name: &str, access: OFlags) -> io::Result<File> {
        plain_file(&self.handle, name, access, self.owner)
    }
}

/// A file to lock, made when there is none, which is ours and which nobody else can read:
/// whoever can read it could hold it for ever.
pub(crate) fn private_file(folder: impl AsFd, name: &str) -> io::Result<File> {
    let ours = rustix::process::geteuid().as_raw();
    let file = plain_file(folder, name, OFlags::RDWR | OFlags::CREATE, ours)?;
    rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    Ok(file)
}

fn plain_file(folder: impl AsFd, name: &str, access: OFlags, owner: u32) -> io::Result<File> {
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file: File = match openat(folder, name, flags, Mode::RUSR | Mode::WUSR) {
        Ok(handle) => handle.into(),
        Err(Errno::LOOP) => return Err(refused("it is a link")),
        // A pipe that nobody reads, a socket, a folder.
        Err(Errno::NXIO | Errno::ISDIR) => return Err(refused("it is no plain file")),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(refused("it is no plain file"));
    }
    // What root has left there is as good as the owner's.
    match [owner, 0].contains(&metadata.uid()) {
        true => Ok(file),
        false => Err(foreign(metadata.uid())),
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Why something that is there is not touched.
#[derive(Debug)]
pub(crate) struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Error for Refused {}

pub(crate) fn refused(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, Refused(reason.to_owned()))
}

fn foreign(owner: u32) -> io::Error {
    refused(&format!("it belongs to another user (uid {owner})"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;

    fn open(path: &Path) -> Folder {
        Folder::open(rustix::fs::CWD, path).unwrap().unwrap()
    }

    fn pipe(path: &Path) {
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
    }

    #[track_caller]
    fn refuses<T: std::fmt::Debug>(result: io::Result<T>, reason: &str) {
        assert_eq!(result.unwrap_err().to_string(), reason);
    }

    #[test]
    fn links_are_not_followed() {
        let parent = tempfile::tempdir().unwrap();
        let (outside, inside) = (parent.path().join("outside"), parent.path().join("inside"));
        fs::create_dir(&outside).unwrap();
        fs::create_dir(&inside).unwrap();
        fs::write(outside.join("file"), "theirs").unwrap();
        symlink(outside.join("file"), inside.join("file")).unwrap();
        symlink(&outside, inside.join("folder")).unwrap();
        symlink(outside.join("none"), inside.join("dangling")).unwrap();

        let folder = open(&inside);
        refuses(folder.read("file", 10), "it is a link");
        refuses(folder.appended("file"), "it is a link");
        refuses(private_file(&folder, "dangling"), "it is a link");
        refuses(folder.folder("folder"), "it is a link, or no folder");
        folder.replace("file", "ours").unwrap();
        folder.replace("dangling", "ours").unwrap();
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "theirs");
        assert!(!outside.join("none").exists());
        assert_eq!(folder.read("file", 3).unwrap().unwrap(), "our");
        assert_eq!(folder.read_end("file", 0, 3).unwrap().unwrap(), "urs");
        assert_eq!(folder.read_end("file", 3, 3).unwrap().unwrap(), "s");
    }

    #[test]
    fn a_link_where_the_new_file_is_made_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let theirs = parent.path().join("theirs");
        fs::write(&theirs, "theirs").unwrap();
        symlink(&theirs, parent.path().join("file.new")).unwrap();
        open(parent.path()).replace("file", "ours").unwrap();
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
        assert_eq!(
            fs::read_to_string(parent.path().join("file")).unwrap(),
            "ours"
        );
    }

    #[test]
    fn pipes_are_not_waited_for() {
        let parent = tempfile::tempdir().unwrap();
        pipe(&parent.path().join("pipe"));
        let folder = open(parent.path());
        refuses(folder.read("pipe", 10), "it is no plain file");
        refuses(folder.appended("pipe"), "it is no plain file");
        refuses(private_file(&folder, "pipe"), "it is no plain file");
        folder.replace("pipe", "ours").unwrap();
        assert_eq!(folder.read("pipe", 10).unwrap().unwrap(), "ours");
    }

    #[test]
    fn a_folder_that_was_moved_away_is_still_the_one() {
        let parent = tempfile::tempdir().unwrap();
        let (before, after) = (parent.path().join("before"), parent.path().join("after"));
        fs::create_dir(&before).unwrap();
        let folder = open(&before);
        assert!(folder.is_empty().unwrap());
        fs::rename(&before, &after).unwrap();
        fs::create_dir(&before).unwrap();
        folder.replace("file", "ours").unwrap();
        assert!(!folder.is_empty().unwrap());
        assert!(after.join("file").exists());
        assert!(!before.join("file").exists());
        assert!(folder.is(&fs::metadata(&after).unwrap()));
        assert!(!folder.is(&fs::metadata(&before).unwrap()));
    }

    #[test]
    fn a_lock_is_taken_from_others() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("lock");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        private_file(open(parent.path()), "lock").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }
}
