//! The fingerprint of a plan: a digest of all that decides what becomes of a report's
//! bytes on their way to staging. Plans with one fingerprint make the same rows of the
//! same bytes.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::load_version::LOAD_VERSION;
use super::{LoadPlan, Plan, ReportAction, StagePlan};
use crate::pipeline::definition::BoundSet;
use crate::stage::{CONTRACT_VERSION, Limits};

impl Plan {
    /// The SHA-256, in hexadecimal, of the plan with these words of the bound sets.
    /// Thresholds and names for people alone are no part of it.
    pub fn fingerprint(&self, words: &dyn Fn(BoundSet) -> Vec<String>) -> String {
        let reports: Vec<Value> = self
            .reports
            .iter()
            .map(|report| {
                let load = match &report.action {
                    ReportAction::Load(load) => of_load(load, words),
                    ReportAction::Ignore => Value::Null,
                };
                json!({ "name": report.name, "detect": report.detect, "load": load })
            })
            .collect();
        let plan = json!({
            "load": LOAD_VERSION,
            "contract": CONTRACT_VERSION,
            "coverage": self.coverage,
            "chunk": self.chunk_bytes,
            "months": [self.months.back, self.months.ahead],
            "reports": reports,
        });
        hex::encode(Sha256::digest(plan.to_string()))
    }
}

fn of_load(load: &LoadPlan, words: &dyn Fn(BoundSet) -> Vec<String>) -> Value {
    let columns: Vec<Value> = load
        .columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "type": column.column_type.to_string(),
                "required": column.required,
                "empty_is_null": column.empty_is_null,
            })
        })
        .collect();
    let targets: Vec<Value> = load
        .targets
        .iter()
        .map(|target| {
            json!({
                "column": target.column,
                "storage": format!("{:?}", target.storage),
                "required": target.required,
            })
        })
        .collect();
    let stages: Vec<Value> = load.stages().map(|stage| of_stage(stage, words)).collect();
    json!({
        "stages": stages,
        "columns": columns,
        "table": load.table,
        "targets": targets,
    })
}

fn of_stage(stage: &StagePlan, words: &dyn Fn(BoundSet) -> Vec<String>) -> Value {
    // A message more or less is no other row.
    let Limits {
        memory_bytes,
        time_per_batch,
        output_bytes,
        batch_bytes,
        log_lines: _,
    } = stage.limits;
    let learn: Vec<Value> = stage
        .learn
        .iter()
        .map(|(topic, set)| json!([topic, set.to_string()]))
        .collect();
    json!({
        "component": stage.component.digest,
        "config": stage.config,
        "sets": stage.settings(words).sets,
        "learn": learn,
        "memory": memory_bytes,
        "microseconds": time_per_batch.as_micros() as u64,
        "output": output_bytes,
        "batch": batch_bytes,
    })
}
