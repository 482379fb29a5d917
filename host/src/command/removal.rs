//! Shows what was taken back, and how it can come back: for `sources` and `days`.

use crate::ledger::removal::Removal;
use crate::terminal::{self, grouped};

/// Archived payloads that are named one by one.
const PAYLOADS_SHOWN: usize = 20;

pub(super) fn show(removal: &Removal, json: bool) {
    if json {
        terminal::json(removal);
        return;
    }
    let rows: Vec<Vec<String>> = removal
        .tables
        .iter()
        .map(|table| vec![table.table.clone(), grouped(table.rows.unsigned_abs())])
        .collect();
    terminal::table(&["table", "rows"], &[1], &rows);
    if removal.dry_run {
        terminal::say("nothing was removed: this was a dry run");
    }
    way_back(removal);
}

fn way_back(removal: &Removal) {
    if removal.archived.is_empty() {
        terminal::say(
            "the archive has no payload of it: only those that the cluster or you still have bring \
             it back, by `gristmill run`",
        );
        return;
    }
    terminal::say(&format!(
        "`gristmill run PIPELINE PAYLOAD` of {} brings it back:",
        match removal.archived.len() {
            1 => "the archived payload".to_string(),
            count => format!("the {count} archived payloads"),
        }
    ));
    for path in removal.archived.iter().take(PAYLOADS_SHOWN) {
        terminal::say(&format!("  {}", path.display()));
    }
    if removal.archived.len() > PAYLOADS_SHOWN {
        terminal::say(&format!(
            "  and {} more, which `--json` names",
            removal.archived.len() - PAYLOADS_SHOWN
        ));
    }
}
