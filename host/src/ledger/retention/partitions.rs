//! Drops partitions that are past retention or that nobody needs, one at a time. A drop
//! locks the table for a moment, and only when nobody uses it: whoever comes to load
//! meanwhile waits.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::NaiveDate;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::{FromRow, PgConnection, Postgres};
use tokio::time::sleep;

use super::{CleanSummary, OldPartition};
use crate::database::{Database, SqlError};
use crate::diagnostics::failure::{Failure, Result};

/// How often a partition is tried whose table is in use.
const TRIES_MAX: u32 = 5;

/// The pause after each failed try, in which loads have the table for themselves.
const PAUSE: Duration = Duration::from_millis(200);

/// A partition that a month has besides those that are always there.
#[derive(FromRow)]
struct MonthPartition {
    #[sqlx(flatten)]
    partition: OldPartition,
    month: NaiveDate,
    is_staging: bool,
}

/// The connection on which they are dropped.
pub(super) async fn connection(database: &Database) -> Result<PoolConnection<Postgres>> {
    let acquired = database.pool().acquire().await;
    acquired.map_err(|error| failed("cannot drop partitions", error))
}

/// Drops the months of summaries that are past retention.
pub(super) async fn drop_old(
    connection: &mut PgConnection,
    months: i32,
    cleaned: &mut CleanSummary,
) -> Result<()> {
    let failed = |error| failed("cannot drop old summaries", error);
    let old: Vec<OldPartition> =
        sqlx::query_as(include_str!("../../../../sql/old_partitions.select.sql"))
            .bind(months)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
    let mut in_use = InUse::default();
    for partition in old {
        let drop = || {
            let statement = sqlx::query_scalar("SELECT true FROM drop_partition($1)");
            statement.bind(&partition.partition_name)
        };
        let dropped = match cleaned.dry_run {
            true => true,
            false => in_use
                .unless(connection, &partition, drop)
                .await
                .map_err(failed)?
                .is_some(),
        };
        if dropped {
            cleaned.partitions.push(partition);
        }
    }
    cleaned.partitions_in_use.extend(in_use.partitions);
    Ok(())
}

/// Drops the partitions that hold nothing that counts, of all months but those that are
/// always there; of staging alone, or of all tables when it is `None`.
pub(super) async fn drop_unused(
    connection: &mut PgConnection,
    is_staging: Option<bool>,
    cleaned: &mut CleanSummary,
) -> Result<()> {
    let failed = |error| failed("cannot drop empty partitions", error);
    let others: Vec<MonthPartition> = sqlx::query_as(include_str!(
        "../../../../sql/partitions_by_month.select_other.sql"
    ))
    .bind(is_staging)
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    let statement = match cleaned.dry_run {
        true => "SELECT is_unused_partition($1, $2, $3)",
        false => "SELECT drop_unused_partition($1, $2, $3)",
    };
    let mut in_use = InUse::default();
    for MonthPartition {
        partition,
        month,
        is_staging,
    } in others
    {
        // A dry run counts it; else it is gone.
        let is_old = |old: &OldPartition| old.partition_name == partition.partition_name;
        if cleaned.partitions.iter().any(is_old) {
            continue;
        }
        let drop = || {
            let statement = sqlx::query_scalar(statement);
            let statement = statement.bind(&partition.partition_name);
            statement.bind(month).bind(is_staging)
        };
        let unused = in_use
            .unless(connection, &partition, drop)
            .await
            .map_err(failed)?;
        if unused == Some(true) {
            cleaned.empty_partitions.push(partition);
        }
    }
    let dropped = |name: &String| {
        let mut partitions = cleaned.empty_partitions.iter();
        partitions.any(|partition| partition.partition_name == *name)
    };
    in_use
        .partitions
        .extend(cleaned.partitions_in_use.iter().cloned());
    in_use.partitions.retain(|name| !dropped(name));
    cleaned.partitions_in_use = in_use.partitions;
    Ok(())
}

/// The tables that others use all the time, and the partitions that stay for it.
#[derive(Default)]
struct InUse {
    tables: BTreeSet<String>,
    partitions: BTreeSet<String>,
}

impl InUse {
    /// Runs a statement on a partition again and again while its table is in use; `None`
    /// when it is in use all the time, or was for another partition.
    async fn unless<'q>(
        &mut self,
        connection: &mut PgConnection,
        partition: &OldPartition,
        statement: impl Fn() -> QueryScalar<'q, Postgres, bool, PgArguments>,
    ) -> Result<Option<bool>, sqlx::Error> {
        if !self.tables.contains(&partition.table_name) {
            for _ in 0..TRIES_MAX {
                match statement().fetch_one(&mut *connection).await {
                    Ok(said) => return Ok(Some(said)),
                    Err(error) if is_in_use(&error) => sleep(PAUSE).await,
                    Err(error) => return Err(error),
                }
            }
            self.tables.insert(partition.table_name.clone());
        }
        self.partitions.insert(partition.partition_name.clone());
        Ok(None)
    }
}

/// The lock was not to be had soon, or only at the cost of somebody else.
fn is_in_use(error: &sqlx::Error) -> bool {
    let state = error.as_database_error().and_then(|error| error.code());
    matches!(state.as_deref(), Some("55P03" | "40P01"))
}

fn failed(doing: &str, error: sqlx::Error) -> Failure {
    SqlError(error).failure(doing)
}
