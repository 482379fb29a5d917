//! The errors of the database, each worded once for all of this room.
//!
//! `Display` gives this layer only; causes are reached through `source`, and the next
//! step through [`DatabaseError::hint`]. No text here ever holds a database URL as the
//! user wrote it, since that may hold a password.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use gristmill_local_postgres as launcher;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use super::connections::{CONNECTIONS_MIN, InVain};
use super::local;
use crate::diagnostics::failure::Failure;
use crate::diagnostics::hindrance::{self, Hindrance};

/// For whoever waited in vain for a lock of somebody else.
const LOCK_HINT: &str = "another session holds what this one waits for; `lock-wait` in `[limits]`, \
     10 min where nothing is said, is how long a lock is waited for";

/// Of the server's table of locks, which all transactions share.
const LOCK_TABLE: &str = "max_locks_per_transaction";

const LOCK_TABLE_HINT: &str = "the server's table of locks is full of what this transaction and others hold: a publish holds \
     dozens for each month and day that it changes; raise `max_locks_per_transaction` of the \
     server, or have fewer payloads published at a time (`--payloads-at-once` of `watch`)";

#[derive(Debug)]
pub enum DatabaseError {
    /// The text given as a database URL is none.
    InvalidUrl { reason: String },
    /// A variable of the environment that says where the database is cannot be read.
    InvalidVariable { name: String, expected: String },
    /// The server did not let us in.
    Connect { location: String, source: SqlError },
    /// A file of certificates or a key that connecting takes.
    Certificate {
        location: String,
        key: String,
        path: PathBuf,
        source: io::Error,
    },
    /// The server did not answer in time.
    ConnectTimeout { location: String, seconds: u64 },
    /// The server is older than the oldest that we support.
    ServerTooOld { location: String, version: u32 },
    /// Transactions may not write there.
    ReadOnly { location: String },
    /// A session could not be set up.
    Session { location: String, source: SqlError },
    /// Sessions there are not what we need.
    SessionRefused {
        location: String,
        reason: String,
        hint: String,
    },
    /// The role or the database may not have as many sessions as a command needs.
    NoConnectionLeft {
        location: String,
        needed: u32,
        of: String,
        left: u32,
    },
    /// A statement of ours failed.
    Statement { doing: String, source: SqlError },
    /// Another process migrates the schema, or holds a table that a migration needs.
    MigrationWaited { schema: String, seconds: u64 },
    /// What the schema has applied does not fit what this program carries.
    MigrationRefused {
        schema: String,
        reason: String,
        hint: String,
    },
    /// There is no schema of gristmill of that name.
    NoTenant {
        location: String,
        schema: String,
        is_there: bool,
        hint: String,
    },
    /// Names of ours are taken in the schema.
    SchemaOccupied { schema: String, names: String },
    /// Whoever only reads does not bring the schema up to date.
    SchemaOutdated { schema: String },
    /// A migration or function failed in Postgres.
    SqlFile {
        file: String,
        line: Option<usize>,
        source: SqlError,
    },
    /// There is no local server to use.
    Local(launcher::Error),
}

impl DatabaseError {
    /// A file of SQL in which a statement failed.
    pub(super) fn sql_file(file: String, sql: &str, error: sqlx::Error) -> Self {
        let source = SqlError(error);
        Self::SqlFile {
            file,
            line: line_of(sql, &source),
            source,
        }
    }

    pub(super) fn statement(doing: impl Into<String>) -> impl FnOnce(sqlx::Error) -> DatabaseError {
        let doing = doing.into();
        move |error| DatabaseError::Statement {
            doing,
            source: SqlError(error),
        }
    }

    /// The hindrance, unless it depends on who asks, and where: a command that lasts may
    /// wait for it to pass.
    pub fn hindrance(&self) -> Option<Hindrance> {
        match self {
            DatabaseError::Session { source, .. }
            | DatabaseError::Statement { source, .. }
            | DatabaseError::SqlFile { source, .. } => {
                let state = source.state()?;
                let about_us = ["28", "3D", "42", "25006"];
                let about_us = about_us.iter().any(|begin| state.starts_with(begin));
                source.hindrance().filter(|_| !about_us)
            }
            DatabaseError::Connect { .. } if self.is_full() => Some(Hindrance::Lasting),
            _ => None,
        }
    }

    /// Whether there is no room for our sessions, which others may make.
    pub(super) fn is_full(&self) -> bool {
        match self {
            DatabaseError::NoConnectionLeft { .. } => true,
            DatabaseError::Connect { source, .. } => source.state().as_deref() == Some("53300"),
            _ => false,
        }
    }

    /// Where to look: the database, or a file.
    pub fn place(&self) -> Option<String> {
        match self {
            DatabaseError::Certificate { path, .. } => Some(path.display().to_string()),
            DatabaseError::Connect { location, .. }
            | DatabaseError::ConnectTimeout { location, .. }
            | DatabaseError::ServerTooOld { location, .. }
            | DatabaseError::ReadOnly { location }
            | DatabaseError::Session { location, .. }
            | DatabaseError::SessionRefused { location, .. }
            | DatabaseError::NoConnectionLeft { location, .. } => Some(location.replace('`', "")),
            DatabaseError::MigrationWaited { schema, .. }
            | DatabaseError::MigrationRefused { schema, .. }
            | DatabaseError::NoTenant { schema, .. }
            | DatabaseError::SchemaOccupied { schema, .. }
            | DatabaseError::SchemaOutdated { schema } => Some(format!("schema {schema}")),
            DatabaseError::SqlFile { file, line, .. } => Some(match line {
                Some(line) => format!("{file}:{line}"),
                None => file.clone(),
            }),
            DatabaseError::InvalidUrl { .. } => Some("--database-url".to_owned()),
            DatabaseError::InvalidVariable { name, .. } => Some(name.clone()),
            DatabaseError::Statement { .. } | DatabaseError::Local(_) => None,
        }
    }

    /// The next step for the reader, if we know one.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            DatabaseError::InvalidUrl { .. } => {
                "a database URL looks like `postgresql://user@host:5432/database`".to_owned()
            }
            DatabaseError::InvalidVariable { .. } => {
                "gristmill reads the variables of `psql` for what the database URL leaves open; mend it or unset it".to_owned()
            }
            DatabaseError::Connect { source, .. } => return connect_hint(source),
            DatabaseError::Certificate { key, .. } => {
                format!("`{key}` names a file of this machine, which the user must be able to read")
            }
            DatabaseError::ConnectTimeout { .. } => {
                "check the host and port of the database URL, and that nothing in between drops the connection".to_owned()
            }
            DatabaseError::ReadOnly { .. } => {
                "it may be a standby, or be set so by `default_transaction_read_only`".to_owned()
            }
            DatabaseError::ServerTooOld { .. } => "use Postgres 15 or newer".to_owned(),
            DatabaseError::SessionRefused { hint, .. } => hint.clone(),
            DatabaseError::NoConnectionLeft { needed, .. } if *needed > CONNECTIONS_MIN => {
                format!("`--connections` may be as low as {CONNECTIONS_MIN}")
            }
            DatabaseError::NoConnectionLeft { of, .. } => {
                format!("raise the `CONNECTION LIMIT` of {of}, or try again when others have ended")
            }
            DatabaseError::Session { source, .. } if matches!(source.0, sqlx::Error::PoolTimedOut) => {
                InVain::now().hint()
            }
            DatabaseError::Session { source, .. }
            | DatabaseError::Statement { source, .. }
            | DatabaseError::SqlFile { source, .. } => {
                return server_hint(source);
            }
            DatabaseError::MigrationWaited { .. } => {
                "another gristmill is migrating or loading; try again when it is done".to_owned()
            }
            DatabaseError::MigrationRefused { hint, .. }
            | DatabaseError::NoTenant { hint, .. } => hint.clone(),
            DatabaseError::SchemaOccupied { .. } => {
                "nothing was changed; give gristmill a schema of its own: `--schema NAME --create-schema`".to_owned()
            }
            DatabaseError::SchemaOutdated { .. } => {
                "this command only reads; `gristmill db migrate` brings the schema up to date".to_owned()
            }
            DatabaseError::Local(error) => return local::hint(error),
        };
        Some(hint)
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseError::InvalidUrl { reason } => {
                write!(formatter, "the database URL cannot be used: {reason}")
            }
            DatabaseError::InvalidVariable { name, expected } => {
                write!(formatter, "{name} is {expected}")
            }
            DatabaseError::Connect { location, .. } => {
                write!(formatter, "could not connect to {location}")
            }
            DatabaseError::Certificate {
                location,
                key,
                path,
                ..
            } => {
                let shown = path.display();
                write!(
                    formatter,
                    "cannot read `{shown}`, the `{key}` of {location}"
                )
            }
            DatabaseError::ConnectTimeout { location, seconds } => {
                write!(formatter, "{location} did not answer within {seconds} s")
            }
            DatabaseError::ServerTooOld { location, version } => {
                write!(
                    formatter,
                    "{location} is Postgres {version}, which is too old"
                )
            }
            DatabaseError::ReadOnly { location } => {
                write!(formatter, "{location} takes no writes")
            }
            DatabaseError::Session { location, .. } => {
                write!(formatter, "could not begin a session on {location}")
            }
            DatabaseError::SessionRefused {
                location, reason, ..
            } => write!(formatter, "{location} cannot be used: {reason}"),
            DatabaseError::NoConnectionLeft {
                location,
                needed,
                of,
                left,
            } => write!(
                formatter,
                "{location}: {needed} connections are needed, and {of} has {left} left"
            ),
            DatabaseError::Statement { doing, .. } => write!(formatter, "could not {doing}"),
            DatabaseError::MigrationWaited { schema, seconds } => write!(
                formatter,
                "waited {seconds} s in vain to migrate schema `{schema}`"
            ),
            DatabaseError::MigrationRefused { schema, reason, .. } => {
                write!(formatter, "schema `{schema}` cannot be migrated: {reason}")
            }
            DatabaseError::NoTenant {
                location,
                schema,
                is_there,
                ..
            } => match is_there {
                true => write!(
                    formatter,
                    "schema `{schema}` of {location} has no tables of gristmill"
                ),
                false => write!(formatter, "there is no schema `{schema}` in {location}"),
            },
            DatabaseError::SchemaOccupied { schema, names } => write!(
                formatter,
                "schema `{schema}` has things of another product that are called as gristmill's: {names}"
            ),
            DatabaseError::SchemaOutdated { schema } => {
                write!(formatter, "an older gristmill made schema `{schema}`")
            }
            DatabaseError::SqlFile { file, line, .. } => {
                write!(formatter, "`{file}` failed")?;
                line.map_or(Ok(()), |line| write!(formatter, " at line {line}"))
            }
            DatabaseError::Local(error) => error.fmt(formatter),
        }
    }
}

impl Error for DatabaseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            DatabaseError::Connect { source, .. }
            | DatabaseError::Session { source, .. }
            | DatabaseError::Statement { source, .. }
            | DatabaseError::SqlFile { source, .. } => Some(source),
            DatabaseError::Certificate { source, .. } => Some(source),
            // Its own words are this layer's.
            DatabaseError::Local(error) => error.source(),
            _ => None,
        }
    }
}

/// An error of sqlx that says each thing once.
///
/// Its own text repeats its cause, and gives the line of Postgres's C source
/// where one expects a line of SQL.
#[derive(Debug)]
pub struct SqlError(pub sqlx::Error);

impl SqlError {
    /// A failure of what was being done: of the environment when that stood in the
    /// way, of the run when the database refused a statement.
    pub fn failure(self, doing: impl Into<String>) -> Failure {
        let hindrance = self.hindrance();
        let failure = Failure::hindered(hindrance, doing);
        let failure = match self.0 {
            sqlx::Error::PoolTimedOut => failure.hint(InVain::now().hint()),
            _ => failure,
        };
        match self.state().as_deref() {
            Some("55P03") => {
                // The function or the table whose lock it is.
                let server = self.server();
                let place = server.and_then(|server| server.r#where().map(str::to_owned));
                let mut failure = failure.because(self).hint(LOCK_HINT);
                failure.causes.extend(place);
                failure
            }
            _ if self.is_of_lock_table() => failure.because(self).hint(LOCK_TABLE_HINT),
            _ => failure.because(self),
        }
    }

    /// The hindrance that caused the error, if there is one.
    pub fn hindrance(&self) -> Option<Hindrance> {
        match &self.0 {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Some(Hindrance::Lost),
            // The server had no connection for us, or took too long to give one.
            sqlx::Error::PoolTimedOut => Some(Hindrance::Lasting),
            // Locks of others fill it, and end with their transactions.
            _ if self.is_of_lock_table() => Some(Hindrance::Clash),
            _ => hindrance::of_state(&self.state()?),
        }
    }

    /// The five characters by which Postgres names the kind of error.
    pub fn state(&self) -> Option<String> {
        sql_state(&self.0)
    }

    /// Whether the server's table of locks was full. The name of the setting is the same
    /// in all languages, and the state that of other memory as well.
    fn is_of_lock_table(&self) -> bool {
        let hint = self.server().and_then(PgDatabaseError::hint);
        self.state().as_deref() == Some("53200")
            && hint.is_some_and(|hint| hint.contains(LOCK_TABLE))
    }

    fn server(&self) -> Option<&PgDatabaseError> {
        self.0.as_database_error()?.try_downcast_ref()
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.server(), &self.0) {
            (Some(server), _) => {
                formatter.write_str(server.message())?;
                server
                    .detail()
                    .map_or(Ok(()), |detail| write!(formatter, "; {detail}"))
            }
            (None, sqlx::Error::Io(error)) => error.fmt(formatter),
            (None, sqlx::Error::PoolTimedOut) => InVain::now().fmt(formatter),
            (None, other) => other.fmt(formatter),
        }
    }
}

/// Without a cause of its own, since its text already has it.
impl Error for SqlError {}

/// The line of `sql` at which Postgres found the error.
pub(super) fn line_of(sql: &str, error: &SqlError) -> Option<usize> {
    match error.server()?.position()? {
        PgErrorPosition::Original(position) => {
            let before = sql.chars().take(position.saturating_sub(1));
            Some(1 + before.filter(|character| *character == '\n').count())
        }
        PgErrorPosition::Internal { .. } => None,
    }
}

pub(super) fn sql_state(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

fn connect_hint(error: &SqlError) -> Option<String> {
    let hint = match (error.state().as_deref(), &error.0) {
        (Some("28000" | "28P01"), _) => "check the user and password of the database URL",
        (Some("3D000"), _) => "create the database first, for example with `createdb`",
        (Some("53300"), _) => {
            "the server, the role or the database has no connection left; raise its limit, or try again when others have ended"
        }
        (Some("57P03"), _) => "the server is starting or stopping; try again in a moment",
        (Some(_), _) => return server_hint(error),
        (None, sqlx::Error::Io(_)) => {
            "check that the server runs, and the host and port of the database URL"
        }
        (None, sqlx::Error::Tls(_)) => {
            "`sslmode` in the database URL says which encryption to use, such as `?sslmode=disable`"
        }
        (None, _) => return None,
    };
    Some(hint.to_owned())
}

/// The hint that Postgres itself gave, or one for a lack of rights.
fn server_hint(error: &SqlError) -> Option<String> {
    if error.state().as_deref() == Some("42501") {
        let hint = "the role of the database URL must own the schema, or be allowed to create it";
        return Some(hint.to_owned());
    }
    error.server()?.hint().map(str::to_owned)
}
