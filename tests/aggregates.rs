//! Each aggregate of `sql/` with given and expected rows: `aggregates/scene.sql`
//! and `aggregates/cases.toml`.

use std::collections::BTreeSet;
use std::fs;

use serde::Deserialize;

use crate::sql::{body, statements};
use crate::support::command::file;
use crate::support::server::TestDatabase;

/// Functions that add nothing up: what they do has tests of its own.
const OTHERS: &[&str] = &[
    // The ledger: `repeat`, `additive`, `replay`.
    "claim_days",
    "days_of_manifest",
    "forget_generation",
    // Day parts and their accounting: `engine_parity`.
    "rows_of_day_part",
    "held_days",
    "remove_repeated_rows",
    "replace_days",
    "shared_hours",
    // Which pipeline made a day: `status`.
    "record_makers",
    // Who may read: `readers`.
    "grant_reader",
    // Partitions and retention: `retention`, `months`.
    "drop_partition",
    "drop_unused_partition",
    "ensure_current_months",
    "ensure_month",
    "ensure_partition",
    "ensure_summaries",
    "forget_old_generations",
    "forget_report_period",
    "settle_tags_values",
    "has_partition_register",
    "hold_partitions",
    // How days are made, which shows in none of their rows: `day_sizes`.
    "analyze_daily_tables",
    "is_small_day",
    // What publishing locks: `months`.
    "plan_mode_of_day",
    "index_staged_rows",
    "is_unused_partition",
    "partitions_by_month",
    "monthly_tables",
    "old_partitions",
    "old_report_periods",
    "register_partition",
    "remove_orphaned_rows",
    "remove_staged_rows",
    "staging_partitions",
    // What is taken back: `removal`, `uploads`, `tag_values`.
    "daily_tables",
    "delete_days",
    "doubt_tags_values",
    "forget_days",
    "forget_unseen_tags",
    "give_up_uploads",
    "remove_days",
    "remove_source",
    "uploads_of_days",
    "waiting_uploads",
    // Other names for the same: `renaming`.
    "days_to_rename",
    "rename_day",
    "settle_tag_value",
    // Two schemas compared: `comparison`.
    "compared_columns",
    "open_compared_rows",
    // Scratch schemas: `verify`.
    "copy_settings",
    "create_scratch_schema",
    "drop_scratch_schema",
    "scratch_lock_key",
    "scratch_mark",
    "scratch_schemas",
    // Sources and periods: `cli`, `golden`.
    "ensure_report_period",
    "register_source",
    "rename_source",
    // Whose an archive is: `owners`.
    "database_marks",
    // Ids of stored texts: `text_ids`.
    "text_id",
    // `tag_values` tests how they are made anew.
    "distrust_tags_values",
    "restore_tags_values",
    "source_lock_key",
    // Categories and mappings anew: `replay`.
    "recategorize_day",
    "reclassify_days",
    // Calls of the others in their order: `tables`.
    "refresh_ui_summaries",
    "summarize_days",
];

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) function: String,
    given: Option<String>,
    when: String,
    then: String,
    pub(crate) rows: Vec<String>,
}

impl Case {
    /// In one transaction that leaves nothing behind; with statements right before and
    /// behind the call.
    fn sql(&self, before: &str, behind: &str) -> String {
        let given = self.given.as_deref().unwrap_or_default();
        format!(
            "BEGIN;
            {given};
            {before};
            DO $case$
            DECLARE
                source CONSTANT uuid := '00000000-0000-4000-8000-000000000001';
                day CONSTANT date := '2026-01-10';
            BEGIN
                {}
            END
            $case$;
            {behind};
            {};
            ROLLBACK",
            self.when, self.then
        )
    }

    /// The rows that it returns, with numbers without the zeros at their end.
    #[track_caller]
    fn found(&self, database: &TestDatabase) -> Vec<String> {
        self.found_in(database, "", "")
    }

    /// Whether it is a call, and not a query.
    pub(crate) fn calls(&self) -> bool {
        !self.when.is_empty()
    }

    #[track_caller]
    pub(crate) fn found_in(
        &self,
        database: &TestDatabase,
        before: &str,
        behind: &str,
    ) -> Vec<String> {
        let rows = database.query_rows(&self.sql(before, behind));
        rows.into_iter()
            .map(|row| {
                let cells: Vec<String> = row
                    .into_iter()
                    .map(|cell| cell.map_or_else(|| "null".to_string(), shortest))
                    .collect();
                cells.join(" | ")
            })
            .collect()
    }
}

fn shortest(cell: String) -> String {
    match cell.parse::<f64>() {
        Ok(_) if cell.contains('.') => cell.trim_end_matches('0').trim_end_matches('.').to_string(),
        _ => cell,
    }
}

/// The rows that the cases begin with.
pub(crate) fn scene() -> String {
    fs::read_to_string(file("tests/aggregates/scene.sql")).expect("the scene")
}

pub(crate) fn cases() -> Vec<Case> {
    let text = fs::read_to_string(file("tests/aggregates/cases.toml")).expect("the cases");
    toml::from_str::<Cases>(&text).expect("cases").case
}

#[test]
fn every_aggregate_makes_what_is_expected() {
    let database = TestDatabase::migrated();
    database.execute(&scene());
    let wrong: Vec<String> = cases()
        .iter()
        .filter_map(|case| {
            let found = case.found(&database);
            (found != case.rows).then(|| {
                format!(
                    "`{}`\n  expected {:#?}\n  found {found:#?}",
                    case.function, case.rows
                )
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_aggregate_has_a_case() {
    let functions: BTreeSet<String> = statements()
        .into_iter()
        .filter(|(_, sql)| body(sql).starts_with("CREATE OR REPLACE FUNCTION"))
        .map(|(name, _)| name.trim_end_matches(".sql").to_string())
        .collect();
    let with_case: BTreeSet<String> = cases().into_iter().map(|case| case.function).collect();
    let others: BTreeSet<String> = OTHERS.iter().map(ToString::to_string).collect();
    assert!(with_case.is_disjoint(&others));
    assert_eq!(functions, &with_case | &others);
}
