//! The ledger: all that Postgres is asked about the past. It knows uploads and the days
//! that they hold, runs, sources, quarantine, the archive, tags, retention.

pub mod archive;
pub mod difference;
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
