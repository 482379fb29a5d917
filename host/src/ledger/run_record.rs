//! The record of a run: the rows that it read, the components that it used, and its end.
//!
//! A run holds a lock while it is at work. When a run begins, it closes the records of
//! runs that are marked as running and hold no lock: these have died.

use serde::Serialize;
use sqlx::types::Json;
use sqlx::{Connection, PgConnection};

use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::Result;
use crate::ingest::IngestedFile;
use crate::ingest::row_accounting::FileAccount;
use crate::pipeline::plan::{Plan, ReportAction};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Waits for the other parts of a split payload.
    Loaded,
    Published,
    /// Everything in it was known.
    Unchanged,
    Failed,
}

impl RunState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Published => "published",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

/// The sums of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunSums {
    pub rows_read: u64,
    pub rows_loaded: u64,
    /// Rows of hours that an earlier upload had brought.
    pub rows_reused: u64,
    pub rows_filtered: u64,
    pub rows_rejected: u64,
}

impl RunSums {
    /// The sums of some files.
    pub fn of(files: &[IngestedFile]) -> Self {
        let mut sums = Self::default();
        for file in files {
            sums.rows_read += file.rows_read;
            sums.rows_loaded += file.rows_loaded;
            sums.rows_reused += file.rows_reused;
            sums.rows_filtered += file.rows_filtered;
            sums.rows_rejected += file.rejected.rows();
        }
        sums
    }
}

/// The open record of a run at work.
pub struct RunRecord {
    pub id: i64,
    database: Database,
    /// Holds the lock that says so; `None` while the source's has it, and where that of an
    /// earlier run holds it.
    pub(super) session: Option<PgConnection>,
}

/// Opens the record of a run and says which components it uses.
///
/// # Errors
/// The database fails.
pub fn open(database: &Database, plan: &Plan, payload: &str) -> Result<RunRecord> {
    database.wait(async {
        let failed = |error| SqlError(error).failure("cannot record the run");
        let mut session = database.hold_session().await.map_err(failed)?;
        sqlx::query(include_str!("../../../sql/gristmill_run.fail_dead.sql"))
            .execute(&mut session)
            .await
            .map_err(failed)?;
        let id = insert(&mut session, plan, payload).await.map_err(failed)?;
        failpoint::passed(Failpoint::RunOpened);
        Ok(RunRecord {
            id,
            database: database.clone(),
            session: Some(session),
        })
    })
}

/// As [`open`], in a session that outlives the run and holds its lock. Records of dead runs
/// stay: this session has the locks of runs that are at work.
///
/// # Errors
/// The database fails.
pub(crate) async fn open_in(
    database: &Database,
    session: &mut PgConnection,
    plan: &Plan,
    payload: &str,
) -> Result<RunRecord> {
    let failed = |error| SqlError(error).failure("cannot record the run");
    let id = insert(session, plan, payload).await.map_err(failed)?;
    failpoint::passed(Failpoint::RunOpened);
    Ok(RunRecord {
        id,
        database: database.clone(),
        session: None,
    })
}

async fn insert(
    session: &mut PgConnection,
    plan: &Plan,
    payload: &str,
) -> Result<i64, sqlx::Error> {
    let mut reports = Vec::new();
    let mut positions = Vec::new();
    let mut stages = Vec::new();
    let mut digests = Vec::new();
    let mut configs = Vec::new();
    for report in &plan.reports {
        let ReportAction::Load(load) = &report.action else {
            continue;
        };
        for (position, stage) in load.stages().enumerate() {
            reports.push(report.name.clone());
            positions.push(position as i32);
            stages.push(stage.name.clone());
            digests.push(stage.component.digest.clone());
            configs.push(stage.config.clone());
        }
    }
    sqlx::query_scalar(include_str!("../../../sql/gristmill_run.insert.sql"))
        .bind(&plan.name)
        .bind(payload)
        .bind(&reports)
        .bind(&positions)
        .bind(&stages)
        .bind(&digests)
        .bind(&configs)
        .fetch_one(session)
        .await
}

impl RunRecord {
    /// Closes the record of a run that changed nothing.
    ///
    /// # Errors
    /// The database fails.
    pub fn close(
        self,
        state: RunState,
        manifest_id: Option<i32>,
        sums: RunSums,
        error: Option<&str>,
    ) -> Result<()> {
        let database = self.database.clone();
        database.wait(async {
            let failed = |error| SqlError(error).failure("cannot record the run");
            // Our own session may be what broke.
            let mut connection = self.database.pool().acquire().await.map_err(failed)?;
            write(&mut connection, self.id, state, manifest_id, sums, error)
                .await
                .map_err(failed)?;
            failpoint::passed(Failpoint::RunClosed);
            if let Some(session) = self.session {
                let _ = session.close().await;
            }
            Ok(())
        })
    }

    /// Lets go of a run whose record was written by the transaction that made it
    /// count.
    pub fn closed(self) {
        let database = self.database;
        if let Some(session) = self.session {
            database.wait(database.release_session(session));
        }
    }
}

/// Writes how a run ended, in the caller's transaction if there is one.
///
/// # Errors
/// The database fails.
pub async fn write(
    connection: &mut PgConnection,
    run_id: i64,
    state: RunState,
    manifest_id: Option<i32>,
    sums: RunSums,
    error: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../../sql/gristmill_run.update.sql"))
        .bind(run_id)
        .bind(state.as_str())
        .bind(manifest_id)
        .bind(sums.rows_read as i64)
        .bind(sums.rows_loaded as i64)
        .bind(sums.rows_filtered as i64)
        .bind(sums.rows_rejected as i64)
        .bind(error.map(|error| error.replace('\0', "\u{fffd}")))
        .bind(sums.rows_reused as i64)
        .execute(connection)
        .await
        .map(drop)
}

/// Records the row accounting of files.
///
/// # Errors
/// The database fails.
pub async fn keep_accounts(
    connection: &mut PgConnection,
    run_id: i64,
    accounts: &[FileAccount],
) -> Result<(), sqlx::Error> {
    if accounts.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!(
        "../../../sql/gristmill_row_account.insert.sql"
    ))
    .bind(run_id)
    .bind(Json(accounts))
    .execute(connection)
    .await
    .map(drop)
}
