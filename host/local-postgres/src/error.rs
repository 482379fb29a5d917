//! What can go wrong with the local server. Each error says what happened and where; what to do
//! about it is up to the application, which knows its own settings.

use std::error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::folder::Refused;

#[derive(Debug)]
pub enum Error {
    /// No Postgres server programs to start one from.
    NoPrograms { reason: String },
    /// The server programs that we found cannot open the data.
    ProgramsMismatch {
        directory: PathBuf,
        data_version: u32,
    },
    /// The data directory is another user's.
    NotOurs { directory: PathBuf, owner: u32 },
    /// We are root, and somebody else can change a folder that the data directory is in.
    Untrusted { path: PathBuf, reason: String },
    /// We are root, Postgres refuses root, and no other user can get there.
    NotReachable { directory: PathBuf, user: String },
    /// No folder whose socket path fits the kernel's limit could be used.
    NoSocketDirectory { reason: String },
    /// Another process has been starting or stopping the server for too long.
    Busy { lock: PathBuf, seconds: u64 },
    /// A server program ended with an error.
    Program { program: String, output: String },
    /// The server did not come up; `output` is the end of its log.
    Start { log: PathBuf, output: String },
    /// The server did not go down.
    Stop { process: i32, seconds: u64 },
    /// The operating system refused something.
    System { doing: String, source: io::Error },
}

impl Error {
    pub(crate) fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let doing = doing.into();
        move |source| Error::System { doing, source }
    }

    /// Whether something was where the server's files belong that the launcher does not touch:
    /// a link, a pipe, or another user's file.
    pub fn is_refusal(&self) -> bool {
        match self {
            Error::System { source, .. } => source
                .get_ref()
                .is_some_and(|reason| reason.is::<Refused>()),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoPrograms { reason } => {
                write!(formatter, "no Postgres server to start: {reason}")
            }
            Error::ProgramsMismatch {
                directory,
                data_version,
            } => write!(
                formatter,
                "{} was made by Postgres {data_version}, whose programs are not here",
                path_text(directory)
            ),
            Error::NotOurs { directory, owner } => write!(
                formatter,
                "data directory {} belongs to another user (uid {owner})",
                path_text(directory)
            ),
            Error::Untrusted { path, reason } => {
                write!(
                    formatter,
                    "{} is not to be trusted: {reason}",
                    path_text(path)
                )
            }
            Error::NotReachable { directory, user } => write!(
                formatter,
                "Postgres cannot run as root, and user `{user}` cannot enter {}",
                path_text(directory)
            ),
            Error::NoSocketDirectory { reason } => {
                write!(
                    formatter,
                    "no folder for the socket of the local server: {reason}"
                )
            }
            Error::Busy { lock, seconds } => write!(
                formatter,
                "another process has held {} for {seconds} s",
                path_text(lock)
            ),
            Error::Program { program, output } => {
                write!(formatter, "`{program}` failed{}", Block(output))
            }
            Error::Start { output, .. } => {
                write!(
                    formatter,
                    "the local Postgres did not start{}",
                    Block(output)
                )
            }
            Error::Stop { process, seconds } => write!(
                formatter,
                "the local Postgres (process {process}) did not stop within {seconds} s"
            ),
            Error::System { doing, .. } => write!(formatter, "could not {doing}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Error::System { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Another program's output as indented lines below the sentence.
struct Block<'a>(&'a str);

impl fmt::Display for Block<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .lines()
            .filter(|line| !line.trim().is_empty())
            .try_for_each(|line| write!(formatter, "\n  {}", line.trim_end()))
    }
}

pub(crate) fn path_text(path: &Path) -> String {
    format!("`{}`", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::refused;

    #[test]
    fn the_words_of_a_program_stand_below_the_sentence() {
        let error = Error::Program {
            program: "initdb".to_owned(),
            output: "\none  \n\n  two\n".to_owned(),
        };
        assert_eq!(error.to_string(), "`initdb` failed\n  one\n    two");
    }

    #[test]
    fn what_the_system_says_is_the_cause() {
        let error = Error::system("open the log")(io::ErrorKind::NotFound.into());
        assert_eq!(error.to_string(), "could not open the log");
        let cause = error::Error::source(&error).map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("entity not found"));
        assert!(!error.is_refusal());
    }

    #[test]
    fn a_link_in_the_way_is_a_refusal_and_a_lack_of_rights_is_none() {
        assert!(Error::system("open the log")(refused("it is a link")).is_refusal());
        let denied = io::ErrorKind::PermissionDenied.into();
        assert!(!Error::system("open the log")(denied).is_refusal());
    }
}
