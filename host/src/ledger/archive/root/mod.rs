//! The folder of an archive, held open. Everything in it is reached from there, by
//! checked names and through no link.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Says whose the archive is.
const OWNER: &str = "owner.json";

/// Bytes of that file; ours have some hundreds.
const OWNER_BYTES_MAX: u64 = 64 << 10;

const UNFINISHED: &str = ".unfinished";

/// The name of a tarball: the SHA-256 of its bytes, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    /// `None` for text that is no digest, which no path is made of.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(digits)).then(|| Self(text.to_string()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folder(&self) -> &str {
        &self.0[..2]
    }

    fn file(&self) -> String {
        format!("{}.tar.gz", self.0)
    }
}

/// The owner of an archive, as its folder has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerFile {
    pub identity: Uuid,
    /// The server, and the database there, that the identity was given for.
    pub system_identifier: Option<i64>,
    pub database_oid: i64,
    /// For people: where the database was when it took the archive.
    pub database: String,
    pub schema: String,
}

/// How an archive stands to a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// There is no such folder, or nothing of an archive in it.
    Nobodys,
    Ours,
    /// Another database's.
    Others(OwnerFile),
    /// There are payloads, and nothing says whose.
    Unsaid,
}

/// The condition of a tarball.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileCondition {
    Whole,
    Missing,
    /// Why it is not what was put there.
    Damaged(String),
}

/// The folder of an archive.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    folder: OwnedFd,
}

/// Whether a path, which may come from a table, may be that of an archive. That it is
/// one of ours, its owner says.
pub(super) fn is_place(path: &Path) -> bool {
    path.is_absolute() && path.parent().is_some()
}

impl Root {
    /// `None` when there is no such folder.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        match folder_at(CWD, path, OFlags::empty()) {
            Ok(folder) => Ok(Some(Self {
                path: path.to_path_buf(),
                folder,
            })),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the folder, which is made where it is missing, for us alone.
    pub fn create(path: &Path) -> io::Result<Self> {
        let create = |path: &Path, mode| DirBuilder::new().recursive(true).mode(mode).create(path);
        // The local server lives beside the archive, and may be another user's.
        let base = path.parent().and_then(Path::parent);
        base.map_or(Ok(()), |base| create(base, 0o711))?;
        create(path, 0o700)?;
        let folder = folder_at(CWD, path, OFlags::empty())?;
        Ok(Self {
            path: path.to_path_buf(),
            folder,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the archive stands to the database of this identity; `None` is a database
    /// that has yet to get one.
    pub fn standing(&self, identity: Option<Uuid>) -> io::Result<Ownership> {
        match self.owner()? {
            Some(owner) if Some(owner.identity) == identity => Ok(Ownership::Ours),
            Some(owner) => Ok(Ownership::Others(owner)),
            None if self.holds_payloads()? => Ok(Ownership::Unsaid),
            None => Ok(Ownership::Nobodys),
        }
    }

    fn owner(&self) -> io::Result<Option<OwnerFile>> {
        let Some(file) = plain_file(&self.folder, OWNER)? else {
            return Ok(None);
        };
        let mut text = Vec::new();
        file.take(OWNER_BYTES_MAX).read_to_end(&mut text)?;
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("`{}` is not readable: {error}", self.shown(OWNER)),
            )
        })
    }

    /// Whether a payload is or was about to be in there.
    fn holds_payloads(&self) -> io::Result<bool> {
        for name in names_in(&self.folder)? {
            if name.ends_with(UNFINISHED) && !name.starts_with(&format!(".{OWNER}")) {
                return Ok(true);
            }
            let digits = |byte: u8| byte.is_ascii_hexdigit();
            if name.len() != 2 || !name.bytes().all(digits) {
                continue;
            }
            match folder_at(&self.folder, &name, OFlags::NOFOLLOW) {
                Ok(folder) if names_in(&folder)?.is_empty() => {}
                Ok(_) => return Ok(true),
                // No folder: not ours to judge, and nothing that we would remove.
                Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Says whose the archive is, where nothing says so yet: of two who do it at once one
    /// does, and the other sees it.
    pub fn claim(&self, owner: &OwnerFile) -> io::Result<()> {
        self.write_owner(owner, &|unfinished| {
            let folder = &self.folder;
            let flags = RenameFlags::NOREPLACE;
            let put = match rustix::fs::renameat_with(folder, unfinished, folder, OWNER, flags) {
                // Some file systems can only do the other.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    rustix::fs::linkat(folder, unfinished, folder, OWNER, AtFlags::empty())
                }
                put => put,
            };
            match put {
                Err(error) if error != Errno::EXIST => Err(error.into()),
                _ => Ok(()),
            }
        })
    }

    /// Says whose the archive is from now on, whoever had it.
    pub fn take(&self, owner: &OwnerFile) -> io::Result<()> {
        self.write_owner(owner, &|unfinished| {
            Ok(rustix::fs::renameat(
                &self.folder,
                unfinished,
                &self.folder,
                OWNER,
            )?)
        })
    }

    fn write_owner(
        &self,
        owner: &OwnerFile,
        put: &dyn Fn(&str) -> io::Result<()>,
    ) -> io::Result<()> {
        let unfinished = format!(".{OWNER}.{}{UNFINISHED}", Uuid::new_v4());
        let write = || -> io::Result<()> {
            let mut file = new_file(&self.folder, &unfinished)?;
            file.write_all(&serde_json::to_vec_pretty(owner)?)?;
            file.sync_all()?;
            put(&unfinished)?;
            Ok(rustix::fs::fsync(&self.folder)?)
        };
        let written = write();
        // It may still be there: when it was linked, lost, or when something failed.
        let removed = remove_at(&self.folder, &unfinished);
        written.and(removed.map(drop))
    }

    /// A new file for a tarball, under a name that nobody looks for.
    pub fn begin(&self, id: Uuid) -> io::Result<File> {
        new_file(&self.folder, &unfinished(id))
    }

    /// Gives a file that was begun, and is on disk, its place.
    pub fn place(&self, id: Uuid, digest: &Digest) -> io::Result<()> {
        let made = rustix::fs::mkdirat(&self.folder, digest.folder(), Mode::RWXU);
        match made {
            Err(error) if error != Errno::EXIST => return Err(error.into()),
            _ => {}
        }
        let folder = folder_at(&self.folder, digest.folder(), OFlags::NOFOLLOW)?;
        let put = || rustix::fs::renameat(&self.folder, unfinished(id), &folder, digest.file());
        match put() {
            Err(Errno::ISDIR) => {
                self.clear_folder(&folder, digest)?;
                put()?;
            }
            put => put?,
        }
        rustix::fs::fsync(&folder)?;
        Ok(rustix::fs::fsync(&self.folder)?)
    }

    /// Takes an empty folder out of a tarball's place. What is in another one is not ours
    /// to judge.
    fn clear_folder(&self, folder: &OwnedFd, digest: &Digest) -> io::Result<()> {
        match rustix::fs::unlinkat(folder, digest.file(), AtFlags::REMOVEDIR) {
            Ok(()) => Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                format!(
                    "`{}` is a folder with something in it, where a payload is to be: move it away",
                    place(&self.path, digest).display()
                ),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a file that was begun; whether it was there.
    pub fn remove_begun(&self, id: Uuid) -> io::Result<bool> {
        remove_at(&self.folder, &unfinished(id))
    }

    /// Removes a tarball; whether it was there.
    pub fn remove(&self, digest: &Digest) -> io::Result<bool> {
        match self.folder_of(digest)? {
            Some(folder) => remove_at(&folder, &digest.file()),
            None => Ok(false),
        }
    }

    /// Whether there is something in a tarball's place.
    pub fn holds(&self, digest: &Digest) -> io::Result<bool> {
        let Some(folder) = self.folder_of(digest)? else {
            return Ok(false);
        };
        match rustix::fs::statat(&folder, digest.file(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub fn holds_begun(&self, id: Uuid) -> io::Result<bool> {
        Ok(plain_file(&self.folder, &unfinished(id))?.is_some())
    }

    /// Reads a tarball through: whether it has the bytes that it is called by.
    pub fn examine(&self, digest: &Digest) -> io::Result<FileCondition> {
        if !self.holds(digest)? {
            return Ok(FileCondition::Missing);
        }
        let Some(folder) = self.folder_of(digest)? else {
            return Ok(FileCondition::Missing);
        };
        let Some(mut file) = plain_file(&folder, &digest.file())? else {
            return Ok(FileCondition::Damaged("it is no plain file".into()));
        };
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 18];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        let found = hex::encode(hasher.finalize());
        Ok(match found == digest.0 {
            true => FileCondition::Whole,
            false => FileCondition::Damaged(format!("its SHA-256 is {found}")),
        })
    }

    /// The folder of a tarball, if it is there and one of this archive's own.
    fn folder_of(&self, digest: &Digest) -> io::Result<Option<OwnedFd>> {
        match folder_at(&self.folder, digest.folder(), OFlags::NOFOLLOW) {
            Ok(folder) => Ok(Some(folder)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!(
                    "`{}` leads out of the archive, or is no folder",
                    self.shown(digest.folder())
                ),
            )),
            Err(error) => Err(error.into()),
        }
    }

    fn shown(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}

/// Where a folder holds a tarball, for messages and for whoever opens payloads.
pub(super) fn place(directory: &Path, digest: &Digest) -> PathBuf {
    directory.join(digest.folder()).join(digest.file())
}

/// Where a folder holds a file that is being written, for messages.
pub(super) fn place_of_begun(directory: &Path, id: Uuid) -> PathBuf {
    directory.join(unfinished(id))
}

fn unfinished(id: Uuid) -> String {
    format!(".{id}{UNFINISHED}")
}

fn folder_at<D: rustix::fd::AsFd, P: rustix::path::Arg>(
    at: D,
    path: P,
    besides: OFlags,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | besides;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

/// Opens a file, which a pipe or a link is not.
fn plain_file(folder: &OwnedFd, name: &str) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
    Ok((kind == FileType::RegularFile).then(|| File::from(file)))
}

fn new_file(folder: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?;
    Ok(File::from(file))
}

fn remove_at(folder: &OwnedFd, name: &str) -> io::Result<bool> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn names_in(folder: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
