//! `gristmill log`: who changed what by hand.

use serde_json::Value;

use crate::support::payload::{Payload, Report};
use crate::support::site::Site;

#[track_caller]
fn log(site: &Site) -> Vec<Value> {
    let ended = site.command(&["log", "--json"]).succeeds();
    ended.json().as_array().cloned().unwrap_or_default()
}

#[test]
fn what_people_do_is_kept_with_who_did_it() {
    let site = Site::new();
    let none = site.command(&["log"]).succeeds();
    none.stderr_is("nobody has changed anything by hand");
    let part = Payload::numbered(2)
        .manifest("cluster_id", "parts")
        .manifest("files", serde_json::json!(["pods.csv", "volumes.csv"]))
        .member("pods.csv", Report::pods().hours(0..3).text());
    let bad = Report::pods()
        .hours(0..3)
        .row(0, &[("pod_usage_cpu_core_seconds", "much")]);
    let bad = Payload::numbered(1).file("pods.csv", bad.text());
    let paths = site.write(&[bad, part]);
    site.run(&paths).succeeds();
    assert_eq!(log(&site), Vec::<Value>::new(), "payloads are no people");

    let does = |arguments: &[&str]| {
        site.command(arguments).succeeds();
    };
    does(&["tags", "enable", "app", "team"]);
    does(&["tags", "enable", "app"]);
    does(&["tags", "map", "team", "app"]);
    does(&["tags", "unmap", "team"]);
    does(&["tags", "disable", "team"]);
    does(&["quarantine", "discard", "1", "--reason", "seen"]);
    let cluster = ["--cluster-id", "test-cluster"];
    does(&[
        "sources", "rename", cluster[0], cluster[1], "--alias", "Uno",
    ]);
    does(&[
        "sources", "rename", cluster[0], cluster[1], "--alias", "Uno",
    ]);
    does(&["uploads", "abandon", "00000000-0000-4000-8000-000000000002"]);
    does(&[
        "days",
        "remove",
        "--source",
        "Uno",
        "--from",
        "2026-01-10",
        "--dry-run",
    ]);
    does(&["days", "remove", "--source", "Uno", "--from", "2026-01-10"]);
    does(&["sources", "remove", cluster[0], cluster[1]]);
    does(&["clean", "--retention-months", "3"]);
    let elsewhere = site.folder().join("elsewhere").display().to_string();
    does(&["archive", "adopt", "--directory", &elsewhere]);
    let done = log(&site);
    let text = |action: &Value, key: &str| action[key].as_str().unwrap_or_default().to_string();
    let told: Vec<String> = done
        .iter()
        .rev()
        .map(|action| format!("{}: {}", text(action, "command"), text(action, "subject")))
        .collect();
    let elsewhere = "archive adopt: archive `[FOLDER]/elsewhere/gristmill`";
    assert_eq!(
        told,
        [
            "tags enable: `app`, `team`",
            "tags map: `team` is known as `app`",
            "tags unmap: `team`",
            "tags disable: `team`",
            "quarantine discard: 1 rows in quarantine: seen",
            "sources rename: cluster `test-cluster` is called `Uno`",
            "uploads abandon: upload 00000000-0000-4000-8000-000000000002 of cluster `parts`",
            "days remove: 2026-01-10 of cluster `test-cluster`",
            "sources remove: cluster `test-cluster`",
            "clean: what was past retention",
            elsewhere,
        ]
    );
    let user = std::process::Command::new("id").arg("-un").output();
    let user = String::from_utf8(user.expect("a user").stdout).expect("a name");
    let role = site.database.query_value("SELECT session_user");
    for action in &done {
        assert_eq!(text(action, "system_user"), user.trim());
        assert_eq!(Some(text(action, "database_role")), role);
        assert!(text(action, "done_at").starts_with("20"), "{action}");
    }
    // The newest first, and as many as are asked for.
    let shown = site.command(&["log", "--limit", "2"]).succeeds();
    assert!(shown.stdout.contains("archive adopt"), "{shown}");
    assert!(!shown.stdout.contains("tags"), "{shown}");
    shown.stderr_is("there may be more; `--limit N` shows them");
    let removed = done
        .iter()
        .find(|action| action["command"] == "sources remove");
    let details = &removed.expect("one")["details"];
    assert_eq!(details["cluster_alias"], "Uno");
    assert!(
        details["tables"]
            .as_array()
            .is_some_and(|tables| !tables.is_empty())
    );
}

/// What did not happen is not in the record.
#[test]
fn what_fails_is_not_recorded() {
    let site = Site::new();
    site.command(&["tags", "map", "a", "b"]).ends_with(2);
    site.command(&["tags", "enable", "a"]).succeeds();
    site.command(&["tags", "map", "a", "a"]).ends_with(2);
    site.command(&["sources", "remove", "--cluster-id", "nobody"])
        .ends_with(1);
    assert_eq!(log(&site).len(), 1);
}
