//! What those get who only read the tables: a view of how each day stands, files with rows,
//! and the rights that they need.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Date32Type, Decimal128Type, Int64Type};
use arrow_array::{Array as _, RecordBatch};
use arrow_schema::DataType;
use chrono::{Datelike as _, Days, Utc};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::command::{Ended, gristmill, run};
use crate::support::payload::{CLUSTER, DAY, Payload, Report};
use crate::support::server::TestDatabase;

/// Loads an upload of these hours of days.
#[track_caller]
fn load(database: &TestDatabase, number: u32, hours: &[(String, u32)]) {
    let folder = tempfile::tempdir().expect("a folder");
    let report = hours.iter().fold(Report::pods(), |report, (day, hour)| {
        let start = format!("{day} {hour:02}:00:00 +0000 UTC");
        report.row(0, &[("interval_start", &start)])
    });
    let payload = Payload::numbered(number).file("pods.csv", report.text());
    let path = payload.write(folder.path(), "p.tar.gz");
    run(database, "pipelines/ocp.toml", &[path]).succeeds();
}

fn all_of(day: &str) -> impl Iterator<Item = (String, u32)> {
    let day = day.to_string();
    (0..24).map(move |hour| (day.clone(), hour))
}

#[test]
fn a_view_says_of_each_day_whether_it_is_complete_and_final() {
    let database = TestDatabase::migrated();
    // From the afternoon of the first day on; a gap on the third, nothing of the fourth.
    let mut hours: Vec<(String, u32)> = all_of("2026-01-10").skip(14).collect();
    hours.extend(all_of("2026-01-11"));
    hours.extend(all_of("2026-01-12").filter(|(_, hour)| !(5..8).contains(hour)));
    hours.extend(all_of("2026-01-14").take(6));
    load(&database, 1, &hours);
    let days = "
        SELECT
            usage_day, is_complete, is_final, hours, hours_missing, missing, pipelines, run_ids
        FROM gristmill_day_view
        ORDER BY usage_day";
    let rows: Vec<String> = database
        .query_rows(days)
        .into_iter()
        .map(|row| {
            let cells = row.into_iter().map(|cell| cell.unwrap_or("null".into()));
            cells.collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(
        rows,
        [
            "2026-01-10 t t 10 0 {} {ocp} {1}",
            "2026-01-11 t t 24 0 {} {ocp} {1}",
            "2026-01-12 f t 21 3 {5,6,7} {ocp} {1}",
            "2026-01-13 f t 0 24 {0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23} null null",
            // The rest of the day may be on its way.
            "2026-01-14 f t 6 0 {} {ocp} {1}",
        ]
    );

    // A day of this week may get a later upload; one of the week before gets none.
    let today = Utc::now().date_naive();
    let recent = [9, 7].map(|days| (today - Days::new(days)).to_string());
    if today.year() == (today - Days::new(9)).year() {
        load(&database, 2, &recent.each_ref().map(|day| (day.clone(), 3)));
        let final_days = "
            SELECT string_agg(is_final::text, ' ' ORDER BY usage_day)
            FROM gristmill_day_view
            WHERE usage_day IN (current_date - 9, current_date - 7)";
        assert_eq!(
            database.query_value(final_days).as_deref(),
            Some("true false")
        );
    }
}

fn export(database: &TestDatabase, table: &str, arguments: &[&str], code: i32) -> Ended {
    gristmill(["export", table, "--from", "2026-01-10"])
        .arguments(arguments)
        .database(database)
        .ends_with(code)
}

const SUMMARY: &str = "reporting_ocpusagelineitem_daily_summary";

fn read(path: &Path) -> RecordBatch {
    let file = File::open(path).expect("the file");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    let batches: Vec<RecordBatch> = builder
        .build()
        .expect("a reader")
        .collect::<Result<_, _>>()
        .expect("batches");
    assert_eq!(batches.len(), 1);
    batches.into_iter().next().expect("rows")
}

#[test]
fn rows_of_some_days_are_exported_as_csv_and_parquet() {
    let database = TestDatabase::migrated();
    let hours: Vec<(String, u32)> = all_of(DAY).chain(all_of("2026-01-11")).collect();
    load(&database, 1, &hours);
    let csv = export(&database, SUMMARY, &[], 0).stdout;
    let lines: Vec<&str> = csv.lines().collect();
    let header: Vec<&str> = lines[0].split(',').collect();
    let rows = format!("SELECT count(*) FROM {SUMMARY} WHERE usage_start = '{DAY}'");
    let rows: usize = database.query_value(&rows).unwrap().parse().unwrap();
    assert!(rows >= 2);
    assert_eq!(lines.len(), 1 + rows, "{csv}");
    assert!(header.contains(&"pod_usage_cpu_core_hours"), "{csv}");
    assert!(!csv.contains("2026-01-11"), "{csv}");
    let both = export(&database, SUMMARY, &["--to", "2026-01"], 0).stdout;
    assert_eq!(both.lines().count(), 1 + 2 * rows);
    export(&database, SUMMARY, &["--source", "nobody"], 2);

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("days.parquet");
    let to = ["--format", "parquet", "--output", path.to_str().unwrap()];
    let ended = export(
        &database,
        SUMMARY,
        &[&to[..], &["--source", CLUSTER]].concat(),
        0,
    );
    assert!(
        ended.stderr.starts_with(&format!("{rows} rows in ")),
        "{ended}"
    );
    let batch = read(&path);
    assert_eq!(batch.num_rows(), rows);
    let column = |name: &str| batch.column_by_name(name).expect("a column");
    let names: Vec<&str> = batch
        .schema_ref()
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, header);
    let days = column("usage_start").as_primitive::<Date32Type>();
    assert_eq!(days.value_as_date(0).unwrap().to_string(), DAY);
    let usage = column("pod_usage_cpu_core_hours");
    let DataType::Decimal128(_, scale) = usage.data_type() else {
        panic!("{}", usage.data_type());
    };
    let usage = usage.as_primitive::<Decimal128Type>();
    let sum: i128 = usage.iter().flatten().sum();
    let sums = format!(
        "SELECT trunc(sum(pod_usage_cpu_core_hours) * 10::numeric ^ {scale}) FROM {SUMMARY} WHERE usage_start = '{DAY}'"
    );
    assert_eq!(database.query_value(&sums), Some(sum.to_string()));
    assert!(
        column("pod_labels")
            .as_string::<i32>()
            .iter()
            .flatten()
            .count()
            > 0
    );

    // A whole file or none, and it is for its owner.
    let mode = fs::metadata(&path).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ended = export(&database, SUMMARY, &to, 2);
    assert!(ended.stderr.contains("is there already"), "{ended}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn how_days_stand_is_exported_too() {
    let database = TestDatabase::migrated();
    load(&database, 1, &all_of(DAY).collect::<Vec<_>>());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("days.parquet");
    let to = ["--format", "parquet", "--output", path.to_str().unwrap()];
    export(&database, "gristmill_day_view", &to, 0);
    let batch = read(&path);
    let column = |name: &str| batch.column_by_name(name).expect("a column");
    assert!(column("is_complete").as_boolean().value(0));
    let pipelines = column("pipelines").as_list::<i32>().value(0);
    assert_eq!(pipelines.as_string::<i32>().value(0), "ocp");
    let runs = column("run_ids").as_list::<i32>().value(0);
    assert_eq!(runs.as_primitive::<Int64Type>().value(0), 1);
    assert!(!column("published_at").is_null(0));
}

#[test]
fn what_cannot_be_exported_is_said() {
    let database = TestDatabase::migrated();
    for (table, hint) in [
        (
            "reporting_ocpusagelineitem_daily_sumary",
            "there is `reporting_ocpusagelineitem_daily_summary`",
        ),
        (
            "gristmill_secret",
            "those that there are: `gristmill_coverage`, `gristmill_day`, ",
        ),
        (
            "pg_class",
            "those that there are: `gristmill_coverage`, `gristmill_day`, ",
        ),
        ("x\" (y) TO PROGRAM 'true' --", "those that there are: "),
    ] {
        let ended = export(&database, table, &[], 2);
        assert!(
            ended
                .stderr
                .contains("no table or view with days is called"),
            "{ended}"
        );
        assert!(ended.stderr.contains(hint), "{ended}");
    }
    let ended = export(&database, SUMMARY, &["--format", "parquet"], 2);
    assert!(ended.stderr.contains("`--output FILE`"), "{ended}");
}

#[test]
fn a_reader_may_read_all_tables_of_today_and_of_months_to_come_and_no_more() {
    let database = TestDatabase::migrated();
    let role = format!("gristmill_test_reader_{}", std::process::id());
    let elsewhere = TestDatabase::empty();
    elsewhere.execute(&format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role}"));
    database.execute("DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database()); END $$");
    let grant = |role: &str, code: i32| {
        gristmill(["db", "grant-reader", role])
            .database(&database)
            .ends_with(code)
    };
    let ended = grant("gristmill_test_nobody", 1);
    assert!(ended.stderr.contains("create the role first"), "{ended}");
    // Twice is as once.
    for _ in 0..2 {
        let ended = grant(&role, 0);
        let words = format!("role `{role}` may read ");
        assert!(ended.stderr.starts_with(&words), "{ended}");
    }
    // Months that nobody had thought of make partitions that it may read.
    load(&database, 1, &[("2025-05-10".to_string(), 3)]);
    let rights = |right: &str| {
        format!(
            "SELECT string_agg(relname, ' ' ORDER BY relname)
            FROM pg_class
            WHERE
                relnamespace = 'gristmill'::regnamespace
                AND relkind IN ('r', 'p', 'v')
                AND has_table_privilege('{role}', oid, '{right}')"
        )
    };
    let unread = format!(
        "SELECT string_agg(relname, ' ' ORDER BY relname)
        FROM pg_class
        WHERE
            relnamespace = 'gristmill'::regnamespace
            AND relkind IN ('r', 'p', 'v')
            AND NOT has_table_privilege('{role}', oid, 'SELECT')"
    );
    assert_eq!(
        database.query_value(&unread).as_deref(),
        Some("gristmill_secret")
    );
    let partition = "SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_2025\\_05'";
    assert!(
        database
            .query_value(partition)
            .is_some_and(|count| count != "0")
    );
    for right in [
        "INSERT",
        "UPDATE",
        "DELETE",
        "TRUNCATE",
        "REFERENCES",
        "TRIGGER",
    ] {
        assert_eq!(database.query_value(&rights(right)), None, "{right}");
    }
    let others = format!(
        "SELECT
            has_schema_privilege('{role}', 'gristmill', 'USAGE'),
            has_schema_privilege('{role}', 'gristmill', 'CREATE'),
            has_database_privilege('{role}', current_database(), 'CONNECT'),
            has_database_privilege('{role}', current_database(), 'CREATE')"
    );
    let expected = ["t", "f", "t", "f"].map(|cell| Some(cell.to_string()));
    assert_eq!(database.query_rows(&others), [expected]);
    // With these rights it can ask what gristmill only reads for.
    database.execute(&format!(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET role = {role}', current_database()); END $$"
    ));
    gristmill(["sources", "list"])
        .database(&database)
        .succeeds();
    let ended = gristmill(["export", SUMMARY, "--from", "2025-05-10"])
        .database(&database)
        .succeeds();
    assert!(ended.stdout.lines().count() > 1, "{ended}");
    let ended = gristmill(["tags", "enable", "app"])
        .database(&database)
        .ends();
    assert_ne!(ended.code, Some(0), "{ended}");
    drop(database);
    elsewhere.execute(&format!("DROP ROLE {role}"));
}
