//! Makes every session of gristmill the same, whatever the server, the role, the database
//! or a pooler in between is set to.
//!
//! Settings are made by statements after connecting: poolers drop those of the startup
//! packet, or refuse them. Whatever others left in a connection is reset first. Then the
//! session is asked whether it is as it was made, in the same round trip. A session that
//! is not is not used.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Executor, PgConnection, Row};

use super::connections::{self, Refusal};
use super::error::{DatabaseError, SqlError};
use super::schema_name::SchemaName;

/// Settings that decide how text is read, how values are written, and what an operator
/// means. Our functions keep these, whoever calls them: see `migrate`.
pub(super) const MEANING: [(&str, &str); 10] = [
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("standard_conforming_strings", "on"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
    ("array_nulls", "on"),
    ("transform_null_equals", "off"),
    ("quote_all_identifiers", "off"),
    // Above it, a search by an index leaves out rows by chance.
    ("gin_fuzzy_search_limit", "0"),
];

/// Other settings of a role or database that we choose. Whether it is read-only is not
/// among them.
const CONDUCT: [(&str, &str); 11] = [
    ("application_name", "gristmill"),
    ("client_encoding", "UTF8"),
    ("client_min_messages", "warning"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    // A summary may take long; a client that hangs must not hold locks for long.
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "10min"),
    // The session that holds a lock has nothing to do while the payload is loaded.
    ("idle_session_timeout", "0"),
    ("check_function_bodies", "on"),
    ("plpgsql.extra_errors", "none"),
    // Compiling our queries costs more than it saves.
    ("jit", "off"),
];

/// Resets what others may have left in the connection: a role, open cursors, statements
/// under the names that the library gives to ours, locks, tables.
const BEFORE: &str = "
    RESET SESSION AUTHORIZATION;
    RESET ROLE;
    RESET ALL;
    CLOSE ALL;
    UNLISTEN *;
    DEALLOCATE ALL;
    SELECT pg_advisory_unlock_all();
    DISCARD TEMP;";

/// Of Postgres 17 on: a setting that older ones would refuse by name.
const TRANSACTION_TIMEOUT: &str = "
    CASE
        WHEN current_setting('transaction_timeout', true) IS NOT NULL
            THEN set_config('transaction_timeout', '0', false)
    END";

const SESSION_POOLING: &str = "gristmill needs a session for each of its connections: have the pooler pool sessions (PgBouncer: `pool_mode = session`), or connect to the server itself";

/// How sessions are made and what they must be.
#[derive(Clone, Debug)]
pub(super) struct Session {
    schema: SchemaName,
    /// Where names are looked up.
    path: String,
    /// Makes the session and asks how it is.
    begin: Arc<str>,
    /// Asks alone.
    ask: Arc<str>,
    /// Who the first one was; others must be the same.
    role: Arc<OnceLock<Role>>,
    /// The server's process of a session that is open beside a new one; 0 when that is
    /// not asked for.
    beside: Arc<AtomicI32>,
    /// Why a session could not be used, for whoever compares two.
    mismatch: Arc<Mutex<Option<SessionMismatch>>>,
}

/// Who a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Role {
    authenticated: String,
    current: String,
}

/// Why a session cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SessionMismatch {
    pub(super) reason: String,
    pub(super) hint: String,
}

impl fmt::Display for SessionMismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

#[derive(Debug)]
pub(super) enum SessionError {
    Mismatch(SessionMismatch),
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for SessionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error)
    }
}

impl SessionError {
    pub(super) fn at(self, location: &str) -> DatabaseError {
        match self {
            Self::Mismatch(SessionMismatch { reason, hint }) => DatabaseError::SessionRefused {
                location: location.to_owned(),
                reason,
                hint,
            },
            Self::Failed(error) => DatabaseError::Session {
                location: location.to_owned(),
                source: SqlError(error),
            },
        }
    }
}

fn mismatch(reason: impl Into<String>, hint: impl Into<String>) -> SessionError {
    SessionError::Mismatch(SessionMismatch {
        reason: reason.into(),
        hint: hint.into(),
    })
}

impl Session {
    /// Sessions that see this schema, and wait so long for a lock of somebody else.
    pub(super) fn of(schema: &SchemaName, lock_wait: Duration) -> Self {
        // Temporary tables are searched last: they are not to stand for ours. The system's
        // catalogue comes first because it is not named.
        let path = format!("{}, pg_temp", schema.quoted());
        let lock_timeout = format!("{}ms", lock_wait.as_millis());
        let ours = [
            ("search_path", path.as_str()),
            ("lock_timeout", lock_timeout.as_str()),
        ];
        let settings: Vec<String> = MEANING
            .iter()
            .chain(&CONDUCT)
            .chain(&ours)
            .map(|(name, value)| format!("set_config('{name}', '{value}', false)"))
            .collect();
        let begin = format!(
            "{BEFORE} SELECT {}, {TRANSACTION_TIMEOUT};",
            settings.join(", ")
        );
        let settings: String = MEANING
            .iter()
            .map(|(name, _)| format!(", current_setting('{name}') AS \"{name}\""))
            .collect();
        let ask = format!(
            "SELECT
                pg_backend_pid()::text AS process,
                session_user::text AS authenticated,
                current_user::text AS current,
                pg_is_in_recovery()::text AS standby,
                -- This very transaction may have begun as whoever was here before wanted.
                current_setting('default_transaction_read_only') AS read_only,
                current_setting('server_encoding') AS server_encoding,
                current_setting('client_encoding') AS client_encoding,
                current_setting('default_transaction_isolation') AS isolation,
                current_setting('session_replication_role') AS replication_role,
                current_setting('search_path') AS search_path,
                -- Without it what is meant for the schema would be made in `pg_temp`.
                COALESCE((
                    SELECT has_schema_privilege(tenant.oid, 'USAGE')
                    FROM pg_namespace AS tenant
                    WHERE tenant.nspname = '{schema}'
                ), true)::text AS may_use
                {settings}"
        );
        Self {
            schema: schema.clone(),
            path,
            begin: Arc::from(begin + &ask),
            ask: Arc::from(ask),
            role: Arc::default(),
            beside: Arc::default(),
            mismatch: Arc::default(),
        }
    }

    /// The same but for how long it waits for a lock.
    pub(super) fn waiting(&self, lock_wait: Duration) -> Self {
        Self {
            begin: Self::of(&self.schema, lock_wait).begin,
            ..self.clone()
        }
    }

    /// Makes a new connection a session of ours; returns the server's process.
    pub(super) async fn begin(&self, connection: &mut PgConnection) -> Result<i32, SessionError> {
        self.look(connection, &self.begin).await
    }

    /// Whether it still is one, which another transaction tells; returns the server's
    /// process.
    pub(super) async fn ask(&self, connection: &mut PgConnection) -> Result<i32, SessionError> {
        self.look(connection, &self.ask).await
    }

    async fn look(&self, connection: &mut PgConnection, sql: &str) -> Result<i32, SessionError> {
        // Fixed but for the schema's name, which `SchemaName` has checked.
        let rows = rows_of(connection, sql).await?;
        match rows.last() {
            Some(row) => self.check(row),
            None => Err(sqlx::Error::RowNotFound.into()),
        }
    }

    fn check(&self, row: &PgRow) -> Result<i32, SessionError> {
        let text = |name: &str| row.try_get::<String, _>(name);
        if text("standby")? == "true" {
            return Err(mismatch(
                "it is a standby, which takes no writes",
                "give the URL of the primary server",
            ));
        }
        if text("read_only")? == "on" {
            return Err(mismatch(
                "its sessions are read-only",
                "`default_transaction_read_only` is on for the role, the database or the server: somebody or something wants no writes there",
            ));
        }
        let encoding = text("server_encoding")?;
        if encoding != "UTF8" {
            return Err(mismatch(
                format!("the database keeps text in `{encoding}` and not in `UTF8`"),
                "create one that does, such as with `createdb --encoding UTF8 --template template0`",
            ));
        }
        let replication_role = text("replication_role")?;
        if replication_role == "replica" {
            return Err(mismatch(
                "its sessions fire no triggers",
                "`session_replication_role` is `replica` for the role or the database; it must be `origin`",
            ));
        }
        let search_path = text("search_path")?;
        if search_path != self.path {
            return Err(lost("search_path", &search_path, &self.path));
        }
        if text("may_use")? != "true" {
            let (role, schema) = (text("current")?, &self.schema);
            return Err(mismatch(
                format!("role `{role}` may not use schema `{schema}`"),
                format!(
                    "`GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}`, or connect as another role"
                ),
            ));
        }
        let of_text = [("client_encoding", "UTF8")];
        for (name, value) in MEANING.iter().chain(&of_text) {
            let found = text(name)?;
            if found != *value {
                return Err(lost(name, &found, value));
            }
        }
        let isolation = text("isolation")?;
        if isolation != "read committed" {
            return Err(lost(
                "default_transaction_isolation",
                &isolation,
                "read committed",
            ));
        }
        let role = Role {
            authenticated: text("authenticated")?,
            current: text("current")?,
        };
        let first = self.role.get_or_init(|| role.clone());
        if *first != role {
            return Err(mismatch(
                format!(
                    "its sessions have different roles: first `{}`, now `{}`",
                    first.current, role.current
                ),
                SESSION_POOLING,
            ));
        }
        process_of(&text("process")?)
    }

    /// As `begin`, for the connections of a pool, which cannot be told why.
    pub(super) async fn begin_pooled(
        &self,
        connection: &mut PgConnection,
    ) -> Result<(), sqlx::Error> {
        let beside = self.beside.load(Ordering::Relaxed);
        let begun = match beside {
            0 => self.begin(connection).await.map(drop),
            beside => self.begin_beside(connection, beside).await,
        };
        let mismatch = match begun {
            Ok(()) => {
                connections::remember_refusal(None);
                return Ok(());
            }
            Err(SessionError::Failed(error)) => {
                let error = SqlError(error);
                connections::remember_refusal(Some(Refusal {
                    reason: error.to_string(),
                    hint: None,
                }));
                return Err(error.0);
            }
            Err(SessionError::Mismatch(mismatch)) => mismatch,
        };
        connections::remember_refusal(Some(Refusal {
            reason: mismatch.reason.clone(),
            hint: Some(mismatch.hint.clone()),
        }));
        let error = sqlx::Error::Protocol(mismatch.to_string());
        if beside == 0 {
            return Err(error);
        }
        // The pool would try on; whoever compares looks here.
        *self.mismatch.lock().unwrap_or_else(PoisonError::into_inner) = Some(mismatch);
        Ok(())
    }

    /// Before anything is set, which would stay with a session that others get.
    async fn begin_beside(
        &self,
        connection: &mut PgConnection,
        beside: i32,
    ) -> Result<(), SessionError> {
        let before = process(connection).await?;
        let after = match before == beside {
            true => before,
            false => self.begin(connection).await?,
        };
        match before == beside || before != after {
            true => Err(pooled_by_transaction()),
            false => Ok(()),
        }
    }

    /// Has new sessions of the pool compared with one that is open and belongs to this
    /// process of the server.
    pub(super) fn compare_with(&self, process: i32) {
        self.beside.store(process, Ordering::Relaxed);
    }

    /// Ends the comparison, and says what came of it.
    pub(super) fn compared(&self) -> Result<(), SessionError> {
        self.beside.store(0, Ordering::Relaxed);
        let mismatch = self
            .mismatch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        mismatch.map_or(Ok(()), |mismatch| Err(SessionError::Mismatch(mismatch)))
    }
}

/// The rows of statements that are not prepared. One lifetime for both, for whoever sends
/// the future elsewhere.
fn rows_of<'s>(
    connection: &'s mut PgConnection,
    sql: &'s str,
) -> Pin<Box<dyn Future<Output = Result<Vec<PgRow>, sqlx::Error>> + Send + 's>> {
    connection.fetch_all(sqlx::raw_sql(sql))
}

/// The server's process that is at work for a connection.
pub(super) async fn process(connection: &mut PgConnection) -> Result<i32, SessionError> {
    // Without a prepared statement: nothing may be left in somebody else's session.
    let rows = rows_of(connection, "SELECT pg_backend_pid()::text AS process").await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    process_of(&row.try_get::<String, _>("process")?)
}

fn process_of(text: &str) -> Result<i32, SessionError> {
    text.parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)).into())
}

pub(super) fn pooled_by_transaction() -> SessionError {
    mismatch(
        "a pooler in front of it gives us another session with each transaction",
        SESSION_POOLING,
    )
}

fn lost(name: &str, found: &str, asked: &str) -> SessionError {
    mismatch(
        format!("a session does not keep `{name}`: it is `{found}`, where `{asked}` was set"),
        SESSION_POOLING,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_followed_by_temporary_tables_and_nothing_else() {
        let schema: SchemaName = "user".parse().unwrap();
        let session = Session::of(&schema, Duration::from_secs(600));
        let path = "set_config('search_path', '\"user\", pg_temp', false)";
        assert!(session.begin.contains(path));
        assert!(!session.begin.contains("public"));
    }

    #[test]
    fn the_wait_for_locks_is_all_that_differs() {
        let session = Session::of(&SchemaName::default(), Duration::from_secs(600));
        let patient = session.waiting(Duration::from_secs(60));
        let setting = |seconds: u64| format!("'lock_timeout', '{seconds}000ms'");
        assert!(patient.begin.contains(&setting(60)));
        let same = patient.begin.replace(&setting(60), &setting(600));
        assert_eq!(*same, *session.begin);
    }
}
