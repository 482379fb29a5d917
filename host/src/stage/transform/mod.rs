//! Runs a transform over one report: a batch in, the same rows with other columns out.

mod contract;
mod memo;
mod rejection;

use std::sync::Arc;

use arrow_array::ArrayRef;

pub use self::contract::{Contract, RowEffect};
use self::memo::AnswerMemo;
use self::rejection::Rejection;
use super::bindings::exports::gristmill::stage::transform as wit;
use super::bindings::gristmill::stage::types::{ColumnResult, FieldParam, Reject};
use super::crossing::{self, Lent};
use super::limits::{JSON_MEMO_MAX, REPEATED_ROWS_MIN, REPEATS_MAX};
use super::state::printable;
use super::weight::Weight;
use super::{
    Component, Cost, Fact, Settings, StageError, StageInstance, borrowed, bound_sets, documents,
    facts,
};
use crate::diagnostics::log_line::LogLine;
use crate::rows::batch::{Batch, RejectedRow, Values};
use crate::rows::column::{ColumnType, Field, Schema};
use crate::rows::memo::TextMemo;

/// The output for a batch.
#[derive(Debug)]
pub struct TransformOutput {
    pub batch: Batch,
    pub rejects: Vec<RejectedRow>,
    /// Input rows left out on purpose.
    pub filtered: u64,
    /// Rows that came out besides the first of each input row.
    pub repeated: u64,
}

/// The output for a batch of which the stage was shown only new texts.
#[derive(Debug)]
pub struct MemoizedOutput {
    pub processed: TransformOutput,
    /// The column that a stage of texts reads, of what it was shown; of any other stage
    /// nothing, since it was shown all of the batch.
    pub shown: Option<Batch>,
}

/// A transform opened for one report.
pub struct Transform {
    opened: StageInstance,
    guest: wit::Guest,
    contract: Contract,
    input: Arc<Schema>,
    output: Arc<Schema>,
    /// The memo of texts that are JSON.
    json_memo: TextMemo<()>,
    /// The memo of a stage that makes texts of texts.
    memo: Option<AnswerMemo>,
}

impl Component {
    /// Opens the component as a transform of batches with this schema.
    ///
    /// # Errors
    /// The stage refuses its configuration or the schema, breaks, or declares a
    /// contract that contradicts itself or the schema.
    pub fn open_transform(
        &self,
        settings: &Settings,
        input: &Arc<Schema>,
    ) -> Result<Transform, StageError> {
        let (mut opened, guest) = self.instantiate(settings.limits, |pre, store, instance| {
            wit::GuestIndices::new(pre)?.load(store, instance)
        })?;
        let schema: Vec<FieldParam<'_>> = input
            .fields
            .iter()
            .map(|field| FieldParam {
                name: &field.name,
                column_type: field.column_type.into(),
            })
            .collect();
        let sets = borrowed(&settings.sets);
        let options = wit::Options {
            config: &settings.config,
            sets: &bound_sets(&sets),
            schema: &schema,
        };
        opened.begin();
        let result = guest.stage().call_open(&mut opened.store, options);
        let stage = opened.end(result)?;
        opened.stage = Some(stage);
        opened.begin();
        let contract = match guest.stage().call_contract(&mut opened.store, stage) {
            Ok(contract) => Contract::from(contract),
            Err(error) => return Err(opened.broken(&error)),
        };
        let output = contract.apply(input)?;
        Ok(Transform {
            opened,
            guest,
            memo: AnswerMemo::of(&contract),
            contract,
            input: Arc::clone(input),
            output: Arc::new(output),
            json_memo: TextMemo::new(JSON_MEMO_MAX),
        })
    }
}

impl Transform {
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The schema of the batches that come out.
    pub fn output(&self) -> &Arc<Schema> {
        &self.output
    }

    /// Processes one batch.
    ///
    /// # Errors
    /// The stage refuses the batch, breaks, or returns what it may not.
    pub fn process(&mut self, batch: &Batch) -> Result<TransformOutput, StageError> {
        debug_assert_eq!(batch.schema, self.input, "a batch of another schema");
        let read = self.read(batch)?;
        let output = self.call(&read, batch.rows)?;
        self.accept(batch, output)
    }

    /// The same, but of a stage of texts what it has answered before is remembered.
    ///
    /// # Errors
    /// As `process`.
    pub fn process_once(&mut self, batch: &Batch) -> Result<MemoizedOutput, StageError> {
        match self.memo.take() {
            Some(mut memo) => {
                let processed = self.process_texts(batch, &mut memo);
                self.memo = Some(memo);
                processed
            }
            None => Ok(MemoizedOutput {
                processed: self.process(batch)?,
                shown: None,
            }),
        }
    }

    /// Shows the stage a batch again that another instance of it has processed, for
    /// what there is to learn. It may hold the columns alone that the stage reads.
    ///
    /// # Errors
    /// As `process`.
    pub fn learn(&mut self, batch: &Batch) -> Result<(), StageError> {
        let read = self.read(batch)?;
        self.call(&read, batch.rows).map(drop)
    }

    /// Shows the stage the columns that it reads, in its own forms.
    fn call(&mut self, read: &[ArrayRef], rows: usize) -> Result<wit::Output, StageError> {
        let lent: Vec<Lent<'_>> = read
            .iter()
            .map(Lent::of)
            .collect::<Option<_>>()
            .ok_or_else(|| StageError::malformed("a column of an unknown kind"))?;
        let columns: Vec<_> = lent.iter().map(Lent::column).collect();
        let stage = self.opened.stage()?;
        self.opened.bytes_in += lent.iter().map(Lent::bytes).sum::<u64>();
        self.opened.begin();
        let result = self.guest.stage().call_process(
            &mut self.opened.store,
            stage,
            wit::Batch {
                rows: rows as u32,
                columns: &columns,
            },
        );
        let output = self.opened.end(result)?;
        self.opened.bytes_out += bytes_of(&output);
        Ok(output)
    }

    /// Ends the report.
    ///
    /// # Errors
    /// As `process`.
    pub fn finish(&mut self) -> Result<Vec<Fact>, StageError> {
        let stage = self.opened.stage()?;
        self.opened.begin();
        let result = self
            .guest
            .stage()
            .call_finish(&mut self.opened.store, stage);
        self.opened.end(result).map(facts)
    }

    /// The cost of the stage so far.
    pub fn cost(&self) -> Cost {
        self.opened.cost()
    }

    /// The lines that the stage logged since the last call.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        self.opened.store.data_mut().take_log()
    }

    /// Messages that this instance, and those before it in the file, have logged.
    pub fn logged(&self) -> u64 {
        self.opened.store.data().logged()
    }

    /// Counts the messages of instances before this one as its own.
    pub fn has_logged(&mut self, messages: u64) {
        self.opened.store.data_mut().has_logged(messages);
    }

    fn read(&self, batch: &Batch) -> Result<Vec<ArrayRef>, StageError> {
        let bytes_max = self.opened.limits.batch_bytes;
        let mut bytes_left = bytes_max;
        self.contract
            .reads
            .iter()
            .map(|field| {
                let column = batch
                    .column(&field.name)
                    .ok_or_else(|| StageError::malformed("a batch of another schema"))?;
                crossing::in_form(column, field.column_type, &mut bytes_left, bytes_max).map_err(
                    |reason| StageError::Schema {
                        column: field.name.clone(),
                        reason,
                    },
                )
            })
            .collect()
    }

    fn accept(
        &mut self,
        batch: &Batch,
        mut output: wit::Output,
    ) -> Result<TransformOutput, StageError> {
        let rows = output.rows as usize;
        if rows > (batch.rows * REPEATS_MAX).max(REPEATED_ROWS_MIN) {
            return Err(StageError::malformed(format!(
                "{rows} rows for {}, more than {REPEATS_MAX} for each",
                batch.rows
            )));
        }
        let columns = std::mem::take(&mut output.columns);
        let written = self.accept_columns(columns, rows)?;
        let rejected = rejected_rows(&output.rejects, batch.rows)?;
        let mut repeated = 0;
        let kept = match &output.source_rows {
            Some(sources) if self.contract.row_effect == RowEffect::Rearranges => {
                repeated = account(sources, rows, batch.rows, &rejected, output.filtered)?;
                self.weigh(batch, &written, Some(sources))?;
                let moved = batch
                    .take(sources)
                    .map_err(|error| StageError::malformed(error.to_string()))?;
                self.beside(&moved, &written)?
            }
            _ => {
                self.kept(&output, batch.rows)?;
                self.weigh(batch, &written, None)?;
                self.beside(batch, &written)?
                    .without(&rejected)
                    .map_err(|error| StageError::malformed(error.to_string()))?
            }
        };
        let rejections = output
            .rejects
            .iter()
            .map(|reject| (reject.row as usize, Rejection::from(reject)))
            .collect::<Vec<_>>();
        let rejects = self.rejects(
            batch,
            rejections.iter().map(|(row, rejection)| (*row, rejection)),
        )?;
        Ok(TransformOutput {
            batch: kept,
            rejects,
            filtered: u64::from(output.filtered),
            repeated,
        })
    }

    /// Checks that the batch to be made is not too large: these columns beside those that
    /// go round the stage, or beside the rows of them that are named.
    fn weigh(
        &self,
        batch: &Batch,
        written: &[ArrayRef],
        sources: Option<&[u32]>,
    ) -> Result<(), StageError> {
        let mut weight = Weight::of_rows(sources.map_or(batch.rows, <[u32]>::len));
        written.iter().for_each(|column| weight.column(column));
        for (column, field) in batch.columns.iter().zip(&batch.schema.fields) {
            let is_new = |write: &Field| write.name == field.name;
            let stays = self.output.position(&field.name).is_some();
            match sources {
                // Replaced and dropped columns are taken with the others.
                Some(sources) => weight.rows_of(column, sources),
                None if stays && !self.contract.writes.iter().any(is_new) => weight.column(column),
                None => {}
            }
        }
        weight.within(self.opened.limits.batch_bytes)
    }

    /// The rejected rows of a batch, unless they are too much together.
    fn rejects<'r>(
        &self,
        batch: &Batch,
        rejections: impl Iterator<Item = (usize, &'r Rejection)> + Clone,
    ) -> Result<Vec<RejectedRow>, StageError> {
        let mut weight = Weight::of_rows(0);
        for (row, rejection) in rejections.clone() {
            weight.bytes(rejection.bytes_of_row(batch, row));
        }
        weight.within(self.opened.limits.batch_bytes)?;
        Ok(rejections
            .map(|(row, rejection)| rejection.of_row(batch, row))
            .collect())
    }

    /// Each of so many rows came out in its place.
    fn kept(&self, output: &wit::Output, rows: usize) -> Result<(), StageError> {
        if output.source_rows.is_some() {
            return Err(StageError::malformed(
                "rearranged rows, but its contract keeps them",
            ));
        }
        if output.rows as usize != rows || output.filtered != 0 {
            return Err(StageError::malformed(format!(
                "{} rows for {rows} without saying where they come from",
                output.rows
            )));
        }
        Ok(())
    }

    /// The columns that the stage wrote, in their places among those that went round it.
    fn beside(&self, around: &Batch, written: &[ArrayRef]) -> Result<Batch, StageError> {
        let columns = self
            .output
            .fields
            .iter()
            .map(|field| {
                let from_stage = self
                    .contract
                    .writes
                    .iter()
                    .position(|write| write.name == field.name);
                match from_stage {
                    Some(position) => Some(Arc::clone(&written[position])),
                    None => around.column(&field.name).map(Arc::clone),
                }
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| StageError::malformed("a batch of another schema"))?;
        Ok(Batch {
            schema: Arc::clone(&self.output),
            columns,
            rows: around.rows,
            places: around.places.clone(),
        })
    }

    fn accept_columns(
        &mut self,
        columns: Vec<ColumnResult>,
        rows: usize,
    ) -> Result<Vec<ArrayRef>, StageError> {
        if columns.len() != self.contract.writes.len() {
            return Err(StageError::malformed(format!(
                "{} columns where its contract writes {}",
                columns.len(),
                self.contract.writes.len()
            )));
        }
        let mut accepted = Vec::with_capacity(columns.len());
        for (column, field) in columns.into_iter().zip(&self.contract.writes) {
            let fault = |reason: String| {
                StageError::malformed(format!("column `{}`: {reason}", field.name))
            };
            let array = crossing::accept(column, rows, field.column_type).map_err(fault)?;
            if field.column_type == ColumnType::Json {
                check_json(&array, &mut self.json_memo).map_err(fault)?;
            }
            accepted.push(array);
        }
        Ok(accepted)
    }
}

/// The bytes that crossed with an output; the texts of rejects count, their numbers do
/// not.
fn bytes_of(output: &wit::Output) -> u64 {
    let columns: u64 = output.columns.iter().map(crossing::bytes_of).sum();
    let sources = output.source_rows.as_ref().map_or(0, Vec::len) * size_of::<u32>();
    let rejects: usize = output
        .rejects
        .iter()
        .map(|reject| {
            reject.code.len() + reject.message.len() + reject.column.as_ref().map_or(0, String::len)
        })
        .sum();
    columns + (sources + rejects) as u64
}

/// Every value of a JSON column is one JSON document that a database can hold.
fn check_json(array: &ArrayRef, memo: &mut TextMemo<()>) -> Result<(), String> {
    let Some(Values::Dictionary(_, values)) = Values::of(array) else {
        return Err("it is no dictionary".into());
    };
    for text in values.iter().flatten() {
        if memo.get(text).is_some() {
            continue;
        }
        documents::check(text)
            .map_err(|error| format!("`{}` is not JSON: {error}", printable(text)))?;
        memo.insert(text, ());
    }
    Ok(())
}

pub(super) fn rejected_rows(rejects: &[Reject], rows: usize) -> Result<Vec<u32>, StageError> {
    let mut rejected: Vec<u32> = rejects.iter().map(|reject| reject.row).collect();
    rejected.sort_unstable();
    if let Some(pair) = rejected.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(StageError::malformed(format!(
            "row {} is rejected twice",
            pair[0]
        )));
    }
    match rejected.last() {
        Some(row) if *row as usize >= rows => Err(StageError::malformed(format!(
            "row {row} is rejected, but the batch has {rows} rows"
        ))),
        _ => Ok(rejected),
    }
}

/// Every input row is out, left out or rejected. Returns how many rows came out
/// besides the first of each input row.
pub(super) fn account(
    sources: &[u32],
    rows: usize,
    input_rows: usize,
    rejected: &[u32],
    filtered: u32,
) -> Result<u64, StageError> {
    if sources.len() != rows {
        return Err(StageError::malformed(format!(
            "{} source rows for {rows} rows",
            sources.len()
        )));
    }
    let mut out = vec![false; input_rows];
    for source in sources {
        match out.get_mut(*source as usize) {
            Some(slot) => *slot = true,
            None => {
                return Err(StageError::malformed(format!(
                    "source row {source} is out of range: the batch has {input_rows} rows"
                )));
            }
        }
    }
    if let Some(row) = rejected.iter().find(|row| out[**row as usize]) {
        return Err(StageError::malformed(format!(
            "row {row} is rejected and comes out"
        )));
    }
    let came_out = out.iter().filter(|row| **row).count();
    if came_out + rejected.len() + filtered as usize != input_rows {
        return Err(StageError::malformed(format!(
            "{input_rows} rows went in, but {came_out} came out, {} were rejected and {filtered} left out",
            rejected.len()
        )));
    }
    Ok((rows - came_out) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_vanishes_is_noticed() {
        let lost = account(&[0, 2], 2, 4, &[1], 0).unwrap_err();
        assert_eq!(
            lost.to_string(),
            "returned something that the contract does not allow: \
             4 rows went in, but 2 came out, 1 were rejected and 0 left out"
        );
        assert_eq!(account(&[0, 2, 0], 3, 4, &[1], 1), Ok(1));
    }

    #[test]
    fn a_rejected_row_may_not_come_out() {
        let both = account(&[0, 1], 2, 2, &[1], 0).unwrap_err();
        assert!(
            both.to_string()
                .ends_with("row 1 is rejected and comes out")
        );
    }
}
