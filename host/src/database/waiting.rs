//! Tells the user when a statement waits for other sessions.

use std::pin::pin;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};

/// How long nothing is said of a wait.
const SILENCE: Duration = Duration::from_secs(1);

/// Awaits what takes no time unless another session is in its way: says these words when
/// it does.
pub async fn or_say<T>(words: impl FnOnce() -> String, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    match tokio::time::timeout(SILENCE, work.as_mut()).await {
        Ok(done) => done,
        Err(_) => {
            tracing::info!("{}", words());
            work.await
        }
    }
}

/// The server's process that is at work for a session.
pub async fn process(session: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(session)
        .await
}

/// Awaits what a session does, which may take long by itself: says what it waits for when
/// the server says that it waits. `process` is the server's for the session. The server is
/// asked on a connection of the pool: while there is none left, nothing is said.
pub(super) async fn telling<T>(pool: &PgPool, process: i32, work: impl Future<Output = T>) -> T {
    let told = async {
        let mut last = None;
        loop {
            tokio::time::sleep(SILENCE).await;
            // Whoever cannot be asked now is asked again.
            let awaited = awaited(pool, process).await.ok().flatten();
            if awaited.is_some() && awaited != last {
                let what = awaited.as_deref().unwrap_or_default();
                tracing::info!("waiting for another session at work on {what}");
                last = awaited;
            }
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        never = told => never,
    }
}

/// What the session of this process waits for, if another one has it.
pub(super) async fn awaited(pool: &PgPool, process: i32) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(include_str!("../../../sql/pg_locks.select_awaited.sql"))
        .bind(process)
        .fetch_optional(pool)
        .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::runtime::Builder;
    use tracing::{Event, Subscriber};
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::*;

    /// Counts what is said.
    struct Count(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Count {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_takes_no_time_says_nothing() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let said = |seconds: u64| {
            let said = Arc::new(AtomicUsize::new(0));
            let work = async {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                seconds
            };
            let counting = Registry::default().with(Count(Arc::clone(&said)));
            let done = tracing::subscriber::with_default(counting, || {
                runtime.block_on(or_say(|| "w".into(), work))
            });
            assert_eq!(done, seconds);
            said.load(Ordering::Relaxed)
        };
        assert_eq!((said(0), said(2)), (0, 1));
    }
}
