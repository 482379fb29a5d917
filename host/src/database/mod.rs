//! The database: reaching it, starting one where there is none, and its schema.
//!
//! Others get a [`Database`] whose connections resolve names in the tenant's
//! schema, which is migrated. What the tables mean is none of this
//! folder's business, and nothing here prints: what takes time is told to a
//! callback.

mod address;
mod connections;
mod error;
mod local;
mod migrate;
mod schema_name;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::address::Address;

pub use self::address::{DatabaseUrl, without_passwords};
pub use self::connections::{CONNECTIONS_MIN, Connections};
pub use self::error::{DatabaseError, SqlError};
pub use self::local::{Binaries, Durability, LocalServer};
pub use self::migrate::Migrated;
pub use self::schema_name::{SchemaName, SchemaNameError};

/// How long a server may take to answer.
const CONNECT_SECONDS_MAX: u64 = 15;

/// Which database to use, as the command line and environment say.
#[derive(Clone, Debug)]
pub struct Target {
    /// From `--database-url` or `DATABASE_URL`; without it the local server.
    pub url: Option<DatabaseUrl>,
    pub schema: SchemaName,
    /// Where the local server lives; see [`default_data_directory`].
    pub data_directory: PathBuf,
}

/// A migrated schema of a database, and connections to it.
#[derive(Clone, Debug)]
pub struct Database {
    pool: PgPool,
    connections: Connections,
    copies: Arc<Semaphore>,
    schema: SchemaName,
    location: String,
    migrated: Migrated,
}

impl Database {
    /// Connects, starting the local server if there is no URL, and brings the
    /// schema up to date. `say` is told of every step that takes time.
    pub async fn open(
        target: &Target,
        connections: impl Into<Connections>,
        say: &dyn Fn(&str),
    ) -> Result<Database, DatabaseError> {
        let (server, mut connection) = Server::reach(target, say).await?;
        let connections = connections.into();
        let connections = connections
            .within(&mut connection, &server.location)
            .await?;
        connections::remember_budget(connections);
        let migrated = migrate::bring_up_to_date(&mut connection, &target.schema, say).await?;
        sqlx::query("SELECT ensure_current_months()")
            .execute(&mut connection)
            .await
            .map_err(DatabaseError::statement(
                "create partitions of these months",
            ))?;
        // A connection that is not closed well is closed all the same.
        let _ = connection.close().await;

        let search_path = format!("{},public", target.schema);
        let pool = PgPoolOptions::new()
            .max_connections(connections.pooled())
            .acquire_timeout(Duration::from_secs(connections::WAIT_SECONDS_MAX))
            .connect_lazy_with(session(server.options, &search_path));
        Ok(Database {
            pool,
            connections,
            copies: Arc::new(Semaphore::new(connections.copies())),
            schema: target.schema.clone(),
            location: server.location,
            migrated,
        })
    }

    /// Connections whose search path is the schema, then `public`.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// What there is to be shared among those at work.
    pub fn connections(&self) -> Connections {
        self.connections
    }

    /// Waits until a COPY may take one of the connections.
    ///
    /// # Errors
    /// The database was closed.
    pub async fn copy_permit(&self) -> Result<OwnedSemaphorePermit, sqlx::Error> {
        let permit = Arc::clone(&self.copies).acquire_owned();
        permit.await.map_err(|_| sqlx::Error::PoolClosed)
    }

    pub fn schema(&self) -> &SchemaName {
        &self.schema
    }

    /// Where the database is, for messages; holds no password.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// What opening had to do to the schema.
    pub fn migrated(&self) -> &Migrated {
        &self.migrated
    }
}

/// The text of every migration, in order; says what tables there are without a
/// database.
pub fn migrations() -> impl Iterator<Item = &'static str> {
    migrate::texts()
}

/// The URL of the target's database for psql and its like, as the user gave it
/// or that of the local server, which is started if need be. It may hold a password.
pub fn url(target: &Target, say: &dyn Fn(&str)) -> Result<String, DatabaseError> {
    match &target.url {
        // One that cannot be used is of use to nobody, and not to be repeated.
        Some(url) => Address::of(url).map(|_| url.as_given().to_owned()),
        None => Ok(start_local(&target.data_directory, say)?.url()),
    }
}

/// Starts the local server of a data directory, or returns the one that runs.
pub fn start_local(
    data_directory: &Path,
    say: &dyn Fn(&str),
) -> Result<LocalServer, DatabaseError> {
    local::start(data_directory, Durability::Durable, say)
}

/// As [`start_local`], but what the server holds need not survive a crash: for tests.
pub fn start_throwaway(
    data_directory: &Path,
    say: &dyn Fn(&str),
) -> Result<LocalServer, DatabaseError> {
    local::start(data_directory, Durability::Throwaway, say)
}

/// Stops the local server of a data directory; says whether there was one.
pub fn stop_local(data_directory: &Path) -> Result<bool, DatabaseError> {
    local::stop(data_directory)
}

/// Where gristmill keeps its data unless told otherwise: `GRISTMILL_DATA`, else
/// `/var/lib/gristmill` for root, else the user's data folder.
pub fn default_data_directory() -> PathBuf {
    let root = rustix::process::geteuid().is_root();
    data_directory(root, env::home_dir(), |name| env::var_os(name))
}

fn data_directory(
    root: bool,
    home: Option<PathBuf>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> PathBuf {
    let folder = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(directory) = folder("GRISTMILL_DATA") {
        return directory;
    }
    if root {
        return PathBuf::from("/var/lib/gristmill");
    }
    folder("XDG_DATA_HOME")
        // The specification has relative paths ignored.
        .filter(|directory| directory.is_absolute())
        .or_else(|| Some(home?.join(".local/share")))
        .map_or_else(
            || PathBuf::from(".gristmill"),
            |base| base.join("gristmill"),
        )
}

/// How to reach the server of a target.
struct Server {
    options: PgConnectOptions,
    location: String,
}

impl Server {
    /// Returns it with a first connection, which sees the schema alone.
    async fn reach(
        target: &Target,
        say: &dyn Fn(&str),
    ) -> Result<(Server, PgConnection), DatabaseError> {
        let server = Server::of(target, say)?;
        let connected = match server.connect(&target.schema).await {
            // Somebody stopped the local server just after we found it running.
            Err(DatabaseError::Connect { .. }) if target.url.is_none() => {
                let server = Server::of(target, say)?;
                let connection = server.connect(&target.schema).await?;
                return Ok((server, connection));
            }
            connected => connected?,
        };
        Ok((server, connected))
    }

    fn of(target: &Target, say: &dyn Fn(&str)) -> Result<Server, DatabaseError> {
        match &target.url {
            Some(url) => {
                let Address { options, location } = Address::of(url)?;
                Ok(Server { options, location })
            }
            None => {
                let local = start_local(&target.data_directory, say)?;
                Ok(Server {
                    options: local.options(),
                    location: format!("the local Postgres in `{}`", local.directory.display()),
                })
            }
        }
    }

    async fn connect(&self, schema: &SchemaName) -> Result<PgConnection, DatabaseError> {
        let lock_timeout = format!("{}s", migrate::LOCK_SECONDS_MAX);
        let options = session(self.options.clone(), schema.as_str())
            .options([("lock_timeout", lock_timeout)]);
        let limit = Duration::from_secs(CONNECT_SECONDS_MAX);
        let connection = match tokio::time::timeout(limit, options.connect()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(source)) => {
                return Err(DatabaseError::Connect {
                    location: self.location.clone(),
                    source: SqlError(source),
                });
            }
            Err(_) => {
                return Err(DatabaseError::ConnectTimeout {
                    location: self.location.clone(),
                    seconds: CONNECT_SECONDS_MAX,
                });
            }
        };
        match connection.server_version_num() {
            Some(number) if number / 10_000 < local::VERSION_MIN => {
                Err(DatabaseError::ServerTooOld {
                    location: self.location.clone(),
                    version: number / 10_000,
                })
            }
            _ => Ok(connection),
        }
    }
}

/// The settings of every session of ours, whatever server and role it is on.
/// sqlx itself sets the time zone to UTC.
fn session(options: PgConnectOptions, search_path: &str) -> PgConnectOptions {
    options.application_name("gristmill").options([
        ("search_path", search_path),
        ("client_min_messages", "warning"),
        // A summary may take long; a client that hangs must not hold locks for long.
        ("statement_timeout", "0"),
        ("idle_in_transaction_session_timeout", "10min"),
        // Compiling our queries costs more than it saves.
        ("jit", "off"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn resolved(root: bool, variables: &[(&str, &str)], expected: &str) {
        let home = Some(PathBuf::from("/home/alice"));
        let found = data_directory(root, home, |name| {
            let (_, value) = variables.iter().find(|(other, _)| *other == name)?;
            Some(OsString::from(value))
        });
        assert_eq!(found, Path::new(expected));
    }

    #[test]
    fn the_data_directory_follows_the_environment() {
        let both = [("GRISTMILL_DATA", "/here"), ("XDG_DATA_HOME", "/data")];
        resolved(false, &[], "/home/alice/.local/share/gristmill");
        resolved(false, &both, "/here");
        resolved(false, &both[1..], "/data/gristmill");
        resolved(
            false,
            &[("XDG_DATA_HOME", "data")],
            "/home/alice/.local/share/gristmill",
        );
        resolved(
            false,
            &[("GRISTMILL_DATA", "")],
            "/home/alice/.local/share/gristmill",
        );
        resolved(true, &[], "/var/lib/gristmill");
        resolved(true, &both, "/here");
    }
}
