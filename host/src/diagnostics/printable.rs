//! Makes text of others fit for a terminal: it can neither steer the terminal nor show
//! anything that is not there.
//!
//! `terminal` passes all that it prints through here. Files for people do so where they
//! are written.

use std::io;

use serde_json::ser::{CharEscape, Formatter, PrettyFormatter};

/// One line: control characters become spaces; what is invisible, or turns the
/// direction of the text around it, shows its number.
pub fn line(text: &str) -> String {
    shown(text, &[])
}

/// Several lines, with their line breaks and tabs.
pub fn lines(text: &str) -> String {
    shown(text, &['\n', '\t'])
}

fn shown(text: &str, kept: &[char]) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if kept.contains(&character) {
            shown.push(character);
        } else if character.is_control() {
            shown.push(' ');
        } else if is_hidden(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Whether a character steers a terminal, or cannot be seen.
pub fn is_hidden(character: char) -> bool {
    character.is_control() || is_invisible(character)
}

/// JSON as others write it, but what steers a terminal or cannot be seen is escaped in
/// its texts. It means the same: JSON may escape any character.
#[derive(Default)]
pub struct Json {
    /// Over several lines, or in one.
    pretty: Option<PrettyFormatter<'static>>,
}

impl Json {
    pub fn pretty() -> Self {
        Self {
            pretty: Some(PrettyFormatter::new()),
        }
    }
}

/// Hands everything on but the texts.
macro_rules! as_usual {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {
        $(fn $name<W: ?Sized + io::Write>(
            &mut self,
            writer: &mut W,
            $($argument: $type),*
        ) -> io::Result<()> {
            match &mut self.pretty {
                Some(pretty) => pretty.$name(writer, $($argument),*),
                None => serde_json::ser::CompactFormatter.$name(writer, $($argument),*),
            }
        })*
    };
}

impl Formatter for Json {
    as_usual! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        begin_object_value();
        end_object_value();
        write_char_escape(escape: CharEscape);
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut written = 0;
        for (position, hidden) in fragment.char_indices().filter(|(_, c)| is_hidden(*c)) {
            writer.write_all(&fragment.as_bytes()[written..position])?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            written = position + hidden.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[written..])
    }
}

/// Characters without a glyph: marks of direction, joiners, fillers, tags,
/// separators of lines, selectors of variants.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{13430}'..='\u{13440}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_becomes_a_space() {
        assert_eq!(line("a\u{1b}[31mb\nc\u{9b}2Jd\u{7f}"), "a [31mb c 2Jd ");
        assert_eq!(lines("a\n\tb\rc"), "a\n\tb c");
    }

    #[test]
    fn json_says_the_same_and_hides_nothing() {
        let value = serde_json::json!({
            "a\u{1b}[2J\u{9b}\u{7f}": ["\u{202e}nimda\u{e0041}\u{200b}\r", 1.5, null, "日本"],
            "b": {},
        });
        for formatter in [Json::default(), Json::pretty()] {
            let mut written = Vec::new();
            let mut serializer = serde_json::Serializer::with_formatter(&mut written, formatter);
            serde::Serialize::serialize(&value, &mut serializer).unwrap();
            let text = String::from_utf8(written).unwrap();
            let hidden = |character| character != '\n' && is_hidden(character);
            assert!(!text.contains(hidden), "{text:?}");
            assert!(text.contains("\\u202enimda\\udb40\\udc41"), "{text}");
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read, value);
        }
    }

    #[test]
    fn what_cannot_be_seen_shows_its_number() {
        for (text, expected) in [
            ("user\u{202e}nimda", "user\\u{202e}nimda"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("pay\u{200b}roll", "pay\\u{200b}roll"),
            ("one\u{2028}two", "one\\u{2028}two"),
            ("\u{feff}a\u{e0041}", "\\u{feff}a\\u{e0041}"),
            ("Ünïcödé – 日本語 ✓", "Ünïcödé – 日本語 ✓"),
        ] {
            assert_eq!(line(text), expected);
        }
    }
}
