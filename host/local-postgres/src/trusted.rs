//! The way to the data directory. Root's must lead through folders that nobody but root
//! can change: whoever can change one of them decides what root finds at the end, and
//! root runs servers, writes and removes there.
//!
//! Of other users no more is asked than that the server's folder is theirs: volumes of
//! containers are often open to everybody, and what they do they do with their own rights.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, fstat, mkdirat, openat, readlinkat, statat,
};
use rustix::io::Errno;

use crate::account;
use crate::error::{Error, path_text};

/// As many as the kernel follows.
const LINKS_MAX: u32 = 40;

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The folder at an absolute path, held open; `None` when it is not there and is not
/// to be made.
pub(crate) fn enter(path: &Path, make: bool) -> Result<Option<OwnedFd>, Error> {
    if account::we_are_root() {
        // Its server runs as another user, who must get through.
        let mode = Mode::RWXU | Mode::XGRP | Mode::XOTH;
        return walk(path, make.then_some(mode), &[0]);
    }
    if make {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(Error::system(format!("create folder {}", path_text(path))))?;
    }
    match openat(CWD, path, FOLDER, Mode::empty()) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(cannot("open", path, error)),
    }
}

/// Goes to a folder by way of folders that only `owners` can change, links included;
/// makes those that are missing, if there is a mode for them.
fn walk(path: &Path, mode: Option<Mode>, owners: &[u32]) -> Result<Option<OwnedFd>, Error> {
    let top = || {
        openat(CWD, "/", FOLDER, Mode::empty())
            .map_err(|error| cannot("open", Path::new("/"), error))
    };
    let (mut folder, mut shown) = (top()?, PathBuf::from("/"));
    let mut left = names(path);
    let mut links = 0;
    while let Some(name) = left.pop() {
        check(&folder, &shown, owners, true)?;
        let here = shown.join(&name);
        let found = match statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::NOENT) => {
                let Some(mode) = mode else {
                    return Ok(None);
                };
                match mkdirat(&folder, &name, mode) {
                    Ok(()) | Err(Errno::EXIST) => left.push(name),
                    Err(error) => return Err(cannot("create", &here, error)),
                }
                continue;
            }
            Err(error) => return Err(cannot("look at", &here, error)),
        };
        if FileType::from_raw_mode(found.st_mode) == FileType::Symlink {
            // Where others can make things, they can make links.
            check_owner(found.st_uid, &here, owners)?;
            links += 1;
            if links > LINKS_MAX {
                return Err(cannot("follow", &here, Errno::LOOP));
            }
            let target = readlinkat(&folder, &name, Vec::new())
                .map_err(|error| cannot("follow", &here, error))?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            if target.is_absolute() {
                (folder, shown) = (top()?, PathBuf::from("/"));
            }
            left.append(&mut names(&target));
            continue;
        }
        folder = openat(&folder, &name, FOLDER | OFlags::NOFOLLOW, Mode::empty())
            .map_err(|error| cannot("open", &here, error))?;
        match name == ".." {
            true => {
                shown.pop();
            }
            false => shown = here,
        }
    }
    // In it nobody else may make anything, not even beside what is there.
    check(&folder, &shown, owners, false)?;
    Ok(Some(folder))
}

/// The parts of a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev();
    parts
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

fn check(folder: &OwnedFd, path: &Path, owners: &[u32], may_be_sticky: bool) -> Result<(), Error> {
    let found = fstat(folder).map_err(|error| cannot("look at", path, error))?;
    check_owner(found.st_uid, path, owners)?;
    let mode = Mode::from_raw_mode(found.st_mode);
    // In one like `/tmp` others cannot move what is not theirs.
    let sticky = may_be_sticky && mode.contains(Mode::SVTX);
    match mode.intersects(Mode::WGRP | Mode::WOTH) && !sticky {
        true => Err(Error::Untrusted {
            path: path.to_owned(),
            reason: "others than its owner can write to it".to_owned(),
        }),
        false => Ok(()),
    }
}

fn check_owner(owner: u32, path: &Path, owners: &[u32]) -> Result<(), Error> {
    match owners.contains(&owner) {
        true => Ok(()),
        false => Err(Error::Untrusted {
            path: path.to_owned(),
            reason: format!("it belongs to another user (uid {owner})"),
        }),
    }
}

fn cannot(verb: &str, path: &Path, error: Errno) -> Error {
    Error::system(format!("{verb} {}", path_text(path)))(error.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn owners() -> [u32; 2] {
        [0, rustix::process::geteuid().as_raw()]
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[track_caller]
    fn arrives(path: &Path, at: &Path) {
        let folder = walk(path, None, &owners()).unwrap().unwrap();
        let (found, expected) = (fstat(folder).unwrap(), fs::metadata(at).unwrap());
        assert_eq!(
            (found.st_dev, found.st_ino),
            (expected.dev(), expected.ino())
        );
    }

    #[track_caller]
    fn refuses(path: &Path, of: &Path, reason: &str) {
        let error = walk(path, None, &owners()).unwrap_err();
        let expected = format!("`{}` is not to be trusted: {reason}", of.display());
        assert_eq!(error.to_string(), expected);
    }

    const WRITABLE: &str = "others than its owner can write to it";

    #[test]
    fn folders_that_others_can_change_are_refused() {
        let top = tempfile::tempdir().unwrap();
        let (one, two) = (top.path().join("one"), top.path().join("one/two"));
        fs::create_dir_all(&two).unwrap();
        arrives(&two, &two);
        for mode in [0o777, 0o775, 0o757, 0o2775] {
            set_mode(&one, mode);
            refuses(&two, &one, WRITABLE);
            refuses(&one, &one, WRITABLE);
        }
        // As in `/tmp`: what is there stays, but others could have made it.
        set_mode(&one, 0o1777);
        arrives(&two, &two);
        refuses(&one, &one, WRITABLE);
    }

    #[test]
    fn what_belongs_to_others_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let one = top.path().join("one");
        fs::create_dir(&one).unwrap();
        let error = walk(&one, None, &[4711]).unwrap_err();
        let expected = "`/` is not to be trusted: it belongs to another user (uid 0)";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn links_are_followed_where_others_cannot_change_them() {
        let top = tempfile::tempdir().unwrap();
        let target = top.path().join("target");
        fs::create_dir_all(target.join("below")).unwrap();
        symlink(&target, top.path().join("absolute")).unwrap();
        symlink("open/../target", top.path().join("relative")).unwrap();
        let open = top.path().join("open");
        fs::create_dir(&open).unwrap();
        symlink(&target, open.join("link")).unwrap();
        arrives(&top.path().join("absolute/below"), &target.join("below"));
        arrives(&top.path().join("relative/below"), &target.join("below"));
        arrives(&open.join("link"), &target);
        set_mode(&open, 0o777);
        refuses(&open.join("link"), &open, WRITABLE);
        // Not even by way of it.
        refuses(&top.path().join("relative"), &open, WRITABLE);

        symlink("circle", top.path().join("circle")).unwrap();
        assert!(walk(&top.path().join("circle"), None, &owners()).is_err());
    }

    #[test]
    fn what_is_missing_is_made_where_it_may_be() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("one/two");
        assert!(walk(&path, None, &owners()).unwrap().is_none());
        assert!(!top.path().join("one").exists());
        let mode = Mode::RWXU;
        assert!(walk(&path, Some(mode), &owners()).unwrap().is_some());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        let open = top.path().join("open");
        fs::create_dir(&open).unwrap();
        set_mode(&open, 0o777);
        assert!(walk(&open.join("one"), Some(mode), &owners()).is_err());
        assert!(!open.join("one").exists());
    }
}
