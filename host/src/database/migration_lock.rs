//! The lock of a schema against other processes that migrate it.

use sqlx::PgConnection;

use super::error::{DatabaseError, sql_state};
use super::schema_name::SchemaName;

/// How long to wait for the lock, and a migration for a table that others use.
pub(super) const SECONDS_MAX: u64 = 60;

/// Takes the lock for a session; says so when that takes time.
pub(super) async fn take(
    connection: &mut PgConnection,
    schema: &SchemaName,
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
    tracing::info!("waiting for another process that migrates schema `{schema}`");
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

/// Lets others at the schema.
pub(super) async fn release(
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

/// That it took too long.
pub(super) fn waited(schema: &SchemaName) -> DatabaseError {
    DatabaseError::MigrationWaited {
        schema: schema.to_string(),
        seconds: SECONDS_MAX,
    }
}
