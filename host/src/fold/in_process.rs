//! The fold in this process: rows of one staging table become rows of its parts while they
//! are loaded.
//!
//! Small numbers stand for the values of keys (`numbers`), and all numbers take no more bytes
//! than they need (`packed`), so that an object takes some hundred bytes.
//! Whoever finds the fold too large takes the rows so far, and it goes on empty: parts of
//! one key merge.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::mem;

use arrow_array::StringArray;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::day_of;
use super::declaration::{FoldColumnKind, Grain, Part, TableFold};
use super::numbers::{Integers, Numbers, Texts};
use super::packed::Packed;
use super::part_rows::PartRow;
use super::stored_rows::{StoredColumn, StoredRows, StoredValues};

/// The fold of one staging table.
pub struct InProcessFold {
    /// By the fold's columns: the numbers of the values, where they are keys.
    numbers: Vec<Numbers>,
    instants: Integers,
    parts: Vec<PartFold>,
}

/// The rows of one part so far. An entry has a number, by which its values are found.
struct PartFold {
    part: &'static Part,
    places: Places,
    entries: HashTable<u32>,
    hasher: RandomState,
    count: u32,
    /// The number of the instant, then those of the keys.
    key_numbers: Vec<Packed>,
    rows: Packed,
    /// Whether a measure has a value: a bit for each maximum, then for each sum.
    present: Packed,
    largest: Vec<Packed>,
    /// The place of each word among those that count, from 1.
    ranks: Vec<Packed>,
    totals: Vec<Packed>,
    /// What did not fit `totals`, by entry and place of the sum.
    carried: HashMap<(u32, u32), i128>,
}

/// The places of a part's columns among those of the fold.
#[derive(Clone)]
struct Places {
    keys: Vec<usize>,
    maxima: Vec<usize>,
    words: Vec<usize>,
    sums: Vec<usize>,
}

impl InProcessFold {
    pub fn new(fold: &'static TableFold) -> Self {
        let columns = fold.columns();
        let is_key = |name: &str| fold.parts.iter().any(|part| part.keys.contains(&name));
        let numbers = columns
            .iter()
            .map(|column| match column.kind {
                _ if !is_key(column.name) => Numbers::None,
                FoldColumnKind::Int64 => Numbers::Int64(Integers::default()),
                FoldColumnKind::Text => Numbers::Text(Texts::default()),
            })
            .collect();
        let place = |name: &&str| columns.iter().position(|column| column.name == *name);
        let places = |names: &[&str]| names.iter().filter_map(place).collect::<Vec<usize>>();
        let parts = fold.parts.iter();
        Self {
            numbers,
            instants: Integers::default(),
            parts: parts
                .map(|part| {
                    let words: Vec<&str> = part.words.iter().map(|word| word.column).collect();
                    PartFold::new(part, &places, &words)
                })
                .collect(),
        }
    }

    /// Adds rows; their columns are those of the fold, in order.
    pub fn add(&mut self, rows: &StoredRows<'_>) {
        let count = rows.interval_starts.len();
        let numbers: Vec<Vec<u32>> = self
            .numbers
            .iter_mut()
            .zip(&rows.columns)
            .map(|(numbers, column)| match numbers {
                Numbers::None => Vec::new(),
                known => known.of(column.as_ref(), count),
            })
            .collect();
        let [days, intervals] = [Grain::Day, Grain::Interval].map(|grain| {
            if !self.parts.iter().any(|part| part.part.grain == grain) {
                return Vec::new();
            }
            // Rows come hour by hour, so most are looked up once.
            let (mut last, mut number) = (None, 0);
            let starts = rows.interval_starts.iter();
            starts
                .map(|start| {
                    let instant = grain.start_of(*start);
                    if last != Some(instant) {
                        (last, number) = (Some(instant), self.instants.number(instant));
                    }
                    number
                })
                .collect::<Vec<u32>>()
        });
        for part in &mut self.parts {
            let instants = match part.part.grain {
                Grain::Day => &days,
                Grain::Interval => &intervals,
            };
            part.add(instants, &numbers, rows);
        }
    }

    /// The memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let numbers = self.numbers.iter().map(Numbers::bytes).sum::<usize>();
        let parts = self.parts.iter().map(PartFold::bytes).sum::<usize>();
        numbers + parts + self.instants.bytes()
    }

    /// Takes the rows of every part out, and is empty.
    ///
    /// # Errors
    /// `send` fails.
    pub fn take<E>(
        &mut self,
        mut send: impl FnMut(&'static Part, PartRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self {
            numbers,
            instants,
            parts,
        } = self;
        for part in parts.iter_mut() {
            let full = part.emptied();
            for entry in 0..full.count {
                send(full.part, full.row(entry, instants, numbers))?;
            }
        }
        numbers.iter_mut().for_each(Numbers::clear);
        *instants = Integers::default();
        Ok(())
    }
}

impl Grain {
    /// The time of the part's row that a row of this instant is of.
    pub fn start_of(self, interval_start: i64) -> i64 {
        match self {
            Self::Day => day_of(interval_start),
            Self::Interval => interval_start,
        }
    }
}

impl PartFold {
    fn new(part: &'static Part, places: &dyn Fn(&[&str]) -> Vec<usize>, words: &[&str]) -> Self {
        let measures = part.maxima.len() + part.sums.len();
        assert!(measures < u64::BITS as usize, "a bit for each measure");
        let places = Places {
            keys: places(part.keys),
            maxima: places(part.maxima),
            words: places(words),
            sums: places(part.sums),
        };
        Self::empty(part, places)
    }

    /// One without rows.
    fn empty(part: &'static Part, places: Places) -> Self {
        let columns = |count: usize| (0..count).map(|_| Packed::default()).collect();
        Self {
            key_numbers: columns(places.keys.len() + 1),
            rows: Packed::default(),
            present: Packed::default(),
            largest: columns(places.maxima.len()),
            ranks: columns(places.words.len()),
            totals: columns(places.sums.len()),
            part,
            places,
            entries: HashTable::new(),
            hasher: RandomState::default(),
            count: 0,
            carried: HashMap::new(),
        }
    }

    /// Takes all of it, and leaves one without rows.
    fn emptied(&mut self) -> Self {
        let empty = Self::empty(self.part, self.places.clone());
        mem::replace(self, empty)
    }

    fn add(&mut self, instants: &[u32], numbers: &[Vec<u32>], rows: &StoredRows<'_>) {
        let entries = self.entries_of(instants, numbers);
        for entry in &entries {
            self.rows.set(*entry, self.rows.get(*entry) + 1);
        }
        for place in 0..self.largest.len() {
            let column = rows.columns[self.places.maxima[place]].as_ref();
            self.add_maximum(place, &entries, column);
        }
        for place in 0..self.ranks.len() {
            let column = rows.columns[self.places.words[place]].as_ref();
            self.add_word(place, &entries, column);
        }
        for place in 0..self.totals.len() {
            let column = rows.columns[self.places.sums[place]].as_ref();
            self.add_sum(place, &entries, column);
        }
    }

    /// The entry of each row.
    fn entries_of(&mut self, instants: &[u32], numbers: &[Vec<u32>]) -> Vec<u32> {
        let mut key = vec![0; self.key_numbers.len()];
        (0..instants.len())
            .map(|row| {
                key[0] = instants[row];
                for (slot, column) in key[1..].iter_mut().zip(&self.places.keys) {
                    *slot = numbers[*column][row];
                }
                self.entry_of(&key)
            })
            .collect()
    }

    fn entry_of(&mut self, key: &[u32]) -> u32 {
        let Self {
            entries,
            hasher,
            key_numbers,
            ..
        } = self;
        let hash = hash_of(hasher, key.iter().copied());
        let is_it = |entry: &u32| {
            let numbers = key_numbers.iter().zip(key);
            numbers
                .into_iter()
                .all(|(numbers, number)| numbers.get(*entry) as u32 == *number)
        };
        if let Some(entry) = entries.find(hash, is_it) {
            return *entry;
        }
        let entry = self.count;
        for (numbers, number) in key_numbers.iter_mut().zip(key) {
            numbers.set(entry, i64::from(*number));
        }
        entries.insert_unique(hash, entry, |entry| {
            let numbers = key_numbers.iter().map(|numbers| numbers.get(*entry) as u32);
            hash_of(hasher, numbers)
        });
        self.count += 1;
        entry
    }

    fn add_maximum(&mut self, place: usize, entries: &[u32], column: Option<&StoredColumn<'_>>) {
        let bit = 1 << place;
        let (present, largest) = (&mut self.present, &mut self.largest[place]);
        for_each_count(column, entries, |entry, value| {
            let measures = present.get(entry);
            if measures & bit == 0 {
                present.set(entry, measures | bit);
                largest.set(entry, value);
            } else if value > largest.get(entry) {
                largest.set(entry, value);
            }
        });
    }

    fn add_sum(&mut self, place: usize, entries: &[u32], column: Option<&StoredColumn<'_>>) {
        let bit = 1 << (self.largest.len() + place);
        let (present, totals) = (&mut self.present, &mut self.totals[place]);
        let carried = &mut self.carried;
        for_each_count(column, entries, |entry, value| {
            let measures = present.get(entry);
            if measures & bit == 0 {
                present.set(entry, measures | bit);
            }
            let total = totals.get(entry);
            match total.checked_add(value) {
                Some(sum) => totals.set(entry, sum),
                None => {
                    *carried.entry((entry, place as u32)).or_default() += i128::from(total);
                    totals.set(entry, value);
                }
            }
        });
    }

    fn add_word(&mut self, place: usize, entries: &[u32], column: Option<&StoredColumn<'_>>) {
        let Some(column) = column else {
            return;
        };
        let among = self.part.words[place].among;
        let rank = |text: &str| {
            let found = among.iter().position(|word| *word == text);
            found.map_or(0, |place| place as u8 + 1)
        };
        let ranks: Vec<u8> = match &column.values {
            StoredValues::Text(texts) => ranks_of(texts, rank),
            StoredValues::KeyedText(keyed, texts) => {
                let by_key = ranks_of(texts, rank);
                let keys = keyed.keys().values().iter();
                keys.map(|key| by_key.get(*key as usize).copied().unwrap_or_default())
                    .collect()
            }
            StoredValues::Int64(_) | StoredValues::KeyedInt64(..) => return,
        };
        let known = &mut self.ranks[place];
        for (row, entry) in entries.iter().enumerate() {
            let rank = i64::from(ranks[row]);
            if !column.is_null(row) && rank > known.get(*entry) {
                known.set(*entry, rank);
            }
        }
    }

    fn row(&self, entry: u32, instants: &Integers, numbers: &[Numbers]) -> PartRow {
        let number = |numbers: &Packed| numbers.get(entry) as u32;
        let present = self.present.get(entry);
        let has = |place: usize| present & (1 << place) != 0;
        let maxima = self.largest.iter().enumerate();
        let sums = self.totals.iter().enumerate();
        let words = self.ranks.iter().zip(self.part.words);
        let keys = self.places.keys.iter().zip(&self.key_numbers[1..]);
        PartRow {
            start: instants
                .value(number(&self.key_numbers[0]))
                .unwrap_or_default(),
            keys: keys
                .map(|(column, of_entries)| numbers[*column].key(number(of_entries)))
                .collect(),
            maxima: maxima
                .map(|(place, largest)| has(place).then(|| largest.get(entry)))
                .collect(),
            words: words
                .map(|(ranks, word)| {
                    let place = (ranks.get(entry) as usize).checked_sub(1)?;
                    Some(word.among[place].to_string())
                })
                .collect(),
            sums: sums
                .map(|(place, totals)| {
                    let carried = self.carried.get(&(entry, place as u32));
                    let sum = i128::from(totals.get(entry)) + carried.copied().unwrap_or_default();
                    has(self.largest.len() + place).then_some(sum)
                })
                .collect(),
            rows: self.rows.get(entry) as u64,
        }
    }

    fn bytes(&self) -> usize {
        let columns = [&self.key_numbers, &self.largest, &self.ranks, &self.totals];
        let columns = columns
            .into_iter()
            .flatten()
            .chain([&self.rows, &self.present]);
        self.entries.allocation_size()
            + columns.map(Packed::bytes).sum::<usize>()
            + self.carried.capacity() * 48
    }
}

/// The hash of an entry's key.
fn hash_of(hasher: &RandomState, numbers: impl Iterator<Item = u32>) -> u64 {
    let mut hash = hasher.build_hasher();
    numbers.for_each(|number| hash.write_u32(number));
    hash.finish()
}

/// The rank of each text of an array.
fn ranks_of(texts: &StringArray, rank: impl Fn(&str) -> u8) -> Vec<u8> {
    texts.iter().map(|text| text.map_or(0, &rank)).collect()
}

/// Calls with the entry and the value of each row that has one.
fn for_each_count(
    column: Option<&StoredColumn<'_>>,
    entries: &[u32],
    mut each: impl FnMut(u32, i64),
) {
    let Some(column) = column else {
        return;
    };
    let mut present = |row: usize, value: i64| {
        if !column.is_null(row) {
            each(entries[row], value);
        }
    };
    match &column.values {
        StoredValues::Int64(values) => {
            for (row, value) in values.iter().enumerate() {
                present(row, *value);
            }
        }
        StoredValues::KeyedInt64(keys, values) => {
            for (row, key) in keys.iter().enumerate() {
                present(row, values[*key as usize]);
            }
        }
        StoredValues::Text(_) | StoredValues::KeyedText(..) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use arrow_array::Array as _;
    use arrow_buffer::NullBuffer;
    use proptest::prelude::*;

    use super::super::declaration::FOLDS;
    use super::super::part_rows::PartKey;
    use super::*;
    use crate::rows::batch::TextDictionary;

    const HOUR: i64 = 3_600_000_000;
    const NOON: i64 = 1_704_110_400_000_000;

    /// An hourly row of pods, as far as the tests vary it.
    #[derive(Clone, Debug)]
    struct Hour {
        start: i64,
        node: Option<i64>,
        pod: Option<String>,
        labels: Option<i64>,
        capacity: Option<i64>,
        usage: Option<i64>,
        role: Option<String>,
    }

    fn hours() -> impl Strategy<Value = Vec<Hour>> {
        let start = prop_oneof![
            (0..40i64).prop_map(|hour| NOON + hour * HOUR),
            Just(NOON + HOUR / 2),
            Just(-HOUR)
        ];
        let count = prop_oneof![-3..3i64, Just(i64::MAX), Just(i64::MIN), Just(i64::MAX - 1)];
        let hour = (
            start,
            proptest::option::of(1..4i64),
            proptest::option::of("[ab\u{e9}]{0,2}"),
            proptest::option::of(1..3i64),
            proptest::option::of(count.clone()),
            proptest::option::of(count),
            proptest::option::of("infra|master|worker|spare"),
        );
        let hour = hour.prop_map(|(start, node, pod, labels, capacity, usage, role)| Hour {
            start,
            node,
            pod,
            labels,
            capacity,
            usage,
            role,
        });
        proptest::collection::vec(hour, 0..200)
    }

    fn column<'b>(name: &str, hours: &[Hour], held: &'b Held) -> Option<StoredColumn<'b>> {
        let ids = |ids: Vec<Option<i64>>| ids.into_iter().map(Option::unwrap_or_default).collect();
        let (nulls, values) = match name {
            "node_name_id" => {
                let nodes = hours.iter().map(|hour| hour.node).collect();
                (&held.node, StoredValues::Int64(ids(nodes)))
            }
            "pod_labels_id" => (
                &held.labels.1,
                StoredValues::KeyedInt64(&held.labels.0, (0..4).collect()),
            ),
            "node_capacity_cpu_cores_e12" | "node_capacity_cpu_core_hours_e12" => {
                let counts = hours.iter().map(|hour| hour.capacity).collect();
                (&held.capacity, StoredValues::Int64(ids(counts)))
            }
            "pod_usage_cpu_core_hours_e12" => {
                let counts = hours.iter().map(|hour| hour.usage).collect();
                (&held.usage, StoredValues::Int64(ids(counts)))
            }
            "pod" => {
                let texts = held.pod.values().as_any().downcast_ref()?;
                return Some(StoredColumn {
                    nulls: held.pod.nulls(),
                    values: StoredValues::KeyedText(&held.pod, texts),
                });
            }
            "node_role" => {
                return Some(StoredColumn {
                    nulls: held.role.nulls(),
                    values: StoredValues::Text(&held.role),
                });
            }
            _ => return None,
        };
        Some(StoredColumn {
            nulls: nulls.as_ref(),
            values,
        })
    }

    struct Held {
        node: Option<NullBuffer>,
        labels: (Vec<u32>, Option<NullBuffer>),
        capacity: Option<NullBuffer>,
        usage: Option<NullBuffer>,
        pod: TextDictionary,
        role: StringArray,
    }

    impl Held {
        fn of(hours: &[Hour]) -> Self {
            fn nulls<T>(values: impl Iterator<Item = Option<T>>) -> Option<NullBuffer> {
                Some(
                    values
                        .map(|value| value.is_some())
                        .collect::<Vec<_>>()
                        .into(),
                )
            }
            let labels = hours.iter().map(|hour| hour.labels);
            Self {
                node: nulls(hours.iter().map(|hour| hour.node)),
                labels: (
                    labels
                        .clone()
                        .map(|id| id.unwrap_or_default() as u32)
                        .collect(),
                    nulls(labels),
                ),
                capacity: nulls(hours.iter().map(|hour| hour.capacity)),
                usage: nulls(hours.iter().map(|hour| hour.usage)),
                pod: hours.iter().map(|hour| hour.pod.as_deref()).collect(),
                role: hours.iter().map(|hour| hour.role.as_deref()).collect(),
            }
        }
    }

    fn add(fold: &mut InProcessFold, hours: &[Hour]) {
        let held = Held::of(hours);
        let starts: Vec<i64> = hours.iter().map(|hour| hour.start).collect();
        let columns = FOLDS[0].columns();
        fold.add(&StoredRows {
            interval_starts: &starts,
            columns: columns
                .iter()
                .map(|known| column(known.name, hours, &held))
                .collect(),
        });
    }

    /// The rows of the parts, those of one key merged.
    type Merged = BTreeMap<(&'static str, i64, String), PartRow>;

    fn take_into(fold: &mut InProcessFold, merged: &mut Merged) {
        let taken = fold.take(|part, row| -> Result<(), Infallible> {
            let key = (part.table, row.start, format!("{:?}", row.keys));
            match merged.get_mut(&key) {
                None => drop(merged.insert(key, row)),
                Some(known) => {
                    known.rows += row.rows;
                    for (known, value) in known.maxima.iter_mut().zip(row.maxima) {
                        *known = (*known).max(value);
                    }
                    for (known, value) in known.words.iter_mut().zip(row.words) {
                        *known = known.take().max(value);
                    }
                    for (known, value) in known.sums.iter_mut().zip(row.sums) {
                        *known = match (*known, value) {
                            (Some(sum), Some(value)) => Some(sum + value),
                            (sum, value) => sum.or(value),
                        };
                    }
                }
            }
            Ok(())
        });
        taken.unwrap_or_else(|never| match never {});
        assert!(fold.parts.iter().all(|part| part.count == 0));
    }

    /// The fold by hand: sums of 128 bits, and nothing clever.
    fn by_hand(hours: &[Hour]) -> Merged {
        let mut merged = Merged::new();
        for hour in hours {
            let id = |id: Option<i64>| id.map_or(PartKey::Null, PartKey::Int64);
            let pod = hour.pod.clone().map_or(PartKey::Null, PartKey::Text);
            let role = hour.role.clone().filter(|role| role != "spare");
            for (part, start, keys) in [
                (
                    &FOLDS[0].parts[0],
                    hour.start.div_euclid(24 * HOUR) * 24 * HOUR,
                    vec![
                        PartKey::Null,
                        id(hour.node),
                        pod,
                        id(hour.labels),
                        PartKey::Null,
                    ],
                ),
                (&FOLDS[0].parts[1], hour.start, vec![id(hour.node)]),
            ] {
                let key = (part.table, start, format!("{keys:?}"));
                let row = merged.entry(key).or_insert_with(|| PartRow {
                    start,
                    keys,
                    maxima: vec![None; part.maxima.len()],
                    words: vec![None; part.words.len()],
                    sums: vec![None; part.sums.len()],
                    rows: 0,
                });
                row.rows += 1;
                row.maxima[0] = row.maxima[0].max(hour.capacity);
                if let Some(word) = row.words.first_mut() {
                    *word = word.take().max(role.clone());
                }
                if let (Some(sum), Some(usage)) = (row.sums.first_mut(), hour.usage) {
                    *sum = Some(sum.unwrap_or_default() + i128::from(usage));
                }
            }
        }
        merged
    }

    proptest! {
        /// However the rows are cut, and whenever they are taken.
        #[test]
        fn is_the_fold_by_hand(hours in hours(), cuts in proptest::collection::vec((0..60usize, any::<bool>()), 0..6)) {
            let mut fold = InProcessFold::new(&FOLDS[0]);
            let mut merged = Merged::new();
            let mut rest = hours.as_slice();
            for (length, takes) in cuts {
                let (head, tail) = rest.split_at(length.min(rest.len()));
                add(&mut fold, head);
                if takes {
                    take_into(&mut fold, &mut merged);
                }
                rest = tail;
            }
            add(&mut fold, rest);
            take_into(&mut fold, &mut merged);
            prop_assert_eq!(merged, by_hand(&hours));
        }
    }

    #[test]
    fn what_it_takes_is_known() {
        let mut fold = InProcessFold::new(&FOLDS[0]);
        let empty = fold.bytes();
        let hours: Vec<Hour> = (0..50_000)
            .map(|pod| Hour {
                start: NOON,
                node: Some(1),
                pod: Some(format!("a-pod-with-a-longer-name-{pod}")),
                labels: None,
                capacity: Some(4_000_000_000_000),
                usage: Some(250_000_000_000),
                role: None,
            })
            .collect();
        add(&mut fold, &hours);
        let full = fold.bytes();
        // The name and its place, 38 bytes; two hash tables, 14; the numbers of keys, 5; the
        // rows and what is present, 3; a maximum and a sum, 12.
        assert!((50_000 * 60..50_000 * 80).contains(&full), "{full}");
        take_into(&mut fold, &mut Merged::new());
        assert_eq!(fold.bytes(), empty);
    }
}
