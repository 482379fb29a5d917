//! Loads rows into staging: one binary COPY for each worker of a report, on a connection
//! of its own.
//!
//! A row that a table cannot hold is rejected here, before it is sent. Loaded rows carry
//! their generation and stay invisible until `ledger/publish` makes it count. Of what is
//! folded on its way, the day parts are loaded in the same way.

mod clash;
mod copy;
mod encode;
mod folding;
mod lake_folding;
mod months;
mod parts;
mod shared_copy;
mod stored_texts;
mod stream;
mod validate;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;

use chrono::{DateTime, Datelike, Months, NaiveDate};
use tokio::sync::Mutex;
use uuid::Uuid;

use self::encode::Encoder;
pub use self::folding::FoldTally;
use self::folding::Folding;
use self::lake_folding::LakeFolding;
pub use self::months::LoadableMonths;
use self::shared_copy::{KeptRows, Rows, SharedCopy};
use self::stored_texts::{Kind, MemoIds, StoredTexts, TextIds};
use self::stream::{CopyStream, copy_statement, doing};
use crate::database::{Database, SqlError};
use crate::diagnostics::engine_error::EngineFault;
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::fold::{FOLDS, TableFold};
use crate::ingest::{LoadTally, Sink, SinkWriter};
use crate::lake::{FileWriters, Lake, Place};
use crate::pipeline::plan::LoadPlan;
use crate::rows::batch::{Batch, RejectedRow};
use crate::trino::{Progress, Trino};

/// Rows that belong to no report at all when they are further away than this.
const MONTHS_MAX: usize = 36;

/// Loads the reports of one generation.
#[derive(Clone)]
pub struct Loader {
    database: Database,
    generation: i64,
    source_uuid: Uuid,
    label_sets: Arc<StoredTexts>,
    names: Arc<StoredTexts>,
    loadable: LoadableMonths,
    months: Arc<Mutex<MonthsSeen>>,
    /// The rows of small reports.
    shared: Arc<SharedCopy>,
    /// What folds rows in place of storing them.
    foldings: Arc<Vec<AnyFolding>>,
}

/// What folds the rows of a staging table.
enum AnyFolding {
    InProcess(Folding),
    InLake(LakeFolding),
}

/// The months that rows were of, by their first days.
#[derive(Default)]
struct MonthsSeen {
    /// Their report periods.
    periods: HashMap<NaiveDate, i32>,
    /// Those of each table, which need a partition.
    tables: HashMap<String, BTreeSet<NaiveDate>>,
}

impl Loader {
    pub fn new(
        database: Database,
        generation: i64,
        source_uuid: Uuid,
        loadable: LoadableMonths,
    ) -> Self {
        Self {
            label_sets: Arc::new(StoredTexts::new(database.clone(), Kind::LabelSet)),
            names: Arc::new(StoredTexts::new(database.clone(), Kind::Name)),
            shared: Arc::new(SharedCopy::new(database.clone(), generation)),
            database,
            generation,
            source_uuid,
            loadable,
            months: Arc::default(),
            foldings: Arc::default(),
        }
    }

    /// The same, but that what can be folded is folded while it is loaded. All of it counts
    /// when `fold` has ended.
    pub fn embedded(&self) -> Self {
        let foldings = FOLDS.iter().map(|fold| Folding::new(self, fold));
        Self {
            foldings: Arc::new(foldings.map(AnyFolding::InProcess).collect()),
            ..self.clone()
        }
    }

    /// The same, but that what can be folded is written to the lake, and folded by Trino.
    /// `place` is called for the place of each fold, which has a record then.
    ///
    /// # Errors
    /// `place` fails.
    pub fn in_lake(
        &self,
        lake: &Lake,
        trino: &Trino,
        mut place: impl FnMut(&'static TableFold) -> Result<Place>,
    ) -> Result<Self> {
        let foldings = FOLDS.iter().map(|fold| {
            let folding = LakeFolding::new(self, fold, lake, trino, place(fold)?);
            Ok(AnyFolding::InLake(folding))
        });
        Ok(Self {
            foldings: Arc::new(foldings.collect::<Result<_>>()?),
            ..self.clone()
        })
    }

    /// Ends the folds of what was loaded, and checks that they have every row; of each that
    /// had one, what came of it.
    ///
    /// # Errors
    /// The lake or Trino fails, the database refuses a part, or rows are missing in one.
    pub fn fold(&self, progress: &dyn Fn(&Progress)) -> Result<Vec<FoldTally>> {
        let ended = self.foldings.iter().map(|folding| match folding {
            AnyFolding::InProcess(folding) => folding.end(),
            AnyFolding::InLake(folding) => folding.end(progress),
        });
        ended.filter_map(Result::transpose).collect()
    }

    /// What was wrong with the lake or Trino, if anything was.
    pub fn engine_fault(&self) -> Option<EngineFault> {
        self.foldings.iter().find_map(|folding| match folding {
            AnyFolding::InProcess(_) => None,
            AnyFolding::InLake(folding) => folding.fault(),
        })
    }

    /// The fold that takes the rows of a table; `None` when they are stored.
    fn folding(&self, table: &str) -> Option<&AnyFolding> {
        self.foldings.iter().find(|folding| match folding {
            AnyFolding::InProcess(folding) => folding.takes(table),
            AnyFolding::InLake(folding) => folding.takes(table),
        })
    }

    /// The report periods of months that rows of a table are of.
    fn periods(
        &self,
        table: &str,
        months: &BTreeSet<NaiveDate>,
    ) -> Result<HashMap<NaiveDate, i32>> {
        let prepared = self.database.wait(async {
            let mut periods = HashMap::new();
            for month in months {
                periods.insert(*month, self.period(table, *month).await?);
            }
            Ok(periods)
        });
        prepared.map_err(|error| SqlError(error).failure(doing(table)))
    }

    /// Begins a COPY of rows that are too many to be kept.
    fn begin_copy(&self, table: &str, kept: &KeptRows) -> CopyStream {
        let mut months = kept.months.clone();
        months.extend(self.database.wait(self.months_of(table)));
        CopyStream::begin(self, table, kept.statement.clone(), months)
    }

    /// The months that rows of a table were of so far.
    async fn months_of(&self, table: &str) -> BTreeSet<NaiveDate> {
        let seen = self.months.lock().await;
        seen.tables.get(table).cloned().unwrap_or_default()
    }

    /// The report period of a month, made when it is not there. The table's rows of the
    /// month need a partition, which a COPY sees to.
    async fn period(&self, table: &str, month: NaiveDate) -> Result<i32, sqlx::Error> {
        let mut seen = self.months.lock().await;
        let known = seen.periods.get(&month).copied();
        if known.is_none() && seen.periods.len() == MONTHS_MAX {
            return Err(sqlx::Error::Protocol(format!(
                "the payload spans more than {MONTHS_MAX} months"
            )));
        }
        let months = seen.tables.entry(table.to_string()).or_default();
        months.insert(month);
        if let Some(period) = known {
            return Ok(period);
        }
        let period: i32 = sqlx::query_scalar("SELECT ensure_report_period($1, $2)")
            .bind(self.source_uuid)
            .bind(month)
            .fetch_one(self.database.pool())
            .await?;
        failpoint::passed(Failpoint::PeriodEnsured);
        seen.periods.insert(month, period);
        Ok(period)
    }
}

impl Sink for Loader {
    fn writer<'s>(&'s self, plan: &'s LoadPlan) -> Box<dyn SinkWriter + 's> {
        Box::new(ReportLoad {
            loader: self.clone(),
            plan,
            sending: Rows::None,
            files: None,
            rows: 0,
            hours: BTreeMap::new(),
        })
    }

    fn end(&self) -> Result<()> {
        self.shared.end()
    }
}

/// A worker's share of a report being loaded. Used from a thread outside of the runtime.
struct ReportLoad<'p> {
    loader: Loader,
    plan: &'p LoadPlan,
    sending: Rows,
    /// The files of the lake, where rows go there.
    files: Option<FileWriters>,
    rows: u64,
    hours: BTreeMap<i64, u64>,
}

impl SinkWriter for ReportLoad<'_> {
    fn send(&mut self, batch: &Batch) -> Result<Vec<RejectedRow>> {
        if batch.rows == 0 {
            return Ok(Vec::new());
        }
        if batch.schema != *self.plan.output() {
            return Err(self.unlike("its columns are not those of the plan"));
        }
        let (loadable, mut rejects) = match self
            .loader
            .loadable
            .split(batch)
            .map_err(|why| self.unlike(&why))?
        {
            None => (None, Vec::new()),
            Some((loadable, others)) => (Some(loadable), others),
        };
        let batch = loadable.as_ref().unwrap_or(batch);
        if batch.rows == 0 {
            return Ok(rejects);
        }
        let encoder = Encoder::new(batch, self.plan);
        let known = self.memo_ids(&encoder);
        let checked = validate::check(batch, self.plan, &known).map_err(|why| self.unlike(&why))?;
        let Some((valid, invalid)) = checked else {
            rejects.append(&mut self.send_valid(&encoder, batch, known)?);
            return Ok(rejects);
        };
        rejects.extend(invalid);
        if valid.rows > 0 {
            let encoder = Encoder::new(&valid, self.plan);
            let known = self.memo_ids(&encoder);
            rejects.append(&mut self.send_valid(&encoder, &valid, known)?);
        }
        Ok(rejects)
    }

    fn finish(mut self: Box<Self>) -> Result<LoadTally> {
        self.end_rows()?;
        if let Some(AnyFolding::InLake(folding)) = self.loader.folding(&self.plan.table)
            && let Some(files) = self.files.take()
        {
            folding.finish(files)?;
        }
        Ok(LoadTally {
            rows: self.rows,
            hours: mem::take(&mut self.hours),
        })
    }
}

impl ReportLoad<'_> {
    fn memo_ids(&self, encoder: &Encoder<'_>) -> MemoIds {
        let Loader {
            label_sets, names, ..
        } = &self.loader;
        self.loader.database.wait(async {
            MemoIds {
                label_sets: label_sets.known(encoder.texts(Kind::LabelSet)).await,
                names: names.known(encoder.texts(Kind::Name)).await,
            }
        })
    }

    /// Stores what is new of the texts; one that cannot be stored has no id.
    fn stored_ids(&self, encoder: &Encoder<'_>, known: MemoIds) -> Result<MemoIds> {
        let Loader {
            label_sets, names, ..
        } = &self.loader;
        let stored = self.loader.database.wait(async {
            Ok(MemoIds {
                label_sets: label_sets
                    .ids(encoder.texts(Kind::LabelSet), known.label_sets)
                    .await?,
                names: names.ids(encoder.texts(Kind::Name), known.names).await?,
            })
        });
        stored.map_err(|error| self.database_failure(error))
    }

    /// Sends rows that the table can hold; returns those with a text that cannot be
    /// stored.
    fn send_valid(
        &mut self,
        encoder: &Encoder<'_>,
        batch: &Batch,
        known: MemoIds,
    ) -> Result<Vec<RejectedRow>> {
        let ids = self.stored_ids(encoder, known)?;
        let checked = clash::check(batch, self.plan, &ids).map_err(|why| self.unlike(&why))?;
        let Some((stored, rejects)) = checked else {
            self.send_stored(encoder, batch.rows, ids)?;
            return Ok(Vec::new());
        };
        if stored.rows > 0 {
            let encoder = Encoder::new(&stored, self.plan);
            let ids = self.stored_ids(&encoder, self.memo_ids(&encoder))?;
            self.send_stored(&encoder, stored.rows, ids)?;
        }
        Ok(rejects)
    }

    /// Sends rows whose texts are stored.
    fn send_stored(&mut self, encoder: &Encoder<'_>, rows: usize, ids: MemoIds) -> Result<()> {
        let text_ids = ids
            .complete()
            .ok_or_else(|| self.unlike("a text of it is not stored"))?;
        let months = encoder.months();
        for (hour, rows) in encoder.hours() {
            *self.hours.entry(hour).or_default() += rows;
        }
        if let Some(folding) = self.loader.folding(&self.plan.table) {
            match folding {
                AnyFolding::InProcess(folding) => folding.add(encoder, self.plan, &text_ids)?,
                AnyFolding::InLake(folding) => {
                    let files = self.files.get_or_insert_with(|| folding.files());
                    folding.add(files, encoder, self.plan, &text_ids)?;
                }
            }
            self.rows += rows as u64;
            return Ok(());
        }
        let periods = self.loader.periods(&self.plan.table, &months)?;
        if matches!(&self.sending, Rows::Copied(copy) if !copy.sees(&months)) {
            self.end_rows()?;
        }
        let first = matches!(self.sending, Rows::None);
        if first {
            let targets = self.plan.targets.iter();
            let columns = targets.map(|target| target.column.as_str());
            let statement = copy_statement(&self.plan.table, columns);
            let rows = self.loader.shared.begin_rows(&self.plan.table, statement);
            self.sending = Rows::Kept(rows);
        }
        if let Rows::Kept(kept) = &mut self.sending {
            kept.months.extend(months);
        }
        let Self {
            loader,
            plan,
            sending,
            ..
        } = self;
        let begin = |kept: &KeptRows| loader.begin_copy(&plan.table, kept);
        let sent = encoder.encode(
            loader.generation,
            loader.source_uuid,
            &periods,
            &text_ids,
            first,
            &mut |piece| sending.take(piece, &begin),
        );
        sending.count(rows as u64);
        if !sent {
            return Err(match mem::replace(sending, Rows::None) {
                Rows::Copied(copy) => copy.broken(),
                Rows::None | Rows::Kept(_) => Failure::bug(doing(&plan.table)),
            });
        }
        match &self.sending {
            Rows::Copied(_) if self.loader.database.connections().ends_copies_early() => {
                self.end_rows()
            }
            _ => Ok(()),
        }
    }

    fn end_rows(&mut self) -> Result<()> {
        match mem::replace(&mut self.sending, Rows::None) {
            Rows::None => {}
            Rows::Kept(kept) => {
                self.rows += kept.rows;
                self.loader.shared.keep(kept)?;
            }
            Rows::Copied(copy) => self.rows += copy.end()?,
        }
        Ok(())
    }

    fn unlike(&self, reason: &str) -> Failure {
        Failure::run(format!("cannot load into `{}`", self.plan.table))
            .because(anyhow::anyhow!("a batch does not fit the plan: {reason}"))
    }

    fn database_failure(&self, error: sqlx::Error) -> Failure {
        SqlError(error).failure(doing(&self.plan.table))
    }
}

/// A door for the benchmark of the inner loops (`tests/bench`): a valid batch as it
/// is sent, but with ids and periods that no database has given.
#[doc(hidden)]
pub fn copy_bytes(batch: &Batch, plan: &LoadPlan, source_uuid: Uuid) -> Vec<u8> {
    let encoder = Encoder::new(batch, plan);
    let ids = |kind| (1..).zip(encoder.texts(kind)).map(|(id, _)| id).collect();
    let text_ids = TextIds {
        label_sets: ids(Kind::LabelSet),
        names: ids(Kind::Name),
    };
    let periods = encoder
        .months()
        .into_iter()
        .map(|month| (month, 1))
        .collect();
    let mut bytes = Vec::new();
    encoder.encode(1, source_uuid, &periods, &text_ids, true, &mut |piece| {
        bytes.extend_from_slice(&piece);
        true
    });
    bytes
}

/// The first day of the month of an instant in microseconds since the epoch;
/// `None` outside of the years 2000 to 2099, where no report can be from.
fn month_of(microseconds: i64) -> Option<NaiveDate> {
    let day = DateTime::from_timestamp_micros(microseconds)?.date_naive();
    let month = day.with_day(1)?;
    // A month needs a next one for its partition.
    month.checked_add_months(Months::new(1))?;
    (2000..2100).contains(&month.year()).then_some(month)
}
