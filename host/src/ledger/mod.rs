//! All that Postgres is asked about the past: uploads and the days that they hold, runs,
//! sources, quarantine, the archive, tags, retention; and whether two schemas hold the same.

pub mod archive;
pub mod comparison;
pub mod difference;
pub mod fold_record;
pub mod lake_record;
pub mod publish;
pub mod quarantine;
pub mod retention;
pub mod reuse;
pub mod run_record;
pub mod source;
mod staged_rows;
pub mod status;
pub mod summarize;
pub mod tags;
