//! Reads the column names of a report from its first bytes, whatever its format.
//!
//! A stage reads the file, but the choice of the stage depends on the kind of the file,
//! which shows in its columns. So the first line is read here in every way in which
//! formats name columns: as a record with commas, semicolons, tabs or bars in between,
//! and as a JSON object.

use std::collections::BTreeSet;

/// Bytes of the names that are kept of a file of no known kind.
const COLUMNS_BYTES_MAX: usize = 16 << 10;

/// The separators between the names of a header.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The names of the first record, read with commas.
pub(super) fn names(bytes: &[u8]) -> Vec<String> {
    delimited(without_mark(bytes), b',')
}

/// Every name that the first record has in any of the readings.
pub(super) fn names_of_any_format(bytes: &[u8]) -> BTreeSet<String> {
    let bytes = without_mark(bytes);
    if bytes.trim_ascii_start().starts_with(b"{") {
        return members(bytes).into_iter().collect();
    }
    DELIMITERS
        .iter()
        .flat_map(|delimiter| delimited(bytes, *delimiter))
        .collect()
}

/// The names of the first record as they are kept of a file of no known kind: in their
/// order where they stand between commas, and not more than a table should hold.
pub(super) fn columns(bytes: &[u8]) -> Vec<String> {
    let names = names(bytes);
    let names = match names.len() {
        0 | 1 => names_of_any_format(bytes).into_iter().collect(),
        _ => names,
    };
    let mut room = COLUMNS_BYTES_MAX;
    let fits = |name: &String| {
        room = room.saturating_sub(name.len() + 1);
        room > 0
    };
    names.into_iter().take_while(fits).collect()
}

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn delimited(bytes: &[u8], delimiter: u8) -> Vec<String> {
    let mut record = csv::ByteRecord::new();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .from_reader(bytes);
    match reader.read_byte_record(&mut record) {
        Ok(true) => record
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect(),
        _ => Vec::new(),
    }
}

/// The names of the members of a JSON object in the first line.
fn members(bytes: &[u8]) -> Vec<String> {
    let mut objects = serde_json::Deserializer::from_slice(bytes)
        .into_iter::<serde_json::Map<String, serde_json::Value>>();
    match objects.next() {
        Some(Ok(object)) => object.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_with_its_quotes_and_mark() {
        assert_eq!(
            names(b"\xef\xbb\xbfa,\"b\",c\r\n1,2,3\r\n"),
            ["a", "b", "c"]
        );
        assert_eq!(names(b"a,b"), ["a", "b"]);
    }

    #[test]
    fn what_is_kept_of_a_header_is_bounded() {
        assert_eq!(columns(b"b,a,c\n1,2,3\n"), ["b", "a", "c"]);
        assert!(columns(b"a;b;c\n").contains(&"b".to_string()));
        let wide = format!("a,{},b\n", "x".repeat(1 << 20));
        assert_eq!(columns(wide.as_bytes()), ["a"]);
    }

    #[test]
    fn other_formats_have_names_too() {
        for text in [
            "a;\"b\";c\n1;2;3\n",
            "a\tb\tc\n",
            "{\"a\": 1, \"b\": {\"x\": 2}, \"c\": null}\n{\"a\"",
        ] {
            let names = names_of_any_format(text.as_bytes());
            for name in ["a", "b", "c"] {
                assert!(names.contains(name), "{name} in {text}: {names:?}");
            }
            assert!(!names.contains("x"), "{names:?}");
        }
        assert!(names_of_any_format(b"{\"a\": ").is_empty());
    }
}
