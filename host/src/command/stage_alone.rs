//! What the verbs for one stage share: they read the component, its configuration and its
//! input as they were typed.

use std::fs;
use std::io::{IsTerminal, Read as _};
use std::path::Path;

use indexmap::IndexMap;
use serde::Deserialize;

use crate::authoring::harness::table::Table;
use crate::authoring::harness::{Fault, Harness};
use crate::cli::{StageInputArguments, StageOpenArguments, typed};
use crate::diagnostics::failure::{Failure, Result};
use crate::pipeline::definition::Column;
use crate::stage::{Component, ComponentRefusal, Reason, Settings, StageError, World};

/// The refusal of a component as the end of a command.
pub(super) fn unusable(unusable: ComponentRefusal) -> Failure {
    let mut failure = match unusable.reason {
        Reason::Unreadable => Failure::environment(unusable.message),
        Reason::Pin | Reason::Component => Failure::definition(unusable.message),
    };
    failure.hint = unusable.hint;
    failure.at(unusable.path.display().to_string())
}

/// The settings with which a stage is opened.
pub(super) fn settings(arguments: &StageOpenArguments) -> Result<Settings> {
    let config = match &arguments.config {
        Some(text) => config(text)?,
        None => "{}".to_string(),
    };
    Ok(Settings {
        config,
        sets: arguments.sets.clone(),
        ..Settings::default()
    })
}

/// The stage's input, and how it is to be opened for it.
pub(super) fn harness(arguments: &StageInputArguments, world: World) -> Result<(Harness, String)> {
    let input = input(arguments.input.as_deref())?;
    let columns = match (&arguments.columns, world) {
        (Some(text), World::Parser) => columns(text)?,
        (None, World::Parser) => columns_of(&input)?,
        (Some(_), World::Transform) => {
            return Err(Failure::definition("`--columns` is for parsers")
                .hint("`--types` says what the columns of a transform's input are"));
        }
        (None, World::Transform) => IndexMap::new(),
    };
    if world == World::Parser && !arguments.types.is_empty() {
        return Err(Failure::definition("`--types` is for transforms")
            .hint("`--columns` says which columns are wanted of a parser, and their types"));
    }
    let harness = Harness {
        settings: settings(&arguments.open)?,
        types: arguments.types.iter().cloned().collect(),
        columns,
        ..Harness::default()
    };
    Ok((harness, input))
}

/// The failure of a stage as the end of a command.
pub(super) fn fault(component: &Component, fault: &Fault) -> Failure {
    let name = name(&component.path);
    match fault {
        Fault::Input(reason) => Failure::definition(format!("the input cannot be used: {reason}")),
        Fault::Stage(error @ (StageError::Config { .. } | StageError::Schema { .. })) => {
            Failure::definition(format!("stage `{name}` refused to open: {error}"))
        }
        Fault::Stage(error @ StageError::Input { .. }) => {
            Failure::run(format!("stage `{name}` refused the input: {error}"))
        }
        Fault::Stage(error) => Failure::run(format!("stage `{name}` broke: {error}")),
    }
}

/// The name of a component where nothing has named it.
pub(super) fn name(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn input(path: Option<&Path>) -> Result<String> {
    let (bytes, shown) = match path.filter(|path| *path != Path::new("-")) {
        Some(path) => (fs::read(path), format!("`{}`", path.display())),
        None if std::io::stdin().is_terminal() => {
            return Err(Failure::definition("there is no input")
                .hint("name a file with `--in FILE`, or pipe one in"));
        }
        None => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().read_to_end(&mut bytes);
            (read.map(|_| bytes), "standard input".to_string())
        }
    };
    let unreadable =
        |error| Failure::definition(format!("cannot read input {shown}")).because(error);
    String::from_utf8(bytes.map_err(unreadable)?)
        .map_err(|error| Failure::definition(format!("input {shown} is no text")).because(error))
}

/// JSON, TOML, or a file of either, as JSON.
fn config(text: &str) -> Result<String> {
    let path = Path::new(text);
    let named = path
        .extension()
        .is_some_and(|end| end == "toml" || end == "json");
    let (text, what) = match named {
        true => {
            let read = fs::read_to_string(path).map_err(|error| {
                Failure::definition(format!("cannot read configuration `{text}`")).because(error)
            })?;
            (read, format!("configuration `{text}`"))
        }
        false => (text.to_string(), "`--config`".to_string()),
    };
    if let Ok(json) = serde_json::from_str::<serde_json::Map<_, _>>(&text) {
        return Ok(serde_json::Value::Object(json).to_string());
    }
    let table = match text.trim_start().starts_with('{') {
        true => toml::from_str::<toml::Table>(&format!("config = {text}"))
            .map(|mut table| table.remove("config")),
        false => toml::from_str::<toml::Table>(&text).map(|table| Some(table.into())),
    };
    let table: Option<toml::Value> = table.map_err(|error| {
        Failure::definition(format!(
            "{what} is neither a JSON object nor TOML: {}",
            error.message().trim_end().replace('\n', ", ")
        ))
        .hint("write it as `{\"factor\": 0.5}`, `factor = 0.5`, or name a file")
    })?;
    serde_json::to_string(&table)
        .map_err(|error| Failure::definition(format!("{what} cannot be JSON")).because(error))
}

/// `pod=dictionary,limit=float64?`, or a table of columns as a pipeline file has it.
fn columns(text: &str) -> Result<IndexMap<String, Column>> {
    let wrong = |reason: String| {
        Failure::definition(format!("`--columns` names no columns: {reason}"))
            .hint("write `pod=dictionary,limit=float64?`, or `{ pod = \"dictionary\" }`")
    };
    if text.trim_start().starts_with('{') {
        #[derive(Deserialize)]
        struct Written {
            columns: IndexMap<String, Column>,
        }
        return toml::from_str::<Written>(&format!("columns = {text}"))
            .map(|written| written.columns)
            .map_err(|error| wrong(error.message().trim_end().replace('\n', ", ")));
    }
    text.split(',')
        .map(|column| {
            let optional = column.ends_with('?');
            let (name, column_type) = typed(column.trim_end_matches('?')).map_err(wrong)?;
            let column = Column {
                column_type,
                optional,
                empty_is_null: false,
            };
            Ok((name, column))
        })
        .collect()
}

/// All columns of a CSV file, with the types that its cells look like.
fn columns_of(input: &str) -> Result<IndexMap<String, Column>> {
    let table = Table::read(input).map_err(|error| {
        Failure::definition(format!(
            "the columns of the input cannot be guessed: {error}"
        ))
        .hint("name the columns that are wanted: `--columns pod=dictionary,limit=float64?`")
    })?;
    let schema = table.schema(&std::collections::BTreeMap::new());
    let column = |field: crate::rows::column::Field| {
        let column = Column {
            column_type: field.column_type,
            optional: false,
            empty_is_null: true,
        };
        (field.name, column)
    };
    Ok(schema.fields.into_iter().map(column).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_may_be_written_in_each_way() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        fs::write(&file, "factor = 0.5\n").unwrap();
        for text in [
            "{\"factor\": 0.5}",
            "{ factor = 0.5 }",
            "factor = 0.5",
            file.to_str().unwrap(),
        ] {
            assert_eq!(config(text).unwrap(), "{\"factor\":0.5}", "{text}");
        }
        let wrong = config("factor").unwrap_err();
        assert!(
            wrong.message.starts_with("`--config` is neither"),
            "{wrong}"
        );
    }

    #[test]
    fn wanted_columns_may_be_written_in_both_ways() {
        let short = columns("pod=dictionary,limit=float64?").unwrap();
        let long =
            columns("{ pod = \"dictionary\", limit = { type = \"float64\", optional = true } }");
        assert_eq!(format!("{short:?}"), format!("{:?}", long.unwrap()));
        assert!(short["limit"].optional && !short["pod"].optional);
        assert!(columns("pod").is_err());
    }
}
