//! The rows of one table that another lacks, and the files they are kept in.
//!
//! Rows are compared as multisets, without ids; numbers within a tolerance, JSON
//! by value, arrays whatever their order. A report period is its month.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::server::TestDatabase;

/// The goldens passed through double precision and 15 significant digits.
const TOLERANCE: f64 = 1e-9;

/// How files write null.
const NULL: &str = r"\N";

/// Rows under a header, each value in its one way of writing; `None` is null.
pub(crate) struct Rows {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

pub(crate) type Row = Vec<Option<String>>;

struct Column {
    name: String,
    kind: Kind,
}

/// The type as which the values of a column are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Array,
    Json,
    Number,
    Text,
}

/// The rows that only one of two tables has, without the columns that are null in
/// all of them.
pub(crate) struct Difference {
    pub(crate) columns: Vec<String>,
    pub(crate) lines: Vec<Line>,
}

/// A row of one table that the other has not.
pub(crate) struct Line {
    /// Of the found rows, rather than of the expected ones.
    pub(crate) is_ours: bool,
    pub(crate) cells: Row,
}

impl Rows {
    /// The rows of a golden file of a table, as that of the data set's period ids.
    #[track_caller]
    pub(crate) fn read(database: &TestDatabase, golden: &Path, ignored: &[&str]) -> Rows {
        let table = golden.file_stem().expect("a name").to_string_lossy();
        let (columns, rows) = read(golden);
        let periods = golden.with_file_name("reporting_ocpusagereportperiod.csv");
        let (names, periods) = read(&periods);
        let at = |name: &str| position(&names, name);
        let (id, start) = (at("id"), at("report_period_start"));
        let months = periods
            .into_iter()
            .map(|row| (row[id].clone(), row[start].clone()))
            .collect();
        Rows::new(&columns, rows, &kinds(database, &table), &months, ignored)
    }

    /// The same columns of the table in the database.
    #[track_caller]
    pub(crate) fn query(database: &TestDatabase, golden: &Path, ignored: &[&str]) -> Rows {
        let table = golden.file_stem().expect("a name").to_string_lossy();
        let (columns, _) = read(golden);
        let names = columns.join(", ");
        let rows = database.query_rows(&format!("SELECT {names} FROM {table}"));
        let months = database
            .query_rows("SELECT id, report_period_start FROM reporting_ocpusagereportperiod")
            .into_iter()
            .map(|mut row| (row[0].take(), row[1].take()))
            .collect();
        Rows::new(&columns, rows, &kinds(database, &table), &months, ignored)
    }

    #[track_caller]
    fn new(
        names: &[String],
        rows: Vec<Row>,
        kinds: &BTreeMap<String, Kind>,
        months: &BTreeMap<Option<String>, Option<String>>,
        ignored: &[&str],
    ) -> Rows {
        let kind = |name: &String| {
            let kind = kinds.get(name).copied();
            kind.unwrap_or_else(|| panic!("our table has no column `{name}`"))
        };
        let columns: Vec<Option<Column>> = names
            .iter()
            .map(|name| {
                (!ignored.contains(&name.as_str())).then(|| Column {
                    kind: kind(name),
                    name: name.clone(),
                })
            })
            .collect();
        let written = |row: Row| {
            let cells = columns.iter().zip(row);
            cells
                .filter_map(|(column, cell)| {
                    let column = column.as_ref()?;
                    Some(match column.name.as_str() {
                        "report_period_id" => months[&cell].clone(),
                        _ => cell.map(|cell| column.kind.written(&cell)),
                    })
                })
                .collect()
        };
        Rows {
            rows: rows.into_iter().map(written).collect(),
            columns: columns.into_iter().flatten().collect(),
        }
    }

    /// The rows that the other has and these have not, and the reverse.
    pub(crate) fn difference(mut self, mut ours: Rows) -> Difference {
        self.rows.retain(|row| {
            let alike = ours
                .rows
                .iter()
                .position(|other| self.columns.are_near(row, other));
            alike
                .map(|position| ours.rows.swap_remove(position))
                .is_none()
        });
        let line = |is_ours| move |cells| Line { is_ours, cells };
        let mut lines: Vec<Line> = self.rows.into_iter().map(line(false)).collect();
        lines.extend(ours.rows.into_iter().map(line(true)));

        let filled: Vec<bool> = (0..self.columns.len())
            .map(|column| lines.iter().any(|line| line.cells[column].is_some()))
            .collect();
        for line in &mut lines {
            let mut filled = filled.iter();
            line.cells.retain(|_| *filled.next().expect("a column"));
        }
        let columns = self.columns.into_iter().zip(filled);
        let columns: Vec<Column> = columns
            .filter_map(|(column, filled)| filled.then_some(column))
            .collect();
        // Two versions of a row stand one below the other.
        let names_of = |line: &Line| -> Row {
            let cells = columns.iter().zip(&line.cells);
            cells
                .filter(|(column, _)| column.kind == Kind::Text)
                .map(|(_, cell)| cell.clone())
                .collect()
        };
        lines.sort_by_cached_key(|line| (names_of(line), line.is_ours, line.cells.clone()));
        Difference {
            columns: columns.into_iter().map(|column| column.name).collect(),
            lines,
        }
    }
}

trait Columns {
    fn are_near(&self, left: &Row, right: &Row) -> bool;
}

impl Columns for Vec<Column> {
    fn are_near(&self, left: &Row, right: &Row) -> bool {
        let cells = left.iter().zip(right);
        self.iter().zip(cells).all(|(column, cells)| match cells {
            (Some(left), Some(right)) if column.kind == Kind::Number => {
                let (left, right) = (number(left), number(right));
                (left - right).abs() <= TOLERANCE * left.abs().max(1.0)
            }
            (left, right) => left == right,
        })
    }
}

impl Kind {
    /// The value, in its one way of writing.
    fn written(self, cell: &str) -> String {
        match self {
            Kind::Array => {
                let mut elements = elements(cell);
                elements.sort();
                Value::from(elements).to_string()
            }
            // Reading and writing sorts the keys.
            Kind::Json => serde_json::from_str::<Value>(cell)
                .unwrap_or_else(|error| panic!("{cell}: {error}"))
                .to_string(),
            Kind::Number => match cell.contains('.') {
                true => cell.trim_end_matches('0').trim_end_matches('.').into(),
                false => cell.into(),
            },
            Kind::Text => cell.into(),
        }
    }
}

impl Line {
    /// The cells that are not null.
    pub(crate) fn words(&self, columns: &[String]) -> String {
        let cells = columns.iter().zip(&self.cells);
        let words = cells.filter_map(|(column, cell)| Some(format!("{column} {}", cell.as_ref()?)));
        words.collect::<Vec<_>>().join(", ")
    }
}

impl Difference {
    /// A cell as files write it, if the difference has such a column.
    pub(crate) fn cell<'a>(&self, line: &'a Line, column: &str) -> Option<&'a str> {
        let position = self.columns.iter().position(|name| name == column)?;
        Some(line.cells[position].as_deref().unwrap_or(NULL))
    }
}

pub(crate) fn number(cell: &str) -> f64 {
    cell.parse()
        .unwrap_or_else(|error| panic!("{cell}: {error}"))
}

/// Compares a text with a file, or with `UPDATE` writes the file anew; there is no
/// file for no text.
#[track_caller]
pub(crate) fn check_file(path: &Path, text: &str) {
    if env::var_os("UPDATE").is_some() {
        match text {
            "" => drop(fs::remove_file(path)),
            _ => {
                let folder = path.parent().expect("a folder");
                fs::create_dir_all(folder).expect("a folder");
                fs::write(path, text).expect("room for the file");
            }
        }
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    let lacks = |left: &str, right: &str| -> String {
        let right: Vec<&str> = right.lines().collect();
        let lines = left.lines().filter(|line| !right.contains(line)).take(12);
        lines.map(|line| format!("  {line}\n")).collect()
    };
    assert!(
        kept == text,
        "`{}` is not as it was (UPDATE=1 writes it anew)\n--- no longer\n{}--- new\n{}---",
        path.display(),
        lacks(&kept, text),
        lacks(text, &kept)
    );
}

/// A file's header and rows.
#[track_caller]
pub(crate) fn read(path: &Path) -> (Vec<String>, Vec<Row>) {
    let mut reader = csv::Reader::from_path(path)
        .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()));
    let columns = reader.headers().expect("a header").iter();
    let columns = columns.map(String::from).collect();
    let rows = reader
        .records()
        .map(|record| {
            let record = record.unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
            let value = |cell: &str| (cell != NULL).then(|| cell.to_string());
            record.iter().map(value).collect()
        })
        .collect();
    (columns, rows)
}

/// Rows as the text of a file.
pub(crate) fn written(columns: &[String], rows: impl IntoIterator<Item = Row>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut line = |cells: Vec<&str>| writer.write_record(cells).expect("a line in memory");
    line(columns.iter().map(String::as_str).collect());
    for row in rows {
        line(
            row.iter()
                .map(|cell| cell.as_deref().unwrap_or(NULL))
                .collect(),
        );
    }
    String::from_utf8(writer.into_inner().expect("memory")).expect("UTF-8")
}

#[track_caller]
fn position(columns: &[String], name: &str) -> usize {
    let position = columns.iter().position(|column| column == name);
    position.unwrap_or_else(|| panic!("there is no column `{name}`"))
}

#[track_caller]
fn kinds(database: &TestDatabase, table: &str) -> BTreeMap<String, Kind> {
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
                "ARRAY" => Kind::Array,
                _ => Kind::Text,
            };
            (name, kind)
        })
        .collect()
}

/// The elements of an array of texts as Postgres writes it.
fn elements(array: &str) -> Vec<Option<String>> {
    let inner = array
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let inner = inner.unwrap_or_else(|| panic!("`{array}` is no array"));
    if inner.is_empty() {
        return Vec::new();
    }
    let (mut found, mut element) = (Vec::new(), String::new());
    let (mut is_quoted, mut was_quoted) = (false, false);
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => (is_quoted, was_quoted) = (!is_quoted, true),
            '\\' => element.extend(characters.next()),
            ',' if !is_quoted => {
                let is_null = !was_quoted && element == "NULL";
                found.push((!is_null).then(|| std::mem::take(&mut element)));
                element.clear();
                was_quoted = false;
            }
            _ => element.push(character),
        }
    }
    let is_null = !was_quoted && element == "NULL";
    found.push((!is_null).then_some(element));
    found
}

#[test]
fn an_array_is_read_as_postgres_writes_it() {
    let text = |text: &str| Some(text.to_string());
    assert_eq!(elements("{}"), []);
    assert_eq!(elements("{NULL}"), [None]);
    assert_eq!(
        elements(r#"{a,"b,c","NULL",NULL,"d\"e",""}"#),
        [
            text("a"),
            text("b,c"),
            text("NULL"),
            None,
            text("d\"e"),
            text("")
        ]
    );
}
