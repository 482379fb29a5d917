//! Hour digests: for each hour of a report, the number of its rows and a digest of their
//! bytes that does not depend on their order.
//!
//! Two hours with one digest are the same hour, and become the same rows on the same way.
//! The digest is made of the bytes that were read, so it does not matter what the stages
//! make of them. Nobody is kept from making two hours of one digest on purpose: who sends
//! an upload may send any other in its place.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::Array as _;
use twox_hash::XxHash3_128;

use crate::pipeline::staging::PARTITION_COLUMN;
use crate::rows::batch::{Batch, Values};

pub const HOUR_MICROSECONDS: i64 = 3_600_000_000;

/// The first instants of the years 1970 and 2100: no table has rows outside of them.
const INSTANTS: std::ops::Range<i64> = 0..4_102_444_800_000_000;

/// The rows that were read of one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HourRead {
    pub rows: u64,
    /// The sum of the rows' digests, modulo 2^128.
    pub digest: u128,
}

/// The rows that were read of each hour, by its first instant in microseconds since the
/// epoch.
pub type HoursRead = BTreeMap<i64, HourRead>;

/// Hours whose rows are reused instead of loaded, by report kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReusedHours(pub BTreeMap<String, BTreeSet<i64>>);

impl HourRead {
    pub fn add(&mut self, more: Self) {
        self.rows += more.rows;
        self.digest = self.digest.wrapping_add(more.digest);
    }

    /// As read below this heading: the bytes of a record mean something else below
    /// another one.
    #[must_use]
    pub fn below(self, heading: &[u8]) -> Self {
        // Multiplying by an odd number keeps different digests different.
        let factor = XxHash3_128::oneshot(heading) | 1;
        Self {
            rows: self.rows,
            digest: self.digest.wrapping_mul(factor),
        }
    }
}

/// Adds hours to hours.
pub fn unite(hours: &mut HoursRead, more: &HoursRead) {
    for (hour, read) in more {
        hours.entry(*hour).or_default().add(*read);
    }
}

/// The first instant of the hour that an instant falls in.
pub fn hour_of(instant: i64) -> i64 {
    instant - instant.rem_euclid(HOUR_MICROSECONDS)
}

/// Splits a batch by its hours into those that are `reused` and the others. `None` when
/// a row does not say of which hour it is.
pub fn of_batch(batch: &Batch, reused: Option<&BTreeSet<i64>>) -> Option<Split> {
    let Some(Values::Timestamp(starts)) = batch.column(PARTITION_COLUMN).and_then(Values::of)
    else {
        return None;
    };
    let places = &batch.places;
    if starts.nulls().is_some_and(|nulls| nulls.null_count() > 0)
        || places.starts.len() != batch.rows
        || places.lengths.len() != batch.rows
    {
        return None;
    }
    let mut split = Split::default();
    let mut row = 0;
    // Rows come hour by hour, so most are counted without a look-up.
    for run in starts
        .values()
        .chunk_by(|left, right| hour_of(*left) == hour_of(*right))
    {
        if !INSTANTS.contains(&run[0]) {
            return None;
        }
        let hour = hour_of(run[0]);
        let rows = row..row + run.len();
        let mut read = HourRead::default();
        for row in rows.clone() {
            let start = places.starts[row];
            let end = start.saturating_add(u64::from(places.lengths[row]));
            read.add(HourRead {
                rows: 1,
                digest: digest(places.raw.pieces(start, end)),
            });
        }
        let is_reused = reused.is_some_and(|reused| reused.contains(&hour));
        let hours = match is_reused {
            true => &mut split.reused,
            false => &mut split.new,
        };
        hours.entry(hour).or_default().add(read);
        if is_reused {
            split.reused_rows.extend(rows.clone().map(|row| row as u32));
        }
        row = rows.end;
    }
    Some(split)
}

/// The hours of a batch: new ones, and those that are reused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    pub new: HoursRead,
    pub reused: HoursRead,
    /// The rows of reused hours, in order.
    pub reused_rows: Vec<u32>,
}

fn digest(pieces: [&[u8]; 2]) -> u128 {
    match pieces {
        [[], whole] | [whole, []] => XxHash3_128::oneshot(whole),
        cut => XxHash3_128::oneshot(&cut.concat()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::TimestampMicrosecondArray;

    use super::*;
    use crate::rows::batch::{Places, Raw};
    use crate::rows::column::{ColumnType, Field, Schema};

    /// Records of two bytes, each with its instant; the first so many bytes of them are
    /// in the head.
    fn batch(text: &str, instants: &[Option<i64>], head: usize) -> Batch {
        let rows = instants.len();
        let instants: TimestampMicrosecondArray = instants.iter().copied().collect();
        let (head, chunk) = text.as_bytes().split_at(head);
        Batch {
            schema: Arc::new(Schema {
                fields: vec![Field {
                    name: PARTITION_COLUMN.into(),
                    column_type: ColumnType::Timestamp,
                }],
            }),
            columns: vec![Arc::new(instants)],
            rows,
            places: Places {
                lines: (2..).take(rows).collect(),
                starts: (0..).step_by(2).take(rows).collect(),
                lengths: vec![2; rows].into(),
                raw: Arc::new(Raw {
                    start: 0,
                    head: head.to_vec(),
                    chunk: chunk.to_vec().into(),
                }),
            },
        }
    }

    const HOUR: i64 = HOUR_MICROSECONDS;

    #[test]
    fn the_order_of_rows_and_where_a_chunk_ends_do_not_matter() {
        let hours = |text: &str, instants: &[i64], head| {
            let instants: Vec<Option<i64>> = instants.iter().copied().map(Some).collect();
            of_batch(&batch(text, &instants, head), None).unwrap().new
        };
        let one = hours("aabbcc", &[0, 5, HOUR], 0);
        assert_eq!(one, hours("ccbbaa", &[HOUR, 7, 0], 3));
        assert_eq!(one.keys().copied().collect::<Vec<_>>(), [0, HOUR]);
        assert_eq!(one[&0].rows, 2);
        // One byte, one row more, one row of the next hour.
        assert_ne!(one[&0], hours("aabdcc", &[0, 5, HOUR], 0)[&0]);
        assert_ne!(one[&0], hours("aabbaa", &[0, 5, 6], 0)[&0]);
        assert_ne!(one[&0], hours("aabbcc", &[0, HOUR, HOUR], 0)[&0]);
    }

    #[test]
    fn parts_of_an_hour_add_up_below_one_heading_alone() {
        let hour = |text: &str, heading: &str| {
            let instants = vec![Some(0); text.len() / 2];
            of_batch(&batch(text, &instants, 0), None).unwrap().new[&0].below(heading.as_bytes())
        };
        let mut sum = hour("aa", "x,y\n");
        sum.add(hour("bb", "x,y\n"));
        assert_eq!(sum, hour("bbaa", "x,y\n"));
        assert_ne!(sum, hour("aabb", "y,x\n"));
    }

    #[test]
    fn rows_of_reused_hours_are_named() {
        let instants = [Some(0), Some(HOUR), Some(2 * HOUR), Some(HOUR)];
        let reused = BTreeSet::from([HOUR]);
        let split = of_batch(&batch("aabbccdd", &instants, 0), Some(&reused)).unwrap();
        assert_eq!(split.reused_rows, [1, 3]);
        assert_eq!(split.reused[&HOUR].rows, 2);
        assert_eq!(split.new.keys().copied().collect::<Vec<_>>(), [0, 2 * HOUR]);
    }

    #[test]
    fn a_row_of_no_hour_leaves_the_batch_without_digest() {
        for instant in [None, Some(-1), Some(i64::MAX)] {
            assert_eq!(of_batch(&batch("aabb", &[Some(0), instant], 0), None), None);
        }
    }
}
