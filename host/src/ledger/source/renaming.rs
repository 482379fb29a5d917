//! Gives a source another alias. The tables that have it once a source change at once; the
//! rows of days follow a day at a time, and the values of tags a key at a time, each in a
//! transaction of its own: nobody waits for all of them, and nobody sees two aliases on one
//! day. What is broken off goes on with the same command.

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use super::Source;
use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::action;
use crate::ledger::publish::source_lock;

/// The result of giving a source another alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Renaming {
    /// Days of which rows were changed.
    pub days: u64,
    /// An earlier command had not come to its end.
    pub went_on: bool,
}

/// Renames a source, beside no other run of it.
///
/// # Errors
/// A statement fails; what was done before it stays done, and the same again goes on.
pub(super) fn rename(database: &Database, source: &Source, alias: &str) -> Result<Renaming> {
    let failed = |error| failed(source, error);
    database.wait(async {
        let mut lock = database.pool().acquire().await.map_err(failed)?.detach();
        let process = source_lock::take(database, &mut lock, source).await?;
        let renamed = rename_locked(&mut lock, source, alias);
        let renamed = database.telling(process, renamed).await.map_err(failed);
        // The lock goes with the connection, however that ends.
        let _ = lock.close().await;
        renamed.map_err(|failure| source_lock::in_its_session(source, failure))
    })
}

async fn rename_locked(
    lock: &mut PgConnection,
    source: &Source,
    alias: &str,
) -> Result<Renaming, sqlx::Error> {
    let mut renaming = Renaming::default();
    let (before, is_under_way): (String, bool) = sqlx::query_as(
        "SELECT cluster_alias, is_being_renamed FROM gristmill_source WHERE source_uuid = $1",
    )
    .bind(source.source_uuid)
    .fetch_one(&mut *lock)
    .await?;
    if before == alias {
        renaming.went_on = is_under_way;
    }
    if before != alias {
        let mut transaction = lock.begin().await?;
        sqlx::query("SELECT rename_source($1, $2)")
            .bind(source.source_uuid)
            .bind(alias)
            .execute(&mut *transaction)
            .await?;
        let subject = format!("cluster `{}` is called `{alias}`", source.cluster_id);
        let details = json!({ "cluster_id": source.cluster_id, "from": before, "to": alias });
        action::record(&mut transaction, "sources rename", &subject, details).await?;
        transaction.commit().await?;
        failpoint::passed(Failpoint::SourceRenamed);
    }
    renaming.days = rename_days(lock, source).await?;
    settle_tags(lock).await?;
    sqlx::query(include_str!("../../../../sql/gristmill_source.renamed.sql"))
        .bind(source.source_uuid)
        .execute(lock)
        .await?;
    Ok(renaming)
}

/// Gives the rows of each day the alias, where they have another one; returns how many days
/// that were.
async fn rename_days(lock: &mut PgConnection, source: &Source) -> Result<u64, sqlx::Error> {
    let months: Vec<NaiveDate> = sqlx::query_scalar(include_str!(
        "../../../../sql/reporting_ocpusagereportperiod.select_months.sql"
    ))
    .bind(source.source_uuid)
    .fetch_all(&mut *lock)
    .await?;
    let mut renamed = 0;
    for month in months {
        let days: Vec<NaiveDate> = sqlx::query_scalar("SELECT days_to_rename($1, $2)")
            .bind(source.source_uuid)
            .bind(month)
            .fetch_all(&mut *lock)
            .await?;
        for day in days {
            sqlx::query("SELECT rename_day($1, $2)")
                .bind(source.source_uuid)
                .bind(day)
                .execute(&mut *lock)
                .await?;
            failpoint::passed(Failpoint::DayRenamed);
            renamed += 1;
        }
    }
    Ok(renamed)
}

/// Makes the values of tags anew that list clusters by their alias.
async fn settle_tags(lock: &mut PgConnection) -> Result<(), sqlx::Error> {
    let keys: Vec<String> = sqlx::query_scalar(include_str!(
        "../../../../sql/gristmill_tag_key.select_doubtful.sql"
    ))
    .fetch_all(&mut *lock)
    .await?;
    for key in keys {
        sqlx::query("SELECT settle_tag_value($1)")
            .bind(key)
            .execute(&mut *lock)
            .await?;
        failpoint::passed(Failpoint::TagSettled);
    }
    Ok(())
}

fn failed(source: &Source, error: sqlx::Error) -> Failure {
    SqlError(error)
        .failure(format!("cannot rename cluster `{}`", source.cluster_id))
        .hint_if_none("the same command goes on where this one ended")
}
