//! An inbox that somebody writes to who is not trusted: links, pipes, devices and names
//! of all kinds. Nothing outside of it is read, written or moved, and the good payloads
//! beside all that are run.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::support::command::{Ended, Gristmill, gristmill};
use crate::support::payload::{Payload, write};
use crate::support::server::TestDatabase;
use crate::support::torture::{Chance, Work, figure};

struct Scene {
    database: TestDatabase,
    inbox: TempDir,
    /// The folder that the uploader may not touch.
    outside: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let scene = Scene {
            database: TestDatabase::migrated(),
            inbox: tempfile::tempdir().expect("a folder"),
            outside: tempfile::tempdir().expect("a folder"),
        };
        fs::write(scene.secret(), "secret").expect("a file");
        scene
    }

    fn secret(&self) -> PathBuf {
        self.outside.path().join("secret")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.inbox.path().join(name)
    }

    fn watch(&self) -> Gristmill {
        gristmill(["watch", "pipelines/ocp.toml", "--once", "--json"])
            .argument(self.inbox.path())
            .arguments(["--poll-milliseconds", "20"])
            .with_stages()
            .database(&self.database)
            .calling(self.inbox.path(), "[INBOX]")
            .calling(self.outside.path(), "[OUTSIDE]")
    }

    /// Nothing outside of the inbox is other than it was.
    #[track_caller]
    fn outside_is_untouched(&self) {
        let found: Vec<PathBuf> = fs::read_dir(self.outside.path())
            .expect("a folder")
            .map(|entry| entry.expect("a file").path())
            .collect();
        assert_eq!(found, [self.secret()]);
        let secret = fs::read_to_string(self.secret()).expect("the file");
        assert_eq!(secret, "secret");
    }
}

fn state(ended: &Ended, payload: &str) -> Option<String> {
    let lines = ended.stdout.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        line
    });
    let mut lines = lines.filter(|line| line["payload"] == format!("[INBOX]/{payload}"));
    Some(lines.next()?["state"].as_str()?.to_string())
}

#[test]
fn only_plain_files_are_read() {
    let scene = Scene::new();
    symlink(scene.secret(), scene.path("link.tar.gz")).expect("a link");
    symlink("/dev/zero", scene.path("endless.tgz")).expect("a link");
    symlink("nowhere", scene.path("nowhere.tar.gz")).expect("a link");
    fs::create_dir(scene.path("folder.tar.gz")).expect("a folder");
    fs::hard_link(scene.secret(), scene.path("second.tar.gz")).expect("another name");
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, scene.path("pipe.tar.gz"), FileType::Fifo, mode, 0).expect("a pipe");
    let mut odd = vec![
        ("link.tar.gz", "it is a link"),
        ("endless.tgz", "it is a link"),
        ("nowhere.tar.gz", "it is a link"),
        ("folder.tar.gz", "it is a folder"),
        ("second.tar.gz", "the file has another name"),
        ("pipe.tar.gz", "it is a pipe"),
    ];
    // Only root makes devices: here that of `/dev/zero`.
    let zero = rustix::fs::makedev(1, 5);
    let device = scene.path("device.tar.gz");
    if mknodat(CWD, device, FileType::CharacterDevice, mode, zero).is_ok() {
        odd.push(("device.tar.gz", "it is a device"));
    }
    Payload::usual(1).write(scene.inbox.path(), "good.tar.gz");
    let ended = scene.watch().succeeds();
    assert_eq!(
        state(&ended, "good.tar.gz").as_deref(),
        Some("published"),
        "{ended}"
    );
    assert_eq!(ended.stdout.lines().count(), 1, "{ended}");
    for (name, why) in odd {
        let warning = format!("warning: [INBOX]/{name}: passed over, {why}");
        assert_eq!(
            ended.stderr.matches(&warning).count(),
            1,
            "{warning}\n{ended}"
        );
        assert!(
            fs::symlink_metadata(scene.path(name)).is_ok(),
            "{name} stays"
        );
    }
    scene.outside_is_untouched();
}

#[test]
fn folders_that_are_not_ours_are_refused() {
    let scene = Scene::new();
    for below in ["done", "failed"] {
        let place = scene.path(below);
        let words = format!("`[INBOX]/{below}` is a link or a file, not a folder");
        symlink(scene.outside.path(), &place).expect("a link");
        let ended = scene.watch().ends_with(3);
        assert_eq!(ended.json()["message"], words, "{ended}");
        let hint = ended.json()["hint"].to_string();
        assert!(hint.contains(&format!("`--{below} DIR`")), "{ended}");
        fs::remove_file(&place).expect("it is there");
        fs::write(&place, "a file").expect("a file");
        let ended = scene.watch().ends_with(3);
        assert_eq!(ended.json()["message"], words, "{ended}");
        fs::remove_file(&place).expect("it is there");
        // Only root gives folders away.
        fs::create_dir(&place).expect("a folder");
        if std::os::unix::fs::chown(&place, Some(65_534), None).is_ok() {
            let ended = scene.watch().ends_with(3);
            let words = "belongs to another user (uid 65534)";
            assert!(ended.stdout.contains(words), "{ended}");
        }
        fs::remove_dir(&place).expect("it is empty");
    }
    scene.outside_is_untouched();
}

#[test]
fn payloads_go_where_it_is_said() {
    let scene = Scene::new();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let (done, failed) = (
        elsewhere.path().join("a/done"),
        elsewhere.path().join("failed"),
    );
    Payload::usual(1).write(scene.inbox.path(), "good.tar.gz");
    write(scene.inbox.path(), "bad.tgz", b"?");
    let ended = scene
        .watch()
        .arguments([Path::new("--done"), &done, Path::new("--failed"), &failed])
        .calling(elsewhere.path(), "[ELSEWHERE]")
        .ends_with(1);
    let words = "they are in `[ELSEWHERE]/failed`, each with its reason";
    assert!(ended.stderr.contains(words), "{ended}");
    assert!(done.join("good.tar.gz").is_file());
    assert!(failed.join("bad.tgz").is_file() && failed.join("bad.tgz.error.txt").is_file());
    assert_eq!(
        fs::read_dir(scene.inbox.path()).expect("a folder").count(),
        0
    );
    let ended = scene
        .watch()
        .arguments([Path::new("--done"), scene.inbox.path()])
        .ends_with(2);
    assert!(ended.stdout.contains("`--done`"), "{ended}");
}

#[test]
fn whoever_can_read_the_inbox_cannot_keep_it_from_being_watched() {
    let scene = Scene::new();
    Payload::usual(1).write(scene.inbox.path(), "good.tar.gz");
    let folder = File::open(scene.inbox.path()).expect("a folder");
    folder.try_lock().expect("nobody has it");
    let state_folder = tempfile::tempdir().expect("a folder");
    scene
        .watch()
        .env("GRISTMILL_DATA", state_folder.path())
        .succeeds();
    let locks = state_folder.path().join("watch");
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&locks), 0o700);
    for lock in fs::read_dir(locks).expect("a folder") {
        assert_eq!(mode(&lock.expect("a file").path()), 0o600);
    }
}

/// A folder that is not there any more takes nothing; the command goes on.
#[test]
fn what_cannot_be_put_away_is_passed_over() {
    let scene = Scene::new();
    let bad = write(scene.inbox.path(), "bad.tgz", b"?");
    let past = std::time::SystemTime::now() - Duration::from_secs(60);
    let file = File::options().write(true).open(bad).expect("the payload");
    file.set_modified(past).expect("our file");
    Payload::usual(1).write(scene.inbox.path(), "good.tar.gz");
    let running = scene
        .watch()
        .env("GRISTMILL_TEST_STOP_AT", "run-opened")
        .begins();
    crate::watch::has_stopped(running.process());
    fs::remove_dir_all(scene.path("failed")).expect("it is there");
    running.signal(rustix::process::Signal::CONT);
    let ended = running.ends();
    assert_eq!(ended.code, Some(3), "{ended}");
    let words = "[INBOX]/bad.tgz: is passed over until it changes";
    assert_eq!(ended.stderr.matches(words).count(), 1, "{ended}");
    assert_eq!(
        state(&ended, "good.tar.gz").as_deref(),
        Some("published"),
        "{ended}"
    );
    assert!(scene.path("bad.tgz").is_file());
}

/// Names of payloads in which something may go wrong: their length, their characters,
/// or bytes that are no text.
fn name(chance: &mut Chance) -> OsString {
    let kinds: [&[u8]; 7] = [
        b"n",
        "\u{fc}".as_bytes(),
        "\u{1f980}".as_bytes(),
        b"\xff",
        b"\n",
        b"\x1b[31m",
        b".error.txt",
    ];
    let kind = kinds[chance.below(kinds.len())];
    let end: &[u8] = [&b".tar.gz"[..], b".tgz"][chance.below(2)];
    let bytes = 240 + chance.below(16);
    let mut name = vec![b'n'; chance.below(4) + 1];
    while name.len() + kind.len() + end.len() <= bytes {
        name.extend(kind);
    }
    while name.len() + end.len() < bytes {
        name.push(b'x');
    }
    name.extend(end);
    OsString::from_vec(name)
}

#[test]
fn names_of_any_length_and_kind_are_put_away() {
    let mut chance = Chance(19);
    let work = Work::new(2, 60, Duration::from_secs(60));
    let scene = Scene::new();
    for round in (0..).take_while(|round| work.goes_on(*round)) {
        let mut names: Vec<OsString> = (0..12).map(|_| name(&mut chance)).collect();
        names.push(OsString::from("n".repeat(248) + ".tar.gz"));
        names.sort();
        names.dedup();
        let mut expected = 0;
        for (place, name) in names.iter().enumerate() {
            let bad = place % 2 == 0;
            let tarball = match bad {
                true => b"?".to_vec(),
                false => Payload::usual(1).tarball(),
            };
            fs::write(scene.inbox.path().join(name), tarball).expect("a payload");
            expected += usize::from(bad);
        }
        let ended = scene.watch().ends_with(1);
        assert!(!ended.stderr.contains('\u{1b}'), "{ended}");
        let left = fs::read_dir(scene.inbox.path()).expect("a folder").count();
        assert_eq!(left, 2, "`done` and `failed` alone\n{ended}");
        let failed = fs::read_dir(scene.path("failed")).expect("a folder");
        let reasons = failed
            .map(|entry| entry.expect("a file").file_name().into_encoded_bytes())
            .filter(|name| name.ends_with(b".error.txt"));
        assert_eq!(reasons.count(), expected, "round {round}\n{ended}");
        fs::remove_dir_all(scene.path("failed")).expect("it is there");
        figure("names of payloads survived", names.len());
    }
    scene.outside_is_untouched();
}

/// Whatever becomes of the names in the inbox while it is watched: links to what is
/// outside come and go, folders are swapped, and nothing outside changes.
#[test]
fn links_that_are_planted_while_it_is_watched_lead_nowhere() {
    let mut chance = Chance(11);
    let work = Work::new(3, 60, Duration::from_secs(60));
    let scene = Scene::new();
    for _ in (0..).take_while(|done| work.goes_on(*done)) {
        write(scene.inbox.path(), "p.tar.gz", b"?");
        let running = scene.watch().begins();
        for _ in 0..40 {
            let names = ["p.tar.gz", "q.tgz", "done", "failed"];
            let place = scene.path(names[chance.below(names.len())]);
            let aside = scene.path(&format!("aside-{}", chance.below(1_000_000)));
            // Any of it may be gone already, or be in the way: that is the point.
            let _ = fs::rename(&place, &aside);
            let _ = match chance.below(3) {
                0 => symlink(scene.outside.path(), &place),
                1 => symlink(scene.secret(), &place),
                _ => fs::write(&place, "?"),
            };
            std::thread::sleep(Duration::from_millis(chance.below(5) as u64));
        }
        let ended = running.ends();
        assert!(ended.code.is_some(), "{ended}");
        scene.outside_is_untouched();
        for entry in fs::read_dir(scene.inbox.path()).expect("a folder") {
            let path = entry.expect("an entry").path();
            let folder = path
                .symlink_metadata()
                .is_ok_and(|metadata| metadata.is_dir());
            let removed = match folder {
                true => fs::remove_dir_all(path),
                false => fs::remove_file(path),
            };
            removed.expect("it is ours");
        }
        figure("inboxes with planted links", 1);
    }
}
