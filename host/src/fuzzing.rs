//! Doors for the fuzzers of `tests/fuzz` to the code that reads bytes from outside. Each
//! takes any bytes, and panics only where a promise is broken.

use std::io::Write as _;

use crate::payload::{Manifest, files_of};
use crate::pipeline::definition;
use crate::stage;

/// A manifest is refused, or has names that may be trusted.
pub fn manifest(bytes: &[u8]) {
    let manifest = match Manifest::parse(bytes) {
        Ok(manifest) => manifest,
        Err(error) => return short(&error.to_string()),
    };
    assert_eq!(manifest.uuid.get_version_num(), 4);
    let names = manifest.files.iter().chain([&manifest.cluster_id]);
    for name in names {
        let leads = |character: char| matches!(character, '/' | '\\') || character.is_control();
        assert!(!name.contains(leads) && name != ".." && name != "." && !name.is_empty());
    }
    if let (Some(start), Some(end)) = (manifest.start, manifest.end) {
        assert!(start <= end);
    }
}

/// A tarball is refused, or has files with flat names, each once.
pub fn tarball(bytes: &[u8]) {
    let files = match files_of(bytes) {
        Ok(files) => files,
        Err(failure) => return short(&failure.to_string()),
    };
    let mut names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(names.iter().all(|name| !name.contains(['/', '\\', '\0'])));
}

/// A pipeline file is read, or its problem can be shown.
pub fn definition(bytes: &[u8]) {
    // An `extends` would read files of this machine.
    if bytes.windows(7).any(|window| window == b"extends") {
        return;
    }
    let Ok(mut file) = tempfile::NamedTempFile::new() else {
        return;
    };
    if file.write_all(bytes).is_err() {
        return;
    }
    if let Err(unreadable) = definition::load(file.path()) {
        assert!(!unreadable.sources.render(&unreadable.problem).is_empty());
    }
}

/// The output of a stage is refused, or every row of it can be used.
pub fn stage_output(bytes: &[u8]) {
    stage::fuzzing::output(bytes);
}

/// Messages about bytes from outside fit a terminal.
fn short(message: &str) {
    assert!(
        message.len() < 4 << 10,
        "a message of {} bytes",
        message.len()
    );
    assert!(
        !message.contains(|character: char| character.is_control() && character != '\n'),
        "{message:?}"
    );
}
