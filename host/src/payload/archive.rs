//! The tarball of a payload: gzip, tar, flat names, plain files.
//!
//! Legitimate payloads hold plain files with flat names and at most a directory
//! entry for the root; anything else is refused, since nothing good explains it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, EntryType, PaxExtensions};

use super::opened::OpenFile;
use crate::diagnostics::failure::Failure;
use crate::diagnostics::hindrance;

/// Members of one tarball, of whatever kind: a split payload has at most some
/// thousand.
const MEMBERS_MAX: usize = 10_000;

/// Bytes of all members together; a payload of a thousand nodes has one GiB.
const UNPACKED_BYTES_MAX: u64 = 64 << 30;

/// Bytes that a byte of the tarball may unpack to. Usage reports reach 60; gzip
/// ends at 1032, which only a bomb is near.
const UNPACKED_RATIO_MAX: u64 = 250;

/// Any tarball may unpack to this: a report of one idle hour is repetitive.
const UNPACKED_BYTES_FREE: u64 = 64 << 20;

/// Bytes of an extension header: times and one name.
const EXTENSION_BYTES_MAX: u64 = 64 << 10;

/// Bytes that are read at once of what nobody wants.
const SKIPPED_BYTES: usize = 256 << 10;

/// Why a tarball cannot be used.
#[derive(Debug)]
pub(super) enum TarballFault {
    /// Reading stopped: not gzip, cut short, damaged.
    Unreadable(io::Error),
    /// The system gives none of its bytes now, which says nothing about them.
    Hindered(io::Error),
    /// A member of a folder cannot be read.
    Member(String, io::Error),
    /// Something is in it that no payload holds.
    Refused(String),
    NoManifest,
    /// The caller failed at a member.
    Callback(Failure),
}

impl fmt::Display for TarballFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The library quotes names, whatever they hold.
            Self::Unreadable(error) => write!(
                formatter,
                "it is not a whole gzip-compressed tar archive: {}",
                error.to_string().escape_debug()
            ),
            Self::Hindered(error) => write!(formatter, "{error}"),
            Self::Member(name, error) => {
                write!(formatter, "member `{name}` cannot be read: {error}")
            }
            Self::Refused(reason) => formatter.write_str(reason),
            Self::NoManifest => formatter.write_str("it has no `manifest.json`"),
            Self::Callback(failure) => write!(formatter, "{failure}"),
        }
    }
}

impl std::error::Error for TarballFault {}

/// What is known of an archive that was read from end to end.
pub(super) struct ReadArchive {
    /// The SHA-256 of the archive.
    pub(super) digest: String,
    /// The bytes of each file.
    pub(super) sizes: BTreeMap<String, u64>,
}

/// The bytes of `manifest.json`, and what else is known of the archive. All of it is read,
/// so that a damaged one is refused before any of it is loaded.
pub(super) fn manifest(file: &OpenFile) -> Result<(Vec<u8>, ReadArchive), TarballFault> {
    let mut manifest = None;
    let read = for_each_file(file, &mut |name, reader| {
        if name == super::MANIFEST {
            let mut text = Vec::new();
            reader
                .take(super::MANIFEST_BYTES_MAX + 1)
                .read_to_end(&mut text)
                .map_err(|error| Failure::run("cannot read `manifest.json`").because(error))?;
            manifest = Some(text);
        }
        Ok(())
    })?;
    let manifest = manifest.ok_or(TarballFault::NoManifest)?;
    Ok((manifest, read))
}

/// Hands every plain file to `each`, in the order of the archive.
pub(super) fn for_each_file(
    file: &OpenFile,
    each: &mut dyn FnMut(&str, &mut dyn Read) -> Result<(), Failure>,
) -> Result<ReadArchive, TarballFault> {
    let mut bytes = file.reader();
    let read = read_files(&mut bytes, file.look().bytes as u64, each);
    let broken = match read {
        Ok(sizes) => {
            let digest = bytes.digest().map_err(TarballFault::Hindered)?;
            return Ok(ReadArchive { digest, sizes });
        }
        Err(broken) => broken,
    };
    // What the system says of the file comes before what is wrong with its bytes.
    let error = bytes.error().and_then(io::Error::raw_os_error);
    let error = error.map(io::Error::from_raw_os_error);
    Err(match (broken, error) {
        (TarballFault::Callback(failure), Some(error)) => {
            TarballFault::Callback(match hindrance::of_reading(&error) {
                Some(hindrance) => failure.hindered_by(hindrance),
                None => failure,
            })
        }
        (_, Some(error)) => TarballFault::Hindered(error),
        (broken, None) => broken,
    })
}

/// As `for_each_file`, of a tarball of so many bytes. Returns the bytes of each file.
pub(super) fn read_files(
    tarball: impl Read,
    bytes: u64,
    each: &mut dyn FnMut(&str, &mut dyn Read) -> Result<(), Failure>,
) -> Result<BTreeMap<String, u64>, TarballFault> {
    let decoder = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, tarball));
    let bounded = BoundedReader::new(decoder, bytes);
    let mut archive = Archive::new(bounded);
    let mut sizes = BTreeMap::new();
    let mut long_name = None;
    // Raw, since the library would read an extension header of any size.
    let entries = archive
        .entries()
        .map_err(TarballFault::Unreadable)?
        .raw(true);
    for (position, entry) in entries.enumerate() {
        let mut entry = entry.map_err(TarballFault::Unreadable)?;
        if position == MEMBERS_MAX {
            return Err(TarballFault::Refused(format!(
                "it has more than {MEMBERS_MAX} members"
            )));
        }
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XHeader | EntryType::GNULongName) {
            long_name = extension(&mut entry, kind)?.or(long_name);
            continue;
        }
        let raw_name = long_name
            .take()
            .unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let Ok(name) = std::str::from_utf8(&raw_name) else {
            return Err(TarballFault::Refused("a member's name is not UTF-8".into()));
        };
        match kind {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Directory if name.chars().all(|c| matches!(c, '/' | '.')) => continue,
            kind => {
                return Err(TarballFault::Refused(format!(
                    "member `{}` is a {kind:?}, not a plain file",
                    name.escape_debug()
                )));
            }
        }
        let name = name.strip_prefix("./").unwrap_or(name);
        if !is_flat(name) {
            return Err(TarballFault::Refused(format!(
                "member `{}` does not have a flat name",
                name.escape_debug()
            )));
        }
        if sizes.insert(name.to_string(), entry.size()).is_some() {
            return Err(TarballFault::Refused(format!(
                "member `{name}` is there twice"
            )));
        }
        each(name, &mut entry).map_err(TarballFault::Callback)?;
        // The rest is read so that damage shows before the next member.
        skip(&mut entry)?;
    }
    // Tar ends before gzip does: only the end of the stream proves its checksum.
    skip(archive.into_inner())?;
    Ok(sizes)
}

/// Reads to the end, in large pieces: inflating has work to do at the end of each.
fn skip(reader: impl Read) -> Result<(), TarballFault> {
    let mut pieces = BufReader::with_capacity(SKIPPED_BYTES, reader);
    io::copy(&mut pieces, &mut io::sink()).map_err(TarballFault::Unreadable)?;
    Ok(())
}

/// The name that an extension header gives to the member behind it, if it does.
fn extension(header: &mut dyn Read, kind: EntryType) -> Result<Option<Vec<u8>>, TarballFault> {
    let mut text = Vec::new();
    header
        .take(EXTENSION_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(TarballFault::Unreadable)?;
    if text.len() as u64 > EXTENSION_BYTES_MAX {
        return Err(TarballFault::Refused(format!(
            "an extension header has more than {EXTENSION_BYTES_MAX} bytes"
        )));
    }
    if kind == EntryType::GNULongName {
        let end = text.iter().position(|byte| *byte == 0);
        text.truncate(end.unwrap_or(text.len()));
        return Ok(Some(text));
    }
    let mut name = None;
    for record in PaxExtensions::new(&text) {
        let record = record.map_err(TarballFault::Unreadable)?;
        match record.key_bytes() {
            b"path" => name = Some(record.value_bytes().to_vec()),
            // It would make the member end elsewhere than its header says.
            b"size" => {
                return Err(TarballFault::Refused(
                    "a member has its size in an extension".into(),
                ));
            }
            _ => {}
        }
    }
    Ok(name)
}

/// One path component that means itself.
pub(super) fn is_flat(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && !name
            .chars()
            .any(|c| matches!(c, '/' | '\\') || c.is_control())
}

/// A reader that gives up when a tarball unpacks to more than a payload would.
struct BoundedReader<R> {
    inner: R,
    left: u64,
    reason: String,
}

impl<R> BoundedReader<R> {
    /// Reads what a tarball of so many bytes unpacks to.
    fn new(inner: R, tarball_bytes: u64) -> Self {
        let by_ratio = tarball_bytes
            .saturating_mul(UNPACKED_RATIO_MAX)
            .max(UNPACKED_BYTES_FREE);
        Self {
            inner,
            left: by_ratio.min(UNPACKED_BYTES_MAX),
            reason: match by_ratio < UNPACKED_BYTES_MAX {
                true => format!("it unpacks to more than {UNPACKED_RATIO_MAX} times its size"),
                false => format!("it unpacks to more than {UNPACKED_BYTES_MAX} bytes"),
            },
        }
    }
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(self.reason.clone()))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_flat_names_are_accepted() {
        assert!(is_flat("manifest.json"));
        for name in ["", ".", "..", "../x", "/etc/passwd", "a\\b", "a\nb", "a\0"] {
            assert!(!is_flat(name), "{name:?}");
        }
    }
}
