//! Two schemas compared row by row: what is the same, and which difference comes first.

use chrono::NaiveDate;
use gristmill::ledger::comparison::{RowDifference, Scope};

use crate::golden::DataSet;
use crate::support::command::run;
use crate::support::contents::{ALL, compare};
use crate::support::server::TestDatabase;

const COSTS: &str = "reporting_ocp_cost_summary_p";

/// Comes before `COSTS`, by name.
const TAGS: &str = "reporting_enabledtagkeys";

/// Comes behind it.
const PODS: &str = "reporting_ocp_pod_summary_p";

/// A database with these rows: table, day, alias of the cluster, raw cost.
fn with(rows: &[(&str, &str, &str, &str)]) -> TestDatabase {
    let database = TestDatabase::migrated();
    for table in [COSTS, PODS] {
        database.execute(&format!("SELECT ensure_partition('{table}', '2026-01-10')"));
    }
    for (table, day, alias, cost) in rows {
        database.execute(&format!(
            "INSERT INTO {table} (cluster_alias, usage_start, usage_end, infrastructure_raw_cost)
            VALUES ({alias}, '{day}', '{day}', {cost})"
        ));
    }
    database
}

/// The first difference of two such databases.
#[track_caller]
fn first(left: &[(&str, &str, &str, &str)], right: &[(&str, &str, &str, &str)]) -> RowDifference {
    let comparison = compare(&with(left), &with(right), &Scope::default());
    comparison.difference.expect("a difference")
}

fn day(day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(2026, 1, day)
}

#[test]
fn the_same_rows_in_another_order_are_equal() {
    let (a, b) = (
        (COSTS, "2026-01-10", "'a'", "1"),
        (COSTS, "2026-01-10", "'b'", "2"),
    );
    // Each has uuids of its own.
    let comparison = compare(&with(&[a, b, b]), &with(&[b, a, b]), &Scope::default());
    assert_eq!(comparison.difference, None);
    // Besides these there is the category that every schema begins with.
    assert!(comparison.rows >= 3, "{comparison:?}");
    assert!(comparison.tables >= 20, "{comparison:?}");
}

#[test]
fn a_value_that_differs_is_told_with_both_rows() {
    let difference = first(
        &[
            (COSTS, "2026-01-10", "'a'", "1"),
            (COSTS, "2026-01-10", "'b'", "2"),
        ],
        &[
            (COSTS, "2026-01-10", "'a'", "1"),
            (COSTS, "2026-01-10", "'b'", "2.000000000000001"),
        ],
    );
    assert_eq!(
        (difference.day, difference.table.as_str()),
        (day(10), COSTS)
    );
    assert!(difference.left.is_some() && difference.right.is_some());
    assert!(!difference.columns.contains(&"id".to_string()));
    assert_eq!(
        difference.to_string(),
        "2026-01-10, `reporting_ocp_cost_summary_p`: infrastructure_raw_cost is \
        `2.000000000000000` on the left and `2.000000000000001` on the right in the row of \
        cluster_alias `b`, usage_start `2026-01-10`, usage_end `2026-01-10`, \
        infrastructure_raw_cost `2.000000000000000`"
    );
}

#[test]
fn a_row_that_is_missing_or_doubled_is_told_with_its_side() {
    let (a, b, c) = (
        (COSTS, "2026-01-10", "'a'", "1"),
        (COSTS, "2026-01-10", "'b'", "2"),
        (COSTS, "2026-01-10", "'c'", "3"),
    );
    let words = |difference: RowDifference| difference.to_string();
    let row = |alias: &str, cost: &str| {
        format!(
            "cluster_alias `{alias}`, usage_start `2026-01-10`, usage_end `2026-01-10`, \
            infrastructure_raw_cost `{cost}.000000000000000`"
        )
    };
    let place = "2026-01-10, `reporting_ocp_cost_summary_p`: only";
    assert_eq!(
        words(first(&[a, b, c], &[a, c])),
        format!("{place} the left has {}", row("b", "2"))
    );
    assert_eq!(
        words(first(&[a, b], &[a, b, c])),
        format!("{place} the right has {}", row("c", "3"))
    );
    // As multisets: twice is not once.
    assert_eq!(
        words(first(&[a, b, c], &[a, b, b, c])),
        format!("{place} the right has {}", row("b", "2"))
    );
}

#[test]
fn null_is_not_the_empty_text() {
    let difference = first(
        &[(COSTS, "2026-01-10", "''", "1")],
        &[(COSTS, "2026-01-10", "NULL", "1")],
    );
    // They are two rows, of which the empty text comes first.
    let alias = difference
        .columns
        .iter()
        .position(|name| name == "cluster_alias");
    let left = difference.left.expect("a row of the left");
    assert_eq!(left[alias.expect("a column")].as_deref(), Some(""));
    assert_eq!(difference.right, None);
    let difference = first(
        &[(COSTS, "2026-01-10", "'a'", "NULL")],
        &[(COSTS, "2026-01-10", "'a'", "0")],
    );
    let words = "infrastructure_raw_cost is null on the left and `0.000000000000000` on the right";
    assert!(difference.to_string().contains(words), "{difference}");
}

#[test]
fn the_first_day_comes_before_the_first_table() {
    let (early, late) = ("2026-01-10", "2026-01-11");
    let place = |left: &[_], right: &[_]| {
        let difference = first(left, right);
        (difference.day, difference.table)
    };
    assert_eq!(
        place(&[(COSTS, late, "'a'", "1"), (PODS, early, "'a'", "1")], &[]),
        (day(10), PODS.into())
    );
    assert_eq!(
        place(&[(PODS, early, "'a'", "1")], &[(COSTS, early, "'a'", "1")]),
        (day(10), COSTS.into())
    );
    // What is of no day comes last, though its table comes first.
    let (left, right) = (with(&[(COSTS, late, "'a'", "1")]), with(&[]));
    left.execute(&format!(
        "INSERT INTO {TAGS} (key, enabled, provider_type) VALUES ('app', true, 'OCP')"
    ));
    let place = || {
        let found = compare(&left, &right, &Scope::default()).difference;
        found.map(|difference| (difference.day, difference.table))
    };
    assert_eq!(place(), Some((day(11), COSTS.into())));
    left.execute(&format!("DELETE FROM {COSTS}"));
    assert_eq!(place(), Some((None, TAGS.into())));
}

#[test]
fn days_and_columns_that_do_not_count_are_left_out() {
    let left = with(&[
        (COSTS, "2026-01-10", "'a'", "1"),
        (COSTS, "2026-01-11", "'a'", "1"),
        (COSTS, "2026-01-12", "'a'", "1"),
    ]);
    let right = with(&[(COSTS, "2026-01-11", "'a'", "2")]);
    let scope = Scope {
        days: day(11).zip(day(11)),
        ..Scope::default()
    };
    let found = compare(&left, &right, &scope).difference;
    assert_eq!(found.and_then(|difference| difference.day), day(11));
    let but_for_costs = Scope {
        columns_left_out: &["infrastructure_raw_cost"],
        ..scope
    };
    let comparison = compare(&left, &right, &but_for_costs);
    assert_eq!((comparison.difference, comparison.rows), (None, 1));
    let but_for_the_table = Scope {
        tables_left_out: &[COSTS],
        ..scope
    };
    assert_eq!(compare(&left, &right, &but_for_the_table).difference, None);
}

/// More rows than are held at once, on both sides and on one.
#[test]
fn rows_are_read_piece_by_piece() {
    let many = |rows: u32| {
        let database = with(&[]);
        database.execute(&format!(
            "INSERT INTO {COSTS} (cluster_alias, usage_start, usage_end)
            SELECT 'a' || number, '2026-01-10', '2026-01-10'
            FROM generate_series(1, {rows}) AS number"
        ));
        database
    };
    let comparison = compare(&many(1_500), &many(1_500), &Scope::default());
    assert_eq!(comparison.difference, None);
    assert!(comparison.rows >= 1_500, "{comparison:?}");
    let difference = compare(&many(1_500), &many(1_499), &Scope::default()).difference;
    let words = difference.expect("a difference").to_string();
    assert!(
        words.contains("only the left has cluster_alias `a1500`"),
        "{words}"
    );
}

/// What two loads of the same payloads made is the same, whatever ids they gave.
#[test]
fn ids_are_compared_by_what_they_stand_for() {
    let set = DataSet("small");
    let [plain, other] = [set.database(), set.database()];
    // Other numbers of periods, generations and manifests.
    other.execute(
        "ALTER TABLE reporting_ocpusagereportperiod ALTER COLUMN id RESTART WITH 700;
        ALTER TABLE reporting_common_costusagereportmanifest ALTER COLUMN id RESTART WITH 800;
        ALTER TABLE gristmill_generation ALTER COLUMN id RESTART WITH 900",
    );
    for database in [&plain, &other] {
        run(database, "pipelines/ocp-max.toml", &set.payloads()).succeeds();
    }
    let everything = Scope {
        with_ledger: true,
        tables_left_out: ALL.tables_left_out,
        ..Scope::default()
    };
    let comparison = compare(&plain, &other, &everything);
    assert_eq!(comparison.difference, None);
    assert!(comparison.rows > 5_000, "{} rows", comparison.rows);

    // A tag of another month is another one.
    other.execute(
        "UPDATE reporting_ocpusagereportperiod SET report_period_start = '2026-09-01 00:00Z'",
    );
    let found = compare(&plain, &other, &Scope::default()).difference;
    let found = found.expect("a difference");
    assert_eq!(found.day, NaiveDate::from_ymd_opt(2026, 9, 1), "{found}");
}
