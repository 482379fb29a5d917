//! The reason for which a stage rejected a row, without anything in it that could steer a
//! terminal.

use crate::rows::batch::{Batch, RejectedRow};
use crate::stage::bindings::gristmill::stage::types::Reject;
use crate::stage::limits::ROW_BYTES;
use crate::stage::state::printable_of_row;

pub(super) struct Rejection {
    column: Option<String>,
    code: String,
    message: String,
}

impl Rejection {
    /// As it goes for one row of a batch.
    pub(super) fn of_row(&self, batch: &Batch, row: usize) -> RejectedRow {
        let (code, message) = (self.code.clone(), self.message.clone());
        batch.places.reject(row, self.column.clone(), code, message)
    }

    /// How many bytes it takes for one row of a batch, with the row's record.
    pub(super) fn bytes_of_row(&self, batch: &Batch, row: usize) -> usize {
        let record = batch.places.lengths.get(row).copied().unwrap_or_default();
        ROW_BYTES as usize + self.bytes() + record as usize
    }

    /// How many bytes its texts have.
    pub(super) fn bytes(&self) -> usize {
        let column = self.column.as_ref().map_or(0, String::len);
        column + self.code.len() + self.message.len()
    }
}

impl From<&Reject> for Rejection {
    fn from(reject: &Reject) -> Self {
        Self {
            column: reject.column.as_deref().map(printable_of_row),
            code: printable_of_row(&reject.code),
            message: printable_of_row(&reject.message),
        }
    }
}
