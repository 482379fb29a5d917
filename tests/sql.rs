//! The statements of `sql/` and the tables that they work on.

use std::collections::BTreeMap;
use std::fs;

use gristmill::fold::{FOLDS, Part, TableFold};
use gristmill::payload::cluster_name::{ALIAS_CHARACTERS_MAX, ID_CHARACTERS_MAX};
use gristmill::pipeline::staging::{Counts, NAME_CHARACTERS_MAX, SYSTEM_COLUMNS, Storage, TABLES};

use crate::support::command::file;
use crate::support::server::TestDatabase;

/// The files of `sql/`: name and text.
pub(crate) fn statements() -> BTreeMap<String, String> {
    fs::read_dir(file("sql"))
        .expect("the folder")
        .map(|entry| {
            let path = entry.expect("a file").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            (name.into_owned(), fs::read_to_string(&path).expect("SQL"))
        })
        .collect()
}

/// The text behind the opening comment.
pub(crate) fn body(sql: &str) -> String {
    let lines = sql
        .lines()
        .skip_while(|line| line.starts_with("--") || line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_statement_prepares() {
    let database = TestDatabase::migrated();
    for (name, sql) in statements() {
        let body = body(&sql);
        if !body.starts_with("CREATE OR REPLACE ") {
            // The name shows in the message when it does not.
            database.execute(&format!("-- sql/{name}\nPREPARE statement AS {body}"));
        }
    }
}

/// The tables of a day are parameters that no signature shows: whoever uses one says so,
/// and where its columns are.
#[test]
fn whoever_uses_a_table_of_a_day_says_so() {
    let mut uses = 0;
    for (name, sql) in statements() {
        if name == "make_daily_tables.sql" {
            continue;
        }
        let body = body(&sql);
        let header = &sql[..sql.len() - body.len()];
        for table in [
            "daily_pods",
            "daily_volumes",
            "daily_nodes",
            "daily_namespaces",
        ] {
            if !body.contains(&format!("pg_temp.{table}")) {
                continue;
            }
            uses += 1;
            let says = header.lines().any(|line| {
                line.contains(&format!("pg_temp.{table}"))
                    && line.ends_with("; see make_daily_tables")
            });
            assert!(
                says,
                "the header of sql/{name} does not name pg_temp.{table}"
            );
        }
    }
    assert!(uses > 10, "{uses}");
}

/// Pipelines are checked against the host's table; here, the host's table against the
/// database.
#[test]
fn the_staging_tables_are_as_the_host_says() {
    let database = TestDatabase::migrated();
    let actual: Vec<Option<String>> = database
        .query_rows("SELECT table_name FROM monthly_tables() WHERE is_staging ORDER BY table_name")
        .into_iter()
        .flatten()
        .collect();
    let hourly = TABLES.iter().map(|table| table.name);
    let mut said: Vec<&str> = hourly.chain(parts().map(|(_, part)| part.table)).collect();
    said.sort_unstable();
    let said: Vec<Option<String>> = said.into_iter().map(|name| Some(name.into())).collect();
    assert_eq!(actual, said, "by name");
    for table in TABLES {
        let name = table.name;
        let actual = columns(&database, name);
        let said: Vec<(String, String, bool)> = table
            .columns
            .iter()
            .map(|column| {
                let stored = stored_as(column.storage);
                (column.name.to_owned(), stored, column.required)
            })
            .collect();
        assert_eq!(said, actual, "{name}");
    }
}

/// The tables of day parts follow from the fold: the same types but for sums, which have no
/// bounds; a key that an hour must have, a part must have, too.
#[test]
fn the_day_parts_are_as_the_fold_says() {
    let database = TestDatabase::migrated();
    let mut compared = 0;
    for (fold, part) in parts() {
        let hours = columns(&database, fold.table);
        let said: Vec<(String, String, bool)> = part
            .columns()
            .into_iter()
            .map(|name| {
                let hour = hours.iter().find(|(column, ..)| column == name);
                let (data_type, required) = match hour {
                    None => ("bigint".into(), true),
                    Some(_) if part.sums.contains(&name) => ("numeric".into(), false),
                    Some((_, data_type, required)) => (data_type.clone(), *required),
                };
                (name.to_owned(), data_type, required)
            })
            .collect();
        assert_eq!(said, columns(&database, part.table), "{}", part.table);
        compared += said.len();
    }
    assert!(compared > 30, "{compared} columns");
}

/// Every table of day parts, with the fold that makes it.
fn parts() -> impl Iterator<Item = (&'static TableFold, &'static Part)> {
    let folds = FOLDS.iter();
    folds.flat_map(|fold| fold.parts.iter().map(move |part| (fold, part)))
}

/// The columns of a table but the system columns: name, type, and whether a row must say it.
fn columns(database: &TestDatabase, table: &str) -> Vec<(String, String, bool)> {
    database
        .query_rows(&format!(
            "SELECT
                column_name,
                data_type || coalesce('(' || character_maximum_length || ')', ''),
                is_nullable = 'NO' AND column_default IS NULL
            FROM information_schema.columns
            WHERE table_schema = 'gristmill' AND table_name = '{table}'
            ORDER BY ordinal_position"
        ))
        .into_iter()
        .map(|row| {
            let text = |index: usize| row[index].clone().expect("a value");
            (text(0), text(1), text(2) == "t")
        })
        .filter(|(column, ..)| !SYSTEM_COLUMNS.contains(&column.as_str()))
        .collect()
}

/// A limit that the host does not know would fail the COPY of all rows.
#[test]
fn the_limits_of_staged_columns_are_as_the_host_says() {
    let database = TestDatabase::migrated();
    let actual: Vec<String> = database
        .query_rows(
            "SELECT format(
                '%s: %s',
                relname,
                regexp_replace(pg_get_constraintdef(pg_constraint.oid), '[()]|''|::bigint', '', 'g')
            )
            FROM pg_constraint
            JOIN pg_class ON pg_class.oid = conrelid
            WHERE contype = 'c' AND relkind = 'p' AND relname LIKE '%\\_staging'
            ORDER BY 1",
        )
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    let mut said = Vec::new();
    for table in TABLES {
        for column in table.columns {
            if let Storage::FixedPoint { counts, .. } = column.storage
                && counts != Counts::ALL
            {
                said.push(format!(
                    "{}: CHECK {column} >= {} AND {column} <= {}",
                    table.name,
                    counts.least,
                    counts.most,
                    column = column.name
                ));
            }
        }
    }
    assert_eq!(said, actual);
    assert!(!said.is_empty());
}

/// Staged values and the names of a cluster fit every column that shows them.
#[test]
fn no_summary_has_less_room_than_what_is_staged() {
    let database = TestDatabase::migrated();
    let mut rooms: BTreeMap<String, Option<usize>> = BTreeMap::from([
        ("cluster_id".into(), Some(ID_CHARACTERS_MAX)),
        ("cluster_alias".into(), Some(ALIAS_CHARACTERS_MAX)),
    ]);
    for table in TABLES {
        for column in table.columns {
            let room = match column.storage {
                Storage::Text { characters_max } => characters_max,
                Storage::Name { characters_max } => Some(characters_max),
                _ => continue,
            };
            let known = rooms.entry(column.batch_name().to_string()).or_insert(room);
            *known = known.zip(room).map(|(known, room)| known.max(room));
        }
    }
    let narrow: Vec<Vec<Option<String>>> = database.query_rows(
        "SELECT table_name, column_name, character_maximum_length
            FROM information_schema.columns
            JOIN pg_class ON relname = table_name AND NOT relispartition
            WHERE
                table_schema = 'gristmill'
                AND table_name LIKE 'reporting\\_%'
                AND table_name NOT LIKE '%\\_staging%'
                AND character_maximum_length IS NOT NULL",
    );
    assert!(narrow.len() > 20, "{narrow:?}");
    for column in narrow {
        let text = |index: usize| column[index].as_deref().expect("a value");
        let room: usize = text(2).parse().expect("a number");
        match rooms.get(text(1)) {
            Some(staged) => assert!(staged.is_some_and(|staged| staged <= room), "{column:?}"),
            // The summary writes this one itself.
            None => assert_eq!(text(1), "data_source", "{column:?}"),
        }
    }
}

#[test]
fn a_name_has_the_room_that_the_plan_says() {
    let database = TestDatabase::migrated();
    let most = database.query_value(
        "SELECT character_maximum_length
        FROM information_schema.columns
        WHERE table_schema = 'gristmill' AND table_name = 'gristmill_name' AND column_name = 'name'",
    );
    assert_eq!(most, Some(NAME_CHARACTERS_MAX.to_string()));
}

fn stored_as(storage: Storage) -> String {
    match storage {
        Storage::Boolean => "boolean".into(),
        Storage::Int64 | Storage::FixedPoint { .. } | Storage::LabelSet | Storage::Name { .. } => {
            "bigint".into()
        }
        Storage::Float64 => "double precision".into(),
        Storage::Timestamp => "timestamp with time zone".into(),
        Storage::Text {
            characters_max: None,
        } => "text".into(),
        Storage::Text {
            characters_max: Some(most),
        } => format!("character varying({most})"),
    }
}
