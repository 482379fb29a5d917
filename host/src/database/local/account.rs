//! Which user the local server runs as.
//!
//! Postgres refuses to run as root. Root's server therefore runs as a user
//! without rights, or, where that user cannot reach the data directory, as
//! ourselves in a user namespace in which we are somebody else. Data that is
//! already there decides by its owner.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::layout;
use crate::database::error::{DatabaseError, path_text};

/// The users to run root's server as, in order of preference.
const USERS: [&str; 2] = ["postgres", "nobody"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Account {
    /// We are not root: as whoever we are.
    Ourselves,
    /// We are root: as this user.
    User(User),
    /// We are root: in a namespace where we look like this user.
    Namespace(User),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    name: String,
    user_id: u32,
    group_id: u32,
}

pub(super) fn we_are_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Refuses a folder that another user owns, unless we are root.
pub(super) fn check_ownership(directory: &Path) -> Result<(), DatabaseError> {
    let ours = rustix::process::geteuid();
    match layout::owner(directory) {
        Ok(Some((owner, _))) if owner != ours.as_raw() && !ours.is_root() => {
            Err(DatabaseError::NotOurs {
                directory: directory.to_owned(),
                owner,
            })
        }
        Ok(_) => Ok(()),
        Err(error) => Err(DatabaseError::system(format!(
            "look at {}",
            path_text(directory)
        ))(error)),
    }
}

impl Account {
    /// The account for a server whose files are to lie in `directory`.
    pub(super) fn for_new(directory: &Path) -> Result<Account, DatabaseError> {
        if !we_are_root() {
            return Ok(Account::Ourselves);
        }
        let user = unprivileged_user()?;
        Account::User(user.clone())
            .reaching(directory)
            .or_else(|| Account::Namespace(user.clone()).reaching(directory))
            .ok_or_else(|| DatabaseError::NotReachable {
                directory: directory.to_owned(),
                user: user.name,
            })
    }

    /// The account that owns the server's `home`.
    pub(super) fn of_existing(home: &Path) -> Result<Account, DatabaseError> {
        check_ownership(home)?;
        if !we_are_root() {
            return Ok(Account::Ourselves);
        }
        let owner = layout::owner(home).map_err(DatabaseError::system(format!(
            "look at {}",
            path_text(home)
        )))?;
        let account = match owner {
            None | Some((0, _)) => Account::Namespace(unprivileged_user()?),
            Some((user_id, group_id)) => Account::User(User {
                name: format!("uid {user_id}"),
                user_id,
                group_id,
            }),
        };
        let name = account.name();
        account
            .reaching(home)
            .ok_or_else(|| DatabaseError::NotReachable {
                directory: home.to_owned(),
                user: name,
            })
    }

    /// A command that runs `program` as this account, with a clean environment:
    /// variables such as PGPORT would change what the server does.
    pub(super) fn command(&self, program: &Path) -> Command {
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

    /// Makes a file or folder that we created the account's own.
    pub(super) fn adopt(&self, path: &Path) -> io::Result<()> {
        match self {
            Account::Ourselves | Account::Namespace(_) => Ok(()),
            Account::User(user) => {
                std::os::unix::fs::lchown(path, Some(user.user_id), Some(user.group_id))
            }
        }
    }

    /// The owner of the account's files.
    pub(super) fn owner(&self) -> u32 {
        match self {
            Account::User(user) => user.user_id,
            Account::Ourselves | Account::Namespace(_) => rustix::process::geteuid().as_raw(),
        }
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

fn unprivileged_user() -> Result<User, DatabaseError> {
    let path = "/etc/passwd";
    let passwd =
        fs::read_to_string(path).map_err(DatabaseError::system(format!("read `{path}`")))?;
    USERS
        .iter()
        .find_map(|name| find_user(&passwd, name))
        .ok_or_else(|| {
            DatabaseError::system("find a user to run Postgres as")(io::Error::new(
                io::ErrorKind::NotFound,
                format!("`{path}` has neither `postgres` nor `nobody`"),
            ))
        })
}

fn find_user(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let user_id: u32 = fields.get(2)?.parse().ok()?;
        let group_id = fields.get(3)?.parse().ok()?;
        (fields[0] == name && user_id != 0).then(|| User {
            name: name.to_owned(),
            user_id,
            group_id,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbroken\nnobody:x:65534:65533:nobody:/:/usr/sbin/nologin\nfake:x:0:0::/:/bin/sh\n";

    #[test]
    fn a_user_is_found_by_name() {
        let nobody = find_user(PASSWD, "nobody").unwrap();
        assert_eq!((nobody.user_id, nobody.group_id), (65534, 65533));
        assert_eq!(find_user(PASSWD, "postgres"), None);
    }

    #[test]
    fn a_user_with_the_rights_of_root_is_none() {
        assert_eq!(find_user(PASSWD, "fake"), None);
    }
}
