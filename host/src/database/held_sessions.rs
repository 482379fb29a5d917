//! Sessions that payloads hold, for the locks of their runs and of their sources. One that
//! did all that was asked of it serves the next payload: a new one would read the catalogue
//! and plan every statement anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, PgPool};

/// How long a session may have had nothing to do and is used again: behind firewalls it may
/// be gone, and nobody says so.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// How old a session may grow, as those of the pool: what it has cached, and its temporary
/// tables, go with it.
const AGE_MAX: Duration = Duration::from_secs(30 * 60);

/// How long a session may take to show that it is there.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Sessions without locks, the one that was held last at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldSessions(Arc<Mutex<Vec<IdleSession>>>);

#[derive(Debug)]
struct IdleSession {
    connection: PgConnection,
    since: Instant,
}

impl HeldSessions {
    /// A session out of the pool: one that served before, or a new one.
    pub(super) async fn take(&self, pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
        while let Some(IdleSession {
            mut connection,
            since,
        }) = self.last()
        {
            let is_there = since.elapsed() < IDLE_MAX
                && tokio::time::timeout(ANSWER_MAX, connection.ping())
                    .await
                    .is_ok_and(|answer| answer.is_ok());
            if is_there {
                return Ok(connection);
            }
        }
        pool.acquire().await.map(|pooled| pooled.detach())
    }

    /// Takes a session back, and its locks from it.
    pub(super) async fn give_back(&self, mut connection: PgConnection) {
        let is_old = sqlx::query_scalar(include_str!("../../../sql/session.release.sql"))
            .bind(AGE_MAX.as_secs_f64())
            .fetch_one(&mut connection)
            .await;
        if is_old.unwrap_or(true) {
            // Its locks go with the connection, however that ends.
            let _ = connection.close().await;
            return;
        }
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(IdleSession {
            connection,
            since: Instant::now(),
        });
    }

    fn last(&self) -> Option<IdleSession> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}
