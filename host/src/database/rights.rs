//! Whether the role may make what a schema lacks: asked before anything is made, since what
//! Postgres says of it later is about something else.

use sqlx::{FromRow, PgConnection};

use super::error::DatabaseError;
use super::schema_name::SchemaName;

#[derive(FromRow)]
struct Rights {
    role_name: String,
    database_name: String,
    /// Whether the schema is there.
    is_there: bool,
    /// Whether the role may create in it, or create it.
    may_create: bool,
}

/// Refuses a role that can neither create the schema nor anything in it.
pub(super) async fn check(
    connection: &mut PgConnection,
    schema: &SchemaName,
) -> Result<(), DatabaseError> {
    let rights: Rights =
        sqlx::query_as(include_str!("../../../sql/pg_namespace.select_rights.sql"))
            .bind(schema.as_str())
            .fetch_one(connection)
            .await
            .map_err(DatabaseError::statement("ask for the rights of the role"))?;
    if rights.may_create {
        return Ok(());
    }
    let Rights {
        role_name,
        database_name,
        ..
    } = rights;
    let (reason, hint) = match rights.is_there {
        true => (
            format!("role `{role_name}` may not create in it"),
            format!(
                "`GRANT USAGE, CREATE ON SCHEMA {schema} TO {role_name}`, or connect as the role \
                 that owns it"
            ),
        ),
        false => (
            format!(
                "it is not there, and role `{role_name}` may not create one in database \
                 `{database_name}`"
            ),
            format!(
                "`CREATE SCHEMA {schema} AUTHORIZATION {role_name}` by an administrator makes it, \
                 or `GRANT CREATE ON DATABASE {database_name} TO {role_name}` lets the role"
            ),
        ),
    };
    Err(DatabaseError::MigrationRefused {
        schema: schema.to_string(),
        reason,
        hint,
    })
}
