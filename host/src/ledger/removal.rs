//! Takes days or a whole source back, in one transaction and beside no other run of the
//! source. SQL knows the tables; archived payloads stay, as the way back.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, FromRow, PgConnection};
use uuid::Uuid;

use super::archive;
use super::publish::clash::Tries;
use super::publish::source_lock;
use super::source::Source;
use super::{action, staged_rows};
use crate::database::{Database, SqlError};
use crate::diagnostics::days::Days;
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};

/// The things that went, or would.
#[derive(Debug, Serialize)]
pub struct Removal {
    pub dry_run: bool,
    pub cluster_id: String,
    pub cluster_alias: String,
    pub source_uuid: Uuid,
    pub tables: Vec<RemovedRows>,
    /// The archived payloads that bring it back.
    pub archived: Vec<PathBuf>,
}

/// The rows of a table that went.
#[derive(Debug, FromRow, PartialEq, Eq, Serialize)]
pub struct RemovedRows {
    #[sqlx(rename = "table_name")]
    pub table: String,
    pub rows: i64,
}

/// Removes days of a source.
///
/// # Errors
/// The source is at work for too long, or a statement fails; then nothing has changed.
pub fn remove_days(
    database: &Database,
    source: &Source,
    days: Days,
    dry_run: bool,
) -> Result<Removal> {
    let request = RemovalRequest {
        source,
        days: Some(days),
        dry_run,
    };
    database.wait(request.remove(database))
}

/// Removes a source.
///
/// # Errors
/// As `remove_days`.
pub fn remove_source(database: &Database, source: &Source, dry_run: bool) -> Result<Removal> {
    let request = RemovalRequest {
        source,
        days: None,
        dry_run,
    };
    database.wait(request.remove(database))
}

/// What is to be removed.
struct RemovalRequest<'a> {
    source: &'a Source,
    /// All of the source when absent.
    days: Option<Days>,
    dry_run: bool,
}

impl RemovalRequest<'_> {
    async fn remove(&self, database: &Database) -> Result<Removal> {
        let failed = |error| self.failed(error);
        let mut lock = database.pool().acquire().await.map_err(failed)?.detach();
        let process = source_lock::take(database, &mut lock, self.source).await?;
        let removed = database.telling(process, self.remove_locked(&mut lock));
        let removed = removed.await;
        // The lock goes with the connection, however that ends.
        let _ = lock.close().await;
        removed.map_err(|failure| source_lock::in_its_session(self.source, failure))
    }

    async fn remove_locked(&self, lock: &mut PgConnection) -> Result<Removal> {
        if !self.dry_run {
            // Nobody knows of which days the rows of dead runs are.
            let dead: Vec<i64> = sqlx::query_scalar(include_str!(
                "../../../sql/gristmill_generation.select_unfinished.sql"
            ))
            .bind(self.source.source_uuid)
            .fetch_all(&mut *lock)
            .await
            .map_err(|error| self.failed(error))?;
            if !dead.is_empty() {
                let forgotten = staged_rows::forget(lock, &dead);
                forgotten.await.map_err(|error| self.failed(error))?;
            }
        }
        let mut tries = Tries::new();
        let removal = loop {
            match self.try_remove(lock).await {
                Err(failure) if tries.again(&failure).await => {}
                removed => break removed?,
            }
        };
        if !self.dry_run {
            // Of uploads that waited for files. Nobody reads these rows.
            let forgotten = async {
                let generations = staged_rows::forgotten(lock).await?;
                staged_rows::remove(lock, &generations).await
            };
            forgotten.await.map_err(|error| self.failed(error))?;
        }
        Ok(removal)
    }

    async fn try_remove(&self, lock: &mut PgConnection) -> Result<Removal> {
        let failed = |error| self.failed(error);
        let source_uuid = self.source.source_uuid;
        let mut transaction = lock.begin().await.map_err(failed)?;
        let archived = archive::removable(&mut transaction, source_uuid, self.days)
            .await
            .map_err(failed)?;
        let statement = match self.days {
            Some(_) => "SELECT table_name, rows FROM remove_days($1, $2, $3)",
            None => "SELECT table_name, rows FROM remove_source($1)",
        };
        let mut statement = sqlx::query_as(statement).bind(source_uuid);
        if let Some(days) = self.days {
            statement = statement.bind(days.first).bind(days.last);
        }
        let tables: Vec<RemovedRows> = statement
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        let removal = Removal {
            dry_run: self.dry_run,
            cluster_id: self.source.cluster_id.clone(),
            cluster_alias: self.source.cluster_alias.clone(),
            source_uuid,
            tables: self.only_present(tables),
            // A record that names no file brings nothing back.
            archived: archived
                .iter()
                .filter_map(|payload| payload.path().ok())
                .collect(),
        };
        if self.dry_run || removal.tables.is_empty() {
            transaction.rollback().await.map_err(failed)?;
            return Ok(removal);
        }
        self.record(&mut transaction, &removal)
            .await
            .map_err(failed)?;
        failpoint::passed(Failpoint::RemovalRecorded);
        transaction.commit().await.map_err(failed)?;
        failpoint::passed(Failpoint::RemovalCommitted);
        Ok(removal)
    }

    /// In the order of their names.
    fn only_present(&self, mut tables: Vec<RemovedRows>) -> Vec<RemovedRows> {
        tables.retain(|table| table.rows > 0);
        tables.sort_by(|left, right| left.table.cmp(&right.table));
        tables
    }

    async fn record(
        &self,
        connection: &mut PgConnection,
        removal: &Removal,
    ) -> Result<(), sqlx::Error> {
        let cluster = format!("cluster `{}`", self.source.cluster_id);
        let (command, subject) = match self.days {
            Some(days) => ("days remove", format!("{days} of {cluster}")),
            None => ("sources remove", cluster),
        };
        action::record(connection, command, &subject, json!(removal)).await
    }

    fn failed(&self, error: sqlx::Error) -> Failure {
        let what = match self.days {
            Some(days) => format!("cannot remove {days} of cluster"),
            None => "cannot remove cluster".to_string(),
        };
        SqlError(error).failure(format!("{what} `{}`", self.source.cluster_id))
    }
}
