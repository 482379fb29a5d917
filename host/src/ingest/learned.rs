//! The words that stages learn from a payload. Each is kept once, and their number is
//! bounded.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::lock;
use crate::diagnostics::failure::{Failure, Result};
use crate::ingest::chain::LearnedFacts;

/// A longer word counts once for each so many bytes that it has or begins.
const WORD_BYTES: usize = 256;

/// The words of a payload.
#[derive(Debug)]
pub(super) struct LearnedWords {
    words_max: u64,
    known: Mutex<KnownWords>,
}

#[derive(Debug, Default)]
struct KnownWords {
    /// The set or kind of each word, and the word.
    words: BTreeSet<(String, String)>,
    count: u64,
}

impl LearnedWords {
    pub(super) fn up_to(words_max: u64) -> Self {
        Self {
            words_max,
            known: Mutex::default(),
        }
    }

    /// Leaves only words that no part of the payload taught before. `report` is the kind
    /// of report whose columns nobody wanted.
    ///
    /// # Errors
    /// There are too many of them.
    pub(super) fn leave_new(&self, report: &str, learned: &mut LearnedFacts) -> Result<()> {
        let mut known = lock(&self.known);
        for (set, words) in &mut learned.words {
            self.leave_new_of(&mut known, &set.to_string(), words)?;
        }
        let columns = format!("columns of {report}");
        self.leave_new_of(&mut known, &columns, &mut learned.ignored_columns)
    }

    fn leave_new_of(
        &self,
        known: &mut KnownWords,
        of: &str,
        words: &mut Vec<String>,
    ) -> Result<()> {
        words.retain(|word| {
            // Once there are too many nothing more is remembered.
            let is_new =
                known.count <= self.words_max && known.words.insert((of.to_string(), word.clone()));
            if is_new {
                known.count += word.len().div_ceil(WORD_BYTES).max(1) as u64;
            }
            is_new
        });
        match known.count > self.words_max {
            false => Ok(()),
            true => Err(Failure::run(format!(
                "the stages learned more than {} words of the payload (`learned-words` in `[limits]`)",
                self.words_max
            ))
            .hint(format!(
                "label keys and columns that nobody wants are words; one of more than \
                {WORD_BYTES} bytes counts as several; nothing of the payload was published"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::definition::LearnedSet;

    fn learned(keys: &[&str], columns: &[&str]) -> LearnedFacts {
        let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        LearnedFacts {
            words: [(LearnedSet::TagKeys, owned(keys))].into(),
            ignored_columns: owned(columns),
            log: Vec::new(),
        }
    }

    #[test]
    fn a_word_is_learned_once_and_there_are_so_many() {
        let words = LearnedWords::up_to(5);
        let mut first = learned(&["a", "b", "a"], &["a"]);
        words.leave_new("pods", &mut first).unwrap();
        assert_eq!(first.words[&LearnedSet::TagKeys], ["a", "b"]);
        assert_eq!(first.ignored_columns, ["a"]);
        let mut second = learned(&["b", "c"], &["a"]);
        words.leave_new("pods", &mut second).unwrap();
        assert_eq!(second.words[&LearnedSet::TagKeys], ["c"]);
        assert!(second.ignored_columns.is_empty());
        // Of another kind of report it is another column, and the fifth word.
        words
            .leave_new("volumes", &mut learned(&[], &["a"]))
            .unwrap();
        let failure = words.leave_new("pods", &mut learned(&["d"], &[]));
        let failure = failure.unwrap_err();
        assert!(
            failure
                .message
                .contains("more than 5 words of the payload (`learned-words`"),
            "{failure}"
        );
    }

    #[test]
    fn a_long_word_counts_as_several() {
        let words = LearnedWords::up_to(5);
        let long = "x".repeat(4 * WORD_BYTES + 1);
        words
            .leave_new("pods", &mut learned(&[&long], &[]))
            .unwrap();
        assert!(words.leave_new("pods", &mut learned(&["a"], &[])).is_err());
    }
}
