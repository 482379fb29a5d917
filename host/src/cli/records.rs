//! How long `clean` keeps records, as it is typed.

use std::path::PathBuf;

use clap::Args;

use crate::pipeline::plan::{RETENTION_DAYS_RANGE, RecordRetention};

#[derive(Debug, Args)]
pub struct RecordArguments {
    /// The pipeline file whose `[retention]` says how long records are kept
    #[arg(long, value_name = "PIPELINE")]
    pub pipeline: Option<PathBuf>,
    /// Keep rows in quarantine, with their raw text, for so many days; 90 when nothing is said
    #[arg(long, value_name = "DAYS", value_parser = days())]
    pub quarantine_days: Option<u16>,
    /// Keep the row accounts of runs for so many days; 90 when nothing is said
    #[arg(long, value_name = "DAYS", value_parser = days())]
    pub row_accounts_days: Option<u16>,
    /// Keep the records of runs for so many days; 400 when nothing is said
    #[arg(long, value_name = "DAYS", value_parser = days())]
    pub runs_days: Option<u16>,
    /// Keep manifests that hold nothing any more, with the statuses of their files, for so
    /// many days; 400 when nothing is said
    #[arg(long, value_name = "DAYS", value_parser = days())]
    pub manifests_days: Option<u16>,
}

fn days() -> clap::builder::RangedI64ValueParser<u16> {
    let (least, most) = (RETENTION_DAYS_RANGE.start(), RETENTION_DAYS_RANGE.end());
    clap::value_parser!(u16).range(i64::from(*least)..=i64::from(*most))
}

impl RecordArguments {
    /// What is typed, and else what the pipeline says.
    pub fn over(&self, said: RecordRetention) -> RecordRetention {
        RecordRetention {
            quarantine_days: self.quarantine_days.unwrap_or(said.quarantine_days),
            row_accounts_days: self.row_accounts_days.unwrap_or(said.row_accounts_days),
            runs_days: self.runs_days.unwrap_or(said.runs_days),
            manifests_days: self.manifests_days.unwrap_or(said.manifests_days),
        }
    }
}
