//! The user that servers of the tests run as: they refuse root.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use sqlx::postgres::PgConnectOptions;

use super::server::{TestDatabase, scratch};

/// Whoever owns the socket of the tests' server; nobody else gets at it.
pub(crate) struct Account {
    user_id: u32,
    group_id: u32,
}

impl Account {
    #[track_caller]
    pub(crate) fn of_server(database: &TestDatabase) -> Account {
        let server: PgConnectOptions = database.url().parse().expect("a URL");
        let folder = server.get_socket().map_or(scratch(), |socket| socket);
        let owner = fs::metadata(folder).expect("an owner");
        Account {
            user_id: owner.uid(),
            group_id: owner.gid(),
        }
    }

    fn is_ours(&self) -> bool {
        self.user_id == rustix::process::geteuid().as_raw()
    }

    /// A program, to be run as that user. It is gone when the test is.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if !self.is_ours() {
            command
                .args(["--reuid", &self.user_id.to_string()])
                .args(["--regid", &self.group_id.to_string()])
                .arg("--clear-groups");
        }
        command
            .arg(program)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// Gives it a file or a folder of ours.
    #[track_caller]
    pub(crate) fn own(&self, path: &Path) {
        if !self.is_ours() {
            chown(path, Some(self.user_id), Some(self.group_id)).expect("another owner");
        }
    }
}
