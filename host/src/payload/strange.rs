//! What was given in place of a payload: the words for files and folders that a hand
//! slipped to.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::OpenFile;
use crate::diagnostics::failure::Failure;
use crate::diagnostics::file_kind;

/// Entries of a folder that are looked at.
const ENTRIES_MAX: usize = 10_000;

/// What to do with a file that is no gzip-compressed archive, where it is known what it is.
pub(super) fn hint(path: &Path, file: &OpenFile) -> Option<String> {
    if path
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        let hint = "it is a TOML file; a command takes one pipeline file, which comes first, and \
                    `extends` in it names another";
        return Some(hint.to_string());
    }
    let mut beginning = Vec::new();
    let mut bytes = file.reader().take(file_kind::BYTES_MAX);
    bytes.read_to_end(&mut beginning).ok()?;
    match file_kind::of(&beginning) {
        file_kind::GZIP | file_kind::TEXT | file_kind::UNKNOWN | file_kind::EMPTY => None,
        file_kind::TAR => Some(format!(
            "it is {}; `gzip` makes it a payload",
            file_kind::TAR
        )),
        kind => Some(format!(
            "it is {kind}; a payload is an operator's tarball (`.tar.gz`), the folder that one \
             unpacks to, or a `.csv`"
        )),
    }
}

/// A folder without a manifest.
pub(super) fn folder(path: &Path) -> Failure {
    let shown = path.display();
    let tarballs = fs::read_dir(path).into_iter().flatten().flatten();
    let tarballs = tarballs.take(ENTRIES_MAX).filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        [".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end))
    });
    match tarballs.count() {
        0 => Failure::run(format!("payload `{shown}` is refused"))
            .because(anyhow::anyhow!("it has no `manifest.json`"))
            .hint("a folder is a payload when it holds what an operator's tarball unpacks to"),
        count => {
            let tarballs = if count == 1 { "tarball" } else { "tarballs" };
            Failure::definition(format!(
                "`{shown}` is no payload, but a folder of {count} {tarballs}"
            ))
            .hint(format!(
                "name them: `gristmill run PIPELINE {shown}/*.tar.gz`; or have the folder \
                 watched: `gristmill watch PIPELINE {shown} --once`"
            ))
        }
    }
}
