//! Takes columns into the sandbox and out of it.
//!
//! On the way in, an Arrow array is lent as its buffers. On the way out nothing is
//! believed: every length, offset, key and byte of text is checked before an array is
//! made.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::bindings::gristmill::stage::types::{
    ColumnParam, ColumnResult, ColumnType as WitType, DictionaryValuesParam, Utf8ValuesParam,
    Utf8ValuesResult, ValuesParam, ValuesResult,
};
use crate::rows::batch::{TextDictionary, Values};
use crate::rows::column::ColumnType;

/// The array in the form that a stage asked for. Text that is written out in full is
/// taken from `bytes_left`, and `bytes_max` is what that was for all columns.
pub(super) fn in_form(
    array: &ArrayRef,
    wanted: ColumnType,
    bytes_left: &mut u64,
    bytes_max: u64,
) -> Result<ArrayRef, String> {
    match (Values::of(array), wanted) {
        (Some(Values::Dictionary(keys, values)), ColumnType::Utf8) => {
            let bytes: u64 = keys
                .keys_iter()
                .flatten()
                .map(|key| u64::from(values.value_length(key) as u32))
                .sum();
            *bytes_left = bytes_left.checked_sub(bytes).ok_or_else(|| {
                format!(
                    "its {bytes} bytes as `utf8` make a batch of more than {bytes_max} \
                    (`batch-memory`); read it as `dictionary`"
                )
            })?;
            arrow_select::take::take(values, keys.keys(), None).map_err(|error| error.to_string())
        }
        (Some(Values::Utf8(values)), ColumnType::Dictionary | ColumnType::Json) => {
            Ok(Arc::new(values.iter().collect::<TextDictionary>()))
        }
        _ => Ok(Arc::clone(array)),
    }
}

/// The buffers of one array, ready to be lent.
pub(super) struct Lent<'a> {
    validity: Option<Cow<'a, [u8]>>,
    values: LentValues<'a>,
}

enum LentValues<'a> {
    Boolean(Cow<'a, [u8]>),
    Int64(&'a [i64]),
    Float64(&'a [f64]),
    Timestamp(&'a [i64]),
    Utf8(LentText<'a>),
    Dictionary(&'a [u32], LentText<'a>),
}

struct LentText<'a> {
    offsets: Vec<u32>,
    data: &'a [u8],
}

impl<'a> Lent<'a> {
    /// `None` for arrays of a kind that no batch holds.
    pub(super) fn of(array: &'a ArrayRef) -> Option<Self> {
        let values = match Values::of(array)? {
            Values::Boolean(values) => LentValues::Boolean(bitmap(values.values())),
            Values::Int64(values) => LentValues::Int64(values.values()),
            Values::Float64(values) => LentValues::Float64(values.values()),
            Values::Timestamp(values) => LentValues::Timestamp(values.values()),
            Values::Utf8(values) => LentValues::Utf8(LentText::of(values)),
            Values::Dictionary(keys, values) => {
                LentValues::Dictionary(keys.keys().values(), LentText::of(values))
            }
        };
        Some(Self {
            validity: array
                .nulls()
                .filter(|nulls| nulls.null_count() > 0)
                .map(|nulls| bitmap(nulls.inner())),
            values,
        })
    }

    /// How many bytes cross.
    pub(super) fn bytes(&self) -> u64 {
        let validity = self.validity.as_deref().map_or(0, <[u8]>::len);
        let values = match &self.values {
            LentValues::Boolean(bits) => bits.len(),
            LentValues::Int64(values) | LentValues::Timestamp(values) => size_of_val(*values),
            LentValues::Float64(values) => size_of_val(*values),
            LentValues::Utf8(text) => text.bytes(),
            LentValues::Dictionary(keys, text) => size_of_val(*keys) + text.bytes(),
        };
        (validity + values) as u64
    }

    pub(super) fn column(&self) -> ColumnParam<'_> {
        ColumnParam {
            validity: self.validity.as_deref(),
            values: match &self.values {
                LentValues::Boolean(bits) => ValuesParam::Boolean(bits),
                LentValues::Int64(values) => ValuesParam::Int64(values),
                LentValues::Float64(values) => ValuesParam::Float64(values),
                LentValues::Timestamp(values) => ValuesParam::Timestamp(values),
                LentValues::Utf8(text) => ValuesParam::Utf8(text.values()),
                LentValues::Dictionary(keys, text) => {
                    ValuesParam::Dictionary(DictionaryValuesParam {
                        keys,
                        values: text.values(),
                    })
                }
            },
        }
    }
}

impl<'a> LentText<'a> {
    fn of(values: &'a StringArray) -> Self {
        let offsets = values.value_offsets();
        let first = offsets.first().copied().unwrap_or(0);
        let last = offsets.last().copied().unwrap_or(0);
        let mut offsets: Vec<u32> = offsets
            .iter()
            .map(|offset| (*offset - first) as u32)
            .collect();
        // A dictionary of nulls only has no values; a key of 0 must stay in range.
        if offsets.len() == 1 {
            offsets.push(0);
        }
        Self {
            offsets,
            data: &values.value_data()[first as usize..last as usize],
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(self.offsets.as_slice()) + self.data.len()
    }

    fn values(&self) -> Utf8ValuesParam<'_> {
        Utf8ValuesParam {
            offsets: &self.offsets,
            data: self.data,
        }
    }
}

fn bitmap(bits: &BooleanBuffer) -> Cow<'_, [u8]> {
    if bits.offset() == 0 {
        Cow::Borrowed(&bits.values()[..bits.len().div_ceil(8)])
    } else {
        Cow::Owned(bits.sliced().as_slice().to_vec())
    }
}

/// How many bytes a column that a stage returned has.
pub(super) fn bytes_of(column: &ColumnResult) -> u64 {
    let text = |text: &Utf8ValuesResult| size_of_val(text.offsets.as_slice()) + text.data.len();
    let validity = column.validity.as_ref().map_or(0, Vec::len);
    let values = match &column.values {
        ValuesResult::Boolean(bits) => bits.len(),
        ValuesResult::Int64(values) | ValuesResult::Timestamp(values) => {
            size_of_val(values.as_slice())
        }
        ValuesResult::Float64(values) => size_of_val(values.as_slice()),
        ValuesResult::Utf8(values) => text(values),
        ValuesResult::Dictionary(values) => {
            size_of_val(values.keys.as_slice()) + text(&values.values)
        }
    };
    (validity + values) as u64
}

/// Makes an array of a column that a stage returned.
///
/// # Errors
/// The problem with it, as a lowercase sentence.
pub(super) fn accept(
    column: ColumnResult,
    rows: usize,
    expected: ColumnType,
) -> Result<ArrayRef, String> {
    let nulls = match column.validity {
        Some(bits) => Some(NullBuffer::new(accept_bitmap(bits, rows, "validity")?)),
        None => None,
    };
    let same_length = |length: usize| {
        if length == rows {
            Ok(())
        } else {
            Err(format!("it has {length} values for {rows} rows"))
        }
    };
    let found = type_of(&column.values);
    let array: ArrayRef = match (column.values, expected) {
        (ValuesResult::Boolean(bits), ColumnType::Boolean) => Arc::new(BooleanArray::new(
            accept_bitmap(bits, rows, "boolean")?,
            nulls,
        )),
        (ValuesResult::Int64(values), ColumnType::Int64) => {
            same_length(values.len())?;
            Arc::new(Int64Array::new(ScalarBuffer::from(values), nulls))
        }
        (ValuesResult::Float64(values), ColumnType::Float64) => {
            same_length(values.len())?;
            Arc::new(Float64Array::new(ScalarBuffer::from(values), nulls))
        }
        (ValuesResult::Timestamp(values), ColumnType::Timestamp) => {
            same_length(values.len())?;
            Arc::new(TimestampMicrosecondArray::new(
                ScalarBuffer::from(values),
                nulls,
            ))
        }
        (ValuesResult::Utf8(text), ColumnType::Utf8) => {
            same_length(text.offsets.len().saturating_sub(1))?;
            Arc::new(accept_text(text, nulls)?)
        }
        (ValuesResult::Dictionary(dictionary), ColumnType::Dictionary | ColumnType::Json) => {
            same_length(dictionary.keys.len())?;
            let values = accept_text(dictionary.values, None)?;
            let count = values.len();
            let is_wrong = |key: &u32| *key as usize >= count;
            let mut keys = dictionary.keys.iter();
            // All of them without a way out, so that several are looked at together.
            if keys.clone().fold(false, |any, key| any | is_wrong(key))
                && let Some(key) = keys.find(|key| is_wrong(key))
            {
                return Err(format!("key {key} is out of range: it has {count} values"));
            }
            let keys = UInt32Array::new(ScalarBuffer::from(dictionary.keys), nulls);
            Arc::new(
                TextDictionary::try_new(keys, Arc::new(values))
                    .map_err(|error| error.to_string())?,
            )
        }
        _ => {
            return Err(format!("it is {found} where the contract says {expected}"));
        }
    };
    Ok(array)
}

fn accept_bitmap(bits: Vec<u8>, rows: usize, what: &str) -> Result<BooleanBuffer, String> {
    if bits.len() != rows.div_ceil(8) {
        return Err(format!(
            "its {what} bitmap has {} bytes for {rows} rows",
            bits.len()
        ));
    }
    Ok(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows))
}

fn accept_text(text: Utf8ValuesResult, nulls: Option<NullBuffer>) -> Result<StringArray, String> {
    let size = text.data.len();
    let well_formed = text.offsets.first() == Some(&0)
        && text.offsets.is_sorted()
        && text.offsets.last().copied() == u32::try_from(size).ok()
        && i32::try_from(size).is_ok();
    if !well_formed {
        return Err(format!(
            "its text offsets do not divide its {size} bytes from first to last"
        ));
    }
    // Where they stand: an iterator that owns its vector collects into it.
    let offsets: Vec<i32> = text
        .offsets
        .into_iter()
        .map(|offset| offset as i32)
        .collect();
    StringArray::try_new(
        OffsetBuffer::new(ScalarBuffer::from(offsets)),
        Buffer::from_vec(text.data),
        nulls,
    )
    .map_err(|_| "its text is not valid UTF-8".to_string())
}

fn type_of(values: &ValuesResult) -> &'static str {
    match values {
        ValuesResult::Boolean(_) => "boolean",
        ValuesResult::Int64(_) => "int64",
        ValuesResult::Float64(_) => "float64",
        ValuesResult::Timestamp(_) => "timestamp",
        ValuesResult::Utf8(_) => "utf8",
        ValuesResult::Dictionary(_) => "dictionary",
    }
}

impl From<WitType> for ColumnType {
    fn from(column_type: WitType) -> Self {
        match column_type {
            WitType::Boolean => Self::Boolean,
            WitType::Int64 => Self::Int64,
            WitType::Float64 => Self::Float64,
            WitType::Timestamp => Self::Timestamp,
            WitType::Utf8 => Self::Utf8,
            WitType::Dictionary => Self::Dictionary,
            WitType::Json => Self::Json,
        }
    }
}

impl From<ColumnType> for WitType {
    fn from(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Int64 => Self::Int64,
            ColumnType::Float64 => Self::Float64,
            ColumnType::Timestamp => Self::Timestamp,
            ColumnType::Utf8 => Self::Utf8,
            ColumnType::Dictionary => Self::Dictionary,
            ColumnType::Json => Self::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bindings::gristmill::stage::types::DictionaryValuesResult;
    use super::*;

    fn refused(values: ValuesResult, rows: usize, expected: ColumnType) -> String {
        let column = ColumnResult {
            validity: None,
            values,
        };
        accept(column, rows, expected).unwrap_err()
    }

    fn text(offsets: &[u32], data: &[u8]) -> Utf8ValuesResult {
        Utf8ValuesResult {
            offsets: offsets.to_vec(),
            data: data.to_vec(),
        }
    }

    #[test]
    fn ragged_columns_are_refused() {
        assert_eq!(
            refused(ValuesResult::Float64(vec![1.0]), 2, ColumnType::Float64),
            "it has 1 values for 2 rows"
        );
        assert_eq!(
            refused(ValuesResult::Boolean(vec![0, 0]), 3, ColumnType::Boolean),
            "its boolean bitmap has 2 bytes for 3 rows"
        );
    }

    #[test]
    fn another_type_than_promised_is_refused() {
        assert_eq!(
            refused(ValuesResult::Int64(vec![1]), 1, ColumnType::Float64),
            "it is int64 where the contract says float64"
        );
    }

    #[test]
    fn text_that_does_not_divide_is_refused() {
        let message = "its text offsets do not divide its 3 bytes from first to last";
        for offsets in [
            &[0, 2, 1, 3][..],
            &[0, 1, 2, 4],
            &[1, 1, 2, 3],
            &[0, 1, 2, 2],
        ] {
            let values = ValuesResult::Utf8(text(offsets, b"abc"));
            assert_eq!(refused(values, 3, ColumnType::Utf8), message);
        }
        let split = ValuesResult::Utf8(text(&[0, 1, 2], "é".as_bytes()));
        assert_eq!(
            refused(split, 2, ColumnType::Utf8),
            "its text is not valid UTF-8"
        );
    }

    #[test]
    fn keys_out_of_range_are_refused() {
        let values = ValuesResult::Dictionary(DictionaryValuesResult {
            keys: vec![0, 2],
            values: text(&[0, 1, 2], b"ab"),
        });
        assert_eq!(
            refused(values, 2, ColumnType::Dictionary),
            "key 2 is out of range: it has 2 values"
        );
    }

    #[test]
    fn text_changes_its_form_and_keeps_its_values() {
        let texts = [Some("a"), None, Some("b"), Some("a")];
        let dictionary: ArrayRef = Arc::new(texts.into_iter().collect::<TextDictionary>());
        let plain: ArrayRef = Arc::new(texts.into_iter().collect::<StringArray>());
        let written_out = in_form(&dictionary, ColumnType::Utf8, &mut 3, 3).unwrap();
        assert_eq!(&written_out, &plain);
        assert_eq!(
            &in_form(&plain, ColumnType::Dictionary, &mut 0, 0).unwrap(),
            &dictionary
        );
        // The limit is one for all columns.
        let mut left = 5;
        in_form(&dictionary, ColumnType::Utf8, &mut left, 5).unwrap();
        assert_eq!(
            in_form(&dictionary, ColumnType::Utf8, &mut left, 5).unwrap_err(),
            "its 3 bytes as `utf8` make a batch of more than 5 (`batch-memory`); \
            read it as `dictionary`"
        );
    }

    #[test]
    fn what_is_lent_comes_back_the_same() {
        let dictionary: ArrayRef = Arc::new(
            vec![Some("a"), None, Some("b"), Some("a")]
                .into_iter()
                .collect::<TextDictionary>(),
        );
        let lent = Lent::of(&dictionary).unwrap();
        let column = lent.column();
        let ValuesParam::Dictionary(values) = column.values else {
            panic!("lent as {:?}", column.values);
        };
        let returned = ColumnResult {
            validity: column.validity.map(<[u8]>::to_vec),
            values: ValuesResult::Dictionary(DictionaryValuesResult {
                keys: values.keys.to_vec(),
                values: text(values.values.offsets, values.values.data),
            }),
        };
        let accepted = accept(returned, 4, ColumnType::Dictionary).unwrap();
        assert_eq!(&accepted, &dictionary);
    }
}
