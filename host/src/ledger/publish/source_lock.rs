//! The lock of a source: its holder alone works on the payloads of the source.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};

use crate::database::{Database, SqlError};
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::hindrance::Hindrance;
use crate::ledger::source::Source;

/// Takes the lock for the session `lock`; returns the server's process of that. Says so when
/// it takes time, which is bounded by the lock time-out of the session.
pub(in crate::ledger) async fn take(
    database: &Database,
    lock: &mut PgConnection,
    source: &Source,
) -> Result<i32> {
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
    let (locked, process): (bool, i32) = sqlx::query_as(include_str!(
        "../../../../sql/gristmill_source.try_lock.sql"
    ))
    .bind(&uuid)
    .fetch_one(&mut *lock)
    .await
    .map_err(failed)?;
    if locked {
        return Ok(process);
    }
    let holder: Option<Holder> = sqlx::query_as(include_str!(
        "../../../../sql/gristmill_run.select_holder.sql"
    ))
    .bind(&uuid)
    .fetch_optional(&mut *lock)
    .await
    .map_err(failed)?;
    // It may have gone meanwhile: then there is nobody to wait for.
    if let Some(holder) = holder {
        tracing::info!("{}", holder.waited_for(source));
    }
    sqlx::query(include_str!("../../../../sql/gristmill_source.lock.sql"))
        .bind(&uuid)
        .execute(lock)
        .await
        .map(|_| process)
        .map_err(failed)
}

/// Who has the lock.
#[derive(FromRow)]
struct Holder {
    process: i32,
    application_name: String,
    run_id: Option<i64>,
    payload: Option<String>,
    started_at: Option<DateTime<Utc>>,
}

impl Holder {
    fn waited_for(&self, source: &Source) -> String {
        let cluster = &source.cluster_id;
        match (self.run_id, &self.payload, self.started_at) {
            (Some(run), Some(payload), Some(started_at)) => format!(
                "waiting for another run at work on cluster `{cluster}`: run {run}, `{payload}`, \
                 since {} UTC",
                started_at.format("%Y-%m-%d %H:%M")
            ),
            _ => format!(
                "waiting for session {} (`{}`), which keeps runs out of cluster `{cluster}`",
                self.process, self.application_name
            ),
        }
    }
}

/// The failure of a statement in the session that has the lock: when the session has
/// ended, that is what there is to say, whatever met it.
pub(in crate::ledger) fn in_its_session(source: &Source, failure: Failure) -> Failure {
    match failure.hindrance {
        Some(Hindrance::Lost) => lost(source, failure),
        _ => failure,
    }
}

/// The failure of a session that had the lock and has ended, from the failure that
/// followed.
pub(super) fn lost(source: &Source, came: Failure) -> Failure {
    let message = format!(
        "the session that kept other runs out of cluster `{}` has ended",
        source.cluster_id
    );
    if came.message == message {
        return came;
    }
    let mut failure = Failure::hindered(Some(Hindrance::Lost), message).hint(
        "run it again, which does nothing twice; a time-out of idle sessions or a firewall may \
         have ended the session",
    );
    failure.causes.push(came.message);
    failure.causes.extend(came.causes);
    failure
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn source() -> Source {
        Source {
            source_uuid: Uuid::nil(),
            cluster_id: "c".into(),
            cluster_alias: "c".into(),
            registered_at: chrono::DateTime::UNIX_EPOCH,
            engine: None,
        }
    }

    #[test]
    fn who_is_waited_for_is_a_run_only_when_there_is_one() {
        let mut holder = Holder {
            process: 42,
            application_name: "psql".into(),
            run_id: None,
            payload: None,
            started_at: None,
        };
        assert_eq!(
            holder.waited_for(&source()),
            "waiting for session 42 (`psql`), which keeps runs out of cluster `c`"
        );
        (holder.run_id, holder.payload) = (Some(7), Some("p.tar.gz".into()));
        holder.started_at = Some(DateTime::UNIX_EPOCH);
        assert_eq!(
            holder.waited_for(&source()),
            "waiting for another run at work on cluster `c`: run 7, `p.tar.gz`, \
            since 1970-01-01 00:00 UTC"
        );
    }

    #[test]
    fn a_session_that_ended_is_said_once_and_other_failures_as_they_are() {
        let failure = |hindrance| Failure::hindered(hindrance, "cannot publish");
        let lost = in_its_session(&source(), failure(Some(Hindrance::Lost)));
        let words =
            "the session that kept other runs out of cluster `c` has ended\n  cannot publish";
        assert_eq!(lost.to_string(), words);
        assert_eq!(in_its_session(&source(), lost).to_string(), words);
        let others = in_its_session(&source(), failure(Some(Hindrance::Clash)));
        assert_eq!(others.to_string(), "cannot publish");
    }
}
