//! Rows of Postgres as a Parquet file, in batches. The statement has brought each value to
//! the kind of its column.

use std::io::Write;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
    ListBuilder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::database::SqlError;
use crate::diagnostics::failure::{Failure, Result};

/// Rows that are held in memory.
const BATCH_ROWS: u64 = 16_384;

const ZONE: &str = "UTC";

/// A column that is being filled.
enum Column {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Double(Float64Builder),
    Date(Date32Builder),
    Instant(TimestampMicrosecondBuilder),
    Decimal {
        values: Decimal128Builder,
        precision: u8,
        scale: u8,
    },
    Texts(ListBuilder<StringBuilder>),
    Integers(ListBuilder<Int64Builder>),
}

/// A file that is being written.
pub(super) struct ParquetFile<'w> {
    schema: SchemaRef,
    columns: Vec<Column>,
    writer: ArrowWriter<&'w mut (dyn Write + Send)>,
    /// Rows of the batch at hand, and all.
    batch_rows: u64,
    rows: u64,
}

impl<'w> ParquetFile<'w> {
    pub(super) fn begin(
        names: &[String],
        kinds: &[String],
        to: &'w mut (dyn Write + Send),
    ) -> Result<Self> {
        let columns: Vec<Column> = kinds.iter().map(|kind| Column::of(kind)).collect();
        let fields: Vec<Field> = names
            .iter()
            .zip(&columns)
            .map(|(name, column)| Field::new(name, column.data_type(), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let writer =
            ArrowWriter::try_new(to, Arc::clone(&schema), Some(properties)).map_err(failed)?;
        Ok(Self {
            schema,
            columns,
            writer,
            batch_rows: 0,
            rows: 0,
        })
    }

    pub(super) fn add(&mut self, row: &PgRow) -> Result<()> {
        for (index, column) in self.columns.iter_mut().enumerate() {
            column.add(row, index).map_err(|error| {
                SqlError(error).failure(format!("cannot read column {} of a row", index + 1))
            })?;
        }
        self.rows += 1;
        self.batch_rows += 1;
        match self.batch_rows == BATCH_ROWS {
            true => self.write(),
            false => Ok(()),
        }
    }

    fn write(&mut self) -> Result<()> {
        self.batch_rows = 0;
        let columns: Vec<ArrayRef> = self.columns.iter_mut().map(Column::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(failed)?;
        self.writer.write(&batch).map_err(failed)
    }

    /// Writes what is left; returns the number of rows.
    pub(super) fn end(mut self) -> Result<u64> {
        if self.batch_rows > 0 {
            self.write()?;
        }
        self.writer.close().map_err(failed)?;
        Ok(self.rows)
    }
}

impl Column {
    /// A kind as the statement names it.
    fn of(kind: &str) -> Self {
        match kind {
            "boolean" => Self::Boolean(BooleanBuilder::new()),
            "integer" => Self::Integer(Int64Builder::new()),
            "double" => Self::Double(Float64Builder::new()),
            "date" => Self::Date(Date32Builder::new()),
            "instant" => Self::Instant(TimestampMicrosecondBuilder::new().with_timezone(ZONE)),
            "texts" => Self::Texts(ListBuilder::new(StringBuilder::new())),
            "integers" => Self::Integers(ListBuilder::new(Int64Builder::new())),
            _ => decimal(kind).unwrap_or_else(|| Self::Text(StringBuilder::new())),
        }
    }

    fn data_type(&self) -> DataType {
        let list = |of| DataType::List(Arc::new(Field::new_list_field(of, true)));
        match self {
            Self::Text(_) => DataType::Utf8,
            Self::Boolean(_) => DataType::Boolean,
            Self::Integer(_) => DataType::Int64,
            Self::Double(_) => DataType::Float64,
            Self::Date(_) => DataType::Date32,
            Self::Instant(_) => DataType::Timestamp(TimeUnit::Microsecond, Some(ZONE.into())),
            Self::Decimal {
                precision, scale, ..
            } => DataType::Decimal128(*precision, scale.cast_signed()),
            Self::Texts(_) => list(DataType::Utf8),
            Self::Integers(_) => list(DataType::Int64),
        }
    }

    fn add(&mut self, row: &PgRow, index: usize) -> Result<(), sqlx::Error> {
        match self {
            Self::Text(column) => column.append_option(row.try_get::<Option<&str>, _>(index)?),
            Self::Boolean(column) => column.append_option(row.try_get(index)?),
            Self::Integer(column) => column.append_option(row.try_get(index)?),
            Self::Double(column) => column.append_option(row.try_get(index)?),
            Self::Date(column) => column.append_option(row.try_get(index)?),
            Self::Instant(column) => column.append_option(row.try_get(index)?),
            Self::Decimal { values, scale, .. } => {
                let text: Option<&str> = row.try_get(index)?;
                // `NaN` is the one text that is no number.
                values.append_option(text.and_then(|text| unscaled(text, *scale)));
            }
            Self::Texts(column) => {
                let texts: Option<Vec<Option<String>>> = row.try_get(index)?;
                column.append_option(texts);
            }
            Self::Integers(column) => {
                let integers: Option<Vec<Option<i64>>> = row.try_get(index)?;
                column.append_option(integers);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(column) => ArrayBuilder::finish(column),
            Self::Boolean(column) => ArrayBuilder::finish(column),
            Self::Integer(column) => ArrayBuilder::finish(column),
            Self::Double(column) => ArrayBuilder::finish(column),
            Self::Date(column) => ArrayBuilder::finish(column),
            Self::Instant(column) => ArrayBuilder::finish(column),
            Self::Decimal { values, .. } => ArrayBuilder::finish(values),
            Self::Texts(column) => ArrayBuilder::finish(column),
            Self::Integers(column) => ArrayBuilder::finish(column),
        }
    }
}

/// A column of `decimal(p,s)`, if Parquet has room for so many digits.
fn decimal(kind: &str) -> Option<Column> {
    let (precision, scale) = kind
        .strip_prefix("decimal(")?
        .strip_suffix(')')?
        .split_once(',')?;
    let (precision, scale): (u8, u8) = (precision.parse().ok()?, scale.parse().ok()?);
    let values = Decimal128Builder::new()
        .with_precision_and_scale(precision, scale.cast_signed())
        .ok()?;
    Some(Column::Decimal {
        values,
        precision,
        scale,
    })
}

/// `-12.50` of scale 3 is -12500. Postgres writes a number out with the digits of its scale.
fn unscaled(text: &str, scale: u8) -> Option<i128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let zeros = usize::from(scale).checked_sub(part.len())?;
    let digits = format!("{whole}{part}{}", "0".repeat(zeros));
    digits.parse().ok()
}

fn failed(error: impl Into<anyhow::Error>) -> Failure {
    Failure::environment("cannot write the export").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_loses_no_digit() {
        for (text, scale, expected) in [
            ("12.500000000000001", 15, Some(12_500_000_000_000_001)),
            ("-12.50", 3, Some(-12_500)),
            ("-0.5", 1, Some(-5)),
            ("7", 2, Some(700)),
            ("1.234", 2, None),
            ("NaN", 2, None),
        ] {
            assert_eq!(unscaled(text, scale), expected, "{text}");
        }
    }

    #[test]
    fn a_kind_is_a_type_of_parquet() {
        let of = |kind: &str| Column::of(kind).data_type();
        assert_eq!(of("decimal(33,15)"), DataType::Decimal128(33, 15));
        // It has more digits than there is room for.
        assert_eq!(of("decimal(60,15)"), DataType::Utf8);
        assert_eq!(of("date"), DataType::Date32);
        assert_eq!(of("text"), DataType::Utf8);
    }
}
