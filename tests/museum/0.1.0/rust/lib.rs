//! Doubles `usage`, writes `pod` in capitals, rejects rows with a negative usage.

use gristmill_stage::{
    Batch, ColumnType, Contract, DictionaryBuilder, Fact, Failure, Float64Builder, NoConfig,
    OpenTransform, Output, Reject, Stage, export_stage, log,
};

struct Museum;

impl Stage for Museum {
    type Config = NoConfig;

    fn open(_: NoConfig, _: OpenTransform) -> Result<Self, Failure> {
        log::debug("opened");
        Ok(Self)
    }

    fn contract(&self) -> Contract {
        Contract::keeps()
            .reads("usage", ColumnType::Float64)
            .reads("pod", ColumnType::Dictionary)
            .writes("usage", ColumnType::Float64)
            .writes("pod", ColumnType::Dictionary)
    }

    fn process(&mut self, batch: Batch) -> Result<Output, Failure> {
        let mut doubled = Float64Builder::with_capacity(batch.rows());
        let mut rejects = Vec::new();
        for (row, usage) in batch.float64(0).iter().enumerate() {
            doubled.push_option(usage.map(|usage| usage * 2.0));
            if usage.is_some_and(|usage| usage < 0.0) {
                rejects.push(Reject::row(row, "negative", "is below zero").in_column("usage"));
            }
        }
        let mut capitals = DictionaryBuilder::with_capacity(batch.rows());
        for pod in batch.dictionary(1).iter() {
            match pod {
                Some(pod) => capitals.push(&pod.to_uppercase()),
                None => capitals.push_null(),
            }
        }
        let columns = vec![doubled.finish(), capitals.finish()];
        Ok(Output::keeps(batch.rows(), columns).with_rejects(rejects))
    }

    fn finish(&mut self) -> Result<Vec<Fact>, Failure> {
        Ok(vec![Fact::new("museum", ["rust"])])
    }
}

export_stage!(Museum);
