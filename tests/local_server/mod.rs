//! The Postgres server that gristmill starts itself, through `gristmill db`.
//!
//! Each test has a data directory of its own and so a server of its own. The
//! servers are durable ones, so a test takes a second or two.

/// Files that others put into its folder.
mod planted;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::secrets::modes;
use crate::support::server::fast_directory;

/// How long to wait for something that takes milliseconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A data directory that takes its server down with it.
pub(crate) struct DataDirectory {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl DataDirectory {
    pub(crate) fn new() -> DataDirectory {
        DataDirectory::below(|folder| folder.join("data"))
    }

    /// A data directory somewhere in a folder that every user can enter.
    fn below(place: impl FnOnce(&Path) -> PathBuf) -> DataDirectory {
        let folder = tempfile::tempdir_in(fast_directory()).expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("our folder");
        let path = place(folder.path());
        DataDirectory { folder, path }
    }

    /// Another one with the same in it; its server must not run.
    #[track_caller]
    pub(crate) fn copy(&self) -> DataDirectory {
        let copy = DataDirectory::new();
        let copied = Command::new("cp")
            .arg("-a")
            .args([&self.path, &copy.path])
            .status();
        assert!(copied.expect("cp runs").success());
        copy
    }

    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
        command
            .args(["db", verb])
            .env_remove("DATABASE_URL")
            .env("GRISTMILL_DATA", &self.path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn spawn(&self, verb: &str) -> Child {
        self.command(verb).spawn().expect("gristmill runs")
    }

    /// Runs the command, which succeeds, and returns what it says on stderr.
    #[track_caller]
    pub(crate) fn run(&self, verb: &str) -> String {
        succeeded(self.command(verb).output().expect("gristmill runs"))
    }

    /// The URL of the server, which is started if need be.
    #[track_caller]
    pub(crate) fn url(&self) -> String {
        Self::url_of(&mut self.command("url"))
    }

    /// The same, by the server programs in a folder.
    #[track_caller]
    pub(crate) fn url_with(&self, programs: &Path) -> String {
        Self::url_of(self.command("url").env("GRISTMILL_PG_BIN", programs))
    }

    #[track_caller]
    fn url_of(command: &mut Command) -> String {
        let output = command.output().expect("gristmill runs");
        let url = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        succeeded(output);
        url
    }

    /// A folder around it that every user can enter.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path.join("postgres")
    }

    pub(crate) fn postmaster(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.home().join("data/postmaster.pid")).ok()?;
        Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        if self.postmaster().is_some() {
            let _ = self.command("stop").output();
        }
    }
}

#[track_caller]
fn succeeded(output: Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}");
    words
}

#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether the process has ended, be it buried or not.
pub(crate) fn gone(process: Pid) -> bool {
    let program = format!("/proc/{}/exe", process.as_raw_nonzero());
    fs::read_link(program).is_err()
}

#[test]
fn a_server_is_created_once_and_outlives_the_command() {
    let data = DataDirectory::new();
    let first = data.run("migrate");
    assert!(first.contains("creating a Postgres"), "{first}");
    assert!(first.contains("starting Postgres"), "{first}");

    let server = data.postmaster().unwrap();
    assert!(!gone(server));
    let second = data.run("migrate");
    assert!(
        !second.contains("creating") && !second.contains("starting"),
        "{second}"
    );
    assert_eq!(data.postmaster(), Some(server));

    data.run("stop");
    wait_until("the server is gone", || gone(server));
    assert_eq!(data.postmaster(), None);
    data.run("stop");

    let third = data.run("migrate");
    assert!(
        !third.contains("creating") && third.contains("starting"),
        "{third}"
    );
}

#[test]
fn the_server_is_private_and_not_root() {
    let data = DataDirectory::new();
    data.run("migrate");
    for folder in ["", "data", "socket"] {
        let mode = fs::metadata(data.home().join(folder)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700, "`postgres/{folder}`");
    }
    // Sockets and the programs' own links aside, nothing is for anybody else. Another
    // user who could read the lock could hold it for ever.
    let lock = data.home().parent().unwrap().join("postgres.lock");
    data.run("stop");
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
    data.run("migrate");
    assert!(lock.is_file());
    let written = modes(data.home().parent().unwrap());
    assert!(written.len() > 100, "{} files", written.len());
    for (path, is_folder, mode) in written {
        let private = if is_folder { 0o700 } else { 0o600 };
        let is_socket = path.contains(".s.PGSQL.") && !path.ends_with(".lock");
        assert!(mode == private || is_socket, "{path} has mode {mode:o}");
    }
    let server = data.postmaster().unwrap().as_raw_nonzero();
    let owner = fs::metadata(format!("/proc/{server}")).unwrap().uid();
    assert_ne!(owner, 0, "Postgres runs as root");
}

/// From root's session they could reach root's terminal.
#[test]
fn what_root_starts_as_another_user_has_a_session_of_its_own() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let data = DataDirectory::new();
    let sessions = data.folder().join("sessions");
    let anybodys = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our file");
    };
    fs::write(&sessions, "").expect("a file");
    anybodys(&sessions, 0o666);
    let programs = data.folder().join("programs");
    fs::create_dir(&programs).expect("a folder");
    anybodys(&programs, 0o755);
    let real = gristmill::database::server_programs()
        .expect("there is a server")
        .directory;
    for name in ["initdb", "pg_ctl", "postgres"] {
        let program = programs.join(name);
        let script = format!(
            "#!/bin/sh\n[ \"$(id -u)\" = 0 ] || cut -d ' ' -f 6 /proc/$$/stat >> '{}'\nexec '{}' \"$@\"\n",
            sessions.display(),
            real.join(name).display()
        );
        fs::write(&program, script).expect("a program");
        anybodys(&program, 0o755);
    }
    data.url_with(&programs);
    let sessions = fs::read_to_string(sessions).expect("our file");
    // Read as the scripts read theirs: in a container a session's number may be 0, since its
    // leader is outside.
    let ours = fs::read_to_string("/proc/self/stat").expect("a process");
    let (_, ours) = ours.rsplit_once(") ").expect("a name");
    let ours = ours.split(' ').nth(3).expect("a session");
    assert!(sessions.lines().count() >= 3, "{sessions}");
    assert!(
        sessions.lines().all(|session| session != ours),
        "{sessions}"
    );
}

#[test]
fn a_killed_server_is_started_again() {
    let data = DataDirectory::new();
    data.run("migrate");
    // Several times, since what a killed server leaves behind differs by a hair.
    for _ in 0..5 {
        let killed = data.postmaster().unwrap();
        kill_process(killed, Signal::KILL).unwrap();
        wait_until("the server is dead", || gone(killed));
        assert_eq!(data.postmaster(), Some(killed), "its file is stale");
        data.run("migrate");
        assert_ne!(data.postmaster(), Some(killed));
    }
}

#[test]
fn a_stale_file_that_names_another_process_is_no_obstacle() {
    let data = DataDirectory::new();
    data.run("migrate");
    let file = data.home().join("data/postmaster.pid");
    let text = fs::read_to_string(&file).unwrap();
    data.run("stop");

    // As after a reboot, when the number is somebody else's: here a process of
    // the very user that the server runs as, which Postgres would believe in.
    let owner = fs::metadata(data.home()).unwrap();
    let mut other = {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new("sleep");
        command.arg("600").current_dir("/");
        if rustix::process::geteuid().is_root() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        command.spawn().unwrap()
    };
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(&file, format!("{}\n{rest}", other.id())).unwrap();
    let started = data.command("migrate").output().unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
    succeeded(started);
}

#[test]
fn a_creation_that_was_killed_is_begun_anew() {
    let data = DataDirectory::new();
    let mut killed = data.spawn("migrate");
    wait_until("initdb has begun", || {
        let entries = fs::read_dir(data.home()).into_iter().flatten();
        entries.flatten().any(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with("data.new.") && entry.path().join("PG_VERSION").exists()
        })
    });
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!data.home().join("data").exists());

    let words = data.run("migrate");
    assert!(words.contains("creating a Postgres"), "{words}");
}

#[test]
fn processes_that_start_at_once_share_one_server() {
    let data = DataDirectory::new();
    let commands: Vec<Child> = (0..4).map(|_| data.spawn("migrate")).collect();
    let words: Vec<String> = commands
        .into_iter()
        .map(|command| succeeded(command.wait_with_output().unwrap()))
        .collect();
    let all = words.concat();
    assert_eq!(all.matches("creating a Postgres").count(), 1, "{all}");
    assert_eq!(all.matches("starting Postgres").count(), 1, "{all}");
}

#[test]
fn a_path_too_long_for_a_socket_is_no_obstacle() {
    let data =
        DataDirectory::below(|folder| folder.join("d".repeat(120)).join("it's \"here\", 100%"));
    data.run("migrate");
    let output = data.command("url").output().unwrap();
    let url = String::from_utf8(output.stdout).unwrap();
    assert!(!url.contains("dddd"), "{url}");
    data.run("migrate");
}

#[test]
fn the_url_leads_to_the_server_whatever_the_path_holds() {
    let data = DataDirectory::below(|folder| folder.join("it's \"here\", 100% & $HOME + \\"));
    data.run("migrate");
    let output = data.command("url").output().unwrap();
    let url = String::from_utf8(output.stdout).unwrap();
    assert!(url.starts_with("postgresql:///gristmill?host=/"), "{url}");

    let mut migrate = data.command("migrate");
    migrate.args(["--database-url", url.trim()]);
    succeeded(migrate.output().unwrap());
}

/// Root's server runs as another user, who cannot enter the folders of root.
/// Where the system has user namespaces the server runs all the same; elsewhere
/// the error says what to do.
#[test]
fn a_folder_of_root_alone_is_served_or_refused_with_advice() {
    let data = DataDirectory::new();
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(data.folder.path(), private).unwrap();

    let output = data.command("migrate").output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        data.run("stop");
        data.run("migrate");
    } else {
        assert_eq!(output.status.code(), Some(3), "{words}");
        assert!(words.contains("Postgres cannot run as root"), "{words}");
        assert!(words.contains("hint: set GRISTMILL_DATA"), "{words}");
    }
}
