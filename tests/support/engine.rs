//! Pipelines that are those of the repository but for the engine.

use std::fs;
use std::path::PathBuf;

use super::command::file;
use super::server::scratch;

/// The engines that need nothing but Postgres.
pub(crate) const HERE: [&str; 2] = ["postgres", "embedded"];

/// A pipeline file that extends one of the repository's, with another engine.
pub(crate) fn pipeline(base: &str, engine: &str) -> PathBuf {
    with(
        base,
        engine,
        &format!("[summarize]\nengine = \"{engine}\"\n"),
    )
}

/// A pipeline file that extends one of the repository's, with this text behind it. `name`
/// is for the file.
pub(crate) fn with(base: &str, name: &str, text: &str) -> PathBuf {
    let folder = scratch().join("engines");
    fs::create_dir_all(&folder).expect("a folder");
    let stem = base.replace(['/', '.'], "-");
    let path = folder.join(format!("{stem}-{name}.toml"));
    let text = format!("extends = \"{}\"\n\n{text}", file(base).display());
    // Tests beside each other write the same, and none may see half of it.
    let written = folder.join(format!("{stem}-{name}-{:?}", std::thread::current().id()));
    fs::write(&written, text).expect("a file");
    fs::rename(&written, &path).expect("a file");
    path
}
