//! A memo of texts: keeps what was found out about each, so that a text that repeats from
//! batch to batch is looked into once.
//!
//! The memo knows a text by its fingerprint, 128 bits of a hash. To keep the texts and
//! compare them would read memory that is in no cache. Two texts of one fingerprint are
//! not to be expected among all the texts there are, nor to be made: nobody knows the
//! seed.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use foldhash::fast::RandomState as FastState;
use twox_hash::XxHash3_128;

/// So many texts at most; when there would be more, all are forgotten.
pub(crate) struct TextMemo<V> {
    values: HashMap<u128, V, FastState>,
    texts_max: usize,
    seed: u64,
}

impl<V> TextMemo<V> {
    pub(crate) fn new(texts_max: usize) -> Self {
        Self {
            values: HashMap::default(),
            texts_max,
            // The standard library asks the system for it.
            seed: RandomState::new().hash_one(0),
        }
    }

    pub(crate) fn get(&self, text: &str) -> Option<&V> {
        self.values.get(&self.fingerprint(text))
    }

    pub(crate) fn insert(&mut self, text: &str, value: V) {
        if self.values.len() == self.texts_max {
            self.values.clear();
        }
        self.values.insert(self.fingerprint(text), value);
    }

    fn fingerprint(&self, text: &str) -> u128 {
        XxHash3_128::oneshot_with_seed(self.seed, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart_and_bounded() {
        let mut memo = TextMemo::new(2);
        memo.insert("a", 1);
        memo.insert("b", 2);
        assert_eq!((memo.get("a"), memo.get("b")), (Some(&1), Some(&2)));
        assert_eq!((memo.get(""), memo.get("ab")), (None, None));
        memo.insert("c", 3);
        assert_eq!((memo.get("a"), memo.get("c")), (None, Some(&3)));
    }

    #[test]
    fn every_byte_of_a_long_text_counts() {
        let mut memo = TextMemo::new(usize::MAX);
        for length in [1, 15, 16, 17, 128, 129, 240, 241, 300, 1_025] {
            for at in 0..length {
                let mut text = "x".repeat(length);
                text.replace_range(at..=at, "y");
                assert_eq!(memo.get(&text), None, "{at} of {length}");
                memo.insert(&text, at);
            }
        }
    }
}
