//! `gristmill schema`: the JSON Schema of the pipeline file.

use crate::diagnostics::failure::Result;
use crate::pipeline::definition;
use crate::terminal;

/// # Errors
/// None that is known.
pub fn execute() -> Result<()> {
    terminal::json(&definition::json_schema());
    Ok(())
}
