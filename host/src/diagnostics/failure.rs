//! The failure of a command.
//!
//! A `Failure` is made where it is understood and carries everything that the user is
//! told: one sentence, the causes below it, a next step, and one of the exit codes. It
//! does not print itself; `main` does.

use std::fmt;

use crate::diagnostics::hindrance::Hindrance;
use crate::diagnostics::problem::{Problem, Sources};

/// Why the program stops, as told by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The run failed: the payload, a stage or a statement.
    Run = 1,
    /// The definition or the arguments are wrong.
    Definition = 2,
    /// The environment is: the database cannot be reached, a component is missing.
    Environment = 3,
}

/// A refusal or an error, ready to be shown.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// A lowercase sentence without a full stop: what was being done, to what.
    pub message: String,
    /// From the nearest cause to the root.
    pub causes: Vec<String>,
    /// The next step, where we know one.
    pub hint: Option<String>,
    /// The hindrance that caused it, where there is one.
    pub hindrance: Option<Hindrance>,
    /// Where to look: a file, with line and column where it has them, an argument, a
    /// database.
    pub place: Option<String>,
    /// The text for people, where that shows more than sentence, causes and hint.
    pub excerpt: Option<String>,
    /// The failures that this one sums up.
    pub parts: Vec<Failure>,
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub fn run(message: impl Into<String>) -> Self {
        Self::new(Exit::Run, message)
    }

    pub fn definition(message: impl Into<String>) -> Self {
        Self::new(Exit::Definition, message)
    }

    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(Exit::Environment, message)
    }

    /// A failure that gristmill alone can cause, with the way to report it.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::run(message).hint(concat!(
            "this is a bug of gristmill: please report it at ",
            env!("CARGO_PKG_REPOSITORY"),
            "/issues with this message, the output of `gristmill --version` and what was run"
        ))
    }

    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            hindrance: None,
            place: None,
            excerpt: None,
            parts: Vec::new(),
        }
    }

    /// A problem of a file that a person wrote, with its place and the line that it is in.
    pub fn of_problem(sources: &Sources, problem: &Problem) -> Self {
        let exit = match problem.environment {
            true => Exit::Environment,
            false => Exit::Definition,
        };
        Self {
            hint: problem.hint.clone(),
            place: problem.span.as_ref().and_then(|span| sources.place(span)),
            excerpt: Some(sources.render(problem)),
            ..Self::new(exit, problem.message.clone())
        }
    }

    /// The sum of several failures, as grave as the gravest of them.
    pub fn of_several(message: impl Into<String>, parts: Vec<Self>) -> Self {
        let exits = parts.iter().map(|part| part.exit);
        let exit = exits.max_by_key(|exit| *exit as u8).unwrap_or(Exit::Run);
        Self {
            parts,
            ..Self::new(exit, message)
        }
    }

    /// A failure of the environment when there is a hindrance, else of the run.
    pub fn hindered(hindrance: Option<Hindrance>, message: impl Into<String>) -> Self {
        let exit = match hindrance {
            Some(_) => Exit::Environment,
            None => Exit::Run,
        };
        Self {
            hindrance,
            ..Self::new(exit, message)
        }
    }

    /// The same, but of the surroundings: this stood in the way.
    #[must_use]
    pub fn hindered_by(mut self, hindrance: Hindrance) -> Self {
        self.exit = Exit::Environment;
        self.hindrance = Some(hindrance);
        self
    }

    /// Adds an error and the chain of its sources below the message.
    #[must_use]
    pub fn because(mut self, error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        self.causes
            .extend(error.chain().map(|cause| cause.to_string()));
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says where to look, unless that is known better.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place.get_or_insert_with(|| place.into());
        self
    }

    /// A next step for want of a better one.
    #[must_use]
    pub fn hint_if_none(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Adds a failure that came after this one, unless both tell of the same lost
    /// connection.
    #[must_use]
    pub fn followed_by(mut self, also: &Self) -> Self {
        let both_lost = [&self, also]
            .iter()
            .all(|failure| failure.hindrance == Some(Hindrance::Lost));
        if !both_lost {
            self.causes.push(also.to_string());
        }
        self
    }

    /// Puts a sentence on top: what the caller was doing when this happened.
    #[must_use]
    pub fn within(mut self, message: impl Into<String>) -> Self {
        let inner = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, inner);
        self
    }
}

impl Exit {
    /// The word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Definition => "definition",
            Self::Environment => "environment",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        for cause in &self.causes {
            for line in cause.lines() {
                write!(formatter, "\n  {line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_told_once() {
        let lost = |message: &str| Failure::hindered(Some(Hindrance::Lost), message);
        let failure = lost("cannot load").followed_by(&lost("cannot remove the rows"));
        assert_eq!(failure.to_string(), "cannot load");
        let failure = Failure::run("cannot load").followed_by(&lost("cannot close the record"));
        assert_eq!(
            failure.to_string(),
            "cannot load\n  cannot close the record"
        );
    }
}
