//! Turns seconds and bytes into the units of the summaries, and renames the
//! columns accordingly.
//!
//! Works on the `float64` columns, by the end of their names:
//!
//! | from | to | divided by |
//! |---|---|---|
//! | `…_core_seconds` | `…_core_hours` | 3600 |
//! | `…_byte_seconds` | `…_gigabyte_hours` | 3600 × a gigabyte |
//! | `…_bytes` | `…_gigabytes` | a gigabyte |
//!
//! The byte-seconds of storage, which are those of columns whose names begin with
//! one of `storage-prefixes` (`persistentvolumeclaim_`, `volume_request_`), become
//! `…_gigabyte_months` instead: they are divided by a gigabyte and by the seconds
//! of the month of the row's own `interval_start`, a `timestamp` column that is
//! needed only then.
//!
//! A gigabyte is 2^30 bytes (`gigabyte = "GiB"`, the default) or 10^9 (`"GB"`).
//! Every other column, `…_mib` among them, passes by. Nulls stay nulls. A row with
//! storage but without an `interval_start` is rejected: `no-month`. It is a
//! failure when a new name is taken.

mod months;

use gristmill_stage::{
    Batch, Column, ColumnType, Contract, Failure, OpenTransform, Output, Reject, Stage, Values,
    export_stage,
};
use serde::Deserialize;

use crate::months::MonthLengths;

const SECONDS_PER_HOUR: f64 = 3600.0;
const SECONDS_PER_DAY: f64 = 86_400.0;

/// Says which month a row of storage belongs to.
const INTERVAL_START: &str = "interval_start";

#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    gigabyte: Gigabyte,
    storage_prefixes: Vec<String>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            gigabyte: Gigabyte::Binary,
            storage_prefixes: vec!["persistentvolumeclaim_".into(), "volume_request_".into()],
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Gigabyte {
    #[serde(rename = "GiB")]
    Binary,
    #[serde(rename = "GB")]
    Decimal,
}

impl Gigabyte {
    fn bytes(self) -> f64 {
        match self {
            Gigabyte::Binary => 1_073_741_824.0,
            Gigabyte::Decimal => 1_000_000_000.0,
        }
    }
}

pub struct UnitConversion {
    conversions: Vec<Conversion>,
    needs_months: bool,
}

/// What happens to one column.
#[derive(Clone, Debug, PartialEq)]
struct Conversion {
    from: String,
    to: String,
    divisor: Divisor,
}

/// All divisors are whole numbers below 2^53, so that each result is one division
/// of exact numbers, correctly rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Divisor {
    /// The same for every row.
    Fixed(f64),
    /// This much per day of the row's month.
    PerDayOfMonth(f64),
}

impl Conversion {
    /// How a column of that name is converted, if it is.
    fn of(name: &str, config: &Config) -> Option<Conversion> {
        let gigabyte = config.gigabyte.bytes();
        let is_storage = config
            .storage_prefixes
            .iter()
            .any(|prefix| name.starts_with(prefix));
        let (stem, unit, divisor) = if let Some(stem) = name.strip_suffix("_core_seconds") {
            (stem, "_core_hours", Divisor::Fixed(SECONDS_PER_HOUR))
        } else if let Some(stem) = name.strip_suffix("_byte_seconds") {
            match is_storage {
                true => (
                    stem,
                    "_gigabyte_months",
                    Divisor::PerDayOfMonth(SECONDS_PER_DAY * gigabyte),
                ),
                false => (
                    stem,
                    "_gigabyte_hours",
                    Divisor::Fixed(SECONDS_PER_HOUR * gigabyte),
                ),
            }
        } else {
            (
                name.strip_suffix("_bytes")?,
                "_gigabytes",
                Divisor::Fixed(gigabyte),
            )
        };
        Some(Conversion {
            from: name.to_owned(),
            to: format!("{stem}{unit}"),
            divisor,
        })
    }
}

impl Stage for UnitConversion {
    type Config = Config;

    fn open(config: Config, context: OpenTransform) -> Result<UnitConversion, Failure> {
        let mut conversions = Vec::new();
        for field in context.schema.fields() {
            if field.column_type != ColumnType::Float64 {
                continue;
            }
            if let Some(conversion) = Conversion::of(&field.name, &config) {
                context.schema.require_absent(&conversion.to)?;
                conversions.push(conversion);
            }
        }
        let needs_months = conversions
            .iter()
            .any(|conversion| matches!(conversion.divisor, Divisor::PerDayOfMonth(_)));
        if needs_months {
            context
                .schema
                .require(INTERVAL_START, ColumnType::Timestamp)?;
        }
        Ok(UnitConversion {
            conversions,
            needs_months,
        })
    }

    fn contract(&self) -> Contract {
        let mut contract = Contract::keeps();
        for conversion in &self.conversions {
            contract = contract
                .reads(&conversion.from, ColumnType::Float64)
                .drops(&conversion.from)
                .writes(&conversion.to, ColumnType::Float64);
        }
        match self.needs_months {
            true => contract.reads(INTERVAL_START, ColumnType::Timestamp),
            false => contract,
        }
    }

    fn process(&mut self, mut batch: Batch) -> Result<Output, Failure> {
        let starts = self
            .needs_months
            .then(|| batch.take(self.conversions.len()));
        let days: Option<Vec<Option<f64>>> = starts.as_ref().map(|starts| {
            let mut months = MonthLengths::default();
            starts
                .as_timestamp()
                .iter()
                .map(|start| start.map(|at| months.days(at)))
                .collect()
        });
        let mut without_month = vec![false; if days.is_some() { batch.rows() } else { 0 }];
        let mut columns = Vec::with_capacity(self.conversions.len());
        for (position, conversion) in self.conversions.iter().enumerate() {
            let mut column = batch.take(position);
            match (conversion.divisor, &days) {
                (Divisor::PerDayOfMonth(per_day), Some(days)) => {
                    divide_by_month(&mut column, per_day, days, &mut without_month);
                }
                (Divisor::Fixed(divisor) | Divisor::PerDayOfMonth(divisor), _) => {
                    divide(&mut column, divisor);
                }
            }
            columns.push(column);
        }
        let rejects = (0..without_month.len())
            .filter(|row| without_month[*row])
            .map(|row| {
                let message = "without a start of its interval a row has no month";
                Reject::row(row, "no-month", message).in_column(INTERVAL_START)
            })
            .collect();
        Ok(Output::keeps(batch.rows(), columns).with_rejects(rejects))
    }
}

/// Divides every value, where it stands.
fn divide(column: &mut Column, divisor: f64) {
    /// Divided together: a sandbox looks after each step whether it is to go on.
    const TOGETHER: usize = 8;
    if let Values::Float64(values) = &mut column.values {
        let (groups, rest) = values.as_chunks_mut::<TOGETHER>();
        for group in groups {
            for value in group {
                *value /= divisor;
            }
        }
        for value in rest {
            *value /= divisor;
        }
    }
}

/// Divides every value by the length of its row's month, and marks the rows that
/// have a value and no month.
fn divide_by_month(
    column: &mut Column,
    per_day: f64,
    days: &[Option<f64>],
    without_month: &mut [bool],
) {
    for (row, days) in days.iter().enumerate() {
        match days {
            Some(days) => {
                if let Values::Float64(values) = &mut column.values {
                    values[row] /= per_day * days;
                }
            }
            None => without_month[row] |= !column.is_null(row),
        }
    }
}

export_stage!(UnitConversion);

#[cfg(test)]
mod tests;
