//! Writes the rows that stages broke at or refused as case files: one command makes a
//! test of a failure in production.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Table, Value};

use crate::authoring::harness::table::Table as RowTable;
use crate::authoring::toml_text;
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::printable;
use crate::ingest::chain::{Capture, CapturedInput};
use crate::stage::WantedColumn;

/// The cases of one stage.
#[derive(Debug, PartialEq, Eq)]
pub struct CaseFolder {
    pub stage: String,
    pub path: PathBuf,
}

/// Writes a folder for each stage, with its component and its cases; what was
/// captured there before is replaced. The files hold rows of payloads, and are ours
/// alone.
///
/// # Errors
/// A file cannot be written, or what was captured is no text.
pub fn write(directory: &Path, captures: &[Capture]) -> Result<Vec<CaseFolder>> {
    let mut stages: BTreeMap<&str, Vec<&Capture>> = BTreeMap::new();
    for captured in captures {
        stages
            .entry(&captured.stage.name)
            .or_default()
            .push(captured);
    }
    stages
        .into_iter()
        .map(|(stage, captures)| {
            let path = directory.join(stage);
            let failed = |error: io::Error| {
                Failure::run(format!("cannot write cases to `{}`", path.display())).because(error)
            };
            let cases = captures.iter().zip(1..);
            let cases = cases.map(|(captured, number)| case_of(captured, number));
            let mut document = DocumentMut::new();
            document["case"] = cases.collect::<Result<ArrayOfTables>>()?.into();
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(failed)?;
            private(&path.join("cases.toml"), document.to_string().as_bytes()).map_err(failed)?;
            let component = captures[0].stage.component.path.as_path();
            let name = format!("{}.wasm", stage.replace('-', "_"));
            fs::read(component)
                .and_then(|bytes| private(&path.join(name), &bytes))
                .map_err(failed)?;
            Ok(CaseFolder {
                stage: stage.to_string(),
                path,
            })
        })
        .collect()
}

fn private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A file that is there keeps its mode when it is opened, so it goes first.
    if path.exists() {
        fs::remove_file(path)?;
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(bytes)
}

/// One case, which expects nothing yet: it fails as the stage did.
fn case_of(captured: &Capture, number: usize) -> Result<Table> {
    let stage = &captured.stage;
    let failed = |error: &dyn std::fmt::Display| {
        Failure::run(format!("cannot capture a case of stage `{}`", stage.name))
            .because(anyhow::anyhow!("{error}"))
    };
    let line = match captured.line {
        Some(line) => format!(", line {line}"),
        None => String::new(),
    };
    let mut case = Table::new();
    case["name"] = toml_text::one_line(&format!("captured {number}{line}")).into();
    let config: serde_json::Value =
        serde_json::from_str(&stage.config).map_err(|error| failed(&error))?;
    case["config"] = value_of(&config).into();
    if let Some(mut key) = case.key_mut("config") {
        let said = printable::lines(&captured.error);
        let said: String = said.lines().map(|line| format!("# {line}\n")).collect();
        key.leaf_decor_mut().set_prefix(said);
    }
    let limits = &stage.limits;
    let limits = [
        ("memory", format!("{} B", limits.memory_bytes)),
        (
            "time-per-batch",
            format!("{} ms", limits.time_per_batch.as_millis()),
        ),
        ("output-per-batch", format!("{} B", limits.output_bytes)),
        ("batch-memory", format!("{} B", limits.batch_bytes)),
    ];
    case["limits"] = table_of(limits.map(|(limit, value)| (limit, value.into()))).into();
    if !captured.sets.is_empty() {
        let sets = captured.sets.iter().map(|(name, words)| {
            let words = words.iter().map(|word| toml_text::one_line(word));
            (name.as_str(), words.collect())
        });
        case["sets"] = table_of(sets).into();
    }
    match &captured.input {
        CapturedInput::Rows(batch) => {
            let fields = batch.schema.fields.iter();
            case["types"] = table_of(
                fields.map(|field| (field.name.as_str(), field.column_type.to_string().into())),
            )
            .into();
            let mut rows = RowTable::new(batch.schema.names());
            rows.add(batch);
            let rows = rows.text().map_err(|error| failed(&error))?;
            case["input"] = toml_text::text(&rows).into();
        }
        CapturedInput::Bytes(bytes, columns) => {
            let input = std::str::from_utf8(bytes)
                .map_err(|_| failed(&"the file is not UTF-8, which a case file cannot hold"))?;
            case["columns"] = wanted(columns).into();
            case["input"] = toml_text::text(input).into();
        }
    }
    case["output"] = "".into();
    Ok(case)
}

fn wanted(columns: &[WantedColumn]) -> Value {
    table_of(columns.iter().map(|column| {
        let empty = if column.empty_is_null { "null" } else { "zero" };
        let wanted = [
            ("type", column.column_type.to_string().into()),
            ("optional", (!column.required).into()),
            ("empty", empty.into()),
        ];
        (column.name.as_str(), table_of(wanted))
    }))
}

/// A value of JSON that was one of TOML.
fn value_of(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => f64::NAN.into(),
        serde_json::Value::Bool(value) => (*value).into(),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        serde_json::Value::String(text) => toml_text::text(text),
        serde_json::Value::Array(values) => values.iter().map(value_of).collect(),
        serde_json::Value::Object(pairs) => table_of(
            pairs
                .iter()
                .map(|(key, value)| (key.as_str(), value_of(value))),
        ),
    }
}

fn table_of<'k>(pairs: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    let mut table = InlineTable::new();
    for (key, value) in pairs {
        table.insert_formatted(&toml_text::key(key), value);
    }
    table.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_configuration_comes_back() {
        let config = serde_json::json!({
            "a.b": [1, 2.5, true, "x", "a\nb"],
            "deep": { "er": {}, "\u{202e}": "\u{9b}" },
        });
        let mut document = DocumentMut::new();
        document["x"] = value_of(&config).into();
        let written = document.to_string();
        assert!(
            !written.contains(|c| c != '\n' && printable::is_hidden(c)),
            "{written:?}"
        );
        let table: toml::Table = toml::from_str(&written).unwrap();
        assert_eq!(serde_json::to_value(&table["x"]).unwrap(), config);
    }
}
