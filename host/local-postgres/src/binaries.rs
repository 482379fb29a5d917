//! Finds the programs of an installed Postgres server.
//!
//! In this order: the folder that the application's variable names, the folders of `PATH`,
//! the answer of `pg_config --bindir`, and where Debian puts servers, newest first.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::application::Application;
use crate::error::Error;

/// What a server folder must hold.
const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// Debian's servers are in `<here>/<version>/bin`.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A folder with the programs of one Postgres server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    pub directory: PathBuf,
    /// The major version.
    pub version: u32,
}

impl Binaries {
    /// The first server that is new enough.
    ///
    /// # Errors
    /// There is none.
    pub fn find(application: &Application) -> Result<Binaries, Error> {
        Search::of(application).first(|version| version >= application.version_min)
    }

    /// The first server of just this major version, which old data needs.
    pub(crate) fn find_version(
        application: &Application,
        version: u32,
    ) -> Result<Option<Binaries>, Error> {
        let search = Search::of(application);
        match search.first(|found| found == version) {
            Ok(binaries) => Ok(Some(binaries)),
            Err(_) if search.named.is_none() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The server in this folder, if there is a whole one.
    fn in_directory(directory: &Path) -> Option<Binaries> {
        // Links such as /usr/local/bin/postgres lead to the folder with the rest.
        let postgres = fs::canonicalize(directory.join("postgres")).ok()?;
        let directory = postgres.parent()?.to_owned();
        if !PROGRAMS.iter().all(|name| directory.join(name).is_file()) {
            return None;
        }
        let output = Command::new(&postgres).arg("--version").output().ok()?;
        let version = major_version(&String::from_utf8_lossy(&output.stdout))?;
        Some(Binaries { directory, version })
    }
}

/// Where to look, taken from the environment once.
struct Search {
    variable: &'static str,
    /// What the variable says.
    named: Option<PathBuf>,
    path: Vec<PathBuf>,
    debian: PathBuf,
}

impl Search {
    fn of(application: &Application) -> Search {
        let variable = application.programs_variable;
        Search {
            variable,
            named: env::var_os(variable).map(PathBuf::from),
            path: env::var_os("PATH")
                .map(|path| env::split_paths(&path).collect())
                .unwrap_or_default(),
            debian: PathBuf::from(DEBIAN),
        }
    }

    fn first(&self, fits: impl Fn(u32) -> bool) -> Result<Binaries, Error> {
        let mut others = Vec::new();
        for directory in self.directories() {
            match Binaries::in_directory(&directory) {
                Some(binaries) if fits(binaries.version) => return Ok(binaries),
                Some(binaries) => others.push(binaries.version.to_string()),
                None => {}
            }
        }
        others.dedup();
        let reason = match (&self.named, others.is_empty()) {
            (Some(named), true) => format!(
                "{} is `{}`, which holds no server programs",
                self.variable,
                named.display()
            ),
            (None, true) => "PATH, `pg_config` and /usr/lib/postgresql have none".to_owned(),
            (_, false) => format!("found Postgres {} only", others.join(" and ")),
        };
        Err(Error::NoPrograms { reason })
    }

    /// The folders to look in, best first; later ones are only thought of when needed.
    fn directories(&self) -> Box<dyn Iterator<Item = PathBuf> + '_> {
        if let Some(named) = &self.named {
            // Who names a folder wants that one and no other.
            return Box::new(std::iter::once(named.clone()));
        }
        let path = self
            .path
            .iter()
            .filter(|folder| folder.is_absolute())
            .cloned();
        let configured = std::iter::once_with(configured_directory).flatten();
        let debian = std::iter::once_with(|| debian_directories(&self.debian)).flatten();
        Box::new(path.chain(configured).chain(debian))
    }
}

fn configured_directory() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let directory = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(directory.trim()))
}

fn debian_directories(root: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|left, right| right.cmp(left));
    versions
        .into_iter()
        .map(|version| root.join(version.to_string()).join("bin"))
        .collect()
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `17beta1`, `16devel`.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split_once("(PostgreSQL)")?.1.trim_start();
    let digits = version
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Writes programs that print a version.
    ///
    /// Another process does it. A file that this one has open for writing is open in
    /// every process that a test beside this one forks at that moment, until that
    /// process runs its program, and Linux does not run a file that is open for
    /// writing ("text file busy").
    fn install(directory: &Path, version: &str) {
        const WRITE: &str = r#"
            for program in "$@"; do
                printf '#!/bin/sh\necho "postgres (PostgreSQL) %s"\n' "$VERSION" > "$program"
                chmod 755 "$program"
            done
        "#;
        fs::create_dir_all(directory).unwrap();
        let status = Command::new("/bin/sh")
            .args(["-e", "-c", WRITE, "install"])
            .args(PROGRAMS.map(|program| directory.join(program)))
            .env("VERSION", version)
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn search(root: &Path) -> Search {
        Search {
            variable: "ORCHARD_PROGRAMS",
            named: None,
            path: vec![root.join("path")],
            debian: root.join("debian"),
        }
    }

    #[test]
    fn versions_are_read_from_what_postgres_prints() {
        assert_eq!(
            major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("postgres: not found"), None);
    }

    #[test]
    fn debian_servers_are_tried_newest_first() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9.6", "9", "15", "17"] {
            fs::create_dir_all(root.path().join(version)).unwrap();
        }
        let expected = ["17", "15", "9"].map(|version| root.path().join(version).join("bin"));
        assert_eq!(debian_directories(root.path()), expected);
    }

    #[test]
    fn a_link_in_the_path_leads_to_the_whole_server() {
        let root = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(root.path()).unwrap();
        install(&root.join("server"), "16.2");
        fs::create_dir(root.join("path")).unwrap();
        symlink(root.join("server/postgres"), root.join("path/postgres")).unwrap();

        let found = search(&root).first(|version| version >= 15).unwrap();
        assert_eq!(found.directory, root.join("server"));
        assert_eq!(found.version, 16);
    }

    #[test]
    fn a_named_folder_is_the_only_one_looked_in() {
        let root = tempfile::tempdir().unwrap();
        install(&root.path().join("path"), "16.2");
        let mut search = search(root.path());
        search.named = Some(root.path().join("named"));
        let error = search.first(|_| true).unwrap_err();
        let named = root.path().join("named");
        assert_eq!(
            error.to_string(),
            format!(
                "no Postgres server to start: ORCHARD_PROGRAMS is `{}`, which holds no server programs",
                named.display()
            )
        );

        install(&root.path().join("named"), "14.1");
        let error = search.first(|version| version >= 15).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no Postgres server to start: found Postgres 14 only"
        );
    }
}
