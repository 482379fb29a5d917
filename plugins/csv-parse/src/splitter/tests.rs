//! Records and fields of texts: all short ones, and long ones of every mixture.

use super::{
    Boundary, Form, Splitter,
    special::{BLOCK, Special, special_bytes},
};

/// Records as their fields, each marked when its form is not literal.
fn split(text: &str) -> Vec<Vec<String>> {
    let mut splitter = Splitter::new(text.as_bytes(), b',');
    let mut records = Vec::new();
    while let Some(record) = splitter.next_record() {
        let mut fields = Vec::new();
        for field in (0..splitter.field_count()).map(|index| splitter.field(index)) {
            let content = &text[field.start as usize..field.end as usize];
            fields.push(match field.form {
                Form::Literal => content.to_owned(),
                Form::Doubled => format!("doubled {content}"),
                Form::Malformed => format!("malformed {content}"),
            });
        }
        if splitter.is_blank(&record) {
            fields.clear();
        }
        records.push(fields);
    }
    records
}

#[track_caller]
fn check(text: &str, expected: &[&[&str]]) {
    assert_eq!(split(text), expected, "{text:?}");
}

#[test]
fn splits_fields_and_records() {
    check("a,b\nc,\r\n,", &[&["a", "b"], &["c", ""]]);
    check("\n\r\na\n", &[&[], &[], &["a"]]);
    check("a\r,b\r\r\n", &[&["a\r", "b\r"]]);
}

#[test]
fn quotes_hide_what_is_between_them() {
    check("\"a,\nb\",c\n", &[&["a,\nb", "c"]]);
    check(
        "\"a\"\"b\",\"\"\"\"\r\n",
        &[&["doubled a\"\"b", "doubled \"\""]],
    );
    check("\"\"\n\"\r\n\"\r\n", &[&[""], &["\r\n"]]);
    check("a\"b,\"c\" d\ne\n", &[&["a\"b", "malformed c"], &["e"]]);
    check("\"a\"b\"c,d\n", &[&["malformed a", "d"]]);
    check("\"a,b\n", &[]);
}

#[test]
fn special_bytes_are_found_in_every_place() {
    for (place, byte) in (0..BLOCK).flat_map(|place| [b',', b'\n', b'"'].map(|byte| (place, byte)))
    {
        // Bytes that differ from the special ones in one bit, or in the sign.
        for filler in [b'-', b'#', 0x0b, 0xac, 0xff, 0x00, 0x80] {
            let mut block = [filler; BLOCK];
            block[place] = byte;
            let bit = |other| u64::from(byte == other) << place;
            let expected = Special {
                all: 1 << place,
                line_feeds: bit(b'\n'),
                quotes: bit(b'"'),
            };
            assert_eq!(special_bytes(&block, b','), expected, "{filler:#x}");
        }
    }
    let expected = Special {
        all: u64::MAX,
        line_feeds: 0,
        quotes: u64::MAX,
    };
    assert_eq!(special_bytes(&[b'"'; BLOCK], b','), expected);
    assert_eq!(special_bytes(&[0; BLOCK], b','), Special::default());
}

#[test]
fn lines_are_taken_from_a_block_one_by_one() {
    let mut block = [b'.'; BLOCK];
    for (place, byte) in [(0, b'\n'), (3, b','), (5, b'\n'), (62, b','), (63, b'\n')] {
        block[place] = byte;
    }
    let mut special = special_bytes(&block, b',');
    assert_eq!(special.take_line(), (0, 0));
    assert_eq!(special.take_line(), (1 << 3, 5));
    assert_eq!(special.take_line(), (1 << 62, 63));
    assert_eq!(special, Special::default());
}

#[test]
fn both_readers_agree_on_where_records_end() {
    // Every text of seven characters over those that matter.
    const ALPHABET: &[u8] = b"a,\"\n\r";
    for number in 0..ALPHABET.len().pow(7) {
        let mut text = Vec::new();
        let mut rest = number;
        for _ in 0..7 {
            text.push(ALPHABET[rest % ALPHABET.len()]);
            rest /= ALPHABET.len();
        }
        let mut splitter = Splitter::new(&text, b',');
        let end = Boundary::default().find_end(&text, b',');
        assert_eq!(
            splitter.next_record().map(|record| record.next),
            end,
            "{text:?}"
        );
    }
}

/// Records as `split` gives them, by following the rules byte by byte.
fn split_slowly(text: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let mut rest = text;
    while let Some(length) = Boundary::default().find_end(rest.as_bytes(), b',') {
        let (line, after) = rest.split_at(length);
        let line = line.strip_suffix("\n").unwrap();
        let line = line.strip_suffix('\r').unwrap_or(line);
        records.push(match line {
            "" => Vec::new(),
            line => fields_slowly(line),
        });
        rest = after;
    }
    records
}

fn fields_slowly(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let Some(quoted) = text.strip_prefix('"') else {
            let (content, after) = cut(text);
            fields.push(content.to_owned());
            rest = after;
            continue;
        };
        let doubled: Vec<usize> = quoted.match_indices("\"\"").map(|(at, _)| at).collect();
        let mut end = 0;
        let mut form = "";
        while !quoted[end..].starts_with('"') || quoted[end..].starts_with("\"\"") {
            if quoted[end..].starts_with('"') {
                assert!(!doubled.is_empty());
                form = "doubled ";
                end += 1;
            }
            end += 1;
        }
        let (more, after) = cut(&quoted[end + 1..]);
        if !more.is_empty() {
            form = "malformed ";
        }
        fields.push(format!("{form}{}", &quoted[..end]));
        rest = after;
    }
    fields
}

/// The text before the first delimiter, and what is behind it.
fn cut(text: &str) -> (&str, Option<&str>) {
    match text.split_once(',') {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

#[test]
fn long_records_are_split_as_byte_by_byte() {
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for round in 0..20_000_u64 {
        // From texts full of special bytes to blocks without any, and every
        // second text without quotes.
        let rarity = 3 << (round % 6);
        let mut text = String::new();
        for _ in 0..next(400) {
            text.push(match next(rarity) {
                0 => ',',
                1 if next(6) == 0 => '\n',
                1 if next(6) == 0 => '\r',
                1 if round % 2 == 0 => '"',
                _ => 'a',
            });
            if text.ends_with(',') && round % 2 == 0 && next(4) == 0 {
                text.push_str(["\"", "\"b\"", "\"\"\"\","][next(3) as usize]);
            }
        }
        text.push('\n');
        assert_eq!(split(&text), split_slowly(&text), "{text:?}");
    }
}
