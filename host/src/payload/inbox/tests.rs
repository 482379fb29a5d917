//! Tests what happens to payloads of an inbox while others write into its folders.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;

/// An inbox, and a folder for what is ours.
struct Scene {
    folder: TempDir,
    state: TempDir,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            folder: tempfile::tempdir().unwrap(),
            state: tempfile::tempdir().unwrap(),
        }
    }

    fn inbox(&self) -> Result<Inbox> {
        Inbox::open(self.folder.path(), Folders::default(), self.state.path())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Looks until nothing changes, and takes the only payload.
    fn only(&self, inbox: &Inbox) -> (Arrival, OpenFile) {
        let mut seen = Seen::default();
        inbox.look(&mut seen).unwrap();
        let arrival = inbox.look(&mut seen).unwrap().ready.pop().unwrap();
        let opened = inbox.take(&arrival).unwrap().unwrap();
        (arrival, opened)
    }
}

fn names(looked: &InboxLook) -> Vec<String> {
    let names = looked.ready.iter().map(|arrival| &arrival.name);
    names.map(|name| name.to_string_lossy().into()).collect()
}

fn changed(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn a_file_is_ready_when_two_looks_agree_and_the_oldest_comes_first() {
    let scene = Scene::new();
    let inbox = scene.inbox().unwrap();
    for name in [
        "b.tar.gz",
        "a.tgz",
        ".hidden.tar.gz",
        "c.csv",
        "growing.tar.gz",
    ] {
        scene.write(name, "x");
    }
    changed(&scene.path("a.tgz"), 2_000);
    changed(&scene.path("b.tar.gz"), 1_000);
    let mut seen = Seen::default();
    let looked = inbox.look(&mut seen).unwrap();
    assert_eq!((looked.ready.len(), looked.changing), (0, 3));
    scene.write("growing.tar.gz", "more of it");
    let looked = inbox.look(&mut seen).unwrap();
    assert_eq!(names(&looked), ["b.tar.gz", "a.tgz"]);
    assert_eq!(looked.changing, 1);
    // Written again with the same size: the time tells.
    changed(&scene.path("a.tgz"), 3_000);
    let looked = inbox.look(&mut seen).unwrap();
    assert_eq!(names(&looked), ["b.tar.gz", "growing.tar.gz"]);
}

#[test]
fn what_is_put_away_replaces_nothing() {
    let scene = Scene::new();
    let inbox = scene.inbox().unwrap();
    for expected in ["failed/p.tar.gz", "failed/p.2.tar.gz"] {
        scene.write("p.tar.gz", expected);
        let (arrival, opened) = scene.only(&inbox);
        let to = inbox.failed(&arrival, Some(&opened), "it is bad\n");
        assert_eq!(to.unwrap(), PutAway::Moved(scene.path(expected)));
        assert_eq!(scene.read(expected), expected);
        assert_eq!(scene.read(&format!("{expected}.error.txt")), "it is bad\n");
    }
    scene.write("p.tar.gz", "good");
    let (arrival, opened) = scene.only(&inbox);
    inbox.done(&arrival, Some(&opened)).unwrap();
    assert_eq!(scene.read("done/p.tar.gz"), "good");
    assert!(!scene.path("p.tar.gz").exists());
}

#[test]
fn a_file_that_took_the_name_stays() {
    let scene = Scene::new();
    let inbox = scene.inbox().unwrap();
    scene.write("p.tar.gz", "first");
    let (arrival, opened) = scene.only(&inbox);
    scene.write(".p", "second");
    fs::rename(scene.path(".p"), scene.path("p.tar.gz")).unwrap();
    let done = inbox.done(&arrival, Some(&opened)).unwrap();
    assert_eq!(done, PutAway::Replaced);
    assert_eq!(scene.read("p.tar.gz"), "second");
    let (_, second) = scene.only(&inbox);
    assert!(!second.look().is_same_file(opened.look()));
    assert_eq!(fs::read_dir(scene.path("done")).unwrap().count(), 0);
}

#[test]
fn a_file_that_was_written_to_stays() {
    let scene = Scene::new();
    let inbox = scene.inbox().unwrap();
    scene.write("p.tar.gz", "first");
    let (arrival, opened) = scene.only(&inbox);
    scene.write("p.tar.gz", "and more");
    let failed = inbox.failed(&arrival, Some(&opened), "why").unwrap();
    assert_eq!(failed, PutAway::Changed);
    assert_eq!(scene.read("p.tar.gz"), "and more");
    assert_eq!(fs::read_dir(scene.path("failed")).unwrap().count(), 0);
}

#[test]
fn links_pipes_and_second_names_are_passed_over_and_said_once() {
    let scene = Scene::new();
    let inbox = scene.inbox().unwrap();
    let secret = scene.state.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    symlink(&secret, scene.path("link.tar.gz")).unwrap();
    fs::hard_link(&secret, scene.path("second.tar.gz")).unwrap();
    fs::create_dir(scene.path("folder.tar.gz")).unwrap();
    let pipe = rustix::fs::mkfifoat(&inbox.folder, "pipe.tar.gz", Mode::RUSR | Mode::WUSR);
    pipe.unwrap();
    let mut seen = Seen::default();
    let mut said = inbox.look(&mut seen).unwrap().passed_over;
    said.sort();
    assert_eq!(said.len(), 4, "{said:?}");
    for (line, word) in said
        .iter()
        .zip(["a folder", "a link", "a pipe", "another name"])
    {
        assert!(line.contains(word), "{line}");
    }
    assert_eq!(inbox.look(&mut seen).unwrap(), InboxLook::default());
}

#[test]
fn what_became_a_link_is_not_opened() {
    let scene = Scene::new();
    let inbox = scene.inbox().unwrap();
    scene.write("p.tar.gz", "payload");
    let (arrival, _) = scene.only(&inbox);
    fs::remove_file(scene.path("p.tar.gz")).unwrap();
    let secret = scene.state.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    symlink(&secret, scene.path("p.tar.gz")).unwrap();
    assert!(inbox.take(&arrival).unwrap().is_none());
}

#[test]
fn folders_that_became_links_are_not_written_through() {
    let scene = Scene::new();
    let inbox = scene.inbox().unwrap();
    scene.write("p.tar.gz", "bad");
    let (arrival, opened) = scene.only(&inbox);
    let target = scene.state.path().join("target");
    fs::create_dir(&target).unwrap();
    fs::rename(scene.path("failed"), scene.path("moved")).unwrap();
    symlink(&target, scene.path("failed")).unwrap();
    // A link where the reason would be: it is not followed, and not replaced.
    let reason = scene.path("moved/p.tar.gz.error.txt");
    symlink(target.join("overwritten"), &reason).unwrap();
    inbox.failed(&arrival, Some(&opened), "why").unwrap();
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    assert_eq!(scene.read("moved/p.2.tar.gz"), "bad");
    assert_eq!(scene.read("moved/p.2.tar.gz.error.txt"), "why");
    drop(inbox);
    let refused = scene.inbox().unwrap_err();
    let message = refused.message;
    assert!(
        message.ends_with("is a link or a file, not a folder"),
        "{message}"
    );
}

#[test]
fn a_name_as_long_as_names_can_be_is_put_away() {
    let scene = Scene::new();
    let inbox = scene.inbox().unwrap();
    for bytes in [245, 246, 254, 255] {
        let name = format!("{}ü.tar.gz", "n".repeat(bytes - 9));
        assert_eq!(name.len(), bytes);
        for _ in 0..2 {
            scene.write(&name, "bad");
            let (arrival, opened) = scene.only(&inbox);
            let to = inbox.failed(&arrival, Some(&opened), "why").unwrap();
            let PutAway::Moved(to) = to else {
                panic!("{bytes}: {to:?}");
            };
            let mut reason = to.clone().into_os_string();
            reason.push(".error.txt");
            assert_eq!(fs::read_to_string(reason).unwrap(), "why");
            assert_eq!(fs::read_to_string(to).unwrap(), "bad");
        }
    }
}

#[test]
fn one_process_watches_an_inbox_and_nobody_else_can_lock_it() {
    let scene = Scene::new();
    // Whoever can read the folder can lock it, which keeps nobody out.
    let reader = File::open(scene.folder.path()).unwrap();
    reader.try_lock().unwrap();
    let inbox = scene.inbox().unwrap();
    let second = scene.inbox().unwrap_err();
    assert!(second.message.ends_with("is watched by another process"));
    drop(inbox);
    scene.inbox().unwrap();
}

#[test]
fn folders_outside_of_the_inbox_can_be_named_and_the_inbox_cannot() {
    let scene = Scene::new();
    let elsewhere = scene.state.path().join("new/failed");
    let open = |failed: &Path| {
        let folders = Folders {
            done: None,
            failed: Some(failed),
        };
        Inbox::open(scene.folder.path(), folders, scene.state.path())
    };
    let inbox = open(&elsewhere).unwrap();
    scene.write("p.tar.gz", "bad");
    let (arrival, opened) = scene.only(&inbox);
    inbox.failed(&arrival, Some(&opened), "why").unwrap();
    assert_eq!(
        fs::read_to_string(elsewhere.join("p.tar.gz")).unwrap(),
        "bad"
    );
    assert!(!scene.path("failed").exists());
    drop(inbox);
    let refused = open(scene.folder.path()).unwrap_err();
    assert!(refused.message.contains("--failed"), "{refused}");
    open(&scene.path("deep/inside")).unwrap_err();
    open(&scene.path("below")).unwrap();
}

/// The memory of the machine is another file system than that of its disk, mostly.
#[test]
fn a_payload_goes_to_another_file_system() {
    let memory = Path::new("/dev/shm");
    let Ok(elsewhere) = tempfile::tempdir_in(memory) else {
        return;
    };
    let scene = Scene::new();
    let inbox = Inbox::open(
        scene.folder.path(),
        Folders {
            done: Some(elsewhere.path()),
            failed: None,
        },
        scene.state.path(),
    )
    .unwrap();
    for name in ["p.tar.gz", "p.2.tar.gz"] {
        scene.write("p.tar.gz", name);
        let (arrival, opened) = scene.only(&inbox);
        inbox.done(&arrival, Some(&opened)).unwrap();
        assert_eq!(
            fs::read_to_string(elsewhere.path().join(name)).unwrap(),
            name
        );
        assert!(!scene.path("p.tar.gz").exists());
    }
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 2);
    let left = fs::read_dir(scene.folder.path()).unwrap();
    assert_eq!(left.count(), 1, "the folder of refused ones alone");
}
