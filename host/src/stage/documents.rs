//! Checks that a text is a JSON document without making values of it: these take thirty
//! times its text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// The rest of a document that has been looked at.
struct DocumentLook;

/// # Errors
/// It is none, and why.
pub(super) fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<DocumentLook>(text).map(|DocumentLook| ())
}

impl<'de> Deserialize<'de> for DocumentLook {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = DocumentLook;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any valid JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<DocumentLook, E> {
        Ok(DocumentLook)
    }

    fn visit_i64<E>(self, _: i64) -> Result<DocumentLook, E> {
        Ok(DocumentLook)
    }

    fn visit_u64<E>(self, _: u64) -> Result<DocumentLook, E> {
        Ok(DocumentLook)
    }

    fn visit_f64<E>(self, _: f64) -> Result<DocumentLook, E> {
        Ok(DocumentLook)
    }

    fn visit_str<E>(self, _: &str) -> Result<DocumentLook, E> {
        Ok(DocumentLook)
    }

    fn visit_unit<E>(self) -> Result<DocumentLook, E> {
        Ok(DocumentLook)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<DocumentLook, A::Error> {
        while values.next_element::<DocumentLook>()?.is_some() {}
        Ok(DocumentLook)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut values: A) -> Result<DocumentLook, A::Error> {
        // A key is a text in any case, and its escapes are looked at as those of others.
        while values.next_key::<Key>()?.is_some() {
            values.next_value::<DocumentLook>()?;
        }
        Ok(DocumentLook)
    }
}

/// A key, of which nothing is kept.
struct Key;

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfKey;
        impl Visitor<'_> for OfKey {
            type Value = Key;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_str<E>(self, _: &str) -> Result<Key, E> {
                Ok(Key)
            }
        }
        deserializer.deserialize_str(OfKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_of_any_text_what_a_value_would() {
        let deep = "[".repeat(200);
        for text in [
            "{}",
            r#"{"a": [1, -2.5e3, true, null, "x"], "b": {"a": {}}}"#,
            r#"{"a": 1, "a": 2}"#,
            "",
            "{",
            "[1,]",
            "1e999",
            "18446744073709551616",
            r#""\ud800""#,
            r#"{"\ud800": 1}"#,
            r#"{"a": "\u00zz"}"#,
            "{1: 2}",
            "\"a\nb\"",
            "{} {}",
            "nul",
            &deep,
        ] {
            let value = serde_json::from_str::<serde_json::Value>(text).map(drop);
            let (value, looked) = (
                value.map_err(|error| error.to_string()),
                check(text).map_err(|error| error.to_string()),
            );
            assert_eq!(looked, value, "{text}");
        }
    }
}
