//! Days of few rows are made in another way than those of many: the same comes of both, and
//! of days that one session makes in either way, one after the other.

use gristmill::ledger::comparison::Scope;
use gristmill_generator::{Cluster, Upload};

use crate::engine_cases::peculiar;
use crate::golden::DataSet;
use crate::support::command::run;
use crate::support::contents::{ALL, are_same, compare};
use crate::support::payload::{DAY, Payload, Report};
use crate::support::server::TestDatabase;
use crate::support::site::Site;

/// Every day has many rows.
const NO_DAY_IS_SMALL: &str = "
    CREATE OR REPLACE FUNCTION is_small_day(staged_rows bigint)
    RETURNS boolean
    LANGUAGE sql
    IMMUTABLE
    AS 'SELECT false'";

fn loaded(set: DataSet, change: Option<&str>) -> TestDatabase {
    let database = set.database();
    if let Some(change) = change {
        database.execute(change);
    }
    run(&database, "pipelines/ocp.toml", &set.payloads()).succeeds();
    database
}

#[test]
fn days_of_many_rows_are_made_as_those_of_few() {
    for name in ["small", "small_tagmap", "resend_growing", "split"] {
        let few = loaded(DataSet(name), None);
        let many = loaded(DataSet(name), Some(NO_DAY_IS_SMALL));
        are_same(&many, &few, ALL, name);
    }
}

/// Sums of more than 64 bits, and a usual day before and behind them.
#[test]
fn what_one_day_needs_is_not_in_the_way_of_the_next() {
    let usual = |number: u32, day: &str| {
        let pods = Report::pods().hours(0..24).text().replace(DAY, day);
        Payload::numbered(number).file("pods.csv", &pods)
    };
    let payloads = || {
        let mut payloads = vec![usual(2, "2026-01-08")];
        payloads.extend(peculiar(1));
        payloads.push(usual(3, "2026-01-12"));
        payloads
    };
    let few = Site::new();
    few.run(&few.write(&payloads())).succeeds();
    let many = Site::new();
    many.database.execute(NO_DAY_IS_SMALL);
    many.run(&many.write(&payloads())).succeeds();
    let each = Site::new();
    for payload in each.write(&payloads()) {
        each.run(&[payload]).succeeds();
    }
    for (found, what) in [(&many, "all at once"), (&each, "one by one")] {
        let comparison = compare(&found.database, &few.database, &Scope::default());
        assert!(comparison.difference.is_none(), "{what}: {comparison:?}");
        assert!(comparison.tables >= 20, "{what}: {comparison:?}");
    }
    // The days did get there, with what is too large for 64 bits of 10⁻¹².
    let summed = "SELECT count(DISTINCT usage_start), max(pod_limit_cpu_core_hours) > 9223372
        FROM reporting_ocpusagelineitem_daily_summary";
    assert_eq!(
        few.database.query_rows(summed),
        [[Some("3".to_string()), Some("t".to_string())]]
    );
}

/// Else whoever looks for rows of another upload reads these as well, until a vacuum.
#[test]
fn rows_of_an_upload_are_indexed_when_it_is_published() {
    let site = Site::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("payload.tar.gz");
    // More rows than a small day has.
    let cluster = Cluster::of_nodes(50, 45);
    Upload::of_day(cluster)
        .write_tarball(&path)
        .expect("a payload");
    site.run(&[path]).succeeds();
    let staged = "SELECT count(*) > 50000
        FROM reporting_ocpusagelineitem_pod_staging";
    assert_eq!(site.database.query_value(staged).as_deref(), Some("t"));
    let left = "SELECT sum(brin_summarize_new_values(indexed.indexrelid))
        FROM pg_index AS indexed
        WHERE indexed.indrelid = 'reporting_ocpusagelineitem_pod_staging_2026_10'::regclass";
    assert_eq!(site.database.query_value(left).as_deref(), Some("0"));
}

/// Each transaction of COPYs ends once; what is staged is the same.
#[test]
fn reports_of_few_rows_share_a_transaction() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Payload::usual(1)
        .file("volumes.csv", Report::volumes().hours(0..3).text())
        .write(folder.path(), "p.tar.gz");
    let load = |kept_bytes: &str| {
        let database = TestDatabase::migrated();
        let failpoints = folder.path().join(format!("failpoints-{kept_bytes}"));
        run(&database, "pipelines/ocp.toml", std::slice::from_ref(&path))
            .env("GRISTMILL_TEST_FAILPOINTS", &failpoints)
            .env("GRISTMILL_TEST_KEPT_BYTES", kept_bytes)
            .succeeds();
        let passed = std::fs::read_to_string(failpoints).expect("failpoints");
        let count = |name| passed.lines().filter(|line| *line == name).count();
        (database, count("copy-begun"), count("copy-ended"))
    };
    let (together, begun, ended) = load("1000000");
    assert!(begun > 1, "several reports");
    assert_eq!(ended, 1);
    let (apart, begun_apart, ended_apart) = load("0");
    assert_eq!((begun_apart, ended_apart), (begun, begun));
    are_same(&together, &apart, ALL, "reports in one transaction");
}
