//! The defaults that the schema of the pipeline file tells are those of a plan.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::resolve::{CHUNK_BYTES, MONTHS_AHEAD, MONTHS_BACK};
use super::threshold::{REJECTED_ROWS_FLOOR, REJECTED_ROWS_MAX};
use super::{LOCK_WAIT, PayloadBudget, RecordRetention, WatchPlan};
use crate::pipeline::definition::{Bytes, Share, Time, json_schema};
use crate::stage::limits::{Limits, LoadLimits};

/// A section of the schema, and which of its keys were compared.
struct Section {
    keys: Value,
    compared: BTreeSet<String>,
}

impl Section {
    fn of(name: &str) -> Self {
        Self {
            keys: json_schema()["properties"][name]["properties"].clone(),
            compared: BTreeSet::new(),
        }
    }

    /// The default of a key, read as a pipeline file would be.
    fn default<T: DeserializeOwned>(&mut self, key: &str) -> T {
        self.compared.insert(key.to_string());
        let default = self.keys[key]["default"].clone();
        serde_json::from_value(default).unwrap_or_else(|error| panic!("`{key}`: {error}"))
    }

    fn is_compared(&self) {
        let keys = self.keys.as_object().unwrap().keys().cloned();
        assert_eq!(self.compared, keys.collect());
    }
}

#[test]
fn the_schema_tells_the_limits_of_a_silent_definition() {
    let mut section = Section::of("limits");
    let (stage, load) = (Limits::default(), LoadLimits::default());
    let budget = PayloadBudget::default();
    for (key, bytes) in [
        ("memory", stage.memory_bytes),
        ("output-per-batch", stage.output_bytes),
        ("batch-memory", stage.batch_bytes),
        ("component-size", load.component_bytes),
        ("compile-memory", load.compile_memory_bytes),
        ("chunk", CHUNK_BYTES),
        ("quarantine-bytes", budget.quarantine_bytes),
    ] {
        assert_eq!(section.default::<Bytes>(key).0, bytes, "{key}");
    }
    for (key, time) in [
        ("time-per-batch", stage.time_per_batch),
        ("compile-time", load.compile_time),
        ("lock-wait", LOCK_WAIT),
        ("quarantine-time", budget.quarantine_time),
    ] {
        assert_eq!(section.default::<Time>(key).0, time, "{key}");
    }
    for (key, count) in [
        ("log-lines", stage.log_lines),
        ("months-back", MONTHS_BACK.into()),
        ("months-ahead", MONTHS_AHEAD.into()),
        ("rejected-rows-floor", REJECTED_ROWS_FLOOR),
        ("quarantine-rows", budget.quarantine_rows),
        ("learned-words", budget.learned_words),
        ("log-lines-of-payload", budget.log_lines),
    ] {
        assert_eq!(section.default::<u64>(key), count, "{key}");
    }
    let share = section.default::<Share>("rejected-rows");
    assert_eq!(share, Share(REJECTED_ROWS_MAX));
    section.is_compared();
}

#[test]
fn the_schema_tells_how_long_a_silent_definition_keeps_and_tries() {
    let mut section = Section::of("retention");
    let kept = RecordRetention::default();
    for (key, days) in [
        ("quarantine-days", kept.quarantine_days),
        ("row-accounts-days", kept.row_accounts_days),
        ("runs-days", kept.runs_days),
        ("manifests-days", kept.manifests_days),
    ] {
        assert_eq!(section.default::<u16>(key), days, "{key}");
    }
    section.is_compared();

    let mut section = Section::of("watch");
    let usual = WatchPlan::default();
    assert_eq!(section.default::<u32>("tries"), usual.tries);
    assert_eq!(section.default::<Time>("patience").0, usual.patience);
    section.is_compared();
}
