//! A Postgres server that an application starts itself for one of its data directories.
//!
//! The server lives in a folder of the data directory, listens on a unix socket in a
//! private folder and nowhere else, and outlives the command that started it, so
//! that the next command finds it running. It is an ordinary durable server;
//! tests may ask for a throw-away one. Root's runs as another user, whose folder
//! root does not trust: see `account` and `folder`. Everything here waits and blocks: a
//! running server costs a few file reads, a start about a tenth of a second.
//!
//! This crate knows nothing of the application but what [`Application`] says, and nothing of
//! clients: connecting to the server is up to others.

mod account;
mod application;
mod binaries;
mod error;
mod folder;
mod launch;
mod layout;
mod postmaster;
mod settings;
mod socket;
mod trusted;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::path_text;
use crate::layout::Layout;
use crate::postmaster::Postmaster;

pub use crate::application::Application;
pub use crate::binaries::Binaries;
pub use crate::error::Error;
pub use crate::settings::Durability;

/// No TCP port; Postgres only names its socket after it.
pub const PORT: u16 = 5432;

/// A start waits for crash recovery, which reads at most `max_wal_size`.
const START_SECONDS_MAX: u64 = 120;
const STOP_SECONDS_MAX: u64 = 60;

/// How often to look whether something has happened.
const POLL: Duration = Duration::from_millis(5);

/// A local server that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalServer {
    /// The name of its superuser and of its database.
    pub name: &'static str,
    /// The postmaster's process id.
    pub process: i32,
    /// Where its files are.
    pub directory: PathBuf,
    /// Where its socket is, which is named after [`PORT`].
    pub socket_directory: PathBuf,
}

impl LocalServer {
    /// The server's database as a URL that psql and other clients accept.
    pub fn url(&self) -> String {
        let name = self.name;
        let host = socket::percent_encode(&self.socket_directory);
        format!("postgresql:///{name}?host={host}&port={PORT}&user={name}")
    }
}

/// Returns the running server of this data directory, after creating and
/// starting it where needed. `say` is told of every step that takes time.
///
/// # Errors
/// There are no server programs, the folder is not fit for a server, or the server does not start.
pub fn start(
    application: &Application,
    data_directory: &Path,
    durability: Durability,
    say: &dyn Fn(&str),
) -> Result<LocalServer, Error> {
    let layout = Layout::of(application, data_directory)?;
    if let Some(base) = layout.open_base()?
        && let Some(home) = layout.open_home(&base)?
        && let Some((server, _)) = layout.running(&home)?
    {
        return Ok(server);
    }

    let base = layout.create_base()?;
    let _lock = layout.lock(&base)?;
    // Another process may have started it while we waited.
    if let Some(home) = layout.open_home(&base)?
        && let Some((server, _)) = layout.settle(&home)?
    {
        return Ok(server);
    }

    let home = layout.create_home(&base)?;
    let binaries = match layout.data_version(&home)? {
        Some(data_version) => {
            Binaries::find_version(application, data_version)?.ok_or_else(|| {
                Error::ProgramsMismatch {
                    directory: layout.data.clone(),
                    data_version,
                }
            })?
        }
        None => {
            let binaries = Binaries::find(application)?;
            say(&format!(
                "creating a Postgres {} server in {}",
                binaries.version,
                path_text(&layout.home)
            ));
            layout.initialise(&home, &binaries, durability)?;
            binaries
        }
    };
    say(&format!(
        "starting Postgres {} in {}",
        binaries.version,
        path_text(&layout.home)
    ));
    layout.prepare(&home, durability)?;
    layout.launch(&home, &binaries)
}

/// Stops the server of this data directory; says whether there was one.
///
/// # Errors
/// The folder is not fit for a server, or the server does not stop.
pub fn stop(application: &Application, data_directory: &Path) -> Result<bool, Error> {
    let layout = Layout::of(application, data_directory)?;
    let Some(base) = layout.open_base()? else {
        return Ok(false);
    };
    if layout.open_home(&base)?.is_none() {
        return Ok(false);
    }
    let _lock = layout.lock(&base)?;
    // Another process may have removed or made it while we waited.
    let Some(home) = layout.open_home(&base)? else {
        return Ok(false);
    };
    let Some((server, process)) = layout.settle(&home)? else {
        return Ok(false);
    };
    process.shut_down(&home)?;
    let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
    while let Some(found) = Postmaster::read(&layout, &home)?
        && found.process == server.process
        && found.process(&home)?.is_some()
    {
        if Instant::now() > deadline {
            return Err(Error::Stop {
                process: server.process,
                seconds: STOP_SECONDS_MAX,
            });
        }
        thread::sleep(POLL);
    }
    // Only of interest in /tmp, where it would be litter.
    let folder = &server.socket_directory;
    let _ = home.account.acting(|| fs::remove_dir(folder));
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::application::ORCHARD;

    /// A server of `ORCHARD` that ends with this value.
    struct Orchard(tempfile::TempDir);

    impl Orchard {
        fn new() -> Orchard {
            let folder = tempfile::tempdir().unwrap();
            // Root's server runs as another user, who must get through.
            let passable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(folder.path(), passable).unwrap();
            Orchard(folder)
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("data")
        }

        fn start(&self, say: &dyn Fn(&str)) -> Result<LocalServer, Error> {
            start(&ORCHARD, &self.path(), Durability::Throwaway, say)
        }
    }

    impl Drop for Orchard {
        fn drop(&mut self) {
            let _ = stop(&ORCHARD, &self.path());
        }
    }

    #[test]
    fn all_names_are_those_of_the_application() {
        let orchard = Orchard::new();
        let said = RefCell::new(Vec::new());
        let say = |line: &str| said.borrow_mut().push(line.to_owned());
        let server = orchard.start(&say).unwrap();
        let home = orchard.path().join("trees");
        assert_eq!(server.directory, home);
        assert!(orchard.path().join("trees.lock").is_file());
        let settings = fs::read_to_string(home.join("data/apples.conf")).unwrap();
        for line in ["cluster_name = 'orchard'", "work_mem = 5MB", "fsync = off"] {
            assert!(settings.lines().any(|found| found == line), "{settings}");
        }
        let url = server.url();
        assert!(url.starts_with("postgresql:///orchard?host="), "{url}");
        assert!(url.ends_with("&port=5432&user=orchard"), "{url}");
        let lines = said.take();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("creating a Postgres "), "{lines:?}");
        assert!(lines[1].starts_with("starting Postgres "), "{lines:?}");

        assert_eq!(orchard.start(&say).unwrap(), server);
        assert!(said.take().is_empty(), "it ran already");
        assert!(stop(&ORCHARD, &orchard.path()).unwrap());
        assert!(!stop(&ORCHARD, &orchard.path()).unwrap());
    }

    #[test]
    fn where_nothing_was_started_nothing_is_stopped_and_nothing_made() {
        let orchard = Orchard::new();
        assert!(!stop(&ORCHARD, &orchard.path()).unwrap());
        assert!(!orchard.path().exists());
    }
}
