//! Passwords, and the files that gristmill writes: nobody else may see them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::support::command::{NO_DATABASE, gristmill, run};
use crate::support::payload::Payload;
use crate::support::scene::Scene;
use crate::support::server::TestDatabase;

#[test]
fn no_message_holds_a_password() {
    for url in [
        NO_DATABASE,
        "postgresql://nobody:secret@127.0.0.1:no-port/nothing",
        "postgresql://nobody:secret@127.0.0.1:1/nothing?sslmode=unheard-of",
        "mysql://nobody:secret@127.0.0.1/nothing",
        "postgresql:///nothing?host=/nowhere&user=nobody&password=secret",
        // A password that was not encoded is cut where a URL has its next part.
        "postgresql://nobody:1/secret@127.0.0.1:1/nothing",
        "postgresql://nobody:1?secret@127.0.0.1:1/nothing",
        "postgresql://nobody:1#secret@127.0.0.1:1/nothing",
        "postgresql://nobody:1@secret@127.0.0.1:1/nothing",
        "postgresql://nobody:1:secret@127.0.0.1:1/nothing",
        "postgresql://nobody:1%secret@127.0.0.1:1/nothing",
        "postgresql://nobody:1?sslmode=secret@127.0.0.1:1/nothing",
        "postgresql://127.0.0.1:1/nothing?PASSWORD=secret",
        "postgresql://127.0.0.1:1/nothing?password=1#secret",
    ] {
        for arguments in [
            &["status"][..],
            &["db", "migrate"],
            &["quarantine", "list"],
            &["sources", "list", "--json"],
        ] {
            let ended = gristmill(arguments)
                .env("DATABASE_URL", url)
                .env("PGPASSWORD", "secret")
                .ends_with(3);
            let said = ended.stdout.clone() + &ended.stderr;
            assert!(!said.contains("secret"), "{url}\n{ended}");
        }
    }
    // A word in the wrong place is shown, but for such a one.
    let ended = gristmill(["status", "postgres://nobody:secret@db/nothing"]).ends_with(2);
    assert!(ended.stderr.contains("unexpected argument"), "{ended}");
    assert!(!ended.stderr.contains("secret"), "{ended}");
    // Where arguments are shown, what the environment gave is not.
    let ended = gristmill(["status", "--help"]).succeeds();
    assert!(!ended.stdout.contains("secret"), "{ended}");
}

#[test]
fn a_password_on_the_command_line_is_remarked_on() {
    let remark = "warning: a password on the command line can be read by everybody on this machine; \
        DATABASE_URL keeps it private";
    let ended = gristmill(["status", "--database-url", NO_DATABASE]).ends_with(3);
    assert!(ended.stderr.contains(remark), "{ended}");
    assert!(!ended.stderr.contains("secret"), "{ended}");
    let ended = gristmill(["status"]).ends_with(3);
    assert!(!ended.stderr.contains(remark), "{ended}");
}

#[test]
fn sessions_say_whose_they_are() {
    let scene = Scene::new();
    scene.database.execute(
        "CREATE TABLE seen AS SELECT ''::text AS name;
        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE gristmill.seen SET name = current_setting('application_name');
            RETURN NULL;
        END $$;
        CREATE TRIGGER see AFTER INSERT ON gristmill_run EXECUTE FUNCTION see()",
    );
    scene.load(&Payload::usual(2).tarball());
    let seen = scene.database.query_value("SELECT name FROM seen");
    assert_eq!(seen.as_deref(), Some("gristmill"));
}

/// Every file and folder below, with its mode.
pub(crate) fn modes(folder: &Path) -> Vec<(String, bool, u32)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let metadata = fs::symlink_metadata(&path).expect("metadata");
            let mode = metadata.permissions().mode() & 0o777;
            found.push((path.display().to_string(), metadata.is_dir(), mode));
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

#[test]
fn what_is_written_is_ours_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = TestDatabase::migrated();
    let payload = Payload::usual(1).write(folder.path(), "p.tar.gz");
    run(&database, "pipelines/ocp.toml", &[payload])
        .env("GRISTMILL_DATA", folder.path().join("data"))
        .env("GRISTMILL_CACHE", folder.path().join("cache"))
        .succeeds();
    let cached = modes(&folder.path().join("cache"));
    assert!(!cached.is_empty(), "compiled components are kept");
    let archived = modes(&folder.path().join("data/archive"));
    assert!(archived.iter().any(|(path, ..)| path.ends_with(".tar.gz")));
    for (path, is_folder, mode) in cached.iter().chain(&archived) {
        let private = if *is_folder { 0o700 } else { 0o600 };
        assert_eq!(*mode, private, "{path}");
    }
}

#[test]
fn a_cache_that_is_not_ours_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let check = || {
        gristmill(["check", "pipelines/ocp.toml"])
            .with_stages()
            .env("GRISTMILL_CACHE", &cache)
            .succeeds();
    };
    check();
    let entries = |folder: &Path| {
        let mut entries: Vec<_> = fs::read_dir(folder)
            .expect("the cache")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        entries
    };
    let ours = entries(&cache);
    assert_eq!(ours.len(), 4, "one a stage");
    let me = fs::metadata(&cache).expect("the cache").uid();

    // A component that somebody else could have written is made anew.
    let fake = &ours[0];
    fs::write(fake, b"somebody else's machine code").expect("a fake");
    foreign(fake, me);
    check();
    assert_ne!(
        fs::read(fake).expect("a component"),
        b"somebody else's machine code"
    );
    let metadata = fs::metadata(fake).expect("a component");
    assert_eq!((metadata.uid(), metadata.mode() & 0o777), (me, 0o600));

    // In a folder of somebody else nothing is looked for and nothing is left.
    for path in &ours {
        fs::remove_file(path).expect("an empty cache");
    }
    foreign(&cache, me);
    check();
    assert_eq!(entries(&cache), Vec::<std::path::PathBuf>::new());
}

/// Whole files of the cache under one another's names: each is well in itself.
#[test]
fn what_is_in_the_cache_says_whose_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let check = || {
        gristmill(["check", "pipelines/ocp.toml", "--json"])
            .with_stages()
            .env("GRISTMILL_CACHE", &cache)
            .succeeds()
            .stdout
    };
    let plan = check();
    let mut entries: Vec<_> = fs::read_dir(&cache)
        .expect("the cache")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    let read = |path: &std::path::PathBuf| fs::read(path).expect("machine code");
    let ours: Vec<Vec<u8>> = entries.iter().map(read).collect();
    for turn in 1..entries.len() {
        for (position, path) in entries.iter().enumerate() {
            let other = &ours[(position + turn) % ours.len()];
            fs::write(path, other).expect("another component's machine code");
        }
        assert_eq!(check(), plan);
        let now: Vec<Vec<u8>> = entries.iter().map(read).collect();
        assert!(now == ours, "what was not theirs is replaced");
    }
    for (path, ours) in entries.iter().zip(&ours) {
        fs::write(path, &ours[..ours.len() / 2]).expect("half of it");
    }
    assert_eq!(check(), plan);
    assert!(
        entries.iter().map(read).eq(ours),
        "what was cut is replaced"
    );
}

/// Gives a path to another user, or, when only root could do that, to everybody.
fn foreign(path: &Path, me: u32) {
    match std::os::unix::fs::chown(path, Some(me + 1), None) {
        Ok(()) => {}
        Err(_) => {
            let everybody = fs::Permissions::from_mode(0o777);
            fs::set_permissions(path, everybody).expect("a mode");
        }
    }
}
