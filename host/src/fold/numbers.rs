//! Small numbers in place of the values of keys: each value is kept once.

use std::hash::BuildHasher as _;
use std::mem;

use arrow_array::Array as _;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::packed::Packed;
use super::part_rows::PartKey;
use super::stored_rows::{StoredColumn, StoredValues};

/// Texts lie in chunks of so many bytes; one that is longer has one to itself.
const TEXT_CHUNK_BYTES: usize = 1 << 16;

/// The values of a column by their numbers, which begin at 1: 0 is null.
pub(super) enum Numbers {
    /// Not a key of any part.
    None,
    Int64(Integers),
    Text(Texts),
}

/// Integers, each once; they have numbers in the order in which they came.
#[derive(Default)]
pub(super) struct Integers {
    count: u32,
    values: Packed,
    places: HashTable<u32>,
    hasher: RandomState,
}

/// Texts, as [`Integers`] are.
#[derive(Default)]
pub(super) struct Texts {
    count: u32,
    /// The chunk of each, by 65,536, and where it begins in it. It ends where the next one
    /// begins.
    begins: Packed,
    chunks: Vec<Vec<u8>>,
    places: HashTable<u32>,
    hasher: RandomState,
    bytes: usize,
}

impl Integers {
    pub(super) fn number(&mut self, value: i64) -> u32 {
        let Self {
            values,
            places,
            hasher,
            ..
        } = self;
        let hash = hasher.hash_one(value);
        if let Some(place) = places.find(hash, |place| values.get(*place) == value) {
            return place + 1;
        }
        let place = self.count;
        values.set(place, value);
        places.insert_unique(hash, place, |place| hasher.hash_one(values.get(*place)));
        self.count += 1;
        place + 1
    }

    pub(super) fn value(&self, number: u32) -> Option<i64> {
        let place = number.checked_sub(1)?;
        (place < self.count).then(|| self.values.get(place))
    }

    pub(super) fn bytes(&self) -> usize {
        self.values.bytes() + self.places.allocation_size()
    }
}

impl Texts {
    fn number(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text.as_bytes());
        let is_it = |place: &u32| self.at(*place) == text.as_bytes();
        if let Some(place) = self.places.find(hash, is_it) {
            return place + 1;
        }
        let place = self.count;
        self.keep(place, text.as_bytes());
        self.count += 1;
        // It has to be read while the places move.
        let mut places = mem::take(&mut self.places);
        places.insert_unique(hash, place, |place| self.hasher.hash_one(self.at(*place)));
        self.places = places;
        place + 1
    }

    fn keep(&mut self, place: u32, text: &[u8]) {
        let has_room = |chunk: &Vec<u8>| {
            // One begins within the first bytes of a chunk, even if it is empty.
            chunk.len() < TEXT_CHUNK_BYTES && chunk.capacity() - chunk.len() >= text.len()
        };
        if !self.chunks.last().is_some_and(has_room) {
            let chunk = Vec::with_capacity(text.len().max(TEXT_CHUNK_BYTES));
            self.bytes += chunk.capacity();
            self.chunks.push(chunk);
        }
        let last = self.chunks.len() - 1;
        let chunk = &mut self.chunks[last];
        let begin = last * TEXT_CHUNK_BYTES + chunk.len();
        self.begins.set(place, begin as i64);
        chunk.extend_from_slice(text);
    }

    fn at(&self, place: u32) -> &[u8] {
        let chunk_and_begin = |place: u32| {
            let begin = self.begins.get(place) as usize;
            (begin / TEXT_CHUNK_BYTES, begin % TEXT_CHUNK_BYTES)
        };
        let (chunk, begin) = chunk_and_begin(place);
        let end = match chunk_and_begin(place + 1) {
            (next, end) if next == chunk && place + 1 < self.count => end,
            _ => self.chunks[chunk].len(),
        };
        &self.chunks[chunk][begin..end]
    }

    fn value(&self, number: u32) -> Option<&str> {
        let place = number.checked_sub(1)?;
        let text = (place < self.count).then(|| self.at(place))?;
        std::str::from_utf8(text).ok()
    }

    fn bytes(&self) -> usize {
        self.bytes
            + self.chunks.capacity() * size_of::<Vec<u8>>()
            + self.begins.bytes()
            + self.places.allocation_size()
    }
}

impl Numbers {
    /// The numbers of a column's values, by row.
    pub(super) fn of(&mut self, column: Option<&StoredColumn<'_>>, rows: usize) -> Vec<u32> {
        let Some(column) = column else {
            return vec![0; rows];
        };
        let valid = |row: usize| !column.is_null(row);
        match (self, &column.values) {
            (Self::Int64(known), StoredValues::Int64(values)) => {
                by_row(rows, &valid, |row| known.number(values[row]))
            }
            (Self::Int64(known), StoredValues::KeyedInt64(keys, values)) => {
                by_key(keys, values.len(), &valid, |key| known.number(values[key]))
            }
            (Self::Text(known), StoredValues::Text(texts)) => {
                by_row(rows, &valid, |row| known.number(texts.value(row)))
            }
            (Self::Text(known), StoredValues::KeyedText(keyed_texts, texts)) => {
                let keys = keyed_texts.keys().values();
                by_key(keys, texts.len(), &valid, |key| {
                    known.number(texts.value(key))
                })
            }
            _ => vec![0; rows],
        }
    }

    pub(super) fn key(&self, number: u32) -> PartKey {
        match self {
            Self::None => PartKey::Null,
            Self::Int64(known) => known.value(number).map_or(PartKey::Null, PartKey::Int64),
            Self::Text(known) => known
                .value(number)
                .map_or(PartKey::Null, |text| PartKey::Text(text.to_string())),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Int64(known) => known.bytes(),
            Self::Text(known) => known.bytes(),
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::None => {}
            Self::Int64(known) => *known = Integers::default(),
            Self::Text(known) => *known = Texts::default(),
        }
    }
}

fn by_row(
    rows: usize,
    valid: &dyn Fn(usize) -> bool,
    mut number: impl FnMut(usize) -> u32,
) -> Vec<u32> {
    (0..rows)
        .map(|row| if valid(row) { number(row) } else { 0 })
        .collect()
}

/// Numbers by row, each value looked up once.
fn by_key(
    keys: &[u32],
    values: usize,
    valid: &dyn Fn(usize) -> bool,
    mut number: impl FnMut(usize) -> u32,
) -> Vec<u32> {
    let mut numbers = vec![0; values];
    keys.iter()
        .enumerate()
        .map(|(row, key)| {
            if !valid(row) {
                return 0;
            }
            let known = &mut numbers[*key as usize];
            if *known == 0 {
                *known = number(*key as usize);
            }
            *known
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_of_any_length_are_told_apart() {
        let mut texts = Texts::default();
        let lengths = [60_000, 5_536, 0, 1, 70_000, 2, 65_536, 65_537, 3];
        let kept: Vec<String> = lengths
            .iter()
            .enumerate()
            .map(|(place, length)| char::from(b'a' + place as u8).to_string().repeat(*length))
            .collect();
        let numbers: Vec<u32> = kept.iter().map(|text| texts.number(text)).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        for (text, number) in kept.iter().zip(&numbers) {
            assert_eq!(texts.number(text), *number, "of {} bytes", text.len());
            assert_eq!(texts.value(*number), Some(text.as_str()));
        }
        assert_eq!((texts.value(0), texts.value(10)), (None, None));
        let bytes: usize = lengths.iter().sum();
        assert!((bytes..bytes + 8 * TEXT_CHUNK_BYTES).contains(&texts.bytes()));
    }

    proptest! {
        #[test]
        fn a_value_has_one_number(values in proptest::collection::vec(prop_oneof![-9..9i64, any::<i64>()], 0..300)) {
            let (mut integers, mut texts) = (Integers::default(), Texts::default());
            let mut known: Vec<i64> = Vec::new();
            for value in values {
                let place = known.iter().position(|known| *known == value).unwrap_or_else(|| {
                    known.push(value);
                    known.len() - 1
                });
                prop_assert_eq!(integers.number(value), place as u32 + 1);
                prop_assert_eq!(texts.number(&value.to_string()), place as u32 + 1);
            }
            for (place, value) in known.iter().enumerate() {
                let number = place as u32 + 1;
                prop_assert_eq!(integers.value(number), Some(*value));
                let text = value.to_string();
                prop_assert_eq!(texts.value(number), Some(text.as_str()));
            }
        }
    }
}
