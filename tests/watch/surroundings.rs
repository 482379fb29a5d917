//! Something of the surroundings stands in the way of a payload: it stays in the inbox,
//! others go on, and what goes on for too long is set aside with the reason.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::swapped::has_stopped;
use super::{PATIENCE, Watching, deliver, names, watch, watch_by};
use crate::support::command::{file, gristmill, run};
use crate::support::payload::{Payload, Report};
use crate::support::server::{TestDatabase, fast_directory};

/// An inbox, and a pipeline with more in it.
struct Scene {
    database: TestDatabase,
    inbox: TempDir,
    here: TempDir,
}

impl Scene {
    fn new(more: &str) -> Scene {
        let scene = Scene {
            database: TestDatabase::migrated(),
            inbox: tempfile::tempdir().expect("a folder"),
            here: tempfile::tempdir_in(fast_directory()).expect("a folder"),
        };
        let extends = file("pipelines/ocp.toml").display().to_string();
        let text = format!("extends = {extends:?}\n{more}\n");
        fs::write(scene.pipeline(), text).expect("a pipeline file");
        scene
    }

    fn pipeline(&self) -> PathBuf {
        self.here.path().join("site.toml")
    }

    fn watching(&self) -> Watching {
        let command = watch_by(&self.database, &self.pipeline(), self.inbox.path());
        let watching = Watching::begin(command.argument("--json"));
        watching.says("watching ");
        watching
    }

    fn deliver(&self, payload: &Payload, name: &str) {
        deliver(payload, self.inbox.path(), name);
    }

    #[track_caller]
    fn has(&self, below: &str, expected: &[&str]) {
        let found = names(&self.inbox.path().join(below));
        let payloads: Vec<&String> = found.iter().filter(|name| name.contains(".tar")).collect();
        assert_eq!(payloads, expected, "{below}");
    }
}

/// The usual payload of another cluster.
fn of_cluster(number: u32, cluster: &str) -> Payload {
    Payload::usual(number).manifest("cluster_id", cluster)
}

/// Lets transactions of this database write, or not, in sessions that begin from now on.
fn read_only(database: &TestDatabase, on: &str) {
    database.execute(&format!(
        "BEGIN READ WRITE;
        DO $$
        BEGIN
            EXECUTE format(
                'ALTER DATABASE %I SET default_transaction_read_only = {on}', current_database()
            );
        END
        $$;
        COMMIT;
        SELECT pg_terminate_backend(pid)
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ));
}

#[test]
fn a_payload_waits_for_a_read_only_database() {
    let scene = Scene::new("");
    let watching = scene.watching();
    read_only(&scene.database, "on");
    scene.deliver(&Payload::usual(1), "p.tar.gz");
    let hint = "\"hint\":\"`default_transaction_read_only` is on";
    watching.says_at_once(&["its sessions are read-only", hint]);
    watching.says("the payload stays in the inbox until the database is back");
    scene.has("failed", &[]);
    let payload = scene.inbox.path().join("p.tar.gz");
    let ended = run(&scene.database, "pipelines/ocp.toml", &[payload]).ends_with(3);
    assert!(
        ended.stderr.contains("its sessions are read-only"),
        "{ended}"
    );
    read_only(&scene.database, "off");
    watching.says("the database is back");
    watching.handles("p.tar.gz");
    scene.has("done", &["p.tar.gz"]);
    watching.stops();
}

#[test]
fn a_payload_waits_for_an_archive_that_is_away() {
    let scene = Scene::new("[archive]\ndirectory = \"archive/kept\"");
    let in_the_way = scene.here.path().join("archive");
    fs::write(&in_the_way, "no folder").expect("a file");
    let watching = scene.watching();
    scene.deliver(&Payload::usual(1), "p.tar.gz");
    watching.says("stays in the inbox, and is tried again in 1 s");
    scene.has("failed", &[]);
    let payload = scene.inbox.path().join("p.tar.gz");
    run(&scene.database, scene.pipeline(), &[payload]).ends_with(3);
    fs::remove_file(in_the_way).expect("it is there");
    watching.handles("p.tar.gz");
    watching.stops();
}

/// A disk that is unmounted with this value.
struct Disk(PathBuf);

impl Disk {
    /// One with little room; `None` where we may not mount.
    fn small(at: &Path) -> Option<Disk> {
        fs::create_dir(at).expect("a folder");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(at)
            .output();
        mount.ok()?.status.success().then(|| Disk(at.to_path_buf()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[test]
fn a_payload_waits_for_an_archive_that_is_full() {
    let scene = Scene::new("[archive]\ndirectory = \"full/kept\"");
    let Some(disk) = Disk::small(&scene.here.path().join("full")) else {
        // Not ours to mount; the archive that is away is the same to the program.
        return;
    };
    let fill = disk.0.join("fill");
    // Until there is no room.
    let _ = fs::write(&fill, vec![0; 128 << 10]);
    let watching = scene.watching();
    scene.deliver(&Payload::usual(1), "p.tar.gz");
    watching.says("No space left on device");
    watching.says("stays in the inbox");
    scene.has("failed", &[]);
    let payload = scene.inbox.path().join("p.tar.gz");
    run(&scene.database, scene.pipeline(), &[payload]).ends_with(3);
    fs::remove_file(fill).expect("it is there");
    watching.handles("p.tar.gz");
    watching.stops();
}

/// Ends the session of whoever writes down an upload of cluster `killer`.
const KILLER: &str = "
    CREATE FUNCTION kill() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.cluster_id = 'killer' THEN
            PERFORM pg_terminate_backend(pg_backend_pid());
            PERFORM pg_sleep(10);
        END IF;
        RETURN NEW;
    END
    $$;
    CREATE TRIGGER kill BEFORE INSERT ON reporting_common_costusagereportmanifest
    FOR EACH ROW EXECUTE FUNCTION kill()";

#[test]
fn what_kills_its_session_each_time_is_set_aside_and_others_go_on() {
    let scene = Scene::new("[watch]\ntries = 2");
    scene.database.execute(KILLER);
    let watching = scene.watching();
    scene.deliver(&of_cluster(1, "killer"), "killer.tar.gz");
    watching.says("killer.tar.gz: stays in the inbox, and is tried again in 1 s");
    scene.deliver(&of_cluster(2, "other"), "other.tar.gz");
    let mut told = [watching.line(), watching.line()];
    told.sort_by_key(|line| line["payload"].to_string());
    let states = told.map(|line| line["state"].to_string());
    assert_eq!(states, ["\"failed\"", "\"published\""]);
    scene.has("failed", &["killer.tar.gz", "killer.tar.gz.error.txt"]);
    let reason = scene.inbox.path().join("failed/killer.tar.gz.error.txt");
    let reason = fs::read_to_string(reason).expect("a reason");
    for words in ["is set aside after", "terminating connection", "`tries`"] {
        assert!(reason.contains(words), "{reason}");
    }
    watching.stops();
}

/// A transaction that meets another one so many times, and what is said of that.
fn clashes(database: &TestDatabase, times: u32, exception: &str) {
    database.execute(&format!(
        "CREATE SEQUENCE clashes;
        CREATE FUNCTION clash() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('gristmill.clashes') <= {times} THEN
                RAISE EXCEPTION {exception};
            END IF;
            RETURN NULL;
        END
        $$;
        CREATE TRIGGER clash AFTER INSERT ON gristmill_day
        FOR EACH STATEMENT EXECUTE FUNCTION clash()"
    ));
}

#[test]
fn a_transaction_that_meets_another_one_is_tried_again_in_bounds() {
    for (exception, words) in [
        (
            "'deadlock detected' USING ERRCODE = '40P01'",
            "deadlock detected",
        ),
        (FULL_LOCK_TABLE, "out of shared memory"),
    ] {
        for (times, code) in [(2, 0), (1_000, 3)] {
            let here = tempfile::tempdir().expect("a folder");
            let database = TestDatabase::migrated();
            clashes(&database, times, exception);
            let payload = Payload::usual(1).write(here.path(), "p.tar.gz");
            let ended = run(&database, "pipelines/ocp.toml", &[payload]).ends_with(code);
            assert_eq!(ended.stderr.contains(words), code != 0, "{ended}");
            let days = database.query_value("SELECT count(*) FROM gristmill_day");
            let expected = if code == 0 { "1" } else { "0" };
            assert_eq!(days.as_deref(), Some(expected));
        }
    }
}

/// As the server says it.
const FULL_LOCK_TABLE: &str = "'out of shared memory' USING
    ERRCODE = '53200',
    HINT = 'You might need to increase \"max_locks_per_transaction\".'";

#[test]
fn a_table_of_locks_that_is_full_is_said_with_what_to_do() {
    let scene = Scene::new("[watch]\ntries = 2");
    clashes(&scene.database, 7, FULL_LOCK_TABLE);
    let watching = scene.watching();
    scene.deliver(&Payload::usual(1), "p.tar.gz");
    let hint = "raise `max_locks_per_transaction` of the server, or have fewer payloads published \
                at a time (`--payloads-at-once` of `watch`)";
    watching.says_at_once(&["out of shared memory", hint]);
    watching.says("stays in the inbox, and is tried again in 1 s");
    // The locks are others', who are done by then.
    watching.handles("p.tar.gz");
    watching.stops();
}

#[test]
fn a_lock_is_waited_for_with_a_bound_and_others_go_on() {
    let scene = Scene::new("[limits]\nlock-wait = \"300 ms\"");
    let payload = of_cluster(1, "busy").write(scene.here.path(), "busy.tar.gz");
    let busy = run(
        &scene.database,
        scene.pipeline(),
        std::slice::from_ref(&payload),
    )
    .env("GRISTMILL_TEST_STOP_AT", "copy-sent")
    .begins();
    has_stopped(busy.process());
    let ended = run(&scene.database, scene.pipeline(), &[payload]).ends_with(3);
    for words in [
        "waiting for another run at work on cluster `busy`",
        "waited 0.3 s in vain for another run at work on cluster `busy`",
        "`lock-wait` in `[limits]`",
    ] {
        assert!(ended.stderr.contains(words), "{ended}");
    }
    let watching = scene.watching();
    scene.deliver(&of_cluster(2, "busy"), "busy.tar.gz");
    watching.says("waited 0.3 s in vain");
    scene.deliver(&of_cluster(3, "other"), "other.tar.gz");
    watching.handles("other.tar.gz");
    scene.has("failed", &[]);
    busy.signal(Signal::CONT);
    assert_eq!(busy.ends().code, Some(0));
    watching.handles("busy.tar.gz");
    watching.stops();
}

#[test]
fn a_table_that_is_locked_is_waited_for_with_a_bound() {
    let scene = Scene::new("[limits]\nlock-wait = \"100 ms\"");
    let session = scene.database.session();
    session.execute("BEGIN; LOCK TABLE gristmill_day");
    let payload = Payload::usual(1).write(scene.here.path(), "p.tar.gz");
    let ended = run(
        &scene.database,
        scene.pipeline(),
        std::slice::from_ref(&payload),
    )
    .ends_with(3);
    assert!(
        ended.stderr.contains("`lock-wait` in `[limits]`"),
        "{ended}"
    );
    session.execute("ROLLBACK");
    run(&scene.database, scene.pipeline(), &[payload]).succeeds();
}

#[test]
fn payloads_of_two_sources_are_run_at_once_and_of_one_in_their_order() {
    let scene = Scene::new("");
    let payload = of_cluster(1, "busy").write(scene.here.path(), "busy.tar.gz");
    let busy = run(&scene.database, scene.pipeline(), &[payload])
        .env("GRISTMILL_TEST_STOP_AT", "copy-sent")
        .begins();
    has_stopped(busy.process());
    let watching = scene.watching();
    scene.deliver(&of_cluster(2, "busy"), "busy-2.tar.gz");
    watching.says("waiting for another run at work on cluster `busy`");
    scene.deliver(&of_cluster(3, "busy"), "busy-3.tar.gz");
    scene.deliver(&of_cluster(4, "other"), "other.tar.gz");
    watching.handles("other.tar.gz");
    busy.signal(Signal::CONT);
    watching.result("busy-2.tar.gz");
    watching.result("busy-3.tar.gz");
    watching.stops();
    assert_eq!(busy.ends().code, Some(0));
}

#[test]
fn the_second_signal_ends_the_command_at_once() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let scene = Scene::new("");
        let payload = of_cluster(1, "busy").write(scene.here.path(), "busy.tar.gz");
        let busy = run(&scene.database, scene.pipeline(), &[payload])
            .env("GRISTMILL_TEST_STOP_AT", "copy-sent")
            .begins();
        has_stopped(busy.process());
        let mut watching = scene.watching();
        scene.deliver(&of_cluster(2, "busy"), "p.tar.gz");
        watching.says("waiting for another run at work on cluster `busy`");
        watching.signal(signal);
        watching.says("stopping after the payload at work");
        watching.signal(signal);
        let begun = Instant::now();
        let status = watching.child.wait().expect("an end");
        assert_eq!(status.code(), Some(code));
        assert!(begun.elapsed() < Duration::from_secs(10));
        scene.has("", &["p.tar.gz"]);
        busy.signal(Signal::KILL);
        busy.ends();
    }
}

/// A database that is not there at the start is waited for as it is later.
#[test]
fn a_server_that_is_full_at_the_start_is_waited_for() {
    let scene = Scene::new("");
    let function = "SELECT pg_get_functiondef('ensure_current_months'::regproc)";
    let function = scene.database.query_value(function).expect("a function");
    scene.database.execute(
        "CREATE OR REPLACE FUNCTION ensure_current_months() RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'could not extend file: No space left on device'
                USING ERRCODE = '53100';
        END
        $$",
    );
    let command = || watch_by(&scene.database, &scene.pipeline(), scene.inbox.path());
    let ended = command().argument("--once").ends_with(3);
    assert!(ended.stderr.contains("No space left on device"), "{ended}");
    let watching = Watching::begin(command().argument("--json"));
    watching.says("No space left on device");
    watching.says("the inbox is watched once that is over; tried again in 0.5 s");
    scene.database.execute(&function);
    watching.says("watching ");
    scene.deliver(&Payload::usual(1), "p.tar.gz");
    watching.handles("p.tar.gz");
    watching.stops();

    // Whoever stops it is not kept.
    scene.database.execute(
        "CREATE OR REPLACE FUNCTION ensure_current_months() RETURNS void LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$",
    );
    let watching = Watching::begin(command());
    watching.says("the inbox is watched once that is over");
    watching.stops();
}

/// A run that waits for somebody else's lock says so, and names it.
#[test]
fn what_waits_for_another_session_says_so() {
    let scene = Scene::new("");
    let labelled = Report::pods().row(0, &[("pod_labels", "label_app:shop")]);
    let labelled = Payload::numbered(2).file("pods.csv", labelled.text());
    gristmill(["tags", "enable", "app"])
        .database(&scene.database)
        .succeeds();
    let tags = "refresh_tags_values gristmill";
    let partitions = "ensure_month gristmill";
    let old = Report::pods().row(0, &[("interval_start", "2025-02-01 00:00:00 +0000 UTC")]);
    let old = Payload::numbered(3).file("pods.csv", old.text());
    for (lock, payload, words) in [
        (
            tags,
            labelled,
            "waiting for another session at work on the values of tags",
        ),
        (
            partitions,
            old,
            "waiting for the partition of `reporting_ocpusagelineitem_pod_staging` for 2025-02",
        ),
    ] {
        let session = scene.database.session();
        session.execute(&format!(
            "SELECT pg_advisory_lock(hashtextextended('{lock}', 0))"
        ));
        let payload = payload.write(scene.here.path(), "p.tar.gz");
        let running = Watching::begin(run(&scene.database, scene.pipeline(), &[payload]));
        running.says(words);
        session.execute("SELECT pg_advisory_unlock_all()");
        running.ends_well();
    }
    // Of the summaries, a lock of the table itself.
    let session = scene.database.session();
    session.execute("BEGIN; LOCK TABLE reporting_ocp_vm_summary_p");
    let payload = of_cluster(4, "fourth").write(scene.here.path(), "p.tar.gz");
    let running = Watching::begin(run(&scene.database, scene.pipeline(), &[payload]));
    running.says("waiting for another session at work on table `reporting_ocp_vm_summary_p`");
    session.execute("ROLLBACK");
    running.ends_well();
    let lock = "SELECT pg_advisory_lock(hashtextextended('gristmill tags gristmill', 0))";
    session.execute(lock);
    let enabling = gristmill(["tags", "enable", "tier"]).database(&scene.database);
    let running = Watching::begin(enabling);
    running.says("waiting for another session at work on tag keys and mappings");
    session.execute("SELECT pg_advisory_unlock_all()");
    running.ends_well();
}

/// Asking whether the database is back changes nothing there.
#[test]
fn a_database_that_comes_back_is_not_migrated_by_the_question() {
    let scene = Scene::new("");
    let watching = scene.watching();
    read_only(&scene.database, "on");
    scene.deliver(&Payload::usual(1), "p.tar.gz");
    watching.says("until the database is back");
    // Whoever migrates would bring the comment back, in which the functions are noted.
    scene.database.execute(
        "BEGIN READ WRITE;
        COMMENT ON TABLE _sqlx_migrations IS 'not by the question';
        COMMIT",
    );
    read_only(&scene.database, "off");
    watching.says("the database is back");
    watching.handles("p.tar.gz");
    let comment = "SELECT obj_description('_sqlx_migrations'::regclass, 'pg_class')";
    let comment = scene.database.query_value(comment);
    assert_eq!(comment.as_deref(), Some("not by the question"));
    watching.stops();
}

/// With `--once` too, what is hindered stays and the others are run.
#[test]
fn once_leaves_what_is_hindered_and_runs_the_others() {
    let scene = Scene::new("");
    scene.database.execute(KILLER);
    scene.deliver(&of_cluster(1, "killer"), "killer.tar.gz");
    scene.deliver(&of_cluster(2, "other"), "other.tar.gz");
    let begun = Instant::now();
    let ended = watch(&scene.database, scene.inbox.path())
        .argument("--once")
        .ends_with(3);
    assert!(begun.elapsed() < PATIENCE);
    assert!(ended.stderr.contains("terminating connection"), "{ended}");
    scene.has("", &["killer.tar.gz"]);
    scene.has("done", &["other.tar.gz"]);
}

/// The program is told of by its process, also where a test only waits.
#[test]
fn a_payload_that_is_taken_away_meanwhile_is_nobodys_fault() {
    let scene = Scene::new("");
    let watching = Watching::begin(
        watch_by(&scene.database, &scene.pipeline(), scene.inbox.path())
            .argument("--json")
            .env("GRISTMILL_TEST_STOP_AT", "source-locked"),
    );
    watching.says("watching ");
    scene.deliver(&Payload::usual(1), "p.tar.gz");
    has_stopped(Pid::from_child(&watching.child));
    fs::remove_file(scene.inbox.path().join("p.tar.gz")).expect("it is there");
    watching.signal(Signal::CONT);
    let result = watching.result("p.tar.gz");
    assert_eq!(result["state"], "published", "{result}");
    assert_eq!(result["moved_to"], serde_json::Value::Null, "{result}");
    let report = Report::pods().hours(0..4);
    scene.deliver(
        &Payload::numbered(3).file("pods.csv", report.text()),
        "p.tar.gz",
    );
    watching.handles("p.tar.gz");
    watching.stops();
}

/// A fault of the archive is nothing that a payload could help.
#[test]
fn a_payload_waits_for_an_archive_with_something_in_the_way() {
    let scene = Scene::new("[archive]\ndirectory = \"kept\"");
    let archive = scene.here.path().join("kept/gristmill");
    scene.deliver(&Payload::usual(1), "p.tar.gz");
    let payload = scene.inbox.path().join("p.tar.gz");
    run(&scene.database, scene.pipeline(), &[payload]).succeeds();
    let folders = fs::read_dir(&archive).expect("the archive");
    let folder = folders
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.is_dir())
        .expect("a folder of a digest");
    fs::remove_dir_all(&folder).expect("our folder");
    fs::write(&folder, "").expect("a file in its place");
    let watching = scene.watching();
    watching.says("stays in the inbox, and is tried again in 1 s");
    scene.has("failed", &[]);
    fs::remove_file(&folder).expect("our file");
    assert_eq!(watching.result("p.tar.gz")["state"], "unchanged");
    scene.has("done", &["p.tar.gz"]);
    watching.stops();
}
