//! The schemas of a database that are tenants' of gristmill, and how far each is migrated.
//! Nothing is changed.

use sqlx::{Connection, PgConnection};

use super::error::DatabaseError;
use super::history::{self, AppliedMigrations};
use super::schema_name::SchemaName;
use super::session::{Session, SessionError};
use super::{Server, Target};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub schema: SchemaName,
    pub condition: TenantCondition,
}

/// How a tenant's schema stands to this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantCondition {
    UpToDate,
    /// An older program made it.
    Older,
    /// A newer program was there, or it has another history; with the reason.
    Refused(String),
    /// The role may not look into it.
    Closed,
}

/// Every tenant of the target's database, by name.
///
/// # Errors
/// The database cannot be reached or asked.
pub async fn tenants(target: &Target) -> Result<Vec<Tenant>, DatabaseError> {
    let (server, mut first) = Server::reach(target).await?;
    let schemas = schemas(&mut first).await?;
    // A connection that is not closed well is closed all the same.
    let _ = first.close().await;
    let mut tenants = Vec::new();
    for schema in schemas {
        // A session is of one schema for as long as it lasts.
        let mut connection = server.connect().await?;
        let session = Session::of(&schema, target.lock_wait);
        let condition = match session.begin(&mut connection).await {
            Ok(_) => condition(&mut connection, &schema).await?,
            Err(SessionError::Mismatch(_)) => TenantCondition::Closed,
            Err(error) => return Err(error.at(&server.location)),
        };
        let _ = connection.close().await;
        tenants.push(Tenant { schema, condition });
    }
    Ok(tenants)
}

async fn condition(
    connection: &mut PgConnection,
    schema: &SchemaName,
) -> Result<TenantCondition, DatabaseError> {
    let recorded = match AppliedMigrations::read(connection).await {
        Ok(recorded) => recorded,
        Err(DatabaseError::Statement { source, .. })
            if source.state().as_deref() == Some("42501") =>
        {
            return Ok(TenantCondition::Closed);
        }
        Err(error) => return Err(error),
    };
    match history::lacking(&recorded, schema) {
        Ok(lacking) if lacking.can_be_read() => Ok(TenantCondition::UpToDate),
        Ok(_) => Ok(TenantCondition::Older),
        Err(DatabaseError::MigrationRefused { reason, .. }) => Ok(TenantCondition::Refused(reason)),
        Err(error) => Err(error),
    }
}

/// The schemas with our tables, by name; whoever may connect may ask.
pub(super) async fn schemas(
    connection: &mut PgConnection,
) -> Result<Vec<SchemaName>, DatabaseError> {
    // Not prepared: it may not be known yet whose session this is.
    const SQL: &str = "
        SELECT tenant.nspname::text
        FROM pg_namespace AS tenant
        JOIN pg_class AS migrations
            ON migrations.relnamespace = tenant.oid
            AND migrations.relname = '_sqlx_migrations'
        JOIN pg_class AS sources
            ON sources.relnamespace = tenant.oid
            AND sources.relname = 'gristmill_source'
        -- Scratch schemas are nobody's, as their comment says.
        WHERE coalesce(obj_description(tenant.oid, 'pg_namespace') NOT LIKE 'scratch of gristmill %', true)
        ORDER BY tenant.nspname";

    let rows = sqlx::raw_sql(SQL)
        .fetch_all(connection)
        .await
        .map_err(DatabaseError::statement("look for tenants"))?;
    let names = rows
        .iter()
        .map(|row| sqlx::Row::try_get::<String, _>(row, 0))
        .collect::<Result<Vec<_>, _>>()
        .map_err(DatabaseError::statement("look for tenants"))?;
    // Nobody could name others to us.
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}
