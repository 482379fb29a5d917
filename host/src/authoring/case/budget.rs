//! The budget of a case: numbers that are the same on every machine. A stage that needs
//! more than before fails its test, and a busy machine does not.

use serde::Deserialize;

use super::Difference;
use crate::authoring::harness::Outcome;
use crate::pipeline::definition::Bytes;

/// Limits on what the batches of a case take; what the stage takes to start and to open
/// is not counted.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Budget {
    /// Instructions, for each row that goes in.
    fuel_per_row: Option<f64>,
    /// Bytes that come out, for each row that goes in.
    output_bytes_per_row: Option<f64>,
    /// Linear memory at the end, beyond that of the opened stage.
    memory: Option<Bytes>,
}

impl Budget {
    pub(super) fn is_metered(self) -> bool {
        self.fuel_per_row.is_some()
    }

    /// The limit that was exceeded, with the measured number.
    pub(super) fn differences(self, outcome: &Outcome) -> Vec<Difference> {
        let rows = outcome.rows_in().max(1) as f64;
        let cost = outcome.cost;
        let fuel = cost.fuel.map(|fuel| fuel as f64 / rows);
        let measured = [
            ("fuel-per-row", self.fuel_per_row, fuel),
            (
                "output-bytes-per-row",
                self.output_bytes_per_row,
                Some(cost.bytes_out as f64 / rows),
            ),
            (
                "memory",
                self.memory.map(|memory| memory.0 as f64),
                Some((cost.memory_bytes - outcome.opened_memory_bytes) as f64),
            ),
        ];
        measured
            .into_iter()
            .filter_map(|(key, budget, measured)| match (budget, measured) {
                (Some(budget), Some(measured)) if measured > budget => Some(Difference::Budget {
                    key,
                    budget,
                    measured,
                }),
                _ => None,
            })
            .collect()
    }
}
