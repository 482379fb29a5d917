//! Rewrites what cases expect, in place: comments, order and all else of the file
//! stay as their author left them.

use std::collections::BTreeMap;

use toml_edit::{DocumentMut, InlineTable, Item, TableLike, Value};

use crate::authoring::harness::table::Table;
use crate::authoring::toml_text;

/// The outcome that a case would have to expect.
#[derive(Clone, Debug, Default)]
pub(super) struct Expectation {
    output: Option<Table>,
    rejects: Option<Table>,
    /// `None` when the case does not ask for facts.
    facts: Option<BTreeMap<String, Vec<String>>>,
    error: Option<String>,
}

impl Expectation {
    pub(super) fn outcome(
        output: Table,
        rejects: Table,
        facts: Option<BTreeMap<String, Vec<String>>>,
    ) -> Self {
        Self {
            output: Some(output),
            rejects: Some(rejects).filter(|rejects| !rejects.rows.is_empty()),
            facts,
            error: None,
        }
    }

    pub(super) fn error(message: String) -> Self {
        Self {
            error: Some(message),
            ..Self::default()
        }
    }
}

/// The file with the expectations of the cases at these positions.
pub(super) fn rewritten<'e>(
    text: &str,
    expectations: impl IntoIterator<Item = (usize, &'e Expectation)>,
) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    for (position, expectation) in expectations {
        let case = match &mut document["case"] {
            Item::ArrayOfTables(cases) => cases.get_mut(position).map(|case| case as _),
            Item::Value(Value::Array(cases)) => cases
                .get_mut(position)
                .and_then(Value::as_inline_table_mut)
                .map(|case| case as &mut dyn TableLike),
            _ => None,
        };
        expectation.write(case.ok_or("the cases are no tables")?)?;
    }
    Ok(document.to_string())
}

impl Expectation {
    fn write(&self, case: &mut dyn TableLike) -> Result<(), String> {
        let comment = match &self.error {
            Some(_) => remove(case, &["output", "rejects", "facts"]),
            None => remove(case, &["error"]),
        };
        for (key, table) in [("output", &self.output), ("rejects", &self.rejects)] {
            match table {
                Some(table) if !holds(case, key, table) => {
                    let value = text_value(&table.text()?, case.get(key));
                    set(case, key, value);
                }
                Some(_) => {}
                None => drop(remove(case, &[key])),
            }
        }
        if let Some(error) = &self.error
            && case.get("error").and_then(Item::as_str) != Some(error)
        {
            let value = text_value(error, case.get("error"));
            set(case, "error", value);
        }
        if let Some(facts) = &self.facts {
            write_facts(case, facts);
        }
        let heir = if self.error.is_some() {
            "error"
        } else {
            "output"
        };
        if let (Some(comment), Some(mut key)) = (comment, case.key_mut(heir)) {
            key.leaf_decor_mut().set_prefix(comment);
        }
        Ok(())
    }
}

/// Whether the key holds these rows, however they are written.
fn holds(case: &dyn TableLike, key: &str, table: &Table) -> bool {
    let text = case.get(key).and_then(Item::as_str);
    text.is_some_and(|text| Table::read(text).as_ref() == Ok(table))
}

/// Removes keys; the comment above the first that has one.
fn remove(case: &mut dyn TableLike, keys: &[&str]) -> Option<String> {
    let mut comment = None;
    for key in keys {
        let above = case
            .key(key)
            .and_then(|key| key.leaf_decor().prefix()?.as_str())
            .filter(|prefix| prefix.contains('#'))
            .map(str::to_string);
        case.remove(key);
        comment = comment.or(above);
    }
    comment
}

/// Sets a value; what stands around the one before stays.
fn set(case: &mut dyn TableLike, key: &str, mut value: Value) {
    match case.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => {
            case.insert(key, Item::Value(value));
        }
    }
}

/// Text as a case file writes it: rows below each other and nothing escaped, but
/// where that cannot be, or where the author had it on one line.
fn text_value(text: &str, old: Option<&Item>) -> Value {
    let was_one_line = old
        .and_then(Item::as_value)
        .is_some_and(|value| match value {
            Value::String(text) => {
                let written = text.display_repr();
                text.value().contains('\n') && !written.contains('\n')
            }
            _ => false,
        });
    match was_one_line {
        true => toml_text::one_line(text),
        false => toml_text::text(text),
    }
}

fn write_facts(case: &mut dyn TableLike, facts: &BTreeMap<String, Vec<String>>) {
    if let Some(table) = case.get_mut("facts").and_then(Item::as_table_like_mut) {
        let known: Vec<String> = table.iter().map(|(topic, _)| topic.to_string()).collect();
        for topic in known {
            if !facts.contains_key(&topic) {
                table.remove(&topic);
            }
        }
        for (topic, words) in facts {
            let same = table
                .get(topic)
                .and_then(Item::as_array)
                .is_some_and(|old| {
                    let old: Vec<Option<&str>> = old.iter().map(Value::as_str).collect();
                    old.iter()
                        .copied()
                        .eq(words.iter().map(|word| Some(word.as_str())))
                });
            if !same {
                let words: Value = words.iter().map(|word| toml_text::one_line(word)).collect();
                set(table, topic, words);
            }
        }
        return;
    }
    let mut table = InlineTable::new();
    for (topic, words) in facts {
        let words: Value = words.iter().map(|word| toml_text::one_line(word)).collect();
        table.insert_formatted(&toml_text::key(topic), words);
    }
    set(case, "facts", Value::InlineTable(table));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::printable;

    const FILE: &str = r#"# What the stage does.

[[case]]
name = "first"   # as it was
# What comes in:
input = '''
a
1
'''
# What comes out:
output = '''
a
2
''' # in all

# The second, with a table of its own.
[[case]]
name = "second"
input = "a\r\n1\r\n"
error = "no"
[case.config]
factor = 2
"#;

    fn table(text: &str) -> Table {
        Table::read(text).unwrap()
    }

    #[test]
    fn only_what_differs_is_rewritten() {
        let same = Expectation::outcome(table("a\n2\n"), table("row\n"), None);
        assert_eq!(rewritten(FILE, [(0, &same)]).unwrap(), FILE);
        let other = Expectation::outcome(table("a\n3\n"), table("row\n"), None);
        assert_eq!(
            rewritten(FILE, [(0, &other)]).unwrap(),
            FILE.replace("\na\n2\n", "\na\n3\n")
        );
    }

    #[test]
    fn an_error_and_an_output_take_each_others_place() {
        let refused = Expectation::error("column `a`: is \"odd\"".into());
        let outcome = Expectation::outcome(table("a\n1\n"), table("row,code\n0,odd\n"), None);
        let expected = FILE
            .replace(
                "output = '''\na\n2\n''' # in all\n",
                "error = \"column `a`: is \\\"odd\\\"\"\n",
            )
            .replace(
                "error = \"no\"\n",
                "output = '''\na\n1\n'''\nrejects = '''\nrow,code\n0,odd\n'''\n",
            );
        assert_eq!(
            rewritten(FILE, [(0, &refused), (1, &outcome)]).unwrap(),
            expected
        );
    }

    #[test]
    fn what_a_literal_cannot_hold_is_escaped() {
        for text in [
            "a\n\"x\r\ny\"\n",
            "a\n'''\n",
            "\u{feff}\u{1}\\",
            "tab\there\n",
            "\u{9b}31m\n\u{202e}nimda\u{e0041}\n",
        ] {
            let file = "[[case]]\nname = \"n\"\noutput = \"\"\n";
            let error = Expectation::error(text.into());
            let again: toml::Table = rewritten(file, [(0, &error)]).unwrap().parse().unwrap();
            let hidden = |c| c != '\n' && printable::is_hidden(c);
            let written = rewritten(file, [(0, &error)]).unwrap();
            assert!(!written.replace('\t', "").contains(hidden), "{written:?}");
            assert_eq!(again["case"][0]["error"].as_str(), Some(text));
        }
    }

    #[test]
    fn facts_keep_their_form() {
        let facts = BTreeMap::from([("keys".to_string(), vec!["a".to_string(), "b".to_string()])]);
        let expectation = Expectation {
            facts: Some(facts),
            ..Expectation::default()
        };
        for (file, expected) in [
            (
                "[[case]]\nfacts = { keys = [\"a\"] }\n",
                "[[case]]\nfacts = { keys = [\"a\", \"b\"] }\n",
            ),
            (
                "[[case]]\nfacts = {}\n",
                "[[case]]\nfacts = { keys = [\"a\", \"b\"] }\n",
            ),
            (
                "[[case]]\n[case.facts]\nkeys = [\"c\"]\n",
                "[[case]]\n[case.facts]\nkeys = [\"a\", \"b\"]\n",
            ),
        ] {
            assert_eq!(rewritten(file, [(0, &expectation)]).unwrap(), expected);
        }
    }
}
