//! The session that has a source locked: what is asked of the source's uploads is asked in it,
//! and fails with it.

use sqlx::PgConnection;

use super::generations::{forget, settle_unknown};
use super::source_lock;
use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::run_record::{self, RunRecord};
use crate::ledger::source::Source;
use crate::pipeline::plan::Plan;

/// A source that is locked against other runs.
pub struct SourceSession {
    /// That of a run: it shows that the run is at work, and holds the lock of the source.
    pub(super) connection: PgConnection,
    /// The number of the server process of this session.
    pub(super) process: i32,
    pub(super) database: Database,
    pub(super) source: Source,
}

impl SourceSession {
    /// Waits for the source in the session of a run, which has it back with
    /// [`SourceSession::leave`], and clears away what dead runs left of it.
    ///
    /// # Errors
    /// The database fails.
    pub fn begin(
        database: &Database,
        plan: &Plan,
        source: Source,
        run: &mut RunRecord,
    ) -> Result<Self> {
        let Some(connection) = run.session.take() else {
            return Err(Failure::bug("a run has no session of its own"));
        };
        let mut session = Self {
            connection,
            process: 0,
            database: database.clone(),
            source,
        };
        match database.wait(session.lock(plan)) {
            Ok(()) => Ok(session),
            Err(failure) => {
                session.leave(run);
                Err(failure)
            }
        }
    }

    async fn lock(&mut self, plan: &Plan) -> Result<()> {
        self.process =
            source_lock::take(&self.database, &mut self.connection, &self.source).await?;
        failpoint::passed(Failpoint::SourceLocked);
        self.clear(plan).await.map_err(|error| {
            let failure = SqlError(error).failure("cannot open the upload");
            source_lock::in_its_session(&self.source, failure)
        })
    }

    async fn clear(&mut self, plan: &Plan) -> Result<(), sqlx::Error> {
        let dead: Vec<i64> = sqlx::query_scalar(include_str!(
            "../../../../sql/gristmill_generation.select_unfinished.sql"
        ))
        .bind(self.source.source_uuid)
        .fetch_all(&mut self.connection)
        .await?;
        for generation in dead {
            forget(&mut self.connection, generation).await?;
        }
        settle_unknown(&mut self.connection, plan, &self.source).await
    }

    /// Opens the record of a further run, which shows that it is at work as long as this
    /// session lives.
    ///
    /// # Errors
    /// The database fails.
    pub fn open_run(&mut self, plan: &Plan, payload: &str) -> Result<RunRecord> {
        let database = self.database.clone();
        database.wait(run_record::open_in(
            &database,
            &mut self.connection,
            plan,
            payload,
        ))
    }

    /// Whether other runs are still kept out of the source. What publishes does so in the
    /// session that keeps them out, and fails with it; this says so in better words, and
    /// before anything is written on another connection.
    ///
    /// # Errors
    /// The session has ended.
    pub(super) async fn held_still(&mut self) -> Result<()> {
        let held: Result<bool, sqlx::Error> = sqlx::query_scalar(include_str!(
            "../../../../sql/gristmill_source.holds_lock.sql"
        ))
        .bind(self.source.source_uuid.to_string())
        .fetch_one(&mut self.connection)
        .await;
        let cause = match held {
            Ok(true) => return Ok(()),
            Ok(false) => "another session was given in its place".to_string(),
            Err(error) => SqlError(error).to_string(),
        };
        Err(source_lock::lost(&self.source, Failure::run(cause)))
    }

    /// Gives the session back to the run, whose end lets other runs at the source.
    pub fn leave(self, run: &mut RunRecord) {
        run.session = Some(self.connection);
    }
}
