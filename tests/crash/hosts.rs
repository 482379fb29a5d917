//! Several at once: hosts with the same payload, with payloads of the same day or of
//! other clusters, and a server that is not done with a host that died.

use std::path::PathBuf;

use rustix::process::Signal;

use super::{DAYS, parts, payload};
use crate::local_server::wait_until;
use crate::support::command::Running;
use crate::support::payload::{CLUSTER, Payload};
use crate::support::site::Site;

/// Runs commands at the same time; all of them succeed.
#[track_caller]
fn together(running: Vec<Running>) {
    for running in running {
        let ended = running.ends();
        assert_eq!(ended.code, Some(0), "{ended}");
    }
}

#[track_caller]
fn states(site: &Site) -> Vec<String> {
    let states = site
        .database
        .query_rows("SELECT state FROM gristmill_run ORDER BY state");
    states.into_iter().flatten().flatten().collect()
}

#[test]
fn of_several_hosts_with_one_payload_one_loads_it() {
    let (site, alone) = (Site::new(), Site::new());
    let payloads = site.write(&[payload(1, &DAYS, 3)]);
    together((0..4).map(|_| site.run(&payloads).begins()).collect());
    let three = ["unchanged"; 3];
    assert_eq!(states(&site), [&["published"], &three[..]].concat());
    alone.run(&payloads).succeeds();
    site.is_like(&alone, "four hosts with one payload");
}

#[test]
fn payloads_of_one_day_may_come_at_once() {
    let [first, second] = parts(4, &DAYS, 4);
    let payloads = [
        payload(1, &DAYS, 2),
        payload(2, &DAYS[..1], 3),
        payload(3, &DAYS[1..], 2),
        first,
        second,
    ];
    let (site, alone) = (Site::new(), Site::new());
    let paths = site.write(&payloads);
    let one = |path: &PathBuf| site.run(std::slice::from_ref(path)).begins();
    together(paths.iter().map(one).collect());
    alone.run(&paths).succeeds();
    site.is_like(&alone, "five hosts with payloads of the same days");
}

#[test]
fn clusters_may_come_at_once() {
    let of = |cluster: u32, number: u32, hours: u32| -> Payload {
        payload(number, &DAYS, hours).manifest("cluster_id", format!("cluster-{cluster}"))
    };
    let (site, alone) = (Site::new(), Site::new());
    let early: Vec<Payload> = (1..=4).map(|cluster| of(cluster, 1, 2)).collect();
    let late: Vec<Payload> = (1..=4).map(|cluster| of(cluster, 2, 3)).collect();
    let paths = site.write(&[early, late].concat());
    // Each host has the two payloads of a cluster, in one order or the other.
    let hosts = (0..4).map(|cluster| {
        let mut its = [paths[cluster].clone(), paths[cluster + 4].clone()];
        its.rotate_left(cluster % 2);
        site.run(&its).begins()
    });
    together(hosts.collect());
    alone.run(&paths).succeeds();
    site.is_like(&alone, "four clusters at once");
}

#[test]
fn other_commands_may_be_at_work_too() {
    let (site, alone) = (Site::new(), Site::new());
    let paths = site.write(&[payload(1, &DAYS, 2), payload(2, &DAYS, 3)]);
    let days = ["--source", CLUSTER, "--from", DAYS[0], "--to", DAYS[1]];
    for site in [&site, &alone] {
        site.run(&paths[..1]).succeeds();
    }
    let replay = || {
        site.command(&["replay", "pipelines/ocp.toml"])
            .arguments(days)
            .with_stages()
            .begins()
    };
    let summarize = || site.command(&["summarize"]).arguments(days).begins();
    let clean = || {
        site.command(&["clean", "--retention-days", "30"])
            .arguments(["--retention-months", "120"])
            .begins()
    };
    together(vec![
        site.run(&paths[1..]).begins(),
        replay(),
        summarize(),
        clean(),
        replay(),
        clean(),
    ]);
    alone.run(&paths[1..]).succeeds();
    site.is_like(&alone, "a run among other commands");
}

/// The server has all of a COPY when its host is killed, and has yet to look at it.
/// The rows of such a run must not stay when the next host has cleared away.
#[test]
fn a_copy_that_outlives_its_host_leaves_nothing() {
    let (site, alone) = (Site::new(), Site::new());
    let paths = site.write(&[payload(1, &DAYS, 3)]);
    site.database.execute(
        "CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(42);
            RETURN NEW;
        END
        $$;
        CREATE TRIGGER wait_for_the_test
            BEFORE INSERT ON reporting_ocpusagelineitem_pod_staging
            FOR EACH ROW EXECUTE FUNCTION wait_for_the_test()",
    );
    // Whoever asks for these is at a COPY; who waits for an advisory lock of another
    // key is at the source or a generation.
    let waiting = |key: &str| {
        let count = site.database.query_value(&format!(
            "SELECT count(*)
            FROM pg_locks
            WHERE
                locktype = 'advisory'
                AND NOT granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND {key}"
        ));
        count.map_or(0, |count| count.parse().expect("a number"))
    };
    let copies = || waiting("(classid, objid) = (0, 42)");
    let others = || waiting("(classid, objid) <> (0, 42)");

    let gate = site.database.session();
    gate.execute("SELECT pg_advisory_lock(42)");
    let failpoints = site.folder().join("failpoints");
    let first = site
        .run(&paths)
        .env("GRISTMILL_TEST_FAILPOINTS", &failpoints)
        .env("GRISTMILL_TEST_KEPT_BYTES", "0")
        .begins();
    let all_is_sent = || {
        let failpoints = std::fs::read_to_string(&failpoints).unwrap_or_default();
        copies() == 1 && failpoints.matches("copy-ending").count() == 2
    };
    wait_until("the server has all rows", all_is_sent);
    // The last message is on its way; some more questions give it the time.
    for _ in 0..20 {
        copies();
    }
    first.signal(Signal::KILL);
    assert_eq!(first.ends().code, None);
    assert_eq!(copies(), 1, "the server is not done with it");

    let second = site.run(&paths).begins();
    wait_until("another host is there", || copies() == 2 || others() == 1);
    gate.execute("SELECT pg_advisory_unlock(42)");
    assert_eq!(second.ends().code, Some(0));
    site.database
        .execute("DROP TRIGGER wait_for_the_test ON reporting_ocpusagelineitem_pod_staging");
    alone.run(&paths).succeeds();
    site.is_like(&alone, "a COPY that outlived its host");
}
