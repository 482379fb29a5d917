//! Probes whether the database can be used now, and changes nothing there.

use sqlx::Connection;

use super::error::DatabaseError;
use super::{Server, Target};

/// Connects and looks whether transactions may write. Nothing is migrated.
///
/// # Errors
/// The database cannot be reached, or is read-only.
pub async fn probe(target: &Target) -> Result<(), DatabaseError> {
    let (server, mut connection) = Server::reach(target).await?;
    let read_only: bool =
        sqlx::query_scalar("SELECT current_setting('transaction_read_only')::boolean")
            .fetch_one(&mut connection)
            .await
            .map_err(DatabaseError::statement("ask the database how it is"))?;
    // A connection that is not closed well is closed all the same.
    let _ = connection.close().await;
    match read_only {
        false => Ok(()),
        true => Err(DatabaseError::ReadOnly {
            location: server.location,
        }),
    }
}
