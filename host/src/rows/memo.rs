//! A memo of texts: keeps what was found out about each, so that a text that repeats from
//! batch to batch is looked into once.
//!
//! The memo knows a text by its fingerprint, 128 bits of a hash. To keep the texts and
//! compare them would read memory that is in no cache. Two texts of one fingerprint are
//! not to be expected among all the texts there are, nor to be made: nobody knows the
//! seed.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use twox_hash::XxHash3_128;

/// So many texts at most; when there would be more, all are forgotten.
pub(crate) struct TextMemo<V> {
    entries: HashTable<Entry<V>>,
    texts_max: usize,
    seed: u64,
}

struct Entry<V> {
    fingerprint: Fingerprint,
    value: V,
}

/// In words that need not stand at a multiple of sixteen bytes: an entry of an id takes 24
/// bytes in place of 32.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fingerprint([u32; 4]);

impl Fingerprint {
    /// It is a hash itself.
    fn hash(self) -> u64 {
        u64::from(self.0[0]) << 32 | u64::from(self.0[1])
    }
}

impl<V> TextMemo<V> {
    pub(crate) fn new(texts_max: usize) -> Self {
        Self {
            entries: HashTable::new(),
            texts_max,
            // The standard library asks the system for it.
            seed: RandomState::new().hash_one(0),
        }
    }

    pub(crate) fn get(&self, text: &str) -> Option<&V> {
        let fingerprint = self.fingerprint(text);
        let is_it = |entry: &Entry<V>| entry.fingerprint == fingerprint;
        let entry = self.entries.find(fingerprint.hash(), is_it)?;
        Some(&entry.value)
    }

    pub(crate) fn insert(&mut self, text: &str, value: V) {
        if self.entries.len() == self.texts_max {
            self.entries.clear();
        }
        let fingerprint = self.fingerprint(text);
        let is_it = |entry: &Entry<V>| entry.fingerprint == fingerprint;
        self.entries
            .entry(fingerprint.hash(), is_it, |entry| entry.fingerprint.hash())
            .insert(Entry { fingerprint, value });
    }

    fn fingerprint(&self, text: &str) -> Fingerprint {
        let hash = XxHash3_128::oneshot_with_seed(self.seed, text.as_bytes());
        Fingerprint([0, 32, 64, 96].map(|bits| (hash >> bits) as u32))
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
        memo.insert("c", 4);
        assert_eq!((memo.get("c"), memo.entries.len()), (Some(&4), 1));
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!((size_of::<Entry<i64>>(), size_of::<Entry<u32>>()), (24, 20));
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
