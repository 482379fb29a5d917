//! Reads reports of which each line is a JSON object.
//!
//! - A column is the value of its name in the object. Configuration: `names`, from
//!   the report's names to those of the pipeline's columns (`{}`).
//! - Times are text such as `2026-10-01T05:00:00Z`.
//! - A label set is an object, `{"app": "web"}`, and becomes the text that
//!   label-filter reads, `label_app:web`.
//! - A line that is no object, or has a value that does not fit its column, is
//!   rejected.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_stage::{
    Cell, Fact, Failure, Lines, OpenParser, Parsed, Parser, Rows, WantedColumn, export_parser,
};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    names: BTreeMap<String, String>,
}

struct JsonLines {
    columns: Vec<WantedColumn>,
    /// The name in the report of each column that is called otherwise there.
    names: BTreeMap<String, String>,
    ignored: BTreeSet<String>,
    lines: Lines,
}

impl Parser for JsonLines {
    type Config = Config;

    fn open(config: Config, context: OpenParser) -> Result<Self, Failure> {
        let names = config.names.into_iter().map(|(theirs, ours)| (ours, theirs));
        Ok(Self {
            columns: context.columns,
            names: names.collect(),
            ignored: BTreeSet::new(),
            lines: Lines::default(),
        })
    }

    fn parse(&mut self, chunk: Vec<u8>, last: bool) -> Result<Parsed, Failure> {
        let mut rows = Rows::new(&self.columns);
        let names = &self.names;
        let name = |column: &WantedColumn| names.get(&column.name).unwrap_or(&column.name).clone();
        let known: BTreeSet<String> = self.columns.iter().map(name).collect();
        self.lines.feed(&chunk, last, |line| {
            match serde_json::from_slice::<Map<String, Value>>(line.bytes) {
                Ok(record) => {
                    rows.push(line, |column| cell(record.get(&name(column))));
                    let unknown = record.keys().filter(|name| !known.contains(*name));
                    self.ignored.extend(unknown.cloned());
                }
                Err(error) => rows.reject(line, "not-json", error.to_string()),
            }
        });
        Ok(rows.finish())
    }

    fn finish(&mut self) -> Result<Vec<Fact>, Failure> {
        let ignored = self.ignored.iter().map(String::as_str);
        Ok(vec![Fact::new("ignored-columns", ignored)])
    }
}

fn cell(value: Option<&Value>) -> Cell<'_> {
    match value {
        None => Cell::Missing,
        Some(Value::Null) => Cell::Empty,
        Some(Value::Bool(boolean)) => Cell::Boolean(*boolean),
        Some(Value::Number(number)) => Cell::Number(number.as_f64().unwrap_or(f64::NAN)),
        Some(Value::String(text)) => Cell::Text(text.into()),
        Some(Value::Object(labels)) => Cell::Text(label_set(labels).into()),
        Some(list @ Value::Array(_)) => Cell::Text(list.to_string().into()),
    }
}

fn label_set(labels: &Map<String, Value>) -> String {
    let labels = labels.iter().map(|(key, value)| match value {
        Value::String(text) => format!("label_{key}:{text}"),
        other => format!("label_{key}:{other}"),
    });
    labels.collect::<Vec<_>>().join("|")
}

export_parser!(JsonLines);
