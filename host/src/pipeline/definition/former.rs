//! Keys that pipeline files had once: what is to be said instead of `unknown field`.

use std::path::Path;

use toml::de::DeTable;

use crate::diagnostics::problem::Problem;
use crate::pipeline::lock;

/// Refuses a definition that has one of them.
pub(super) fn refuse(definition: &DeTable<'_>, path: &Path) -> Result<(), Problem> {
    let stages = definition
        .get("stages")
        .and_then(|stages| stages.get_ref().as_table());
    for stage in stages.into_iter().flat_map(DeTable::values) {
        let stage = stage.get_ref().as_table();
        let Some((key, _)) = stage.and_then(|stage| stage.get_key_value("sha256")) else {
            continue;
        };
        let message = "`sha256` is no key of a stage any more: `gristmill.lock` pins components";
        let hint = format!(
            "remove it; `{}` locks the components, and `--locked` runs no others",
            lock::command(path)
        );
        return Err(Problem::new(key.span(), message).hint(hint));
    }
    Ok(())
}
