//! A reused upload is replayed, summarized and cleaned together with the one that reuses it.

use std::path::PathBuf;

use chrono::{Datelike as _, Months, NaiveDate, Utc};

use super::{STAGED_ROWS, load, number, pods, reads_like, usual, volumes};
use crate::support::payload::{CLUSTER, DAY, Payload, Report};
use crate::support::site::Site;

/// A site after two uploads, of which the second took over the first.
fn site() -> (Site, Vec<PathBuf>) {
    let site = Site::new();
    let paths = site.write(&[usual(1, 2), usual(2, 5)]);
    site.run(&paths).succeeds();
    let taken = "SELECT rows_reused FROM gristmill_run ORDER BY id DESC LIMIT 1";
    assert_eq!(site.database.query_value(taken).as_deref(), Some("6"));
    (site, paths)
}

#[track_caller]
fn replay(site: &Site, pipeline: &str) {
    site.command(&["replay", pipeline, "--source", CLUSTER, "--from", DAY])
        .with_stages()
        .succeeds();
}

#[test]
fn a_reused_upload_is_replayed_with_the_one_that_reuses_it() {
    let (site, paths) = site();
    let alone = Site::new();
    alone.run(&paths[1..]).succeeds();
    reads_like(&site.database, &alone.database, "reuse");

    // The first upload stays as it is.
    site.run(&paths[..1]).succeeds().stderr_is(
        "[FOLDER]/payload-0.tar.gz: nothing to do, all of it was loaded before, by pipeline `ocp`",
    );
    reads_like(&site.database, &alone.database, "the first upload again");
    for pipeline in ["pipelines/ocp.toml", "pipelines/ocp-max.toml"] {
        replay(&site, pipeline);
        replay(&alone, pipeline);
        reads_like(&site.database, &alone.database, pipeline);
        site.is_in_order(pipeline);
        let rows = site.database.query_value(STAGED_ROWS);
        assert_eq!(rows.as_deref(), Some("15"), "staged rows after {pipeline}");
    }

    // A replayed upload is loaded when it comes again, and that one is reused.
    let more = site.write(&[usual(3, 6), usual(4, 7)]);
    let result = load(&site.database, "pipelines/ocp-max.toml", &more[..1]);
    assert_eq!(number(&result, "rows_reused"), 0);
    let result = load(&site.database, "pipelines/ocp-max.toml", &more[1..]);
    assert_eq!(number(&result, "rows_reused"), 18);
}

/// The first day of a month that is not over yet, and of the one behind it.
fn months_to_come() -> [NaiveDate; 2] {
    let today = Utc::now().date_naive();
    let this_month = today.with_day(1).expect("a first day");
    [1, 2].map(|ahead| this_month + Months::new(ahead))
}

/// The upload in such a month.
fn to_come(number: u32, hours: u32) -> Payload {
    let [month, next] = months_to_come().map(|month| month.format("%Y-%m").to_string());
    let text = |report: &Report| {
        let text = report.text().replace("2026-02-", &format!("{next}-"));
        text.replace("2026-01-", &format!("{month}-"))
    };
    Payload::numbered(number)
        .manifest("start", format!("{month}-10T00:00:00Z"))
        .manifest("end", format!("{month}-10T23:59:59Z"))
        .file(&format!("{number}-pods.csv"), &text(&pods(0..hours)))
        .file(&format!("{number}-volumes.csv"), &text(&volumes(hours)))
}

#[test]
fn a_reused_upload_is_not_superseded() {
    let day = months_to_come()[0].format("%Y-%m-10").to_string();
    let (site, alone) = (Site::new(), Site::new());
    let payloads = site.write(&[to_come(1, 2), to_come(2, 5)]);
    site.run(&payloads).succeeds();
    alone.run(&payloads[1..]).succeeds();
    for site in [&site, &alone] {
        site.command(&["clean", "--retention-days", "0"]).succeeds();
        assert_eq!(
            site.database.query_value(STAGED_ROWS).as_deref(),
            Some("15")
        );
        site.command(&["summarize", "--source", CLUSTER, "--from", &day])
            .succeeds();
    }
    reads_like(&site.database, &alone.database, "a clean-up");
    site.is_in_order("a clean-up");
}

#[test]
fn a_reused_upload_is_cleaned_with_the_one_that_reuses_it() {
    let (site, paths) = site();
    let alone = Site::new();
    alone.run(&paths[1..]).succeeds();
    for site in [&site, &alone] {
        // The day is over for long.
        site.command(&["clean", "--retention-days", "0"]).succeeds();
        assert_eq!(site.database.query_value(STAGED_ROWS).as_deref(), Some("0"));
    }
    reads_like(&site.database, &alone.database, "a clean-up");
    site.is_in_order("a clean-up");
    // An upload without staged rows is not reused.
    let more = site.write(&[usual(3, 6)]);
    let result = load(&site.database, "pipelines/ocp.toml", &more);
    assert_eq!(number(&result, "rows_reused"), 0);
    assert_eq!(number(&result, "rows_loaded"), 18);
}
