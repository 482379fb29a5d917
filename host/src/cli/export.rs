//! What is to be exported, as it is typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::DatabaseArguments;
use crate::diagnostics::days::DayOrMonth;

#[derive(Debug, Args)]
pub struct ExportArguments {
    /// A table or view with days, such as `reporting_ocpusagelineitem_daily_summary`, or
    /// `gristmill_day_view`, which says how each day stands
    #[arg(value_name = "TABLE")]
    pub table: String,
    /// The first day, or month (2026-10)
    #[arg(long, value_name = "DATE")]
    pub from: DayOrMonth,
    /// The last day or month; `--from` when absent
    #[arg(long, value_name = "DATE")]
    pub to: Option<DayOrMonth>,
    /// Rows of this cluster: its id, its alias or the source's uuid, or exactly
    /// `cluster:ID`, `alias:NAME` or `uuid:UUID`
    #[arg(long, value_name = "CLUSTER")]
    pub source: Option<String>,
    /// The format of the file
    #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
    pub format: ExportFormat,
    /// The file to write, which must not be there; standard output when absent, for CSV
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub database: DatabaseArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Csv,
    Parquet,
}
