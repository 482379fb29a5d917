//! All that Postgres is asked about the past: uploads and the days that they hold, runs,
//! sources, quarantine, the archive, tags, retention, what people did; who may read it, what is
//! exported of it, and whether two schemas hold the same.

pub mod action;
pub mod archive;
pub mod comparison;
pub mod difference;
pub mod export;
pub mod failed_runs;
pub mod fold_record;
pub mod lake_record;
pub mod makers;
pub mod publish;
pub mod quarantine;
pub mod readers;
pub mod removal;
pub mod retention;
pub mod reuse;
pub mod run_record;
pub mod scratch;
pub mod source;
mod staged_rows;
pub mod status;
pub mod summarize;
pub mod tags;
pub mod uploads;
pub mod warning;
