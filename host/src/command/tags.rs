//! `gristmill tags`: says which label keys become tags, and under which name.

use tokio::runtime::Runtime;

use super::{open, open_to_read};
use crate::cli::TagsCommand;
use crate::diagnostics::failure::Result;
use crate::ledger::tags::{self, TagChange, UnseenKey};
use crate::terminal;

/// # Errors
/// The database cannot be reached, or the change is refused.
pub fn execute(command: &TagsCommand, runtime: &Runtime) -> Result<()> {
    match command {
        TagsCommand::List { json, database } => {
            let database = open_to_read(runtime, database)?;
            let tags = tags::list(&database)?;
            if *json {
                terminal::json(&tags);
                return Ok(());
            }
            let rows: Vec<Vec<String>> = tags
                .iter()
                .map(|tag| {
                    vec![
                        tag.key.clone(),
                        if tag.enabled { "yes" } else { "no" }.to_string(),
                        tag.parent.clone().unwrap_or_default(),
                    ]
                })
                .collect();
            terminal::table(&["key", "enabled", "mapped to"], &[], &rows);
            let enabled = tags.iter().filter(|tag| tag.enabled).count();
            terminal::say(&format!(
                "{enabled} of {} keys are enabled; there can be at most {}",
                tags.len(),
                tags::ENABLED_MAX
            ));
        }
        TagsCommand::Enable { keys, database } => {
            let database = open(runtime, database, 1)?;
            let change = tags::enable(&database, keys)?;
            tell(&change, "enabled");
            for UnseenKey { key, near } in &change.unseen {
                let hint = match near {
                    Some(near) => format!("; did you mean `{near}`?"),
                    None => String::new(),
                };
                terminal::say(&format!("no payload has shown `{key}` yet{hint}"));
            }
            if !change.changed.is_empty() {
                terminal::say(
                    "the next payloads will show it; `gristmill replay` makes it show in days \
                     already loaded",
                );
            }
        }
        TagsCommand::Disable { keys, database } => {
            let database = open(runtime, database, 1)?;
            let change = tags::disable(&database, keys)?;
            tell(&change, "disabled");
            if !change.changed.is_empty() {
                terminal::say("days already loaded keep it until `gristmill replay`");
            }
        }
        TagsCommand::Map {
            child,
            parent,
            database,
        } => {
            let database = open(runtime, database, 1)?;
            if tags::map(&database, child, parent)? {
                terminal::say(&format!("`{child}` is known as `{parent}` now"));
                terminal::say(SUMMARIZE_AGAIN);
            } else {
                terminal::say(&format!("`{child}` was known as `{parent}` before"));
            }
        }
        TagsCommand::Unmap { keys, database } => {
            let database = open(runtime, database, 1)?;
            let change = tags::unmap(&database, keys)?;
            tell(&change, "known under its own name");
            if !change.changed.is_empty() {
                terminal::say(SUMMARIZE_AGAIN);
            }
        }
    }
    Ok(())
}

const SUMMARIZE_AGAIN: &str = "days already loaded keep their names until `gristmill summarize`";

fn tell(change: &TagChange, state: &str) {
    for key in &change.changed {
        terminal::say(&format!("`{key}` is {state} now"));
    }
    for key in &change.unchanged {
        terminal::say(&format!("`{key}` was {state} before"));
    }
}
