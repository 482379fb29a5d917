//! The server that gristmill starts when it is given no URL: its name, its settings, and
//! hints for a reader whose server does not start. The crate `gristmill-local-postgres`
//! does the rest.

use std::path::Path;

use gristmill_local_postgres::{Application, Binaries, Durability, Error, LocalServer, PORT};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::error::DatabaseError;

/// The oldest major version that we support.
pub(super) const VERSION_MIN: u32 = 15;

const APPLICATION: Application = Application {
    name: "gristmill",
    folder: "postgres",
    settings_file: "gristmill.conf",
    settings: SETTINGS,
    environment: &[HUGE_PAGES],
    programs_variable: "GRISTMILL_PG_BIN",
    version_min: VERSION_MIN,
};

/// Without replication the log need not hold what a COPY into a new partition
/// wrote; it stays safe against crashes.
const SETTINGS: &str = "\
work_mem = 64MB
maintenance_work_mem = 128MB
wal_level = minimal
max_wal_senders = 0
jit = off
";

/// How the C library is told about huge pages, which the summary's hash tables gain
/// by: they have tens of megabytes, and are looked up in no order. Only glibc heeds it.
const HUGE_PAGES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");

/// Starts the local server of a data directory, or returns the one that runs.
///
/// # Errors
/// See [`gristmill_local_postgres::start`].
pub fn start_local(data_directory: &Path) -> Result<LocalServer, DatabaseError> {
    start(data_directory, Durability::Durable)
}

/// As [`start_local`], but what the server holds need not survive a crash: for tests.
///
/// # Errors
/// See [`gristmill_local_postgres::start`].
pub fn start_throwaway(data_directory: &Path) -> Result<LocalServer, DatabaseError> {
    start(data_directory, Durability::Throwaway)
}

fn start(data_directory: &Path, durability: Durability) -> Result<LocalServer, DatabaseError> {
    let started =
        gristmill_local_postgres::start(&APPLICATION, data_directory, durability, &|line| {
            tracing::info!("{line}");
        });
    started.map_err(DatabaseError::Local)
}

/// Stops the local server of a data directory; says whether there was one.
///
/// # Errors
/// See [`gristmill_local_postgres::stop`].
pub fn stop_local(data_directory: &Path) -> Result<bool, DatabaseError> {
    gristmill_local_postgres::stop(&APPLICATION, data_directory).map_err(DatabaseError::Local)
}

/// The programs that a new local server is made with.
///
/// # Errors
/// There are none that are new enough.
pub fn server_programs() -> Result<Binaries, DatabaseError> {
    Binaries::find(&APPLICATION).map_err(DatabaseError::Local)
}

/// How to connect to the server, whatever the user's environment has for others.
pub(super) fn options(server: &LocalServer) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(&server.socket_directory)
        .port(PORT)
        .username(server.name)
        .database(server.name)
        .ssl_mode(PgSslMode::Disable)
}

/// The next step for the reader, if we know one.
pub(super) fn hint(error: &Error) -> Option<String> {
    let hint = match error {
        Error::NoPrograms { .. } => {
            "install Postgres 15 or newer (Debian: `apt-get install postgresql`), set GRISTMILL_PG_BIN to the folder of its `postgres` program, or give --database-url".to_owned()
        }
        Error::ProgramsMismatch {
            directory,
            data_version,
        } => format!(
            "install Postgres {data_version} or set GRISTMILL_PG_BIN to its folder; or remove `{}` and load again",
            directory.display()
        ),
        Error::NotOurs { .. } => {
            "set GRISTMILL_DATA to a folder of your own, or give --database-url".to_owned()
        }
        Error::Untrusted { .. } => {
            "what is root's must be where nobody else can change the way to it; set GRISTMILL_DATA to such a folder, take it from others with `chown` and `chmod go-w`, or give --database-url".to_owned()
        }
        Error::NotReachable { user, .. } => format!(
            "set GRISTMILL_DATA to a folder that user `{user}` can enter, run as another user than root, or give --database-url"
        ),
        Error::NoSocketDirectory { .. } => {
            "set GRISTMILL_DATA to a folder with a shorter path, or give --database-url".to_owned()
        }
        Error::Busy { .. } => "try again when the other gristmill is done".to_owned(),
        Error::Start { log, .. } => format!("the whole log is `{}`", log.display()),
        Error::Stop { .. } => {
            "a session may be busy; try again when other gristmill processes have ended".to_owned()
        }
        Error::System { .. } if error.is_refusal() => {
            "gristmill did not put it there; look at it, and move it away if it is none of yours".to_owned()
        }
        Error::Program { .. } | Error::System { .. } => return None,
    };
    Some(hint)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn an_error_of_the_launcher_keeps_its_words_and_gets_a_hint() {
        let error = DatabaseError::Local(Error::ProgramsMismatch {
            directory: PathBuf::from("/data"),
            data_version: 14,
        });
        assert_eq!(
            error.to_string(),
            "`/data` was made by Postgres 14, whose programs are not here"
        );
        assert_eq!(
            error.hint().as_deref(),
            Some(
                "install Postgres 14 or set GRISTMILL_PG_BIN to its folder; or remove `/data` and load again"
            )
        );
    }

    #[test]
    fn the_cause_of_the_launchers_error_is_said_once() {
        let error = DatabaseError::Local(Error::System {
            doing: "open the log".to_owned(),
            source: io::ErrorKind::NotFound.into(),
        });
        assert_eq!(error.to_string(), "could not open the log");
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("entity not found"));
        assert_eq!(error.hint(), None);
    }
}
