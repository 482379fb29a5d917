//! gristmill: runs TOML-declared pipelines of sandboxed WebAssembly stages over
//! OpenShift usage reports and loads what comes out into PostgreSQL.
//!
//! Each module is a room of `docs/architecture.md`, which says which of them may know
//! which.

pub mod authoring;
pub mod cli;
pub mod command;
pub mod database;
pub mod diagnostics;
pub mod fold;
#[doc(hidden)]
pub mod fuzzing;
pub mod ingest;
pub mod lake;
pub mod ledger;
pub mod load;
pub mod payload;
pub mod pipeline;
pub mod rows;
pub mod run;
pub mod stage;
pub mod terminal;
pub mod trino;
