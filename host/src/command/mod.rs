//! The verbs of the command line, and what they share: reading a pipeline, opening
//! the database.

pub mod archive;
pub mod check;
pub mod clean;
pub mod days;
pub mod db;
mod difference;
pub mod export;
pub mod lock;
pub mod log;
pub mod quarantine;
mod removal;
pub mod replay;
pub mod run;
pub mod runs;
pub mod schema;
pub mod sources;
mod stage_alone;
pub mod stage_bench;
pub mod stage_build;
pub mod stage_inspect;
pub mod stage_new;
pub mod stage_run;
pub mod stage_test;
mod stage_watch;
pub mod status;
pub mod summarize;
pub mod tags;
pub mod tenants;
pub mod uploads;
pub mod verify;
pub mod watch;

use std::path::PathBuf;
use std::sync::Once;

use tokio::runtime::Runtime;

use crate::cli::{ConnectionsArguments, CreationArguments, DatabaseArguments, PipelineArguments};
use crate::database::{
    self, Connections, Database, DatabaseError, DatabaseUrl, SchemaAccess, SchemaName, Target,
};
use crate::diagnostics::failure::{Exit, Failure, Result};
use crate::diagnostics::problem::{Problem, Sources};
use crate::ingest;
use crate::pipeline::definition;
use crate::pipeline::lock as lock_file;
use crate::pipeline::plan::{self, AggregationEngine, Plan, Surroundings};
use crate::run::workers;
use crate::stage::{Compiler, Engine};

/// Reads and checks a pipeline; prints every problem when there is one.
fn plan(arguments: &PipelineArguments, engine: &Engine) -> Result<Plan> {
    plan_with(arguments, engine, None)
}

/// As `plan`; all is folded by the engine that is asked for.
fn plan_with(
    arguments: &PipelineArguments,
    engine: &Engine,
    asked: Option<AggregationEngine>,
) -> Result<Plan> {
    let shown = arguments.pipeline.display();
    let mut loaded = definition::load(&arguments.pipeline).map_err(|unreadable| {
        refuse(
            &unreadable.sources,
            &[unreadable.problem],
            &shown.to_string(),
        )
    })?;
    let lock = match arguments.locked {
        true => {
            let read = lock_file::read(&arguments.pipeline, &mut loaded.sources);
            Some(read.map_err(|problem| refuse(&loaded.sources, &[problem], &shown.to_string()))?)
        }
        false => None,
    };
    let postgres_pipeline = std::env::var("OCP_POSTGRES_PIPELINE").ok();
    let surroundings = Surroundings {
        engine,
        stage_folders: &stage_folders(&arguments.stages),
        postgres_pipeline: postgres_pipeline.as_deref(),
        asked_engine: asked,
        lock: lock.as_ref(),
    };
    plan::resolve(&loaded, &surroundings)
        .map_err(|problems| refuse(&loaded.sources, &problems, &shown.to_string()))
}

fn refuse(sources: &Sources, problems: &[Problem], pipeline: &str) -> Failure {
    let count = match problems.len() {
        1 => "a problem".to_string(),
        count => format!("{count} problems"),
    };
    let parts = problems.iter();
    let parts = parts.map(|problem| Failure::of_problem(sources, problem).at(pipeline));
    let mut failure = Failure::of_several(
        format!("pipeline `{pipeline}` has {count}"),
        parts.collect(),
    );
    // A definition that is wrong is to be mended first.
    if !problems.iter().all(|problem| problem.environment) {
        failure.exit = Exit::Definition;
    }
    failure
}

/// The engine, with its cache in the user's cache folder.
fn engine() -> Result<Engine> {
    let engine = Engine::new(cache().as_deref()).map_err(no_engine)?;
    Ok(engine.with_compiler(Compiler::Child))
}

/// An engine for measuring, with the same cache.
fn metered_engine() -> Result<Engine> {
    let engine = Engine::metered(cache().as_deref()).map_err(no_engine)?;
    Ok(engine.with_compiler(Compiler::Child))
}

fn no_engine(error: impl Into<anyhow::Error>) -> Failure {
    Failure::environment("cannot run WebAssembly here").because(error)
}

fn cache() -> Option<PathBuf> {
    std::env::var_os("GRISTMILL_CACHE")
        .map(PathBuf::from)
        .or_else(|| {
            std::env::var_os("XDG_CACHE_HOME").map(|home| PathBuf::from(home).join("gristmill"))
        })
        .or_else(|| {
            std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/gristmill"))
        })
}

/// `--stages`, then where components stand beside the program, or are installed with it.
fn stage_folders(named: &[PathBuf]) -> Vec<PathBuf> {
    let mut folders = named.to_vec();
    if let Some(folder) = std::env::current_exe()
        .ok()
        .and_then(|program| program.parent().map(PathBuf::from))
    {
        folders.push(folder.join("stages"));
        if let Some(parent) = folder.parent() {
            folders.push(parent.join("stages"));
            // As `make install` places them.
            folders.push(parent.join("share/gristmill/stages"));
        }
    }
    folders
}

/// A database with the connections that so many payloads can use side by side, and how
/// many workers each payload may have: more than there are COPYs would wait for one
/// another.
fn open_to_load(
    plan: &Plan,
    runtime: &Runtime,
    database: &DatabaseArguments,
    access: SchemaAccess,
    connections: ConnectionsArguments,
    payloads: u32,
) -> Result<(Database, usize)> {
    let target = Target {
        lock_wait: plan.lock_wait,
        ..target(database, access)
    };
    open_target_to_load(runtime, &target, connections.connections, payloads)
}

fn open_target_to_load(
    runtime: &Runtime,
    target: &Target,
    connections: Option<u32>,
    payloads: u32,
) -> Result<(Database, usize)> {
    let workers = workers();
    let pooled = ingest::connections(workers);
    let wanted = Connections::of(connections, pooled, payloads);
    let database = open_target(runtime, target, wanted)?;
    let workers = workers.min(database.connections().copies());
    Ok((database, workers))
}

/// Of a command that fills a schema which is empty.
fn fills(creation: CreationArguments) -> SchemaAccess {
    SchemaAccess::Fill {
        creates: creation.create_schema,
    }
}

fn target(arguments: &DatabaseArguments, access: SchemaAccess) -> Target {
    let schema = arguments.schema.clone();
    target_of(arguments.database_url.as_ref(), schema, access)
}

fn target_of(url: Option<&DatabaseUrl>, schema: SchemaName, access: SchemaAccess) -> Target {
    if let Some(url) = url
        && url.holds_password()
        && std::env::args_os().any(|argument| argument.to_string_lossy().contains(url.as_given()))
    {
        tracing::warn!(
            "a password on the command line can be read by everybody on this machine; \
             DATABASE_URL keeps it private"
        );
    }
    // Set to nothing means not set, as in other programs.
    let url = url.filter(|url| !url.is_empty());
    // Once, however often the database is opened.
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        if let Some(unused) = database::unused_variables(url.is_some()) {
            tracing::warn!("{unused}");
        }
    });
    Target {
        url: url.cloned(),
        schema,
        data_directory: database::default_data_directory(),
        lock_wait: plan::LOCK_WAIT,
        access,
    }
}

/// For a command that changes what a tenant has.
fn open(
    runtime: &Runtime,
    arguments: &DatabaseArguments,
    connections: impl Into<Connections>,
) -> Result<Database> {
    open_target(
        runtime,
        &target(arguments, SchemaAccess::Change),
        connections,
    )
}

/// For a command that only reads: nothing is migrated.
fn open_to_read(runtime: &Runtime, arguments: &DatabaseArguments) -> Result<Database> {
    open_target(runtime, &target(arguments, SchemaAccess::Read), 1)
}

fn open_target(
    runtime: &Runtime,
    target: &Target,
    connections: impl Into<Connections>,
) -> Result<Database> {
    runtime
        .block_on(Database::open(target, connections))
        .map_err(|error| unreachable_database(&error))
}

fn unreachable_database(error: &DatabaseError) -> Failure {
    let mut failure = Failure::environment(error.to_string());
    failure.hindrance = error.hindrance();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        failure.causes.push(cause.to_string());
        source = cause.source();
    }
    failure.hint = error.hint();
    failure.place = error.place();
    failure
}
