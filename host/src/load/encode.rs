//! Batches as Postgres's binary COPY format.
//!
//! Format: <https://www.postgresql.org/docs/15/sql-copy.html>, "Binary Format". A
//! tuple is a count of fields, then length and bytes of each, big-endian.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow_array::StringArray;
use arrow_buffer::NullBuffer;
use chrono::NaiveDate;
use uuid::Uuid;

use super::month_of;
use super::stored_texts::{Kind, TextIds};
use super::validate::{power_of_ten, scaled};
use crate::fold::{StoredColumn, StoredValues};
use crate::ingest::hours::hour_of;
use crate::pipeline::plan::LoadPlan;
use crate::pipeline::staging::{PARTITION_COLUMN, SYSTEM_COLUMNS, Storage};
use crate::rows::batch::{Batch, Values};

pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
pub(super) const TRAILER: [u8; 2] = [0xff, 0xff];

/// The bytes that are handed to a COPY at a time. A batch of 1 MiB of a report makes one
/// piece; rows with long texts do not stand in memory all at once.
const PIECE_BYTES: usize = 4 << 20;

/// Postgres counts time from 2000-01-01.
pub(super) const POSTGRES_EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// A batch about to be encoded.
pub(super) struct Encoder<'b> {
    rows: usize,
    columns: Vec<(Values<'b>, Storage)>,
    interval_starts: Vec<i64>,
}

impl<'b> Encoder<'b> {
    /// The batch must be of the plan's schema.
    pub(super) fn new(batch: &'b Batch, plan: &LoadPlan) -> Self {
        let columns: Vec<(Values<'b>, Storage)> = batch
            .columns
            .iter()
            .zip(&plan.targets)
            .filter_map(|(array, target)| Some((Values::of(array)?, target.storage)))
            .collect();
        let interval_starts = plan
            .targets
            .iter()
            .position(|target| target.column == PARTITION_COLUMN)
            .and_then(|position| match columns[position].0 {
                Values::Timestamp(instants) => Some(instants.values().to_vec()),
                _ => None,
            })
            .unwrap_or_default();
        Self {
            rows: batch.rows,
            columns,
            interval_starts,
        }
    }

    /// The months that rows of the batch fall in.
    pub(super) fn months(&self) -> BTreeSet<NaiveDate> {
        self.hours().keys().copied().filter_map(month_of).collect()
    }

    /// Rows by the hour of their `interval_start`.
    pub(super) fn hours(&self) -> BTreeMap<i64, u64> {
        let mut hours: BTreeMap<i64, u64> = BTreeMap::new();
        // Rows come hour by hour, so most are counted without a look-up.
        for run in self
            .interval_starts
            .chunk_by(|left, right| hour_of(*left) == hour_of(*right))
        {
            *hours.entry(hour_of(run[0])).or_default() += run.len() as u64;
        }
        hours
    }

    /// The texts of the batch that are stored once; some of them repeat.
    pub(super) fn texts(&self, kind: Kind) -> impl Iterator<Item = &'b str> {
        self.columns
            .iter()
            .filter(move |(_, storage)| Kind::of(*storage) == Some(kind))
            .filter_map(|(values, _)| match values {
                Values::Dictionary(_, texts) | Values::Utf8(texts) => Some(*texts),
                _ => None,
            })
            .flat_map(|texts| texts.iter().flatten())
    }

    /// The start of each row's interval, in microseconds since the epoch.
    pub(super) fn interval_starts(&self) -> &[i64] {
        &self.interval_starts
    }

    /// The batch, which must have passed `validate::check`, as its table would hold it: by
    /// column those that a fold can read.
    pub(super) fn stored_columns<'p>(
        &self,
        plan: &'p LoadPlan,
        text_ids: &TextIds,
    ) -> HashMap<&'p str, StoredColumn<'b>> {
        let mut label_sets = text_ids.label_sets.iter().copied();
        let mut names = text_ids.names.iter().copied();
        let columns = self.columns.iter().zip(&plan.targets);
        columns
            .filter_map(|((values, storage), target)| {
                let ids: &mut dyn Iterator<Item = i64> = match Kind::of(*storage) {
                    Some(Kind::LabelSet) => &mut label_sets,
                    Some(Kind::Name) | None => &mut names,
                };
                Some((
                    target.column.as_str(),
                    stored_column(*values, *storage, ids)?,
                ))
            })
            .collect()
    }

    /// The batch, which must have passed `validate::check`, as tuples, piece by piece; after
    /// the header when it is the first of its COPY. Ends where `send` does not want more.
    pub(super) fn encode(
        &self,
        generation: i64,
        source_uuid: Uuid,
        periods: &HashMap<NaiveDate, i32>,
        text_ids: &TextIds,
        first: bool,
        send: &mut dyn FnMut(Vec<u8>) -> bool,
    ) -> bool {
        let fields = SYSTEM_COLUMNS.len() + self.columns.len();
        let row_bytes = fields * 12 + 64;
        let room = |rows: usize| (rows * row_bytes).min(PIECE_BYTES + row_bytes);
        let mut buffer = Vec::with_capacity(room(self.rows));
        if first {
            buffer.extend_from_slice(HEADER);
        }
        let mut prefix = Vec::with_capacity(64);
        prefix.extend_from_slice(&(fields as u16).to_be_bytes());
        put(&mut prefix, &generation.to_be_bytes());
        put(&mut prefix, source_uuid.as_bytes());
        let mut label_sets = text_ids.label_sets.iter().copied();
        let mut names = text_ids.names.iter().copied();
        let columns: Vec<ColumnBytes<'_>> = self
            .columns
            .iter()
            .map(|(values, storage)| {
                let ids = match Kind::of(*storage) {
                    Some(Kind::LabelSet) => &mut label_sets,
                    Some(Kind::Name) | None => &mut names,
                };
                ColumnBytes::new(*values, *storage, ids)
            })
            .collect();
        let mut period_of: (i64, i32) = (i64::MIN, 0);
        for row in 0..self.rows {
            let interval_start = self.interval_starts[row];
            if period_of.0 != interval_start {
                let period = month_of(interval_start).and_then(|month| periods.get(&month));
                period_of = (interval_start, period.copied().unwrap_or_default());
            }
            buffer.extend_from_slice(&prefix);
            put(&mut buffer, &period_of.1.to_be_bytes());
            for column in &columns {
                column.put(&mut buffer, row);
            }
            if buffer.len() >= PIECE_BYTES {
                let next = Vec::with_capacity(room(self.rows - row - 1));
                if !send(std::mem::replace(&mut buffer, next)) {
                    return false;
                }
            }
        }
        buffer.is_empty() || send(buffer)
    }
}

/// A column as its table would hold it. Takes the ids of its texts, if those are stored
/// once; `None` for a type that no fold reads.
fn stored_column<'b>(
    values: Values<'b>,
    storage: Storage,
    ids: &mut dyn Iterator<Item = i64>,
) -> Option<StoredColumn<'b>> {
    let is_stored_once = Kind::of(storage).is_some();
    let mut ids_of = |texts: &StringArray| {
        let ids = texts.iter().map(|text| text.and_then(|_| ids.next()));
        ids.map(Option::unwrap_or_default).collect::<Vec<i64>>()
    };
    let stored = match values {
        Values::Float64(numbers) => {
            let Storage::FixedPoint { scale, .. } = storage else {
                return None;
            };
            let factor = power_of_ten(scale);
            let fixed = |number: &f64| scaled(*number, factor).unwrap_or_default();
            StoredValues::Int64(numbers.values().iter().map(fixed).collect())
        }
        Values::Int64(numbers) => StoredValues::Int64(numbers.values().to_vec()),
        Values::Dictionary(keys, texts) if is_stored_once => {
            StoredValues::KeyedInt64(keys.keys().values(), ids_of(texts))
        }
        Values::Utf8(texts) if is_stored_once => StoredValues::Int64(ids_of(texts)),
        Values::Dictionary(keys, texts) => StoredValues::KeyedText(keys, texts),
        Values::Utf8(texts) => StoredValues::Text(texts),
        Values::Boolean(_) | Values::Timestamp(_) => return None,
    };
    Some(StoredColumn {
        nulls: values.nulls(),
        values: stored,
    })
}

/// A column ready to be written row by row.
struct ColumnBytes<'b> {
    nulls: Option<&'b NullBuffer>,
    cells: Cells<'b>,
}

enum Cells<'b> {
    /// By row: values of eight bytes, made beforehand.
    Eight(Vec<EightBytes>),
    /// By key: the id of each text that is stored once.
    Ids(&'b [u32], Vec<EightBytes>),
    Plain(Values<'b>),
}

/// A value of eight bytes behind its length.
type EightBytes = [u8; 12];

fn eight_bytes(value: i64) -> EightBytes {
    let mut bytes = [0; 12];
    bytes[3] = 8;
    bytes[4..].copy_from_slice(&value.to_be_bytes());
    bytes
}

impl<'b> ColumnBytes<'b> {
    /// Takes the ids of its texts, if those are stored once.
    fn new(values: Values<'b>, storage: Storage, text_ids: &mut dyn Iterator<Item = i64>) -> Self {
        let mut ids = |texts: &StringArray| {
            let ids = texts.iter().map(|text| text.and_then(|_| text_ids.next()));
            ids.map(|id| eight_bytes(id.unwrap_or_default())).collect()
        };
        let cells = match (values, storage) {
            (Values::Float64(numbers), Storage::FixedPoint { scale, .. }) => {
                let factor = power_of_ten(scale);
                let fixed = |number: &f64| scaled(*number, factor).unwrap_or_default();
                let numbers = numbers.values().iter();
                Cells::Eight(numbers.map(|number| eight_bytes(fixed(number))).collect())
            }
            (Values::Timestamp(instants), _) => {
                let since =
                    |microseconds: &i64| microseconds.saturating_sub(POSTGRES_EPOCH_MICROSECONDS);
                let instants = instants.values().iter();
                Cells::Eight(
                    instants
                        .map(|instant| eight_bytes(since(instant)))
                        .collect(),
                )
            }
            (Values::Dictionary(keys, texts), storage) if Kind::of(storage).is_some() => {
                Cells::Ids(keys.keys().values(), ids(texts))
            }
            (Values::Utf8(texts), storage) if Kind::of(storage).is_some() => {
                Cells::Eight(ids(texts))
            }
            _ => Cells::Plain(values),
        };
        Self {
            nulls: values.nulls(),
            cells,
        }
    }

    fn put(&self, buffer: &mut Vec<u8>, row: usize) {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            buffer.extend_from_slice(&(-1i32).to_be_bytes());
            return;
        }
        match &self.cells {
            Cells::Eight(cells) => buffer.extend_from_slice(&cells[row]),
            Cells::Ids(keys, ids) => buffer.extend_from_slice(&ids[keys[row] as usize]),
            Cells::Plain(values) => match values {
                Values::Boolean(bits) => put(buffer, &[u8::from(bits.value(row))]),
                Values::Int64(numbers) => put(buffer, &numbers.value(row).to_be_bytes()),
                Values::Float64(numbers) => put(buffer, &numbers.value(row).to_be_bytes()),
                Values::Timestamp(instants) => put(buffer, &instants.value(row).to_be_bytes()),
                Values::Utf8(texts) => put(buffer, texts.value(row).as_bytes()),
                Values::Dictionary(keys, texts) => {
                    let key = keys.keys().value(row) as usize;
                    put(buffer, texts.value(key).as_bytes());
                }
            },
        }
    }
}

pub(super) fn put(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    buffer.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::*;
    use crate::rows::batch::TextDictionary;

    #[test]
    fn one_text_for_all_rows_is_not_written_out_at_once() {
        let text = "x".repeat(1 << 20);
        let texts: TextDictionary = (0..100).map(|_| Some(text.as_str())).collect();
        let distinct = texts.values().as_any().downcast_ref().unwrap();
        let storage = Storage::Text {
            characters_max: None,
        };
        let encoder = Encoder {
            rows: 100,
            columns: vec![(Values::Dictionary(&texts, distinct), storage)],
            interval_starts: vec![0; 100],
        };
        let ids = TextIds {
            label_sets: Vec::new(),
            names: Vec::new(),
        };
        let (mut pieces, mut bytes) = (0, 0);
        let encode = |send: &mut dyn FnMut(Vec<u8>) -> bool| {
            encoder.encode(1, Uuid::nil(), &HashMap::new(), &ids, true, send)
        };
        assert!(encode(&mut |piece| {
            assert!(piece.capacity() <= 4 * PIECE_BYTES, "{}", piece.capacity());
            (pieces, bytes) = (pieces + 1, bytes + piece.len());
            true
        }));
        assert_eq!(pieces, 100 / 4);
        assert!(bytes > 100 << 20);
        // A COPY that is gone gets no more.
        let mut taken = 0;
        assert!(!encode(&mut |_| {
            taken += 1;
            taken < 3
        }));
        assert_eq!(taken, 3);
    }

    #[test]
    fn names_become_ids_whatever_holds_them() {
        let names = [Some("b"), None, Some("a"), Some("b")];
        let (text, dictionary) = (
            StringArray::from(names.to_vec()),
            names.into_iter().collect::<TextDictionary>(),
        );
        let distinct = dictionary.values().as_any().downcast_ref().unwrap();
        let storage = Storage::Name {
            characters_max: 253,
        };
        for (values, asked) in [
            (Values::Utf8(&text), vec!["b", "a", "b"]),
            (Values::Dictionary(&dictionary, distinct), vec!["b", "a"]),
        ] {
            let encoder = Encoder {
                rows: 4,
                columns: vec![(values, storage)],
                interval_starts: vec![0; 4],
            };
            let texts = |kind| encoder.texts(kind).collect::<Vec<_>>();
            assert_eq!(texts(Kind::Name), asked);
            assert!(texts(Kind::LabelSet).is_empty());

            let mut ids = asked
                .iter()
                .map(|text| i64::from(text.as_bytes()[0] - b'a') + 1);
            let column = ColumnBytes::new(values, storage, &mut ids);
            let mut buffer = Vec::new();
            (0..4).for_each(|row| column.put(&mut buffer, row));
            let mut expected = Vec::new();
            put(&mut expected, &2i64.to_be_bytes());
            expected.extend_from_slice(&(-1i32).to_be_bytes());
            put(&mut expected, &1i64.to_be_bytes());
            put(&mut expected, &2i64.to_be_bytes());
            assert_eq!(buffer, expected);
        }
    }
}
