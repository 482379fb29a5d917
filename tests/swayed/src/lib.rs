//! A stage whose answers depend on more than the row, in a way that its configuration
//! says: the contract forbids that, and a run cannot see it.

use std::collections::BTreeMap;

use gristmill_stage::{
    Batch, ColumnType, Contract, DictionaryBuilder, Fact, Failure, Float64Builder, OpenTransform,
    Output, Reject, Stage, export_stage,
};
use serde::Deserialize;

const USAGE: &str = "pod_usage_cpu_core_seconds";
const POD: &str = "pod";

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum By {
    Nothing,
    /// Writes where in its batch the row is.
    Place,
    /// Writes how often it has seen the text.
    Repetition,
    /// Rejects a text that it has seen before.
    Rejection,
    /// Has no answer to the second of two texts that are the same.
    Null,
    /// Refuses a batch of several rows.
    Company,
    /// Refuses a batch of one row.
    Solitude,
    /// Tells how many rows it has seen.
    Count,
    /// Adds up numbers over the rows before.
    Sum,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    by: By,
}

struct Swayed {
    by: By,
    seen: BTreeMap<String, usize>,
    sum: f64,
}

impl Stage for Swayed {
    type Config = Config;

    fn open(config: Config, _: OpenTransform) -> Result<Self, Failure> {
        Ok(Self {
            by: config.by,
            seen: BTreeMap::new(),
            sum: 0.0,
        })
    }

    fn contract(&self) -> Contract {
        match self.by {
            By::Sum => Contract::keeps()
                .reads(USAGE, ColumnType::Float64)
                .writes(USAGE, ColumnType::Float64),
            _ => Contract::keeps()
                .reads(POD, ColumnType::Dictionary)
                .writes(POD, ColumnType::Dictionary),
        }
    }

    fn process(&mut self, batch: Batch) -> Result<Output, Failure> {
        let rows = batch.rows();
        match self.by {
            By::Sum => return Ok(self.sums(&batch)),
            By::Company if rows > 1 => return Err(Failure::input("one at a time")),
            By::Solitude if rows == 1 => return Err(Failure::input("not alone")),
            _ => {}
        }
        let mut answers = DictionaryBuilder::default();
        let mut rejects = Vec::new();
        for (row, pod) in batch.dictionary(0).iter().enumerate() {
            let pod = pod.unwrap_or_default();
            let seen = self.seen.entry(pod.to_string()).or_default();
            *seen += 1;
            match self.by {
                By::Place => answers.push(&format!("{pod} {row}")),
                By::Repetition => answers.push(&format!("{pod} {seen}")),
                By::Null if *seen > 1 => answers.push_null(),
                _ => answers.push(pod),
            }
            if self.by == By::Rejection && *seen > 1 {
                rejects.push(Reject::row(row, "repeated", "not again"));
            }
        }
        Ok(Output::keeps(rows, vec![answers.finish()]).with_rejects(rejects))
    }

    fn finish(&mut self) -> Result<Vec<Fact>, Failure> {
        let count: usize = self.seen.values().sum();
        Ok(match self.by {
            By::Count => vec![Fact::new("rows", [count.to_string()])],
            _ => Vec::new(),
        })
    }
}

impl Swayed {
    fn sums(&mut self, batch: &Batch) -> Output {
        let mut sums = Float64Builder::with_capacity(batch.rows());
        for usage in batch.float64(0).iter() {
            self.sum += usage.unwrap_or_default();
            sums.push_option(Some(self.sum));
        }
        Output::keeps(batch.rows(), vec![sums.finish()])
    }
}

export_stage!(Swayed);
