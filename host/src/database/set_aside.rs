//! Sets a schema aside whose migrations are numbered as before the baseline, so that a
//! new one can have its name. All of its tables stay, under another name. The archive's
//! folder belongs to the name, so its identity goes over to the new schema.

use sqlx::PgConnection;

use super::error::DatabaseError;
use super::history::AppliedMigrations;
use super::migration_lock;
use super::schema_name::SchemaName;

/// The name of a schema that is set aside, as SQL text.
pub(super) fn name_of(schema: &SchemaName) -> String {
    format!("{schema}_set_aside")
}

/// A schema that is out of the way of the one that will have its name.
pub(super) struct Aside {
    /// Its new name, where this process gave it that.
    pub(super) renamed: Option<SchemaName>,
    /// Whether there is one now, renamed by this process or one before it.
    pub(super) is_there: bool,
}

/// Renames the schema if it is of the old numbering; others stay as they are.
pub(super) async fn rename(
    connection: &mut PgConnection,
    schema: &SchemaName,
) -> Result<Aside, DatabaseError> {
    migration_lock::take(connection, schema).await?;
    let mut renamed = None;
    let recorded = AppliedMigrations::read(connection).await?;
    if recorded.is_before_baseline() {
        let doing = || DatabaseError::statement(format!("set schema `{schema}` aside"));
        let aside: SchemaName = name_of(schema)
            .parse()
            .map_err(|_| doing()(sqlx::Error::Protocol("its name would be too long".into())))?;
        let sql = format!(
            "ALTER SCHEMA {} RENAME TO {}",
            schema.quoted(),
            aside.quoted()
        );
        sqlx::raw_sql(&sql)
            .execute(&mut *connection)
            .await
            .map_err(doing())?;
        tracing::info!(
            "schema `{schema}` is called `{aside}` from now on: an older gristmill made it"
        );
        renamed = Some(aside);
    }
    migration_lock::release(connection, schema).await?;
    let is_there = sqlx::query_scalar("SELECT to_regnamespace(quote_ident($1)) IS NOT NULL")
        .bind(name_of(schema))
        .fetch_one(connection)
        .await
        .map_err(DatabaseError::statement("look for the schema set aside"))?;
    Ok(Aside { renamed, is_there })
}

/// Gives the new schema the identity by which the archive knows the old one. A process
/// that was killed in between does it the next time.
pub(super) async fn hand_over(
    connection: &mut PgConnection,
    schema: &SchemaName,
) -> Result<(), DatabaseError> {
    let Ok(aside) = name_of(schema).parse::<SchemaName>() else {
        return Ok(());
    };
    let doing = || DatabaseError::statement("hand the archive over to the new schema");
    let owner = format!("{}.gristmill_archive_owner", aside.quoted());
    let is_there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(&owner)
        .fetch_one(&mut *connection)
        .await
        .map_err(doing())?;
    if !is_there {
        return Ok(());
    }
    // A schema that has archived something by then keeps its own.
    let sql = format!(
        "WITH former AS (
            DELETE FROM {owner}
            WHERE NOT EXISTS (SELECT FROM gristmill_archive)
            RETURNING identity, system_identifier, database_oid
        )
        UPDATE gristmill_archive_owner AS present
        SET
            identity = former.identity,
            system_identifier = former.system_identifier,
            database_oid = former.database_oid
        FROM former"
    );
    sqlx::raw_sql(&sql)
        .execute(connection)
        .await
        .map(drop)
        .map_err(doing())
}
