//! The pipeline file as a JSON Schema, for editors.
//!
//! It is made of the types that read the file, so that the two cannot drift apart.
//! What the types do not know is added here: `extends`, and that a file which
//! extends another need not hold what the other one holds.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{Column, Definition, LongColumn};

/// The words for the type of a file's column. `json` is not among them: it is what
/// a stage makes of text.
pub(super) struct FileColumnType;

impl JsonSchema for FileColumnType {
    fn schema_name() -> Cow<'static, str> {
        "FileColumnType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "enum": ["boolean", "int64", "float64", "timestamp", "text", "dictionary", "utf8"],
        })
    }
}

impl JsonSchema for Column {
    fn schema_name() -> Cow<'static, str> {
        "Column".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "description": "A column of the file: its type, or a table that says more.",
            "anyOf": [
                generator.subschema_for::<FileColumnType>(),
                generator.subschema_for::<LongColumn>(),
            ],
        })
    }
}

/// The schema of a pipeline file, draft 2020-12.
pub fn json_schema() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    // As one tree: every editor follows that, and so does what is done to it here.
    settings.inline_subschemas = true;
    let mut whole = settings
        .into_generator()
        .into_root_schema_for::<Definition>()
        .to_value();
    without_null(&mut whole);
    let required = required_in(&whole);
    forget_required(&mut whole);
    if let Some(schema) = whole.as_object_mut() {
        schema.insert("title".into(), json!("gristmill pipeline file"));
        schema.insert("if".into(), json!({"not": {"required": ["extends"]}}));
        schema.insert("then".into(), required.unwrap_or(json!(true)));
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert(
                "extends".into(),
                json!({
                    "description": "A pipeline file to build on, seen from this one: tables merge key by key, all else is replaced whole.",
                    "type": "string",
                }),
            );
        }
    }
    whole
}

/// TOML has no null: a key that may be absent is absent.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(keys) => {
            if let Some(Value::Array(types)) = keys.get_mut("type") {
                types.retain(|named| named != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    keys.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(values)) = keys.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            if keys.get("default").is_some_and(Value::is_null) {
                keys.remove("default");
            }
            let is_null = |choice: &Value| *choice == json!({"type": "null"});
            if let Some(Value::Array(choices)) = keys.get_mut("anyOf") {
                choices.retain(|choice| !is_null(choice));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    keys.remove("anyOf");
                    for (key, value) in only {
                        keys.entry(key).or_insert(value);
                    }
                }
            }
            keys.values_mut().for_each(without_null);
        }
        Value::Array(values) => values.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// Only what a schema requires, at every depth; `None` where it requires nothing.
fn required_in(schema: &Value) -> Option<Value> {
    let mut found = Map::new();
    if let Some(required) = schema.get("required") {
        found.insert("required".into(), required.clone());
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let within: Map<String, Value> = properties
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), required_in(value)?)))
            .collect();
        if !within.is_empty() {
            found.insert("properties".into(), within.into());
        }
    }
    if let Some(within) = schema.get("additionalProperties").and_then(required_in) {
        found.insert("additionalProperties".into(), within);
    }
    if let Some(Value::Array(choices)) = schema.get("anyOf") {
        // A choice that is no table requires nothing of one.
        for choice in choices.iter().filter_map(required_in) {
            if let Value::Object(choice) = choice {
                found.extend(choice);
            }
        }
    }
    (!found.is_empty()).then(|| found.into())
}

fn forget_required(schema: &mut Value) {
    match schema {
        Value::Object(keys) => {
            // A property of this name would be a table, a requirement is a list.
            if keys.get("required").is_some_and(Value::is_array) {
                keys.remove("required");
            }
            keys.values_mut().for_each(forget_required);
        }
        Value::Array(values) => values.iter_mut().for_each(forget_required),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// The answer of the file's reader to a document.
    fn refusal(document: &Value) -> String {
        let text = toml::to_string(document).unwrap();
        match Definition::deserialize(toml::de::Deserializer::parse(&text).unwrap()) {
            Ok(_) => String::new(),
            Err(error) => error.message().to_string(),
        }
    }

    /// A document in which everything that has to be there is.
    fn smallest() -> Value {
        json!({
            "pipeline": {"name": "p"},
            "stages": {"s": {"component": "s.wasm"}},
            "reports": {"r": {"detect": ["a"], "columns": {"c": {"type": "text"}}}},
        })
    }

    /// Puts a value at a path of keys, through tables that it makes.
    fn put(document: &mut Value, path: &[&str], value: Value) {
        let mut place = document;
        for key in path {
            place = &mut place[*key];
        }
        *place = value;
    }

    /// Every table of the schema that has a fixed set of keys, with the path to one
    /// like it in a document, and its keys.
    fn tables<'s>(
        schema: &'s Value,
        path: &mut Vec<&'s str>,
        found: &mut Vec<(Vec<&'s str>, Vec<&'s str>)>,
    ) {
        if let Some(properties) = schema["properties"].as_object() {
            assert_eq!(schema["additionalProperties"], json!(false), "{path:?}");
            let keys = properties.keys().map(String::as_str).collect();
            found.push((path.clone(), keys));
            for (key, value) in properties {
                path.push(key);
                tables(value, path, found);
                path.pop();
            }
        } else if schema["additionalProperties"].is_object() {
            let name = match *path.last().unwrap() {
                "stages" => "s",
                "reports" => "r",
                "columns" => "c",
                _ => "x",
            };
            path.push(name);
            tables(&schema["additionalProperties"], path, found);
            path.pop();
        }
        for choice in schema["anyOf"].as_array().into_iter().flatten() {
            tables(choice, path, found);
        }
    }

    /// The words between backquotes after `expected`.
    fn expected(message: &str) -> Vec<&str> {
        let list = message.split("expected").nth(1).unwrap_or_default();
        let mut words: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
        words.sort_unstable();
        words
    }

    #[test]
    fn every_table_has_the_keys_that_the_reader_knows() {
        let schema = json_schema();
        let mut found = Vec::new();
        tables(&schema, &mut Vec::new(), &mut found);
        assert!(found.len() >= 11, "{found:?}");
        for (path, mut keys) in found {
            let mut document = smallest();
            let mut unknown = path.clone();
            unknown.push("no-such-key");
            put(&mut document, &unknown, json!(1));
            let message = refusal(&document);
            assert!(message.contains("unknown field"), "{path:?}: {message}");
            keys.retain(|key| *key != "extends");
            keys.sort_unstable();
            assert_eq!(keys, expected(&message), "{path:?}");
        }
    }

    #[test]
    fn every_list_of_words_is_the_one_that_the_reader_knows() {
        let schema = json_schema();
        let report = &schema["properties"]["reports"]["additionalProperties"]["properties"];
        let column = &report["columns"]["additionalProperties"]["anyOf"];
        let stage = &schema["properties"]["stages"]["additionalProperties"]["properties"];
        for (path, words) in [
            (&["reports", "r", "columns", "c"][..], &column[0]),
            (
                &["reports", "r", "columns", "c", "empty"],
                &column[1]["properties"]["empty"],
            ),
            (
                &["stages", "s", "bind", "x"],
                &stage["bind"]["additionalProperties"],
            ),
            (
                &["stages", "s", "learn", "x"],
                &stage["learn"]["additionalProperties"],
            ),
        ] {
            let words = words_of(words);
            for word in &words {
                let mut document = smallest();
                put(&mut document, path, json!(word));
                assert_eq!(refusal(&document), "", "{path:?} = {word}");
            }
            let mut document = smallest();
            put(&mut document, path, json!("no-such-word"));
            let message = refusal(&document);
            let known = expected(&message);
            assert!(!known.is_empty(), "{path:?}: {message}");
            for known in known.into_iter().filter(|known| *known != "json") {
                assert!(words.iter().any(|word| word == known), "{path:?}: {known}");
            }
        }
    }

    fn words_of(schema: &Value) -> Vec<String> {
        if let Some(word) = schema["const"].as_str() {
            return vec![word.to_string()];
        }
        let of = |key: &str| schema[key].as_array().cloned().unwrap_or_default();
        let mut words: Vec<String> = of("enum")
            .iter()
            .filter_map(|word| word.as_str().map(String::from))
            .collect();
        words.extend(of("oneOf").iter().chain(&of("anyOf")).flat_map(words_of));
        words
    }

    #[test]
    fn every_key_says_what_it_is_for() {
        fn silent(schema: &Value, path: &str, found: &mut Vec<String>) {
            for (key, value) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}.{key}");
                if value["description"].as_str().is_none_or(str::is_empty) {
                    found.push(path.clone());
                }
                silent(value, &path, found);
            }
            let choices = schema["anyOf"].as_array().into_iter().flatten();
            for within in choices.chain(schema.get("additionalProperties")) {
                silent(within, path, found);
            }
        }
        let mut found = Vec::new();
        silent(&json_schema(), "", &mut found);
        assert_eq!(found, [] as [String; 0]);
    }
}
