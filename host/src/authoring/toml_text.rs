//! Texts and names of case files, written for people: rows below each other, nothing
//! escaped that need not be, and nothing hidden.

use std::fmt::Write as _;

use toml_edit::{Key, Value};
use toml_writer::{ToTomlValue as _, TomlStringBuilder};

use crate::diagnostics::printable;

/// A text: as it is where it has lines and nothing that needs an escape, else on one line.
pub(super) fn text(text: &str) -> Value {
    let lines = text.contains('\n')
        && !text.contains(|c| c != '\n' && c != '\t' && printable::is_hidden(c));
    let literal = TomlStringBuilder::new(text).as_ml_literal();
    match literal.filter(|_| lines) {
        Some(literal) => parsed(text, &literal.to_toml_value()),
        None => one_line(text),
    }
}

/// A text on one line, with escapes where it needs them.
pub(super) fn one_line(text: &str) -> Value {
    parsed(text, &quoted(text))
}

/// A name, in quotes where it needs them.
pub(super) fn key(name: &str) -> Key {
    let hidden = name.contains(printable::is_hidden);
    let quoted = hidden.then(|| Key::parse(&quoted(name)).ok()?.pop());
    let mut key = quoted.flatten().unwrap_or_else(|| Key::new(name));
    key.leaf_decor_mut().clear();
    key
}

fn parsed(text: &str, written: &str) -> Value {
    written.parse().unwrap_or_else(|_| Value::from(text))
}

/// The library escapes what TOML has it escape; other characters may be hidden, too.
fn quoted(text: &str) -> String {
    let written = TomlStringBuilder::new(text).as_basic().to_toml_value();
    let mut shown = String::with_capacity(written.len());
    for character in written.chars() {
        match printable::is_hidden(character) {
            // Writing to a text does not fail.
            true => drop(write!(shown, "\\U{:08X}", u32::from(character))),
            false => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use toml_edit::{DocumentMut, InlineTable};

    use super::*;

    const TEXTS: [&str; 9] = [
        "plain",
        "a,b\n1,2\n",
        "a \"quoted\" \\ one",
        "'''\n",
        "\r\n\u{1b}[2J\u{7f}\u{0}",
        "\u{9b}31m\n\u{202e}nimda\u{2069}\u{e0041}",
        "it's\n'",
        "\n\ttab\n",
        "",
    ];

    #[test]
    fn any_text_comes_back_and_hides_nothing() {
        for expected in TEXTS {
            for value in [text(expected), one_line(expected)] {
                let written = format!("x = {value}");
                let hidden = |c| c != '\n' && c != '\t' && printable::is_hidden(c);
                assert!(!written.contains(hidden), "{written:?}");
                let table: toml::Table = toml::from_str(&written).unwrap();
                assert_eq!(table["x"].as_str(), Some(expected));
            }
            assert!(!one_line(expected).to_string().contains('\n'));
        }
        assert_eq!(text("a,b\n1,2\n").to_string(), "'''\na,b\n1,2\n'''");
    }

    #[test]
    fn any_name_comes_back_and_hides_nothing() {
        for name in TEXTS {
            let mut table = InlineTable::new();
            table.insert_formatted(&key(name), Value::from(1));
            let mut document = DocumentMut::new();
            document["x"] = table.into();
            let written = document.to_string();
            let hidden = |c| c != '\n' && printable::is_hidden(c);
            assert!(!written.contains(hidden), "{written:?}");
            let table: toml::Table = toml::from_str(&written).unwrap();
            assert_eq!(table["x"][name].as_integer(), Some(1));
        }
    }
}
