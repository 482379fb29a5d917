//! Sources: the clusters that payloads come from. A payload names its source by the id of
//! the cluster, the host by the uuid, and a person by a [`word`].

mod renaming;
mod word;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

pub use self::renaming::Renaming;
use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::pipeline::definition::EngineName;

/// Under this name a cluster's uuid is derived from its id, so that every site and
/// every run derives the same.
const NAMESPACE: Uuid = Uuid::from_u128(0x6772_6973_746d_596c_8c00_736f_7572_6365);

/// A cluster as the tables know it.
#[derive(Clone, Debug, FromRow, Serialize)]
pub struct Source {
    pub source_uuid: Uuid,
    pub cluster_id: String,
    pub cluster_alias: String,
    pub registered_at: DateTime<Utc>,
    /// The engine that goes before the pipeline's.
    pub engine: Option<String>,
}

/// The uuid of a source that nobody gave one.
pub fn derived_uuid(cluster_id: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, cluster_id.as_bytes())
}

/// Every source, by alias.
///
/// # Errors
/// The database fails.
pub fn list(database: &Database) -> Result<Vec<Source>> {
    database.wait(select(database, None, None))
}

/// The source of a cluster.
///
/// # Errors
/// The database fails.
pub fn find(database: &Database, cluster_id: &str) -> Result<Option<Source>> {
    Ok(database
        .wait(select(database, Some(cluster_id), None))?
        .pop())
}

/// The source of this uuid.
///
/// # Errors
/// There is none, or the database fails.
pub fn of_uuid(database: &Database, source_uuid: Uuid) -> Result<Source> {
    let source = database
        .wait(select(database, None, Some(source_uuid)))?
        .pop();
    source.ok_or_else(|| Failure::run(format!("source {source_uuid} is not registered")))
}

/// The source that a person means by a cluster's id, an alias or a uuid, or exactly by
/// `cluster:ID`, `alias:NAME` or `uuid:UUID`.
///
/// # Errors
/// The word fits no source or several, or the database fails.
pub fn named(database: &Database, word: &str) -> Result<Source> {
    word::pick(list(database)?, word)
}

pub(super) async fn select(
    database: &Database,
    cluster_id: Option<&str>,
    source_uuid: Option<Uuid>,
) -> Result<Vec<Source>> {
    sqlx::query_as(include_str!("../../../../sql/gristmill_source.select.sql"))
        .bind(cluster_id)
        .bind(source_uuid)
        .fetch_all(database.pool())
        .await
        .map_err(|error| SqlError(error).failure("cannot read the sources"))
}

/// Registers a source; the same again changes nothing.
///
/// # Errors
/// The cluster or the uuid belongs to another source, or the database fails.
pub fn register(
    database: &Database,
    uuid: Uuid,
    cluster_id: &str,
    cluster_alias: &str,
) -> Result<()> {
    database.wait(async {
        sqlx::query("SELECT register_source($1, $2, $3)")
            .bind(uuid)
            .bind(cluster_id)
            .bind(cluster_alias)
            .execute(database.pool())
            .await
            .map(|_| failpoint::passed(Failpoint::SourceRegistered))
            .map_err(|error| {
                SqlError(error).failure(format!("cannot register cluster `{cluster_id}`"))
            })
    })
}

/// The source of a cluster that somebody named by its id.
///
/// # Errors
/// There is none, or the database fails.
pub fn of_cluster(database: &Database, cluster_id: &str) -> Result<Source> {
    find(database, cluster_id)?.ok_or_else(|| {
        Failure::run(format!("there is no source for cluster `{cluster_id}`"))
            .hint("`gristmill sources list` shows the sources")
    })
}

/// Gives a source another alias.
///
/// # Errors
/// There is no such source, or the database fails.
pub fn rename(database: &Database, cluster_id: &str, cluster_alias: &str) -> Result<Renaming> {
    let source = of_cluster(database, cluster_id)?;
    renaming::rename(database, &source, cluster_alias)
}

/// Gives a source an engine that goes before the pipeline's; `None` for the pipeline's.
///
/// # Errors
/// The database fails.
pub fn set_engine(database: &Database, cluster_id: &str, engine: Option<EngineName>) -> Result<()> {
    let source = of_cluster(database, cluster_id)?;
    let set = sqlx::query(include_str!(
        "../../../../sql/gristmill_source.set_engine.sql"
    ))
    .bind(source.source_uuid)
    .bind(engine.map(EngineName::as_str))
    .execute(database.pool());
    database.wait(set).map(drop).map_err(|error| {
        SqlError(error).failure(format!("cannot set the engine of cluster `{cluster_id}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uuid_of_a_cluster_never_changes() {
        // Rows in the tables of sites carry it.
        let uuid = derived_uuid("11111111-0000-4000-8000-000000000001");
        assert_eq!(uuid.get_version_num(), 5);
        assert_eq!(uuid, derived_uuid("11111111-0000-4000-8000-000000000001"));
        assert_ne!(uuid, derived_uuid("11111111-0000-4000-8000-000000000002"));
    }
}
