//! Shows each text once to a stage that makes texts of texts.
//!
//! The output for a row depends only on the columns that the stage reads. When it reads
//! one text and writes texts, rows with the same text have the same output: within a
//! batch, and from batch to batch.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StringArray, UInt32Array};

use super::rejection::Rejection;
use super::{Contract, MemoizedOutput, Transform, TransformOutput, rejected_rows};
use crate::rows::batch::{Batch, Places, TextDictionary, Values};
use crate::rows::column::Schema;
use crate::rows::memo::TextMemo;
use crate::stage::StageError;
use crate::stage::limits::{ANSWERS_BYTES_MAX, ANSWERS_MAX};

/// No answer yet, or none that is a text.
const NONE: u32 = u32::MAX;

/// The outputs of a stage so far; they are counted from 0.
pub(super) struct AnswerMemo {
    count: u32,
    to_text: TextMemo<u32>,
    to_null: Option<u32>,
    /// One for each column that the stage writes.
    written: Vec<WrittenColumn>,
    /// The answers that are none.
    rejections: HashMap<u32, Rejection>,
    bytes: usize,
}

/// The texts of one column that the stage writes.
struct WrittenColumn {
    texts: Vec<Box<str>>,
    places: TextMemo<u32>,
    /// For each answer, the place of its text; `NONE` for null.
    of_answer: Vec<u32>,
}

impl Transform {
    /// Processes a batch of a stage of texts.
    pub(super) fn process_texts(
        &mut self,
        batch: &Batch,
        memo: &mut AnswerMemo,
    ) -> Result<MemoizedOutput, StageError> {
        let read = self.read(batch)?;
        let (keys, values) = texts_of(read.first())?;
        memo.make_room();
        let (mut of_value, unknown) = memo.of_values(keys, values);
        let asks_null = keys.null_count() > 0 && memo.to_null.is_none();
        let shown = self.shown(&unknown, asks_null, values)?;
        if shown.rows > 0 {
            let first = self.ask(&shown, memo)?;
            for (answer, value) in (first..).zip(unknown) {
                of_value[value] = answer;
            }
        }
        let of_null = memo.to_null.unwrap_or(NONE);
        let of_row: Vec<u32> = keys
            .keys()
            .iter()
            .map(|key| key.map_or(of_null, |key| of_value[key as usize]))
            .collect();
        let written: Vec<ArrayRef> = memo
            .written
            .iter()
            .map(|written| written.column(&of_row))
            .collect::<Result<_, _>>()?;
        self.weigh(batch, &written, None)?;
        let rejects = self.rejects(batch, memo.rejected(&of_row))?;
        let rejected: Vec<u32> = memo.rejected(&of_row).map(|(row, _)| row as u32).collect();
        let kept = self
            .beside(batch, &written)?
            .without(&rejected)
            .map_err(|error| StageError::malformed(error.to_string()))?;
        Ok(MemoizedOutput {
            processed: TransformOutput {
                batch: kept,
                rejects,
                filtered: 0,
                repeated: 0,
            },
            shown: Some(shown),
        })
    }

    /// These values, each in a row of its own.
    fn shown(
        &self,
        unknown: &[usize],
        asks_null: bool,
        values: &StringArray,
    ) -> Result<Batch, StageError> {
        let texts = unknown.iter().map(|value| values.value(*value));
        let texts = StringArray::from_iter_values(texts);
        let keys = (0..unknown.len() as u32).map(Some);
        let keys: UInt32Array = keys.chain(asks_null.then_some(None)).collect();
        let column = TextDictionary::try_new(keys, Arc::new(texts))
            .map_err(|error| StageError::malformed(error.to_string()))?;
        Ok(Batch {
            schema: Arc::new(Schema {
                fields: self.contract.reads.clone(),
            }),
            rows: column.len(),
            columns: vec![Arc::new(column)],
            places: Places::default(),
        })
    }

    /// Asks the stage about texts and keeps its answers; returns the first of them.
    fn ask(&mut self, shown: &Batch, memo: &mut AnswerMemo) -> Result<u32, StageError> {
        let output = self.call(&shown.columns, shown.rows)?;
        self.kept(&output, shown.rows)?;
        rejected_rows(&output.rejects, shown.rows)?;
        let columns = self.accept_columns(output.columns, shown.rows)?;
        let first = memo.count;
        for (written, column) in memo.written.iter_mut().zip(&columns) {
            memo.bytes += written.add(column)?;
        }
        for reject in &output.rejects {
            let rejection = Rejection::from(reject);
            memo.bytes += rejection.bytes();
            memo.rejections.insert(first + reject.row, rejection);
        }
        let (keys, values) = texts_of(shown.columns.first())?;
        for (answer, key) in (first..).zip(keys.keys()) {
            match key {
                Some(key) => memo.to_text.insert(values.value(key as usize), answer),
                None => memo.to_null = Some(answer),
            }
        }
        memo.count += shown.rows as u32;
        Ok(first)
    }
}

fn texts_of(column: Option<&ArrayRef>) -> Result<(&TextDictionary, &StringArray), StageError> {
    match column.and_then(Values::of) {
        Some(Values::Dictionary(keys, values)) => Ok((keys, values)),
        _ => Err(StageError::malformed("a text column that is no dictionary")),
    }
}

impl AnswerMemo {
    /// None so far; nothing when what comes of a row is not up to one text, or is more
    /// than texts.
    pub(super) fn of(contract: &Contract) -> Option<Self> {
        contract
            .is_of_texts()
            .then(|| Self::to_nothing(contract.writes.len()))
    }

    fn to_nothing(columns: usize) -> Self {
        Self {
            count: 0,
            // It is bounded by `make_room`: a batch needs all answers to its texts.
            to_text: TextMemo::new(usize::MAX),
            to_null: None,
            written: (0..columns).map(|_| WrittenColumn::nothing()).collect(),
            rejections: HashMap::new(),
            bytes: 0,
        }
    }

    /// Forgets everything when that has become too much.
    fn make_room(&mut self) {
        if self.bytes > ANSWERS_BYTES_MAX || self.count as usize > ANSWERS_MAX {
            *self = Self::to_nothing(self.written.len());
        }
    }

    /// The answer to each value that a row has, and the values to which there is none.
    fn of_values(&self, keys: &TextDictionary, values: &StringArray) -> (Vec<u32>, Vec<usize>) {
        let mut named = vec![false; values.len()];
        for key in keys.keys().iter().flatten() {
            named[key as usize] = true;
        }
        let mut of_value = vec![NONE; values.len()];
        let mut unknown = Vec::new();
        for value in (0..values.len()).filter(|value| named[*value]) {
            match self.to_text.get(values.value(value)) {
                Some(answer) => of_value[value] = *answer,
                None => unknown.push(value),
            }
        }
        (of_value, unknown)
    }

    /// The rows whose answer is that they are rejected.
    fn rejected<'a>(
        &'a self,
        of_row: &'a [u32],
    ) -> impl Iterator<Item = (usize, &'a Rejection)> + Clone {
        let of_row = match self.rejections.is_empty() {
            true => &[],
            false => of_row,
        };
        of_row.iter().enumerate().filter_map(|(row, answer)| {
            let rejection = self.rejections.get(answer)?;
            Some((row, rejection))
        })
    }
}

impl WrittenColumn {
    fn nothing() -> Self {
        Self {
            texts: Vec::new(),
            places: TextMemo::new(usize::MAX),
            of_answer: Vec::new(),
        }
    }

    /// Adds an answer for each row of a column; returns how many bytes of text are new.
    fn add(&mut self, column: &ArrayRef) -> Result<usize, StageError> {
        let (keys, values) = texts_of(Some(column))?;
        let mut bytes = 0;
        for key in keys.keys() {
            let place = key.map(|key| {
                let text = values.value(key as usize);
                self.places.get(text).copied().unwrap_or_else(|| {
                    let place = self.texts.len() as u32;
                    bytes += text.len();
                    self.texts.push(text.into());
                    self.places.insert(text, place);
                    place
                })
            });
            self.of_answer.push(place.unwrap_or(NONE));
        }
        Ok(bytes)
    }

    /// The column that these answers make, one for each row.
    fn column(&self, of_row: &[u32]) -> Result<ArrayRef, StageError> {
        let mut key_of = vec![NONE; self.texts.len()];
        let mut named = Vec::new();
        let keys: UInt32Array = of_row
            .iter()
            .map(|answer| {
                let place = self.of_answer[*answer as usize];
                // Null has no place.
                let key = key_of.get_mut(place as usize)?;
                if *key == NONE {
                    *key = named.len() as u32;
                    named.push(&*self.texts[place as usize]);
                }
                Some(*key)
            })
            .collect();
        let values = StringArray::from_iter_values(named);
        let column = TextDictionary::try_new(keys, Arc::new(values))
            .map_err(|error| StageError::malformed(error.to_string()))?;
        Ok(Arc::new(column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::column::{ColumnType, Field};
    use crate::stage::RowEffect;

    fn column(texts: &[Option<&str>]) -> ArrayRef {
        Arc::new(texts.iter().copied().collect::<TextDictionary>())
    }

    fn field(name: &str, column_type: ColumnType) -> Field {
        Field {
            name: name.into(),
            column_type,
        }
    }

    #[test]
    fn a_column_is_put_together_of_answers() {
        let mut written = WrittenColumn::nothing();
        assert_eq!(written.add(&column(&[Some("a"), None, Some("b")])), Ok(2));
        // An answer that was given to another text takes no room.
        assert_eq!(written.add(&column(&[Some("b"), Some("cd")])), Ok(2));
        let made = |of_row: &[u32]| {
            let made = written.column(of_row).unwrap();
            let Some(Values::Dictionary(keys, values)) = Values::of(&made) else {
                unreachable!()
            };
            let texts: Vec<Option<String>> = (0..keys.len())
                .map(|row| {
                    let key = keys.keys().is_valid(row).then(|| keys.keys().value(row));
                    key.map(|key| values.value(key as usize).to_string())
                })
                .collect();
            (texts, values.len())
        };
        let texts = |texts: &[&str]| texts.iter().map(|text| Some(text.to_string())).collect();
        assert_eq!(made(&[4, 2, 3, 4]), (texts(&["cd", "b", "b", "cd"]), 2));
        assert_eq!(made(&[1, 0]), (vec![None, Some("a".to_string())], 1));
        assert_eq!(made(&[]), (vec![], 0));
    }

    #[test]
    fn too_many_answers_and_too_long_ones_are_forgotten() {
        let forgets = |count, bytes| {
            let mut memo = AnswerMemo::to_nothing(2);
            memo.to_text.insert("known", 0);
            (memo.count, memo.bytes) = (count, bytes);
            memo.make_room();
            assert_eq!(memo.written.len(), 2);
            memo.to_text.get("known").is_none()
        };
        let count_max = ANSWERS_MAX as u32;
        assert!(!forgets(count_max, ANSWERS_BYTES_MAX));
        assert!(forgets(count_max + 1, 0));
        assert!(forgets(1, ANSWERS_BYTES_MAX + 1));
    }

    #[test]
    fn values_that_no_row_has_are_not_asked_about() {
        let mut memo = AnswerMemo::to_nothing(0);
        memo.to_text.insert("known", 7);
        let keys = UInt32Array::from(vec![Some(2), None, Some(0), Some(2)]);
        let values = StringArray::from(vec!["known", "unnamed", "new"]);
        let column = TextDictionary::try_new(keys, Arc::new(values.clone())).unwrap();
        assert_eq!(
            memo.of_values(&column, &values),
            (vec![7, NONE, NONE], vec![2])
        );
    }

    #[test]
    fn a_stage_of_texts_reads_one_and_writes_nothing_else() {
        let contract = |reads: &[ColumnType], writes: &[ColumnType], row_effect| Contract {
            reads: reads.iter().map(|read| field("r", *read)).collect(),
            writes: writes.iter().map(|write| field("w", *write)).collect(),
            drops: Vec::new(),
            row_effect,
        };
        let is_one = |reads: &[ColumnType], writes: &[ColumnType], row_effect| {
            AnswerMemo::of(&contract(reads, writes, row_effect)).is_some()
        };
        use ColumnType::{Dictionary, Float64, Json, Utf8};
        use RowEffect::{Keeps, Rearranges};
        assert!(is_one(&[Dictionary], &[Json, Dictionary], Keeps));
        assert!(is_one(&[Json], &[], Keeps));
        assert!(!is_one(&[Dictionary], &[Dictionary], Rearranges));
        assert!(!is_one(&[Dictionary; 2], &[Dictionary], Keeps));
        assert!(!is_one(&[Dictionary], &[Dictionary, Float64], Keeps));
        assert!(!is_one(&[Utf8], &[Dictionary], Keeps));
        assert!(!is_one(&[], &[Dictionary], Keeps));
    }
}
