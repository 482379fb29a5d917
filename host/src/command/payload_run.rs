//! One payload on its way from its tarball to the tables, and what it came to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use chrono::NaiveDate;
use serde::Serialize;
use uuid::Uuid;

use super::archiving::Archiving;
use super::ingesting::{Ingested, Ingesting, Wanted, Words};
use crate::archive::Archive;
use crate::books::FileBook;
use crate::failure::{Failure, Result};
use crate::ingest::{FileKind, IngestedFile, Rejects};
use crate::load::{LoadableMonths, Loader};
use crate::payload::Payload;
use crate::publish::{self, Completed, Completing, DayOutcome, Outcome, Upload};
use crate::quarantine::{self, Rejecting};
use crate::report;
use crate::run_record::{self, RunState, RunSums};
use crate::source::{self, Source};
use crate::takeover::Earlier;

/// What one payload came to.
#[derive(Debug, Serialize)]
pub(super) struct PayloadResult {
    pub(super) payload: String,
    cluster_id: Option<String>,
    pub(super) source_uuid: Option<Uuid>,
    pub(super) manifest: Option<Uuid>,
    pub(super) state: &'static str,
    pub(super) days: Vec<Day>,
    waiting_for: Vec<String>,
    pub(super) rows_read: u64,
    pub(super) rows_loaded: u64,
    /// Rows that an earlier upload had brought.
    pub(super) rows_taken_over: u64,
    pub(super) rows_filtered: u64,
    pub(super) rows_rejected: u64,
    /// What went into each stage of each file, and what came of it.
    books: Vec<FileBook>,
    bytes_read: u64,
    /// Columns of the files that the pipeline does not want, by report kind.
    ignored_columns: BTreeMap<String, BTreeSet<String>>,
    pub(super) summary_rows_inserted: u64,
    summary_rows_deleted: u64,
    pub(super) seconds: f64,
    /// Time in each stage, over all reports.
    stage_seconds: BTreeMap<String, f64>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Day {
    pub(super) day: NaiveDate,
    hours: i32,
    pub(super) outcome: &'static str,
}

impl PayloadResult {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            payload: path.display().to_string(),
            cluster_id: None,
            source_uuid: None,
            manifest: None,
            state: RunState::Failed.as_str(),
            days: Vec::new(),
            waiting_for: Vec::new(),
            rows_read: 0,
            rows_loaded: 0,
            rows_taken_over: 0,
            rows_filtered: 0,
            rows_rejected: 0,
            books: Vec::new(),
            bytes_read: 0,
            ignored_columns: BTreeMap::new(),
            summary_rows_inserted: 0,
            summary_rows_deleted: 0,
            seconds: 0.0,
            stage_seconds: BTreeMap::new(),
            error: None,
        }
    }

    fn sums(&self) -> RunSums {
        RunSums {
            rows_read: self.rows_read,
            rows_loaded: self.rows_loaded,
            rows_taken_over: self.rows_taken_over,
            rows_filtered: self.rows_filtered,
            rows_rejected: self.rows_rejected,
        }
    }
}

/// One payload being run.
pub(super) struct PayloadRun<'a> {
    pub(super) ingesting: Ingesting<'a>,
    pub(super) archive: Option<&'a Archive>,
    pub(super) outcome: PayloadResult,
}

impl PayloadRun<'_> {
    /// Runs the payload, which was opened or could not be; says what it came to, and
    /// why it failed.
    pub(super) fn run(
        mut self,
        path: &Path,
        payload: Result<Payload>,
    ) -> (PayloadResult, Option<Failure>) {
        let started = Instant::now();
        let failure = self.payload(path, payload).err();
        let mut outcome = self.outcome;
        outcome.seconds = started.elapsed().as_secs_f64();
        if let Some(failure) = &failure {
            outcome.state = RunState::Failed.as_str();
            outcome.error = Some(failure.to_string());
        }
        (outcome, failure)
    }

    fn payload(&mut self, path: &Path, payload: Result<Payload>) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let record = self.ingesting.runtime.block_on(run_record::open(
            self.ingesting.database,
            self.ingesting.plan,
            &name,
        ))?;
        let mut manifest_id = None;
        let result = self.recorded(payload, record.id, &mut manifest_id);
        let (state, error) = match &result {
            Ok(state) => (*state, None),
            Err(failure) => (RunState::Failed, Some(failure.to_string())),
        };
        self.outcome.state = state.as_str();
        if let RunState::Loaded | RunState::Published = state {
            self.ingesting.runtime.block_on(record.closed());
            return Ok(());
        }
        let sums = self.outcome.sums();
        let closed = record.close(state, manifest_id, sums, error.as_deref());
        let closed = self.ingesting.runtime.block_on(closed);
        // What went wrong first is what the user needs to hear.
        result.and(closed)
    }

    fn recorded(
        &mut self,
        payload: Result<Payload>,
        run_id: i64,
        manifest_id: &mut Option<i32>,
    ) -> Result<RunState> {
        let payload = payload?;
        self.outcome.cluster_id = Some(payload.manifest.cluster_id.clone());
        self.outcome.manifest = Some(payload.manifest.uuid);
        let loadable = self.ingesting.loadable_months()?;
        loadable.check(&payload)?;
        let source = self.source(&payload)?;
        self.outcome.source_uuid = Some(source.source_uuid);
        let mut upload = self.ingesting.runtime.block_on(Upload::begin(
            self.ingesting.database,
            self.ingesting.plan,
            source.clone(),
            &payload.manifest,
            run_id,
            &report::say,
        ))?;
        *manifest_id = Some(upload.manifest_id);
        let state = self.load(&payload, &mut upload, run_id, loadable);
        match state {
            Ok(state @ (RunState::Loaded | RunState::Published)) => {
                self.ingesting.runtime.block_on(upload.close());
                Ok(state)
            }
            Ok(state) => self
                .ingesting
                .runtime
                .block_on(upload.abandon(&[]))
                .map(|()| state),
            Err(failure) => {
                let failed = upload.fail(failure, &payload.manifest.files);
                Err(self.ingesting.runtime.block_on(failed))
            }
        }
    }

    /// Everything between the opening of an upload and its end.
    fn load(
        &mut self,
        payload: &Payload,
        upload: &mut Upload,
        run_id: i64,
        loadable: LoadableMonths,
    ) -> Result<RunState> {
        let ingesting = self.ingesting;
        let mut archiving = Archiving::begin(self.archive, &ingesting, payload, upload)?;
        let state = self.load_and_keep(payload, upload, run_id, loadable, &mut archiving);
        archiving.end(&ingesting, upload, state)
    }

    fn load_and_keep(
        &mut self,
        payload: &Payload,
        upload: &mut Upload,
        run_id: i64,
        loadable: LoadableMonths,
        archiving: &mut Archiving,
    ) -> Result<RunState> {
        let words = self.ingesting.words()?;
        let fingerprint = self.ingesting.plan.fingerprint(&|set| words.of(set));
        let mut earlier = match self.ingesting.capture {
            None => {
                let earlier = upload.earlier(&payload.manifest, &fingerprint);
                self.ingesting.runtime.block_on(earlier)?
            }
            // Whoever looks for what stages break at wants them to see everything.
            Some(_) => Earlier::default(),
        };
        let Ingested {
            files,
            here,
            stage_seconds,
        } = archiving.beside(payload, || {
            self.ingest(payload, &words, upload, &mut earlier, run_id, loadable)
        })?;
        self.outcome.stage_seconds = stage_seconds;
        self.add_up(&files);
        if let Err(mut failure) = self.ingesting.within_threshold(&files, run_id) {
            let rejecting = self.rejecting(upload, run_id);
            self.ingesting.runtime.block_on(upload.check_lock())?;
            let kept = quarantine::keep(self.ingesting.database, rejecting, &files);
            if let Err(also) = self.ingesting.runtime.block_on(kept) {
                failure.causes.push(also.to_string());
            }
            return Err(failure);
        }
        let archived = archiving.place(self.archive, &self.ingesting, payload, upload, here)?;
        if files.is_empty() {
            if let Some(archived) = archived {
                let recorded = upload.record_archived(&archived);
                self.ingesting.runtime.block_on(recorded)?;
                archiving.recorded();
            }
            return self.nothing_new(payload, upload);
        }
        let completing = Completing {
            engine: self.ingesting.plan.engine,
            sums: self.outcome.sums(),
            quarantine_time: self.ingesting.plan.budget.quarantine_time,
            fingerprint: &fingerprint,
            earlier: &earlier,
        };
        let completed = upload.complete(&files, &completing, archived.as_ref(), &report::say);
        let completed = self.ingesting.runtime.block_on(completed)?;
        if archived.is_some() {
            archiving.recorded();
        }
        Ok(self.completed(completed))
    }

    /// Loads the payload but for what earlier uploads brought already, which are those
    /// that are left in `earlier`.
    fn ingest(
        &mut self,
        payload: &Payload,
        words: &Words,
        upload: &mut Upload,
        earlier: &mut Earlier,
        run_id: i64,
        loadable: LoadableMonths,
    ) -> Result<Ingested> {
        let open_files = upload.open_files.clone();
        let file = |name: &str| open_files.iter().any(|open| open == name);
        loop {
            let known = earlier.hours();
            let wanted = Wanted {
                file: &file,
                known: &known,
            };
            let source_uuid = upload.source_uuid();
            let loader = Loader::new(
                self.ingesting.database.clone(),
                upload.generation,
                source_uuid,
                loadable,
                report::say,
            );
            let sink = self.ingesting.written_through(upload.generation);
            let rejects = Rejects::new(&self.ingesting.plan.budget, &sink);
            if earlier.is_empty() {
                let ingested = self
                    .ingesting
                    .payload(payload, &loader, words, wanted, &rejects);
                return ingested.map_err(|failure| {
                    self.outcome.rows_rejected = rejects.rows();
                    let rejecting = self.rejecting(upload, run_id);
                    self.ingesting
                        .with_allowed_kept(failure, &rejects, rejecting)
                });
            }
            // Whether it repeats them is known once all of it was read.
            let (log, ingested) = self
                .ingesting
                .attempt(payload, &loader, words, wanted, &rejects);
            let failure = match ingested {
                Ok(ingested) if upload.is_whole(&ingested.files) => {
                    if !earlier.drop_others(&ingested.files) {
                        report::log(&log);
                        return Ok(ingested);
                    }
                    None
                }
                Ok(_) => {
                    *earlier = Earlier::default();
                    None
                }
                // What is wrong with a payload is told as if there had been no other.
                Err(failure) => {
                    *earlier = Earlier::default();
                    Some(failure)
                }
            };
            let begun = self.ingesting.runtime.block_on(upload.begin_again());
            begun.map_err(|also| match failure {
                Some(mut failure) => {
                    failure.causes.push(also.to_string());
                    failure
                }
                None => also,
            })?;
        }
    }

    fn rejecting(&self, upload: &Upload, run_id: i64) -> Rejecting {
        Rejecting {
            run_id,
            manifest_id: upload.manifest_id,
            generation: upload.generation,
            time_max: self.ingesting.plan.budget.quarantine_time,
        }
    }

    /// Nothing of the payload was new: says what is known of its upload.
    fn nothing_new(&mut self, payload: &Payload, upload: &Upload) -> Result<RunState> {
        let shown = payload.path.display();
        if payload.manifest.files.is_empty() {
            report::say(&format!(
                "{shown}: nothing to do, its manifest lists no files"
            ));
        } else if upload.open_files.is_empty() {
            let held = publish::held_days(self.ingesting.database, upload.manifest_id);
            let held = self.ingesting.runtime.block_on(held)?;
            self.outcome.days = held.iter().map(Day::from).collect();
            let loaded_by = publish::loaded_by(self.ingesting.database, upload.manifest_id);
            let by = match self.ingesting.runtime.block_on(loaded_by)? {
                Some(pipeline) => format!(", by pipeline `{pipeline}`"),
                None => String::new(),
            };
            report::say(&format!(
                "{shown}: nothing to do, all of it was loaded before{by}"
            ));
        } else {
            self.outcome.waiting_for.clone_from(&upload.open_files);
            report::say(&format!(
                "{shown}: nothing to do, all of it was loaded before; the payload waits for {} more of its files",
                upload.open_files.len()
            ));
        }
        Ok(RunState::Unchanged)
    }

    fn source(&self, payload: &Payload) -> Result<Source> {
        let cluster_id = &payload.manifest.cluster_id;
        self.ingesting.runtime.block_on(async {
            if let Some(source) = source::find(self.ingesting.database, cluster_id).await? {
                return Ok(source);
            }
            let unknown = || {
                Failure::run(format!("cluster `{cluster_id}` is not a registered source")).hint(
                    format!("`gristmill sources add --cluster-id {cluster_id}` registers it"),
                )
            };
            if !self.ingesting.plan.register_sources {
                return Err(unknown());
            }
            let uuid = source::derived_uuid(cluster_id);
            source::register(self.ingesting.database, uuid, cluster_id, cluster_id).await?;
            source::find(self.ingesting.database, cluster_id)
                .await?
                .ok_or_else(unknown)
        })
    }

    fn add_up(&mut self, files: &[IngestedFile]) {
        for file in files {
            self.outcome.bytes_read += file.bytes;
            self.outcome.rows_read += file.rows_read;
            self.outcome.rows_loaded += file.rows_loaded;
            self.outcome.rows_taken_over += file.rows_known;
            self.outcome.rows_filtered += file.rows_filtered;
            self.outcome.rows_rejected += file.rejected.rows();
            if matches!(file.kind, FileKind::Report(_)) {
                self.outcome.books.push(file.book());
            }
            if let FileKind::Report(kind) = &file.kind
                && !file.learned.ignored_columns.is_empty()
            {
                self.outcome
                    .ignored_columns
                    .entry(kind.clone())
                    .or_default()
                    .extend(file.learned.ignored_columns.iter().cloned());
            }
        }
    }

    fn completed(&mut self, completed: Completed) -> RunState {
        match completed {
            Completed::Waiting { missing } => {
                report::say(&format!(
                    "{}: loaded; the payload waits for {} more of its files",
                    self.outcome.payload,
                    missing.len()
                ));
                self.outcome.waiting_for = missing;
                RunState::Loaded
            }
            Completed::Published { days, summarized } => {
                self.outcome.summary_rows_inserted = summarized.rows_inserted;
                self.outcome.summary_rows_deleted = summarized.rows_deleted;
                for lost in days.iter().filter(|day| day.outcome == Outcome::Lost) {
                    report::say(&format!(
                        "{}: another payload covers {} better; these {} hours do not count",
                        self.outcome.payload, lost.day, lost.hours
                    ));
                }
                self.outcome.days = days.iter().map(Day::from).collect();
                RunState::Published
            }
        }
    }
}

impl From<&DayOutcome> for Day {
    fn from(day: &DayOutcome) -> Self {
        Self {
            day: day.day,
            hours: day.hours,
            outcome: match day.outcome {
                Outcome::Won => "won",
                Outcome::Kept => "kept",
                Outcome::Lost => "lost",
            },
        }
    }
}
