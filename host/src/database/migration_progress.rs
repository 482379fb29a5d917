//! Tells how far a schema's migrations are: which one is at work, for how long, and what it
//! waits for.

use std::pin::pin;
use std::time::{Duration, Instant};

use sqlx::PgPool;

use super::waiting;

/// How often a migration at work is spoken of.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// The migrations of one command.
pub(super) struct Progress<'a> {
    /// Where the server is asked about the session that migrates.
    pool: &'a PgPool,
    /// The server's process of that session.
    process: i32,
    done: usize,
    all: usize,
    /// Whether each one is named before it begins.
    names_each: bool,
}

impl<'a> Progress<'a> {
    pub(super) fn new(pool: &'a PgPool, process: i32) -> Self {
        Self {
            pool,
            process,
            done: 0,
            all: 0,
            names_each: false,
        }
    }

    /// So many migrations are to be applied. Of a schema that is new nobody wants to hear
    /// each table.
    pub(super) fn begin(&mut self, migrations: usize, is_new: bool) {
        self.all = migrations;
        self.names_each = !is_new;
    }

    /// Awaits the next one.
    pub(super) async fn telling<T>(&mut self, file: &str, work: impl Future<Output = T>) -> T {
        self.done += 1;
        let which = format!("migration {} of {}, `{file}`", self.done, self.all);
        if self.names_each {
            tracing::info!("{which}");
        }
        let begun = Instant::now();
        let mut work = pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(TOLD_EVERY, work.as_mut()).await {
                return done;
            }
            let doing = self.doing().await.unwrap_or_default();
            tracing::info!(
                "{which}: at work for {} s{doing}",
                begun.elapsed().as_secs()
            );
        }
    }

    /// What the session is doing, as far as the server says; whoever cannot be asked now is
    /// asked again.
    async fn doing(&self) -> Option<String> {
        let asked = waiting::awaited(self.pool, self.process);
        if let Some(what) = asked.await.ok().flatten() {
            return Some(format!(", waiting for another session at work on {what}"));
        }
        let indexed: Option<(String, i64)> = sqlx::query_as(include_str!(
            "../../../sql/pg_stat_progress_create_index.select.sql"
        ))
        .bind(self.process)
        .fetch_optional(self.pool)
        .await
        .ok()
        .flatten();
        indexed.map(|(table, percent)| format!(", {percent} % of an index on {table}"))
    }
}
