//! Charges CPU usage at a part of its price.
//!
//! - reads and writes the `float64` column `pod_usage_cpu_core_seconds`;
//! - configuration: `factor`, a number from 0 to 1 (0.5);
//! - keeps every row.

use gristmill_stage::{
    Batch, ColumnType, Contract, Failure, Float64Builder, OpenTransform, Output, Stage,
    export_stage,
};
use serde::Deserialize;

const USAGE: &str = "pod_usage_cpu_core_seconds";

/// The `config` of the stage in a pipeline file.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    factor: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { factor: 0.5 }
    }
}

struct MyStage {
    factor: f64,
}

impl MyStage {
    fn charged(&self, core_seconds: f64) -> f64 {
        core_seconds * self.factor
    }
}

impl Stage for MyStage {
    type Config = Config;

    fn open(config: Config, context: OpenTransform) -> Result<Self, Failure> {
        context.schema.require(USAGE, ColumnType::Float64)?;
        match (0.0..=1.0).contains(&config.factor) {
            true => Ok(Self {
                factor: config.factor,
            }),
            false => Err(Failure::config("factor", "must be between 0 and 1")),
        }
    }

    fn contract(&self) -> Contract {
        Contract::keeps()
            .reads(USAGE, ColumnType::Float64)
            .writes(USAGE, ColumnType::Float64)
    }

    fn process(&mut self, batch: Batch) -> Result<Output, Failure> {
        let mut charged = Float64Builder::with_capacity(batch.rows());
        for usage in batch.float64(0).iter() {
            charged.push_option(usage.map(|usage| self.charged(usage)));
        }
        Ok(Output::keeps(batch.rows(), vec![charged.finish()]))
    }
}

export_stage!(MyStage);

#[cfg(test)]
mod tests {
    use super::MyStage;

    #[test]
    fn the_factor_is_the_part_that_is_charged() {
        let stage = MyStage { factor: 0.25 };
        assert_eq!(stage.charged(600.0), 150.0);
    }
}
