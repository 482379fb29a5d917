//! Stages that turn a batch of rows into another.

use std::mem;

use serde::de::DeserializeOwned;

use crate::{
    BooleanView, Column, ColumnType, DictionaryView, EachRow, Fact, Failure, Field, PrimitiveView,
    Reject, Schema, Sets, Utf8View, Values,
};

/// A stage that turns a batch of rows into another.
///
/// One value serves one report file, or some batches of it beside others of its
/// kind: `open`, `contract`, `process` for each batch, `finish`. What comes of a row
/// must not depend on the rows before it.
pub trait Stage: Sized {
    /// The `config` of the stage in the pipeline file. [`crate::NoConfig`] when
    /// there is nothing to configure.
    type Config: DeserializeOwned;

    /// Makes the stage, or says why that configuration or schema cannot work.
    fn open(config: Self::Config, context: OpenTransform) -> Result<Self, Failure>;

    /// What the stage reads, writes and drops. Must not depend on the sets.
    fn contract(&self) -> Contract;

    /// Takes one batch of the columns that the contract reads and returns those
    /// that it writes.
    fn process(&mut self, batch: Batch) -> Result<Output, Failure>;

    /// Ends the report: what the stage learned.
    fn finish(&mut self) -> Result<Vec<Fact>, Failure> {
        Ok(Vec::new())
    }
}

/// What a [`Stage`] is opened with, besides its configuration.
#[derive(Clone, Debug, Default)]
pub struct OpenTransform {
    /// Every column that reaches the stage.
    pub schema: Schema,
    /// The sets bound to the stage; all empty during `gristmill check`.
    pub sets: Sets,
}

/// What a stage may do with rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowEffect {
    /// Every input row that is not rejected comes out once, in its place.
    Keeps,
    /// Input rows may be left out, repeated or reordered.
    Rearranges,
}

/// What a stage reads and what it does to the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// The columns that `process` gets, in this order.
    pub reads: Vec<Field>,
    /// The columns that `process` returns, in this order.
    pub writes: Vec<Field>,
    /// The columns that end here.
    pub drops: Vec<String>,
    /// What it may do with rows.
    pub row_effect: RowEffect,
}

impl Contract {
    /// Of a stage that keeps every row in its place.
    pub fn keeps() -> Contract {
        Contract {
            reads: Vec::new(),
            writes: Vec::new(),
            drops: Vec::new(),
            row_effect: RowEffect::Keeps,
        }
    }

    /// Of a stage that leaves out, repeats or reorders rows.
    pub fn rearranges() -> Contract {
        Contract {
            row_effect: RowEffect::Rearranges,
            ..Contract::keeps()
        }
    }

    /// Reads a column.
    #[must_use]
    pub fn reads(mut self, name: impl Into<String>, column_type: ColumnType) -> Contract {
        self.reads.push(Field::new(name, column_type));
        self
    }

    /// Writes a column: replaces it in its place, or adds it at the end.
    #[must_use]
    pub fn writes(mut self, name: impl Into<String>, column_type: ColumnType) -> Contract {
        self.writes.push(Field::new(name, column_type));
        self
    }

    /// Ends a column.
    #[must_use]
    pub fn drops(mut self, name: impl Into<String>) -> Contract {
        self.drops.push(name.into());
        self
    }
}

/// Some rows of the columns that the contract reads.
///
/// Columns are found by their position in [`Contract::reads`]. Asking for a
/// position or a type that is not in the contract panics.
#[derive(Clone, Debug)]
pub struct Batch {
    rows: usize,
    columns: Vec<Column>,
}

impl Batch {
    /// A batch of those columns, each with a value for each of `rows` rows.
    pub fn new(rows: usize, columns: Vec<Column>) -> Batch {
        Batch { rows, columns }
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The positions of the rows, one after the other. A panic on the way says at
    /// which row it happened; it costs one store a row.
    pub fn each_row(&self) -> EachRow {
        EachRow::new(self.rows)
    }

    /// The column at a position.
    pub fn column(&self, position: usize) -> &Column {
        &self.columns[position]
    }

    /// Takes the column at a position out of the batch, to change it in place.
    pub fn take(&mut self, position: usize) -> Column {
        let nothing = Column::new(Values::Float64(Vec::new()));
        mem::replace(&mut self.columns[position], nothing)
    }

    /// The numbers at a position.
    pub fn float64(&self, position: usize) -> PrimitiveView<'_, f64> {
        self.columns[position].as_float64()
    }

    /// The whole numbers at a position.
    pub fn int64(&self, position: usize) -> PrimitiveView<'_, i64> {
        self.columns[position].as_int64()
    }

    /// The instants at a position, in microseconds since 1970-01-01 00:00:00 UTC.
    pub fn timestamp(&self, position: usize) -> PrimitiveView<'_, i64> {
        self.columns[position].as_timestamp()
    }

    /// The booleans at a position.
    pub fn boolean(&self, position: usize) -> BooleanView<'_> {
        self.columns[position].as_boolean(self.rows)
    }

    /// The texts at a position, read as `utf8`.
    pub fn utf8(&self, position: usize) -> Utf8View<'_> {
        self.columns[position].as_utf8()
    }

    /// The texts at a position, read as `dictionary`.
    pub fn dictionary(&self, position: usize) -> DictionaryView<'_> {
        self.columns[position].as_dictionary()
    }
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// How many rows the columns have.
    pub rows: usize,
    /// One per column of [`Contract::writes`], in that order.
    pub columns: Vec<Column>,
    /// For each output row, the input row that it comes from; `None` when rows
    /// stay in their places.
    pub source_rows: Option<Vec<u32>>,
    /// How many input rows were left out on purpose, not counting rejects.
    pub filtered: u32,
    /// The input rows that cannot be used.
    pub rejects: Vec<Reject>,
}

impl Output {
    /// Every row in its place.
    pub fn keeps(rows: usize, columns: Vec<Column>) -> Output {
        Output {
            rows,
            columns,
            source_rows: None,
            filtered: 0,
            rejects: Vec::new(),
        }
    }

    /// Rows that come from those input rows; `filtered` of them were left out.
    pub fn rearranged(source_rows: Vec<u32>, columns: Vec<Column>, filtered: u32) -> Output {
        let rows = source_rows.len();
        Output {
            rows,
            columns,
            source_rows: Some(source_rows),
            filtered,
            rejects: Vec::new(),
        }
    }

    /// The same, and these rows cannot be used.
    #[must_use]
    pub fn with_rejects(mut self, rejects: Vec<Reject>) -> Output {
        self.rejects = rejects;
        self
    }
}
