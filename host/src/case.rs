//! Test cases of a stage: input and expectation as data, run against the component
//! with no database and no network.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};
use chrono::DateTime;
use indexmap::IndexMap;
use serde::Deserialize;
use toml::Spanned;

use crate::batch::{Batch, Places, RejectedRow, Values};
use crate::definition::Column;
use crate::problem::{Problem, Sources};
use crate::schema::{ColumnType, Field, Schema};
use crate::stage::{Component, Fact, Settings, StageError, WantedColumn, World};

/// A case file, in order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    case: Vec<Case>,
}

/// One case as its author wrote it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    pub name: Spanned<String>,
    /// Handed to the stage as JSON.
    config: Option<toml::Table>,
    /// Words of the sets bound to the stage.
    #[serde(default)]
    sets: BTreeMap<String, Vec<String>>,
    /// Types of input columns that shall not be guessed. Transforms only.
    #[serde(default)]
    types: BTreeMap<String, ColumnType>,
    /// The columns wanted of the file. Parsers only.
    #[serde(default)]
    columns: IndexMap<String, Column>,
    /// Hand the input over in chunks of this size. Parsers only.
    chunk_bytes: Option<usize>,
    input: String,
    output: Option<String>,
    rejects: Option<String>,
    facts: Option<BTreeMap<String, Vec<String>>>,
    error: Option<String>,
}

/// What a stage made of a case.
#[derive(Debug, Default)]
struct Actual {
    output: String,
    rejects: String,
    facts: BTreeMap<String, Vec<String>>,
}

/// Reads a case file.
///
/// # Errors
/// What is wrong with it, with its place.
pub fn load(path: &Path) -> Result<Vec<Case>, (Sources, Problem)> {
    let mut sources = Sources::default();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot read case file `{}`: {error}", path.display());
            return Err((sources, Problem::new(None, message).environment()));
        }
    };
    sources.add(path, &text);
    let file: CaseFile = match toml::from_str(&text) {
        Ok(file) => file,
        Err(error) => {
            let message = error.message().trim_end().replace('\n', ", ");
            return Err((sources, Problem::new(error.span(), message)));
        }
    };
    for (position, case) in file.case.iter().enumerate() {
        let wrong = if file.case[..position]
            .iter()
            .any(|other| other.name.get_ref() == case.name.get_ref())
        {
            "two cases have this name"
        } else if case.output.is_some() == case.error.is_some() {
            "a case expects either `output` or `error`"
        } else {
            continue;
        };
        return Err((sources, Problem::new(case.name.span(), wrong)));
    }
    Ok(file.case)
}

impl Case {
    /// Runs the case; the differences from what it expects, none when it passes.
    pub fn run(&self, component: &Component) -> Vec<String> {
        let ran = match component.world {
            World::Parser => self.parse(component),
            World::Transform => self.transform(component),
        };
        match (ran, &self.error) {
            (Ok(actual), None) => self.differences(&actual),
            (Ok(actual), Some(error)) => {
                vec![format!(
                    "expected the error `{error}`, got:\n{}",
                    actual.output
                )]
            }
            (Err(actual), Some(error)) if actual == *error => Vec::new(),
            (Err(actual), Some(error)) => {
                vec![format!(
                    "expected the error `{error}`, got the error `{actual}`"
                )]
            }
            (Err(actual), None) => vec![format!("failed: {actual}")],
        }
    }

    fn settings(&self) -> Result<Settings, String> {
        let config = self.config.clone().unwrap_or_default();
        Ok(Settings {
            config: serde_json::to_string(&config).map_err(|error| error.to_string())?,
            sets: self.sets.clone().into_iter().collect(),
            ..Settings::default()
        })
    }

    fn parse(&self, component: &Component) -> Result<Actual, String> {
        let columns: Vec<WantedColumn> = self
            .columns
            .iter()
            .map(|(name, column)| WantedColumn {
                name: name.clone(),
                column_type: column.column_type,
                required: !column.optional,
                empty_is_null: column.empty_is_null,
            })
            .collect();
        let message = |error: StageError| error.to_string();
        let mut parser = component
            .open_parser(&self.settings()?, &columns)
            .map_err(message)?;
        let mut output = Csv::new(parser.schema().names());
        let mut rejects = Csv::new(["line", "column", "code", "message"].into_iter());
        let bytes = self.input.as_bytes();
        let size = self.chunk_bytes.unwrap_or(bytes.len()).max(1);
        let count = bytes.len().div_ceil(size).max(1);
        for position in 0..count {
            let from = position * size;
            let chunk = &bytes[from..(from + size).min(bytes.len())];
            let parsed = parser
                .parse(chunk, position + 1 == count)
                .map_err(message)?;
            output.batch(&parsed.batch)?;
            for reject in &parsed.rejects {
                let line = reject.line.map(|line| line.to_string());
                rejects.reject(line.unwrap_or_default(), reject)?;
            }
        }
        let facts = parser.finish().map_err(message)?;
        Ok(Actual {
            output: output.text()?,
            rejects: rejects.text()?,
            facts: by_topic(facts),
        })
    }

    fn transform(&self, component: &Component) -> Result<Actual, String> {
        let batch = self.typed_input()?;
        let message = |error: StageError| error.to_string();
        let mut transform = component
            .open_transform(&self.settings()?, &batch.schema)
            .map_err(message)?;
        let processed = transform.process(&batch).map_err(message)?;
        let mut output = Csv::new(processed.batch.schema.names());
        output.batch(&processed.batch)?;
        let mut rejects = Csv::new(["row", "column", "code", "message"].into_iter());
        for reject in &processed.rejects {
            // The places of a case are its rows, counted from 0.
            let row = reject.line.map(|row| row.to_string());
            rejects.reject(row.unwrap_or_default(), reject)?;
        }
        let facts = transform.finish().map_err(message)?;
        Ok(Actual {
            output: output.text()?,
            rejects: rejects.text()?,
            facts: by_topic(facts),
        })
    }

    /// The input as a batch: types as declared, or guessed from the cells.
    fn typed_input(&self) -> Result<Batch, String> {
        let table = read(&self.input)?;
        let (header, rows) = table.split_first().ok_or("the input has no header")?;
        let mut fields = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (position, name) in header.iter().enumerate() {
            let cells: Vec<&str> = rows.iter().map(|row| row[position].as_str()).collect();
            let column_type = self
                .types
                .get(name)
                .copied()
                .unwrap_or_else(|| guess(&cells));
            columns.push(
                column(&cells, column_type)
                    .ok_or_else(|| format!("input column `{name}` does not hold {column_type}"))?,
            );
            fields.push(Field {
                name: name.clone(),
                column_type,
            });
        }
        let count = rows.len() as u64;
        Ok(Batch {
            schema: Arc::new(Schema { fields }),
            columns,
            rows: rows.len(),
            places: Places {
                lines: (0..count).collect(),
                starts: vec![0; rows.len()],
                lengths: vec![0; rows.len()],
                ..Places::default()
            },
        })
    }

    fn differences(&self, actual: &Actual) -> Vec<String> {
        let mut differences = Vec::new();
        if let Some(expected) = &self.output {
            compare("output", expected, &actual.output, &mut differences);
        }
        match &self.rejects {
            Some(expected) => compare("rejects", expected, &actual.rejects, &mut differences),
            None if actual.rejects.lines().count() > 1 => {
                differences.push(format!("rows were rejected:\n{}", actual.rejects));
            }
            None => {}
        }
        if let Some(expected) = &self.facts
            && *expected != actual.facts
        {
            differences.push(format!(
                "facts: expected {expected:?}, got {:?}",
                actual.facts
            ));
        }
        differences
    }
}

/// Names the first cells in which two tables differ.
fn compare(what: &str, expected: &str, actual: &str, differences: &mut Vec<String>) {
    let (wanted, got) = match (read(expected), read(actual)) {
        (Ok(wanted), Ok(got)) => (wanted, got),
        (Err(error), _) | (_, Err(error)) => {
            differences.push(format!("{what}: {error}"));
            return;
        }
    };
    if wanted == got {
        return;
    }
    let empty = Vec::new();
    let (wanted_header, got_header) = (
        wanted.first().unwrap_or(&empty),
        got.first().unwrap_or(&empty),
    );
    if wanted_header != got_header {
        differences.push(format!(
            "{what}: expected the columns `{}`, got `{}`",
            wanted_header.join(","),
            got_header.join(",")
        ));
        return;
    }
    if wanted.len() != got.len() {
        differences.push(format!(
            "{what}: expected {} rows, got {}",
            wanted.len() - 1,
            got.len() - 1
        ));
    }
    for (row, (wanted, got)) in wanted.iter().zip(&got).enumerate().skip(1) {
        for ((column, wanted), got) in wanted_header.iter().zip(wanted).zip(got) {
            if wanted != got {
                differences.push(format!(
                    "{what}, row {}, column `{column}`: expected `{wanted}`, got `{got}`",
                    row - 1
                ));
            }
        }
    }
}

/// CSV as rows of cells; the first row is the header.
fn read(text: &str) -> Result<Vec<Vec<String>>, String> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes())
        .records()
        .map(|record| {
            record
                .map(|record| record.iter().map(str::to_string).collect())
                .map_err(|error| error.to_string())
        })
        .collect()
}

fn guess(cells: &[&str]) -> ColumnType {
    let filled = || cells.iter().filter(|cell| !cell.is_empty());
    if filled().next().is_none() {
        ColumnType::Dictionary
    } else if filled().all(|cell| cell.parse::<f64>().is_ok()) {
        ColumnType::Float64
    } else if filled().all(|cell| microseconds(cell).is_some()) {
        ColumnType::Timestamp
    } else {
        ColumnType::Dictionary
    }
}

/// An empty cell is null, but in text, where it is the empty text.
fn column(cells: &[&str], column_type: ColumnType) -> Option<ArrayRef> {
    fn parsed<T>(cells: &[&str], parse: impl Fn(&str) -> Option<T>) -> Option<Vec<Option<T>>> {
        cells
            .iter()
            .map(|cell| match cell.is_empty() {
                true => Some(None),
                false => parse(cell).map(Some),
            })
            .collect()
    }
    Some(match column_type {
        ColumnType::Float64 => {
            Arc::new(Float64Array::from(parsed(cells, |cell| cell.parse().ok())?))
        }
        ColumnType::Int64 => Arc::new(arrow_array::Int64Array::from(parsed(cells, |cell| {
            cell.parse().ok()
        })?)),
        ColumnType::Boolean => Arc::new(arrow_array::BooleanArray::from(parsed(cells, |cell| {
            cell.parse().ok()
        })?)),
        ColumnType::Timestamp => Arc::new(TimestampMicrosecondArray::from(parsed(
            cells,
            microseconds,
        )?)),
        ColumnType::Utf8 => Arc::new(StringArray::from(cells.to_vec())),
        ColumnType::Dictionary | ColumnType::Json => Arc::new(
            cells
                .iter()
                .copied()
                .map(Some)
                .collect::<crate::batch::TextDictionary>(),
        ),
    })
}

fn microseconds(cell: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(cell)
        .ok()
        .map(|instant| instant.timestamp_micros())
}

fn by_topic(facts: Vec<Fact>) -> BTreeMap<String, Vec<String>> {
    let mut topics: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for fact in facts {
        topics.entry(fact.topic).or_default().extend(fact.words);
    }
    for words in topics.values_mut() {
        words.sort();
        words.dedup();
    }
    topics
}

/// A table being written.
struct Csv(csv::Writer<Vec<u8>>);

impl Csv {
    fn new<'n>(header: impl Iterator<Item = &'n str>) -> Self {
        let mut writer = csv::Writer::from_writer(Vec::new());
        // Writing to memory does not fail.
        let _ = writer.write_record(header);
        Self(writer)
    }

    fn batch(&mut self, batch: &Batch) -> Result<(), String> {
        let columns: Vec<Values<'_>> = batch.columns.iter().filter_map(Values::of).collect();
        for row in 0..batch.rows {
            self.0
                .write_record(columns.iter().map(|values| values.cell(row)))
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn reject(&mut self, place: String, reject: &RejectedRow) -> Result<(), String> {
        let column = reject.column.clone().unwrap_or_default();
        self.0
            .write_record([place, column, reject.code.clone(), reject.message.clone()])
            .map_err(|error| error.to_string())
    }

    fn text(self) -> Result<String, String> {
        let bytes = self.0.into_inner().map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_row_and_column() {
        let mut differences = Vec::new();
        compare(
            "output",
            "a,b\n1,2\n3,4\n",
            "a,b\n1,2\n3,5\n",
            &mut differences,
        );
        assert_eq!(
            differences,
            ["output, row 1, column `b`: expected `4`, got `5`"]
        );
    }

    #[test]
    fn types_are_guessed_from_the_cells() {
        assert_eq!(guess(&["1.5", "", "2e3"]), ColumnType::Float64);
        assert_eq!(guess(&["2026-01-10T05:00:00Z"]), ColumnType::Timestamp);
        assert_eq!(guess(&["1.5", "web"]), ColumnType::Dictionary);
        assert_eq!(guess(&["", ""]), ColumnType::Dictionary);
    }
}
