//! `gristmill verify`: whether another engine makes the same tables of a site's archived
//! payloads as engine `postgres`.

use std::process::exit;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::{engine, open_target, open_target_to_load, plan_with, target};
use crate::cli::VerifyArguments;
use crate::database::{CONNECTIONS_MIN, Database, SchemaAccess, SchemaName, Target};
use crate::diagnostics::days::Days;
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::scratch::{Removal, Scratch};
use crate::ledger::source;
use crate::pipeline::plan::AggregationEngine;
use crate::run::{
    Ingestion, LakeFolds, Replay, ScratchAccess, Verification, VerificationResult, VerifiedEngine,
    archives_of,
};
use crate::terminal::{self, grouped};

/// What is connected to the site's schema meanwhile: the session that holds the scratch
/// schemas, and one for look-ups.
const CONNECTIONS_OF_SITE: u32 = 2;

/// Shells add this to the number of the signal that ended a program.
const ENDED_BY_SIGNAL: i32 = 128;

/// # Errors
/// The pipeline has problems, a payload is not in the archive or fails, the database cannot
/// be reached, or the tables differ. The scratch schemas are dropped all the same.
pub fn execute(arguments: &VerifyArguments, runtime: &Runtime) -> Result<()> {
    let days = Days::between(arguments.days.from, arguments.days.to)?;
    let connections = connections(arguments)?;
    let stages = engine()?;
    let verified = AggregationEngine::named(&arguments.engine)
        .ok_or_else(|| Failure::definition("there is no such engine"))?;
    let plan = plan_with(&arguments.pipeline, &stages, Some(verified))?;
    let postgres = AggregationEngine::Postgres;
    let measure = plan_with(&arguments.pipeline, &stages, Some(postgres))?;
    let access = Access {
        runtime,
        target: Target {
            lock_wait: plan.lock_wait,
            ..target(&arguments.database, SchemaAccess::Change)
        },
        connections,
    };
    let database = open_target(runtime, &access.target, 1)?;
    let lake = LakeFolds::of(&plan, &database)?.map(LakeFolds::keeping_nothing);
    let site = Replay {
        archives: archives_of(&plan, &database)?,
        source: source::named(&database, &arguments.days.source)?,
        ingestion: Ingestion {
            plan: &plan,
            database: &database,
            workers: 1,
            lake: None,
            capture: None,
            turn: None,
        },
    };
    let payloads = site.replayables(days, "verified")?;
    let verification = Verification {
        engines: [
            VerifiedEngine {
                engine: postgres,
                plan: &measure,
                lake: None,
            },
            VerifiedEngine {
                engine: verified,
                plan: &plan,
                lake: lake.as_ref(),
            },
        ],
        access: &access,
    };
    let mut scratch = Scratch::make(&database, verification.engines.len())?;
    drop_on_signals(runtime, scratch.removal(), lake.as_ref())?;
    let result = verification.run(&site, &payloads, days, &mut scratch);
    let result = match (result, scratch.remove()) {
        (Err(failure), Err(also)) => return Err(failure.followed_by(&also)),
        (result, removed) => removed.and(result)?,
    };
    if arguments.json {
        terminal::json(&result);
    } else {
        show(&result);
    }
    last_word(&result, days)
}

/// How many connections a payload may have, where the user bounds them.
fn connections(arguments: &VerifyArguments) -> Result<Option<u32>> {
    let Some(given) = arguments.connections.connections else {
        return Ok(None);
    };
    let needed = CONNECTIONS_OF_SITE + CONNECTIONS_MIN;
    match given.checked_sub(CONNECTIONS_OF_SITE) {
        Some(left) if left >= CONNECTIONS_MIN => Ok(Some(left)),
        _ => Err(Failure::definition(format!(
            "`verify` needs {needed} connections, and `--connections` allows {given}"
        ))),
    }
}

/// Drops the scratch schemas when a signal ends the program, and ends it.
fn drop_on_signals(runtime: &Runtime, removal: Removal, lake: Option<&LakeFolds>) -> Result<()> {
    let _guard = runtime.enter();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind)
            .map_err(|error| Failure::environment("cannot wait for signals").because(error))?;
        let removal = removal.clone();
        let lake = lake.cloned();
        runtime.spawn(async move {
            signals.recv().await;
            let code = ENDED_BY_SIGNAL + kind.as_raw_value();
            terminal::say("dropping the scratch schemas; a second signal ends the program at once");
            let removed = tokio::select! {
                removed = async {
                    if let Some(lake) = &lake {
                        lake.cancel().await;
                    }
                    removal.remove().await
                } => removed.map(Some),
                _ = signals.recv() => Ok(None),
            };
            match &removed {
                Ok(Some(_)) => terminal::say("nothing was verified, and nothing is left behind"),
                Ok(None) => terminal::say("the next `verify` or `clean` drops the scratch schemas"),
                Err(failure) => terminal::failure(failure),
            }
            exit(code);
        });
    }
    Ok(())
}

fn show(result: &VerificationResult) {
    let rows: Vec<Vec<String>> = result
        .engines
        .iter()
        .map(|load| {
            vec![
                load.engine.to_string(),
                grouped(result.payloads as u64),
                grouped(load.rows_loaded),
                grouped(load.rows_folded),
                load.fold_seconds
                    .map_or_else(|| "–".to_string(), |seconds| format!("{seconds:.2} s")),
                format!("{:.2} s", load.seconds),
            ]
        })
        .collect();
    terminal::table(
        &[
            "engine",
            "payloads",
            "rows loaded",
            "folded before",
            "fold",
            "time",
        ],
        &[1, 2, 3, 4, 5],
        &rows,
    );
}

fn last_word(result: &VerificationResult, days: Days) -> Result<()> {
    let [measure, verified] = &result.engines[..] else {
        return Ok(());
    };
    let (left, right) = (
        format!("`{}`", measure.engine),
        format!("`{}`", verified.engine),
    );
    if let Some(difference) = &result.difference {
        return Err(Failure::run(format!(
            "engine {right} makes other tables than {left} of the payloads of {days}"
        ))
        .because(anyhow::anyhow!(difference.told("by", &left, &right)))
        .hint("nothing of the site was changed; please report this, with the row"));
    }
    if verified.rows_folded == 0 && verified.engine != measure.engine {
        terminal::say(&format!(
            "engine {right} had nothing to fold: all of it went to {left}, as additive uploads do"
        ));
    }
    terminal::say(&format!(
        "equal: {} tables with {} rows, of the payloads of {days}, by {left} and by {right}",
        result.tables,
        grouped(result.rows)
    ));
    Ok(())
}

/// Opens scratch schemas in the site's database.
struct Access<'a> {
    runtime: &'a Runtime,
    target: Target,
    connections: Option<u32>,
}

impl Access<'_> {
    fn target(&self, schema: &SchemaName) -> Target {
        Target {
            schema: schema.clone(),
            access: SchemaAccess::Fill { creates: true },
            ..self.target.clone()
        }
    }
}

impl ScratchAccess for Access<'_> {
    fn to_load(&self, schema: &SchemaName) -> Result<(Database, usize)> {
        open_target_to_load(self.runtime, &self.target(schema), self.connections, 1)
    }

    fn to_read(&self, schema: &SchemaName) -> Result<Database> {
        open_target(self.runtime, &self.target(schema), 1)
    }
}
