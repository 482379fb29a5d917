//! A stage that breaks at rows of one pod, in a way that its configuration says, and
//! changes nothing of all others. It learns which pods there are.

use std::collections::BTreeSet;

use gristmill_stage::{
    Batch, Column, ColumnType, Contract, Fact, Failure, OpenTransform, Output, Stage, Values,
    export_stage, log,
};
use serde::Deserialize;

const USAGE: &str = "pod_usage_cpu_core_seconds";
const POD: &str = "pod";

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum How {
    Panics,
    Spins,
    Exits,
    EatsMemory,
    /// Returns a value too many.
    Lies,
    Refuses,
    /// Breaks at whatever comes second.
    Tires,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    how: How,
    /// The pod; of all pods when absent.
    at: Option<String>,
    /// Says something at each batch.
    #[serde(default)]
    talks: bool,
}

struct Clumsy {
    config: Config,
    batches: usize,
    pods: BTreeSet<String>,
}

impl Stage for Clumsy {
    type Config = Config;

    fn open(config: Config, _: OpenTransform) -> Result<Self, Failure> {
        Ok(Self {
            config,
            batches: 0,
            pods: BTreeSet::new(),
        })
    }

    fn contract(&self) -> Contract {
        Contract::keeps()
            .reads(USAGE, ColumnType::Float64)
            .reads(POD, ColumnType::Dictionary)
            .writes(USAGE, ColumnType::Float64)
    }

    fn process(&mut self, mut batch: Batch) -> Result<Output, Failure> {
        let rows = batch.rows();
        self.batches += 1;
        let pods: BTreeSet<String> = batch
            .dictionary(1)
            .iter()
            .flatten()
            .map(str::to_string)
            .collect();
        if self.config.talks {
            log::warn(format!("I am here, with {}", pods.first().map_or("", |pod| pod)));
        }
        let hit = match (&self.config.at, self.config.how) {
            (_, How::Tires) => self.batches > 1,
            (Some(at), _) => pods.contains(at),
            (None, _) => true,
        };
        self.pods.extend(pods);
        let usage = batch.take(0);
        if !hit {
            return Ok(Output::keeps(rows, vec![usage]));
        }
        match self.config.how {
            How::Panics | How::Tires => panic!("it slipped out of my hands"),
            How::Exits => std::process::exit(0),
            How::Refuses => Err(Failure::input("I will not touch that")),
            How::Lies => {
                let more = Column::new(Values::Float64(vec![1.0; rows + 1]));
                Ok(Output::keeps(rows, vec![more]))
            }
            How::Spins => {
                let mut turns = 0_u64;
                loop {
                    turns = std::hint::black_box(turns.wrapping_add(1));
                }
            }
            How::EatsMemory => {
                let mut eaten = Vec::new();
                loop {
                    eaten.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
        }
    }

    fn finish(&mut self) -> Result<Vec<Fact>, Failure> {
        Ok(vec![Fact::new("pods", self.pods.iter().map(String::as_str))])
    }
}

export_stage!(Clumsy);
