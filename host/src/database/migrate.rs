//! Brings a tenant's schema up to date: migrations first, then functions and views.
//!
//! Both are embedded in the program. Migrations are recorded by sqlx in the
//! schema's own `_sqlx_migrations`; the digest of functions and views is that table's
//! comment. A schema that is up to date costs one query. Everything else happens
//! under an advisory lock, on a connection that its caller closes afterwards and
//! whose search path is the schema and nobody else's.

use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};
use sqlx::{AssertSqlSafe, PgConnection};

use super::error::{DatabaseError, sql_state};
use super::schema_name::SchemaName;
use super::{migration_lock, replaceables, rights, set_aside};
use crate::diagnostics::failpoint::{self, Failpoint};

pub(super) const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// The first migration of the numbering before the baseline, which every schema of that
/// numbering has.
const BEFORE_BASELINE: &str = "0c5c994cbb1aaff1f4d710fc33fd0c3368f2659a3993e47e693b1fb3197e746589c58a047afd2a5019ce0677adc0b767";

/// What was done to bring a schema up to date.
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
) -> Result<MigrationCounts, DatabaseError> {
    let embedded = MIGRATOR.iter().as_slice();
    let digest = replaceables::digest();
    let recorded = AppliedMigrations::read(connection).await?;
    if pending(&recorded, embedded, schema)?.is_empty() && recorded.has_replaceables(&digest) {
        return Ok(MigrationCounts::default());
    }

    rights::check(connection, schema).await?;
    migration_lock::take(connection, schema).await?;
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
        tracing::info!("migrating schema `{schema}` ({} to apply)", pending.len());
    }
    for migration in &pending {
        connection
            .apply(MIGRATIONS_TABLE, migration)
            .await
            .map_err(|error| migration_error(error, Some(migration), schema))?;
        failpoint::passed(Failpoint::MigrationApplied);
    }
    if functions {
        tracing::info!("installing the functions and views of schema `{schema}`");
        replaceables::install(connection, &digest).await?;
        failpoint::passed(Failpoint::FunctionsInstalled);
    }
    migration_lock::release(connection, schema).await?;
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

        let names: Vec<&str> = replaceables::names().collect();
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
            && self.replaceables_present == replaceables::names().count() as i64
    }

    /// Whether the schema is of the numbering before the baseline.
    pub(super) fn is_before_baseline(&self) -> bool {
        self.versions.first() == Some(&1)
            && self
                .checksums
                .first()
                .is_some_and(|checksum| hex::encode(checksum) == BEFORE_BASELINE)
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
        return migration_lock::waited(schema);
    }
    match migration {
        Some(migration) => {
            DatabaseError::sql_file(file_of(migration), migration.sql.as_str(), source)
        }
        None => DatabaseError::statement("create the table of applied migrations")(source),
    }
}

/// The migration's file, from what sqlx keeps of its name.
fn file_of(migration: &Migration) -> String {
    let description = migration.description.replace(' ', "_");
    format!("migrations/{:04}_{description}.sql", migration.version)
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
