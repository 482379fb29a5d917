//! The case files of the stages, run against the components that ship.

use std::fs;
use std::path::PathBuf;

use crate::support::command::{file, gristmill};

/// The folders of the stages; the SDK and the templates are none.
#[track_caller]
pub(crate) fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(file("plugins"))
        .expect("the folder")
        .map(|entry| entry.expect("a folder").path())
        .filter(|path| path.is_dir() && !path.ends_with("sdk") && !path.ends_with("templates"))
        .collect();
    folders.sort();
    folders
}

#[test]
fn every_case_of_every_stage_passes() {
    let cases: usize = folders()
        .iter()
        .map(|folder| fs::read_to_string(folder.join("cases.toml")).expect("cases"))
        .map(|text| text.matches("[[case]]").count())
        .sum();
    let ended = gristmill(["stage", "test"])
        .without_env("DATABASE_URL")
        .with_stages()
        .arguments(folders())
        .succeeds()
        .stderr_is(&format!("{cases} cases passed"));
    assert_eq!(ended.stdout.lines().count(), cases, "{ended}");
}
