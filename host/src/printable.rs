//! Text of others made fit for a terminal: it neither steers it nor shows anything
//! that is not there.

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
        } else if is_invisible(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
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
