//! What a file is, by its first bytes: for messages about a file that is not what somebody
//! took it for.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

pub const GZIP: &str = "a gzip archive";
pub const TAR: &str = "a tar archive that is not compressed";
pub const TEXT: &str = "text";
pub const EMPTY: &str = "an empty file";
pub const UNKNOWN: &str = "a file of a kind that is not known here";

/// Where a tar archive says that it is one.
const TAR_OFFSET: usize = 257;

/// Bytes that are looked at.
pub const BYTES_MAX: u64 = 512;

/// The beginnings of kinds of files.
const KINDS: [(&[u8], &str); 12] = [
    (b"\x1f\x8b", GZIP),
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\0asm\x01\0\0\0", "a core module of WebAssembly"),
    (b"\0asm\x0d\0\x01\0", "a WebAssembly component"),
    (b"\x7fELF", "a program for Linux"),
    (b"MZ", "a program for Windows"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF"),
    (b"#!", "a script"),
];

/// What a file with this beginning is.
pub fn of(beginning: &[u8]) -> &'static str {
    let kind = KINDS.iter().find(|(begin, _)| beginning.starts_with(begin));
    let is_tar = beginning
        .get(TAR_OFFSET..)
        .is_some_and(|rest| rest.starts_with(b"ustar"));
    match kind {
        Some((_, kind)) => kind,
        None if beginning.is_empty() => EMPTY,
        None if is_tar => TAR,
        None if is_text(beginning) => TEXT,
        None => UNKNOWN,
    }
}

/// What a file is; `None` when it cannot be read.
pub fn of_file(path: &Path) -> Option<&'static str> {
    let mut beginning = Vec::new();
    File::options()
        .read(true)
        // A pipe would be waited for.
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .and_then(|file| file.take(BYTES_MAX).read_to_end(&mut beginning))
        .ok()?;
    Some(of(&beginning))
}

/// Whether these bytes begin a text, the last character of which may be cut.
fn is_text(beginning: &[u8]) -> bool {
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text
        .chars()
        .any(|character| character.is_control() && !"\t\n\r".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_beginning() {
        let mut tar = vec![0; 512];
        tar[TAR_OFFSET..TAR_OFFSET + 5].copy_from_slice(b"ustar");
        for (beginning, kind) in [
            (&b""[..], EMPTY),
            (b"\x1f\x8b\x08", GZIP),
            (&tar, TAR),
            (b"\0asm\x01\0\0\0", "a core module of WebAssembly"),
            ("a,b\nç".as_bytes(), TEXT),
            (&"aç".as_bytes()[..2], TEXT),
            (b"\xff\xfe\0", UNKNOWN),
        ] {
            assert_eq!(of(beginning), kind);
        }
    }
}
