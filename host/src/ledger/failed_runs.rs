//! Payloads that failed and have not been run well since: they stay known until they are,
//! or until a person says that they do not matter.

use sqlx::PgPool;

use super::status::LastRun;
use crate::database::{Database, SqlError};
use crate::diagnostics::failure::{Failure, Result};

/// The last failed run of each such payload, the newest first.
pub(super) async fn failed_runs(pool: &PgPool) -> Result<Vec<LastRun>, sqlx::Error> {
    sqlx::query_as(include_str!("../../../sql/gristmill_run.select_failed.sql"))
        .fetch_all(pool)
        .await
}

/// Marks failed runs as discarded.
///
/// # Errors
/// One of them did not fail, is not there or was discarded before; then none is. Or the
/// database fails.
pub fn discard(database: &Database, ids: &[i64], reason: &str) -> Result<()> {
    database.wait(async {
        let failed = |error| SqlError(error).failure("cannot discard the runs");
        let mut transaction = database.pool().begin().await.map_err(failed)?;
        let discarded: Vec<i64> =
            sqlx::query_scalar(include_str!("../../../sql/gristmill_run.discard.sql"))
                .bind(ids)
                .bind(reason)
                .fetch_all(&mut *transaction)
                .await
                .map_err(failed)?;
        if let Some(other) = ids.iter().find(|id| !discarded.contains(id)) {
            return Err(Failure::run(format!(
                "run {other} is none that failed and was not discarded"
            ))
            .hint("nothing was changed; `gristmill status` numbers the failed runs"));
        }
        transaction.commit().await.map_err(failed)
    })
}
