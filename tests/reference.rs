//! `docs/reference`: what the program says of its commands and of the pipeline file, as
//! pages. `UPDATE=1` writes them anew.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory};
use gristmill::cli::Cli;
use serde_json::Value;

use crate::support::command::{file, gristmill};
use crate::support::difference::check_file;

/// The top of a page that is made.
const MADE: &str = "<!-- Made by `tests/reference.rs`; `UPDATE=1 cargo test --test main -- reference` \
writes it anew. -->";

#[test]
fn the_reference_of_commands_is_what_help_says() {
    let mut cli = Cli::command();
    cli.build();
    let mut page = format!(
        "# Commands\n\n{MADE}\n\nWhat `--help` says of each command.\n\n| Command | Does |\n|---|---|\n"
    );
    let verbs = verbs(&cli, "");
    for (name, verb) in &verbs {
        let anchor = name.replace(' ', "-");
        let about = line(&verb.get_about().cloned().unwrap_or_default().to_string());
        writeln!(page, "| [`{name}`](#{anchor}) | {about} |").expect("text");
    }
    page += "\nEvery command takes these too.\n\n| Argument | Means |\n|---|---|\n";
    for argument in cli
        .get_arguments()
        .filter(|argument| argument.is_global_set())
    {
        page += &row(argument);
    }
    for (name, verb) in &verbs {
        page += &of_verb(name, verb);
    }
    check_file(&file("docs/reference/commands.md"), &page);
}

/// Every command that does something, with all of its words.
fn verbs<'c>(command: &'c Command, above: &str) -> Vec<(String, &'c Command)> {
    let name = format!("{above} {}", command.get_name()).trim().to_string();
    let below: Vec<&Command> = command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help" && !verb.is_hide_set())
        .collect();
    match below.is_empty() {
        true => vec![(name, command)],
        false => below.iter().flat_map(|verb| verbs(verb, &name)).collect(),
    }
}

fn of_verb(name: &str, verb: &Command) -> String {
    let about = line(&verb.get_about().cloned().unwrap_or_default().to_string());
    let usage = verb.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let mut section = format!("\n## {name}\n\n{about}.\n\n```text\n{usage}\n```\n");
    let arguments: Vec<&Arg> = verb
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && !argument.is_global_set())
        .filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
        .collect();
    let positional = arguments.iter().filter(|argument| argument.is_positional());
    let options = arguments
        .iter()
        .filter(|argument| !argument.is_positional());
    let rows: Vec<String> = positional
        .chain(options)
        .map(|argument| row(argument))
        .collect();
    if !rows.is_empty() {
        section += "\n| Argument | Means |\n|---|---|\n";
        section += &rows.concat();
    }
    if let Some(example) = verb.get_after_help() {
        let example = example.to_string();
        let example = example.trim_start_matches("Example:\n");
        section += &format!("\n```sh\n{}\n```\n", example.trim());
    }
    section
}

fn row(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let values: Vec<&str> = values.iter().map(|value| value.as_str()).collect();
    let takes_values = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let shown = match argument.get_long() {
        Some(long) if takes_values => format!("--{long} {}", values.join(" ")),
        Some(long) => format!("--{long}"),
        None => values.join(" "),
    };
    let mut means = vec![line(
        &argument.get_help().cloned().unwrap_or_default().to_string(),
    )];
    if argument.is_required_set() && argument.get_long().is_some() {
        means.push("required".into());
    }
    if matches!(argument.get_action(), ArgAction::Append) && argument.get_long().is_some() {
        means.push("may be given more than once".into());
    }
    let words: Vec<String> = match takes_values {
        true => argument
            .get_possible_values()
            .iter()
            .map(|value| match value.get_help() {
                Some(help) => format!("`{}` ({})", value.get_name(), line(&help.to_string())),
                None => format!("`{}`", value.get_name()),
            })
            .collect(),
        false => Vec::new(),
    };
    if !words.is_empty() {
        means.push(format!("one of {}", words.join(", ")));
    }
    let defaults: Vec<_> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    if takes_values && !defaults.is_empty() {
        means.push(format!("default `{}`", defaults.join(" ")));
    }
    if let Some(variable) = argument.get_env() {
        means.push(format!("`{}` says it too", variable.to_string_lossy()));
    }
    format!("| `{shown}` | {} |\n", means.join("; "))
}

#[test]
fn the_reference_of_the_pipeline_file_is_what_its_schema_says() {
    let schema = gristmill(["schema"]).succeeds().json();
    let mut page = format!(
        "# Keys of the pipeline file\n\n{MADE}\n\nWhat `gristmill schema` says of each key. \
        [The pipeline file](../pipeline-file.md) says how they work together.\n\
        A name in capitals is one that the file's author chooses. `[pipeline]`, `[reports]` and \
        `[publish]` must be there, in the file or in one that it extends.\n"
    );
    let properties = schema["properties"].as_object().expect("keys");
    for (key, section) in properties {
        let description = sentence(section);
        write!(page, "\n## {key}\n\n{description}\n").expect("text");
        let mut rows = String::new();
        let required = &schema["then"]["properties"][key];
        keys(section, key, required, &mut rows);
        if !rows.is_empty() {
            page += "\n| Key | Type | Default | Means |\n|---|---|---|---|\n";
            page += &rows;
        }
    }
    check_file(&file("docs/reference/pipeline-file.md"), &page);
}

/// A row for each key of a table and of the tables in it.
fn keys(table: &Value, path: &str, required: &Value, rows: &mut String) {
    for (key, value) in table["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        let needed = required["required"].as_array();
        let needed = needed.is_some_and(|keys| keys.iter().any(|other| other == key));
        let default = match (&value["default"], needed) {
            (Value::Null, true) => "required".to_string(),
            (Value::Null, false) => String::new(),
            (Value::Object(_) | Value::Array(_), _) => String::new(),
            (default, _) => format!("`{default}`"),
        };
        let of = kind(value);
        writeln!(
            rows,
            "| `{path}` | {of} | {default} | {} |",
            sentence(value)
        )
        .expect("text");
        // The limits of a stage are those of the pipeline, which have a section.
        if key != "limits" {
            keys(value, &path, &required["properties"][key], rows);
        }
    }
    let named = &table["additionalProperties"];
    let place = match path.rsplit('.').next().unwrap_or_default() {
        "columns" => "COLUMN",
        _ => "NAME",
    };
    let below = &required["additionalProperties"];
    if named.is_object() && !named["properties"].is_null() {
        keys(named, &format!("{path}.{place}"), below, rows);
    }
    for choice in named["anyOf"].as_array().into_iter().flatten() {
        if choice["properties"].is_object() {
            let of = kind(named);
            let path = format!("{path}.{place}");
            writeln!(rows, "| `{path}` | {of} | | {} |", sentence(named)).expect("text");
            keys(choice, &path, below, rows);
        }
    }
}

/// The type of a value, in words.
fn kind(value: &Value) -> String {
    if let Some(example) = value["examples"][0].as_str() {
        return format!("such as `{example:?}`");
    }
    let words = words(value);
    if !words.is_empty() {
        return words.join(", ");
    }
    if let Some(choices) = value["anyOf"].as_array() {
        let kinds: Vec<String> = choices.iter().map(kind).collect();
        return kinds.join(", or ");
    }
    match value["type"].as_str() {
        Some("string") => "text".into(),
        Some("boolean") => "`true`, `false`".into(),
        Some("integer") => "number".into(),
        Some("array") => "list of texts".into(),
        Some("object") => match &value["additionalProperties"] {
            of if !words_of_table(of).is_empty() => {
                format!("table of {}", words_of_table(of).join(", "))
            }
            _ => "table".into(),
        },
        _ => panic!("a value of no kind: {value}"),
    }
}

fn words_of_table(of: &Value) -> Vec<String> {
    match of["anyOf"].is_null() {
        true => words(of),
        false => Vec::new(),
    }
}

/// The words that a value can be.
fn words(value: &Value) -> Vec<String> {
    if let Some(word) = value["const"].as_str() {
        return vec![format!("`{word:?}`")];
    }
    let listed = value["enum"].as_array().into_iter().flatten();
    let listed = listed.filter_map(|word| Some(format!("`{:?}`", word.as_str()?)));
    let choices = value["oneOf"].as_array().into_iter().flatten();
    listed.chain(choices.flat_map(words)).collect()
}

/// The use of a key and the meaning of each of its words, on one line.
fn sentence(value: &Value) -> String {
    let description = value["description"].as_str();
    let mut sentence = line(description.expect("every key says what it is for"));
    for of in [value, &value["additionalProperties"]] {
        for word in of["oneOf"].as_array().into_iter().flatten() {
            if let (Some(name), Some(means)) =
                (word["const"].as_str(), word["description"].as_str())
            {
                write!(sentence, " `{name:?}`: {}", line(means)).expect("text");
            }
        }
    }
    sentence
}

/// On one line, fit for a cell of a table.
fn line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}
