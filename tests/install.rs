//! `make install` places the files of an installed program, which needs nothing of the
//! repository.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::command::{make, stages};

/// Every file below a folder, as its path from there.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let shown = path.strip_prefix(folder).expect("a path from there");
                    found.push(shown.display().to_string());
                }
            }
        }
    }
    found.sort();
    found
}

#[test]
fn an_installed_program_finds_its_stages() {
    let folder = tempfile::tempdir().expect("a folder");
    let destination = folder.path().join("destination");
    let placed = make("place")
        .arg(concat!("PROGRAM=", env!("CARGO_BIN_EXE_gristmill")))
        .arg(format!("COMPONENTS={}", stages().display()))
        .arg(format!("DESTDIR={}", destination.display()))
        .arg("PREFIX=/usr")
        .output()
        .expect("make");
    assert!(placed.status.success(), "{placed:?}");
    assert_eq!(
        files(&destination),
        [
            "usr/bin/gristmill",
            "usr/share/gristmill/pipelines/ocp-max.toml",
            "usr/share/gristmill/pipelines/ocp.toml",
            "usr/share/gristmill/stages/csv_parse.wasm",
            "usr/share/gristmill/stages/effective_usage.wasm",
            "usr/share/gristmill/stages/label_filter.wasm",
            "usr/share/gristmill/stages/unit_conversion.wasm",
        ]
    );
    let program = destination.join("usr/bin/gristmill");
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&program), 0o755);
    let pipeline = destination.join("usr/share/gristmill/pipelines/ocp-max.toml");
    assert_eq!(mode(&pipeline), 0o644);

    let checked = Command::new(&program)
        .arg("check")
        .arg(&pipeline)
        .current_dir(folder.path())
        .env("GRISTMILL_CACHE", folder.path().join("cache"))
        .output()
        .expect("the program");
    let words = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{words}");
}
