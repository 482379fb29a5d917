//! The engines beside each other: the same tables whichever folds the hours, and whichever
//! folds which of them.

use std::path::{Path, PathBuf};

use gristmill::fold::FOLDS;
use gristmill::ledger::comparison::Scope;

use crate::engines;
use crate::support::command::run;
use crate::support::contents::compare;
use crate::support::engine::{self, HERE};
use crate::support::server::TestDatabase;
use crate::tables::{self, PATIENCE};

const BASE: &str = "pipelines/ocp-max.toml";

/// No servers.
const NONE: (&str, &str) = ("none", "");

/// Every data set of the tests.
const SETS: [&str; 10] = [
    "header_only",
    "no_storage",
    "resend_equal_hours",
    "resend_growing",
    "small",
    "small_tagmap",
    "split",
    "tiny",
    "traps",
    "xmonth",
];

/// Loads payloads one by one, each with the engine that is its turn. `servers` are the
/// sections of those of `trino`, and the name of the corner that they are of.
fn loaded(set: &'static str, engines: &[&str], servers: (&str, &str)) -> TestDatabase {
    let (database, payloads) = tables::prepared(set);
    let folder = tempfile::tempdir().expect("a folder");
    for (number, payload) in payloads.into_iter().enumerate() {
        let engine = engines[number % engines.len()];
        let (corner, sections) = servers;
        let text = format!("{PATIENCE}[summarize]\nengine = \"{engine}\"\n{sections}");
        let pipeline = engine::with(BASE, &format!("patient-{engine}-{corner}"), &text);
        load(&database, &pipeline, &[payload], folder.path());
    }
    database
}

fn load(database: &TestDatabase, pipeline: &Path, payloads: &[PathBuf], data: &Path) {
    run(database, pipeline, payloads)
        .env("GRISTMILL_DATA", data)
        .succeeds();
}

#[track_caller]
fn are_equal(left: &TestDatabase, right: &TestDatabase, what: &str) {
    let comparison = compare(left, right, &Scope::default());
    if let Some(difference) = &comparison.difference {
        panic!("{what}:\n{difference}");
    }
    assert!(comparison.tables >= 20, "{comparison:?}");
}

/// The rows of staging tables of some kind.
fn staged(database: &TestDatabase, tables: &[&str]) -> u64 {
    let counts: Vec<String> = tables
        .iter()
        .map(|table| format!("(SELECT count(*) FROM {table})"))
        .collect();
    let sum = database.query_value(&format!("SELECT {}", counts.join(" + ")));
    sum.expect("a sum").parse().expect("a number")
}

#[test]
fn every_engine_makes_the_same_tables_of_every_data_set() {
    let hours: Vec<&str> = FOLDS.iter().map(|fold| fold.table).collect();
    let parts: Vec<&str> = FOLDS
        .iter()
        .flat_map(|fold| fold.parts)
        .map(|part| part.table)
        .collect();
    let mut folded = 0;
    for set in SETS {
        let expected = loaded(set, &["postgres"], NONE);
        assert_eq!(staged(&expected, &parts), 0, "{set}");
        let embedded = loaded(set, &["embedded"], NONE);
        assert_eq!(staged(&embedded, &hours), 0, "{set}");
        folded += staged(&embedded, &parts);
        are_equal(&expected, &embedded, &format!("{set} with embedded"));
        for engines in [HERE, [HERE[1], HERE[0]]] {
            let mixed = loaded(set, &engines, NONE);
            are_equal(&expected, &mixed, &format!("{set} with {engines:?}"));
        }
    }
    assert!(folded > 1000, "{folded} rows of day parts");
}

#[test]
fn trino_makes_the_same_tables_of_every_data_set() {
    let Some(engines) = engines::shared() else {
        return;
    };
    let hours: Vec<&str> = FOLDS.iter().map(|fold| fold.table).collect();
    let corner = engines.corner();
    let sections = corner.sections();
    let servers = (corner.name(), sections.as_str());
    for set in SETS {
        let expected = loaded(set, &["postgres"], NONE);
        let folded = loaded(set, &["trino"], servers);
        assert_eq!(staged(&folded, &hours), 0, "{set}");
        are_equal(&expected, &folded, &format!("{set} with trino"));
        let all = ["trino", "embedded", "postgres"];
        let mixed = loaded(set, &all, servers);
        are_equal(&expected, &mixed, &format!("{set} with {all:?}"));
    }
    assert_eq!(corner.litter(), Vec::<String>::new());
}
