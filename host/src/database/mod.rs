//! The database: connects to it, starts one where there is none, and migrates its schema.
//!
//! Others get a [`Database`] whose connections resolve names in the tenant's schema. This
//! room does not know what the tables mean, and prints nothing: it tells a callback what
//! takes time.

mod address;
mod connections;
mod environment;
mod error;
mod held_sessions;
mod history;
mod local;
mod migrate;
mod migration_lock;
mod migration_progress;
mod occupied;
mod probe;
mod replaceables;
mod rights;
mod schema_access;
mod schema_name;
mod session;
mod set_aside;
mod target_session;
mod tenants;
pub mod waiting;

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::address::Address;
use self::connections::Looks;
use self::held_sessions::HeldSessions;
use self::migration_progress::Progress;
use self::session::{Session, SessionError};
use self::target_session::TargetSession;

pub use self::address::{DatabaseUrl, without_passwords};
pub use self::connections::{CONNECTIONS_MIN, Connections};
pub use self::environment::unused_variables;
pub use self::error::{DatabaseError, SqlError};
pub use self::local::{server_programs, start_local, start_throwaway, stop_local};
pub use self::migrate::MigrationCounts;
pub use self::probe::probe;
pub use self::schema_access::SchemaAccess;
pub use self::schema_name::{SchemaName, SchemaNameError};
pub use self::tenants::{Tenant, TenantCondition, tenants};

/// The target under which log lines have what a server says beside its answers.
pub const NOTICES: &str = "sqlx::postgres::notice";

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
    /// How long a lock of somebody else is waited for.
    pub lock_wait: Duration,
    pub access: SchemaAccess,
}

/// A migrated schema of a database, and connections to it.
#[derive(Clone, Debug)]
pub struct Database {
    pool: PgPool,
    /// Threads ask it, and wait for the answer.
    runtime: Handle,
    connections: Connections,
    held: HeldSessions,
    copies: Arc<Semaphore>,
    schema: SchemaName,
    location: String,
    migrated: MigrationCounts,
    lock_wait: Duration,
}

impl Database {
    /// Connects, starting the local server if there is no URL, and brings the schema up to
    /// date, unless it is only read. Log lines tell of every step that takes time.
    ///
    /// # Errors
    /// The database cannot be used, or the schema is not there and may not be made.
    pub async fn open(
        target: &Target,
        connections: impl Into<Connections>,
    ) -> Result<Database, DatabaseError> {
        Self::open_schema(target, connections.into(), false).await
    }

    /// As [`Database::open`], but makes a new schema where `open` refuses one of the
    /// numbering before the baseline: that one gets another name.
    ///
    /// # Errors
    /// As `open`, or a schema was set aside before.
    pub async fn open_anew(
        target: &Target,
        connections: impl Into<Connections>,
    ) -> Result<Database, DatabaseError> {
        Self::open_schema(target, connections.into(), true).await
    }

    async fn open_schema(
        target: &Target,
        connections: Connections,
        sets_aside: bool,
    ) -> Result<Database, DatabaseError> {
        let (server, mut connection, connections) =
            Server::reach_with_room(target, connections).await?;
        let session = Session::of(&target.schema, target.lock_wait);
        connections::remember_budget(connections);
        let pool = server.pool(connections, &session);
        let begun = server.begin(&mut connection, &pool, &session);
        begun.await.map_err(|error| error.at(&server.location))?;
        let mut target = target.clone();
        let mut aside = None;
        if sets_aside {
            let set = set_aside::rename(&mut connection, &target.schema).await?;
            aside = set.renamed;
            if set.is_there {
                target.access = SchemaAccess::Fill { creates: true };
            }
        }
        let target = &target;
        let mut migrated = match target.access {
            SchemaAccess::Read => {
                migrate::check_readable(&mut connection, target, &server.location).await?;
                MigrationCounts::default()
            }
            SchemaAccess::Change | SchemaAccess::Fill { .. } => {
                bring_up_to_date(&mut connection, &pool, target, &server.location).await?
            }
        };
        migrated.set_aside = aside.map(|aside| aside.to_string());
        if sets_aside {
            set_aside::hand_over(&mut connection, &target.schema).await?;
        }
        // A connection that is not closed well is closed all the same.
        let _ = connection.close().await;
        Ok(Database {
            pool,
            runtime: Handle::current(),
            connections,
            held: HeldSessions::default(),
            copies: Arc::new(Semaphore::new(connections.copies())),
            schema: target.schema.clone(),
            location: server.location,
            migrated,
            lock_wait: target.lock_wait,
        })
    }

    /// Waits for what is asked of the database. The one way from the threads of a run to
    /// its answers; not for use within what is waited for.
    pub fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        self.runtime.block_on(asked)
    }

    /// Where what goes on beside a thread is spawned.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// How long a statement waits for a lock of somebody else.
    pub fn lock_wait(&self) -> Duration {
        self.lock_wait
    }

    /// Connections whose search path is the schema. Whoever holds one asks for no
    /// other: see [`Connections`].
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A session for locks, of those that a payload holds beside the pool's.
    ///
    /// # Errors
    /// None can be had.
    pub async fn hold_session(&self) -> Result<PgConnection, sqlx::Error> {
        self.held.take(&self.pool).await
    }

    /// Lets go of the locks of such a session, which did all that was asked of it.
    pub async fn release_session(&self, session: PgConnection) {
        self.held.give_back(session).await;
    }

    /// The connections that are shared among those at work.
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

    /// Awaits what a session does, and says so when it waits for others.
    pub async fn telling<T>(&self, process: i32, work: impl Future<Output = T>) -> T {
        waiting::telling(&self.pool, process, work).await
    }

    pub fn schema(&self) -> &SchemaName {
        &self.schema
    }

    /// Where the database is, for messages; holds no password.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The changes that opening made to the schema.
    pub fn migrated(&self) -> &MigrationCounts {
        &self.migrated
    }
}

/// Brings the schema up to date, with partitions for the rows of these months.
async fn bring_up_to_date(
    connection: &mut PgConnection,
    pool: &PgPool,
    target: &Target,
    location: &str,
) -> Result<MigrationCounts, DatabaseError> {
    let process = waiting::process(connection)
        .await
        .map_err(DatabaseError::statement("ask the database who we are"))?;
    let progress = Progress::new(pool, process);
    let migrated = migrate::bring_up_to_date(connection, target, location, progress).await?;
    let ensured = sqlx::query("SELECT ensure_current_months()").execute(connection);
    let words = || "waiting for partitions of these months, which others may hold".to_owned();
    waiting::or_say(words, ensured)
        .await
        .map_err(DatabaseError::statement(
            "create partitions of these months",
        ))?;
    Ok(migrated)
}

/// The URL of the target's database for psql and its like, as the user gave it
/// or that of the local server, which is started if need be. It may hold a password.
pub fn url(target: &Target) -> Result<String, DatabaseError> {
    match &target.url {
        // One that cannot be used is of use to nobody, and not to be repeated.
        Some(url) => Address::of(url).map(|_| url.as_given().to_owned()),
        None => Ok(start_local(&target.data_directory)?.url()),
    }
}

/// Where gristmill keeps its data unless told otherwise: `GRISTMILL_DATA`, else
/// `/var/lib/gristmill` for root, else the user's data folder.
pub fn default_data_directory() -> PathBuf {
    let root = rustix::process::geteuid().is_root();
    data_directory(root, env::home_dir(), |name| env::var_os(name))
}

/// Where payloads are kept when a pipeline does not say where.
pub fn default_archive() -> PathBuf {
    default_data_directory().join("archive")
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
    target_session: TargetSession,
    /// The files of certificates and keys that connecting reads.
    certificates: Vec<(String, PathBuf)>,
    /// Nothing can stand between us and a server of our own.
    is_local: bool,
}

impl Server {
    /// Returns it with a first connection, which is no session of ours yet.
    async fn reach(target: &Target) -> Result<(Server, PgConnection), DatabaseError> {
        let server = Server::of(target)?;
        let connected = match server.connect().await {
            // Somebody stopped the local server just after we found it running.
            Err(DatabaseError::Connect { .. }) if target.url.is_none() => {
                let server = Server::of(target)?;
                let connection = server.connect().await?;
                return Ok((server, connection));
            }
            connected => connected?,
        };
        Ok((server, connected))
    }

    /// As `reach`, with what of `wanted` there is room for. Where there is too little, it
    /// is looked for again after a while.
    async fn reach_with_room(
        target: &Target,
        wanted: Connections,
    ) -> Result<(Server, PgConnection, Connections), DatabaseError> {
        let mut looks = Looks::new();
        loop {
            let first = looks.is_first();
            let full = match Server::look_for_room(target, wanted).await {
                Err(error) if error.is_full() => error,
                looked => return looked,
            };
            let Some(pause) = looks.pause() else {
                return Err(full);
            };
            if first {
                tracing::info!("{full}; looking again for some seconds");
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn look_for_room(
        target: &Target,
        wanted: Connections,
    ) -> Result<(Server, PgConnection, Connections), DatabaseError> {
        let (server, mut connection) = Server::reach(target).await?;
        let within = wanted.within(&mut connection, &server.location);
        match server.in_time(within).await? {
            Ok(connections) => Ok((server, connection, connections)),
            Err(error) => {
                // Others who look count it.
                let _ = connection.close().await;
                Err(error)
            }
        }
    }

    fn of(target: &Target) -> Result<Server, DatabaseError> {
        let (options, location, target_session, certificates) = match &target.url {
            Some(url) => {
                let address = Address::of(url)?;
                (
                    address.options,
                    address.location,
                    address.target_session,
                    address.certificates,
                )
            }
            None => {
                let server = start_local(&target.data_directory)?;
                (
                    local::options(&server),
                    format!("the local Postgres in `{}`", server.directory.display()),
                    TargetSession::Any,
                    Vec::new(),
                )
            }
        };
        Ok(Server {
            // Poolers refuse startup parameters that they do not know, or drop them:
            // `Session` makes all settings. What the user's URL has stays.
            options: options
                .application_name("gristmill")
                .extra_float_digits(None),
            location,
            target_session,
            certificates,
            is_local: target.url.is_none(),
        })
    }

    async fn connect(&self) -> Result<PgConnection, DatabaseError> {
        let mut connection = self
            .in_time(self.options.connect())
            .await?
            .map_err(|source| self.not_connected(source))?;
        match connection.server_version_num() {
            Some(number) if number / 10_000 < local::VERSION_MIN => {
                Err(DatabaseError::ServerTooOld {
                    location: self.location.clone(),
                    version: number / 10_000,
                })
            }
            _ => {
                let checked = self.target_session.check(&mut connection, &self.location);
                self.in_time(checked).await??;
                Ok(connection)
            }
        }
    }

    /// A certificate that cannot be read looks like a server that cannot be reached.
    fn not_connected(&self, source: sqlx::Error) -> DatabaseError {
        let location = self.location.clone();
        let source = SqlError(source);
        if source.state().is_none() {
            for (key, path) in &self.certificates {
                if let Err(source) = File::open(path) {
                    return DatabaseError::Certificate {
                        location,
                        key: key.clone(),
                        path: path.clone(),
                        source,
                    };
                }
            }
        }
        DatabaseError::Connect { location, source }
    }

    async fn in_time<T>(&self, waited: impl Future<Output = T>) -> Result<T, DatabaseError> {
        let limit = Duration::from_secs(CONNECT_SECONDS_MAX);
        tokio::time::timeout(limit, waited)
            .await
            .map_err(|_| DatabaseError::ConnectTimeout {
                location: self.location.clone(),
                seconds: CONNECT_SECONDS_MAX,
            })
    }

    fn pool(&self, connections: Connections, session: &Session) -> PgPool {
        let session = session.clone();
        PgPoolOptions::new()
            .max_connections(connections.pooled())
            .acquire_timeout(Duration::from_secs(connections::WAIT_SECONDS_MAX))
            .after_connect(move |connection, _| {
                let session = session.clone();
                Box::pin(async move { session.begin_pooled(connection).await })
            })
            .connect_lazy_with(self.options.clone())
    }

    /// Makes the first connection a session of ours. It is compared with one of the pool
    /// first: two connections that are open at once and have one session between them
    /// stand before a pooler that pools transactions. No number of transactions of
    /// one connection alone would tell, while nobody else is at work.
    async fn begin(
        &self,
        connection: &mut PgConnection,
        pool: &PgPool,
        session: &Session,
    ) -> Result<(), SessionError> {
        let migrating = session.waiting(Duration::from_secs(migration_lock::SECONDS_MAX));
        if self.is_local {
            return migrating.begin(connection).await.map(drop);
        }
        let first = session::process(connection).await?;
        session.compare_with(first);
        let pooled = pool.acquire().await;
        session.compared()?;
        let mut pooled = pooled?;
        let second = session.ask(&mut pooled).await?;
        match migrating.begin(connection).await? == first && second != first {
            true => Ok(()),
            false => Err(session::pooled_by_transaction()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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
