//! Brings a tenant's schema up to date: migrations first, then functions and views.
//!
//! Both are embedded in the program, and `history` knows what a schema has of them. One
//! that is up to date costs one query. Everything else happens under an advisory lock, on
//! a connection that its caller closes afterwards and whose search path is the schema and
//! nobody else's; and in one transaction, up to the first migration that Postgres takes in
//! none: nothing is left of what fails, not even the schema.

use sqlx::migrate::{Migrate, MigrateError, Migration};
use sqlx::{Connection, PgConnection, Postgres, Transaction};

use super::error::{DatabaseError, sql_state};
use super::history::{self, AppliedMigrations};
use super::migration_progress::Progress;
use super::schema_access;
use super::schema_name::SchemaName;
use super::{Target, migration_lock, occupied, replaceables, rights};
use crate::diagnostics::failpoint::{self, Failpoint};

/// What was done to bring a schema up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrationCounts {
    /// The migrations applied, oldest first.
    pub migrations: Vec<i64>,
    /// Whether the functions and views were installed anew.
    pub functions: bool,
    /// The name of the schema that was set aside for this one.
    pub set_aside: Option<String>,
}

impl MigrationCounts {
    pub fn nothing(&self) -> bool {
        self.migrations.is_empty() && !self.functions
    }
}

/// Whether a schema can be read as it is.
///
/// # Errors
/// It is no tenant's, or not of this program's version.
pub(super) async fn check_readable(
    connection: &mut PgConnection,
    target: &Target,
    location: &str,
) -> Result<(), DatabaseError> {
    let recorded = AppliedMigrations::read(connection).await?;
    schema_access::admit(connection, target, location, &recorded).await?;
    match history::lacking(&recorded, &target.schema)?.can_be_read() {
        true => Ok(()),
        false => Err(DatabaseError::SchemaOutdated {
            schema: target.schema.to_string(),
        }),
    }
}

/// Applies what the schema lacks; `connection` must be a session of ours.
pub(super) async fn bring_up_to_date(
    connection: &mut PgConnection,
    target: &Target,
    location: &str,
    mut progress: Progress<'_>,
) -> Result<MigrationCounts, DatabaseError> {
    let schema = &target.schema;
    let recorded = AppliedMigrations::read(connection).await?;
    schema_access::admit(connection, target, location, &recorded).await?;
    if history::lacking(&recorded, schema)?.is_nothing() {
        return Ok(MigrationCounts::default());
    }

    rights::check(connection, schema).await?;
    migration_lock::take(connection, schema).await?;
    let mut together = begin(connection).await?;
    create_schema(&mut together, schema).await?;
    failpoint::passed(Failpoint::SchemaCreated);
    together
        .ensure_migrations_table()
        .await
        .map_err(|error| migration_error(error, None, schema))?;
    // Another process may have done the work while we waited.
    let recorded = AppliedMigrations::read(&mut together).await?;
    let lacking = history::lacking(&recorded, schema)?;
    if !recorded.are_ours() {
        occupied::check(&mut together, schema).await?;
    }

    if !lacking.migrations.is_empty() {
        tracing::info!(
            "migrating schema `{schema}` ({} to apply)",
            lacking.migrations.len()
        );
        progress.begin(lacking.migrations.len(), !recorded.are_ours());
    }
    let alone = lacking
        .migrations
        .iter()
        .position(|migration| migration.no_tx)
        .unwrap_or(lacking.migrations.len());
    let (first, rest) = lacking.migrations.split_at(alone);
    for migration in first {
        apply(&mut together, migration, &mut progress, schema).await?;
    }
    if rest.is_empty() && lacking.functions {
        install(&mut together, schema).await?;
    }
    let committed = together.commit().await;
    committed.map_err(DatabaseError::statement("commit the migrations"))?;
    failpoint::passed(Failpoint::MigrationsCommitted);
    for migration in rest {
        apply(connection, migration, &mut progress, schema).await?;
    }
    if !rest.is_empty() && lacking.functions {
        install(connection, schema).await?;
    }
    migration_lock::release(connection, schema).await?;
    Ok(MigrationCounts {
        migrations: lacking
            .migrations
            .iter()
            .map(|migration| migration.version)
            .collect(),
        functions: lacking.functions,
        set_aside: None,
    })
}

async fn begin(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, DatabaseError> {
    let begun = connection.begin().await;
    begun.map_err(DatabaseError::statement("begin to migrate"))
}

async fn apply(
    connection: &mut PgConnection,
    migration: &Migration,
    progress: &mut Progress<'_>,
    schema: &SchemaName,
) -> Result<(), DatabaseError> {
    let applied = connection.apply(migration);
    progress
        .telling(&file_of(migration), applied)
        .await
        .map_err(|error| migration_error(error, Some(migration), schema))?;
    failpoint::passed(Failpoint::MigrationApplied);
    Ok(())
}

async fn install(connection: &mut PgConnection, schema: &SchemaName) -> Result<(), DatabaseError> {
    tracing::info!("installing the functions and views of schema `{schema}`");
    replaceables::install(connection).await?;
    failpoint::passed(Failpoint::FunctionsInstalled);
    Ok(())
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
    sqlx::raw_sql(&sql)
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
            DatabaseError::sql_file(file_of(migration), migration.sql.as_ref(), source)
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

    #[test]
    fn a_migration_is_named_as_its_file() {
        let migration = Migration::new(
            7,
            "create thing".into(),
            MigrationType::Simple,
            "SELECT 1".into(),
            false,
        );
        assert_eq!(file_of(&migration), "migrations/0007_create_thing.sql");
    }
}
