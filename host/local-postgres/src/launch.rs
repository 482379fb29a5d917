//! Creating a server's data and starting the server on it.

use std::env;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::binaries::Binaries;
use crate::error::{Error, path_text};
use crate::layout::{DATA, Home, Layout};
use crate::postmaster::Postmaster;
use crate::settings::{self, Durability};
use crate::{LocalServer, POLL, PORT, START_SECONDS_MAX, socket};

/// What a killed server leaves, such as its children, is gone after a moment.
const REMAINS_SECONDS_MAX: u64 = 10;

/// Prefix of a data folder that is being made; the process id follows.
const UNFINISHED: &str = "data.new.";

impl Layout {
    /// Makes the data under another name and moves it in place when it is whole,
    /// so that a process killed meanwhile leaves nothing that looks finished.
    pub(crate) fn initialise(
        &self,
        home: &Home,
        binaries: &Binaries,
        durability: Durability,
    ) -> Result<(), Error> {
        self.remove_unfinished(home)?;
        let account = &home.account;
        let application = self.application.name;
        let name = format!("{UNFINISHED}{}", std::process::id());
        let unfinished = self.home.join(&name);

        let mut initdb = account.command(&binaries.program("initdb"));
        initdb
            .arg("--pgdata")
            .arg(&unfinished)
            .args(["--username", application, "--auth", "trust"])
            .args(["--encoding", "UTF8", "--locale", "C"])
            .args(["--no-instructions", "--no-sync"]);
        run(initdb, "")?;

        let mut single = account.command(&binaries.program("postgres"));
        single
            .args(["--single", "-j", "-F", "-c", "exit_on_error=on", "-D"])
            .arg(&unfinished)
            .arg("postgres");
        run(single, &format!("CREATE DATABASE \"{application}\";\n"))?;

        let include = format!(
            "\ninclude_if_exists = '{}'\n",
            self.application.settings_file
        );
        let configuration = unfinished.join("postgresql.conf");
        home.act(format!("write {}", path_text(&configuration)), |folder| {
            let unfinished = folder.folder(&name)?.ok_or(std::io::ErrorKind::NotFound)?;
            let mut file = unfinished.appended("postgresql.conf")?;
            file.write_all(include.as_bytes())
        })?;

        if durability == Durability::Durable {
            let mut sync = account.command(&binaries.program("initdb"));
            sync.arg("--sync-only").arg("--pgdata").arg(&unfinished);
            run(sync, "")?;
        }
        home.act(format!("create {}", path_text(&self.data)), |folder| {
            folder.rename(&name, DATA)?;
            folder.sync()
        })
    }

    /// Removes what initialisations that were killed have left.
    fn remove_unfinished(&self, home: &Home) -> Result<(), Error> {
        let path = &self.home;
        home.act(format!("read folder {}", path_text(path)), |_| {
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                    // An initdb that outlived its killed parent may still write here;
                    // then it fails by itself, and the rest goes the next time.
                    let _ = fs::remove_dir_all(entry.path());
                }
            }
            Ok(())
        })
    }

    /// Clears what a killed server left in the way, and writes the settings anew,
    /// so that those of a newer application apply to old data.
    pub(crate) fn prepare(&self, home: &Home, durability: Durability) -> Result<(), Error> {
        let socket_directory = socket::choose(self.application.name, &self.home, home)?;
        Postmaster::clear_stale(self, home, &socket_directory)?;
        let text = settings::text(&self.application, &socket_directory, PORT, durability);
        let file = self.application.settings_file;
        let path = self.data.join(file);
        home.act(format!("write {}", path_text(&path)), |folder| {
            let data = folder.folder(DATA)?.ok_or(std::io::ErrorKind::NotFound)?;
            data.replace(file, &text)
        })
    }

    /// Starts the server, detached from our terminal and from our life.
    pub(crate) fn launch(&self, home: &Home, binaries: &Binaries) -> Result<LocalServer, Error> {
        let deadline = Instant::now() + Duration::from_secs(REMAINS_SECONDS_MAX);
        loop {
            let (log, log_start) = self.open_log(home)?;
            let log_too = log
                .try_clone()
                .map_err(Error::system("share the server's log"))?;
            let mut start = home.account.command(&binaries.program("pg_ctl"));
            let missing = |(name, _): &&(&str, &str)| env::var_os(name).is_none();
            start.envs(self.application.environment.iter().filter(missing).copied());
            let status = start
                // As environment and not as argument, since pg_ctl hands
                // arguments to a shell.
                .env("PGDATA", &self.data)
                .args(["start", "--silent", "--wait", "--timeout"])
                .arg(START_SECONDS_MAX.to_string())
                .stdin(Stdio::null())
                .stdout(log)
                .stderr(log_too)
                .status()
                .map_err(Error::system("run `pg_ctl`"))?;

            // Ours, or one that a killed predecessor had just started.
            if let Some((server, _)) = self.settle(home)? {
                return Ok(server);
            }
            let output = self.log_tail(home, log_start);
            let remains = ["lock file", "pre-existing shared memory block"]
                .iter()
                .any(|obstacle| output.contains(obstacle));
            if status.success() || !remains || Instant::now() > deadline {
                return Err(Error::Start {
                    log: self.log.clone(),
                    output,
                });
            }
            thread::sleep(POLL * 10);
        }
    }
}

/// Runs a server program to its end with `input`, and keeps its words for the error.
fn run(mut command: Command, input: &str) -> Result<(), Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let doing = || Error::system(format!("run `{program}`"));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(doing())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early tells why through its status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(doing())?;
    if output.status.success() {
        return Ok(());
    }
    let words = if output.stderr.is_empty() {
        output.stdout
    } else {
        output.stderr
    };
    Err(Error::Program {
        program,
        output: String::from_utf8_lossy(&words).into_owned(),
    })
}
