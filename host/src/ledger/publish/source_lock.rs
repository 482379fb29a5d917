//! The lock of a source: whoever has it is alone at work on its payloads.

use sqlx::PgConnection;

use crate::database::{Database, SqlError};
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::source::Source;

/// Takes the lock for the session `lock`. Says so when that takes time, which is bounded
/// by the lock time-out of the session.
pub(super) async fn take(
    database: &Database,
    lock: &mut PgConnection,
    source: &Source,
    say: &dyn Fn(&str),
) -> Result<()> {
    let failed = |error: sqlx::Error| {
        let error = SqlError(error);
        if error.state().as_deref() != Some("55P03") {
            return error.failure("cannot lock the source");
        }
        let seconds = database.lock_wait().as_secs_f64();
        Failure::hindered(
            error.hindrance(),
            format!(
                "waited {seconds} s in vain for another run at work on cluster `{}`",
                source.cluster_id
            ),
        )
        .hint(
            "`gristmill_run` shows the runs that are at work; `lock-wait` in `[limits]` is how \
             long a lock is waited for",
        )
    };
    let uuid = source.source_uuid.to_string();
    let locked: bool = sqlx::query_scalar(include_str!(
        "../../../../sql/gristmill_source.try_lock.sql"
    ))
    .bind(&uuid)
    .fetch_one(&mut *lock)
    .await
    .map_err(failed)?;
    if locked {
        return Ok(());
    }
    say(&format!(
        "waiting for another run at work on cluster `{}`",
        source.cluster_id
    ));
    sqlx::query(include_str!("../../../../sql/gristmill_source.lock.sql"))
        .bind(&uuid)
        .execute(lock)
        .await
        .map(drop)
        .map_err(failed)
}
