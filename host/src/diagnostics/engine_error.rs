//! What can go wrong with the servers of an engine, object storage and Trino, and whether
//! anything can be done about it from here.

use std::fmt;

use crate::diagnostics::failure::Failure;
use crate::diagnostics::hindrance::Hindrance;

/// What an error of an engine asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineFault {
    /// Another try, of the statement or of the whole fold, may succeed.
    Passing,
    /// The server does not answer, after all that was tried: another engine can do it.
    Unreachable,
    /// Somebody has to do something first: credentials, rights, settings.
    Wrong,
}

/// An error of an engine's server. The failure says what to do.
#[derive(Debug)]
pub struct EngineError {
    pub fault: EngineFault,
    pub failure: Failure,
}

pub type EngineResult<T> = std::result::Result<T, EngineError>;

impl EngineError {
    pub fn passing(message: impl Into<String>) -> Self {
        Self::new(EngineFault::Passing, Hindrance::Passing, message)
    }

    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(EngineFault::Unreachable, Hindrance::Lasting, message)
    }

    pub fn wrong(message: impl Into<String>) -> Self {
        Self::new(EngineFault::Wrong, Hindrance::Lasting, message)
    }

    fn new(fault: EngineFault, hindrance: Hindrance, message: impl Into<String>) -> Self {
        Self {
            fault,
            failure: Failure::hindered(Some(hindrance), message),
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.failure = self.failure.hint(hint);
        self
    }

    /// Adds what the server, or the system, said.
    #[must_use]
    pub fn saying(mut self, words: impl Into<String>) -> Self {
        self.failure.causes.push(words.into());
        self
    }

    /// Puts a sentence on top: what was being done.
    #[must_use]
    pub fn within(mut self, message: impl Into<String>) -> Self {
        self.failure = self.failure.within(message);
        self
    }
}

/// What is wrong without a server's doing is wrong until somebody mends it.
impl From<Failure> for EngineError {
    fn from(failure: Failure) -> Self {
        Self {
            fault: EngineFault::Wrong,
            failure,
        }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(formatter)
    }
}
