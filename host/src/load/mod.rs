//! Loads rows into staging: one binary COPY for each worker of a report, on a connection
//! of its own.
//!
//! A row that a table cannot hold is rejected here, before it is sent. Loaded rows carry
//! their generation and stay invisible until `ledger/publish` makes it count.

mod clash;
mod copy;
mod encode;
mod months;
mod stored_texts;
mod validate;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Datelike, Months, NaiveDate};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::copy::{CopyError, CopyOf, ensure_partition};
use self::encode::Encoder;
pub use self::months::LoadableMonths;
use self::stored_texts::{Kind, MemoIds, StoredTexts, TextIds};
use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::ingest::{LoadTally, Sink, SinkWriter};
use crate::pipeline::plan::LoadPlan;
use crate::pipeline::staging::SYSTEM_COLUMNS;
use crate::rows::batch::{Batch, RejectedRow};

/// Buffers on their way to Postgres per COPY; with more, memory grows and nothing
/// is faster, since the chain or Postgres waits anyway.
const BUFFERS_MAX: usize = 2;

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
    months: Arc<Mutex<MonthsMade>>,
}

/// The partitions and report periods of the months that rows were of, by their first
/// days.
#[derive(Default)]
struct MonthsMade {
    periods: HashMap<NaiveDate, i32>,
    /// The months of each table that have a partition.
    partitions: HashMap<String, BTreeSet<NaiveDate>>,
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
            database,
            generation,
            source_uuid,
            loadable,
            months: Arc::default(),
        }
    }

    /// The months of a table that have a partition.
    async fn months_of(&self, table: &str) -> BTreeSet<NaiveDate> {
        let made = self.months.lock().await;
        made.partitions.get(table).cloned().unwrap_or_default()
    }

    /// The report period of a month, and the table's partition for it, made when they
    /// are not there.
    async fn period(&self, table: &str, month: NaiveDate) -> Result<i32, sqlx::Error> {
        let mut made = self.months.lock().await;
        let known = made.periods.get(&month).copied();
        if known.is_none() && made.periods.len() == MONTHS_MAX {
            return Err(sqlx::Error::Protocol(format!(
                "the payload spans more than {MONTHS_MAX} months"
            )));
        }
        if !made
            .partitions
            .get(table)
            .is_some_and(|months| months.contains(&month))
        {
            ensure_partition(&self.database, table, month).await?;
            failpoint::passed(Failpoint::MonthEnsured);
            let months = made.partitions.entry(table.to_string()).or_default();
            months.insert(month);
        }
        if let Some(period) = known {
            return Ok(period);
        }
        let period: i32 = sqlx::query_scalar("SELECT ensure_report_period($1, $2)")
            .bind(self.source_uuid)
            .bind(month)
            .fetch_one(self.database.pool())
            .await?;
        failpoint::passed(Failpoint::PeriodEnsured);
        made.periods.insert(month, period);
        Ok(period)
    }
}

impl Sink for Loader {
    fn writer<'s>(&'s self, plan: &'s LoadPlan) -> Box<dyn SinkWriter + 's> {
        Box::new(ReportLoad {
            loader: self.clone(),
            plan,
            copy: None,
            rows: 0,
            hours: BTreeMap::new(),
        })
    }
}

/// A worker's share of a report being loaded. Used from a thread outside of the runtime.
struct ReportLoad<'p> {
    loader: Loader,
    plan: &'p LoadPlan,
    copy: Option<Copy>,
    rows: u64,
    hours: BTreeMap<i64, u64>,
}

/// A COPY under way.
struct Copy {
    buffers: mpsc::Sender<Vec<u8>>,
    task: JoinHandle<Result<u64, CopyError>>,
    sent: u64,
    /// The months that have a partition as this COPY sees it: it sees those that
    /// were there when it began.
    months: BTreeSet<NaiveDate>,
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
        self.end_copy()?;
        Ok(LoadTally {
            rows: self.rows,
            hours: std::mem::take(&mut self.hours),
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
        let loader = self.loader.clone();
        let prepared = self.loader.database.wait(async {
            let mut periods = HashMap::new();
            for month in &months {
                periods.insert(*month, loader.period(&self.plan.table, *month).await?);
            }
            Ok(periods)
        });
        let periods = prepared.map_err(|error| self.database_failure(error))?;
        if self
            .copy
            .as_ref()
            .is_some_and(|copy| !months.is_subset(&copy.months))
        {
            self.end_copy()?;
        }
        let first = self.copy.is_none();
        let copy = match self.copy.take() {
            Some(copy) => copy,
            None => self.begin_copy(months),
        };
        let copy = self.copy.insert(copy);
        for (hour, rows) in encoder.hours() {
            *self.hours.entry(hour).or_default() += rows;
        }
        copy.sent += rows as u64;
        let sent = encoder.encode(
            self.loader.generation,
            self.loader.source_uuid,
            &periods,
            &text_ids,
            first,
            &mut |piece| copy.buffers.blocking_send(piece).is_ok(),
        );
        if !sent {
            // The COPY ended early, and its result says why.
            self.end_copy()?;
            return Err(Failure::bug(format!(
                "the load into `{}` ended before its rows, and does not say why",
                self.plan.table
            )));
        }
        match self.loader.database.connections().ends_copies_early() {
            true => self.end_copy(),
            false => Ok(()),
        }
    }

    fn begin_copy(&self, batch_months: BTreeSet<NaiveDate>) -> Copy {
        let (buffers, receiver) = mpsc::channel(BUFFERS_MAX);
        let mut months = batch_months;
        months.extend(
            self.loader
                .database
                .wait(self.loader.months_of(&self.plan.table)),
        );
        let copy = CopyOf {
            database: self.loader.database.clone(),
            generation: self.loader.generation,
            table: self.plan.table.clone(),
            statement: copy_statement(self.plan),
            months: months.clone(),
        };
        Copy {
            buffers,
            task: self.loader.database.runtime().spawn(copy.run(receiver)),
            sent: 0,
            months,
        }
    }

    fn end_copy(&mut self) -> Result<()> {
        let Some(copy) = self.copy.take() else {
            return Ok(());
        };
        // When the COPY is gone already, its result says so.
        let _ = copy.buffers.blocking_send(encode::TRAILER.to_vec());
        drop(copy.buffers);
        let rows = self
            .loader
            .database
            .wait(copy.task)
            .map_err(|error| Failure::bug(self.doing()).because(error))?
            .map_err(|error| error.failure(self.doing()))?;
        if rows != copy.sent {
            return Err(Failure::run(format!(
                "sent {} rows to `{}`, but Postgres counted {rows}",
                copy.sent, self.plan.table
            )));
        }
        self.rows += rows;
        Ok(())
    }

    fn unlike(&self, reason: &str) -> Failure {
        Failure::run(format!("cannot load into `{}`", self.plan.table))
            .because(anyhow::anyhow!("a batch does not fit the plan: {reason}"))
    }

    fn database_failure(&self, error: sqlx::Error) -> Failure {
        SqlError(error).failure(self.doing())
    }

    fn doing(&self) -> String {
        format!("cannot load into `{}`", self.plan.table)
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

/// Identifiers come from `staging::TABLES`, by way of the plan, and are quoted.
fn copy_statement(plan: &LoadPlan) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns: Vec<String> = SYSTEM_COLUMNS
        .iter()
        .copied()
        .chain(plan.targets.iter().map(|target| target.column.as_str()))
        .map(quoted)
        .collect();
    format!(
        "COPY {} ({}) FROM STDIN (FORMAT binary)",
        quoted(&plan.table),
        columns.join(", ")
    )
}
