//! Dictionary columns, and the table that finds a text's key.
//!
//! One [`Interner`] holds the distinct values of one column for one batch. It
//! answers "seen before?" from the bytes alone, so a text is checked, and copied,
//! only the first time.

use crate::{
    Column, DictionaryValues, Utf8Values, Values, builder::Validity, hash_bytes, same_bytes,
};

/// Slots to begin with; most columns of a batch have fewer values than half of it.
const FIRST_SLOTS: usize = 256;

/// Distinct texts, each with the key under which it was first seen.
#[derive(Clone, Debug, Default)]
pub struct Interner {
    values: Utf8Values,
    /// Open addressing. A slot holds the upper half of the hash and the key plus
    /// one; 0 is empty. There are always at least twice as many as values.
    slots: Vec<u64>,
}

/// Where a text is, or where it belongs.
enum Found {
    Key(u32),
    Vacant { slot: usize, tag: u64 },
}

impl Interner {
    /// The key of a text.
    pub fn intern(&mut self, text: &str) -> u32 {
        match self.find(text.as_bytes()) {
            Found::Key(key) => key,
            Found::Vacant { slot, tag } => self.insert(slot, tag, text.as_bytes()),
        }
    }

    /// The key of bytes that `check` finds to be a text, which it is asked only
    /// the first time.
    #[inline]
    pub fn intern_bytes<'a, E>(
        &mut self,
        bytes: &'a [u8],
        check: impl FnOnce(&'a [u8]) -> Result<&'a str, E>,
    ) -> Result<u32, E> {
        match self.find(bytes) {
            Found::Key(key) => Ok(key),
            Found::Vacant { slot, tag } => Ok(self.insert(slot, tag, check(bytes)?.as_bytes())),
        }
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The texts, in the order of their keys.
    pub fn into_values(self) -> Utf8Values {
        self.values
    }

    #[inline]
    fn find(&mut self, bytes: &[u8]) -> Found {
        if self.slots.len() < self.values.len() * 2 + 2 {
            self.grow();
        }
        let hash = hash_bytes(bytes);
        let tag = hash & 0xffff_ffff_0000_0000;
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let held = self.slots[slot];
            if held == 0 {
                return Found::Vacant { slot, tag };
            }
            if held & 0xffff_ffff_0000_0000 == tag {
                let key = held as u32 - 1;
                if same_bytes(self.value(key), bytes) {
                    return Found::Key(key);
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    fn insert(&mut self, slot: usize, tag: u64, bytes: &[u8]) -> u32 {
        let key = self.values.len() as u32;
        self.values.push(bytes);
        self.slots[slot] = tag | u64::from(key + 1);
        key
    }

    fn value(&self, key: u32) -> &[u8] {
        let start = self.values.offsets[key as usize] as usize;
        let end = self.values.offsets[key as usize + 1] as usize;
        &self.values.data[start..end]
    }

    fn grow(&mut self) {
        let length = (self.slots.len() * 4).max(FIRST_SLOTS);
        self.slots.clear();
        self.slots.resize(length, 0);
        for key in 0..self.values.len() as u32 {
            let hash = hash_bytes(self.value(key));
            let mut slot = hash as usize & (length - 1);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (length - 1);
            }
            self.slots[slot] = hash & 0xffff_ffff_0000_0000 | u64::from(key + 1);
        }
    }
}

/// Builds a column of text by reference: `dictionary` and `json` columns.
#[derive(Clone, Debug, Default)]
pub struct DictionaryBuilder {
    keys: Vec<u32>,
    interner: Interner,
    validity: Validity,
}

impl DictionaryBuilder {
    /// An empty one, with room for so many rows.
    pub fn with_capacity(rows: usize) -> DictionaryBuilder {
        DictionaryBuilder {
            keys: Vec::with_capacity(rows),
            ..DictionaryBuilder::default()
        }
    }

    /// The key of a text, to be pushed for as many rows as have it.
    pub fn intern(&mut self, text: &str) -> u32 {
        self.interner.intern(text)
    }

    /// Adds a row with a key that `intern` gave.
    #[inline]
    pub fn push_key(&mut self, key: u32) {
        self.validity.push(self.keys.len(), true);
        self.keys.push(key);
    }

    /// Adds a row.
    pub fn push(&mut self, text: &str) {
        let key = self.intern(text);
        self.push_key(key);
    }

    /// Adds a row from bytes that `check` finds to be a text, which it is asked
    /// only the first time.
    #[inline]
    pub fn push_bytes<'a, E>(
        &mut self,
        bytes: &'a [u8],
        check: impl FnOnce(&'a [u8]) -> Result<&'a str, E>,
    ) -> Result<(), E> {
        let key = self.interner.intern_bytes(bytes, check)?;
        self.push_key(key);
        Ok(())
    }

    /// Adds a row without a value.
    pub fn push_null(&mut self) {
        // A key must name a value even where none is meant: any will do.
        if self.interner.is_empty() {
            self.interner.intern("");
        }
        self.validity.push(self.keys.len(), false);
        self.keys.push(0);
    }

    /// Takes back the rows from `rows` on. Their values stay, which is allowed.
    pub fn truncate(&mut self, rows: usize) {
        self.keys.truncate(rows);
        self.validity.truncate(rows);
    }

    /// The column.
    pub fn finish(self) -> Column {
        let dictionary = DictionaryValues {
            keys: self.keys,
            values: self.interner.into_values(),
        };
        Column {
            validity: self.validity.finish(),
            values: Values::Dictionary(dictionary),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DictionaryBuilder, Interner};
    use crate::Values;

    #[test]
    fn keys_survive_growth() {
        let mut interner = Interner::default();
        for round in 0..2 {
            for number in 0..5000_u32 {
                assert_eq!(
                    interner.intern(&format!("value {number}")),
                    number,
                    "round {round}"
                );
            }
        }
        assert_eq!(interner.len(), 5000);
        assert_eq!(interner.intern("value 17"), 17);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let mut builder = DictionaryBuilder::default();
        assert!(builder.push_bytes(b"a\xff", str::from_utf8).is_err());
        assert!(builder.push_bytes("é".as_bytes(), str::from_utf8).is_ok());
        let Values::Dictionary(dictionary) = builder.finish().values else {
            unreachable!()
        };
        assert_eq!(dictionary.keys, [0]);
        assert_eq!(dictionary.values.data, "é".as_bytes());
    }
}
