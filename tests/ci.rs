//! The checks that CI runs and nobody may skip there.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use crate::support::command::root;

/// A cargo without cargo-deny, which installs nothing and says so.
const CARGO: &str = "#!/bin/sh
case \"$1\" in
    install) echo \"asked to install $*\"; exit 0 ;;
    *) exit 101 ;;
esac
";

/// `make deny` on a machine that has no cargo-deny and cannot get it.
fn deny(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let cargo = folder.path().join("cargo");
    fs::write(&cargo, CARGO).expect("a program");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("our program");
    let path = env::var("PATH").expect("a path");
    Command::new("make")
        .arg("deny")
        .args(arguments)
        .current_dir(root())
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env("CARGO_TARGET_DIR", folder.path())
        // Of the `make` that runs the tests.
        .env_remove("MAKEFLAGS")
        .env_remove("MAKEOVERRIDES")
        .output()
        .expect("make")
}

#[test]
fn ci_does_not_go_without_cargo_deny() {
    let run = fs::read_to_string(root().join(".ci/run")).expect("a script");
    assert!(
        run.lines()
            .any(|line| line == "make test DENY=required ENGINES=required")
    );

    let ended = deny(&["DENY=required"]);
    let words = String::from_utf8_lossy(&ended.stdout);
    assert!(words.contains("asked to install"), "{ended:?}");
    assert!(!ended.status.success(), "{ended:?}");
}

#[test]
fn a_developers_machine_may_lack_cargo_deny() {
    let ended = deny(&[]);
    let words = String::from_utf8_lossy(&ended.stdout);
    assert!(words.contains("cargo-deny is not installed"), "{ended:?}");
    assert!(ended.status.success(), "{ended:?}");
}
