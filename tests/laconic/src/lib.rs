//! A stage of one text that will not be asked the same thing twice. It rejects the pod
//! `bad`, breaks at the pod `worse`, and puts an exclamation mark behind all others.

use std::collections::BTreeSet;

use gristmill_stage::{
    Batch, ColumnType, Contract, DictionaryBuilder, Fact, Failure, OpenTransform, Output, Reject,
    Stage, export_stage,
};
use serde::Deserialize;

const POD: &str = "pod";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

struct Laconic {
    asked: BTreeSet<String>,
}

impl Stage for Laconic {
    type Config = Config;

    fn open(_: Config, _: OpenTransform) -> Result<Self, Failure> {
        let asked = BTreeSet::new();
        Ok(Self { asked })
    }

    fn contract(&self) -> Contract {
        Contract::keeps()
            .reads(POD, ColumnType::Dictionary)
            .writes(POD, ColumnType::Dictionary)
    }

    fn process(&mut self, batch: Batch) -> Result<Output, Failure> {
        let mut answers = DictionaryBuilder::default();
        let mut rejects = Vec::new();
        for (row, pod) in batch.dictionary(0).iter().enumerate() {
            let pod = pod.unwrap_or_default();
            assert!(self.asked.insert(pod.to_string()), "I said that already");
            assert_ne!(pod, "worse", "I have no answer");
            if pod == "bad" {
                let reject = Reject::row(row, "bad-pod", "nobody wants it");
                rejects.push(reject.in_column(POD));
            }
            answers.push(&format!("{pod}!"));
        }
        Ok(Output::keeps(batch.rows(), vec![answers.finish()]).with_rejects(rejects))
    }

    fn finish(&mut self) -> Result<Vec<Fact>, Failure> {
        Ok(vec![Fact::new("pods", self.asked.iter().map(String::as_str))])
    }
}

export_stage!(Laconic);
