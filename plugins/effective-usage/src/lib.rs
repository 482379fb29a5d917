//! Works out the effective usage of a pod: what it is charged for.
//!
//! Per row, that is the smaller (`method = "min"`, the default: capacity that was
//! requested but not used is not charged) or the larger (`method = "max"`) of
//! usage and request, for CPU and for memory. It must happen hour by hour: it
//! cannot be worked out from sums.
//!
//! - needs the `float64` columns `pod_usage_cpu_core_seconds`,
//!   `pod_request_cpu_core_seconds`, `pod_usage_memory_byte_seconds` and
//!   `pod_request_memory_byte_seconds`;
//! - adds `pod_effective_usage_cpu_core_seconds` and
//!   `pod_effective_usage_memory_byte_seconds`, which are never null: a missing
//!   usage or request counts as 0;
//! - keeps every row.

use gristmill_stage::{
    Batch, Column, ColumnType, Contract, Failure, OpenTransform, Output, PrimitiveView, Stage,
    Values, export_stage,
};
use serde::Deserialize;

/// The resources, each as usage, request and effective usage.
const RESOURCES: [[&str; 3]; 2] = [
    [
        "pod_usage_cpu_core_seconds",
        "pod_request_cpu_core_seconds",
        "pod_effective_usage_cpu_core_seconds",
    ],
    [
        "pod_usage_memory_byte_seconds",
        "pod_request_memory_byte_seconds",
        "pod_effective_usage_memory_byte_seconds",
    ],
];

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    method: Method,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    #[default]
    Min,
    Max,
}

impl Method {
    /// The smaller or the larger one; what is no number loses.
    #[inline]
    fn choose(self, usage: f64, request: f64) -> f64 {
        // As `f64::min` and `f64::max`, which are calls on WebAssembly.
        let is_usage = match self {
            Method::Min => request.is_nan() || usage < request,
            Method::Max => !(usage.is_nan() || usage < request),
        };
        match is_usage {
            true => usage,
            false => request,
        }
    }
}

pub struct EffectiveUsage {
    method: Method,
}

impl Stage for EffectiveUsage {
    type Config = Config;

    fn open(config: Config, context: OpenTransform) -> Result<EffectiveUsage, Failure> {
        for [usage, request, _] in RESOURCES {
            context.schema.require(usage, ColumnType::Float64)?;
            context.schema.require(request, ColumnType::Float64)?;
        }
        Ok(EffectiveUsage {
            method: config.method,
        })
    }

    fn contract(&self) -> Contract {
        RESOURCES.iter().fold(
            Contract::keeps(),
            |contract, [usage, request, effective]| {
                contract
                    .reads(*usage, ColumnType::Float64)
                    .reads(*request, ColumnType::Float64)
                    .writes(*effective, ColumnType::Float64)
            },
        )
    }

    fn process(&mut self, batch: Batch) -> Result<Output, Failure> {
        let columns = vec![
            effective(self.method, batch.float64(0), batch.float64(1)),
            effective(self.method, batch.float64(2), batch.float64(3)),
        ];
        Ok(Output::keeps(batch.rows(), columns))
    }
}

fn effective(
    method: Method,
    usage: PrimitiveView<'_, f64>,
    request: PrimitiveView<'_, f64>,
) -> Column {
    let effective = match usage.has_nulls() || request.has_nulls() {
        true => choose_all(method, usage.iter_or(0.0), request.iter_or(0.0)),
        false => {
            let (usage, request) = (usage.values().iter(), request.values().iter());
            choose_all(method, usage.copied(), request.copied())
        }
    };
    Column::new(Values::Float64(effective))
}

/// Decides on the method once, so that each loop is one of vector instructions.
fn choose_all(
    method: Method,
    usage: impl ExactSizeIterator<Item = f64>,
    request: impl ExactSizeIterator<Item = f64>,
) -> Vec<f64> {
    let both = usage.zip(request);
    match method {
        Method::Min => both
            .map(|(usage, request)| Method::Min.choose(usage, request))
            .collect(),
        Method::Max => both
            .map(|(usage, request)| Method::Max.choose(usage, request))
            .collect(),
    }
}

export_stage!(EffectiveUsage);

#[cfg(test)]
mod tests {
    use gristmill_stage::{
        Batch, ColumnType, Failure, Field, Float64Builder, OpenTransform, Schema, Sets, Stage,
        parse_config,
    };

    use super::{EffectiveUsage, Method, RESOURCES};

    fn open(config: &str, columns: &[&str]) -> Result<EffectiveUsage, Failure> {
        let fields = columns
            .iter()
            .map(|name| Field::new(*name, ColumnType::Float64))
            .collect();
        let context = OpenTransform {
            schema: Schema::new(fields),
            sets: Sets::default(),
        };
        EffectiveUsage::open(parse_config(config)?, context)
    }

    fn all_columns() -> Vec<&'static str> {
        RESOURCES
            .iter()
            .flat_map(|[usage, request, _]| [*usage, *request])
            .collect()
    }

    #[track_caller]
    fn check(config: &str, usage: Option<f64>, request: Option<f64>, expected: f64) {
        let mut stage = open(config, &all_columns()).unwrap();
        let column = |value| {
            let mut builder = Float64Builder::default();
            builder.push_option(value);
            builder.finish()
        };
        let columns = vec![
            column(usage),
            column(request),
            column(request),
            column(usage),
        ];
        let output = stage.process(Batch::new(1, columns)).unwrap();
        assert_eq!(output.columns.len(), stage.contract().writes.len());
        for column in &output.columns {
            assert_eq!(column.as_float64().get(0), Some(expected));
        }
    }

    #[test]
    fn takes_the_smaller_unless_told_otherwise() {
        check("{}", Some(600.0), Some(900.0), 600.0);
        check(r#"{ "method": "min" }"#, Some(900.0), Some(600.0), 600.0);
        check(r#"{ "method": "max" }"#, Some(600.0), Some(900.0), 900.0);
    }

    #[test]
    fn what_is_missing_counts_as_zero() {
        check("{}", Some(600.0), None, 0.0);
        check(r#"{ "method": "max" }"#, Some(600.0), None, 600.0);
        check(r#"{ "method": "max" }"#, None, None, 0.0);
        check(r#"{ "method": "max" }"#, Some(-1.0), None, 0.0);
    }

    #[test]
    fn chooses_as_the_standard_library_does() {
        let numbers = [-0.0, 0.0, 1.5, -1.5, f64::INFINITY, f64::NAN];
        let pairs = numbers.map(|usage| numbers.map(|request| (usage, request)));
        for (usage, request) in pairs.into_iter().flatten() {
            let (min, max) = (usage.min(request), usage.max(request));
            for (method, expected) in [(Method::Min, min), (Method::Max, max)] {
                let chosen = method.choose(usage, request);
                assert_eq!(chosen.is_nan(), expected.is_nan());
                assert!(chosen == expected || chosen.is_nan(), "{usage} {request}");
            }
        }
    }

    #[test]
    fn refuses_what_it_cannot_use() {
        let refused = |config: &str, columns: &[&str]| match open(config, columns) {
            Ok(_) => panic!("opened"),
            Err(failure) => failure.to_string(),
        };
        assert_eq!(
            refused("{}", &all_columns()[..3]),
            "column `pod_request_memory_byte_seconds`: is missing"
        );
        assert_eq!(
            refused(r#"{ "method": "mean" }"#, &all_columns()),
            "config key `method`: unknown variant `mean`, expected `min` or `max`"
        );
        assert_eq!(
            refused(r#"{ "methods": "min" }"#, &all_columns()),
            "config key `methods`: unknown field `methods`, expected `method`"
        );
    }
}
