//! Writing a stage and trying it out: no database, no cluster.

pub mod capture;
pub mod case;
pub mod changes;
pub mod harness;
pub mod project;
pub mod stage_folder;
mod toml_text;
