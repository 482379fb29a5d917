//! Between the generated types and the ones of this crate.
//!
//! Only the stage as a component has this module. Buffers move from one type to
//! the other, so a conversion costs a few instructions per column, whatever the
//! number of rows.

use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    panic::{self, PanicHookInfo},
    sync::Once,
};

use crate::{
    Batch, Bitmap, Column, ColumnType, Contract, DictionaryValues, Fact, Failure, Field,
    OpenParser, OpenTransform, Output, Parsed, Parser, Reject, RejectedRecord, RowEffect, Schema,
    Sets, Stage, Utf8Values, Values, WantedColumn,
    bindings::{
        parser::exports::gristmill::stage::parser as parser_world,
        transform::{
            exports::gristmill::stage::transform as transform_world,
            gristmill::stage::{log as host_log, types},
        },
    },
    each_row,
    log::{self, Level},
    parse_config,
};

/// What a component of the `transform-stage` world exports for the stage `S`.
pub struct ExportedStage<S>(PhantomData<S>);

impl<S: Stage + 'static> transform_world::Guest for ExportedStage<S> {
    type Stage = OpenedStage<S>;
}

/// A [`Stage`] as the host holds it. The contract calls it by shared reference,
/// and never twice at once.
pub struct OpenedStage<S>(RefCell<S>);

impl<S: Stage + 'static> transform_world::GuestStage for OpenedStage<S> {
    fn open(options: transform_world::Options) -> Result<transform_world::Stage, types::Failure> {
        report_panics();
        let schema = options.schema.into_iter().map(Field::from).collect();
        let context = OpenTransform {
            schema: Schema::new(schema),
            sets: sets(options.sets),
        };
        let stage = parse_config(&options.config).and_then(|config| S::open(config, context))?;
        Ok(transform_world::Stage::new(OpenedStage(RefCell::new(
            stage,
        ))))
    }

    fn contract(&self) -> transform_world::Contract {
        self.0.borrow().contract().into()
    }

    fn process(
        &self,
        batch: transform_world::Batch,
    ) -> Result<transform_world::Output, types::Failure> {
        let columns = batch.columns.into_iter().map(Column::from).collect();
        let batch = Batch::new(batch.rows as usize, columns);
        Ok(self.0.borrow_mut().process(batch)?.into())
    }

    fn finish(&self) -> Result<Vec<types::Fact>, types::Failure> {
        Ok(facts(self.0.borrow_mut().finish()?))
    }
}

/// What a component of the `parser-stage` world exports for the parser `P`.
pub struct ExportedParser<P>(PhantomData<P>);

impl<P: Parser + 'static> parser_world::Guest for ExportedParser<P> {
    type Stage = OpenedParser<P>;
}

/// A [`Parser`] as the host holds it, and how much it has left out.
pub struct OpenedParser<P>(RefCell<P>, Cell<u64>);

impl<P: Parser + 'static> parser_world::GuestStage for OpenedParser<P> {
    fn open(options: parser_world::Options) -> Result<parser_world::Stage, types::Failure> {
        report_panics();
        let columns = options
            .columns
            .into_iter()
            .map(WantedColumn::from)
            .collect();
        let context = OpenParser {
            columns,
            sets: sets(options.sets),
        };
        let parser = parse_config(&options.config).and_then(|config| P::open(config, context))?;
        let opened = OpenedParser(RefCell::new(parser), Cell::new(0));
        Ok(parser_world::Stage::new(opened))
    }

    fn parse(&self, chunk: Vec<u8>, last: bool) -> Result<parser_world::Parsed, types::Failure> {
        let parsed = self.0.borrow_mut().parse(chunk, last)?;
        self.1.set(self.1.get() + parsed.left_out_bytes);
        Ok(parsed.into())
    }

    fn finish(&self) -> Result<Vec<types::Fact>, types::Failure> {
        let mut told = self.0.borrow_mut().finish()?;
        if self.1.get() > 0 {
            told.push(Fact::new("left-out-bytes", [self.1.get().to_string()]));
        }
        Ok(facts(told))
    }
}

/// Sends one message to the host.
pub(crate) fn write_log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => host_log::Level::Debug,
        Level::Info => host_log::Level::Info,
        Level::Warn => host_log::Level::Warn,
        Level::Error => host_log::Level::Error,
    };
    host_log::write(level, message);
}

/// Lets a panic say what it is before it becomes a trap, which says nothing.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
            let message = panic.payload_as_str().unwrap_or("without a message");
            let row = each_row::at_work()
                .map_or(String::new(), |row| format!(", at row {row} of the batch"));
            match panic.location() {
                Some(place) => log::error(format!(
                    "panicked at {}:{}: {message}{row}",
                    place.file(),
                    place.line()
                )),
                None => log::error(format!("panicked: {message}{row}")),
            }
        }));
    });
}

fn sets(sets: Vec<types::BoundSet>) -> Sets {
    Sets::new(sets.into_iter().map(|set| (set.name, set.words)))
}

fn facts(facts: Vec<Fact>) -> Vec<types::Fact> {
    facts
        .into_iter()
        .map(|fact| types::Fact {
            topic: fact.topic,
            words: fact.words,
        })
        .collect()
}

/// A number of rows as the contract counts them.
fn row_count(rows: usize) -> u32 {
    // The address space of a component is 32 bits wide.
    rows as u32
}

impl From<types::ColumnType> for ColumnType {
    fn from(column_type: types::ColumnType) -> ColumnType {
        match column_type {
            types::ColumnType::Boolean => ColumnType::Boolean,
            types::ColumnType::Int64 => ColumnType::Int64,
            types::ColumnType::Float64 => ColumnType::Float64,
            types::ColumnType::Timestamp => ColumnType::Timestamp,
            types::ColumnType::Utf8 => ColumnType::Utf8,
            types::ColumnType::Dictionary => ColumnType::Dictionary,
            types::ColumnType::Json => ColumnType::Json,
        }
    }
}

impl From<ColumnType> for types::ColumnType {
    fn from(column_type: ColumnType) -> types::ColumnType {
        match column_type {
            ColumnType::Boolean => types::ColumnType::Boolean,
            ColumnType::Int64 => types::ColumnType::Int64,
            ColumnType::Float64 => types::ColumnType::Float64,
            ColumnType::Timestamp => types::ColumnType::Timestamp,
            ColumnType::Utf8 => types::ColumnType::Utf8,
            ColumnType::Dictionary => types::ColumnType::Dictionary,
            ColumnType::Json => types::ColumnType::Json,
        }
    }
}

impl From<types::Field> for Field {
    fn from(field: types::Field) -> Field {
        Field::new(field.name, field.column_type.into())
    }
}

impl From<Field> for types::Field {
    fn from(field: Field) -> types::Field {
        types::Field {
            name: field.name,
            column_type: field.column_type.into(),
        }
    }
}

impl From<types::Column> for Column {
    fn from(column: types::Column) -> Column {
        let values = match column.values {
            types::Values::Boolean(bits) => Values::Boolean(Bitmap::from_bytes(bits)),
            types::Values::Int64(values) => Values::Int64(values),
            types::Values::Float64(values) => Values::Float64(values),
            types::Values::Timestamp(values) => Values::Timestamp(values),
            types::Values::Utf8(values) => Values::Utf8(values.into()),
            types::Values::Dictionary(dictionary) => Values::Dictionary(DictionaryValues {
                keys: dictionary.keys,
                values: dictionary.values.into(),
            }),
        };
        Column {
            validity: column.validity.map(Bitmap::from_bytes),
            values,
        }
    }
}

impl From<Column> for types::Column {
    fn from(column: Column) -> types::Column {
        let values = match column.values {
            Values::Boolean(bits) => types::Values::Boolean(bits.into_bytes()),
            Values::Int64(values) => types::Values::Int64(values),
            Values::Float64(values) => types::Values::Float64(values),
            Values::Timestamp(values) => types::Values::Timestamp(values),
            Values::Utf8(values) => types::Values::Utf8(values.into()),
            Values::Dictionary(dictionary) => types::Values::Dictionary(types::DictionaryValues {
                keys: dictionary.keys,
                values: dictionary.values.into(),
            }),
        };
        types::Column {
            validity: column.validity.map(Bitmap::into_bytes),
            values,
        }
    }
}

impl From<types::Utf8Values> for Utf8Values {
    fn from(values: types::Utf8Values) -> Utf8Values {
        Utf8Values {
            offsets: values.offsets,
            data: values.data,
        }
    }
}

impl From<Utf8Values> for types::Utf8Values {
    fn from(values: Utf8Values) -> types::Utf8Values {
        types::Utf8Values {
            offsets: values.offsets,
            data: values.data,
        }
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> types::Failure {
        match failure {
            Failure::Config { key, reason } => {
                types::Failure::Config(types::ConfigFault { key, reason })
            }
            Failure::Schema { column, reason } => {
                types::Failure::Schema(types::ColumnFault { column, reason })
            }
            Failure::Input {
                line,
                column,
                reason,
            } => types::Failure::Input(types::InputFault {
                line,
                column,
                reason,
            }),
        }
    }
}

impl From<Reject> for types::Reject {
    fn from(reject: Reject) -> types::Reject {
        let Reject {
            row,
            column,
            code,
            message,
        } = reject;
        types::Reject {
            row,
            column,
            code,
            message,
        }
    }
}

impl From<Contract> for transform_world::Contract {
    fn from(contract: Contract) -> transform_world::Contract {
        transform_world::Contract {
            reads: contract.reads.into_iter().map(types::Field::from).collect(),
            writes: contract
                .writes
                .into_iter()
                .map(types::Field::from)
                .collect(),
            drops: contract.drops,
            row_effect: match contract.row_effect {
                RowEffect::Keeps => transform_world::RowEffect::Keeps,
                RowEffect::Rearranges => transform_world::RowEffect::Rearranges,
            },
        }
    }
}

impl From<Output> for transform_world::Output {
    fn from(output: Output) -> transform_world::Output {
        transform_world::Output {
            rows: row_count(output.rows),
            columns: output
                .columns
                .into_iter()
                .map(types::Column::from)
                .collect(),
            source_rows: output.source_rows,
            filtered: output.filtered,
            rejects: output
                .rejects
                .into_iter()
                .map(types::Reject::from)
                .collect(),
        }
    }
}

impl From<parser_world::WantedColumn> for WantedColumn {
    fn from(wanted: parser_world::WantedColumn) -> WantedColumn {
        WantedColumn {
            name: wanted.name,
            column_type: wanted.column_type.into(),
            required: wanted.required,
            empty_is_null: wanted.empty_is_null,
        }
    }
}

impl From<RejectedRecord> for parser_world::RejectedRecord {
    fn from(reject: RejectedRecord) -> parser_world::RejectedRecord {
        let RejectedRecord {
            line,
            start,
            length,
            column,
            code,
            message,
        } = reject;
        parser_world::RejectedRecord {
            line,
            start,
            length,
            column,
            code,
            message,
        }
    }
}

impl From<Parsed> for parser_world::Parsed {
    fn from(parsed: Parsed) -> parser_world::Parsed {
        parser_world::Parsed {
            rows: row_count(parsed.rows),
            columns: parsed
                .columns
                .into_iter()
                .map(types::Column::from)
                .collect(),
            lines: parsed.lines,
            starts: parsed.starts,
            lengths: parsed.lengths,
            rejects: parsed
                .rejects
                .into_iter()
                .map(parser_world::RejectedRecord::from)
                .collect(),
        }
    }
}
