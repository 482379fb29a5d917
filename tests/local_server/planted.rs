//! Files and processes that another program, run by the server's user or beside it,
//! plants in the server's folder: root follows no link, waits for no pipe and signals
//! nobody else's process.
//!
//! Run by another user than root, these tests try the same with that user's own things.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, mkfifoat};

use super::{DataDirectory, PATIENCE, gone, succeeded, wait_until};
use crate::support::torture::{Work, figure};

/// Puts something in the way at a path.
type Planting<'p> = &'p dyn Fn(&Path);

/// What is planted in the place of files, from the server's folder, and what is said of
/// it; nothing where a new file takes the place.
const PLACES: [(&str, Option<&str>); 5] = [
    ("server.log", Some("open")),
    ("data/PG_VERSION", Some("read")),
    ("data/postmaster.pid", Some("read")),
    ("data/gristmill.conf", None),
    ("data/gristmill.conf.new", None),
];

fn we_are_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl DataDirectory {
    /// Gives something to the server's user, as if that had made it.
    fn give(&self, path: &Path) {
        let home = fs::symlink_metadata(self.home()).expect("the server's folder");
        lchown(path, Some(home.uid()), Some(home.gid())).expect("root, or our own");
    }

    /// A command that runs as the server's user.
    fn as_its_user(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let home = fs::symlink_metadata(self.home()).expect("the server's folder");
        let mut command = Command::new(program);
        command.current_dir("/").process_group(0);
        if we_are_root() {
            command.uid(home.uid()).gid(home.gid());
        }
        command
    }

    /// How a command ends, which it does soon.
    #[track_caller]
    fn ends(&self, verb: &str) -> Output {
        let mut command = self.spawn(verb);
        let deadline = Instant::now() + PATIENCE;
        while command.try_wait().expect("our child").is_none() {
            if Instant::now() > deadline {
                command.kill().expect("our child");
                panic!("`db {verb}` did not end");
            }
            thread::sleep(Duration::from_millis(2));
        }
        command.wait_with_output().expect("our child")
    }

    #[track_caller]
    fn refuses(&self, verb: &str, words: &[&str]) {
        let output = self.ends(verb);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        for words in words {
            assert!(said.contains(words), "`{words}` is not in:\n{said}");
        }
    }
}

/// A file of ours that nobody else may see or change.
struct Secret {
    path: PathBuf,
    before: (Vec<u8>, u32, u32),
}

impl Secret {
    fn new(folder: &Path, text: &str) -> Secret {
        let path = folder.join("secret");
        fs::write(&path, text).expect("our file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("our file");
        let before = Secret::found(&path);
        Secret { path, before }
    }

    fn found(path: &Path) -> (Vec<u8>, u32, u32) {
        let metadata = fs::metadata(path).expect("a file");
        let bytes = fs::read(path).expect("our file");
        (bytes, metadata.uid(), metadata.mode())
    }

    #[track_caller]
    fn is_untouched(&self, after: &str) {
        assert_eq!(Secret::found(&self.path), self.before, "after {after}");
    }
}

#[test]
fn links_are_not_followed_and_pipes_not_waited_for() {
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = Secret::new(elsewhere.path(), "15\n");
    let made = elsewhere.path().join("made");
    let pipe = |path: &Path| mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
    let link = |path: &Path| symlink(&secret.path, path).unwrap();
    let dangling = |path: &Path| symlink(&made, path).unwrap();
    let kinds: [(Planting<'_>, &str); 3] = [
        (&link, "it is a link"),
        (&dangling, "it is a link"),
        (&pipe, "it is no plain file"),
    ];
    let data = DataDirectory::new();
    data.run("migrate");
    data.run("stop");
    let away = data.folder().join("away");
    for (place, refused) in PLACES {
        let path = data.home().join(place);
        for (make, reason) in kinds {
            let was_there = fs::rename(&path, &away).is_ok();
            make(&path);
            data.give(&path);
            match refused {
                Some(verb) => data.refuses("migrate", &[verb, place, reason]),
                None => {
                    succeeded(data.ends("migrate"));
                }
            }
            data.ends("stop");
            secret.is_untouched(place);
            assert!(!made.exists(), "made by {place}");
            if refused.is_some() {
                fs::remove_file(&path).expect("what was planted");
            }
            if was_there {
                fs::rename(&away, &path).expect("what was there");
            }
        }
    }
    data.run("migrate");
    let settings = data.home().join("data/gristmill.conf");
    let found = fs::symlink_metadata(&settings).expect("the settings");
    assert!(found.is_file(), "they took the place of what was planted");
    let home = fs::symlink_metadata(data.home()).expect("the server's folder");
    assert_eq!(found.uid(), home.uid(), "they are the server's");
}

#[test]
fn folders_that_are_links_are_refused() {
    let data = DataDirectory::new();
    data.run("migrate");
    data.run("stop");
    let away = data.folder().join("away");
    for folder in ["data", ""] {
        let path = data.home().join(folder);
        let path = PathBuf::from(path.to_str().unwrap().trim_end_matches('/'));
        fs::rename(&path, &away).unwrap();
        symlink(&away, &path).unwrap();
        data.refuses("migrate", &["it is a link, or no folder"]);
        data.refuses("stop", &["it is a link, or no folder"]);
        fs::remove_file(&path).unwrap();
        fs::rename(&away, &path).unwrap();
    }

    // The socket has other places; what the link leads to stays as it is.
    let socket = data.home().join("socket");
    let secret = Secret::new(data.folder(), "ours alone\n");
    // A server that stopped has taken it away.
    assert!(!socket.exists());
    symlink(&secret.path, &socket).unwrap();
    data.run("migrate");
    assert!(!data.url().contains("data%2Fpostgres") && !data.url().contains("data/postgres"));
    data.run("stop");
    secret.is_untouched("a socket elsewhere");
}

/// A lock that is a link would be made where that leads.
#[test]
fn a_lock_that_is_no_file_is_refused() {
    let data = DataDirectory::new();
    let lock = data.home().parent().unwrap().join("postgres.lock");
    fs::create_dir(lock.parent().unwrap()).unwrap();
    let target = data.folder().join("made");
    symlink(&target, &lock).unwrap();
    data.refuses("migrate", &["could not lock", "it is a link"]);
    assert!(!target.exists());
    fs::remove_file(&lock).unwrap();
    mkfifoat(CWD, &lock, Mode::RUSR | Mode::WUSR).unwrap();
    data.refuses("migrate", &["could not lock", "it is no plain file"]);
}

/// A process that must live on.
struct Bystander(Child);

impl Bystander {
    fn new(mut command: Command) -> Bystander {
        let child = command.arg("600").stdin(Stdio::null()).spawn();
        Bystander(child.expect("`sleep` runs"))
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn only_the_server_is_signalled() {
    let data = DataDirectory::new();
    data.run("migrate");
    let server = data.postmaster().unwrap();
    let file = data.home().join("data/postmaster.pid");
    let text = fs::read_to_string(&file).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();

    let mut ours = Command::new("sleep");
    ours.current_dir("/").process_group(0);
    let theirs = data.as_its_user("sleep");
    let mut at_home = data.as_its_user("sleep");
    at_home.current_dir(data.home().join("data"));
    let mut called_postgres = data.as_its_user("sleep");
    called_postgres
        .arg0("postgres")
        .current_dir(data.home().join("data"));
    let mut commands = vec![
        ("a process of ours", ours),
        ("a process of the server's user", theirs),
        ("one that works in the data", at_home),
        ("one that calls itself so", called_postgres),
    ];
    if we_are_root() {
        // Its user can make a program of that name.
        let program = data.home().join("postgres");
        fs::copy("/bin/sleep", &program).unwrap();
        data.give(&program);
        let mut copied = data.as_its_user(&program);
        copied.current_dir(data.home().join("data"));
        commands.push(("a program of that name", copied));
    }
    for (who, command) in commands {
        let mut bystander = Bystander::new(command);
        let number = i64::from(bystander.0.id());
        for number in [number, -number] {
            fs::write(&file, format!("{number}\n{rest}")).unwrap();
            data.ends("stop");
            thread::sleep(Duration::from_millis(20));
            let ended = bystander.0.try_wait().unwrap();
            assert!(ended.is_none(), "{who} ended: {ended:?}");
            assert!(!gone(server));
        }
    }
    fs::write(&file, text).unwrap();
    data.run("stop");
    wait_until("the server is gone", || gone(server));
}

#[test]
fn a_socket_of_somebody_else_is_not_used() {
    let data = DataDirectory::new();
    data.run("migrate");
    let file = data.home().join("data/postmaster.pid");
    let text = fs::read_to_string(&file).unwrap();
    let planted = data.folder().join("planted");
    fs::create_dir(&planted).unwrap();
    fs::set_permissions(&planted, fs::Permissions::from_mode(0o777)).unwrap();
    let socket = planted.join(".s.PGSQL.5432");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let socket_directory = data.home().join("socket").display().to_string();
    let forged = text.replace(&socket_directory, planted.to_str().unwrap());
    assert_ne!(forged, text);
    fs::write(&file, forged).unwrap();
    data.refuses("url", &["others than the server's user can change it"]);
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody has called");
    fs::write(&file, text).unwrap();
    data.run("stop");
}

/// Whoever can change a folder on the way decides what root finds at its end.
#[test]
fn root_goes_no_way_that_others_can_change() {
    if !we_are_root() {
        return;
    }
    let somebody = 4711;
    let refuses = |data: &DataDirectory, words: &str| {
        for verb in ["migrate", "url", "stop"] {
            data.refuses(verb, &["is not to be trusted", words]);
        }
        assert!(!data.home().exists());
    };
    let data = DataDirectory::new();
    lchown(data.folder(), Some(somebody), None).unwrap();
    refuses(&data, "it belongs to another user (uid 4711)");
    lchown(data.folder(), Some(0), None).unwrap();
    for mode in [0o777, 0o775] {
        fs::set_permissions(data.folder(), fs::Permissions::from_mode(mode)).unwrap();
        refuses(&data, "others than its owner can write to it");
    }
    fs::set_permissions(data.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    let base = data.home().parent().unwrap().to_owned();
    fs::create_dir(&base).unwrap();
    lchown(&base, Some(somebody), None).unwrap();
    refuses(&data, "it belongs to another user (uid 4711)");
    lchown(&base, Some(0), None).unwrap();
    fs::set_permissions(&base, fs::Permissions::from_mode(0o1777)).unwrap();
    refuses(&data, "others than its owner can write to it");

    // A link that another user has laid where everybody can.
    let elsewhere = data.folder().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::set_permissions(data.folder(), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::remove_dir(&base).unwrap();
    symlink(&elsewhere, &base).unwrap();
    lchown(&base, Some(somebody), None).unwrap();
    refuses(&data, "it belongs to another user (uid 4711)");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

/// Lays links and pipes in the place of what we open to write, again and again. Not in that
/// of the settings themselves: the server would wait for a pipe there, which is its user's.
const RESTLESS: &str = r#"
    cd "$1" || exit
    while :; do
        for place in server.log data/gristmill.conf.new; do
            rm -rf "$place"
            ln -s "$2" "$place"
            rm -rf "$place"
            ln -s "$3" "$place"
            rm -rf "$place"
            mkfifo "$place"
        done
        rm -rf server.log data/gristmill.conf.new
    done
"#;

#[test]
fn a_restless_neighbour_gets_nothing() {
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = Secret::new(elsewhere.path(), "ours alone\n");
    let made = elsewhere.path().join("made");
    let data = DataDirectory::new();
    data.run("migrate");
    data.run("stop");
    let neighbour = data
        .as_its_user("/bin/sh")
        .args(["-c", RESTLESS, "restless"])
        .args([&data.home(), &secret.path, &made])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let neighbour = Bystander(neighbour);
    let work = Work::new(3, 200, Duration::from_secs(30));
    let mut done = 0;
    while work.goes_on(done) {
        // It may fail, and it may start: what matters is what it leaves alone. A server
        // that nobody can reach any more is taken down by hand.
        data.ends("migrate");
        data.ends("stop");
        servers_in(&data.home().join("data")).for_each(kill);
        if we_are_root() {
            secret.is_untouched("a start");
            assert!(!made.exists(), "something was made where a link leads");
        }
        done += 1;
    }
    drop(neighbour);
    servers_in(&data.home().join("data")).for_each(kill);
    figure("starts beside a restless neighbour", done as usize);
}

/// The processes that work in a folder.
fn servers_in(folder: &Path) -> impl Iterator<Item = rustix::process::Pid> {
    fs::read_dir("/proc")
        .expect("the processes")
        .filter_map(move |entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            let place = fs::read_link(entry.path().join("cwd")).ok()?;
            (place == folder).then(|| rustix::process::Pid::from_raw(number))?
        })
}

fn kill(process: rustix::process::Pid) {
    let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
    wait_until("the server is gone", || gone(process));
}
