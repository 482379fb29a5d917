//! The checks that CI runs and nobody may skip there.

use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use crate::support::command::{make, root};

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
    make("deny")
        .args(arguments)
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env("CARGO_TARGET_DIR", folder.path())
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

/// The programs of this machine, without those that the servers of engine `trino` are made by.
fn path_without_makers(folder: &Path) -> String {
    let path = env::var_os("PATH").expect("a path");
    for entry in env::split_paths(&path)
        .flat_map(fs::read_dir)
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        if !["mvn", "go", "java"].iter().any(|maker| name == *maker) {
            // The first of a name is the one that counts.
            let _ = symlink(entry.path(), folder.join(name));
        }
    }
    folder.display().to_string()
}

#[test]
fn ci_does_not_go_without_the_servers_of_engine_trino() {
    let folder = tempfile::tempdir().expect("a folder");
    let set_up = |required: &str| {
        Command::new(root().join(".ci/setup"))
            .arg("engines")
            .current_dir(root())
            .env("PATH", path_without_makers(folder.path()))
            .env("XDG_CACHE_HOME", folder.path().join("cache"))
            .env("ENGINES", required)
            .env_remove("CI")
            .env_remove("GRISTMILL_TEST_TRINO")
            .env_remove("GRISTMILL_TEST_S3")
            .output()
            .expect("the script")
    };
    for (required, succeeds) in [("", true), ("required", false)] {
        let ended = set_up(required);
        let words = String::from_utf8_lossy(&ended.stderr);
        assert!(
            words.contains("missing for tests of the engine trino: "),
            "{ended:?}"
        );
        assert!(words.contains("Maven, Go"), "{ended:?}");
        assert_eq!(ended.status.success(), succeeds, "{ended:?}");
    }
}

/// It runs one of them, in a process of its own that finds no servers.
#[test]
fn a_test_without_its_servers_is_named_and_skipped_or_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("tests-skipped");
    let name = "engines::folding::many_days_take_no_more_files_at_a_time_than_there_may_be";
    let run = |required: &str| {
        Command::new(env::current_exe().expect("the tests"))
            .args(["--exact", name])
            .env("XDG_CACHE_HOME", folder.path())
            .env("GRISTMILL_TEST_SKIPPED", &list)
            .env("GRISTMILL_TEST_ENGINES", required)
            .env_remove("CI")
            .env_remove("GRISTMILL_TEST_TRINO")
            .output()
            .expect("the tests")
    };
    let required = run("required");
    assert!(!required.status.success(), "{required:?}");
    assert!(!list.exists(), "it is not skipped");
    let skipped = run("");
    assert!(skipped.status.success(), "{skipped:?}");
    assert_eq!(
        fs::read_to_string(&list).expect("a list"),
        format!("{name}\n")
    );
    let told = make("skipped")
        .env("CARGO_TARGET_DIR", folder.path())
        .output()
        .expect("make");
    let words = String::from_utf8_lossy(&told.stdout);
    assert!(words.ends_with(&format!(" say: 1\n{name}\n")), "{told:?}");
}
