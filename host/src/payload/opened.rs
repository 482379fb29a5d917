//! A file of a payload, opened once: its identity, its looks at that time, and its bytes.
//! Everything later goes by the descriptor, so that a file which is renamed to its place,
//! or written into, is not taken for this one.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use rustix::fs::{FileType, Stat, fstat};
use sha2::{Digest as _, Sha256};

/// How a file looks: which it is, and what changes when it is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    device: u64,
    inode: u64,
    pub bytes: i64,
    /// The time of the contents, in nanoseconds since the epoch; any owner of the file
    /// can set it.
    pub modified: i128,
    /// The time of the contents, name or rights; nobody can set it.
    changed: i128,
}

impl Look {
    pub fn of(stat: &Stat) -> Self {
        let nanoseconds = |seconds: i128, nanoseconds: i128| seconds * 1_000_000_000 + nanoseconds;
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            bytes: stat.st_size,
            modified: nanoseconds(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed: nanoseconds(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        }
    }

    /// Whether both are of one file, however that has changed.
    pub fn is_same_file(&self, other: &Look) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether both are of one file with the same bytes; its name and rights may have
    /// changed.
    pub fn is_same_contents(&self, other: &Look) -> bool {
        self.is_same_file(other) && (self.bytes, self.modified) == (other.bytes, other.modified)
    }
}

/// The system's name for the kind of a file that is no plain one; `None` for a plain one.
pub fn other_kind(stat: &Stat) -> Option<&'static str> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some("a folder"),
        FileType::Symlink => Some("a link"),
        FileType::Fifo => Some("a pipe"),
        FileType::Socket => Some("a socket"),
        _ => Some("a device"),
    }
}

/// An open file.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    look: Look,
}

impl OpenFile {
    /// # Errors
    /// The system does not say how the file looks.
    pub fn new(file: File) -> io::Result<Self> {
        let look = Look::of(&fstat(&file)?);
        Ok(Self { file, look })
    }

    /// How it looked when it was opened.
    pub fn look(&self) -> &Look {
        &self.look
    }

    /// The same open file once more.
    ///
    /// # Errors
    /// This process has too many open files.
    pub fn again(&self) -> io::Result<Self> {
        Ok(Self {
            file: self.file.try_clone()?,
            look: self.look,
        })
    }

    /// Whether nothing was written to it since it was opened, by what the system says.
    ///
    /// # Errors
    /// The system does not say how the file looks.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        let now = Look::of(&fstat(&self.file)?);
        Ok(now.is_same_contents(&self.look))
    }

    /// Its bytes from the first on. Several readers are independent of each other.
    pub fn reader(&self) -> Bytes<'_> {
        Bytes {
            file: &self.file,
            offset: 0,
            hasher: Sha256::new(),
            error: None,
        }
    }
}

/// The bytes of an open file, and the digest of those that were read.
pub struct Bytes<'o> {
    file: &'o File,
    offset: u64,
    hasher: Sha256,
    /// The last error of the system when it gave none.
    error: Option<io::Error>,
}

impl Bytes<'_> {
    /// The SHA-256 of all of the file, the rest of which is read.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn digest(mut self) -> io::Result<String> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(hex::encode(self.hasher.finalize()))
    }

    /// The error of the system when it gave no bytes. Libraries in between wrap it in
    /// words of their own.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }
}

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self
            .file
            .read_at(buffer, self.offset)
            .inspect_err(|error| {
                self.error = error.raw_os_error().map(io::Error::from_raw_os_error);
            })?;
        self.hasher.update(&buffer[..read]);
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_open_file_whatever_becomes_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("p"), folder.path().join("other"));
        fs::write(&path, "first").unwrap();
        fs::write(&other, "second").unwrap();
        let opened = OpenFile::new(File::open(&path).unwrap()).unwrap();
        fs::rename(&other, &path).unwrap();
        let mut text = String::new();
        let again = opened.again().unwrap();
        let mut one = opened.reader();
        one.read_to_string(&mut text).unwrap();
        again.reader().read_to_string(&mut text).unwrap();
        assert_eq!(text, "firstfirst");
        assert!(opened.is_unchanged().unwrap());
        let digest = one.digest().unwrap();
        assert_eq!(digest, hex::encode(Sha256::digest("first")));
        let now = OpenFile::new(File::open(&path).unwrap()).unwrap();
        assert!(!now.look().is_same_file(opened.look()));
    }

    #[test]
    fn what_is_written_to_it_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        fs::write(&path, "first").unwrap();
        let opened = OpenFile::new(File::open(&path).unwrap()).unwrap();
        fs::write(&path, "longer than it was").unwrap();
        assert!(!opened.is_unchanged().unwrap());
        assert!(
            opened
                .look()
                .is_same_file(&Look::of(&fstat(&opened.file).unwrap()))
        );
    }
}
