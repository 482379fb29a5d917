//! Dictionary columns, and the table that finds a text's key.
//!
//! One [`Interner`] holds the distinct values of one column for one batch. It
//! answers "seen before?" from the bytes alone, so a text is checked, and copied,
//! only the first time.

use std::mem;

use crate::{
    Column, DictionaryValues, Text, Utf8Values, Values, builder::Validity, hash_bytes, same_bytes,
};

/// Slots to begin with; most columns of a batch have fewer values than half of it.
const FIRST_SLOTS: usize = 256;

/// What a slot keeps of a hash: more than enough to find its place, however many
/// slots there are, so that no text is hashed twice.
const TAG: u64 = 0xffff_ffff_0000_0000;

/// How much the values of a dictionary column took, as a guess for the next batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DictionarySize {
    /// How many distinct values.
    pub values: usize,
    /// The bytes of all of them.
    pub bytes: usize,
}

/// Distinct texts, each with the key under which it was first seen.
#[derive(Clone, Debug, Default)]
pub struct Interner {
    values: Utf8Values,
    /// Open addressing. A slot holds the upper half of the hash and the key plus
    /// one; 0 is empty. There are always at least twice as many as values.
    slots: Vec<u64>,
    /// How far a hash is shifted to give its first slot.
    shift: u32,
}

/// Where a text is, or where it belongs.
enum Found {
    Key(u32),
    Vacant { slot: usize, tag: u64 },
}

impl Interner {
    /// An empty one, with room for about so much.
    pub fn with_capacity(size: DictionarySize) -> Interner {
        // A little more than was asked for: growing moves everything.
        let more = |size: usize| size + size / 16;
        let mut interner = Interner::default();
        if size.values > 0 {
            interner.values.offsets.reserve(more(size.values));
            interner.values.data.reserve(more(size.bytes));
            let slots = (more(size.values) * 2).next_power_of_two();
            interner.resize(slots.max(FIRST_SLOTS));
        }
        interner
    }

    /// The key of a text.
    pub fn intern(&mut self, text: &str) -> u32 {
        match self.find(text.as_bytes()) {
            Found::Key(key) => key,
            Found::Vacant { slot, tag } => self.insert(slot, tag, text.as_bytes()),
        }
    }

    /// The key of bytes that `check` finds to be a text, which it is asked only
    /// the first time.
    #[inline(always)]
    pub fn intern_bytes<'a, T: Into<Text<'a>>, E>(
        &mut self,
        bytes: &'a [u8],
        check: impl FnOnce(&'a [u8]) -> Result<T, E>,
    ) -> Result<u32, E> {
        match self.find(bytes) {
            Found::Key(key) => Ok(key),
            Found::Vacant { slot, tag } => {
                let text = check(bytes)?.into();
                Ok(self.insert(slot, tag, text.as_bytes()))
            }
        }
    }

    /// The text with a key that `intern` gave.
    pub fn text(&self, key: u32) -> Text<'_> {
        Text::checked(self.value(key))
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much the texts take.
    pub fn size(&self) -> DictionarySize {
        DictionarySize {
            values: self.values.len(),
            bytes: self.values.data.len(),
        }
    }

    /// The texts, in the order of their keys.
    pub fn into_values(self) -> Utf8Values {
        self.values
    }

    #[inline(always)]
    fn find(&self, bytes: &[u8]) -> Found {
        let hash = hash_bytes(bytes);
        let tag = hash & TAG;
        let mut slot = (hash >> self.shift) as usize;
        loop {
            // Only where there are no slots yet is there none.
            let held = self.slots.get(slot).copied().unwrap_or(0);
            if held == 0 {
                return Found::Vacant { slot, tag };
            }
            if held & TAG == tag {
                let key = held as u32 - 1;
                if same_bytes(self.value(key), bytes) {
                    return Found::Key(key);
                }
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    #[inline(never)]
    fn insert(&mut self, slot: usize, tag: u64, bytes: &[u8]) -> u32 {
        let key = self.values.len() as u32;
        let mut slot = slot;
        if self.slots.len() < (self.values.len() + 1) * 2 {
            self.resize((self.slots.len() * 4).max(FIRST_SLOTS));
            slot = self.vacant_slot(tag);
        }
        self.values.push_bytes(bytes);
        self.slots[slot] = tag | u64::from(key + 1);
        key
    }

    #[inline]
    fn value(&self, key: u32) -> &[u8] {
        let start = self.values.offsets[key as usize] as usize;
        let end = self.values.offsets[key as usize + 1] as usize;
        &self.values.data[start..end]
    }

    /// Where a value of that tag belongs that is not there yet.
    fn vacant_slot(&self, tag: u64) -> usize {
        let mut slot = (tag >> self.shift) as usize;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        slot
    }

    /// Moves the values to so many slots, a power of two.
    #[cold]
    fn resize(&mut self, slots: usize) {
        let before = mem::replace(&mut self.slots, vec![0; slots]);
        self.shift = u64::BITS - slots.trailing_zeros();
        for held in before.into_iter().filter(|held| *held != 0) {
            let slot = self.vacant_slot(held);
            self.slots[slot] = held;
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

    /// An empty one, with room for so many rows and for about so many values.
    pub fn with_capacities(rows: usize, size: DictionarySize) -> DictionaryBuilder {
        DictionaryBuilder {
            keys: Vec::with_capacity(rows),
            interner: Interner::with_capacity(size),
            validity: Validity::default(),
        }
    }

    /// How much the distinct values take.
    pub fn size(&self) -> DictionarySize {
        self.interner.size()
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

    /// The key of bytes that `check` finds to be a text, which it is asked only the
    /// first time.
    #[inline(always)]
    pub fn intern_bytes<'a, T: Into<Text<'a>>, E>(
        &mut self,
        bytes: &'a [u8],
        check: impl FnOnce(&'a [u8]) -> Result<T, E>,
    ) -> Result<u32, E> {
        self.interner.intern_bytes(bytes, check)
    }

    /// Adds a row for each of some keys that were given before.
    #[inline]
    pub fn push_keys(&mut self, keys: &[u32]) {
        self.validity.push_values(self.keys.len(), keys.len());
        self.keys.extend_from_slice(keys);
    }

    /// Adds a row.
    pub fn push(&mut self, text: &str) {
        let key = self.intern(text);
        self.push_key(key);
    }

    /// Adds a row from bytes that `check` finds to be a text, which it is asked
    /// only the first time.
    #[inline(always)]
    pub fn push_bytes<'a, T: Into<Text<'a>>, E>(
        &mut self,
        bytes: &'a [u8],
        check: impl FnOnce(&'a [u8]) -> Result<T, E>,
    ) -> Result<(), E> {
        let key = self.intern_bytes(bytes, check)?;
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
    use super::{DictionaryBuilder, DictionarySize, Interner};
    use crate::Values;

    #[test]
    fn keys_survive_growth() {
        check_keys(Interner::default());
    }

    #[test]
    fn keys_do_not_depend_on_the_room_that_was_made() {
        for values in [1, 2, 127, 128, 129, 4999, 5000, 20_000] {
            let size = DictionarySize { values, bytes: 3 };
            check_keys(Interner::with_capacity(size));
        }
    }

    #[test]
    fn room_for_as_much_as_before_is_enough() {
        let mut before = Interner::default();
        for number in 0..3000 {
            before.intern(&number.to_string());
        }
        let mut interner = Interner::with_capacity(before.size());
        let room = (
            interner.slots.len(),
            interner.values.offsets.capacity(),
            interner.values.data.capacity(),
        );
        for number in 0..3000 {
            interner.intern(&number.to_string());
        }
        assert_eq!(
            room,
            (
                interner.slots.len(),
                interner.values.offsets.capacity(),
                interner.values.data.capacity()
            )
        );
    }

    #[track_caller]
    fn check_keys(mut interner: Interner) {
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
