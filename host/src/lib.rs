//! gristmill: runs TOML-declared pipelines of sandboxed WebAssembly stages over
//! OpenShift usage reports and loads what comes out into PostgreSQL.

pub mod archive;
pub mod batch;
pub mod books;
pub mod capture;
pub mod case;
pub mod chain;
pub mod cli;
pub mod command;
pub mod database;
pub mod days;
pub mod definition;
pub mod difference;
pub mod digest;
pub mod failure;
#[doc(hidden)]
pub mod fuzzing;
pub mod header;
pub mod hours;
pub mod inbox;
pub mod ingest;
mod known_texts;
pub mod ledger;
pub mod load;
pub mod lock;
pub mod log_book;
pub mod payload;
pub mod plan;
pub mod printable;
pub mod problem;
pub mod project;
pub mod publish;
pub mod quarantine;
pub mod report;
pub mod retention;
pub mod run_record;
pub mod schema;
pub mod source;
pub mod stage;
pub mod stage_folder;
mod staged_rows;
pub mod staging;
pub mod step;
pub mod summarize;
pub mod tags;
pub mod takeover;
pub mod trial;
