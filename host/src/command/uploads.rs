//! `gristmill uploads`: lists uploads with what they lack, and gives up those of which
//! files never came.

use tokio::runtime::Runtime;

use super::open;
use crate::cli::{UploadState, UploadsCommand};
use crate::database::Database;
use crate::diagnostics::failure::Result;
use crate::ledger::source::{self, Source};
use crate::ledger::uploads::{self, UploadStatus};
use crate::terminal::{self, grouped};

/// Files that the table names of those that an upload lacks.
const FILES_SHOWN: usize = 3;

/// # Errors
/// The database cannot be reached, or there is no such upload.
pub fn execute(command: &UploadsCommand, runtime: &Runtime) -> Result<()> {
    match command {
        UploadsCommand::List {
            source,
            state,
            limit,
            json,
            database,
        } => {
            let database = open(runtime, database, 1)?;
            let source = named(&database, source.as_deref())?;
            let source_uuid = source.map(|source| source.source_uuid);
            let states = states(*state);
            let listed =
                uploads::list(&database, source_uuid, states.as_deref(), i64::from(*limit))?;
            match json {
                true => terminal::json(&listed),
                false => list(&listed, *state, *limit),
            }
        }
        UploadsCommand::Abandon {
            upload,
            source,
            database,
        } => {
            let database = open(runtime, database, 1)?;
            let source = named(&database, source.as_deref())?;
            let abandoned = uploads::abandon(&database, *upload, source.as_ref())?;
            if abandoned.was_abandoned {
                terminal::say(&format!(
                    "upload {upload} of cluster `{}` was given up before",
                    abandoned.cluster_id
                ));
                return Ok(());
            }
            terminal::say(&format!(
                "upload {upload} of cluster `{}` is given up; it lacked {}",
                abandoned.cluster_id,
                files(&abandoned.files_missing)
            ));
            if abandoned.rows_discarded > 0 {
                terminal::say(&format!(
                    "{} of its rows in quarantine were discarded",
                    grouped(abandoned.rows_discarded)
                ));
            }
            terminal::say("`gristmill run` of all of its payloads brings it back");
        }
    }
    Ok(())
}

fn named(database: &Database, word: Option<&str>) -> Result<Option<Source>> {
    word.map(|word| source::named(database, word)).transpose()
}

/// `None` for all of them.
fn states(state: Option<UploadState>) -> Option<Vec<&'static str>> {
    Some(match state {
        None => vec!["waiting", "superseded"],
        Some(UploadState::Waiting) => vec!["waiting"],
        Some(UploadState::Superseded) => vec!["superseded"],
        Some(UploadState::Abandoned) => vec!["abandoned"],
        Some(UploadState::Removed) => vec!["removed"],
        Some(UploadState::Published) => vec!["published"],
        Some(UploadState::Failed) => vec!["failed"],
        Some(UploadState::All) => return None,
    })
}

fn list(listed: &[UploadStatus], state: Option<UploadState>, limit: u32) {
    if listed.is_empty() {
        terminal::say(match state {
            None => "no upload waits for files",
            Some(_) => "there is no such upload",
        });
        return;
    }
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|upload| {
            vec![
                upload.upload.clone(),
                upload.cluster_alias.clone(),
                match &upload.superseded_by {
                    Some(later) => format!("{} by {later}", upload.state),
                    None => upload.state.clone(),
                },
                upload.came_at.format("%Y-%m-%d %H:%M").to_string(),
                match (upload.first_day, upload.last_day) {
                    (Some(first), Some(last)) if first == last => first.to_string(),
                    (Some(first), Some(last)) => format!("{first} to {last}"),
                    _ => "–".to_string(),
                },
                format!(
                    "{} of {}",
                    upload.files_loaded,
                    upload.files_loaded + upload.files_missing.len() as i64
                ),
                files(&upload.files_missing),
            ]
        })
        .collect();
    terminal::table(
        &[
            "upload",
            "cluster",
            "state",
            "came (UTC)",
            "holds",
            "files",
            "lacks",
        ],
        &[],
        &rows,
    );
    if listed.len() as u64 == u64::from(limit) {
        terminal::say("there may be more; `--limit N` shows them");
    }
}

fn files(missing: &[String]) -> String {
    let named: Vec<&str> = missing
        .iter()
        .take(FILES_SHOWN)
        .map(String::as_str)
        .collect();
    let named = named.join(", ");
    match missing.len().saturating_sub(FILES_SHOWN) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
