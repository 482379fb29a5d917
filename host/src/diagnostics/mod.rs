//! Small types that every room may use: how a command fails, places in files, text that
//! is fit to be shown, failpoints, days.

pub mod counters;
pub mod days;
pub mod engine_error;
pub mod failpoint;
pub mod failure;
pub mod file_kind;
pub mod hindrance;
pub mod log_line;
pub mod printable;
pub mod problem;
pub mod secret;
