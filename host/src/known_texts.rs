//! Texts that were looked into before, with what came of it: what repeats from batch
//! to batch is looked into once.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// So many texts, and bytes of them, at most; when there would be more, all are
/// forgotten.
pub(crate) struct KnownTexts<V> {
    values: HashMap<Box<str>, V, RandomState>,
    bytes: usize,
    texts_max: usize,
    bytes_max: usize,
}

impl<V> KnownTexts<V> {
    pub(crate) fn new(texts_max: usize, bytes_max: usize) -> Self {
        Self {
            values: HashMap::default(),
            bytes: 0,
            texts_max,
            bytes_max,
        }
    }

    pub(crate) fn get(&self, text: &str) -> Option<&V> {
        self.values.get(text)
    }

    pub(crate) fn insert(&mut self, text: &str, value: V) {
        if self.values.len() == self.texts_max || self.bytes + text.len() > self.bytes_max {
            self.values.clear();
            self.bytes = 0;
        }
        self.bytes += text.len();
        self.values.insert(text.into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_their_bytes_are_bounded() {
        let mut known = KnownTexts::new(2, 8);
        known.insert("a", 1);
        known.insert("b", 2);
        assert_eq!((known.get("a"), known.get("b")), (Some(&1), Some(&2)));
        known.insert("c", 3);
        assert_eq!((known.get("a"), known.get("c")), (None, Some(&3)));
        known.insert("12345678", 4);
        assert_eq!((known.get("c"), known.get("12345678")), (None, Some(&4)));
    }
}
