//! Trino, which folds the hours of generations into day parts: a table is made for the files
//! of a generation, its rows are folded, the table is dropped.
//!
//! It speaks plain SQL over Trino's client protocol, so that any Iceberg catalog will do. It
//! knows what the lake calls its places, and nothing of Postgres.

mod answer;
mod client;
mod errors;
mod probe;
mod statements;

use std::process::exit;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use self::answer::{Cell, PartReader};
use self::client::{Client, Refusal, Statement};
pub use self::probe::TrinoReport;
use self::statements::TableName;
use crate::diagnostics::engine_error::{EngineError, EngineResult};
use crate::diagnostics::failure::{Failure, Result};
use crate::fold::{Part, PartRow, TableFold};
use crate::lake::{FilesWritten, Lake, Place};
use crate::pipeline::plan::TrinoPlan;

/// How often something is tried that another try can help.
const TRIES_MAX: u32 = 3;
/// Before the second try; the third waits for twice that.
const PAUSE: Duration = Duration::from_secs(1);

/// Shells add this to the number of the signal that ended a program.
const ENDED_BY_SIGNAL: i32 = 128;

/// A Trino. A clone is another handle of the same.
#[derive(Clone)]
pub struct Trino {
    client: Arc<Client>,
    runtime: Handle,
    url: String,
    catalog: String,
    schema: String,
}

/// How far a fold is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Trino's word: `QUEUED`, `RUNNING`, `FINISHED`.
    pub state: String,
    pub splits_done: u64,
    pub splits: u64,
}

impl Trino {
    /// Trino is asked for nothing yet. The functions wait on the thread that calls them,
    /// which must not be one of the runtime's.
    ///
    /// # Errors
    /// A secret or a certificate is not where the definition says.
    pub fn open(plan: &TrinoPlan, runtime: Handle) -> EngineResult<Trino> {
        let _guard = runtime.enter();
        Ok(Trino {
            client: Arc::new(Client::new(plan)?),
            runtime: runtime.clone(),
            url: plan.url.clone(),
            catalog: plan.catalog.clone(),
            schema: plan.schema.clone(),
        })
    }

    /// Where it is, for messages.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes the table of a place, with the files that were written there.
    ///
    /// # Errors
    /// Trino cannot do it, or the table has not what was written.
    pub fn create_and_add(
        &self,
        lake: &Lake,
        place: &Place,
        fold: &TableFold,
        written: &FilesWritten,
    ) -> EngineResult<()> {
        let name = self.table(place)?;
        let create = statements::create_table(&name, fold, &lake.table_in_trino(place));
        self.trying(|| match self.run("make a table", &create) {
            // No other has its name: this was done, and the answer was lost.
            Err(refusal) if refusal.name == "TABLE_ALREADY_EXISTS" => Ok(()),
            Err(refusal) if refusal.is_of_a_missing_schema() => {
                // Others may make it at the same time.
                let schema = self.run("make a schema", &statements::create_schema(&name));
                let made = self.run("make a table", &create);
                made.map_err(|refusal| schema.err().unwrap_or(refusal))
                    .map(drop)
            }
            made => made.map(drop),
        })?;
        if written.files == 0 {
            return Ok(());
        }
        let add = statements::add_files(&name, &lake.data_in_trino(place));
        let count = statements::count_files(&name);
        self.trying(|| {
            // A try before this one may have done it, all of it or nothing: files that are
            // added twice count twice.
            let added = self.run("add files to a table", &add);
            let counted = match added {
                Err(refusal) if !refusal.is_passing() => return Err(refusal),
                Err(refusal) => match self.run("count the files of a table", &count) {
                    Ok(counted) if !is_none(&counted) => counted,
                    _ => return Err(refusal),
                },
                Ok(_) => self.run("count the files of a table", &count)?,
            };
            let expected = [written.files, written.rows]
                .map(|number| i64::try_from(number).unwrap_or(i64::MAX))
                .map(Cell::Integer);
            match counted.first() {
                Some(counted) if *counted == expected => Ok(()),
                counted => Err(self.miscounted(lake, place, written, counted).into()),
            }
        })
    }

    /// Folds the rows of a place's table into rows of a part, which are given page by page.
    /// Returns how many rows of the table they are made of.
    ///
    /// # Errors
    /// Trino fails. A fault that is passing was tried again as long as no row had been given;
    /// afterwards whoever took them has to begin anew. Or the rows are not taken: that fault
    /// is none of Trino's, and its failure is the one that was returned.
    pub fn fold(
        &self,
        place: &Place,
        fold: &TableFold,
        part: &Part,
        rows: &mut dyn FnMut(Vec<PartRow>) -> Result<()>,
        progress: &mut dyn FnMut(&Progress),
    ) -> EngineResult<u64> {
        let statement = statements::fold(&self.table(place)?, part);
        let reader = PartReader::new(fold, part);
        let mut tries = 0;
        loop {
            let (mut counted, mut given) = (0, false);
            let folded = self.pages("fold hours", &statement, progress, &mut |cells| {
                let read = cells.into_iter().map(|cells| reader.row(cells));
                let page: Vec<PartRow> = read.collect::<Result<_>>()?;
                counted += page.iter().map(|row| row.rows).sum::<u64>();
                given = true;
                rows(page)
            });
            let Err(refusal) = folded else {
                return Ok(counted);
            };
            tries += 1;
            if given || !refusal.is_worth_trying(tries) {
                return Err(refusal.error);
            }
        }
    }

    /// Drops the table of a place, and the files that were added to it. Where there is none,
    /// that is as well.
    ///
    /// # Errors
    /// Trino cannot do it.
    pub fn drop_table(&self, place: &Place) -> EngineResult<()> {
        let statement = statements::drop_table(&self.table(place)?);
        self.trying(|| match self.run("drop a table", &statement) {
            Err(refusal) if refusal.is_of_a_missing_schema() => Ok(()),
            dropped => dropped.map(drop),
        })
    }

    /// The names of all tables of the schema.
    ///
    /// # Errors
    /// Trino cannot say.
    pub fn tables(&self) -> EngineResult<Vec<String>> {
        let statement = statements::tables_of(&self.named("tables")?);
        let rows = self.trying(|| self.run("list tables", &statement))?;
        let names = rows.into_iter().flatten().filter_map(|cell| match cell {
            Cell::Text(name) => Some(name),
            _ => None,
        });
        Ok(names.collect())
    }

    /// Tells Trino that nobody waits for any of its statements any more, for those who are
    /// about to end the process. Trino itself would go on for minutes.
    pub async fn cancel_running(&self) {
        self.client.cancel_running().await;
    }

    /// Ends the process at a signal to do so, as it would end without this, but cancels what
    /// Trino is at first. For commands that do nothing else at a signal.
    ///
    /// # Errors
    /// Signals cannot be waited for.
    pub fn end_on_signals(&self) -> Result<()> {
        let _guard = self.runtime.enter();
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let mut signals = signal(kind)
                .map_err(|error| Failure::environment("cannot wait for signals").because(error))?;
            let trino = self.clone();
            self.runtime.spawn(async move {
                if signals.recv().await.is_some() {
                    trino.cancel_running().await;
                    exit(ENDED_BY_SIGNAL + kind.as_raw_value());
                }
            });
        }
        Ok(())
    }

    fn table(&self, place: &Place) -> Result<TableName> {
        self.named(&place.table())
    }

    fn named(&self, table: &str) -> Result<TableName> {
        TableName::new(&self.catalog, &self.schema, table)
            .ok_or_else(|| Failure::bug(format!("`{table}` is no name of a table in Trino")))
    }

    fn miscounted(
        &self,
        lake: &Lake,
        place: &Place,
        written: &FilesWritten,
        counted: Option<&Vec<Cell>>,
    ) -> EngineError {
        let shown = |position: usize| match counted.and_then(|counted| counted.get(position)) {
            Some(Cell::Integer(number)) => *number,
            _ => 0,
        };
        EngineError::passing(format!(
            "Trino found {} of {} files and {} of {} rows below `{}/{place}`",
            shown(0),
            written.files,
            shown(1),
            written.rows,
            lake.location()
        ))
        .hint("see that Trino's catalog reaches the same place, and that nobody else writes or removes files there")
    }

    /// The rows of a small answer.
    fn run(&self, what: &'static str, sql: &str) -> Result<Vec<Vec<Cell>>, Refusal> {
        let mut rows = Vec::new();
        self.pages(what, sql, &mut |_| (), &mut |page| {
            rows.extend(page);
            Ok(())
        })?;
        Ok(rows)
    }

    fn pages(
        &self,
        what: &'static str,
        sql: &str,
        progress: &mut dyn FnMut(&Progress),
        take: &mut dyn FnMut(Vec<Vec<Cell>>) -> Result<()>,
    ) -> Result<(), Refusal> {
        let mut statement: Statement = Client::begin(&self.client, &self.runtime, what, sql)?;
        tracing::debug!("Trino's statement {} is to {what}", statement.id);
        loop {
            progress(&Progress {
                state: statement.stats.state.clone(),
                splits_done: statement.stats.completed_splits,
                splits: statement.stats.total_splits,
            });
            let Some(page) = statement.page()? else {
                return Ok(());
            };
            if !page.data.is_empty() {
                statement.look_ahead();
                take(page.data).map_err(EngineError::from)?;
            }
        }
    }

    /// Tries something up to its bound, as long as another try can help.
    fn trying<T>(&self, work: impl Fn() -> Result<T, Refusal>) -> EngineResult<T> {
        let mut tries = 0;
        loop {
            let refusal = match work() {
                Ok(done) => return Ok(done),
                Err(refusal) => refusal,
            };
            tries += 1;
            if !refusal.is_worth_trying(tries) {
                return Err(refusal.error);
            }
        }
    }
}

impl Refusal {
    /// Which of the two depends on the statement.
    fn is_of_a_missing_schema(&self) -> bool {
        ["SCHEMA_NOT_FOUND", "NOT_FOUND"].contains(&&*self.name)
    }

    /// Whether it is to be tried once more after so many times; waits before that.
    fn is_worth_trying(&self, tries: u32) -> bool {
        let is_worth = self.is_passing() && tries < TRIES_MAX;
        if is_worth {
            tracing::debug!("trying again: {}", self.error);
            thread::sleep(PAUSE * tries);
        }
        is_worth
    }
}

/// Whether a table has no files.
fn is_none(counted: &[Vec<Cell>]) -> bool {
    counted.first().and_then(|row| row.first()) == Some(&Cell::Integer(0))
}
