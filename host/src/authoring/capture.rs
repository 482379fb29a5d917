//! Writes the rows that stages broke at or refused as case files: one command makes a
//! test of a failure in production.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::authoring::harness::table::Table;
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::printable;
use crate::ingest::chain::{Capture, CapturedInput};
use crate::rows::batch::Batch;
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
            let mut text = String::new();
            for (position, captured) in captures.iter().enumerate() {
                text += &case_of(captured, position + 1)?;
            }
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(failed)?;
            private(&path.join("cases.toml"), text.as_bytes()).map_err(failed)?;
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
fn case_of(captured: &Capture, number: usize) -> Result<String> {
    let stage = &captured.stage;
    let line = match captured.line {
        Some(line) => format!(", line {line}"),
        None => String::new(),
    };
    let mut text = String::from("[[case]]\n");
    let failed = |error: &dyn std::fmt::Display| {
        Failure::run(format!("cannot capture a case of stage `{}`", stage.name))
            .because(anyhow::anyhow!("{error}"))
    };
    pair(
        &mut text,
        "name",
        &string(&format!("captured {number}{line}")),
    );
    for said in printable::lines(&captured.error).lines() {
        let _ = writeln!(text, "# {said}");
    }
    let config: serde_json::Value =
        serde_json::from_str(&stage.config).map_err(|error| failed(&error))?;
    pair(&mut text, "config", &inline(&config));
    let limits = &stage.limits;
    pair(
        &mut text,
        "limits",
        &format!(
            "{{ memory = \"{} B\", time-per-batch = \"{} ms\", output-per-batch = \"{} B\", \
            batch-memory = \"{} B\" }}",
            limits.memory_bytes,
            limits.time_per_batch.as_millis(),
            limits.output_bytes,
            limits.batch_bytes
        ),
    );
    if !captured.sets.is_empty() {
        let sets: serde_json::Map<String, serde_json::Value> = captured
            .sets
            .iter()
            .map(|(name, words)| (name.clone(), serde_json::Value::from(words.clone())))
            .collect();
        pair(&mut text, "sets", &inline(&sets.into()));
    }
    match &captured.input {
        CapturedInput::Rows(batch) => rows(&mut text, batch).map_err(|error| failed(&error))?,
        CapturedInput::Bytes(bytes, columns) => {
            let input = std::str::from_utf8(bytes)
                .map_err(|_| failed(&"the file is not UTF-8, which a case file cannot hold"))?;
            pair(&mut text, "columns", &wanted(columns));
            pair(&mut text, "input", &string(input));
        }
    }
    pair(&mut text, "output", "\"\"");
    text.push('\n');
    Ok(text)
}

fn rows(text: &mut String, batch: &Batch) -> Result<(), String> {
    let types: Vec<String> = batch
        .schema
        .fields
        .iter()
        .map(|field| {
            format!(
                "{} = {}",
                string(&field.name),
                string(&field.column_type.to_string())
            )
        })
        .collect();
    pair(text, "types", &format!("{{ {} }}", types.join(", ")));
    let mut table = Table::new(batch.schema.names());
    table.add(batch);
    pair(text, "input", &string(&table.text()?));
    Ok(())
}

fn wanted(columns: &[WantedColumn]) -> String {
    let columns: Vec<String> = columns
        .iter()
        .map(|column| {
            format!(
                "{} = {{ type = {}, optional = {}, empty = {} }}",
                string(&column.name),
                string(&column.column_type.to_string()),
                !column.required,
                string(if column.empty_is_null { "null" } else { "zero" })
            )
        })
        .collect();
    format!("{{ {} }}", columns.join(", "))
}

fn pair(text: &mut String, key: &str, value: &str) {
    // Writing to a text does not fail.
    let _ = writeln!(text, "{key} = {value}");
}

/// A value of JSON as one of TOML. Nulls have no place in a configuration that
/// came from TOML.
fn inline(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => string(text),
        serde_json::Value::Array(values) => {
            format!(
                "[{}]",
                values.iter().map(inline).collect::<Vec<_>>().join(", ")
            )
        }
        serde_json::Value::Object(table) => {
            let pairs: Vec<String> = table
                .iter()
                .map(|(key, value)| format!("{} = {}", string(key), inline(value)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        plain => plain.to_string(),
    }
}

/// A text of TOML: as it is where it has lines and nothing that needs an escape,
/// else with escapes.
fn string(text: &str) -> String {
    let plain = |character: char| character == '\n' || !printable::is_hidden(character);
    if text.contains('\n')
        && text.chars().all(plain)
        && !text.contains("'''")
        && !text.ends_with('\'')
    {
        return format!("'''\n{text}'''");
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            hidden if printable::is_hidden(hidden) => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(hidden));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back() {
        for text in [
            "plain",
            "a,b\n1,2\n",
            "a \"quoted\" \\ one",
            "'''\n",
            "\r\n\u{1b}[2J\u{7f}\u{0}",
            "\u{9b}31m\n\u{202e}nimda\u{2069}\u{e0041}",
            "it's\n'",
        ] {
            let table: toml::Table = toml::from_str(&format!("x = {}", string(text))).unwrap();
            assert_eq!(table["x"].as_str(), Some(text));
        }
    }

    #[test]
    fn any_configuration_comes_back() {
        let config = serde_json::json!({ "a.b": [1, 2.5, true, "x"], "deep": { "er": {} } });
        let table: toml::Table = toml::from_str(&format!("x = {}", inline(&config))).unwrap();
        assert_eq!(serde_json::to_value(&table["x"]).unwrap(), config);
    }
}
