//! Where the local server's socket lies.
//!
//! The kernel cuts a socket's path at 107 bytes, so a data directory with a long
//! path has its socket elsewhere: in a private folder of the runtime directory
//! or of `/tmp`. Running servers tell their folder through `postmaster.pid`.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode as encode};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt,
};
use sha2::{Digest, Sha256};

use crate::PORT;
use crate::account;
use crate::error::{Error, path_text};
use crate::folder::refused;
use crate::layout::Home;

/// Length of `sockaddr_un`'s path on Linux without its closing zero.
const PATH_BYTES_MAX: usize = 107;

/// What stands in a URL as it is, beside letters and digits.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'_')
    .remove(b'-')
    .remove(b'~');

/// How many names to try in a folder where others may take them.
const NAMES_MAX: u32 = 16;

/// Returns a folder that exists, is the account's alone and has a short enough path.
pub(crate) fn choose(name: &str, path: &Path, home: &Home) -> Result<PathBuf, Error> {
    let runtime_directory = env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        // Root's belongs to root, and the server is somebody else.
        .filter(|directory| directory.is_absolute() && !account::we_are_root());

    let mut refusal = None;
    let owner = home.account.owner();
    for candidate in candidates(name, path, runtime_directory.as_deref()) {
        match home.account.acting(|| make_private(&candidate, owner)) {
            Ok(()) => return Ok(candidate),
            Err(error) => refusal = Some(format!("{}: {error}", path_text(&candidate))),
        }
    }
    Err(Error::NoSocketDirectory {
        reason: refusal.unwrap_or_else(|| "every path is too long".to_owned()),
    })
}

/// The folders to try, best first, all short enough.
fn candidates(name: &str, home: &Path, runtime_directory: Option<&Path>) -> Vec<PathBuf> {
    // One name per data directory, so that a restart finds its old folder again.
    let digest = Sha256::digest(home.as_os_str().as_bytes());
    let name = format!("{name}-{}", hex::encode(&digest[..6]));

    let mut folders = vec![home.join("socket")];
    folders.extend(runtime_directory.map(|folder| folder.join(&name)));
    folders.extend((0..NAMES_MAX).map(|index| {
        let folder = format!("{name}-{index}");
        Path::new("/tmp").join(folder)
    }));
    folders.retain(|folder| {
        let socket = folder.join(format!(".s.PGSQL.{PORT}"));
        socket.as_os_str().len() <= PATH_BYTES_MAX
    });
    folders
}

/// Makes the folder, or checks that the one there is the owner's alone: in
/// `/tmp` somebody else may have been first.
fn make_private(folder: &Path, owner: u32) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match is_private(folder, owner)? {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it exists and is not private",
        )),
    }
}

/// Whether it is a folder, and no link, that the owner alone can enter.
fn is_private(folder: &Path, owner: u32) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(folder)?;
    let private = metadata.is_dir() && metadata.mode() & 0o077 == 0;
    Ok(private && metadata.uid() == owner)
}

/// Whether a process of that number and owner listens in a folder of the owner's alone.
/// One that does not take connections is not waited for.
pub(crate) fn answers(folder: &Path, port: u16, process: i32, owner: u32) -> io::Result<bool> {
    match is_private(folder, owner) {
        Ok(true) => {}
        Ok(false) => return Err(refused("others than the server's user can change it")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    let path = folder.join(format!(".s.PGSQL.{port}"));
    let Ok(address) = SocketAddrUnix::new(&path) else {
        return Ok(false);
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    if connect(&socket, &address).is_err() {
        return Ok(false);
    }
    let peer = sockopt::socket_peercred(&socket)?;
    Ok(peer.uid.as_raw() == owner && peer.pid.as_raw_nonzero().get() == process)
}

/// The path as a URL parameter that both libpq and sqlx read.
pub(crate) fn percent_encode(path: &Path) -> String {
    encode(path.as_os_str().as_bytes(), ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    #[test]
    fn a_short_path_keeps_the_socket_at_home() {
        let folders = candidates("orchard", Path::new("/data/postgres"), None);
        assert_eq!(folders[0], Path::new("/data/postgres/socket"));
    }

    #[test]
    fn the_limit_is_107_bytes() {
        // "/socket" and "/.s.PGSQL.5432" take 7 and 14 bytes.
        let longest = format!("/{}", "d".repeat(107 - 7 - 14 - 1));
        let too_long = format!("{longest}d");
        assert!(candidates("orchard", Path::new(&longest), None)[0].starts_with(&longest));
        assert!(candidates("orchard", Path::new(&too_long), None)[0].starts_with("/tmp"));
    }

    #[test]
    fn a_long_path_goes_to_the_runtime_directory() {
        let home = format!("/{}", "d".repeat(200));
        let folders = candidates(
            "orchard",
            Path::new(&home),
            Some(Path::new("/run/user/1000")),
        );
        assert!(folders[0].starts_with("/run/user/1000"));
        let name = folders[0].file_name().unwrap().to_string_lossy();
        assert!(name.starts_with("orchard-"), "{name}");
        assert!(folders[1].starts_with("/tmp"));
        let same = candidates("orchard", Path::new(&home), None);
        assert_eq!(folders[1], same[0], "the name depends on the home alone");
    }

    #[test]
    fn a_folder_open_to_others_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("socket");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let error = make_private(&folder, me()).unwrap_err();
        assert_eq!(error.to_string(), "it exists and is not private");

        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        make_private(&folder, me()).unwrap();
    }

    #[test]
    fn a_link_to_a_private_folder_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let link = parent.path().join("link");
        let target = parent.path().join("target");
        DirBuilder::new().mode(0o700).create(&target).unwrap();
        symlink(&target, &link).unwrap();
        assert!(make_private(&link, me()).is_err());
    }

    #[test]
    fn only_the_process_that_is_meant_answers() {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let ours = i32::try_from(std::process::id()).unwrap();
        assert!(!answers(parent.path(), PORT, ours, me()).unwrap());
        let path = parent.path().join(format!(".s.PGSQL.{PORT}"));
        let _listener = std::os::unix::net::UnixListener::bind(path).unwrap();
        assert!(answers(parent.path(), PORT, ours, me()).unwrap());
        assert!(!answers(parent.path(), PORT, ours + 1, me()).unwrap());
        assert!(answers(parent.path(), PORT, ours, me() + 1).is_err());
        assert!(!answers(&parent.path().join("none"), PORT, ours, me()).unwrap());

        let link = parent.path().join("link");
        symlink(parent.path(), &link).unwrap();
        assert!(answers(&link, PORT, ours, me()).is_err());
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(answers(parent.path(), PORT, ours, me()).is_err());
    }

    #[test]
    fn a_path_is_encoded_for_both_readers_of_urls() {
        let encoded = percent_encode(Path::new("/a b/c+d&e%/ü"));
        assert_eq!(encoded, "/a%20b/c%2Bd%26e%25/%C3%BC");
    }
}
