//! Brings a tenant's schema up to date: migrations first, then functions and views.
//!
//! Both are embedded in the program. Migrations are recorded by sqlx in the
//! schema's own `_sqlx_migrations`; the digest of functions and views is that table's
//! comment. A schema that is up to date costs one query. Everything else happens
//! under an advisory lock, on a connection that its caller closes afterwards and
//! whose search path is the schema and nobody else's.
//!
//! Functions keep the settings with which they were installed: see [`SETTLED`].

use sha2::{Digest, Sha256};
use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::error::{DatabaseError, SqlError, line_of, sql_state};
use super::schema_name::SchemaName;
use super::session::MEANING;
use super::set_aside;
use crate::diagnostics::digest::hexadecimal;
use crate::diagnostics::failpoint::{self, Failpoint};

/// How long to wait for the lock, and a migration for a table that others use.
pub(super) const LOCK_SECONDS_MAX: u64 = 60;

const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// The first migration of the numbering before the baseline, which every schema of that
/// numbering has.
const BEFORE_BASELINE: &str = "0c5c994cbb1aaff1f4d710fc33fd0c3368f2659a3993e47e693b1fb3197e746589c58a047afd2a5019ce0677adc0b767";

/// A function or view of `sql/`, which a newer text replaces.
struct Replaceable {
    name: &'static str,
    is_view: bool,
    file: &'static str,
    sql: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/replaceables.rs"));

/// The changes that brought a schema up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrationCounts {
    /// The migrations applied, oldest first.
    pub migrations: Vec<i64>,
    /// Whether the functions and views were installed anew.
    pub functions: bool,
}

impl MigrationCounts {
    pub fn nothing(&self) -> bool {
        self.migrations.is_empty() && !self.functions
    }
}

/// Applies what the schema lacks; `connection` must be a session of ours.
pub(super) async fn bring_up_to_date(
    connection: &mut PgConnection,
    schema: &SchemaName,
    say: &dyn Fn(&str),
) -> Result<MigrationCounts, DatabaseError> {
    let embedded = MIGRATOR.iter().as_slice();
    let digest = replaceables_digest();
    let recorded = AppliedMigrations::read(connection).await?;
    if pending(&recorded, embedded, schema)?.is_empty() && recorded.has_replaceables(&digest) {
        return Ok(MigrationCounts::default());
    }

    lock(connection, schema, say).await?;
    create_schema(connection, schema).await?;
    failpoint::passed(Failpoint::SchemaCreated);
    connection
        .ensure_migrations_table(MIGRATIONS_TABLE)
        .await
        .map_err(|error| migration_error(error, None, schema))?;
    // Another process may have done the work while we waited.
    let recorded = AppliedMigrations::read(connection).await?;
    let pending = pending(&recorded, embedded, schema)?;
    let functions = !recorded.has_replaceables(&digest);

    if !pending.is_empty() {
        say(&format!(
            "migrating schema `{schema}` ({} to apply)",
            pending.len()
        ));
    }
    for migration in &pending {
        connection
            .apply(MIGRATIONS_TABLE, migration)
            .await
            .map_err(|error| migration_error(error, Some(migration), schema))?;
        failpoint::passed(Failpoint::MigrationApplied);
    }
    if functions {
        say(&format!(
            "installing the functions and views of schema `{schema}`"
        ));
        install_replaceables(connection, &digest).await?;
        failpoint::passed(Failpoint::FunctionsInstalled);
    }
    unlock(connection, schema).await?;
    Ok(MigrationCounts {
        migrations: pending.iter().map(|migration| migration.version).collect(),
        functions,
    })
}

/// The versions that a schema has on record.
#[derive(Default, sqlx::FromRow)]
pub(super) struct AppliedMigrations {
    versions: Vec<i64>,
    checksums: Vec<Vec<u8>>,
    unfinished: Option<i64>,
    replaceables_digest: Option<String>,
    replaceables_present: i64,
}

impl AppliedMigrations {
    pub(super) async fn read(
        connection: &mut PgConnection,
    ) -> Result<AppliedMigrations, DatabaseError> {
        const SQL: &str = "
            SELECT
                coalesce(array_agg(version ORDER BY version), '{}') AS versions,
                coalesce(array_agg(checksum ORDER BY version), '{}') AS checksums,
                min(version) FILTER (WHERE NOT success) AS unfinished,
                obj_description('_sqlx_migrations'::regclass, 'pg_class') AS replaceables_digest,
                (
                    SELECT count(*)
                    FROM pg_class
                    WHERE
                        relnamespace = current_schema()::regnamespace
                        AND relkind = 'v'
                        AND relname = ANY($1)
                ) + (
                    SELECT count(DISTINCT proname)
                    FROM pg_proc
                    WHERE
                        pronamespace = current_schema()::regnamespace
                        AND proname = ANY($1)
                        -- Those of a schema that was renamed look into one that is not there.
                        AND NOT EXISTS (
                            SELECT
                            FROM unnest(proconfig) AS kept (setting)
                            WHERE
                                starts_with(kept.setting, 'search_path=')
                                AND kept.setting <> 'search_path=' || current_setting('search_path')
                        )
                ) AS replaceables_present
            FROM _sqlx_migrations";

        let names: Vec<&str> = REPLACEABLES.iter().map(|object| object.name).collect();
        let read = sqlx::query_as(SQL).bind(names).fetch_one(connection).await;
        match read {
            Ok(recorded) => Ok(recorded),
            // No such table: nothing was ever applied here.
            Err(error) if sql_state(&error).as_deref() == Some("42P01") => {
                Ok(AppliedMigrations::default())
            }
            Err(error) => Err(DatabaseError::statement("read the applied migrations")(
                error,
            )),
        }
    }

    fn has_replaceables(&self, digest: &str) -> bool {
        self.replaceables_digest.as_deref() == Some(digest)
            && self.replaceables_present == REPLACEABLES.len() as i64
    }

    /// Whether the schema is of the numbering before the baseline.
    pub(super) fn is_before_baseline(&self) -> bool {
        self.versions.first() == Some(&1)
            && self
                .checksums
                .first()
                .is_some_and(|checksum| hexadecimal(checksum) == BEFORE_BASELINE)
    }
}

/// The migrations that are still to apply; refuses a history that is not ours.
fn pending<'a>(
    recorded: &AppliedMigrations,
    embedded: &'a [Migration],
    schema: &SchemaName,
) -> Result<Vec<&'a Migration>, DatabaseError> {
    let refuse = |reason: String, hint: &str| {
        Err(DatabaseError::MigrationRefused {
            schema: schema.to_string(),
            reason,
            hint: hint.to_owned(),
        })
    };

    if recorded.is_before_baseline() {
        return refuse(
            "a gristmill from before the baseline of the migrations made it".to_owned(),
            &format!(
                "load the payloads of its archive into a new schema: `gristmill run PIPELINE \
                 ARCHIVE/{schema}/*/*.tar.gz --schema NEW`; or have `gristmill db migrate \
                 --set-aside` rename it `{}` and make a new one in its place, and load them \
                 into that",
                set_aside::name_of(schema)
            ),
        );
    }
    if let Some(version) = recorded.unfinished {
        return refuse(
            format!("migration {version} was begun and not finished"),
            "repair the schema by hand, or restore it from a backup",
        );
    }
    for (version, checksum) in recorded.versions.iter().zip(&recorded.checksums) {
        let ours = embedded
            .iter()
            .find(|migration| migration.version == *version);
        match ours {
            None => {
                return refuse(
                    format!("its migration {version} is unknown to this gristmill"),
                    "a newer gristmill was here; use that one",
                );
            }
            Some(migration) if migration.checksum[..] != checksum[..] => {
                return refuse(
                    format!("migration {version} has changed since it was applied"),
                    "an applied migration is never edited; add a new one instead",
                );
            }
            Some(_) => {}
        }
    }

    let newest = recorded.versions.last().copied();
    let pending: Vec<&Migration> = embedded
        .iter()
        .filter(|migration| !recorded.versions.contains(&migration.version))
        .collect();
    match (pending.first(), newest) {
        (Some(first), Some(newest)) if first.version < newest => refuse(
            format!(
                "migration {} is not applied, but the later {newest} is",
                first.version
            ),
            "another branch of gristmill was here; give the new migration the next free number",
        ),
        _ => Ok(pending),
    }
}

async fn create_schema(
    connection: &mut PgConnection,
    schema: &SchemaName,
) -> Result<(), DatabaseError> {
    // Asked first, because CREATE SCHEMA IF NOT EXISTS wants the right to create
    // schemas even where there is nothing to create.
    let exists: bool = sqlx::query_scalar("SELECT to_regnamespace(quote_ident($1)) IS NOT NULL")
        .bind(schema.as_str())
        .fetch_one(&mut *connection)
        .await
        .map_err(DatabaseError::statement("look up the schema"))?;
    if exists {
        return Ok(());
    }
    // An identifier cannot be a parameter; `SchemaName` admits nothing harmful.
    let sql = format!("CREATE SCHEMA IF NOT EXISTS {}", schema.quoted());
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .map_err(DatabaseError::statement(format!(
            "create schema `{schema}`"
        )))?;
    Ok(())
}

fn migration_error(
    error: MigrateError,
    migration: Option<&Migration>,
    schema: &SchemaName,
) -> DatabaseError {
    let source = match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => source,
        other => sqlx::Error::Migrate(Box::new(other)),
    };
    if sql_state(&source).as_deref() == Some("55P03") {
        return waited(schema);
    }
    match migration {
        Some(migration) => sql_file_error(file_of(migration), migration.sql.as_str(), source),
        None => DatabaseError::statement("create the table of applied migrations")(source),
    }
}

fn sql_file_error(file: String, sql: &str, error: sqlx::Error) -> DatabaseError {
    let source = SqlError(error);
    DatabaseError::SqlFile {
        file,
        line: line_of(sql, &source),
        source,
    }
}

/// The migration's file, from what sqlx keeps of its name.
fn file_of(migration: &Migration) -> String {
    let description = migration.description.replace(' ', "_");
    format!("migrations/{:04}_{description}.sql", migration.version)
}

/// Installs every function and view in one transaction, with their digest.
async fn install_replaceables(
    connection: &mut PgConnection,
    digest: &str,
) -> Result<(), DatabaseError> {
    let doing = "install the functions and views";
    let mut transaction = connection
        .begin()
        .await
        .map_err(DatabaseError::statement(doing))?;
    for object in REPLACEABLES {
        let installed = match object.is_view {
            true => install_view(&mut transaction, object).await,
            false => install_function(&mut transaction, object).await,
        };
        installed.map_err(|error| {
            let file = format!("sql/{}", object.file);
            sql_file_error(file, object.sql, error)
        })?;
    }
    settle_functions(&mut transaction)
        .await
        .map_err(DatabaseError::statement(doing))?;
    // COMMENT takes no parameters; a digest is hexadecimal.
    let record = format!("COMMENT ON TABLE {MIGRATIONS_TABLE} IS '{digest}'");
    sqlx::raw_sql(AssertSqlSafe(record))
        .execute(&mut *transaction)
        .await
        .map_err(DatabaseError::statement("record the functions and views"))?;
    transaction
        .commit()
        .await
        .map_err(DatabaseError::statement(doing))
}

/// The language of functions that others may call. Those in SQL are parts of them,
/// which are put in place where they are called; a setting of their own would forbid
/// that.
const SETTLED: &str = "plpgsql";

/// Functions that came with their triggers, in migrations.
const TRIGGERS: [&str; 1] = ["limit_enabled_tag_keys"];

/// Has the functions do the same in any session: find our tables and the system's
/// functions and nothing else, whatever the caller's search path, and read and write
/// text as our sessions do.
async fn settle_functions(transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
    const SQL: &str = "
        SELECT routine.oid::regprocedure::text
        FROM pg_proc AS routine
        JOIN pg_language AS language
            ON language.oid = routine.prolang
        WHERE
            routine.pronamespace = current_schema()::regnamespace
            AND routine.proname = ANY($1)
            AND language.lanname = $2";

    let functions = REPLACEABLES.iter().map(|object| object.name);
    let names: Vec<&str> = functions.chain(TRIGGERS).collect();
    let signatures: Vec<String> = sqlx::query_scalar(SQL)
        .bind(names)
        .bind(SETTLED)
        .fetch_all(&mut *transaction)
        .await?;
    let settings: String = settled()
        .map(|name| format!(" SET {name} FROM CURRENT"))
        .collect();
    let settle: String = signatures
        .iter()
        .map(|signature| format!("ALTER ROUTINE {signature}{settings};"))
        .collect();
    sqlx::raw_sql(AssertSqlSafe(settle))
        .execute(transaction)
        .await
        .map(drop)
}

/// The settings that functions keep.
fn settled() -> impl Iterator<Item = &'static str> {
    std::iter::once("search_path").chain(MEANING.iter().map(|(name, _)| *name))
}

/// Replaces the view, or drops it first where columns of it have changed: Postgres takes
/// new ones at the end and nothing else.
async fn install_view(
    transaction: &mut PgConnection,
    view: &Replaceable,
) -> Result<(), sqlx::Error> {
    let mut attempt = transaction.begin().await?;
    match sqlx::raw_sql(view.sql).execute(&mut *attempt).await {
        Ok(_) => return attempt.commit().await,
        Err(error) if sql_state(&error).as_deref() != Some("42P16") => return Err(error),
        Err(_) => attempt.rollback().await?,
    }
    let sql = format!("DROP VIEW {}", view.name);
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql(view.sql).execute(transaction).await.map(drop)
}

/// Replaces the function, or drops it first where its signature has changed:
/// Postgres refuses other results, and takes other parameters for a second
/// function of the same name.
async fn install_function(
    transaction: &mut PgConnection,
    function: &Replaceable,
) -> Result<(), sqlx::Error> {
    let mut attempt = transaction.begin().await?;
    let replaced = sqlx::raw_sql(function.sql).execute(&mut *attempt).await;
    match replaced {
        Ok(_) if overloads(&mut attempt, function).await?.len() == 1 => {
            return attempt.commit().await;
        }
        Err(error) if sql_state(&error).as_deref() != Some("42P13") => return Err(error),
        _ => attempt.rollback().await?,
    }

    for overload in overloads(transaction, function).await? {
        let sql = format!("DROP ROUTINE {overload}");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::raw_sql(function.sql).execute(transaction).await?;
    Ok(())
}

/// The schema's functions of that name, each as Postgres writes its signature.
async fn overloads(
    connection: &mut PgConnection,
    function: &Replaceable,
) -> Result<Vec<String>, sqlx::Error> {
    const SQL: &str = "
        SELECT oid::regprocedure::text
        FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname = $1";

    sqlx::query_scalar(SQL)
        .bind(function.name)
        .fetch_all(connection)
        .await
}

fn replaceables_digest() -> String {
    let mut digest = Sha256::new();
    for object in REPLACEABLES {
        // The separators keep text from moving unseen between a file and its name.
        for part in [object.file, "\0", object.sql, "\0"] {
            digest.update(part);
        }
    }
    for (name, value) in MEANING {
        digest.update(format!("{name} {value}\0"));
    }
    format!(
        "gristmill functions sha256:{}",
        hexadecimal(&digest.finalize())
    )
}

pub(super) async fn lock(
    connection: &mut PgConnection,
    schema: &SchemaName,
    say: &dyn Fn(&str),
) -> Result<(), DatabaseError> {
    const TRY: &str =
        "SELECT pg_try_advisory_lock(hashtextextended('gristmill migrate ' || $1, 0))";

    let locked: bool = sqlx::query_scalar(TRY)
        .bind(schema.as_str())
        .fetch_one(&mut *connection)
        .await
        .map_err(DatabaseError::statement("take the migration lock"))?;
    if locked {
        return Ok(());
    }
    say(&format!(
        "waiting for another process that migrates schema `{schema}`"
    ));
    let locked =
        sqlx::query("SELECT pg_advisory_lock(hashtextextended('gristmill migrate ' || $1, 0))")
            .bind(schema.as_str())
            .execute(connection)
            .await;
    match locked {
        Ok(_) => Ok(()),
        Err(error) if sql_state(&error).as_deref() == Some("55P03") => Err(waited(schema)),
        Err(error) => Err(DatabaseError::statement("take the migration lock")(error)),
    }
}

pub(super) async fn unlock(
    connection: &mut PgConnection,
    schema: &SchemaName,
) -> Result<(), DatabaseError> {
    sqlx::query("SELECT pg_advisory_unlock(hashtextextended('gristmill migrate ' || $1, 0))")
        .bind(schema.as_str())
        .execute(connection)
        .await
        .map_err(DatabaseError::statement("release the migration lock"))?;
    Ok(())
}

fn waited(schema: &SchemaName) -> DatabaseError {
    DatabaseError::MigrationWaited {
        schema: schema.to_string(),
        seconds: LOCK_SECONDS_MAX,
    }
}

#[cfg(test)]
mod tests {
    use sqlx::migrate::MigrationType;

    use super::*;

    fn migration(version: i64, checksum: u8) -> Migration {
        let mut migration = Migration::new(
            version,
            "create thing".into(),
            MigrationType::Simple,
            sqlx::SqlSafeStr::into_sql_str("SELECT 1"),
            false,
        );
        migration.checksum = vec![checksum].into();
        migration
    }

    fn recorded(applied: &[(i64, u8)]) -> AppliedMigrations {
        AppliedMigrations {
            versions: applied.iter().map(|(version, _)| *version).collect(),
            checksums: applied.iter().map(|(_, sum)| vec![*sum]).collect(),
            ..AppliedMigrations::default()
        }
    }

    /// Against the migrations 1, 2 and 3, whose checksums are 10, 20 and 30.
    fn check(recorded: &AppliedMigrations) -> Result<Vec<i64>, String> {
        let embedded = [migration(1, 10), migration(2, 20), migration(3, 30)];
        pending(recorded, &embedded, &SchemaName::default())
            .map(|pending| pending.iter().map(|migration| migration.version).collect())
            .map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(recorded: &AppliedMigrations, reason: &str) {
        let expected = format!("schema `gristmill` cannot be migrated: {reason}");
        assert_eq!(check(recorded), Err(expected));
    }

    #[test]
    fn what_is_missing_is_applied_in_order() {
        assert_eq!(check(&recorded(&[])), Ok(vec![1, 2, 3]));
        assert_eq!(check(&recorded(&[(1, 10)])), Ok(vec![2, 3]));
        assert_eq!(check(&recorded(&[(1, 10), (2, 20), (3, 30)])), Ok(vec![]));
    }

    #[test]
    fn a_foreign_history_is_refused() {
        refused(
            &recorded(&[(1, 10), (2, 20), (3, 30), (4, 40)]),
            "its migration 4 is unknown to this gristmill",
        );
        refused(
            &recorded(&[(1, 10), (2, 21)]),
            "migration 2 has changed since it was applied",
        );
        refused(
            &recorded(&[(1, 10), (3, 30)]),
            "migration 2 is not applied, but the later 3 is",
        );
        let mut unfinished = recorded(&[(1, 10)]);
        unfinished.unfinished = Some(1);
        refused(&unfinished, "migration 1 was begun and not finished");
    }

    #[test]
    fn a_migration_is_named_as_its_file() {
        assert_eq!(
            file_of(&migration(7, 0)),
            "migrations/0007_create_thing.sql"
        );
    }
}
