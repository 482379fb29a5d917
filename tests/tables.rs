//! Every table that a consumer reads, for every data set, against what the
//! existing product made of the same payloads.
//!
//! The rows that differ are kept in `data/SET/differences/TABLE.csv`: `-` are
//! theirs, `+` are ours. Each names the corrections (design, section 5) that
//! explain it, by the rules of `data/SET/corrections.toml`; a row that no rule
//! explains fails, and so does a rule that explains nothing. A table without a
//! file is equal. `UPDATE=1` writes these files anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::golden::DataSet;
use crate::support::command::{file, run};
use crate::support::difference::{Difference, Line, Rows, check_file, written};
use crate::support::payload::write;
use crate::support::server::TestDatabase;

/// Columns that differ from run to run, or are not deterministic in the existing product.
fn ignored(table: &str) -> &'static [&'static str] {
    match table {
        "reporting_ocpusagereportperiod" => &["id"],
        "reporting_ocp_vm_summary_p" => &["pod_labels"],
        _ => &["uuid"],
    }
}

pub(crate) fn folder(set: &str) -> PathBuf {
    file("tests/data").join(set)
}

/// The traps have more rows that are wrong than a sane payload.
pub(crate) const PATIENCE: &str = "[limits]\nrejected-rows = \"5 %\"\n";

/// A database for the payloads of a set, and these in the order in which they arrived.
#[track_caller]
pub(crate) fn prepared(set: &'static str) -> (TestDatabase, Vec<PathBuf>) {
    let database = DataSet(set).database();
    let config = fs::read_to_string(folder(set).join("config.json")).expect("a configuration");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    for mapping in config["tag_mappings"].as_array().expect("a list") {
        let key = |index: usize| mapping[index].as_str().expect("a key");
        database.execute(&format!(
            "INSERT INTO reporting_tagmapping (parent_id, child_id)
            SELECT parent.uuid, child.uuid
            FROM reporting_enabledtagkeys AS parent, reporting_enabledtagkeys AS child
            WHERE parent.key = '{}' AND child.key = '{}'",
            key(0),
            key(1)
        ));
    }
    let payloads: Vec<PathBuf> = config["order"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|name| {
            folder(set)
                .join("payloads")
                .join(name.as_str().expect("a name"))
        })
        .collect();
    let (mut arrived, all) = (payloads.clone(), sorted(&folder(set).join("payloads")));
    arrived.sort();
    assert_eq!(
        arrived, all,
        "`{set}` says in which order all of its payloads arrived"
    );
    (database, payloads)
}

/// A database with the payloads of a set in it.
#[track_caller]
pub(crate) fn loaded(set: &'static str) -> TestDatabase {
    let (database, payloads) = prepared(set);
    let scratch = tempfile::tempdir().expect("a folder");
    let base = file("pipelines/ocp-max.toml");
    let text = format!("extends = {base:?}\n{PATIENCE}");
    let patient = write(scratch.path(), "patient.toml", text.as_bytes());
    run(
        &database,
        if set == "traps" { patient } else { base },
        &payloads,
    )
    .env("GRISTMILL_DATA", scratch.path())
    .succeeds();
    database
}

/// Why rows of a set differ.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// Letters.
    corrections: String,
    why: String,
    /// Any table, if there is none.
    #[serde(default)]
    tables: Vec<String>,
    /// The values of the rows, by column; `\N` is null.
    #[serde(default)]
    rows: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rule: Vec<Rule>,
}

impl Rules {
    #[track_caller]
    fn of(set: &str) -> Rules {
        match fs::read_to_string(folder(set).join("corrections.toml")) {
            Ok(text) => toml::from_str(&text).unwrap_or_else(|error| panic!("{set}: {error}")),
            Err(_) => Rules::default(),
        }
    }
}

impl Rule {
    fn explains(&self, table: &str, difference: &Difference, line: &Line) -> bool {
        let holds = |(column, value): (&String, &String)| {
            difference.cell(line, column) == Some(value.as_str())
        };
        let is_its_table = self.tables.is_empty() || self.tables.iter().any(|name| name == table);
        is_its_table && self.rows.iter().all(holds)
    }
}

/// The difference as a file, with the corrections that explain each row.
fn explained(
    table: &str,
    difference: Difference,
    rules: &Rules,
    used: &mut BTreeSet<usize>,
    unexplained: &mut Vec<String>,
) -> String {
    if difference.lines.is_empty() {
        return String::new();
    }
    let mut rows = Vec::new();
    for line in &difference.lines {
        let mut corrections = BTreeSet::new();
        for (number, rule) in rules.rule.iter().enumerate() {
            if rule.explains(table, &difference, line) {
                used.insert(number);
                corrections.extend(rule.corrections.chars());
            }
        }
        let sign = if line.is_ours { "+" } else { "-" };
        if corrections.is_empty() {
            unexplained.push(format!(
                "{table}: {sign} {}",
                line.words(&difference.columns)
            ));
        }
        let start = [
            Some(sign.to_string()),
            Some(corrections.into_iter().collect()),
        ];
        rows.push(
            start
                .into_iter()
                .chain(line.cells.iter().cloned())
                .collect(),
        );
    }
    let mut columns = vec!["side".to_string(), "corrections".to_string()];
    columns.extend(difference.columns);
    written(&columns, rows)
}

#[track_caller]
fn check(set: &'static str) {
    let database = loaded(set);
    let rules = Rules::of(set);
    let (mut used, mut unexplained) = (BTreeSet::new(), Vec::new());
    let mut files = Vec::new();
    let folder = folder(set);
    for golden in sorted(&folder.join("golden")) {
        let table = golden.file_stem().expect("a name").to_string_lossy();
        let ignored = ignored(&table);
        let theirs = Rows::read(&database, &golden, ignored);
        let ours = Rows::query(&database, &golden, ignored);
        let difference = theirs.difference(ours);
        let text = explained(&table, difference, &rules, &mut used, &mut unexplained);
        files.push((
            folder.join("differences").join(format!("{table}.csv")),
            text,
        ));
    }
    assert!(
        unexplained.is_empty(),
        "{} rows of `{set}` differ and no correction explains them\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
    for (path, text) in &files {
        check_file(path, text);
    }
    let kept = fs::read_dir(folder.join("differences"))
        .into_iter()
        .flatten();
    for entry in kept {
        let path = entry.expect("a file").path();
        let is_compared = files.iter().any(|(compared, _)| *compared == path);
        assert!(is_compared, "`{}` is of no golden table", path.display());
    }
    let idle: Vec<String> = (0..rules.rule.len())
        .filter(|number| !used.contains(number))
        .map(|number| {
            format!(
                "{} ({})",
                rules.rule[number].corrections, rules.rule[number].why
            )
        })
        .collect();
    assert!(
        idle.is_empty(),
        "rules of `{set}` that explain nothing: {idle:?}"
    );
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    paths
}

macro_rules! data_sets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

data_sets! {
    header_only
    no_storage
    resend_equal_hours
    resend_growing
    small
    small_tagmap
    split
    tiny
    traps
    xmonth
}

#[test]
fn every_data_set_is_compared() {
    let mut found: Vec<PathBuf> = sorted(&file("tests/data"));
    found.retain(|folder| folder.join("payloads").is_dir());
    let names: Vec<_> = found.iter().filter_map(|path| path.file_name()).collect();
    assert_eq!(names, NAMES);
}
