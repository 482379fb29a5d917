//! Reads reports of which each line is a JSON object.
//!
//! - A column is the value of its name in the object. Times are text such as
//!   `2026-10-01T05:00:00Z`.
//! - A line that is no object, or has a value that does not fit its column, is
//!   rejected.

use gristmill_stage::{
    Cell, Failure, Lines, NoConfig, OpenParser, Parsed, Parser, Rows, WantedColumn, export_parser,
};
use serde_json::{Map, Value};

struct MyStage {
    columns: Vec<WantedColumn>,
    lines: Lines,
}

impl Parser for MyStage {
    type Config = NoConfig;

    fn open(_: NoConfig, context: OpenParser) -> Result<Self, Failure> {
        Ok(Self {
            columns: context.columns,
            lines: Lines::default(),
        })
    }

    fn parse(&mut self, chunk: Vec<u8>, last: bool) -> Result<Parsed, Failure> {
        let mut rows = Rows::new(&self.columns);
        self.lines.feed(&chunk, last, |line| {
            match serde_json::from_slice::<Map<String, Value>>(line.bytes) {
                Ok(record) => rows.push(line, |column| cell(record.get(&column.name))),
                Err(error) => rows.reject(line, "not-json", error.to_string()),
            }
        });
        Ok(rows.finish())
    }
}

fn cell(value: Option<&Value>) -> Cell<'_> {
    match value {
        None => Cell::Missing,
        Some(Value::Null) => Cell::Empty,
        Some(Value::Bool(boolean)) => Cell::Boolean(*boolean),
        Some(Value::Number(number)) => Cell::Number(number.as_f64().unwrap_or(f64::NAN)),
        Some(Value::String(text)) => Cell::Text(text.into()),
        Some(other) => Cell::Text(other.to_string().into()),
    }
}

export_parser!(MyStage);
