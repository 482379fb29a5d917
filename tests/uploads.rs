//! `gristmill uploads`: uploads of which files never come, what becomes of them by
//! themselves, and by hand.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::command::Ended;
use crate::support::payload::{Payload, Report};
use crate::support::site::Site;

const FIRST: &str = "00000000-0000-4000-8000-000000000001";
const SECOND: &str = "00000000-0000-4000-8000-000000000002";

/// The two parts of an upload: pods and volumes of so many hours.
fn parts(number: u32, hours: u32) -> [Payload; 2] {
    let whole = Payload::numbered(number).manifest("files", json!(["pods.csv", "volumes.csv"]));
    [
        whole
            .clone()
            .member("pods.csv", Report::pods().hours(0..hours).text()),
        whole.member("volumes.csv", Report::volumes().hours(0..hours).text()),
    ]
}

/// A site with the parts of the first upload, the whole second and a third one, of which
/// nothing is loaded yet.
fn site() -> (Site, Vec<PathBuf>) {
    let site = Site::new();
    let [pods, volumes] = parts(1, 3);
    let paths = site.write(&[pods, volumes, Payload::usual(2), Payload::usual(3)]);
    (site, paths)
}

#[track_caller]
fn list(site: &Site, arguments: &[&str]) -> Vec<Value> {
    let ended = site
        .command(&["uploads", "list", "--json"])
        .arguments(arguments)
        .succeeds();
    ended.json().as_array().cloned().unwrap_or_default()
}

#[track_caller]
fn state(site: &Site, upload: &str) -> String {
    let all = list(site, &["--state", "all"]);
    let found = all.iter().find(|one| one["upload"] == upload);
    let state = found.map(|one| one["state"].as_str().unwrap_or_default());
    state.unwrap_or("unknown").to_string()
}

fn abandon(site: &Site, upload: &str, code: i32) -> Ended {
    site.command(&["uploads", "abandon", upload])
        .ends_with(code)
}

fn overdue(site: &Site) {
    site.database.execute(
        "UPDATE reporting_common_costusagereportmanifest SET creation_datetime = now() - interval '200 days';
        UPDATE gristmill_generation SET started_at = now() - interval '200 days' WHERE manifest_id = 1",
    );
}

fn staged(site: &Site) -> Option<String> {
    site.database.query_value(
        "SELECT
            (SELECT count(*) FROM reporting_ocpusagelineitem_pod_staging)
            + (SELECT count(*) FROM reporting_ocpusagelineitem_storage_staging)",
    )
}

fn clean(site: &Site) -> Ended {
    site.command(&["clean", "--retention-days", "1"]).succeeds()
}

#[test]
fn an_upload_that_waits_is_listed_with_what_it_lacks() {
    let (site, paths) = site();
    site.run(&paths[..1]).succeeds();
    overdue(&site);
    let [waiting] = &list(&site, &[])[..] else {
        panic!("one upload");
    };
    assert_eq!(waiting["upload"], FIRST);
    assert_eq!(waiting["state"], "waiting");
    assert_eq!(waiting["files_loaded"], 1);
    assert_eq!(waiting["files_missing"], json!(["volumes.csv"]));
    let shown = site.command(&["uploads", "list"]).succeeds().stdout;
    assert!(
        shown.contains("1 of 2") && shown.contains("volumes.csv"),
        "{shown}"
    );
    site.command(&["status"]).ends_with(1);
    // As long as nothing takes its place it stays.
    clean(&site);
    assert_eq!(staged(&site).as_deref(), Some("3"));
    site.run(&paths[1..2]).succeeds();
    assert_eq!(state(&site, FIRST), "published");
    assert_eq!(list(&site, &["--state", "waiting"]), Vec::<Value>::new());
    let none = site.command(&["uploads", "list"]).succeeds();
    none.stderr_is("no upload waits for files");
}

#[test]
fn the_next_upload_of_its_days_supersedes_it() {
    let (site, paths) = site();
    site.run(&paths[..1]).succeeds();
    site.run(&paths[2..3]).succeeds();
    overdue(&site);
    let [superseded] = &list(&site, &[])[..] else {
        panic!("one upload");
    };
    assert_eq!(superseded["state"], "superseded");
    assert_eq!(superseded["superseded_by"], SECOND);
    assert_eq!(superseded["files_missing"], json!(["volumes.csv"]));
    site.command(&["status"]).ends_with(0);
    // The dry run says what goes; six are staged until then.
    assert_eq!(staged(&site).as_deref(), Some("6"));
    let dry = site
        .command(&["clean", "--retention-days", "1", "--dry-run", "--json"])
        .succeeds()
        .json();
    assert_eq!(dry["generations"][0]["reason"], "superseded");
    assert_eq!(staged(&site).as_deref(), Some("6"));
    clean(&site);
    assert_eq!(staged(&site).as_deref(), Some("3"));
    assert_eq!(state(&site, FIRST), "superseded");
    assert_eq!(list(&site, &[]).len(), 1, "it is shown with what it lacked");
    site.command(&["status"]).ends_with(0);
    // What was taken back is missing: the last part alone publishes nothing.
    let late = site.run(&paths[1..2]).succeeds();
    assert!(
        late.stderr.contains("waits for 1 more of its files"),
        "{late}"
    );
    site.run(&paths[..1]).succeeds();
    assert_eq!(state(&site, FIRST), "published");
    site.is_in_order("all of that");
}

#[test]
fn a_part_that_comes_late_completes_what_is_still_there() {
    let (site, paths) = site();
    let [pods, volumes] = parts(5, 4);
    let more = site.write(&[Payload::usual(2), pods, volumes]);
    site.run(&[more[1].clone()]).succeeds();
    site.run(&more[..1]).succeeds();
    // The second one is earlier, so it takes nothing's place.
    assert_eq!(list(&site, &[])[0]["state"], "waiting");
    site.run(&[more[2].clone()]).succeeds();
    let hours = "SELECT hours FROM gristmill_day";
    assert_eq!(site.database.query_value(hours).as_deref(), Some("4"));
    drop(paths);
}

#[test]
fn an_upload_that_covers_other_days_supersedes_nothing() {
    let site = Site::new();
    let other = Report::pods().row(0, &[("interval_start", "2026-01-11 00:00:00 +0000 UTC")]);
    let [pods, _] = parts(1, 3);
    let other = Payload::numbered(2).file("pods.csv", other.text());
    let paths = site.write(&[pods, other]);
    site.run(&paths).succeeds();
    assert_eq!(list(&site, &[])[0]["state"], "waiting");
}

#[test]
fn an_additive_upload_is_superseded_by_a_daily_one_alone() {
    let site = Site::new();
    let [pods, _] = parts(1, 3);
    let additive = |payload: Payload| payload.manifest("daily_reports", false);
    let paths = site.write(&[
        additive(pods),
        additive(Payload::usual(2)),
        Payload::usual(3),
    ]);
    site.run(&paths[..2]).succeeds();
    assert_eq!(list(&site, &[])[0]["state"], "waiting");
    site.run(&paths[2..]).succeeds();
    assert_eq!(list(&site, &[])[0]["state"], "superseded");
}

#[test]
fn a_person_gives_up_what_never_comes() {
    let (site, paths) = site();
    let bad = Report::pods()
        .hours(0..3)
        .row(0, &[("pod_usage_cpu_core_seconds", "much")]);
    let part = Payload::numbered(7)
        .manifest("files", json!(["pods.csv", "volumes.csv"]))
        .member("pods.csv", bad.text());
    let seventh = site.write(&[Payload::usual(2), part])[1].clone();
    site.run(std::slice::from_ref(&seventh)).succeeds();
    overdue(&site);
    site.command(&["status"]).ends_with(1);
    let upload = "00000000-0000-4000-8000-000000000007";
    abandon(&site, upload, 0).stderr_is(&format!(
        "upload {upload} of cluster `test-cluster` is given up; it lacked volumes.csv\n\
        1 of its rows in quarantine were discarded\n\
        `gristmill run` of all of its payloads brings it back"
    ));
    assert_eq!(state(&site, upload), "abandoned");
    assert_eq!(staged(&site).as_deref(), Some("0"));
    site.command(&["status"]).ends_with(0);
    site.is_in_order("giving it up");
    abandon(&site, upload, 0).stderr_is(&format!(
        "upload {upload} of cluster `test-cluster` was given up before"
    ));
    // It comes again, and waits again.
    site.run(&[seventh]).succeeds();
    assert_eq!(state(&site, upload), "waiting");
    drop(paths);
}

#[test]
fn what_is_published_or_unknown_is_not_given_up() {
    let (site, paths) = site();
    site.run(&paths[2..3]).succeeds();
    abandon(&site, SECOND, 1).stderr_is(&format!(
        "error: upload {SECOND} waits for no file\n\n\
        hint: `gristmill days remove` takes published days back"
    ));
    abandon(&site, FIRST, 1).stderr_is(&format!(
        "error: no upload {FIRST} is known\n\n\
        hint: `gristmill uploads list --state all` shows the uploads"
    ));
    site.command(&["uploads", "abandon", "x"]).ends_with(2);
}

/// Two clusters may have uploads of one name.
#[test]
fn an_upload_of_two_clusters_is_not_guessed() {
    let site = Site::new();
    let [pods, _] = parts(1, 3);
    let other = pods.clone().manifest("cluster_id", "another");
    let paths = site.write(&[pods, other]);
    site.run(&paths).succeeds();
    let ended = abandon(&site, FIRST, 1);
    assert!(
        ended.stderr.contains("2 clusters have an upload"),
        "{ended}"
    );
    site.command(&["uploads", "abandon", FIRST, "--source", "another"])
        .succeeds();
    let waiting = list(&site, &[]);
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0]["cluster_id"], "test-cluster");
}
