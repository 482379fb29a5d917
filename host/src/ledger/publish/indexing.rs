//! The indexes of staged rows, which are brought up to the rows of an upload while it is
//! published: its own rows are read whole, and those who come later find theirs.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use tokio::task::JoinHandle;

use crate::database::{Database, SqlError};

/// Indexing under way, in a session of its own.
pub(super) struct Indexing(JoinHandle<Result<(), sqlx::Error>>);

impl Indexing {
    /// Begins with the months of these days.
    pub(super) fn begin(database: &Database, days: &BTreeSet<NaiveDate>) -> Self {
        let months: BTreeSet<NaiveDate> =
            days.iter().filter_map(|day| day.with_day(1)).collect();
        let months: Vec<NaiveDate> = months.into_iter().collect();
        let pool = database.pool().clone();
        Self(database.runtime().spawn(async move {
            sqlx::query(include_str!(
                "../../../../sql/staging_partitions.index.sql"
            ))
            .bind(months)
            .execute(&pool)
            .await
            .map(drop)
        }))
    }

    /// Waits for its end. It is for speed alone, so that whoever publishes need not fail
    /// with it.
    pub(super) async fn end(self) {
        if let Ok(Err(error)) = self.0.await {
            let error = SqlError(error);
            tracing::warn!("the rows that were loaded are not indexed yet: {error}");
        }
    }
}
