//! A page as its reader follows it: the files that it shows are written, its commands
//! run in order, and what they say is compared with what the page says.
//!
//! CONTRIBUTING tells authors of pages how each kind of block is read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::command::{file, root};
use super::page::{Block, Page};
use super::server::{TestDatabase, scratch};
use super::tools;

/// What stands in place of `make` in a reader's `PATH`: it runs the program that the
/// target would run, as the Makefile says, without building anything.
const MAKE: &str = r#"#!/bin/sh
set -e
line=$(cd "$REPOSITORY" && PATH=/usr/local/bin:/usr/bin:/bin make --dry-run "$@" |
    grep '/gristmill ' | tail -n 1)
test -n "$line"
exec gristmill ${line#*/gristmill }
"#;

/// One thing that a page has its reader do.
#[derive(Debug)]
enum Step {
    Run { command: String, says: Vec<String> },
    Write { name: String, text: String },
    Check { name: String },
}

/// A reader with a folder and a database.
pub(crate) struct Reader {
    above: TempDir,
    /// Where the next command runs.
    folder: PathBuf,
    pub(crate) database: TestDatabase,
}

impl Reader {
    /// One whose folder stands beside the repository, as that of a site.
    pub(crate) fn beside() -> Reader {
        let above = tempfile::tempdir_in(scratch()).expect("a folder");
        symlink(root(), above.path().join("gristmill")).expect("a link");
        let folder = above.path().join("site");
        fs::create_dir(&folder).expect("a folder");
        let programs = above.path().join("programs");
        fs::create_dir(&programs).expect("a folder");
        let make = programs.join("make");
        fs::write(&make, MAKE).expect("a program");
        fs::set_permissions(&make, fs::Permissions::from_mode(0o755)).expect("our file");
        Reader {
            above,
            folder,
            database: TestDatabase::migrated(),
        }
    }

    /// One who is in the repository, or what looks like it: what is written there
    /// stays out of it.
    pub(crate) fn within() -> Reader {
        let reader = Reader::beside();
        for name in ["Makefile", "plugins", "tests"] {
            symlink(file(name), reader.folder.join(name)).expect("a link");
        }
        let pipelines = reader.folder.join("pipelines");
        fs::create_dir_all(pipelines.join("examples")).expect("a folder");
        for name in ["ocp.toml", "ocp-max.toml"] {
            let to = pipelines.join(name);
            symlink(file("pipelines").join(name), to).expect("a link");
        }
        reader
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Follows the page to its end and returns the number of commands.
    #[track_caller]
    pub(crate) fn follows(&mut self, page: &Page) -> usize {
        let mut commands = 0;
        for step in steps(page) {
            match step {
                Step::Write { name, text } => {
                    let path = self.folder.join(name);
                    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                    fs::write(path, text).expect("a file");
                }
                Step::Check { name } => {
                    self.shell(&format!("gristmill check {name}"));
                }
                Step::Run { command, says } => {
                    let said = self.shell(&command);
                    check(&command, &says, &said);
                    commands += 1;
                }
            }
        }
        commands
    }

    /// Runs a command in a shell and returns what it said.
    #[track_caller]
    pub(crate) fn shell(&mut self, command: &str) -> String {
        let program = Path::new(env!("CARGO_BIN_EXE_gristmill"));
        let mut path = self.above.path().join("programs").into_os_string();
        path.push(":");
        path.push(program.parent().expect("a folder"));
        path.push(":");
        path.push(tools::path());
        let output = Command::new("bash")
            .args(["-c", &format!("exec 2>&1; {command}\necho \"$? $PWD\"")])
            .current_dir(&self.folder)
            .env("PATH", path)
            .env("REPOSITORY", root())
            .env("DATABASE_URL", self.database.url())
            .env("GRISTMILL_CACHE", tools::cache())
            .env("GRISTMILL_DATA", self.database.data())
            .env("CARGO_NET_OFFLINE", "true")
            .env_remove("GRISTMILL_SCHEMA")
            // The variables that a `make` which runs the tests gives to its children.
            .env_remove("MAKEFLAGS")
            .env_remove("MAKELEVEL")
            .output()
            .expect("a shell");
        let said = String::from_utf8(output.stdout).expect("text");
        let (said, end) = match said.trim_end().rsplit_once('\n') {
            Some((said, end)) => (said.to_string(), end.to_string()),
            None => (String::new(), said.trim_end().to_string()),
        };
        let (code, folder) = end.split_once(' ').expect("the last line");
        assert_eq!(code, "0", "`{command}` failed:\n{said}");
        self.folder = PathBuf::from(folder);
        // Lines that only show progress, where nobody looks at it.
        let lines = said.lines().filter(|line| !line.ends_with(": running"));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

/// Whether there is anything to do on the page.
#[track_caller]
pub(crate) fn has_steps(page: &Page) -> bool {
    !steps(page).is_empty()
}

#[track_caller]
fn steps(page: &Page) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut fragments = 0;
    for block in page.blocks() {
        let named = block.named();
        match (block.language.as_str(), named) {
            ("console", _) => steps.extend(commands(&block)),
            (_, Some((name, _))) if file(name).is_file() => {}
            (_, Some((name, rest))) => {
                let text = rest.join("\n") + "\n";
                let is_pipeline = name.ends_with(".toml") && !text.contains("[[case]]");
                steps.push(Step::Write {
                    name: name.to_string(),
                    text,
                });
                if is_pipeline {
                    steps.push(Step::Check {
                        name: name.to_string(),
                    });
                }
            }
            ("toml", None) => {
                fragments += 1;
                let name = format!("fragment-{fragments}.toml");
                let base = file("pipelines/ocp.toml");
                steps.push(Step::Write {
                    name: name.clone(),
                    text: format!("extends = {base:?}\n{}", block.text()),
                });
                steps.push(Step::Check { name });
            }
            // Looked at by `book`, which runs nothing.
            ("sh" | "text" | "", None) => {}
            _ => panic!(
                "{}: a block that no reader can use:\n{}",
                page.path,
                block.text()
            ),
        }
    }
    steps
}

/// A line with `$ ` is a command, which lines with `> ` continue; those below are what
/// it says, errors too.
fn commands(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in &block.lines {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step::Run {
                command: command.to_string(),
                says: Vec::new(),
            });
            continue;
        }
        let Some(Step::Run { command, says }) = steps.last_mut() else {
            panic!("nobody says `{line}`");
        };
        match line.strip_prefix("> ") {
            Some(more) if says.is_empty() => *command += &format!("\n{more}"),
            _ => says.push(line.clone()),
        }
    }
    steps
}

/// Whether a line is as the page has it: `…` stands for anything within it.
pub(crate) fn fits(expected: &str, said: &str) -> bool {
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = said.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
        last = Some(part);
    }
    rest.is_empty() || last == Some("")
}

/// Finds the expected lines in what was said, in their order; lines may stand in
/// between only where the page has `…` alone.
#[track_caller]
pub(crate) fn check(command: &str, expected: &[String], said: &str) {
    let mut lines = said.lines().map(str::trim_end);
    let mut any_between = false;
    for line in expected {
        if line == "…" {
            any_between = true;
            continue;
        }
        let found = match any_between {
            true => lines.any(|said| fits(line, said)),
            false => lines.next().is_some_and(|said| fits(line, said)),
        };
        assert!(found, "`{command}` does not say `{line}`, but:\n{said}");
        any_between = false;
    }
    if !any_between && !expected.is_empty() {
        assert_eq!(lines.next(), None, "`{command}` says more:\n{said}");
    }
}
