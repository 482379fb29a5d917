//! Makes values that a stage might return from any bytes, for fuzzers.

use arrow_array::{Array, UInt32Array};

use super::bindings::gristmill::stage::types::{
    ColumnResult, DictionaryValuesResult, Reject, Utf8ValuesResult, ValuesResult,
};
use super::{crossing, transform};
use crate::rows::batch::Values;
use crate::rows::column::ColumnType;

/// Rows, so that lengths that fit are found often.
const ROWS_MAX: u8 = 9;

const TYPES: [ColumnType; 7] = [
    ColumnType::Boolean,
    ColumnType::Int64,
    ColumnType::Float64,
    ColumnType::Timestamp,
    ColumnType::Utf8,
    ColumnType::Dictionary,
    ColumnType::Json,
];

/// Accepts or refuses what the bytes stand for, and uses what was accepted.
pub(crate) fn output(bytes: &[u8]) {
    let mut source = Source(bytes);
    let rows = usize::from(source.byte() % ROWS_MAX);
    let expected = TYPES[usize::from(source.byte()) % TYPES.len()];
    rows_are_accounted(&mut source, rows);
    let column = source.column();
    if let Ok(array) = crossing::accept(column, rows, expected) {
        use_all(&array, rows);
    }
}

/// Accepted columns can be read, lent, written out and rearranged.
fn use_all(array: &arrow_array::ArrayRef, rows: usize) {
    assert_eq!(array.len(), rows);
    if let Some(values) = Values::of(array) {
        for row in 0..rows {
            let _ = (values.cell(row), values.text(row), values.is_null(row));
        }
    }
    assert!(crossing::Lent::of(array).is_some());
    for form in [ColumnType::Utf8, ColumnType::Dictionary] {
        if let Ok(other) = crossing::in_form(array, form, &mut (1 << 20), 1 << 20) {
            assert_eq!(other.len(), rows);
        }
    }
    let reversed = UInt32Array::from_iter_values((0..rows as u32).rev());
    if let Ok(taken) = arrow_select::take::take(array, &reversed, None) {
        assert_eq!(taken.len(), rows);
    }
}

/// Row accounting that is accepted adds up.
fn rows_are_accounted(source: &mut Source<'_>, rows: usize) {
    let rejects: Vec<Reject> = source
        .words()
        .into_iter()
        .map(|row| Reject {
            row,
            column: None,
            code: String::new(),
            message: String::new(),
        })
        .collect();
    let sources = source.words();
    let filtered = u32::from(source.byte());
    let Ok(rejected) = transform::rejected_rows(&rejects, rows) else {
        return;
    };
    if transform::account(&sources, sources.len(), rows, &rejected, filtered).is_ok() {
        let mut out: Vec<u32> = sources;
        out.sort_unstable();
        out.dedup();
        assert!(out.iter().all(|row| !rejected.contains(row)));
        assert_eq!(out.len() + rejected.len() + filtered as usize, rows);
    }
}

/// Bytes taken one after another; zeros when there are no more.
struct Source<'b>(&'b [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn some(&mut self) -> Vec<u8> {
        let count = usize::from(self.byte() % 16);
        let (some, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        some.to_vec()
    }

    /// Small numbers, and now and then the largest.
    fn words(&mut self) -> Vec<u32> {
        let word = |byte| match byte {
            255 => u32::MAX,
            254 => i32::MAX as u32,
            byte => u32::from(byte),
        };
        self.some().into_iter().map(word).collect()
    }

    fn text(&mut self) -> Utf8ValuesResult {
        Utf8ValuesResult {
            offsets: self.words(),
            data: self.some(),
        }
    }

    fn column(&mut self) -> ColumnResult {
        let validity = (self.byte() % 2 == 1).then(|| self.some());
        let values = match self.byte() % 6 {
            0 => ValuesResult::Boolean(self.some()),
            1 => ValuesResult::Int64(self.words().into_iter().map(i64::from).collect()),
            2 => ValuesResult::Float64(self.words().into_iter().map(f64::from).collect()),
            3 => {
                let wide = |word: u32| i64::from(word) << 32;
                ValuesResult::Timestamp(self.words().into_iter().map(wide).collect())
            }
            4 => ValuesResult::Utf8(self.text()),
            _ => ValuesResult::Dictionary(DictionaryValuesResult {
                keys: self.words(),
                values: self.text(),
            }),
        };
        ColumnResult { validity, values }
    }
}
