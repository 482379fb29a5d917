//! Removes the rows of forgotten generations, one partition at a time, each in a
//! transaction of its own. So no transaction locks all months, and nobody waits for one
//! that does. A generation stays on record, as forgotten, until its last row is gone.

use sqlx::PgConnection;

use crate::diagnostics::failpoint::{self, Failpoint};

/// Forgets generations with all of their rows. One that a COPY is about to add rows to is
/// waited for; afterwards none can.
///
/// # Errors
/// The database fails; whoever removes forgotten generations goes on where this ended.
pub(crate) async fn forget(
    connection: &mut PgConnection,
    generations: &[i64],
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../../sql/gristmill_generation.forget.sql"))
        .bind(generations)
        .execute(&mut *connection)
        .await?;
    failpoint::passed(Failpoint::GenerationMarked);
    remove(connection, generations).await
}

/// Removes the rows of generations that are forgotten, and then their records.
///
/// # Errors
/// As `forget`.
pub(crate) async fn remove(
    connection: &mut PgConnection,
    generations: &[i64],
) -> Result<(), sqlx::Error> {
    for generation in generations {
        let partitions: Vec<String> = sqlx::query_scalar("SELECT staging_partitions($1)")
            .bind(generation)
            .fetch_all(&mut *connection)
            .await?;
        for partition in partitions {
            sqlx::query("SELECT remove_staged_rows($1, $2)")
                .bind(partition)
                .bind(generation)
                .execute(&mut *connection)
                .await?;
        }
    }
    sqlx::query(include_str!(
        "../../../sql/gristmill_generation.delete_forgotten.sql"
    ))
    .bind(generations)
    .execute(connection)
    .await
    .map(drop)
}

/// The generations that are forgotten and may have rows still, whoever forgot them.
///
/// # Errors
/// The database fails.
pub(crate) async fn forgotten(connection: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(include_str!(
        "../../../sql/gristmill_generation.select_forgotten.sql"
    ))
    .fetch_all(connection)
    .await
}
