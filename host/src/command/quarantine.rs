//! `gristmill quarantine`: lists, shows, replays and discards the rows that stages or
//! tables refused.

use std::collections::BTreeSet;

use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{engine, open, open_to_load, open_to_read, plan};
use crate::cli::{PipelineArguments, QuarantineCommand, QuarantineFilter, QuarantineState};
use crate::database::{Database, SchemaAccess};
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::quarantine::{self, Filter, QuarantinedRow};
use crate::ledger::source;
use crate::pipeline::plan::Plan;
use crate::run::{Ingestion, LakeFolds, QuarantineReplay, ReplayedRows, archives_of};
use crate::terminal::{self, Table, grouped};

/// # Errors
/// The database cannot be reached, there is no such row, or a payload failed.
pub fn execute(command: &QuarantineCommand, runtime: &Runtime) -> Result<()> {
    match command {
        QuarantineCommand::List {
            filter,
            state,
            limit,
            json,
            database,
        } => {
            let database = open_to_read(runtime, database)?;
            let mut filter = of(filter, &database)?;
            filter.state = match state {
                QuarantineState::Open => Some("open".into()),
                QuarantineState::Resolved => Some("resolved".into()),
                QuarantineState::Discarded => Some("discarded".into()),
                QuarantineState::All => None,
            };
            let rows = quarantine::list(&database, &filter, (*limit).into(), *json)?;
            list(&rows, *json);
            if !json && rows.len() as u64 == u64::from(*limit) {
                terminal::say("there may be more; `--limit N` shows them");
            }
            Ok(())
        }
        QuarantineCommand::Show { id, json, database } => {
            let database = open_to_read(runtime, database)?;
            let row = quarantine::row(&database, *id)?;
            match json {
                true => terminal::json(&row),
                false => show(&row),
            }
            Ok(())
        }
        QuarantineCommand::Replay {
            pipeline,
            source,
            run,
            json,
            connections,
            database,
        } => {
            let opened = |plan: &Plan| {
                open_to_load(
                    plan,
                    runtime,
                    database,
                    SchemaAccess::Change,
                    *connections,
                    1,
                )
            };
            replay(pipeline, source.as_deref(), *run, *json, opened)
        }
        QuarantineCommand::Discard {
            ids,
            filter,
            reason,
            database,
        } => {
            let database = open(runtime, database, 1)?;
            discard(ids, filter, reason, &database)
        }
    }
}

fn of(filter: &QuarantineFilter, database: &Database) -> Result<Filter> {
    Ok(Filter {
        ids: None,
        source_uuid: source_uuid(filter.source.as_deref(), database)?,
        run_id: filter.run,
        stage: filter.stage.clone(),
        code: filter.code.clone(),
        state: None,
    })
}

fn source_uuid(source: Option<&str>, database: &Database) -> Result<Option<Uuid>> {
    source
        .map(|name| source::named(database, name))
        .transpose()
        .map(|source| source.map(|source| source.source_uuid))
}

fn list(rows: &[QuarantinedRow], json: bool) {
    if json {
        terminal::json(&rows);
        return;
    }
    let lines: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.id.to_string(),
                row.state.clone(),
                row.run.to_string(),
                visible(&row.file),
                row.line.map_or_else(String::new, |line| line.to_string()),
                row.stage.clone(),
                visible(&row.code),
                row.column_name.as_deref().map(visible).unwrap_or_default(),
                visible(&row.message),
            ]
        })
        .collect();
    let header = [
        "row", "state", "run", "file", "line", "stage", "code", "column", "message",
    ];
    Table::new(&header, &[0, 2, 4])
        .sparing(&[2, 1, 5, 7, 3])
        .show(&lines);
}

fn show(row: &QuarantinedRow) {
    let instant = |instant: &chrono::DateTime<chrono::Utc>| {
        instant.format("%Y-%m-%d %H:%M:%S UTC").to_string()
    };
    let mut lines = vec![
        ("row", row.id.to_string()),
        ("state", row.state.clone()),
        ("quarantined", instant(&row.quarantined_at)),
        (
            "run",
            format!(
                "{}, {}, of pipeline `{}`",
                row.run, row.run_state, row.pipeline
            ),
        ),
        ("payload", row.payload.clone()),
        ("upload", row.upload.clone().unwrap_or_default()),
        ("cluster", row.cluster_id.clone().unwrap_or_default()),
        ("report", row.report.clone()),
        ("file", row.file.clone()),
        (
            "line",
            row.line.map_or_else(String::new, |line| line.to_string()),
        ),
        ("stage", row.stage.clone()),
        (
            "component",
            row.component_digest.clone().unwrap_or_default(),
        ),
        ("code", row.code.clone()),
        ("column", row.column_name.clone().unwrap_or_default()),
        ("message", row.message.clone()),
    ];
    if let Some(changed) = &row.changed_at {
        lines.push(("changed", instant(changed)));
    }
    if let Some(run) = row.resolved_by_run {
        lines.push(("resolved by", format!("run {run}")));
    }
    if let Some(reason) = &row.reason {
        lines.push(("reason", reason.clone()));
    }
    lines.push(("raw", String::from_utf8_lossy(&row.raw).into_owned()));
    for (name, value) in lines {
        terminal::text(format!("{name:<12} {}", visible(&value)).trim_end());
    }
}

/// Text from a payload, so that it cannot control a terminal.
fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|character| match character.is_control() {
            true => character.escape_default().collect::<Vec<_>>(),
            false => vec![character],
        })
        .collect()
}

fn discard(
    ids: &[i64],
    filter: &QuarantineFilter,
    reason: &str,
    database: &Database,
) -> Result<()> {
    if reason.trim().is_empty() {
        return Err(Failure::definition("`--reason` says nothing")
            .hint("it tells the next person why these rows were discarded"));
    }
    let mut filter = of(filter, database)?;
    let unfiltered = filter.source_uuid.is_none()
        && filter.run_id.is_none()
        && filter.stage.is_none()
        && filter.code.is_none();
    if ids.is_empty() && unfiltered {
        return Err(Failure::definition("nothing says which rows to discard")
            .hint("name rows, or `--source`, `--run`, `--stage` or `--code`"));
    }
    let named: BTreeSet<i64> = ids.iter().copied().collect();
    filter.ids = (!named.is_empty()).then(|| named.iter().copied().collect());
    let discarded = quarantine::discard(database, &filter, reason)?;
    terminal::say(&format!(
        "{} rows were discarded; `gristmill quarantine list --state discarded` shows them",
        grouped(discarded)
    ));
    let closed = (named.len() as u64).saturating_sub(discarded);
    if closed > 0 {
        terminal::say(&format!("{closed} of the rows named were not open"));
    }
    Ok(())
}

fn replay(
    pipeline: &PipelineArguments,
    source: Option<&str>,
    run_id: Option<i64>,
    json: bool,
    opened: impl FnOnce(&Plan) -> Result<(Database, usize)>,
) -> Result<()> {
    let engine = engine()?;
    let plan = plan(pipeline, &engine)?;
    let (database, workers) = opened(&plan)?;
    let lake = LakeFolds::of(&plan, &database)?;
    lake.as_ref().map_or(Ok(()), LakeFolds::end_on_signals)?;
    let replay = QuarantineReplay {
        archives: archives_of(&plan, &database)?,
        ingestion: Ingestion {
            plan: &plan,
            database: &database,
            workers,
            lake: lake.as_ref(),
            capture: None,
            turn: None,
        },
    };
    let source_uuid = source_uuid(source, &database)?;
    let uploads = quarantine::open_uploads(&database, source_uuid, run_id)?;
    if uploads.is_empty() {
        terminal::say("nothing to do, no row of these is open");
    }
    let (replayed, mut failures) = replay.uploads(uploads);
    if json {
        terminal::json(&replayed);
    } else {
        tell(&replayed);
    }
    let count = replayed.len();
    if failures.is_empty() || count == 1 {
        return failures.pop().map_or(Ok(()), Err);
    }
    let message = format!("{} of {count} payloads failed", failures.len());
    Err(Failure::of_several(message, failures))
}

fn tell(replayed: &[ReplayedRows]) {
    let rows: Vec<Vec<String>> = replayed
        .iter()
        .map(|one| {
            vec![
                one.payload.clone(),
                one.run
                    .map_or_else(|| "–".to_string(), |run| run.to_string()),
                grouped((one.rows_open_before - one.rows_open).unsigned_abs()),
                grouped(one.rows_open.unsigned_abs()),
            ]
        })
        .collect();
    if !rows.is_empty() {
        terminal::table(&["payload", "run", "resolved", "open"], &[1, 2, 3], &rows);
    }
}
