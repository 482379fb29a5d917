//! Shows the rows of a stage before and after, as a table or as a list.

use std::collections::BTreeMap;

use super::Outcome;
use crate::rows::batch::{Batch, RejectedRow, Values};
use crate::stage::Contract;

/// The rows before and after, and how much of them is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The unit of the numbers: `row` or `line`.
    place: &'static str,
    columns: Vec<Column>,
    lines: Vec<Line>,
    pub hidden_rows: usize,
    /// Columns that go round the stage.
    pub hidden_columns: usize,
}

/// A column of the input, of the output, or of both.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    name: String,
    before: Option<usize>,
    after: Option<usize>,
}

/// A row that came out, or did not.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    place: u64,
    /// One per column of the view: before and after.
    cells: Vec<(Option<String>, Option<String>)>,
    /// Notes below the table.
    fate: String,
}

/// The text of the last column.
const FATE: &str = "what became of it";

/// At most `rows_max` rows; with `all_columns` also those that the stage neither
/// reads nor writes nor drops.
pub fn of(outcome: &Outcome, rows_max: usize, all_columns: bool) -> View {
    let mut view = match &outcome.input {
        Some((input, contract)) => transformed(outcome, input, contract, all_columns),
        None => parsed(outcome),
    };
    view.hidden_rows = view.lines.len().saturating_sub(rows_max);
    view.lines.truncate(rows_max);
    view
}

impl View {
    /// A row a line, a column below its name: header and rows.
    pub fn table(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let from_input = self.columns.iter().any(|column| column.before.is_some());
        let title = |column: &Column| match (column.before, column.after) {
            (Some(_), None) => format!("- {}", column.name),
            (None, _) if from_input => format!("+ {}", column.name),
            _ => column.name.clone(),
        };
        let mut header = vec![self.place.to_string()];
        header.extend(self.columns.iter().map(title));
        let mut rows: Vec<Vec<String>> = Vec::new();
        for line in &self.lines {
            let mut row = vec![line.place.to_string()];
            row.extend(line.cells.iter().map(|cell| match cell {
                (Some(old), Some(new)) if old != new => {
                    format!("{} → {}", visible(old), visible(new))
                }
                (_, Some(cell)) | (Some(cell), None) => cell.clone(),
                (None, None) => String::new(),
            }));
            rows.push(row);
        }
        // A column of nothing says nothing.
        if self.lines.iter().any(|line| !line.fate.is_empty()) {
            header.push(FATE.into());
            for (row, line) in rows.iter_mut().zip(&self.lines) {
                row.push(line.fate.clone());
            }
        }
        (header, rows)
    }

    /// A changed cell a line, for rows that are too wide: header and rows.
    pub fn list(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let header = [self.place, "column", "before", "after", FATE].map(str::to_string);
        let mut rows = Vec::new();
        for line in &self.lines {
            let place = line.place.to_string();
            if !line.fate.is_empty() {
                let nothing = String::new;
                rows.push(vec![
                    place.clone(),
                    nothing(),
                    nothing(),
                    nothing(),
                    line.fate.clone(),
                ]);
            }
            for (column, (before, after)) in self.columns.iter().zip(&line.cells) {
                // A row that did not come out has no cell to compare.
                let came_out = line.cells.iter().any(|(_, after)| after.is_some());
                if before == after || !came_out {
                    continue;
                }
                let side = |cell: &Option<String>| {
                    cell.as_deref()
                        .map_or(String::new(), |cell| visible(cell).to_string())
                };
                rows.push(vec![
                    place.clone(),
                    column.name.clone(),
                    side(before),
                    side(after),
                    String::new(),
                ]);
            }
        }
        (header.to_vec(), rows)
    }
}

fn transformed(outcome: &Outcome, input: &Batch, contract: &Contract, all: bool) -> View {
    let concerned = |name: &str| {
        let fields = contract.reads.iter().chain(&contract.writes);
        fields.into_iter().any(|field| field.name == name)
            || contract.drops.iter().any(|drop| drop == name)
    };
    let old = input.schema.fields.iter().enumerate();
    let old = old.map(|(before, field)| Column {
        name: field.name.clone(),
        before: Some(before),
        after: outcome.schema.position(&field.name),
    });
    let (mut columns, hidden): (Vec<_>, Vec<_>) =
        old.partition(|column| all || concerned(&column.name));
    let new = outcome.schema.fields.iter().enumerate();
    columns.extend(
        new.filter(|(_, field)| input.schema.position(&field.name).is_none())
            .map(|(after, field)| Column {
                name: field.name.clone(),
                before: None,
                after: Some(after),
            }),
    );
    let before = values(input);
    let after: Vec<Vec<Values<'_>>> = outcome.batches.iter().map(values).collect();
    let line = |row: usize, came: Option<(usize, usize)>, fate: String| Line {
        place: row as u64,
        cells: columns
            .iter()
            .map(|column| {
                let old = column.before.map(|column| before[column].cell(row));
                let new = came
                    .zip(column.after)
                    .map(|((batch, row), column)| after[batch][column].cell(row));
                (old, new)
            })
            .collect(),
        fate,
    };
    let came_out = by_source(outcome);
    let rejected: BTreeMap<u64, &RejectedRow> = outcome
        .rejects
        .iter()
        .filter_map(|reject| Some((reject.line?, reject)))
        .collect();
    let mut lines = Vec::new();
    for row in 0..input.rows {
        let number = row as u64;
        match (came_out.get(&number), rejected.get(&number)) {
            (Some(places), _) => {
                for (position, place) in places.iter().enumerate() {
                    let fate = if position > 0 { "again" } else { "" };
                    lines.push(line(row, Some(*place), fate.into()));
                }
            }
            (None, Some(reject)) => lines.push(line(row, None, fate_of(reject))),
            (None, None) => lines.push(line(row, None, "left out".into())),
        }
    }
    View {
        place: "row",
        hidden_columns: hidden.len(),
        columns,
        lines,
        hidden_rows: 0,
    }
}

fn parsed(outcome: &Outcome) -> View {
    let names = outcome.schema.names().enumerate();
    let columns: Vec<Column> = names
        .map(|(after, name)| Column {
            name: name.to_string(),
            before: None,
            after: Some(after),
        })
        .collect();
    let mut lines = Vec::new();
    for batch in &outcome.batches {
        let cells = values(batch);
        lines.extend((0..batch.rows).map(|row| {
            Line {
                place: batch.places.lines.get(row).copied().unwrap_or_default(),
                cells: cells
                    .iter()
                    .map(|column| (None, Some(column.cell(row))))
                    .collect(),
                fate: String::new(),
            }
        }));
    }
    lines.extend(outcome.rejects.iter().map(|reject| Line {
        place: reject.line.unwrap_or_default(),
        cells: vec![(None, None); columns.len()],
        fate: fate_of(reject),
    }));
    lines.sort_by_key(|line| line.place);
    View {
        place: "line",
        columns,
        lines,
        hidden_rows: 0,
        hidden_columns: 0,
    }
}

/// For each input row where it came out: batch and row.
fn by_source(outcome: &Outcome) -> BTreeMap<u64, Vec<(usize, usize)>> {
    let mut came_out: BTreeMap<u64, Vec<(usize, usize)>> = BTreeMap::new();
    for (position, batch) in outcome.batches.iter().enumerate() {
        for (row, source) in batch.places.lines.iter().enumerate() {
            came_out.entry(*source).or_default().push((position, row));
        }
    }
    came_out
}

fn values(batch: &Batch) -> Vec<Values<'_>> {
    batch.columns.iter().filter_map(Values::of).collect()
}

/// `rejected: not-a-number in x: expected a number, found a`.
fn fate_of(reject: &RejectedRow) -> String {
    let column = reject
        .column
        .as_ref()
        .map_or(String::new(), |column| format!(" in {column}"));
    format!("rejected: {}{column}: {}", reject.code, reject.message)
}

fn visible(cell: &str) -> &str {
    match cell.is_empty() {
        true => "(empty)",
        false => cell,
    }
}
