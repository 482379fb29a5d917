//! The bytes of archived payloads: when they are put there, and how the archive recovers
//! when they are missing or others.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::command::{Ended, Gristmill, file, gristmill, run};
use crate::support::payload::{CLUSTER, DAY, Payload, Report};
use crate::support::server::TestDatabase;

struct Site {
    database: TestDatabase,
    data: TempDir,
}

impl Site {
    fn new() -> Site {
        Site {
            database: TestDatabase::migrated(),
            data: tempfile::tempdir().expect("a folder"),
        }
    }

    fn at_home(&self, command: Gristmill) -> Gristmill {
        command
            .env("GRISTMILL_DATA", self.data.path())
            .calling(self.data.path(), "[DATA]")
    }

    fn run(&self, payload: &PathBuf) -> Gristmill {
        let payloads = std::slice::from_ref(payload);
        self.at_home(run(&self.database, "pipelines/ocp.toml", payloads))
    }

    #[track_caller]
    fn load(&self, payload: &Payload, name: &str) -> PathBuf {
        let path = payload.write(self.data.path(), name);
        self.run(&path).succeeds();
        path
    }

    fn replay(&self, cluster: &str) -> Gristmill {
        let command = gristmill(["replay", "pipelines/ocp.toml"])
            .database(&self.database)
            .with_stages()
            .arguments(["--source", cluster, "--from", DAY]);
        self.at_home(command)
    }

    fn quarantine_replay(&self) -> Gristmill {
        let command = gristmill(["quarantine", "replay", "pipelines/ocp.toml"])
            .database(&self.database)
            .with_stages();
        self.at_home(command)
    }

    fn clean(&self) -> Gristmill {
        let command = gristmill(["clean", "--retention-months", "120"]).database(&self.database);
        self.at_home(command)
    }

    #[track_caller]
    fn count(&self, table: &str) -> String {
        let count = format!("SELECT count(*) FROM {table}");
        self.database.query_value(&count).expect("a number")
    }

    /// The archived tarballs that are recorded.
    #[track_caller]
    fn archived(&self) -> Vec<PathBuf> {
        let rows = self.database.query_rows(
            "SELECT directory || '/' || left(digest, 2) || '/' || digest || '.tar.gz'
            FROM gristmill_archive
            ORDER BY archived_at",
        );
        rows.into_iter()
            .flatten()
            .flatten()
            .map(PathBuf::from)
            .collect()
    }

    /// Every tarball in the archive.
    fn tarballs(&self) -> usize {
        let root = self.data.path().join("archive/gristmill");
        let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
        let files = entries(root)
            .map(|entry| entry.path())
            .flat_map(|path| match path.is_dir() {
                true => entries(path).map(|entry| entry.path()).collect(),
                false => vec![path],
            });
        files.filter(|path| !path.ends_with("owner.json")).count()
    }
}

#[track_caller]
fn says(ended: &Ended, words: &str) {
    assert!(ended.stderr.contains(words), "{words}\n{ended}");
}

#[test]
fn a_payload_that_comes_again_mends_what_is_archived_of_it() {
    let site = Site::new();
    let payload = site.load(&Payload::usual(1), "p.tar.gz");
    let whole = fs::read(&payload).expect("the payload");
    let archived = site.archived().remove(0);
    let outside = site.data.path().join("outside");
    fs::write(&outside, &whole).expect("a file");
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    let damages: [(&str, &dyn Fn()); 6] = [
        ("was missing", &|| {
            fs::remove_file(&archived).expect("our file")
        }),
        ("was damaged (its SHA-256 is", &|| {
            fs::write(&archived, &whole[..whole.len() - 1]).expect("our file");
        }),
        ("was damaged (its SHA-256 is", &|| {
            fs::write(&archived, &flipped).expect("our file");
        }),
        ("was damaged (its SHA-256 is", &|| {
            fs::write(&archived, b"").expect("our file");
        }),
        ("was damaged (it is no plain file)", &|| {
            fs::remove_file(&archived).expect("our file");
            symlink(&outside, &archived).expect("a link");
        }),
        ("was damaged (it is no plain file)", &|| {
            fs::remove_file(&archived).expect("our file");
            fs::create_dir(&archived).expect("a folder");
        }),
    ];
    for (words, damage) in damages {
        damage();
        let before = site.database.digests_of_published();
        let ended = site.run(&payload).succeeds();
        says(&ended, words);
        says(&ended, "its bytes are put back");
        says(&ended, "nothing to do, all of it was loaded before");
        let metadata = fs::symlink_metadata(&archived).expect("it is there");
        assert!(metadata.is_file());
        assert_eq!(fs::read(&archived).expect("it is there"), whole, "{words}");
        assert_eq!(site.database.digests_of_published(), before);
        site.replay(CLUSTER).succeeds();
        let ended = site.run(&payload).succeeds();
        assert!(!ended.stderr.contains("put back"), "{ended}");
    }
    assert_eq!(fs::read(&outside).expect("it is there"), whole);
    assert_eq!((site.tarballs(), site.archived().len()), (1, 1));
    assert_eq!(site.count("gristmill_archive_pending"), "0");
}

/// Whoever put something there is told where it is.
#[test]
fn a_folder_with_something_in_it_is_left_and_named() {
    let site = Site::new();
    let payload = site.load(&Payload::usual(1), "p.tar.gz");
    let archived = site.archived().remove(0);
    fs::remove_file(&archived).expect("our file");
    fs::create_dir(&archived).expect("a folder");
    let within = archived.join("somebody's");
    fs::write(&within, "").expect("a file");
    let ended = site.run(&payload).ends_with(3);
    says(&ended, ".tar.gz` is a folder with something in it");
    says(&ended, "move it away");
    assert!(within.exists());
    fs::remove_file(&within).expect("our file");
    says(&site.run(&payload).succeeds(), "its bytes are put back");
    assert_eq!(site.count("gristmill_archive_pending"), "0");
    site.replay(CLUSTER).succeeds();
}

#[test]
fn what_is_damaged_is_mended_by_the_payload_in_another_form() {
    let site = Site::new();
    site.load(&Payload::usual(1), "p.tar.gz");
    let damaged = site.archived().remove(0);
    fs::write(&damaged, "noise").expect("our file");
    let unpacked = site.data.path().join("unpacked");
    fs::create_dir(&unpacked).expect("a folder");
    Payload::usual(1).write_unpacked(&unpacked);
    says(
        &site.run(&unpacked).succeeds(),
        "this payload is kept in its place",
    );
    assert_eq!(site.archived().len(), 1);
    assert_ne!(site.archived()[0], damaged);
    site.replay(CLUSTER).succeeds();
    site.clean().succeeds();
    assert!(!damaged.exists());
    assert_eq!(site.tarballs(), 1);
    says(&site.run(&unpacked).succeeds(), "nothing to do");
    assert_eq!(site.tarballs(), 1);
}

#[test]
fn a_part_of_a_split_payload_mends_its_own_tarball() {
    let site = Site::new();
    let report = |hours| Report::pods().hours(hours);
    let whole = Payload::numbered(1)
        .file("a.csv", report(0..2).text())
        .file("b.csv", report(2..4).text());
    let part = |name: &str, hours| {
        Payload::numbered(1)
            .member(name, report(hours).text())
            .manifest("files", serde_json::json!(whole.files()))
    };
    let (first, second) = (part("a.csv", 0..2), part("b.csv", 2..4));
    let first = site.load(&first, "first.tar.gz");
    let second = site.load(&second, "second.tar.gz");
    for tarball in site.archived() {
        fs::write(tarball, "noise").expect("our file");
    }
    says(&site.run(&second).succeeds(), "its bytes are put back");
    let ended = site.replay(CLUSTER).ends_with(1);
    says(&ended, "is damaged: its SHA-256 is");
    says(
        &ended,
        "hint: `gristmill run` of that payload puts its bytes back",
    );
    says(&site.run(&first).succeeds(), "its bytes are put back");
    site.replay(CLUSTER).succeeds();
}

/// Two uploads whose records name one another's tarballs.
const SWAPPED: &str = "
    UPDATE gristmill_archive AS ours
    SET digest = theirs.digest
    FROM gristmill_archive AS theirs
    WHERE theirs.manifest_id <> ours.manifest_id";

#[test]
fn an_archived_payload_of_another_upload_is_not_replayed() {
    let site = Site::new();
    site.load(&Payload::usual(1), "one.tar.gz");
    let better = Payload::numbered(2).file("pods.csv", Report::pods().hours(0..5).text());
    site.load(&better, "two.tar.gz");
    site.database.execute(SWAPPED);
    let before = site.database.digests_of_published();
    let ended = site.replay(CLUSTER).ends_with(1);
    says(
        &ended,
        "is of upload 00000000-0000-4000-8000-000000000001, \
        not of upload 00000000-0000-4000-8000-000000000002 for which it is recorded",
    );
    says(&ended, "hint: nothing was changed");
    assert_eq!(site.database.digests_of_published(), before);
    assert_eq!(site.count("reporting_common_costusagereportmanifest"), "2");
}

#[test]
fn an_archived_payload_of_another_cluster_is_not_replayed() {
    let site = Site::new();
    // One row of 300 is refused.
    let report = (0..299).fold(Report::pods(), |report, pod| {
        report.row(0, &[("pod", &format!("p{pod}"))])
    });
    let report = report.row(1, &[("pod_usage_cpu_core_seconds", "much")]);
    let payload = Payload::numbered(1).file("pods.csv", report.text());
    site.load(&payload, "ours.tar.gz");
    let theirs = payload.clone().manifest("cluster_id", "their-cluster");
    site.load(&theirs, "theirs.tar.gz");
    site.database.execute(SWAPPED);
    let before = site.database.digests_of_published();
    for cluster in [CLUSTER, "their-cluster"] {
        let ended = site.replay(cluster).ends_with(1);
        says(
            &ended,
            &format!("not of cluster `{cluster}` for which it is recorded"),
        );
    }
    let ended = site.quarantine_replay().ends_with(1);
    says(
        &ended,
        "is of cluster `their-cluster`, not of cluster `test-cluster`",
    );
    assert_eq!(site.database.digests_of_published(), before);
    assert_eq!(site.count("gristmill_quarantine"), "2");
}

#[test]
fn an_archived_payload_that_lacks_a_recorded_file_is_not_replayed() {
    let site = Site::new();
    let report = |hours| Report::pods().hours(hours);
    let whole = Payload::numbered(1)
        .file("a.csv", report(0..2).text())
        .file("b.csv", report(2..4).text());
    site.load(&whole, "whole.tar.gz");
    let cut = Payload::numbered(1)
        .member("a.csv", report(0..2).text())
        .manifest("files", serde_json::json!(whole.files()));
    // As if it had been recorded for both.
    let other = Site::new();
    other.load(&cut, "cut.tar.gz");
    let (ours, theirs) = (site.archived().remove(0), other.archived().remove(0));
    let digest = theirs
        .file_stem()
        .expect("a name")
        .to_string_lossy()
        .replace(".tar", "");
    let place = ours
        .ancestors()
        .nth(2)
        .expect("the archive")
        .join(&digest[..2]);
    fs::create_dir_all(&place).expect("a folder");
    fs::copy(&theirs, place.join(format!("{digest}.tar.gz"))).expect("a copy");
    site.database
        .execute(&format!("UPDATE gristmill_archive SET digest = '{digest}'"));
    let before = site.database.digests_of_published();
    let ended = site.replay(CLUSTER).ends_with(1);
    says(&ended, "lacks file `b.csv`, which its record says it has");
    assert_eq!(site.database.digests_of_published(), before);
}

#[test]
fn a_record_with_no_digest_is_refused_by_name() {
    let site = Site::new();
    site.load(&Payload::usual(1), "p.tar.gz");
    site.database
        .execute("UPDATE gristmill_archive SET digest = '../../../p'");
    let ended = site.replay(CLUSTER).ends_with(1);
    says(&ended, "has `../../../p` for its SHA-256, which is none");
}

/// The failpoints that a run passes, in their order.
#[track_caller]
fn failpoints(site: &Site, payload: &PathBuf, code: i32) -> Vec<String> {
    let file = site.data.path().join("failpoints");
    let _ = fs::remove_file(&file);
    site.run(payload)
        .env("GRISTMILL_TEST_FAILPOINTS", &file)
        .ends_with(code);
    let failpoints = fs::read_to_string(&file).expect("failpoints");
    failpoints.lines().map(str::to_string).collect()
}

#[test]
fn a_payload_is_in_the_archive_before_its_publishing_begins() {
    let site = Site::new();
    let payload = Payload::usual(1).write(site.data.path(), "p.tar.gz");
    let passed = failpoints(&site, &payload, 0);
    let at = |failpoint: &str| {
        let position = passed.iter().position(|passed| passed == failpoint);
        position.unwrap_or_else(|| panic!("it passes {failpoint}: {passed:?}"))
    };
    // Nothing is written without a record, nor placed without its name.
    assert!(at("archive-begun") < at("archive-written"), "{passed:?}");
    assert!(at("archive-begun") < at("copy-begun"), "{passed:?}");
    assert!(at("archive-named") < at("archive-placed"), "{passed:?}");
    assert!(
        at("archive-placed") < at("generation-recorded"),
        "{passed:?}"
    );
    assert!(
        at("generation-recorded") < at("archive-recorded"),
        "{passed:?}"
    );
    assert!(
        at("archive-recorded") < at("publish-committed"),
        "{passed:?}"
    );
}

#[test]
fn a_payload_that_fails_leaves_nothing_in_the_archive() {
    let site = Site::new();
    let bad = Report::pods().with_too_many_bad();
    let bad = Payload::numbered(1).file("pods.csv", bad.text());
    let bad = bad.write(site.data.path(), "bad.tar.gz");
    let passed = failpoints(&site, &bad, 1);
    assert!(
        passed
            .iter()
            .any(|failpoint| failpoint == "archive-discarded"),
        "{passed:?}"
    );
    assert_eq!(site.tarballs(), 0);
    assert_eq!(site.count("gristmill_archive_pending"), "0");

    // Also when it is in its place by then.
    site.database.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON gristmill_day
        FOR EACH ROW EXECUTE FUNCTION fail()",
    );
    let good = Payload::usual(2).write(site.data.path(), "good.tar.gz");
    let passed = failpoints(&site, &good, 1);
    assert!(
        passed.iter().any(|failpoint| failpoint == "archive-placed"),
        "{passed:?}"
    );
    assert_eq!(site.tarballs(), 0);
    assert_eq!(site.count("gristmill_archive_pending"), "0");
    site.database.execute("DROP TRIGGER fail ON gristmill_day");
    site.run(&good).succeeds();
    assert_eq!(site.tarballs(), 1);
}

#[test]
fn a_killed_run_leaves_what_clean_removes() {
    let site = Site::new();
    let payload = Payload::usual(1).write(site.data.path(), "p.tar.gz");
    for failpoint in [
        "archive-begun",
        "archive-written",
        "archive-named",
        "archive-placed",
    ] {
        let ended = site
            .run(&payload)
            .env("GRISTMILL_TEST_KILL_AT", failpoint)
            .ends();
        assert_eq!(ended.code, None, "{failpoint}\n{ended}");
        assert_eq!(site.count("gristmill_archive_pending"), "1", "{failpoint}");
        crate::local_server::wait_until("the server has noticed", || {
            let sessions = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'gristmill'";
            site.database.query_value(sessions).as_deref() == Some("0")
        });
        site.clean().succeeds();
        assert_eq!(site.count("gristmill_archive_pending"), "0", "{failpoint}");
        assert_eq!(site.tarballs(), 0, "{failpoint}");
    }
    site.run(&payload).succeeds();
    assert_eq!(site.tarballs(), 1);
}

/// `clean` leaves the files that a run at work has written.
#[test]
fn clean_beside_a_run_leaves_what_it_writes() {
    let site = Site::new();
    let payload = Payload::usual(1).write(site.data.path(), "p.tar.gz");
    let running = site
        .run(&payload)
        .env("GRISTMILL_TEST_STOP_AT", "archive-placed")
        .begins();
    let stat = format!("/proc/{}/stat", running.process().as_raw_nonzero());
    crate::local_server::wait_until("the program has stopped itself", || {
        let stat = fs::read_to_string(&stat).expect("the process is there");
        stat.rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('T')
    });
    assert_eq!(site.tarballs(), 1);
    site.clean().succeeds();
    assert_eq!(site.tarballs(), 1);
    running.signal(rustix::process::Signal::CONT);
    let ended = running.ends();
    assert_eq!(ended.code, Some(0), "{ended}");
    site.replay(CLUSTER).succeeds();
}

#[test]
fn a_pipeline_that_keeps_nothing_replays_what_is_there() {
    let site = Site::new();
    site.load(&Payload::usual(1), "p.tar.gz");
    let pipeline = site.data.path().join("site.toml");
    let extends = file("pipelines/ocp.toml");
    fs::write(
        &pipeline,
        format!("extends = {extends:?}\n[archive]\nkeep = false\n"),
    )
    .expect("a pipeline");
    let command = gristmill(["replay"])
        .argument(&pipeline)
        .database(&site.database)
        .with_stages()
        .arguments(["--source", CLUSTER, "--from", DAY]);
    site.at_home(command).succeeds();
}
