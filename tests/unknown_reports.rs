//! Reports of a kind that the pipeline does not know, such as a newer operator brings.

use serde_json::{Value, json};

use crate::support::command::{Ended, file};
use crate::support::payload::{Payload, Report, write};
use crate::support::site::Site;

const ENERGY: &str = "report_period_start,report_period_end,interval_start,interval_end,node,joules\n\
    2026-01-01 00:00:00 +0000 UTC,2026-02-01 00:00:00 +0000 UTC,\
    2026-01-10 00:00:00 +0000 UTC,2026-01-10 00:59:59 +0000 UTC,n1,12\n";

/// Pods of three hours and their energy.
fn newer(number: u32) -> Payload {
    Payload::usual(number).file("energy.csv", ENERGY)
}

#[track_caller]
fn status(site: &Site) -> (Value, String) {
    let shown = site.command(&["status", "--json"]).ends_with(0);
    (shown.json()["warnings"].clone(), shown.stderr)
}

/// Runs a payload through the shipped pipeline with more to it.
fn run_with(site: &Site, verb: &[&str], more: &str, arguments: &[&str]) -> Ended {
    let text = format!("extends = {:?}\n{more}", file("pipelines/ocp.toml"));
    let pipeline = write(site.folder(), "pipeline.toml", text.as_bytes());
    site.command(verb)
        .argument(pipeline)
        .arguments(arguments)
        .with_stages()
        .ends()
}

#[test]
fn a_report_of_an_unknown_kind_is_read_past_and_status_goes_on_saying_so() {
    let site = Site::new();
    let paths = site.write(&[newer(1), newer(2)]);
    let ended = site.run(&paths[..1]).succeeds();
    assert!(ended.stdout.contains("published"), "{ended}");
    let warning = "warning: [FOLDER]/payload-0.tar.gz: report `energy.csv` is of no kind that \
        pipeline `ocp` knows, and is read past: its header begins with \
        `report_period_start,report_period_end,interval_start,interval_end,node`";
    assert!(ended.stderr.contains(warning), "{ended}");
    let rows = "SELECT count(*) FROM reporting_ocpusagelineitem_pod_staging";
    assert_eq!(site.database.query_value(rows).as_deref(), Some("3"));

    let words = "cluster `test-cluster`: reports of a kind that the pipeline does not know are \
        read past, in an upload since ";
    for _ in 0..2 {
        let (warnings, said) = status(&site);
        assert_eq!(warnings[0]["kind"], "unknown-report");
        let message = warnings[0]["message"].as_str().unwrap_or_default();
        assert!(message.starts_with(words), "{message}");
        assert!(
            message.contains("last `energy.csv`: its header begins"),
            "{message}"
        );
        assert!(said.starts_with(&format!("warning: {words}")), "{said}");
    }
    // It is that of the days that count, whatever comes.
    site.run(&paths[1..]).succeeds();
    let (warnings, _) = status(&site);
    assert_eq!(warnings.as_array().map(Vec::len), Some(1), "{warnings}");
}

#[test]
fn who_ignores_the_kind_is_told_no_more() {
    let site = Site::new();
    let paths = site.write(&[newer(1), newer(2)]);
    site.run(&paths[..1]).succeeds();
    let ignored = "[reports.energy]\ndetect = [\"joules\"]\nignore = true\n";
    let next = paths[1].display().to_string();
    let ended = run_with(&site, &["run"], ignored, &[&next]);
    assert_eq!(
        (ended.code, ended.stderr.contains("warning")),
        (Some(0), false),
        "{ended}"
    );
    assert_eq!(status(&site), (json!([]), String::new()));
}

#[test]
fn a_replay_that_knows_the_kind_settles_it() {
    let site = Site::new();
    let paths = site.write(&[newer(1)]);
    site.run(&paths).succeeds();
    let other = "[reports.other]\ndetect = [\"watts\"]\nignore = true\n";
    let days = ["--source", "test-cluster", "--from", "2026-01"];
    assert_eq!(run_with(&site, &["replay"], other, &days).code, Some(0));
    assert_eq!(status(&site).0.as_array().map(Vec::len), Some(1));
    let ignored = "[reports.energy]\ndetect = [\"joules\"]\nignore = true\n";
    assert_eq!(run_with(&site, &["replay"], ignored, &days).code, Some(0));
    assert_eq!(status(&site).0, json!([]));
}

#[test]
fn a_pipeline_may_refuse_them() {
    let site = Site::new();
    let path = site.write(&[newer(1)])[0].display().to_string();
    let refuse = "publish.unknown-reports = \"refuse\"\n";
    let ended = run_with(&site, &["run"], refuse, &[&path]);
    assert_eq!(ended.code, Some(1), "{ended}");
    let words = "error: report `energy.csv` is of no kind that pipeline `ocp` knows: its header \
        begins with `report_period_start,report_period_end,interval_start,interval_end,node`";
    assert!(ended.stderr.contains(words), "{ended}");
    let ended = run_with(
        &site,
        &["run"],
        "publish.unknown-reports = \"drop\"\n",
        &[&path],
    );
    assert_eq!(ended.code, Some(2), "{ended}");
}

/// As long as other parts are to come, a part may have nothing else.
#[test]
fn a_payload_of_which_nothing_is_known_is_refused_and_a_part_is_not() {
    let site = Site::new();
    let alone = Payload::numbered(1).file("energy.csv", ENERGY);
    let names = json!(["energy.csv", "pods.csv"]);
    let part = Payload::numbered(2)
        .manifest("files", names.clone())
        .member("energy.csv", ENERGY);
    let other = Payload::numbered(2)
        .manifest("files", names)
        .member("pods.csv", Report::pods().hours(0..2).text());
    let paths = site.write(&[alone, part, other]);
    let ended = site.run(&paths[..1]).ends_with(1);
    assert!(
        ended
            .stderr
            .contains("error: report `energy.csv` is of no kind"),
        "{ended}"
    );
    let ended = site.run(&paths[1..2]).succeeds();
    assert!(
        ended.stderr.contains("waits for 1 more of its files"),
        "{ended}"
    );
    site.run(&paths[2..]).succeeds();
    let days = "SELECT count(*) FROM gristmill_day";
    assert_eq!(site.database.query_value(days).as_deref(), Some("1"));
}
