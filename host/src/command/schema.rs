//! `gristmill schema`: the JSON Schema of the pipeline file.

use crate::definition;
use crate::failure::Result;
use crate::report;

/// # Errors
/// None that is known.
pub fn execute() -> Result<()> {
    report::json(&definition::json_schema());
    Ok(())
}
