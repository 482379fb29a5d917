//! Runs the program as a user would and asserts on all that it says.
//!
//! Nothing of the caller's environment reaches it: no database, no cache, no
//! pipeline switch. What differs from machine to machine and run to run (folders,
//! durations) is replaced in what it says.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::cost::{Cost, wait};
use super::server::{TestDatabase, scratch};

/// When a run that should have ended is ended.
const TIME_MAX: Duration = Duration::from_mins(10);

/// Nobody listens there. A command that should need no database gets this one.
pub(crate) const NO_DATABASE: &str = "postgresql://nobody:secret@127.0.0.1:1/nothing";

/// The folder of the shipped stages; built by `make stages`.
static STAGES: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let folder = match env::var_os("GRISTMILL_TEST_STAGES") {
        Some(folder) => PathBuf::from(folder),
        None => target().join("stages"),
    };
    match folder.join("csv_parse.wasm").is_file() {
        true => Ok(folder),
        false => Err(format!(
            "there are no stages in `{}`; run `make stages` first",
            folder.display()
        )),
    }
});

/// The folder of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .ancestors()
        .nth(2)
        .expect("the host crate lies in the repository")
}

/// Where Cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

#[track_caller]
pub(crate) fn stages() -> &'static Path {
    match &*STAGES {
        Ok(folder) => folder,
        Err(reason) => panic!("{reason}"),
    }
}

/// A file of the repository, by its path from the top.
pub(crate) fn file(path: &str) -> PathBuf {
    root().join(path)
}

/// `make` at the top of the repository, as a user's shell calls it.
pub(crate) fn make(target: &str) -> Command {
    let mut make = Command::new("make");
    make.arg(target).current_dir(root());
    // Of the `make` that runs the tests.
    for name in ["MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES"] {
        make.env_remove(name);
    }
    make
}

/// The program, about to be run.
pub(crate) struct Gristmill {
    command: Command,
    /// Folders that have names of their own in what it says.
    folders: Vec<(PathBuf, &'static str)>,
}

/// The program with these arguments.
pub(crate) fn gristmill<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Gristmill {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
    for (name, _) in env::vars_os() {
        let ours = [
            "GRISTMILL_",
            "OCP_",
            "PG",
            "DATABASE_URL",
            "NO_COLOR",
            "CLICOLOR",
        ];
        if ours.iter().any(|prefix| starts_with(&name, prefix)) {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .current_dir(root())
        .env("DATABASE_URL", NO_DATABASE)
        .env("GRISTMILL_CACHE", scratch().join("cache"))
        .env("GRISTMILL_DATA", scratch().join("data"))
        .stdin(Stdio::null());
    Gristmill {
        command,
        folders: Vec::new(),
    }
}

/// `gristmill run` of a pipeline and payloads into a database.
pub(crate) fn run(
    database: &TestDatabase,
    pipeline: impl AsRef<Path>,
    payloads: &[PathBuf],
) -> Gristmill {
    gristmill(["run"])
        .argument(pipeline.as_ref())
        .arguments(payloads)
        .with_stages()
        .database(database)
}

impl Gristmill {
    pub(crate) fn argument(mut self, argument: impl AsRef<OsStr>) -> Gristmill {
        self.command.arg(argument);
        self
    }

    pub(crate) fn arguments<A: AsRef<OsStr>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Gristmill {
        self.command.args(arguments);
        self
    }

    #[track_caller]
    pub(crate) fn with_stages(self) -> Gristmill {
        self.argument("--stages").argument(stages())
    }

    pub(crate) fn database(self, database: &TestDatabase) -> Gristmill {
        let default = scratch().join("data");
        let is_default = self
            .command
            .get_envs()
            .any(|(name, value)| name == "GRISTMILL_DATA" && value == Some(default.as_os_str()));
        let command = self.env("DATABASE_URL", database.url());
        match is_default {
            true => command.env("GRISTMILL_DATA", database.data()),
            false => command,
        }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Gristmill {
        self.command.env(name, value);
        self
    }

    /// Runs it in another folder than that of the repository.
    pub(crate) fn within(mut self, folder: &Path) -> Gristmill {
        self.command.current_dir(folder);
        self
    }

    pub(crate) fn without_env(mut self, name: &str) -> Gristmill {
        self.command.env_remove(name);
        self
    }

    /// Shows the folder under this name.
    pub(crate) fn calling(mut self, folder: &Path, name: &'static str) -> Gristmill {
        self.folders.push((folder.to_path_buf(), name));
        self
    }

    /// Lets it read this file as its standard input.
    #[track_caller]
    pub(crate) fn reading(mut self, path: &Path) -> Gristmill {
        self.command.stdin(File::open(path).expect("a file"));
        self
    }

    /// Starts it, to be watched while it runs.
    #[track_caller]
    pub(crate) fn starts(mut self) -> Child {
        self.command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("gristmill starts")
    }

    /// Starts it, to be broken off while it runs.
    #[track_caller]
    pub(crate) fn begins(mut self) -> Running {
        let folders = std::mem::take(&mut self.folders);
        Running {
            child: self.starts(),
            folders,
        }
    }

    #[track_caller]
    pub(crate) fn ends(self) -> Ended {
        self.begins().ends()
    }

    /// Runs it to its end, and says what that took.
    #[track_caller]
    pub(crate) fn ends_at_a_cost(self) -> (Ended, Cost) {
        self.begins().ends_at_a_cost()
    }

    /// Runs it on a terminal of so many columns, and returns all that is shown there.
    #[track_caller]
    pub(crate) fn shown_on(self, columns: u16) -> String {
        let quoted = |word: &OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
        let program = std::iter::once(self.command.get_program());
        let words: Vec<String> = program.chain(self.command.get_args()).map(quoted).collect();
        let line = format!("stty cols {columns} rows 50; exec {}", words.join(" "));
        let mut script = Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .stdin(Stdio::null());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        if let Some(folder) = self.command.get_current_dir() {
            script.current_dir(folder);
        }
        if script.get_envs().all(|(name, _)| name != "TERM") {
            script.env("TERM", "xterm");
        }
        let output = script.output().expect("`script`, of Debian's bsdutils");
        String::from_utf8(output.stdout)
            .expect("UTF-8")
            .replace('\r', "")
    }

    /// Runs it to its good end.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Ended {
        self.ends_with(0)
    }

    /// Runs it to its end with this exit code.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Ended {
        let ended = self.ends();
        assert_eq!(ended.code, Some(code), "exit code\n{ended}");
        ended
    }
}

/// The program at work.
pub(crate) struct Running {
    child: Child,
    folders: Vec<(PathBuf, &'static str)>,
}

impl Running {
    pub(crate) fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal, unless it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        // Nobody buries it but `ends`, so the process id is still its own.
        let _ = kill_process(self.process(), signal);
    }

    /// Waits for its end; the code is `None` when a signal ended it.
    #[track_caller]
    pub(crate) fn ends(self) -> Ended {
        self.ends_at_a_cost().0
    }

    /// As `ends`, and says what that took.
    #[track_caller]
    pub(crate) fn ends_at_a_cost(self) -> (Ended, Cost) {
        let (output, cost) = wait(self.child, TIME_MAX).expect("gristmill ends");
        let mut folders = self.folders;
        folders.extend(STAGES.iter().map(|stages| (stages.clone(), "[STAGES]")));
        let built = Path::new(env!("CARGO_BIN_EXE_gristmill"));
        folders.extend(built.parent().map(|folder| (folder.into(), "[BIN]")));
        folders.push((target().join("stages"), "[STAGES]"));
        folders.push((target(), "[TARGET]"));
        folders.push((root().to_path_buf(), "[ROOT]"));
        let said = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("it says UTF-8");
            normalised(text, &folders)
        };
        let ended = Ended {
            code: output.status.code(),
            stdout: said(output.stdout),
            stderr: said(output.stderr),
        };
        (ended, cost)
    }
}

/// How it ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn stdout_is(self, expected: &str) -> Ended {
        same("stdout", &self.stdout, expected);
        self
    }

    #[track_caller]
    pub(crate) fn stderr_is(self, expected: &str) -> Ended {
        same("stderr", &self.stderr, expected);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is no JSON: {error}\n{self}"))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "code {:?}\n--- stdout\n{}--- stderr\n{}---",
            self.code, self.stdout, self.stderr
        )
    }
}

/// Compares texts, but for the newline at their ends.
#[track_caller]
pub(crate) fn same(what: &str, found: &str, expected: &str) {
    assert!(
        found.trim_end() == expected.trim_end(),
        "{what} is not as expected\n--- expected\n{}\n--- found\n{}\n---",
        expected.trim_end(),
        found.trim_end()
    );
}

fn starts_with(name: &OsString, prefix: &str) -> bool {
    name.as_encoded_bytes().starts_with(prefix.as_bytes())
}

/// Replaces folders by their names, durations by `[TIME]` and the digests of
/// components by `[DIGEST]`; leaves out the lines that only show progress.
fn normalised(mut text: String, folders: &[(PathBuf, &'static str)]) -> String {
    for (folder, name) in folders {
        text = text.replace(&folder.display().to_string(), name);
    }
    let lines = text.lines().filter(|line| !line.ends_with(": running"));
    let lines = lines.map(|line| without_digest(&without_duration(line)) + "\n");
    lines.collect()
}

fn without_digest(line: &str) -> String {
    let is_digest =
        |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = line.split_inclusive(|character: char| !character.is_ascii_alphanumeric());
    words
        .map(
            |word| match word.get(..64).filter(|start| is_digest(start)) {
                Some(digest) => word.replace(digest, "[DIGEST]"),
                None => word.to_string(),
            },
        )
        .collect()
}

/// A cell of the last column of a table: `0.47 s │`.
fn without_duration(line: &str) -> String {
    let Some(row) = line.strip_suffix(" s │") else {
        return line.to_string();
    };
    let number =
        row.trim_end_matches(|character: char| character.is_ascii_digit() || character == '.');
    format!("{} [TIME] │", number.trim_end())
}
