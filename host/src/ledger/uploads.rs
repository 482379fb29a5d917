//! Uploads as people look at them: how each stands, what it lacks, and the giving up of
//! one of which files never came.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, FromRow, PgConnection};
use uuid::Uuid;

use super::publish::source_lock;
use super::source::{self, Source};
use super::{action, staged_rows};
use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};

/// How an upload stands.
#[derive(Debug, FromRow, Serialize)]
pub struct UploadStatus {
    pub cluster_id: String,
    pub cluster_alias: String,
    /// The uuid of its manifest.
    pub upload: String,
    pub state: String,
    pub made_at: Option<DateTime<Utc>>,
    pub came_at: DateTime<Utc>,
    /// Of the days that it holds.
    pub first_day: Option<NaiveDate>,
    pub last_day: Option<NaiveDate>,
    pub files_loaded: i64,
    pub files_missing: Vec<String>,
    /// The upload that holds its days.
    pub superseded_by: Option<String>,
}

/// The upload that a person gave up.
#[derive(Debug, Serialize)]
pub struct AbandonedUpload {
    pub upload: Uuid,
    pub cluster_id: String,
    pub files_missing: Vec<String>,
    /// Its rows in quarantine that were open.
    pub rows_discarded: u64,
    /// It was given up already.
    pub was_abandoned: bool,
}

#[derive(FromRow)]
struct NamedUpload {
    manifest_id: i32,
    source_uuid: Uuid,
    published: bool,
    abandoned: bool,
    /// `None` when it does not wait.
    generations: Option<Vec<i64>>,
    files_missing: Option<Vec<String>>,
}

/// Uploads in some states, the latest first.
///
/// # Errors
/// The database fails.
pub fn list(
    database: &Database,
    source_uuid: Option<Uuid>,
    states: Option<&[&str]>,
    uploads_max: i64,
) -> Result<Vec<UploadStatus>> {
    database.wait(async {
        sqlx::query_as(include_str!(
            "../../../sql/reporting_common_costusagereportmanifest.select_uploads.sql"
        ))
        .bind(source_uuid)
        .bind(states)
        .bind(uploads_max)
        .fetch_all(database.pool())
        .await
        .map_err(|error| SqlError(error).failure("cannot read the uploads"))
    })
}

/// Takes back what was loaded of an upload that waits for files; they may all come again.
///
/// # Errors
/// There is no such upload or several, it does not wait, or the database fails.
pub fn abandon(
    database: &Database,
    upload: Uuid,
    source: Option<&Source>,
) -> Result<AbandonedUpload> {
    let failed = |error| failed(upload, error);
    let source_uuid = source.map(|source| source.source_uuid);
    let named = database.wait(async {
        let mut connection = database.pool().acquire().await.map_err(failed)?;
        select(&mut connection, upload, source_uuid).await
    })?;
    let source = match &named[..] {
        [] => {
            return Err(Failure::run(format!("no upload {upload} is known")).hint(LIST_ALL));
        }
        [one] => source::of_uuid(database, one.source_uuid)?,
        several => {
            return Err(Failure::run(format!(
                "{} clusters have an upload {upload}",
                several.len()
            ))
            .hint("`--source` says of which of them it is to be given up"));
        }
    };
    database.wait(async {
        let mut lock = database.pool().acquire().await.map_err(failed)?.detach();
        source_lock::take(database, &mut lock, &source).await?;
        let abandoned = abandon_locked(&mut lock, upload, &source).await;
        // The lock goes with the connection, however that ends.
        let _ = lock.close().await;
        abandoned.map_err(|failure| source_lock::in_its_session(&source, failure))
    })
}

const LIST_ALL: &str = "`gristmill uploads list --state all` shows the uploads";

async fn abandon_locked(
    lock: &mut PgConnection,
    upload: Uuid,
    source: &Source,
) -> Result<AbandonedUpload> {
    let failed = |error| failed(upload, error);
    let mut transaction = lock.begin().await.map_err(failed)?;
    // Its files may have come since we looked.
    let mut named = select(&mut transaction, upload, Some(source.source_uuid)).await?;
    let Some(named) = named.pop() else {
        return Err(Failure::run(format!("no upload {upload} is known")).hint(LIST_ALL));
    };
    let (Some(_), Some(files_missing)) = (named.generations, named.files_missing) else {
        transaction.rollback().await.map_err(failed)?;
        if named.abandoned {
            remove_forgotten(lock).await.map_err(failed)?;
            return Ok(AbandonedUpload {
                upload,
                cluster_id: source.cluster_id.clone(),
                files_missing: Vec::new(),
                rows_discarded: 0,
                was_abandoned: true,
            });
        }
        let failure = Failure::run(format!("upload {upload} waits for no file"));
        return Err(match named.published {
            true => failure.hint("`gristmill days remove` takes published days back"),
            false => failure.hint("nothing of it is loaded"),
        });
    };
    sqlx::query("SELECT give_up_uploads($1, $2)")
        .bind(source.source_uuid)
        .bind(vec![named.manifest_id])
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    let discarded = sqlx::query(include_str!(
        "../../../sql/gristmill_quarantine.discard_upload.sql"
    ))
    .bind(named.manifest_id)
    .bind("the upload was abandoned")
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    let abandoned = AbandonedUpload {
        upload,
        cluster_id: source.cluster_id.clone(),
        files_missing,
        rows_discarded: discarded.rows_affected(),
        was_abandoned: false,
    };
    let subject = format!("upload {upload} of cluster `{}`", source.cluster_id);
    action::record(
        &mut transaction,
        "uploads abandon",
        &subject,
        json!(abandoned),
    )
    .await
    .map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    failpoint::passed(Failpoint::UploadAbandoned);
    remove_forgotten(lock).await.map_err(failed)?;
    Ok(abandoned)
}

/// Nobody reads these rows any more. What is left of them goes with the next run, or with
/// `clean`.
async fn remove_forgotten(lock: &mut PgConnection) -> Result<(), sqlx::Error> {
    let generations = staged_rows::forgotten(lock).await?;
    staged_rows::remove(lock, &generations).await
}

async fn select(
    connection: &mut PgConnection,
    upload: Uuid,
    source_uuid: Option<Uuid>,
) -> Result<Vec<NamedUpload>> {
    sqlx::query_as(include_str!(
        "../../../sql/reporting_common_costusagereportmanifest.select_named.sql"
    ))
    .bind(upload.to_string())
    .bind(source_uuid)
    .fetch_all(connection)
    .await
    .map_err(|error| failed(upload, error))
}

fn failed(upload: Uuid, error: sqlx::Error) -> Failure {
    SqlError(error).failure(format!("cannot give up upload {upload}"))
}
