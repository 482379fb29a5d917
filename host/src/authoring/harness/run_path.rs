//! The path that rows take in a run, beside the plain one, on which an instance is shown
//! all of them at once.
//!
//! In a run, rows come in batches that end anywhere, an instance may get the last of them
//! first, and a stage of texts is shown each text once: its answers are remembered. The
//! contract asks that the same comes of a row on either path.

use std::collections::BTreeMap;
use std::fmt;

use arrow_array::Array;

use super::{Fault, Harness, Outcome, through};
use crate::rows::batch::{Batch, Values};
use crate::stage::{Component, World};

/// Batches on the path of a run, at most: each is a call of the stage. Up to so many rows
/// come one by one.
const BATCHES_MAX: usize = 64;

/// Where the two paths first differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The row, and the column where there is one.
    place: String,
    plain: String,
    in_run: String,
    is_of_texts: bool,
}

/// What became of a row that went in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Fate {
    /// The rows that came of it; a cell is `None` for null.
    rows: Vec<Vec<Option<String>>>,
    rejected: Option<String>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let once = match self.is_of_texts {
            true => " and each text once",
            false => "",
        };
        write!(
            formatter,
            "{}: {} when all rows come at once, but {} on the path of a run, where they come \
            in other batches and another order{once}: the contract asks that what comes of a \
            row depends on nothing but what the stage reads of that row",
            self.place, self.plain, self.in_run
        )
    }
}

impl Harness {
    /// Takes the input along the path of a run and compares what comes of it with what
    /// came of it on the plain one.
    ///
    /// A parser has one path, since it gets a file in its order and whole where that is
    /// small. So has a stage that did not open, or broke.
    pub fn divergence(
        &self,
        component: &Component,
        input: &str,
        plain: &Result<Outcome, Fault>,
    ) -> Option<Divergence> {
        if component.world == World::Parser {
            return None;
        }
        let plain = match plain {
            Ok(outcome) => outcome,
            Err(fault) if fault.is_of_input() => {
                let input = self.batch(input).ok()?;
                let outcome = self.along_run(component, &input).ok()?;
                let (_, contract) = outcome.input.as_ref()?;
                return Some(Divergence {
                    place: "output".into(),
                    plain: format!("refused (`{fault}`)"),
                    in_run: format!("{} rows", outcome.rows_out()),
                    is_of_texts: contract.is_of_texts(),
                });
            }
            Err(_) => return None,
        };
        let (input, contract) = plain.input.as_ref()?;
        let (place, plain, in_run) = match self.along_run(component, input) {
            Ok(in_run) => first_difference(input.rows, plain, &in_run)?,
            Err(fault) => (
                "output".into(),
                format!("{} rows", plain.rows_out()),
                format!("failed (`{fault}`)"),
            ),
        };
        Some(Divergence {
            place,
            plain,
            in_run,
            is_of_texts: contract.is_of_texts(),
        })
    }

    /// Gives the rows to a fresh instance, the last first, in small batches, with a memo
    /// of its answers.
    fn along_run(&self, component: &Component, input: &Batch) -> Result<Outcome, Fault> {
        let backwards: Vec<u32> = (0..input.rows as u32).rev().collect();
        let batch_rows = input.rows.div_ceil(BATCHES_MAX).max(1);
        let batches = backwards
            .chunks(batch_rows)
            .map(|rows| input.take(rows)?.compact())
            .collect::<Result<Vec<Batch>, _>>()
            .map_err(|error| Fault::Input(error.to_string()))?;
        let mut transform = component.open_transform(&self.settings, &input.schema)?;
        through(
            &mut transform,
            input.clone(),
            &batches,
            |transform, batch| {
                let output = transform.process_once(batch)?;
                Ok(output.processed)
            },
        )
    }
}

/// The place where two outcomes of so many rows first differ, and what is there in each.
fn first_difference(
    rows: usize,
    plain: &Outcome,
    in_run: &Outcome,
) -> Option<(String, String, String)> {
    let (left, right) = (fates(plain), fates(in_run));
    let nothing = Fate::default();
    for row in 0..rows as u64 {
        let left = left.get(&row).unwrap_or(&nothing);
        let right = right.get(&row).unwrap_or(&nothing);
        if left == right {
            continue;
        }
        let cells = |fate: &Fate| -> Vec<Option<String>> { fate.rows.concat() };
        let (left_cells, right_cells) = (cells(left), cells(right));
        let differs = left_cells
            .iter()
            .zip(&right_cells)
            .position(|(l, r)| l != r);
        return Some(match differs {
            Some(cell) if left_cells.len() == right_cells.len() => {
                let names: Vec<&str> = plain.schema.names().collect();
                (
                    format!("output, row {row}, column `{}`", names[cell % names.len()]),
                    shown(left_cells[cell].as_deref()),
                    shown(right_cells[cell].as_deref()),
                )
            }
            _ => (
                format!("output, row {row}"),
                left.to_string(),
                right.to_string(),
            ),
        });
    }
    (plain.facts != in_run.facts).then(|| {
        let facts = |outcome: &Outcome| format!("{:?}", outcome.facts);
        ("facts".into(), facts(plain), facts(in_run))
    })
}

/// What became of each row, by its place in the input; of one that was left out nothing
/// is there.
fn fates(outcome: &Outcome) -> BTreeMap<u64, Fate> {
    let mut fates: BTreeMap<u64, Fate> = BTreeMap::new();
    for batch in &outcome.batches {
        for (row, source) in batch.places.lines.iter().enumerate() {
            let cells = batch.columns.iter().map(|column| {
                let values = Values::of(column)?;
                (!column.is_null(row)).then(|| values.cell(row))
            });
            fates.entry(*source).or_default().rows.push(cells.collect());
        }
    }
    for reject in &outcome.rejects {
        let fate = fates.entry(reject.line.unwrap_or_default()).or_default();
        let column = reject.column.as_ref();
        let column = column.map_or(String::new(), |column| format!(" in {column}"));
        fate.rejected = Some(format!("{}{column}: {}", reject.code, reject.message));
    }
    fates
}

impl fmt::Display for Fate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.rejected, self.rows.len()) {
            (Some(reason), _) => write!(formatter, "rejected (`{reason}`)"),
            (None, 0) => formatter.write_str("left out"),
            (None, 1) => formatter.write_str("kept"),
            (None, rows) => write!(formatter, "there {rows} times"),
        }
    }
}

fn shown(cell: Option<&str>) -> String {
    cell.map_or_else(|| "null".into(), |cell| format!("`{cell}`"))
}
