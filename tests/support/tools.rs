//! The tools that make components of Python and JavaScript, and the components of the
//! examples, built once for all tests.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::command::{Gristmill, file, gristmill, target};

/// `PATH` with the tools that `make languages` installs in front.
#[track_caller]
pub(crate) fn path() -> OsString {
    let folders = ["python/bin", "javascript/node_modules/.bin"]
        .map(|folder| target().join("tools").join(folder));
    for (folder, tool) in folders.iter().zip(["componentize-py", "jco"]) {
        assert!(
            folder.join(tool).is_file(),
            "there is no `{tool}` in `{}`; run `make languages` first",
            folder.display()
        );
    }
    let inherited = env::var_os("PATH").unwrap_or_default();
    env::join_paths(folders.into_iter().chain(env::split_paths(&inherited))).expect("a path")
}

/// The folder in which big components stay compiled from one test run to the next.
pub(crate) fn cache() -> PathBuf {
    target().join("test-cache")
}

/// `gristmill stage` with every language's tools, and without a network.
#[track_caller]
pub(crate) fn stage(arguments: &[&str]) -> Gristmill {
    gristmill(["stage"])
        .arguments(arguments)
        .without_env("DATABASE_URL")
        .env("PATH", path())
        .env("CARGO_NET_OFFLINE", "true")
        .env("GRISTMILL_CACHE", cache())
}

/// A copy of a folder of `pipelines/examples` whose stage is built. It is built anew
/// only when the example, or what its language has for it, has changed.
#[track_caller]
pub(crate) fn example(site: &str, project: &str) -> PathBuf {
    let source = file("pipelines/examples").join(site);
    let mut digest = Sha256::new();
    for folder in [
        &source,
        &file("plugins/sdk/src"),
        &file("plugins/templates"),
    ] {
        for path in files_below(folder) {
            digest.update(path.display().to_string());
            digest.update(fs::read(&path).expect("a file"));
        }
    }
    let digest: String = digest.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let examples = target().join("test-examples");
    fs::create_dir_all(&examples).expect("a folder");
    // One at a time, of other test processes too.
    let lock = File::create(examples.join(format!("{site}.lock"))).expect("a lock");
    lock.lock().expect("a lock");
    let built = examples.join(format!("{site}-{digest}"));
    if !built.is_dir() {
        forget_others(&examples, site);
        let unfinished = examples.join(format!("{site}-unfinished"));
        copy(&source, &unfinished);
        let folder = unfinished.join(project);
        stage(&["build"]).argument(&folder).succeeds();
        fs::rename(&unfinished, &built).expect("a place for the example");
    }
    built
}

/// Removes what earlier versions of an example left.
fn forget_others(examples: &Path, site: &str) {
    for entry in fs::read_dir(examples).expect("the folder") {
        let path = entry.expect("a folder").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name.starts_with(&format!("{site}-")) {
            fs::remove_dir_all(&path).expect("our folder");
        }
    }
}

/// Copies what was written. What was built, or installed, beside it stays behind;
/// paths that lead to the repository lead there from the copy too.
fn copy(from: &Path, to: &Path) {
    for path in files_below(from) {
        let copied = to.join(path.strip_prefix(from).expect("a path below"));
        fs::create_dir_all(copied.parent().expect("a folder")).expect("a folder");
        match fs::read_to_string(&path) {
            Ok(text) => {
                let ocp = format!("extends = {:?}", file("pipelines/ocp.toml"));
                let sdk = format!("path = {:?}", file("plugins/sdk"));
                let text = text
                    .replace("extends = \"../../ocp.toml\"", &ocp)
                    .replace("path = \"../../../../plugins/sdk\"", &sdk);
                fs::write(&copied, text).expect("a file");
            }
            Err(_) => drop(fs::copy(&path, &copied).expect("a file")),
        }
    }
    for manifest in files_below(to)
        .iter()
        .filter(|path| path.ends_with("Cargo.toml"))
    {
        // Its crates have been fetched for the shipped stages; the lock names them.
        fs::copy(file("Cargo.lock"), manifest.with_file_name("Cargo.lock")).expect("a lock file");
    }
}

/// Every file that was written, in order.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let made = [
            "target",
            "node_modules",
            ".venv",
            "__pycache__",
            "Cargo.lock",
        ];
        if made.contains(&name.as_str()) || name.ends_with(".wasm") {
            continue;
        }
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
