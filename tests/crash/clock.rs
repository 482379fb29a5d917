//! Clocks that jump. Which upload counts is a matter of what uploads say of
//! themselves; when they came is only told.

use super::{DAYS, payload};
use crate::support::command::{file, run};
use crate::support::payload::{CLUSTER, write};
use crate::support::site::Site;

/// Moves every time at which something was done.
fn move_clock(site: &Site, by: &str) {
    let columns = site.database.query_rows(
        "SELECT relname, attname
        FROM pg_class
        JOIN pg_attribute
            ON attrelid = pg_class.oid
            AND attnum > 0
            AND NOT attisdropped
        WHERE
            relnamespace = 'gristmill'::regnamespace
            AND relkind IN ('r', 'p')
            AND NOT relispartition
            AND atttypid = 'timestamptz'::regtype
            AND (attname LIKE '%\\_at' OR attname LIKE '%\\_datetime')
            AND relname NOT LIKE '%\\_staging'
            AND attname NOT IN ('billing_period_start_datetime', 'export_datetime')",
    );
    assert!(columns.len() > 10, "there are more times than {columns:?}");
    for column in columns {
        let [Some(table), Some(column)] = &column[..] else {
            panic!("a table and a column");
        };
        site.database.execute(&format!(
            "UPDATE {table} SET {column} = {column} + interval '{by}'"
        ));
    }
}

#[test]
fn a_clock_that_jumps_changes_no_number() {
    let (site, steady) = (Site::new(), Site::new());
    let payloads = site.write(&[
        payload(2, &DAYS, 2),
        payload(1, &DAYS[..1], 2),
        payload(3, &DAYS[1..], 4),
    ]);
    for jumps in ["30 years", "-60 years"] {
        site.run(&payloads[..2]).succeeds();
        move_clock(&site, jumps);
    }
    site.run(&payloads).succeeds();
    let days = ["--source", CLUSTER, "--from", DAYS[0], "--to", DAYS[1]];
    site.command(&["replay", "pipelines/ocp.toml"])
        .arguments(days)
        .with_stages()
        .succeeds();
    steady.run(&payloads).succeeds();
    site.is_like(&steady, "a clock that jumped");
}

#[test]
fn what_was_loaded_in_the_future_is_not_past_retention() {
    let site = Site::new();
    let payloads = site.write(&[payload(1, &DAYS, 2), payload(2, &DAYS, 3)]);
    site.run(&payloads).succeeds();
    move_clock(&site, "1 year");
    let before = site.contents();
    site.command(&["clean", "--retention-days", "0"]).succeeds();
    assert_eq!(site.contents(), before);
    move_clock(&site, "-2 years");
    site.command(&["clean", "--retention-days", "0"]).succeeds();
    let summary = "reporting_ocpusagelineitem_daily_summary";
    let staging = "reporting_ocpusagelineitem_pod_staging";
    let after = site.contents();
    assert_eq!(after[summary], before[summary]);
    assert_ne!(after[staging], before[staging], "the worse one is old now");
}

#[test]
fn days_of_any_year_are_loaded_where_the_pipeline_says_so() {
    let site = Site::new();
    let far = [["2000-01-01"], ["2099-12-31"]];
    let payloads: Vec<_> = (1..)
        .zip(&far)
        .map(|(n, days)| payload(n, days, 2))
        .collect();
    let payloads = site.write(&payloads);
    let ended = site.run(&payloads).ends_with(1);
    for key in ["months-back", "months-ahead"] {
        assert!(ended.stderr.contains(key), "{ended}");
    }
    let ocp = file("pipelines/ocp.toml");
    let text = format!("extends = {ocp:?}\n[limits]\nmonths-back = 1200\nmonths-ahead = 1200\n");
    let patient = write(site.folder(), "patient.toml", text.as_bytes());
    run(&site.database, &patient, &payloads)
        .env("GRISTMILL_DATA", site.folder())
        .succeeds();
    let days = site.database.query_rows(
        "SELECT usage_start::text, count(*)::text
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE namespace = 'app'
        GROUP BY usage_start
        ORDER BY usage_start",
    );
    let expected = far.map(|[day]| vec![Some(day.to_string()), Some("2".to_string())]);
    assert_eq!(days, expected);
    site.is_in_order("days of far years");
}
