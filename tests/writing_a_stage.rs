//! `docs/writing-a-stage.md` as it stands: its commands run in order, and say what it
//! says that they do.
//!
//! In a `console` block, a line with `$ ` is a command and the lines below it are
//! what it says, errors too. `…` stands for anything within a line, and alone for
//! any lines. A block that begins with `# NAME.toml` is that file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::support::command::{file, root};
use crate::support::server::{TestDatabase, scratch};
use crate::support::tools;

/// What the page has its reader do.
enum Step {
    Run { command: String, says: Vec<String> },
    Write { name: String, text: String },
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut language: Option<&str> = None;
    let mut block: Vec<&str> = Vec::new();
    for line in page.lines() {
        match (line.strip_prefix("```"), language) {
            (Some(named), None) => language = Some(named),
            (Some(_), Some(ended)) => {
                match (
                    ended,
                    block.first().and_then(|line| line.strip_prefix("# ")),
                ) {
                    ("console", _) => steps.extend(commands(&block)),
                    ("toml", Some(name)) => steps.push(Step::Write {
                        name: name.to_string(),
                        text: block.join("\n") + "\n",
                    }),
                    _ => panic!("a block that no reader can use:\n{}", block.join("\n")),
                }
                language = None;
                block.clear();
            }
            (None, Some(_)) => block.push(line),
            (None, None) => {}
        }
    }
    steps
}

fn commands(block: &[&str]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step::Run {
                command: command.to_string(),
                says: Vec::new(),
            }),
            (None, Some(Step::Run { says, .. })) => says.push((*line).to_string()),
            (None, _) => panic!("nobody says `{line}`"),
        }
    }
    steps
}

/// Whether a line is as the page has it.
fn fits(expected: &str, said: &str) -> bool {
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
fn check(command: &str, expected: &[String], said: &str) {
    let mut lines = said.lines();
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

/// Runs a command in a shell and returns what it said and where it ended.
#[track_caller]
fn shell(command: &str, folder: &Path, database: &TestDatabase) -> (String, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_gristmill"));
    let mut path = program.parent().expect("a folder").as_os_str().to_owned();
    path.push(":");
    path.push(tools::path());
    let output = Command::new("bash")
        .args(["-c", &format!("exec 2>&1; {command}\necho \"$? $PWD\"")])
        .current_dir(folder)
        .env("PATH", path)
        .env("DATABASE_URL", database.url())
        .env("GRISTMILL_CACHE", tools::cache())
        .env("GRISTMILL_DATA", database.data())
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("GRISTMILL_SCHEMA")
        .output()
        .expect("a shell");
    let said = String::from_utf8(output.stdout).expect("text");
    let (said, end) = match said.trim_end().rsplit_once('\n') {
        Some((said, end)) => (said.to_string(), end.to_string()),
        None => (String::new(), said.trim_end().to_string()),
    };
    let (code, folder) = end.split_once(' ').expect("the last line");
    assert_eq!(code, "0", "`{command}` failed:\n{said}");
    (said, folder.to_string())
}

#[test]
fn every_command_works_and_says_what_the_page_says() {
    let page = fs::read_to_string(file("docs/writing-a-stage.md")).expect("the page");
    let above = tempfile::tempdir_in(scratch()).expect("a folder");
    symlink(root(), above.path().join("gristmill")).expect("a link");
    let site = above.path().join("site");
    fs::create_dir(&site).expect("a folder");
    let database = TestDatabase::migrated();
    let mut folder = site.display().to_string();
    let mut run = 0;
    for step in steps(&page) {
        match step {
            Step::Write { name, text } => {
                fs::write(Path::new(&folder).join(name), text).expect("a file");
            }
            Step::Run { command, says } => {
                let (said, ended_in) = shell(&command, Path::new(&folder), &database);
                check(&command, &says, &said);
                folder = ended_in;
                run += 1;
            }
        }
    }
    assert!(run > 10, "the page has {run} commands");
    let runs = database.query_value("SELECT count(*) FROM night.gristmill_run");
    assert_eq!(runs.as_deref(), Some("1"));
}

#[test]
fn a_page_that_is_wrong_is_noticed() {
    assert!(fits("built in … s", "built in 1.5 s"));
    assert!(!fits("built in … s", "built in 1.5 ms"));
    assert!(!fits("built", "built more"));
    assert!(fits("…published…", "a published b"));
}
