//! Tables against goldens: rows as multisets, numbers within a tolerance, JSON by
//! value, and a difference that a person can read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::server::TestDatabase;

/// The goldens passed through double precision and 15 significant digits.
const TOLERANCE: f64 = 1e-9;

/// Columns that differ from run to run, or from product to product, by design.
const IGNORED: [&str; 2] = ["uuid", "report_period_id"];

/// Rows of each kind that a difference shows.
const SHOWN: usize = 4;

/// Rows under a header; `None` is null.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// Reads a golden file.
    #[track_caller]
    pub(crate) fn read(path: &Path) -> Table {
        let mut reader = csv::Reader::from_path(path)
            .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()));
        let columns: Vec<String> = reader
            .headers()
            .expect("a header")
            .iter()
            .map(String::from)
            .collect();
        let rows = reader
            .records()
            .map(|record| {
                let record = record.expect("a row");
                let value = |cell: &str| (cell != r"\N").then(|| cell.to_string());
                record.iter().map(value).collect()
            })
            .collect();
        Table { columns, rows }
    }

    /// Leaves out the rows that have one of these values in a column.
    fn without(mut self, column: &str, values: &[Option<&str>]) -> Table {
        let position = self.columns.iter().position(|name| name == column);
        let position = position.expect("a column of the golden file");
        self.rows
            .retain(|row| !values.contains(&row[position].as_deref()));
        self
    }

    /// The same columns of a table in the database.
    #[track_caller]
    fn of_database(&self, database: &TestDatabase, table: &str) -> Table {
        let columns = self.columns.join(", ");
        Table {
            columns: self.columns.clone(),
            rows: database.query_rows(&format!("SELECT {columns} FROM {table}")),
        }
    }
}

/// Asserts that the database's table holds the golden rows and no others.
#[track_caller]
pub(crate) fn check_table(database: &TestDatabase, table: &str, golden: &Path) {
    check_table_without(database, table, golden, "", &[]);
}

/// The same, but for the rows that have one of these values in a column.
#[track_caller]
pub(crate) fn check_table_without(
    database: &TestDatabase,
    table: &str,
    golden: &Path,
    column: &str,
    values: &[Option<&str>],
) {
    let mut expected = Table::read(golden);
    let mut found = expected.of_database(database, table);
    if !values.is_empty() {
        expected = expected.without(column, values);
        found = found.without(column, values);
    }
    let types = types(database, table);
    if let Err(difference) = compare(&expected, &found, &types) {
        panic!(
            "`{table}` is not as in `{}`\n{difference}",
            golden.display()
        );
    }
}

/// The type as which the values of a column are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    Json,
    Text,
}

#[track_caller]
fn types(database: &TestDatabase, table: &str) -> BTreeMap<String, Kind> {
    let query = format!(
        "SELECT column_name, data_type FROM information_schema.columns
        WHERE table_schema = 'gristmill' AND table_name = '{table}'"
    );
    database
        .query_rows(&query)
        .into_iter()
        .filter_map(|mut row| Some((row[0].take()?, row[1].take()?)))
        .map(|(name, data_type)| {
            let kind = match data_type.as_str() {
                "numeric" | "double precision" => Kind::Number,
                "jsonb" => Kind::Json,
                _ => Kind::Text,
            };
            (name, kind)
        })
        .collect()
}

/// A row as what must be equal and what must be near.
type Row = (Vec<String>, Vec<Option<f64>>);

fn compare(expected: &Table, found: &Table, types: &BTreeMap<String, Kind>) -> Result<(), String> {
    let (mut left, columns) = split(expected, types);
    let (mut right, _) = split(found, types);
    // A row with its like on the other side is done with.
    left.retain(
        |row| match right.iter().position(|other| is_like(row, other)) {
            Some(position) => {
                right.swap_remove(position);
                false
            }
            None => true,
        },
    );
    if left.is_empty() && right.is_empty() {
        return Ok(());
    }
    let mut text = format!(
        "{} of {} expected rows are missing, {} of {} found rows are not expected\n",
        left.len(),
        expected.rows.len(),
        right.len(),
        found.rows.len()
    );
    let mut shown = 0;
    left.retain(|row| {
        let Some(position) = right.iter().position(|other| row.0 == other.0) else {
            return true;
        };
        let other = right.swap_remove(position);
        shown += 1;
        if shown <= SHOWN {
            let _ = writeln!(text, "\n  {}", describe(row, &columns));
            for (column, (expected, found)) in columns.1.iter().zip(row.1.iter().zip(&other.1)) {
                if !is_near(*expected, *found) {
                    let _ = writeln!(text, "    {column}: expected {expected:?}, found {found:?}");
                }
            }
        }
        false
    });
    for (what, rows) in [("missing", &left), ("not expected", &right)] {
        for row in rows.iter().take(SHOWN) {
            let _ = writeln!(text, "\n  {what}: {}", describe(row, &columns));
        }
    }
    Err(text)
}

/// The rows, and the names of the exact and of the near columns.
fn split(table: &Table, types: &BTreeMap<String, Kind>) -> (Vec<Row>, (Vec<String>, Vec<String>)) {
    let kinds: Vec<Option<Kind>> = table
        .columns
        .iter()
        .map(|column| {
            let compared = !IGNORED.contains(&column.as_str());
            compared.then(|| types.get(column).copied().unwrap_or(Kind::Text))
        })
        .collect();
    let named = |wanted: &dyn Fn(Kind) -> bool| {
        let columns = table.columns.iter().zip(&kinds);
        columns
            .filter(|(_, kind)| kind.is_some_and(wanted))
            .map(|(column, _)| column.clone())
            .collect()
    };
    let names = (
        named(&|kind| kind != Kind::Number),
        named(&|kind| kind == Kind::Number),
    );
    let rows = table
        .rows
        .iter()
        .map(|row| {
            let mut split: Row = (Vec::new(), Vec::new());
            for (cell, kind) in row.iter().zip(&kinds) {
                match (kind, cell) {
                    (None, _) => {}
                    (Some(Kind::Number), cell) => {
                        let number = cell.as_ref().map(|cell| cell.parse().expect("a number"));
                        split.1.push(number);
                    }
                    (Some(_), None) => split.0.push("null".into()),
                    (Some(Kind::Json), Some(cell)) => {
                        // Reading and writing sorts the keys.
                        let value: Value = serde_json::from_str(cell).expect("JSON");
                        split.0.push(value.to_string());
                    }
                    (Some(Kind::Text), Some(cell)) => split.0.push(format!("{cell:?}")),
                }
            }
            split
        })
        .collect();
    (rows, names)
}

fn is_like(left: &Row, right: &Row) -> bool {
    left.0 == right.0
        && left
            .1
            .iter()
            .zip(&right.1)
            .all(|(left, right)| is_near(*left, *right))
}

fn is_near(expected: Option<f64>, found: Option<f64>) -> bool {
    match (expected, found) {
        (Some(expected), Some(found)) => {
            (expected - found).abs() <= TOLERANCE * expected.abs().max(1.0)
        }
        (None, None) => true,
        _ => false,
    }
}

/// The cells that say which row it is.
fn describe(row: &Row, columns: &(Vec<String>, Vec<String>)) -> String {
    columns
        .0
        .iter()
        .zip(&row.0)
        .filter(|(_, cell)| *cell != "null")
        .map(|(column, cell)| format!("{column} {cell}"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn a_row_too_many_and_a_number_too_far_are_differences() {
    let table = |rows: &[[&str; 2]]| Table {
        columns: vec!["name".into(), "hours".into()],
        rows: rows
            .iter()
            .map(|row| row.iter().map(|cell| Some((*cell).to_string())).collect())
            .collect(),
    };
    let types = BTreeMap::from([("hours".to_string(), Kind::Number)]);
    let one = table(&[["a", "1"], ["b", "2"]]);
    assert_eq!(
        compare(&one, &table(&[["b", "2.000000001"], ["a", "1"]]), &types),
        Ok(())
    );
    let far = compare(&one, &table(&[["b", "2.00000001"], ["a", "1"]]), &types);
    assert!(
        far.unwrap_err()
            .contains("hours: expected Some(2.0), found Some(2.00000001)")
    );
    let twice = compare(&one, &table(&[["a", "1"], ["b", "2"], ["b", "2"]]), &types);
    assert!(twice.unwrap_err().contains("not expected: name \"b\""));
}
