//! A stage that makes texts of texts is shown each text once.
//!
//! What comes of a row is up to what the stage reads of it alone. So where that is one
//! text, and texts are what it writes, rows with the same text have the same answer:
//! within a batch, and from batch to batch.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StringArray, UInt32Array};
use foldhash::fast::RandomState;

use super::{Contract, Processed, ProcessedOnce, RowEffect, Transform, rejected_rows};
use crate::batch::{Batch, Places, RejectedRow, TextDictionary, Values};
use crate::known_texts::KnownTexts;
use crate::schema::{ColumnType, Field, Schema};
use crate::stage::StageError;
use crate::stage::limits::{ANSWERS_BYTES_MAX, ANSWERS_MAX};
use crate::stage::state::printable;

/// No answer, or none yet.
const NONE: u32 = u32::MAX;

/// What a stage has answered so far.
pub(super) struct Answers {
    /// The answer to each text, by its place in the lists below.
    to_text: KnownTexts<u32>,
    to_null: Option<u32>,
    /// One for each column that the stage writes.
    written: Vec<Written>,
    /// For each answer, why it is none.
    rejects: Vec<Option<Rejection>>,
    bytes: usize,
}

/// The texts of one column that the stage writes.
#[derive(Default)]
struct Written {
    texts: Vec<Arc<str>>,
    places: HashMap<Arc<str>, u32, RandomState>,
    /// For each answer, the place of its text; `NONE` for null.
    of_answer: Vec<u32>,
}

struct Rejection {
    column: Option<String>,
    code: String,
    message: String,
}

impl Rejection {
    fn of_row(&self, batch: &Batch, row: usize) -> RejectedRow {
        let (code, message) = (self.code.clone(), self.message.clone());
        batch.places.reject(row, self.column.clone(), code, message)
    }
}

impl Transform {
    /// Processes a batch of a stage of texts.
    pub(super) fn process_texts(
        &mut self,
        batch: &Batch,
        answers: &mut Answers,
    ) -> Result<ProcessedOnce, StageError> {
        let read = self.read(batch)?;
        let column = read.first().and_then(Values::of);
        let Some(Values::Dictionary(keys, values)) = column else {
            return Err(StageError::malformed("a text column that is no dictionary"));
        };
        answers.make_room();
        let mut of_value = answers.of_values(keys, values);
        let unknown: Vec<usize> = (0..values.len())
            .filter(|value| of_value[*value] == Some(NONE))
            .collect();
        let asks_null = keys.null_count() > 0 && answers.to_null.is_none();
        let shown = self.shown(&unknown, asks_null, values)?;
        if shown.rows > 0 {
            self.ask(&shown, answers)?;
            for value in unknown {
                of_value[value] = answers.to_text.get(values.value(value)).copied();
            }
        }
        let of_row: Vec<u32> = match keys.keys().nulls() {
            None => keys
                .keys()
                .values()
                .iter()
                .map(|key| of_value[*key as usize].unwrap_or(NONE))
                .collect(),
            Some(_) => keys
                .keys()
                .iter()
                .map(|key| match key {
                    Some(key) => of_value[key as usize].unwrap_or(NONE),
                    None => answers.to_null.unwrap_or(NONE),
                })
                .collect(),
        };
        let written: Vec<ArrayRef> = answers
            .written
            .iter()
            .map(|written| written.column(&of_row))
            .collect::<Result<_, _>>()?;
        let (rejected, rejects) = answers
            .rejected(&of_row)
            .map(|(row, rejection)| (row as u32, rejection.of_row(batch, row)))
            .unzip::<_, _, Vec<u32>, Vec<_>>();
        let kept = self
            .beside(batch, &written)?
            .without(&rejected)
            .map_err(|error| StageError::malformed(error.to_string()))?;
        Ok(ProcessedOnce {
            processed: Processed {
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

    /// Asks the stage about texts, and keeps what it answers.
    fn ask(&mut self, shown: &Batch, answers: &mut Answers) -> Result<(), StageError> {
        let output = self.call(&shown.columns, shown.rows)?;
        self.kept(&output, shown.rows)?;
        rejected_rows(&output.rejects, shown.rows)?;
        let columns = self.accept_columns(output.columns, shown.rows)?;
        let first = answers.rejects.len();
        for (written, column) in answers.written.iter_mut().zip(&columns) {
            answers.bytes += written.add(column)?;
        }
        answers.rejects.resize_with(first + shown.rows, || None);
        for reject in output.rejects {
            answers.rejects[first + reject.row as usize] = Some(Rejection {
                column: reject.column.as_deref().map(printable),
                code: printable(&reject.code),
                message: printable(&reject.message),
            });
        }
        let Some(Values::Dictionary(keys, values)) = shown.columns.first().and_then(Values::of)
        else {
            return Err(StageError::malformed("a text column that is no dictionary"));
        };
        for (answer, key) in (first as u32..).zip(keys.keys()) {
            match key {
                Some(key) => {
                    let text = values.value(key as usize);
                    answers.to_text.insert(text, answer);
                }
                None => answers.to_null = Some(answer),
            }
        }
        Ok(())
    }
}

impl Answers {
    /// None so far; nothing when what comes of a row is not up to one text, or is more
    /// than texts.
    pub(super) fn of(contract: &Contract) -> Option<Self> {
        let repeats =
            |field: &Field| matches!(field.column_type, ColumnType::Dictionary | ColumnType::Json);
        let is_of_texts = contract.row_effect == RowEffect::Keeps
            && contract.reads.len() == 1
            && contract.reads.iter().chain(&contract.writes).all(repeats);
        is_of_texts.then(|| Self::to_nothing(contract.writes.len()))
    }

    fn to_nothing(columns: usize) -> Self {
        Self {
            // It is bounded by `make_room`: a batch needs all answers to its texts.
            to_text: KnownTexts::new(usize::MAX),
            to_null: None,
            written: (0..columns).map(|_| Written::default()).collect(),
            rejects: Vec::new(),
            bytes: 0,
        }
    }

    /// Forgets everything when that has become too much.
    fn make_room(&mut self) {
        if self.bytes > ANSWERS_BYTES_MAX || self.rejects.len() > ANSWERS_MAX {
            *self = Self::to_nothing(self.written.len());
        }
    }

    /// The answer to each value: `NONE` where it is not known yet, and nothing where no
    /// row has the value.
    fn of_values(&self, keys: &TextDictionary, values: &StringArray) -> Vec<Option<u32>> {
        let mut named = vec![false; values.len()];
        match keys.keys().nulls() {
            None => keys
                .keys()
                .values()
                .iter()
                .for_each(|key| named[*key as usize] = true),
            Some(_) => keys
                .keys()
                .iter()
                .flatten()
                .for_each(|key| named[key as usize] = true),
        }
        named
            .iter()
            .enumerate()
            .map(|(value, named)| {
                let known = || self.to_text.get(values.value(value)).copied();
                named.then(|| known().unwrap_or(NONE))
            })
            .collect()
    }

    /// The rows whose answer is that they are rejected.
    fn rejected<'a>(&'a self, of_row: &'a [u32]) -> impl Iterator<Item = (usize, &'a Rejection)> {
        let any = self.rejects.iter().any(Option::is_some);
        let of_row = if any { of_row } else { &[] };
        of_row.iter().enumerate().filter_map(|(row, answer)| {
            let rejection = self.rejects.get(*answer as usize)?.as_ref()?;
            Some((row, rejection))
        })
    }
}

impl Written {
    /// Adds an answer for each row of a column; returns how many bytes of text are new.
    fn add(&mut self, column: &ArrayRef) -> Result<usize, StageError> {
        let Some(Values::Dictionary(keys, values)) = Values::of(column) else {
            return Err(StageError::malformed("a text column that is no dictionary"));
        };
        let mut bytes = 0;
        let mut place_of = vec![NONE; values.len()];
        for key in keys.keys() {
            let Some(key) = key else {
                self.of_answer.push(NONE);
                continue;
            };
            let place = &mut place_of[key as usize];
            if *place == NONE {
                let text = values.value(key as usize);
                *place = match self.places.get(text) {
                    Some(place) => *place,
                    None => {
                        let text: Arc<str> = text.into();
                        bytes += text.len();
                        let place = self.texts.len() as u32;
                        self.texts.push(Arc::clone(&text));
                        self.places.insert(text, place);
                        place
                    }
                };
            }
            self.of_answer.push(*place);
        }
        Ok(bytes)
    }

    /// The column that these answers make, one for each row.
    fn column(&self, of_row: &[u32]) -> Result<ArrayRef, StageError> {
        let mut key_of = vec![NONE; self.texts.len()];
        let mut named = Vec::new();
        let mut any_null = false;
        let mut keys = Vec::with_capacity(of_row.len());
        for answer in of_row {
            let place = self.of_answer[*answer as usize];
            if place == NONE {
                any_null = true;
                keys.push(NONE);
                continue;
            }
            let key = &mut key_of[place as usize];
            if *key == NONE {
                *key = named.len() as u32;
                named.push(&*self.texts[place as usize]);
            }
            keys.push(*key);
        }
        let keys: UInt32Array = match any_null {
            false => keys.into(),
            true => keys
                .into_iter()
                .map(|key| (key != NONE).then_some(key))
                .collect(),
        };
        let values = StringArray::from_iter_values(named);
        let column = TextDictionary::try_new(keys, Arc::new(values))
            .map_err(|error| StageError::malformed(error.to_string()))?;
        Ok(Arc::new(column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut written = Written::default();
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
    fn values_that_no_row_has_are_not_asked_about() {
        let mut answers = Answers::to_nothing(0);
        answers.to_text.insert("known", 7);
        let keys = UInt32Array::from(vec![Some(2), None, Some(0), Some(2)]);
        let values = StringArray::from(vec!["known", "unnamed", "new"]);
        let column = TextDictionary::try_new(keys, Arc::new(values.clone())).unwrap();
        assert_eq!(
            answers.of_values(&column, &values),
            [Some(7), None, Some(NONE)]
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
            Answers::of(&contract(reads, writes, row_effect)).is_some()
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
