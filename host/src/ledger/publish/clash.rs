//! Tries transactions again that clash with another one (a deadlock, or rows that changed
//! in between), since nothing is wrong with them.

use std::time::Duration;

use crate::diagnostics::failure::Failure;
use crate::diagnostics::hindrance::Hindrance;

/// Tries of a transaction. Of two that meet, one goes on; of more, one each time.
const TRIES_MAX: u32 = 6;

/// The pause before the second try; it doubles with each. Together some three seconds.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// How often a transaction has been tried.
pub(in crate::ledger) struct Tries(u32);

impl Tries {
    pub(in crate::ledger) fn new() -> Self {
        Self(1)
    }

    /// Whether a failure is worth another try, after a pause.
    pub(in crate::ledger) async fn again(&mut self, failure: &Failure) -> bool {
        if failure.hindrance != Some(Hindrance::Clash) || self.0 == TRIES_MAX {
            return false;
        }
        tokio::time::sleep(PAUSE_FIRST * 2_u32.pow(self.0 - 1)).await;
        self.0 += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Runtime;

    use super::*;

    #[test]
    fn only_what_clashed_is_tried_again_and_not_for_ever() {
        let runtime = Runtime::new().unwrap();
        let again = |hindrance: Option<Hindrance>| {
            runtime.block_on(async {
                let failure = Failure::hindered(hindrance, "cannot publish");
                let mut tries = Tries::new();
                while tries.again(&failure).await {}
                tries.0
            })
        };
        assert_eq!(again(None), 1);
        assert_eq!(again(Some(Hindrance::Lost)), 1);
        assert_eq!(again(Some(Hindrance::Clash)), TRIES_MAX);
    }
}
