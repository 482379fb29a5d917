//! Which user the local server runs as.
//!
//! Postgres refuses to run as root. Root's server therefore runs as a user
//! without rights, or, where that user cannot reach the data directory, as
//! ourselves in a user namespace in which we are somebody else. Data that is
//! already there decides by its owner. Whoever is that user can put anything into the
//! server's folder, so root does nothing there with its own rights.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::error::Error;
use crate::folder::Folder;

/// The users to run root's server as, in order of preference.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Where users are listed.
const PASSWD: &str = "/etc/passwd";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// We are not root: as whoever we are.
    Ourselves,
    /// We are root: as this user.
    User(User),
    /// We are root: in a namespace where we look like this user.
    Namespace(User),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    name: String,
    user_id: u32,
    group_id: u32,
}

pub(crate) fn we_are_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Account {
    /// The account for a server whose files are to lie in `directory`.
    pub(crate) fn for_new(directory: &Path) -> Result<Account, Error> {
        if !we_are_root() {
            return Ok(Account::Ourselves);
        }
        let user = unprivileged_user()?;
        Account::User(user.clone())
            .reaching(directory)
            .or_else(|| Account::Namespace(user.clone()).reaching(directory))
            .ok_or_else(|| Error::NotReachable {
                directory: directory.to_owned(),
                user: user.name,
            })
    }

    /// The account that owns the server's folder.
    pub(crate) fn owning(home: &Folder, path: &Path) -> Result<Account, Error> {
        let ours = rustix::process::geteuid();
        match home.owner {
            _ if ours.is_root() && home.owner != 0 => {
                Ok(Account::User(user_of(home.owner, home.group)?))
            }
            _ if ours.is_root() => Ok(Account::Namespace(unprivileged_user()?)),
            owner if owner == ours.as_raw() => Ok(Account::Ourselves),
            owner => Err(Error::NotOurs {
                directory: path.to_owned(),
                owner,
            }),
        }
    }

    /// The account, if it can enter its folder.
    pub(crate) fn entering(self, path: &Path) -> Result<Account, Error> {
        if self == Account::Ourselves {
            return Ok(self);
        }
        let name = self.name();
        self.reaching(path).ok_or_else(|| Error::NotReachable {
            directory: path.to_owned(),
            user: name,
        })
    }

    /// Does something with no other rights than the account has.
    ///
    /// On a thread that has them for itself: the kernel has rights by thread. The thread
    /// stays root's by its real user, so that the account cannot send it signals.
    pub(crate) fn acting<T: Send>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let Account::User(user) = self else {
            return work();
        };
        let acting = || {
            // Groups first: who is no longer root cannot set them.
            set_thread_groups(&[])?;
            set_thread_res_gid(None, Gid::from_raw(user.group_id), None)?;
            set_thread_res_uid(None, Uid::from_raw(user.user_id), None)?;
            work()
        };
        thread::scope(|scope| {
            let acted = scope.spawn(acting).join();
            acted.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A command that runs `program` as this account, with a clean environment:
    /// variables such as PGPORT would change what the server does.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = match self {
            Account::Ourselves => Command::new(program),
            Account::User(user) => {
                let mut command = Command::new(program);
                command.uid(user.user_id).gid(user.group_id);
                command
            }
            Account::Namespace(user) => {
                let mut command = Command::new("unshare");
                command
                    .arg("--user")
                    .arg(format!("--map-user={}", user.user_id))
                    .arg(format!("--map-group={}", user.group_id))
                    .arg("--")
                    .arg(program);
                command
            }
        };
        let kept = ["PATH", "LD_LIBRARY_PATH"]
            .into_iter()
            .filter_map(|name| Some((name, env::var_os(name)?)));
        command
            .env_clear()
            .envs(kept)
            .env("LC_ALL", "C")
            // The account may be unable to enter the folder that we are in.
            .current_dir("/");
        command
    }

    /// Gives it the folder that was made for its server.
    pub(crate) fn adopt(&self, home: &Folder) -> io::Result<()> {
        match self {
            Account::Ourselves | Account::Namespace(_) => Ok(()),
            Account::User(user) => Ok(rustix::fs::fchown(
                home,
                Some(Uid::from_raw(user.user_id)),
                Some(Gid::from_raw(user.group_id)),
            )?),
        }
    }

    /// The owner of the account's files.
    pub(crate) fn owner(&self) -> u32 {
        match self {
            Account::User(user) => user.user_id,
            Account::Ourselves | Account::Namespace(_) => rustix::process::geteuid().as_raw(),
        }
    }

    /// Whether it is another user than we are.
    pub(crate) fn is_another(&self) -> bool {
        matches!(self, Account::User(_))
    }

    fn name(&self) -> String {
        match self {
            Account::Ourselves => "ourselves".to_owned(),
            Account::User(user) | Account::Namespace(user) => user.name.clone(),
        }
    }

    /// The account itself if it can enter the folder. Tried and not computed, since
    /// access lists, mounts and the namespaces of containers have their say too.
    fn reaching(self, directory: &Path) -> Option<Account> {
        let status = self
            .command(Path::new("/bin/sh"))
            .args([OsStr::new("-c"), OsStr::new("cd -- \"$0\"")])
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success()).then_some(self)
    }
}

fn unprivileged_user() -> Result<User, Error> {
    let passwd = passwd()?;
    USERS
        .iter()
        .find_map(|name| find_user(&passwd, |user| user.name == *name))
        .ok_or_else(|| {
            Error::system("find a user to run Postgres as")(io::Error::new(
                io::ErrorKind::NotFound,
                format!("`{PASSWD}` has neither `postgres` nor `nobody`"),
            ))
        })
}

/// The user of this id. The group is that of the user and not that of a file, whose
/// group may be anything; unless the user is known elsewhere than here.
fn user_of(user_id: u32, group_id: u32) -> Result<User, Error> {
    let known = find_user(&passwd()?, |user| user.user_id == user_id);
    Ok(known.unwrap_or_else(|| User {
        name: format!("uid {user_id}"),
        user_id,
        group_id,
    }))
}

fn passwd() -> Result<String, Error> {
    fs::read_to_string(PASSWD).map_err(Error::system(format!("read `{PASSWD}`")))
}

fn find_user(passwd: &str, wanted: impl Fn(&User) -> bool) -> Option<User> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let user = User {
            user_id: fields.get(2)?.parse().ok()?,
            group_id: fields.get(3)?.parse().ok()?,
            name: fields[0].to_owned(),
        };
        (wanted(&user) && user.user_id != 0).then_some(user)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TEXT: &str = "root:x:0:0:root:/root:/bin/bash\nbroken\nnobody:x:65534:65533:nobody:/:/usr/sbin/nologin\nfake:x:0:0::/:/bin/sh\n";

    fn named(name: &str) -> Option<User> {
        find_user(TEXT, |user| user.name == name)
    }

    /// Only root can be somebody else; the tests of the local server try it for everybody.
    #[test]
    fn who_acts_has_no_other_rights() {
        if !we_are_root() {
            return;
        }
        let private = tempfile::tempdir().unwrap();
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(private.path(), mode).unwrap();
        let nobody = Account::User(unprivileged_user().unwrap());
        let read = || fs::read_dir(private.path()).map(drop);
        let refusal = nobody.acting(read).unwrap_err();
        assert_eq!(refusal.kind(), io::ErrorKind::PermissionDenied);
        let real = nobody.acting(|| Ok(rustix::process::getuid())).unwrap();
        assert!(real.is_root(), "signals of the account would reach it");
        read().unwrap();
        assert!(we_are_root());
    }

    #[test]
    fn a_user_is_found_by_name() {
        let nobody = named("nobody").unwrap();
        assert_eq!((nobody.user_id, nobody.group_id), (65534, 65533));
        assert_eq!(named("postgres"), None);
    }

    #[test]
    fn a_user_with_the_rights_of_root_is_none() {
        assert_eq!(named("fake"), None);
    }
}
