//! How long the records of payloads are kept, by the definition or by default.

use std::ops::RangeInclusive;

use toml::Spanned;

use super::resolve::Resolver;
use crate::diagnostics::problem::Problem;
use crate::pipeline::definition::RetentionSection;

/// A day at least, since who looks needs one; ten years at most.
pub const RETENTION_DAYS_RANGE: RangeInclusive<u16> = 1..=3_650;

/// How long records are kept, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRetention {
    pub quarantine_days: u16,
    pub row_accounts_days: u16,
    pub runs_days: u16,
    /// For manifests which hold no day any more, with the statuses of their files.
    pub manifests_days: u16,
}

impl Default for RecordRetention {
    fn default() -> Self {
        Self {
            // Raw rows have people's names in them: a quarter to look at them.
            quarantine_days: 90,
            // They account for rows that are in quarantine.
            row_accounts_days: 90,
            // The same month of the last year can still be looked at.
            runs_days: 400,
            // With the runs that they came by.
            manifests_days: 400,
        }
    }
}

impl RecordRetention {
    /// As the definition says.
    ///
    /// # Errors
    /// A number of days is none.
    pub fn of(section: &RetentionSection) -> Result<Self, Problem> {
        let default = Self::default();
        let row_accounts = section.row_accounts_days.as_ref();
        Ok(Self {
            quarantine_days: days("quarantine-days", section.quarantine_days.as_ref())?
                .unwrap_or(default.quarantine_days),
            row_accounts_days: days("row-accounts-days", row_accounts)?
                .unwrap_or(default.row_accounts_days),
            runs_days: days("runs-days", section.runs_days.as_ref())?.unwrap_or(default.runs_days),
            manifests_days: days("manifests-days", section.manifests_days.as_ref())?
                .unwrap_or(default.manifests_days),
        })
    }
}

fn days(key: &str, said: Option<&Spanned<u16>>) -> Result<Option<u16>, Problem> {
    let Some(days) = said else {
        return Ok(None);
    };
    let range = RETENTION_DAYS_RANGE;
    if range.contains(days.get_ref()) {
        return Ok(Some(*days.get_ref()));
    }
    let (least, most) = (range.start(), range.end());
    let message = format!("`{key}` must be between {least} and {most} days");
    Err(Problem::new(days.span(), message))
}

impl Resolver<'_> {
    /// Only `clean` reads it, but what is wrong with it is wrong with the pipeline.
    pub(super) fn retention(&mut self) {
        if let Err(problem) = RecordRetention::of(&self.definition.retention) {
            self.add(problem);
        }
    }
}
