//! Whose an archive is: databases that share a folder, copies, and records that lie.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::local_server::DataDirectory;
use crate::support::command::{Ended, Gristmill, gristmill, run};
use crate::support::payload::{CLUSTER, DAY, Payload};
use crate::support::server::TestDatabase;
use crate::support::torture::{Work, figure};

/// Databases with one data folder.
struct Host {
    data: TempDir,
    payload: PathBuf,
}

impl Host {
    fn new() -> Host {
        let data = tempfile::tempdir().expect("a folder");
        let payload = Payload::usual(1).write(data.path(), "p.tar.gz");
        Host { data, payload }
    }

    /// With the usual payload in a database and in its archive, for three days.
    #[track_caller]
    fn with_production() -> (Host, TestDatabase) {
        let (host, production) = (Host::new(), TestDatabase::migrated());
        host.run(&production).succeeds();
        for tarball in host.tarballs() {
            age(&tarball);
        }
        (host, production)
    }

    fn at_home(&self, command: Gristmill) -> Gristmill {
        command
            .env("GRISTMILL_DATA", self.data.path())
            .calling(self.data.path(), "[DATA]")
    }

    fn run(&self, database: &TestDatabase) -> Gristmill {
        let payloads = std::slice::from_ref(&self.payload);
        self.at_home(run(database, "pipelines/ocp.toml", payloads))
    }

    fn command(&self, database: &TestDatabase, arguments: &[&str]) -> Gristmill {
        self.at_home(gristmill(arguments).database(database))
    }

    fn clean(&self, database: &TestDatabase) -> Gristmill {
        self.command(database, &["clean", "--retention-months", "3"])
    }

    fn adopt(&self, database: &TestDatabase) -> Gristmill {
        self.command(database, &["archive", "adopt"])
    }

    fn replay(&self, database: &TestDatabase) -> Gristmill {
        self.command(database, &["replay", "pipelines/ocp.toml"])
            .with_stages()
            .arguments(["--source", CLUSTER, "--from", DAY])
    }

    fn root(&self) -> PathBuf {
        self.data.path().join("archive/gristmill")
    }

    fn tarballs(&self) -> Vec<PathBuf> {
        tarballs(&self.root())
    }
}

fn tarballs(root: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.expect("an entry").path())
    };
    entries(root)
        .filter(|path| path.is_dir())
        .flat_map(|folder| entries(&folder))
        .collect()
}

/// Makes a file look as if nobody had been at it for three days.
fn age(path: &Path) {
    let before = SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
    let file = File::open(path).expect("a file");
    file.set_modified(before).expect("our file");
}

/// Has the payload be past retention.
fn make_old(database: &TestDatabase) {
    database.execute(
        "UPDATE reporting_common_costusagereportmanifest
        SET billing_period_start_datetime = now() - interval '1 year';
        DELETE FROM gristmill_day_manifest",
    );
}

#[track_caller]
fn refused(ended: &Ended, reason: &str) {
    assert_eq!(ended.code, Some(3), "{ended}");
    assert!(ended.stderr.contains(reason), "{ended}");
    assert!(ended.stderr.contains("`gristmill archive adopt"), "{ended}");
}

const OTHERS: &str = "archive `[DATA]/archive/gristmill` is not that of schema `gristmill` of";
const COPY: &str = "is a copy of another database";

#[test]
fn clean_leaves_what_another_database_archived() {
    let (host, production) = Host::with_production();
    let scratch = TestDatabase::migrated();
    host.clean(&scratch).succeeds();
    assert_eq!(host.tarballs().len(), 1);
    host.replay(&production).succeeds();
}

#[test]
fn an_archive_of_another_database_is_refused_before_anything_is_done() {
    let (host, production) = Host::with_production();
    let scratch = TestDatabase::migrated();
    let before = scratch.digests();
    refused(&host.run(&scratch).ends(), OTHERS);
    refused(&host.replay(&scratch).ends(), OTHERS);
    let inbox = host.data.path().join("inbox");
    fs::create_dir(&inbox).expect("a folder");
    fs::copy(&host.payload, inbox.join("p.tar.gz")).expect("a payload");
    let watch = || {
        host.command(&scratch, &["watch", "pipelines/ocp.toml", "--once"])
            .with_stages()
            .argument(&inbox)
    };
    refused(&watch().ends(), OTHERS);
    assert!(inbox.join("p.tar.gz").exists(), "it was not put away");
    let quarantine = ["quarantine", "replay", "pipelines/ocp.toml"];
    let quarantine = host.command(&scratch, &quarantine).with_stages();
    refused(&quarantine.ends(), OTHERS);
    assert_eq!(scratch.digests(), before);
    assert_eq!(host.tarballs().len(), 1);

    // Until it is told whose it is; then the other one is refused.
    let ended = host.adopt(&scratch).succeeds();
    assert!(ended.stderr.contains("whose it was, is refused"), "{ended}");
    watch().succeeds();
    refused(&host.run(&production).ends(), OTHERS);
    make_old(&production);
    refused(&host.clean(&production).ends(), OTHERS);
    assert_eq!(host.tarballs().len(), 1);
    host.adopt(&production).succeeds();
    host.adopt(&production).succeeds().stderr_is(
        "archive `[DATA]/archive/gristmill` is this database's, as before\n\
            1 archived payloads of this database are in it",
    );
    host.clean(&production).succeeds();
}

#[test]
fn a_copy_of_a_database_is_refused_until_it_has_an_archive() {
    let (host, production) = Host::with_production();
    make_old(&production);
    let copy = production.copy();
    let before = copy.digests();
    refused(&host.run(&copy).ends(), COPY);
    refused(&host.replay(&copy).ends(), COPY);
    refused(&host.clean(&copy).ends(), COPY);
    assert_eq!(copy.digests(), before, "nothing was removed");
    assert_eq!(host.tarballs().len(), 1);

    // In a folder of its own it can do nothing to the original's.
    let elsewhere = tempfile::tempdir().expect("a folder");
    let own = |arguments: &[&str]| {
        gristmill(arguments)
            .database(&copy)
            .env("GRISTMILL_DATA", elsewhere.path())
            .calling(elsewhere.path(), "[OWN]")
    };
    own(&["archive", "adopt"]).succeeds().stderr_is(
        "archive `[OWN]/archive/gristmill` is this database's from now on\n\
        0 archived payloads of this database are in it\n\
        1 more are recorded and not there; `gristmill run` of a payload puts it back",
    );
    own(&["clean", "--retention-months", "3"]).succeeds();
    assert_eq!(host.tarballs().len(), 1);
    let left = copy.query_value("SELECT count(*) FROM gristmill_archive");
    assert_eq!(left.as_deref(), Some("0"));
    // Nor was anything taken from it.
    let ended = host.run(&production).succeeds();
    assert!(ended.stderr.contains("nothing to do"), "{ended}");
    host.clean(&production).succeeds();
    assert_eq!(host.tarballs().len(), 0);
}

#[test]
fn a_copy_that_takes_the_archive_has_all_of_it() {
    let (host, production) = Host::with_production();
    let copy = production.copy();
    let shown = host.adopt(&copy).argument("--json").succeeds().json();
    assert_eq!(shown["payloads_there"], 1);
    assert_eq!(shown["payloads_missing"], 0);
    host.replay(&copy).succeeds();
    refused(&host.run(&production).ends(), OTHERS);
    refused(&host.replay(&production).ends(), OTHERS);
    make_old(&copy);
    host.clean(&copy).succeeds();
    assert_eq!(host.tarballs().len(), 0);
}

#[test]
fn payloads_of_nobody_are_refused_until_somebody_has_them() {
    let (host, production) = Host::with_production();
    make_old(&production);
    let owner = host.root().join("owner.json");
    fs::remove_file(&owner).expect("the archive says whose it is");
    let before = production.digests();
    let unsaid = "archive `[DATA]/archive/gristmill` holds payloads, and nothing says whose";
    refused(&host.run(&production).ends(), unsaid);
    refused(&host.replay(&production).ends(), unsaid);
    refused(&host.clean(&production).ends(), unsaid);
    fs::write(&owner, "{}").expect("our file");
    refused_unreadable(&host.run(&production).ends());
    refused_unreadable(&host.clean(&production).ends());
    assert_eq!(production.digests(), before);
    host.adopt(&production).succeeds();
    host.replay(&production).ends_with(1);
    host.clean(&production).succeeds();
    assert_eq!(host.tarballs().len(), 0);
}

#[track_caller]
fn refused_unreadable(ended: &Ended) {
    assert_eq!(ended.code, Some(3), "{ended}");
    assert!(
        ended.stderr.contains("owner.json` is not readable"),
        "{ended}"
    );
}

#[test]
fn a_fresh_copy_has_an_archive_of_its_own_without_a_word() {
    let identity = "SELECT identity FROM gristmill_archive_owner";
    let databases = [TestDatabase::migrated(), TestDatabase::migrated()];
    let [first, second] = databases.each_ref().map(|database| {
        let host = Host::new();
        let before = database.query_value(identity);
        host.run(database).succeeds();
        let after = database.query_value(identity);
        assert_ne!(before, after, "the template's");
        host.run(database).succeeds();
        assert_eq!(database.query_value(identity), after);
        after
    });
    assert_ne!(first, second);
}

#[test]
fn of_two_databases_that_begin_at_once_one_has_the_archive() {
    let host = Host::new();
    let databases = [TestDatabase::migrated(), TestDatabase::migrated()];
    let running = databases
        .each_ref()
        .map(|database| host.run(database).begins());
    let mut codes = running.map(|running| running.ends().code);
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(3)]);
    assert_eq!(host.tarballs().len(), 1);
}

#[test]
fn clean_removes_what_a_record_names_and_nothing_else() {
    let (host, production) = Host::with_production();
    let clean = || host.command(&production, &["clean", "--retention-months", "120"]);
    let unknown = host
        .root()
        .join("ab")
        .join(format!("{}.tar.gz", "ab".repeat(32)));
    fs::create_dir_all(unknown.parent().expect("a folder")).expect("a folder");
    fs::write(&unknown, "of nobody").expect("a file");
    age(&unknown);
    clean().succeeds();
    assert!(unknown.exists());

    // A run that died, as its record tells.
    let begun = "00000000-0000-4000-8000-00000000000a";
    let unfinished = host.root().join(format!(".{begun}.unfinished"));
    fs::write(&unfinished, "the first by").expect("a file");
    production.execute(&format!(
        "INSERT INTO gristmill_archive_pending (id, directory, digest, run_id)
        SELECT '{begun}', directory, repeat('ab', 32), 0 FROM gristmill_archive"
    ));
    let shown = clean().argument("--dry-run").succeeds();
    assert!(shown.stdout.contains("archive, never recorded"), "{shown}");
    assert!(unfinished.exists());
    clean().succeeds();
    assert!(!unfinished.exists() && !unknown.exists());
    assert_eq!(host.tarballs().len(), 1, "the payload's own");
}

#[test]
fn a_record_that_leads_elsewhere_is_not_followed() {
    let (host, production) = Host::with_production();
    make_old(&production);
    let outside = tempfile::tempdir().expect("a folder");
    let digest = "ab".repeat(32);
    let name = format!("{digest}.tar.gz");
    let victims = [
        outside.path().join("ab").join(&name),
        outside.path().join("victim.tar.gz"),
        host.root().join("victim.tar.gz"),
    ];
    fs::create_dir(outside.path().join("ab")).expect("a folder");
    for victim in &victims {
        fs::write(victim, "somebody's").expect("a file");
    }
    let shown = outside.path().display().to_string();
    let root = host.root().display().to_string();
    for (directory, digest) in [
        (shown.as_str(), digest.as_str()),
        (&root, "../victim"),
        (&root, "/../../victim"),
        ("archive/gristmill", &digest),
        ("", &digest),
        (&root, ""),
    ] {
        for table in [
            format!(
                "INSERT INTO gristmill_archive (manifest_id, digest, source_uuid, payload, files, bytes, directory)
                SELECT manifest_id, '{digest}', source_uuid, 'lie', files, bytes, '{directory}'
                FROM gristmill_archive"
            ),
            format!(
                "INSERT INTO gristmill_archive_pending (directory, digest)
                VALUES ('{directory}', '{digest}')"
            ),
        ] {
            let copied = "SELECT count(*) FROM gristmill_archive";
            if table.contains("SELECT") && production.query_value(copied).as_deref() == Some("0") {
                continue;
            }
            production.execute(&table);
            let ended = host.clean(&production).ends();
            assert!(
                matches!(ended.code, Some(3)),
                "{directory} {digest}\n{ended}"
            );
            for victim in &victims {
                assert!(victim.exists(), "{directory} {digest}\n{ended}");
            }
            production.execute(
                "DELETE FROM gristmill_archive WHERE payload = 'lie';
                DELETE FROM gristmill_archive_pending",
            );
        }
    }
}

#[test]
fn a_link_in_the_archive_is_not_followed() {
    let (host, production) = Host::with_production();
    make_old(&production);
    let tarball = host.tarballs().remove(0);
    let folder = tarball.parent().expect("a folder").to_path_buf();
    let outside = tempfile::tempdir().expect("a folder");
    let moved = outside.path().join(tarball.file_name().expect("a name"));
    fs::copy(&tarball, &moved).expect("a copy");
    fs::remove_dir_all(&folder).expect("our folder");
    symlink(outside.path(), &folder).expect("a link");

    let ended = host.clean(&production).ends_with(3);
    assert!(ended.stderr.contains("leads out of the archive"), "{ended}");
    assert!(moved.exists());
    // A file that could not be removed is not forgotten.
    fs::remove_file(&folder).expect("our link");
    fs::create_dir(&folder).expect("a folder");
    fs::rename(&moved, &tarball).expect("back in its place");
    host.clean(&production).succeeds();
    assert!(!tarball.exists());
}

#[test]
fn an_archive_that_was_moved_is_found_again() {
    let (host, production) = Host::with_production();
    make_old(&production);
    let elsewhere = tempfile::tempdir().expect("a folder");
    let moved = elsewhere.path().join("gristmill");
    fs::rename(host.root(), &moved).expect("our folder");
    let ended = host.clean(&production).ends_with(3);
    assert!(
        ended
            .stderr
            .contains("is not there; `gristmill archive adopt`"),
        "{ended}"
    );
    assert_eq!(tarballs(&moved).len(), 1);
    host.adopt(&production)
        .argument("--directory")
        .argument(elsewhere.path())
        .succeeds();
    host.clean(&production).succeeds();
    assert_eq!(tarballs(&moved).len(), 0);
}

/// A role that may not ask for the server's identifier.
#[test]
fn where_the_server_does_not_say_which_it_is_the_database_tells() {
    let database = TestDatabase::empty();
    let role = format!("gristmill_test_role_{}", std::process::id());
    let elsewhere = TestDatabase::empty();
    elsewhere.execute(&format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role}"));
    database.execute(&format!(
        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC;
        DO $$ BEGIN EXECUTE format('GRANT ALL ON DATABASE %I TO {role}', current_database()); END $$;
        DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET role = {role}', current_database()); END $$"
    ));
    let host = Host::new();
    host.run(&database).succeeds();
    let marks = "SELECT system_identifier IS NULL, database_oid
        FROM gristmill_archive_owner";
    let oid =
        database.query_value("SELECT oid FROM pg_database WHERE datname = current_database()");
    assert_eq!(database.query_rows(marks), [[Some("t".to_string()), oid]]);
    host.replay(&database).succeeds();
    let copy = database.copy();
    refused(&host.run(&copy).ends(), COPY);
    host.adopt(&copy).succeeds();
    refused(&host.run(&database).ends(), OTHERS);
    drop((copy, database));
    elsewhere.execute(&format!("DROP ROLE {role}"));
}

/// A standby is the database on another machine, byte by byte; tried under torture, as a
/// copy of the server's files.
#[test]
fn a_standby_that_is_promoted_has_the_archive() {
    let work = Work::new(0, 1, Duration::from_secs(60));
    for _ in (0..).take_while(|done| work.goes_on(*done)) {
        let primary = DataDirectory::new();
        let database = TestDatabase::elsewhere(&primary.url());
        let host = Host::new();
        host.run(&database).succeeds();
        primary.run("stop");
        let standby = primary.copy();
        let promoted = TestDatabase::elsewhere(&standby.url());
        host.replay(&promoted).succeeds();
        host.clean(&promoted).succeeds();
        assert_eq!(host.tarballs().len(), 0);
        figure("standbys promoted", 1);
    }
}
