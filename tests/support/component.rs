//! Builds stages that do not ship: outside of the workspace, as a site would.
//!
//! All of them share a target directory, so that the libraries are built once.
//! They use the workspace's lock file and no network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::command::{file, root, target};
use super::server::scratch;

/// Builds the crate of a folder whose only dependencies are `gristmill-stage` and
/// `serde`, and puts its component into `to`.
#[track_caller]
pub(crate) fn build(name: &str, folder: &Path, to: &Path) -> PathBuf {
    // Its crates have been fetched for the shipped stages; the lock names them.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).expect("a lock file");
    let shared = target().join("test-stages");
    fs::create_dir_all(&shared).expect("a target directory");
    // One at a time, of other test processes too: they build the same file.
    let lock = File::create(shared.join("lock")).expect("a lock");
    lock.lock().expect("a lock");
    cargo(folder, &["build", "--release", "--offline"]);
    let component = format!("{}.wasm", name.replace('-', "_"));
    let built = shared.join("wasm32-wasip2/release");
    fs::copy(built.join(&component), to.join(&component)).expect("a component was built");
    // The folder is another one next time, and nothing of it is of use then.
    cargo(
        folder,
        &["clean", "--release", "--offline", "--package", name],
    );
    to.join(component)
}

#[track_caller]
fn cargo(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        // The variables of the Cargo that runs the tests are not for this one.
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO") && name_text != "CARGO_HOME" || name_text == "RUSTFLAGS" {
            command.env_remove(&name);
        }
    }
    let compiler = Path::new(env!("CARGO")).with_file_name("rustc");
    if compiler.is_file() {
        command.env("RUSTC", compiler);
    }
    let output = command
        .args(arguments)
        .args(["--target", "wasm32-wasip2"])
        .env("CARGO_TARGET_DIR", target().join("test-stages"))
        .current_dir(folder)
        .output()
        .expect("Cargo runs");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}\n{words}");
}

/// The folder that holds the component of `tests/hostile`.
#[track_caller]
pub(crate) fn hostile() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| of_tests("hostile"))
}

/// The folder that holds the component of `tests/hostile-parser`.
#[track_caller]
pub(crate) fn hostile_parser() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| of_tests("hostile-parser"))
}

/// The folder that holds the component of `tests/clumsy`.
#[track_caller]
pub(crate) fn clumsy() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| of_tests("clumsy"))
}

/// The folder that holds the component of `tests/laconic`.
#[track_caller]
pub(crate) fn laconic() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| of_tests("laconic"))
}

/// The folder that holds the component of `tests/swayed`.
#[track_caller]
pub(crate) fn swayed() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| of_tests("swayed"))
}

/// Builds a stage whose source is in a folder of `tests`.
#[track_caller]
fn of_tests(name: &str) -> PathBuf {
    let folder = scratch().join(name);
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let source = file(&format!("tests/{name}/src/lib.rs"));
    fs::copy(source, folder.join("src/lib.rs")).expect("its source");
    manifest(name, &folder);
    build(name, &folder, &folder);
    folder
}

/// Writes the manifest of such a crate.
pub(crate) fn manifest(name: &str, folder: &Path) {
    let text = format!(
        "[package]\nname = {name:?}\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
        [lib]\ncrate-type = [\"cdylib\"]\n\n\
        [dependencies]\ngristmill-stage = {{ path = {:?} }}\n\
        serde = {{ version = \"1\", features = [\"derive\"] }}\n\n\
        [workspace]\n",
        root().join("plugins/sdk")
    );
    fs::write(folder.join("Cargo.toml"), text).expect("a manifest");
}
