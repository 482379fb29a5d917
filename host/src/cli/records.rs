//! The days that `clean` keeps records, as they are typed.

use std::path::PathBuf;

use clap::Args;

use crate::pipeline::plan::{RETENTION_DAYS_RANGE, RecordRetention};

#[derive(Debug, Args)]
pub struct RecordArguments {
    /// The pipeline file whose `[retention]` says how long records are kept, and whose lake is
    /// cleaned too
    #[arg(long, value_name = "PIPELINE")]
    pub pipeline: Option<PathBuf>,
    /// Keep rows in quarantine, with their raw text, for this many days; 90 by default
    #[arg(long, value_name = "DAYS", value_parser = days())]
    pub quarantine_days: Option<u16>,
    /// Keep the row accounting of runs for this many days; 90 by default
    #[arg(long, value_name = "DAYS", value_parser = days())]
    pub row_accounts_days: Option<u16>,
    /// Keep the records of runs for this many days; 400 by default
    #[arg(long, value_name = "DAYS", value_parser = days())]
    pub runs_days: Option<u16>,
    /// Keep manifests that hold no day any more, with the statuses of their files, for
    /// this many days; 400 by default
    #[arg(long, value_name = "DAYS", value_parser = days())]
    pub manifests_days: Option<u16>,
}

fn days() -> clap::builder::RangedI64ValueParser<u16> {
    let (least, most) = (RETENTION_DAYS_RANGE.start(), RETENTION_DAYS_RANGE.end());
    clap::value_parser!(u16).range(i64::from(*least)..=i64::from(*most))
}

impl RecordArguments {
    /// Takes the typed numbers, and for the others those of the pipeline.
    pub fn over(&self, said: RecordRetention) -> RecordRetention {
        RecordRetention {
            quarantine_days: self.quarantine_days.unwrap_or(said.quarantine_days),
            row_accounts_days: self.row_accounts_days.unwrap_or(said.row_accounts_days),
            runs_days: self.runs_days.unwrap_or(said.runs_days),
            manifests_days: self.manifests_days.unwrap_or(said.manifests_days),
        }
    }
}
