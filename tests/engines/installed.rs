//! The programs of the test servers, as `.ci/setup engines` leaves them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// As `.ci/setup` has them.
const TRINO: &str = "trino-476";
const VERSITYGW: &str = "versitygw-1.8.0/versitygw";
const JAVA_VERSION_MIN: u32 = 24;

/// Where the programs are.
pub(super) struct Installed {
    pub(super) java: PathBuf,
    /// The folder that Trino was unpacked into.
    pub(super) trino: PathBuf,
    pub(super) versitygw: PathBuf,
}

impl Installed {
    /// Refuses with what is missing.
    pub(super) fn find() -> Result<Installed, String> {
        let folder = folder()?;
        let there = |name: &str| {
            let path = folder.join(name);
            match path.exists() {
                true => Ok(path),
                false => Err(format!(
                    "there is no `{}`; run `make engines`",
                    path.display()
                )),
            }
        };
        Ok(Installed {
            trino: there(TRINO)?,
            versitygw: there(VERSITYGW)?,
            java: java().ok_or_else(|| format!("there is no Java {JAVA_VERSION_MIN} or newer"))?,
        })
    }
}

fn folder() -> Result<PathBuf, String> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let cache = named("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(named("HOME")?).join(".cache")));
    cache
        .map(|cache| cache.join("gristmill/test-servers"))
        .ok_or_else(|| "there is no home folder".to_owned())
}

/// The first that is new enough: of `JAVA_HOME`, of `PATH`, of Debian's folder.
fn java() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = env::var_os("JAVA_HOME")
        .map(|home| PathBuf::from(home).join("bin"))
        .into_iter()
        .collect();
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let others = std::fs::read_dir("/usr/lib/jvm").into_iter().flatten();
    folders.extend(others.flatten().map(|entry| entry.path().join("bin")));
    folders
        .into_iter()
        .map(|folder| folder.join("java"))
        .find(|program| is_new_enough(program))
}

fn is_new_enough(program: &Path) -> bool {
    let Ok(said) = Command::new(program).arg("-version").output() else {
        return false;
    };
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let version = said.split("version \"").nth(1).unwrap_or_default();
    let end = version.find(|character: char| !character.is_ascii_digit());
    let version = version[..end.unwrap_or(0)].parse::<u32>();
    version.is_ok_and(|version| version >= JAVA_VERSION_MIN)
}
