//! Rows of staging tables made by chance, and what becomes of them in this process.

use std::collections::BTreeMap;
use std::convert::Infallible;

use arrow_array::{Array as _, RecordBatch, StringArray};
use arrow_buffer::NullBuffer;
use gristmill::fold::{
    FoldColumnKind, InProcessFold, PartRow, StoredColumn, StoredRows, StoredValues, TableFold,
};

use crate::support::torture::Chance;

const MICROSECONDS_PER_MINUTE: i64 = 60_000_000;
/// 2026-03-01T00:00:00Z
const BEGIN: i64 = 1_772_323_200_000_000;

/// What texts and names are made of: other scripts, normal forms, blanks, quotes.
const TEXTS: [&str; 10] = [
    "",
    " ",
    "null",
    "caf\u{e9}",
    "cafe\u{301}",
    "名前",
    "a'b\"c\\d",
    "tab\tline\n",
    "\u{1f980}",
    "NaN",
];
const ROLES: [&str; 5] = ["infra", "master", "worker", "Worker", ""];

/// Rows of one staging table.
pub(super) struct Rows {
    starts: Vec<i64>,
    columns: Vec<Held>,
}

enum Held {
    Int64(Vec<i64>, NullBuffer),
    Text(StringArray),
}

impl Rows {
    /// So many, spread over days, of which some begin within an hour.
    pub(super) fn by_chance(fold: &TableFold, count: usize, days: usize, seed: u64) -> Rows {
        let mut chance = Chance(seed);
        let starts = (0..count).map(|_| {
            let minutes = chance.below(days * 48) as i64 * 30;
            BEGIN + minutes * MICROSECONDS_PER_MINUTE
        });
        let starts = starts.collect();
        let columns = fold.columns().into_iter().map(|column| {
            let is_null = |chance: &mut Chance| chance.below(5) == 0;
            match column.kind {
                FoldColumnKind::Text => {
                    let words: &[&str] = match column.name {
                        "node_role" => &ROLES,
                        _ => &TEXTS,
                    };
                    let mut text = || {
                        let null = is_null(&mut chance);
                        (!null).then(|| words[chance.below(words.len())])
                    };
                    Held::Text((0..count).map(|_| text()).collect())
                }
                FoldColumnKind::Int64 => {
                    let mut value = || match column.name.ends_with("_id") {
                        true => 1 + chance.below(4) as i64,
                        // Two of the largest are more than 64 bits hold.
                        false => match chance.below(4) {
                            0 => i64::MAX,
                            1 => i64::MIN,
                            _ => chance.below(1 << 40) as i64 - (1 << 39),
                        },
                    };
                    let values = (0..count).map(|_| value()).collect();
                    let nulls: Vec<bool> = (0..count).map(|_| !is_null(&mut chance)).collect();
                    Held::Int64(values, nulls.into())
                }
            }
        });
        Rows {
            starts,
            columns: columns.collect(),
        }
    }

    fn stored(&self) -> StoredRows<'_> {
        let columns = self.columns.iter().map(|column| {
            Some(match column {
                Held::Int64(values, nulls) => StoredColumn {
                    nulls: Some(nulls),
                    values: StoredValues::Int64(values.clone()),
                },
                Held::Text(texts) => StoredColumn {
                    nulls: texts.nulls(),
                    values: StoredValues::Text(texts),
                },
            })
        });
        StoredRows {
            interval_starts: &self.starts,
            columns: columns.collect(),
        }
    }

    pub(super) fn batch(&self, fold: &TableFold) -> RecordBatch {
        self.stored()
            .record_batch(&fold.columns())
            .expect("a batch")
    }

    /// Part by part.
    pub(super) fn folded(&self, fold: &'static TableFold) -> BTreeMap<&'static str, Parts> {
        let mut in_process = InProcessFold::new(fold);
        in_process.add(&self.stored());
        let mut parts: BTreeMap<&str, Parts> = BTreeMap::new();
        let done: Result<(), Infallible> = in_process.take(|part, row| {
            parts.entry(part.table).or_default().add(row);
            Ok(())
        });
        done.expect("nothing fails");
        parts
    }
}

/// Rows of a part, by their time and keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts(BTreeMap<String, String>);

impl Parts {
    #[track_caller]
    pub(super) fn add(&mut self, row: PartRow) {
        let key = format!("{} {:?}", row.start, row.keys);
        let value = format!(
            "{:?} {:?} {:?} {}",
            row.maxima, row.words, row.sums, row.rows
        );
        let before = self.0.insert(key.clone(), value);
        assert_eq!(before, None, "{key} comes twice");
    }
}
