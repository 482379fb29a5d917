//! Row accounting of a file: how many rows went into each stage, and what became of them.
//! A payload whose sums differ is refused.

use serde::Serialize;

use crate::diagnostics::failure::Failure;

/// The last stage of every chain, as row accounting and quarantine name it.
pub const LOAD_STAGE: &str = "load";

/// The row accounting of one stage. The parser takes in the records of the file. The load
/// comes last, and Postgres counts the rows that come out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StageAccount {
    pub stage: String,
    pub rows_in: u64,
    /// Rows made besides the first of each row that went in.
    pub rows_repeated: u64,
    pub rows_out: u64,
    /// Rows of reused hours, which the parser read and did not hand on.
    pub rows_reused: u64,
    /// Left out on purpose.
    pub rows_filtered: u64,
    /// Gone to quarantine.
    pub rows_rejected: u64,
}

/// The row accounting of one file, stage by stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileAccount {
    pub file: String,
    pub stages: Vec<StageAccount>,
}

impl StageAccount {
    pub fn of(stage: &str) -> Self {
        Self {
            stage: stage.to_string(),
            ..Self::default()
        }
    }

    /// Adds what one batch came to.
    pub fn add(&mut self, rows_in: u64, rows_out: usize, rows_rejected: usize) {
        self.rows_in += rows_in;
        self.rows_out += rows_out as u64;
        self.rows_rejected += rows_rejected as u64;
    }

    /// Counts rows that came out as reused.
    pub fn reuse(&mut self, rows: u64) {
        self.rows_out -= rows;
        self.rows_reused += rows;
    }

    /// Adds another part of the accounting of the same stage.
    pub fn merge(&mut self, more: &Self) {
        self.rows_in += more.rows_in;
        self.rows_repeated += more.rows_repeated;
        self.rows_out += more.rows_out;
        self.rows_reused += more.rows_reused;
        self.rows_filtered += more.rows_filtered;
        self.rows_rejected += more.rows_rejected;
    }

    fn balances(&self) -> bool {
        self.rows_in + self.rows_repeated
            == self.rows_out + self.rows_reused + self.rows_filtered + self.rows_rejected
    }
}

impl FileAccount {
    /// Whether no row was lost or made up on the way: not in a stage, and not between
    /// two. `rows_rejected` is how many rows of the file are about to go to
    /// quarantine, and `rows_read` how many records there were.
    ///
    /// # Errors
    /// The first sum that is wrong, in words.
    pub fn balance(&self, rows_read: u64, rows_rejected: u64) -> Result<(), String> {
        let mut before = rows_read;
        let mut from = "the file";
        for account in &self.stages {
            let StageAccount {
                stage,
                rows_in,
                rows_repeated,
                rows_out,
                rows_reused,
                rows_filtered,
                rows_rejected,
            } = account;
            if *rows_in != before {
                return Err(format!(
                    "{before} rows came from {from}, but {rows_in} went into stage `{stage}`"
                ));
            }
            if !account.balances() {
                return Err(format!(
                    "{rows_in} rows went into stage `{stage}` and {rows_repeated} were repeated, \
                     but {rows_out} came out, {rows_reused} were reused, {rows_filtered} left out \
                     and {rows_rejected} rejected"
                ));
            }
            (before, from) = (*rows_out, stage);
        }
        let counted: u64 = self
            .stages
            .iter()
            .map(|account| account.rows_rejected)
            .sum();
        if counted != rows_rejected {
            return Err(format!(
                "stages rejected {counted} rows, but {rows_rejected} would go to quarantine"
            ));
        }
        Ok(())
    }
}

/// Refuses a payload whose sums differ. Neither payloads nor stages can cause that.
pub fn imbalance(sums: String) -> Failure {
    Failure::bug("the row accounting does not add up").because(anyhow::anyhow!(sums))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten records: one is no row, one is left out, one is repeated, one does not
    /// fit the table.
    fn balanced() -> FileAccount {
        let account =
            |stage: &str, rows_in, rows_repeated, rows_out, rows_filtered, rows_rejected| {
                StageAccount {
                    stage: stage.into(),
                    rows_in,
                    rows_repeated,
                    rows_out,
                    rows_reused: 0,
                    rows_filtered,
                    rows_rejected,
                }
            };
        FileAccount {
            file: "pods.csv".into(),
            stages: vec![
                account("csv-parse", 10, 0, 9, 0, 1),
                account("discount", 9, 1, 9, 1, 0),
                account(LOAD_STAGE, 9, 0, 8, 0, 1),
            ],
        }
    }

    #[track_caller]
    fn aborts(wrong: impl FnOnce(&mut FileAccount), words: &str) {
        let mut account = balanced();
        wrong(&mut account);
        assert_eq!(account.balance(10, 2), Err(words.into()));
    }

    #[test]
    fn books_that_balance_pass() {
        assert_eq!(balanced().balance(10, 2), Ok(()));
    }

    #[test]
    fn every_wrong_sum_aborts() {
        aborts(
            |account| account.stages[1].rows_out = 8,
            "9 rows went into stage `discount` and 1 were repeated, \
             but 8 came out, 0 were reused, 1 left out and 0 rejected",
        );
        aborts(
            |account| account.stages[1].rows_filtered = 2,
            "9 rows went into stage `discount` and 1 were repeated, \
             but 9 came out, 0 were reused, 2 left out and 0 rejected",
        );
        aborts(
            |account| account.stages[1].rows_repeated = 0,
            "9 rows went into stage `discount` and 0 were repeated, \
             but 9 came out, 0 were reused, 1 left out and 0 rejected",
        );
        // The file holds more than the parser took.
        aborts(
            |account| {
                account.stages[0].rows_in = 9;
                account.stages[0].rows_rejected = 0;
            },
            "10 rows came from the file, but 9 went into stage `csv-parse`",
        );
        // Postgres counts other rows than were sent.
        aborts(
            |account| account.stages[2].rows_out = 7,
            "9 rows went into stage `load` and 0 were repeated, \
             but 7 came out, 0 were reused, 0 left out and 1 rejected",
        );
        // Rows vanish between two stages.
        aborts(
            |account| {
                account.stages[2].rows_in = 8;
                account.stages[2].rows_out = 7;
            },
            "9 rows came from discount, but 8 went into stage `load`",
        );
    }

    #[test]
    fn sums_that_differ_are_a_bug_to_report() {
        let mut account = balanced();
        account.stages[2].rows_out = 7;
        let failure = imbalance(account.balance(10, 2).unwrap_err());
        assert_eq!(
            failure.to_string(),
            "the row accounting does not add up\n  9 rows went into stage `load` and 0 were \
             repeated, but 7 came out, 0 were reused, 0 left out and 1 rejected"
        );
        assert_eq!(
            failure.hint.as_deref(),
            Some(
                "this is a bug of gristmill: please report it at \
                 https://github.com/gristmill/gristmill/issues with this message, the output of \
                 `gristmill --version` and what was run"
            )
        );
    }

    #[test]
    fn rows_that_are_reused_are_not_lost() {
        let mut account = balanced();
        account.stages[0].reuse(4);
        account.stages[1].rows_in -= 4;
        account.stages[1].rows_out -= 4;
        account.stages[2].rows_in -= 4;
        account.stages[2].rows_out -= 4;
        assert_eq!(account.balance(10, 2), Ok(()));
        aborts(
            |account| account.stages[0].rows_reused = 4,
            "10 rows went into stage `csv-parse` and 0 were repeated, \
             but 9 came out, 4 were reused, 0 left out and 1 rejected",
        );
    }

    #[test]
    fn what_is_rejected_and_not_quarantined_aborts() {
        assert_eq!(
            balanced().balance(10, 1),
            Err("stages rejected 2 rows, but 1 would go to quarantine".into())
        );
    }
}
