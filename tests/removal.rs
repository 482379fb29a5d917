//! `gristmill days remove` and `gristmill sources remove`: what is taken back is gone from
//! every table, and running its payloads again brings it back.

use std::path::PathBuf;

use gristmill::ledger::comparison::Scope;
use serde_json::{Value, json};

use crate::support::command::Ended;
use crate::support::contents;
use crate::support::payload::{Payload, Report};
use crate::support::site::Site;

const CLUSTERS: [&str; 2] = ["cluster-a", "cluster-b"];

/// Pods and volumes of three hours of some days, each with an object of its own and one that
/// all days have.
fn reports(days: &[&str]) -> (Report, Report) {
    let (mut pods, mut volumes) = (Report::pods(), Report::volumes());
    for day in days {
        let period = format!("{}-01 00:00:00 +0000 UTC", &day[..7]);
        for hour in 0..3 {
            let start = format!("{day} {hour:02}:00:00 +0000 UTC");
            let end = format!("{day} {hour:02}:59:59 +0000 UTC");
            let times = [
                ("report_period_start", period.as_str()),
                ("interval_start", start.as_str()),
                ("interval_end", end.as_str()),
            ];
            let own = [
                format!("n-{day}"),
                format!("p-{day}"),
                format!("label_app:v-{day}"),
            ];
            for [node, namespace, labels] in
                [["n1", "app", "label_app:all"], [&own[0], &own[1], &own[2]]]
            {
                let mut cells = vec![("node", node), ("namespace", namespace)];
                cells.extend(times);
                let claim = format!("pv-{namespace}");
                let mut volume = cells.clone();
                cells.push(("pod_labels", labels));
                volume.push(("persistentvolume_labels", labels));
                volume.push(("persistentvolume", &claim));
                pods = pods.row(hour, &cells);
                volumes = volumes.row(hour, &volume);
            }
        }
    }
    (pods, volumes)
}

fn of_days(number: u32, cluster: &str, days: &[&str]) -> Payload {
    Payload::numbered(number)
        .manifest("cluster_id", cluster)
        .manifest("start", format!("{}T00:00:00Z", days[0]))
        .manifest("end", format!("{}T23:59:59Z", days[days.len() - 1]))
}

fn payload(number: u32, cluster: &str, days: &[&str]) -> Payload {
    let (pods, volumes) = reports(days);
    of_days(number, cluster, days)
        .file("pods.csv", pods.text())
        .file("volumes.csv", volumes.text())
}

/// The same in two tarballs.
fn parts(number: u32, cluster: &str, days: &[&str]) -> [Payload; 2] {
    let (pods, volumes) = reports(days);
    let part = of_days(number, cluster, days).manifest("files", json!(["pods.csv", "volumes.csv"]));
    [
        part.clone().member("pods.csv", pods.text()),
        part.member("volumes.csv", volumes.text()),
    ]
}

/// A site in which `app` is a tag, with these payloads loaded.
#[track_caller]
fn site(payloads: &[Payload]) -> (Site, Vec<PathBuf>) {
    let site = Site::new();
    site.command(&["tags", "enable", "app"]).succeeds();
    let paths = site.write(payloads);
    if !paths.is_empty() {
        site.run(&paths).succeeds();
    }
    (site, paths)
}

fn days(site: &Site, from: &str, more: &[&str]) -> Ended {
    site.command(&["days", "remove", "--source", CLUSTERS[0], "--from", from])
        .arguments(more)
        .succeeds()
}

/// Where these payloads are in the archive.
#[track_caller]
fn archived(site: &Site, which: &str) -> Vec<PathBuf> {
    let rows = site.database.query_rows(&format!(
        "SELECT directory || '/' || left(digest, 2) || '/' || digest || '.tar.gz' FROM {which}"
    ));
    rows.into_iter()
        .flatten()
        .flatten()
        .map(PathBuf::from)
        .collect()
}

/// Consumers read the same in both.
#[track_caller]
fn read_the_same(found: &Site, expected: &Site) {
    let compared = contents::compare(&found.database, &expected.database, &Scope::default());
    if let Some(difference) = compared.difference {
        panic!("found on the left, expected on the right:\n{difference}");
    }
}

/// The rows of staging, of each day.
#[track_caller]
fn staged(site: &Site) -> Vec<String> {
    let rows = site.database.query_rows(
        "SELECT day || ' ' || count(*)
        FROM (
            SELECT (interval_start AT TIME ZONE 'UTC')::date AS day FROM reporting_ocpusagelineitem_pod_staging
            UNION ALL
            SELECT (interval_start AT TIME ZONE 'UTC')::date FROM reporting_ocpusagelineitem_storage_staging
        ) AS staged
        GROUP BY day ORDER BY day",
    );
    rows.into_iter().flatten().flatten().collect()
}

#[test]
fn a_day_that_is_removed_is_as_if_it_had_never_come() {
    let first = payload(1, CLUSTERS[0], &["2026-01-10"]);
    let second = payload(2, CLUSTERS[0], &["2026-01-11"]);
    let other = payload(3, CLUSTERS[1], &["2026-01-11"]);
    let (expected, _) = site(&[first.clone(), other.clone()]);
    let (both, _) = site(&[first.clone(), second.clone(), other.clone()]);
    let (site, paths) = site(&[first, second, other]);
    let archived = archived(
        &site,
        "gristmill_archive WHERE payload = 'payload-1.tar.gz'",
    );
    let ended = days(&site, "2026-01-11", &[]);
    read_the_same(&site, &expected);
    assert_eq!(
        staged(&site),
        ["2026-01-10 12", "2026-01-11 12"],
        "the other cluster's"
    );
    site.is_in_order("the removal");
    site.command(&["status"]).ends_with(0);
    // It says the way back, which works.
    let way = "`gristmill run PIPELINE PAYLOAD` of the archived payload brings it back:\n  \
        [FOLDER]/archive/gristmill/";
    assert!(ended.stderr.contains(way), "{ended}");
    site.run(&archived).succeeds();
    site.is_like(&both, "running its payload again");
    drop(paths);
}

#[test]
fn with_the_last_day_of_a_month_the_month_goes() {
    let january = payload(1, CLUSTERS[0], &["2026-01-31"]);
    let february = payload(2, CLUSTERS[0], &["2026-02-01"]);
    let (expected, _) = site(std::slice::from_ref(&january));
    let (site, paths) = site(&[january, february]);
    days(&site, "2026-02", &[]);
    read_the_same(&site, &expected);
    let periods = "SELECT count(*) FROM reporting_ocpusagereportperiod";
    assert_eq!(site.database.query_value(periods).as_deref(), Some("1"));
    drop(paths);
}

/// The other day of the upload stays as it is, staged rows and all, and comes no second time.
#[test]
fn of_an_upload_of_two_days_one_is_removed_and_comes_back() {
    let both = ["2026-01-10", "2026-01-11"];
    let upload = payload(1, CLUSTERS[0], &both);
    let (loaded, _) = site(std::slice::from_ref(&upload));
    let (expected, _) = site(&[payload(1, CLUSTERS[0], &both[..1])]);
    let (site, paths) = site(&[upload]);
    let expect = |removed: bool, after: &str| match removed {
        true => read_the_same(&site, &expected),
        false => site.is_like(&loaded, after),
    };
    days(&site, both[1], &[]);
    expect(true, "");
    assert_eq!(staged(&site), ["2026-01-10 12"]);
    // What is left of it can be summarized and replayed, and nothing comes back by that.
    let january = ["--source", CLUSTERS[0], "--from", "2026-01"];
    site.command(&["summarize"]).arguments(january).succeeds();
    expect(true, "");
    let replay = || {
        site.command(&["replay", "pipelines/ocp.toml"])
            .arguments(january)
            .with_stages()
    };
    replay().succeeds();
    expect(true, "");
    assert_eq!(staged(&site), ["2026-01-10 12"]);
    site.run(&paths).succeeds();
    assert_eq!(staged(&site), ["2026-01-10 12", "2026-01-11 12"]);
    expect(false, "running it again");
    let again = site.run(&paths).succeeds();
    assert!(again.stderr.contains("nothing to do"), "{again}");
    // And the first one.
    days(&site, both[0], &[]);
    assert_eq!(staged(&site), ["2026-01-11 12"]);
    site.run(&paths).succeeds();
    expect(false, "the other day");
    replay().succeeds();
    assert_eq!(staged(&site), ["2026-01-10 12", "2026-01-11 12"]);
}

#[test]
fn of_an_upload_in_parts_one_day_is_removed_and_comes_back_when_all_parts_do() {
    let both = ["2026-01-10", "2026-01-11"];
    let halves = parts(1, CLUSTERS[0], &both);
    let (loaded, _) = site(&halves);
    let (expected, _) = site(&[payload(1, CLUSTERS[0], &both[..1])]);
    let (site, paths) = site(&halves);
    days(&site, both[1], &[]);
    read_the_same(&site, &expected);
    let january = ["--source", CLUSTERS[0], "--from", "2026-01"];
    let ended = site.run(&paths[..1]).succeeds();
    assert!(
        ended.stderr.contains("waits for 1 more of its files"),
        "{ended}"
    );
    // Half of the day is there, and nobody sees it, whatever is made anew.
    read_the_same(&site, &expected);
    site.command(&["summarize"]).arguments(january).succeeds();
    read_the_same(&site, &expected);
    site.run(&paths[1..]).succeeds();
    site.is_like(&loaded, "both parts again");
    // A replay in between takes the half back, and does not lose it.
    days(&site, both[1], &[]);
    site.run(&paths[..1]).succeeds();
    site.command(&["replay", "pipelines/ocp.toml"])
        .arguments(january)
        .with_stages()
        .succeeds();
    read_the_same(&site, &expected);
    site.run(&paths[1..]).succeeds();
    read_the_same(&site, &expected);
    site.run(&paths[..1]).succeeds();
    read_the_same(&site, &loaded);
    assert_eq!(staged(&site), ["2026-01-10 12", "2026-01-11 12"]);
}

/// Its days are made of all of its files.
#[test]
fn of_an_upload_that_waits_all_is_taken_back() {
    let both = ["2026-01-10", "2026-01-11"];
    let halves = parts(1, CLUSTERS[0], &both);
    let (loaded, _) = site(&halves);
    let (site, paths) = site(&halves[..1]);
    days(&site, both[1], &[]);
    assert_eq!(staged(&site), Vec::<String>::new());
    let second = site.write(&halves)[1].clone();
    site.run(&[second]).succeeds();
    let none = "SELECT count(*) FROM gristmill_day";
    assert_eq!(site.database.query_value(none).as_deref(), Some("0"));
    site.run(&paths[..1]).succeeds();
    read_the_same(&site, &loaded);
}

#[test]
fn a_day_of_several_uploads_goes_with_the_rows_of_all_of_them() {
    let day = ["2026-01-10"];
    let payloads = [
        payload(1, CLUSTERS[0], &day),
        payload(2, CLUSTERS[0], &day).manifest("note", "the later one"),
    ];
    let (expected, _) = site(&[]);
    expected
        .command(&["sources", "add", "--cluster-id", CLUSTERS[0]])
        .succeeds();
    let (site, paths) = site(&payloads);
    let before = site.contents();
    days(&site, day[0], &[]);
    read_the_same(&site, &expected);
    assert_eq!(staged(&site), Vec::<String>::new());
    site.run(&paths).succeeds();
    let after = site.contents();
    for (table, rows) in before {
        if table.starts_with("reporting_ocp") {
            assert_eq!(Some(&rows), after.get(&table), "{table}");
        }
    }
}

#[test]
fn additive_uploads_of_a_day_go_and_come_together() {
    let day = ["2026-01-10"];
    let additive = |number| payload(number, CLUSTERS[0], &day).manifest("daily_reports", false);
    let payloads = [additive(1), additive(2)];
    let (loaded, _) = site(&payloads);
    let (site, paths) = site(&payloads);
    days(&site, day[0], &[]);
    assert_eq!(staged(&site), Vec::<String>::new());
    site.run(&paths).succeeds();
    read_the_same(&site, &loaded);
}

/// Of a renamed key the summary shows the new name alone.
#[test]
fn tags_of_a_renamed_key_stay_as_long_as_a_day_has_them() {
    let first = payload(1, CLUSTERS[0], &["2026-01-10"]);
    let second = payload(2, CLUSTERS[0], &["2026-01-11"]);
    let (site, paths) = site(&[]);
    site.command(&["tags", "enable", "application"]).succeeds();
    site.command(&["tags", "map", "app", "application"])
        .succeeds();
    site.run(&site.write(&[first, second])).succeeds();
    let values = "SELECT string_agg(value, ',' ORDER BY value) FROM reporting_ocptags_values";
    let all = site.database.query_value(values);
    assert_eq!(all.as_deref(), Some("all,v-2026-01-10,v-2026-01-11"));
    days(&site, "2026-01-11", &[]);
    assert_eq!(
        site.database.query_value(values).as_deref(),
        Some("all,v-2026-01-10")
    );
    drop(paths);
}

/// Every table that has a row with this text.
#[track_caller]
fn tables_with(site: &Site, text: &str) -> Vec<String> {
    let tables = site.database.query_rows(
        "SELECT DISTINCT table_name FROM compared_columns()
        WHERE table_name <> ALL ('{gristmill_action,gristmill_archive_orphan,gristmill_lake}')",
    );
    let mut found = Vec::new();
    for table in tables.into_iter().flatten().flatten() {
        let rows = site.database.query_value(&format!(
            "SELECT count(*) FROM {table} AS any_row WHERE any_row::text LIKE '%{text}%'"
        ));
        if rows.as_deref() != Some("0") {
            found.push(table);
        }
    }
    found
}

#[test]
fn a_source_that_is_removed_is_nowhere_and_comes_back() {
    let theirs = payload(3, CLUSTERS[1], &["2026-01-31"]);
    let ours = [
        payload(1, CLUSTERS[0], &["2026-01-31", "2026-02-01"]),
        payload(2, CLUSTERS[0], &["2026-02-02"]),
    ];
    let [part, _] = parts(4, CLUSTERS[0], &["2026-02-03"]);
    let bad = reports(&["2026-02-04"])
        .0
        .row(0, &[("interval_start", "never")]);
    let bad = of_days(5, CLUSTERS[0], &["2026-02-04"]).file("pods.csv", bad.text());
    let all = [ours[0].clone(), ours[1].clone(), theirs.clone(), part, bad];
    let (expected, _) = site(&[theirs]);
    let (loaded, _) = site(&all);
    let (site, _) = site(&all);
    let uuid = site
        .database
        .query_value("SELECT source_uuid FROM gristmill_source WHERE cluster_id = 'cluster-a'")
        .expect("a source");
    assert!(tables_with(&site, &uuid).len() > 15);
    let before = site.archived();
    let remove = site.command(&["sources", "remove", "--cluster-id", CLUSTERS[0], "--json"]);
    let removal = remove.succeeds().json();
    assert_eq!(tables_with(&site, &uuid), Vec::<String>::new());
    assert_eq!(tables_with(&site, CLUSTERS[0]), Vec::<String>::new());
    read_the_same(&site, &expected);
    site.command(&["status"]).ends_with(0);
    let runs = "SELECT count(*) FROM gristmill_run";
    assert_eq!(site.database.query_value(runs).as_deref(), Some("1"));
    // What is archived stays until it is past retention, whoever cleans.
    site.command(&["clean"]).succeeds();
    site.command(&["clean", "--retention-months", "120"])
        .succeeds();
    assert_eq!(site.archived(), before);
    let named = removal["archived"].as_array().map(Vec::len);
    let archived = archived(&site, "gristmill_archive_orphan");
    assert_eq!((named, archived.len()), (Some(4), 4));
    site.run(&archived).succeeds();
    read_the_same(&site, &loaded);
    site.is_in_order("running its archived payloads again");
    let orphans = "SELECT count(*) FROM gristmill_archive_orphan";
    assert_eq!(site.database.query_value(orphans).as_deref(), Some("0"));
}

#[test]
fn archived_payloads_of_a_removed_source_go_with_their_months() {
    let (site, _) = site(&[payload(1, CLUSTERS[0], &["2020-01-10"])]);
    site.command(&["sources", "remove", "--cluster-id", CLUSTERS[0]])
        .succeeds();
    assert_eq!(site.archived().len(), 1);
    let cleaned = site
        .command(&["clean", "--retention-months", "3", "--json"])
        .succeeds()
        .json();
    assert_eq!(cleaned["payloads"][0]["manifest_id"], Value::Null);
    assert_eq!(site.archived().len(), 0);
    site.command(&["clean", "--retention-months", "3"])
        .succeeds();
}

#[test]
fn a_dry_run_says_what_would_go_and_takes_nothing() {
    let days_of_a = ["2026-01-10", "2026-01-11"];
    let (site, _) = site(&[
        payload(1, CLUSTERS[0], &days_of_a),
        payload(2, CLUSTERS[1], &days_of_a),
    ]);
    let before = (site.contents(), staged(&site), site.archived());
    let of_a = ["--cluster-id", CLUSTERS[0], "--json"];
    let source = |more: &[&str]| {
        site.command(&["sources", "remove"])
            .arguments(of_a)
            .arguments(more)
            .succeeds()
            .json()
    };
    let day = |more: &[&str]| {
        let ended = days(&site, days_of_a[1], more);
        ended.json()
    };
    let would = [day(&["--dry-run", "--json"]), source(&["--dry-run"])];
    assert_eq!((site.contents(), staged(&site), site.archived()), before);
    let said = days(&site, days_of_a[1], &["--dry-run"]);
    assert!(
        said.stderr
            .contains("nothing was removed: this was a dry run"),
        "{said}"
    );
    assert_eq!(day(&["--json"])["tables"], would[0]["tables"]);
    let rows = would[1]["tables"].as_array().expect("tables");
    let daily = rows
        .iter()
        .find(|table| table["table"] == "reporting_ocpusagelineitem_daily_summary");
    assert!(
        daily.is_some_and(|table| table["rows"].as_i64() > Some(4)),
        "{rows:?}"
    );
    assert_eq!(source(&[])["dry_run"], false);
}

#[test]
fn what_is_not_there_is_not_removed() {
    let (site, _) = site(&[payload(1, CLUSTERS[0], &["2026-01-10"])]);
    days(&site, "2026-03", &[]).stderr_is(
        "nothing to do, there is nothing of 2026-03-01 to 2026-03-31 of cluster `cluster-a`",
    );
    site.command(&["sources", "remove", "--cluster-id", "nobody"])
        .ends_with(1)
        .stderr_is(
            "error: there is no source for cluster `nobody`\n\n\
            hint: `gristmill sources list` shows the sources",
        );
    site.command(&["days", "remove", "--source", "nobody", "--from", "2026-01"])
        .ends_with(2);
}

/// Whoever adds a table of days need not name it anywhere.
#[test]
fn every_table_of_days_is_known_by_its_columns() {
    let (site, _) = site(&[]);
    let known = site.database.query_value(
        "SELECT string_agg(table_name, ' ' ORDER BY table_name)
        FROM monthly_tables() AS monthly
        WHERE NOT EXISTS (SELECT FROM daily_tables() AS daily WHERE daily.table_name = monthly.table_name)",
    );
    assert_eq!(known, None, "monthly tables that are not removed from");
    site.database.execute(
        "CREATE TABLE gristmill_later (generation bigint, usage_day date);
        SELECT register_source('00000000-0000-4000-8000-000000000001', 'cluster-a', 'a')",
    );
    let later = "SELECT day_column || ' ' || by_generation FROM daily_tables() WHERE table_name = 'gristmill_later'";
    assert_eq!(
        site.database.query_value(later).as_deref(),
        Some("usage_day true")
    );
}
