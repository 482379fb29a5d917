//! The skeleton of every run: its record, its upload, what is ingested, the threshold for
//! rejected rows, the fold, and the end, at which all of it counts or nothing does.

use std::mem;

use crate::diagnostics::engine_error::EngineFault;
use crate::diagnostics::failure::{Failure, Result};
use crate::ingest::IngestedFile;
use crate::lake::Place;
use crate::ledger::fold_record::{self, FoldRecord};
use crate::ledger::publish::{Completed, Completion, LoadedUpload, SourceSession, Upload};
use crate::ledger::quarantine::{self, RejectOrigin};
use crate::ledger::reuse::Reuse;
use crate::ledger::run_record::{self, RunRecord, RunState, RunSums};
use crate::ledger::source::Source;
use crate::load::{LoadableMonths, Loader};
use crate::payload::{Manifest, Payload};
use crate::pipeline::plan::{AggregationEngine, WhenUnreachable};
use crate::run::engine;
use crate::run::ingestion::Ingestion;
use crate::run::lake_folds::PlacesEnd;
use crate::terminal::{self, Live, Step};

/// A kind of run: the steps in which runs differ.
pub(super) trait Task {
    /// The input, before the run begins.
    type Input;
    /// The opened input.
    type Work;
    /// The result of a run that did not fail.
    type Outcome;

    /// The name of the input, for the record.
    fn name(&self, input: &Self::Input) -> String;

    /// Opens the input; refuses months that are not loadable.
    ///
    /// # Errors
    /// It cannot be opened, or is refused.
    fn open(
        &mut self,
        input: Self::Input,
        ingestion: &Ingestion<'_>,
        months: &LoadableMonths,
    ) -> Result<Opening<Self::Work>>;

    /// Loads it into the generation of the upload.
    ///
    /// # Errors
    /// A payload, a stage or the load fails.
    fn ingest(
        &mut self,
        work: &mut Self::Work,
        upload: &mut OpenUpload<'_>,
    ) -> Result<Vec<IngestedFile>>;

    /// Makes the loaded rows count.
    ///
    /// # Errors
    /// A statement fails; then nothing has changed.
    fn complete(
        &mut self,
        work: &mut Self::Work,
        upload: &mut OpenUpload<'_>,
        files: &[IngestedFile],
    ) -> Result<End<Self::Outcome>>;

    /// Ends the work, whatever came of it.
    ///
    /// # Errors
    /// The run failed, or ending it fails.
    fn end<T>(
        &mut self,
        _work: &mut Self::Work,
        _upload: &mut OpenUpload<'_>,
        result: Result<T>,
    ) -> Result<T> {
        result
    }

    /// Forgets what an attempt came to that is taken back.
    fn forget(&mut self, work: &mut Self::Work);

    /// The rows so far, for the record of a run that changed nothing.
    fn sums(&self) -> RunSums;

    /// The manifest, where it is in the ledger before the upload begins.
    fn manifest_id(&self, _input: &Self::Input) -> Option<i32> {
        None
    }

    /// The earlier uploads that it reuses.
    fn reuse(_work: &Self::Work) -> Option<&Reuse> {
        None
    }

    /// Files of the manifest that a failure is recorded of.
    fn failed_files(_work: &Self::Work) -> &[String] {
        &[]
    }
}

/// The opened input, and the source and manifest of its upload.
pub(super) struct Opening<W> {
    pub(super) work: W,
    pub(super) source: Source,
    pub(super) manifest: Manifest,
}

/// The end of a run that did not fail.
pub(super) enum End<T> {
    /// The transaction that made it count has closed its record.
    Counted(T),
    /// There was nothing new.
    Unchanged(T),
}

/// An upload that a task loads.
pub(super) struct OpenUpload<'a> {
    pub(super) ingestion: Ingestion<'a>,
    pub(super) upload: Upload<'a>,
    pub(super) run_id: i64,
    pub(super) months: LoadableMonths,
    /// The name of the input for people.
    pub(super) name: String,
    /// The engine that folds what is loaded, once it is chosen.
    engine: Option<AggregationEngine>,
    /// What loads into the generation as it is now.
    loader: Option<Loader>,
    /// Its places in the lake.
    places: Vec<Place>,
    /// What came of the fold.
    folded: Folded,
    /// The upload before it, which waits for it.
    pub(super) earlier: Earlier<'a>,
}

/// The upload before one, which is loaded and waits to be published with it.
pub(super) enum Earlier<'a> {
    None,
    Waits(&'a LoadedUpload<'a>),
    /// It waits no more: what came of it and of those before it, in their order.
    Ended(Result<Vec<Completion>>),
}

impl<'a> Earlier<'a> {
    pub(super) fn waiting(&self) -> Option<&'a LoadedUpload<'a>> {
        match self {
            Self::Waits(upload) => Some(upload),
            Self::None | Self::Ended(_) => None,
        }
    }
}

/// What came of the earlier uploads, in their order; `None` where they wait still.
pub(super) type EarlierEnd = Option<Result<Vec<Completion>>>;

/// What folded the hours of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Folded {
    /// `None` when nothing was loaded.
    pub(super) engine: Option<&'static str>,
    /// Time of the fold alone; `None` where it is part of publishing.
    pub(super) seconds: Option<f64>,
}

impl<'a> OpenUpload<'a> {
    /// Loads these payloads into the generation as it is now.
    ///
    /// # Errors
    /// No engine can be chosen.
    pub(super) fn loader<'p>(
        &mut self,
        payloads: impl IntoIterator<Item = &'p Payload>,
    ) -> Result<Loader> {
        let engine = match self.engine {
            Some(engine) => engine,
            None => engine::choose(self.ingestion.plan, &self.upload, payloads)?,
        };
        self.engine = Some(engine);
        let loader = Loader::new(
            self.ingestion.database.clone(),
            self.upload.generation,
            self.upload.source_uuid(),
            self.months,
        );
        let loader = match (engine, self.ingestion.lake) {
            (AggregationEngine::Postgres, _) => loader,
            (AggregationEngine::Trino, Some(lake)) => {
                // An attempt before this one may have left some.
                self.leave_lake(false);
                lake.clear(self.ingestion.database, &self.upload)?;
                let database = self.ingestion.database;
                let (loader, places) = lake.loader(database, &loader, &self.upload, self.run_id)?;
                self.places = places;
                loader
            }
            (AggregationEngine::Embedded | AggregationEngine::Trino, _) => loader.embedded(),
        };
        self.loader = Some(loader.clone());
        Ok(loader)
    }

    /// Lets the places go that were filled in the lake.
    fn leave_lake(&mut self, succeeded: bool) {
        let places = mem::take(&mut self.places);
        let fault = self.loader.as_ref().and_then(Loader::engine_fault);
        let end = match fault {
            _ if succeeded => PlacesEnd::Folded,
            Some(EngineFault::Unreachable) => PlacesEnd::Away,
            _ => PlacesEnd::Failed,
        };
        if let Some(lake) = self.ingestion.lake {
            lake.end(self.ingestion.database, &places, end);
        }
    }

    /// Whether the engine's servers failed, and the pipeline wants the host to fold then.
    fn falls_back(&self) -> bool {
        let faulted = self.loader.as_ref().and_then(Loader::engine_fault);
        let away = matches!(
            faulted,
            Some(EngineFault::Unreachable | EngineFault::Passing)
        );
        away && self.ingestion.plan.engines.when_unreachable == WhenUnreachable::Embedded
    }

    /// Takes back what was loaded for Trino, for the host to fold it.
    ///
    /// # Errors
    /// The database fails.
    fn fall_back(&mut self, failure: &Failure) -> Result<()> {
        self.leave_lake(false);
        terminal::say(&format!(
            "cluster `{}`: the host folds this upload, since Trino does not: {failure}",
            self.upload.cluster_id()
        ));
        self.engine = Some(AggregationEngine::Embedded);
        self.loader = None;
        self.upload.begin_again()
    }

    /// What folded what was loaded, once it is.
    pub(super) fn folded(&self) -> Folded {
        self.folded
    }

    /// Folds what was loaded, where that is not left to Postgres, and records it.
    fn fold(&mut self) -> Result<()> {
        let (Some(loader), Some(engine)) = (&self.loader, self.engine) else {
            return Ok(());
        };
        let step = Step::begin(&format!("cluster `{}`", self.upload.cluster_id()));
        let folds = loader.fold(&|progress| {
            step.show(&format!(
                "Trino: {}, {} of {} splits",
                progress.state.to_lowercase(),
                progress.splits_done,
                progress.splits
            ));
        })?;
        drop(step);
        let folds: Vec<FoldRecord> = folds
            .into_iter()
            .map(|fold| FoldRecord {
                staging_table: fold.staging_table,
                engine,
                days: fold.days,
                rows: fold.rows,
                part_rows: fold.part_rows,
                seconds: fold.time.as_secs_f64(),
            })
            .collect();
        fold_record::record(
            self.ingestion.database,
            self.run_id,
            self.upload.generation,
            &folds,
        )?;
        self.folded = match folds.is_empty() {
            true => Folded {
                engine: Some(AggregationEngine::Postgres.as_str()),
                seconds: None,
            },
            false => Folded {
                engine: Some(engine.as_str()),
                seconds: Some(folds.iter().map(|fold| fold.seconds).sum()),
            },
        };
        Ok(())
    }

    /// Whether hours wait in the lake for the upload to be published.
    pub(super) fn is_in_lake(&self) -> bool {
        !self.places.is_empty()
    }

    /// Shows that the database is at work on what readers see.
    pub(super) fn publishing(&self) -> Live {
        Live::publishing(&self.name, self.ingestion.turn)
    }

    /// Completes the upload before it by itself, unless this one repeats all of it.
    pub(super) fn settle_earlier(&mut self, reuse: Option<&Reuse>) {
        if let Earlier::Waits(earlier) = self.earlier
            && !reuse.is_some_and(|reuse| earlier.is_repeated_by(reuse))
        {
            let completed = self.upload.session().complete_earlier(earlier);
            self.earlier = Earlier::Ended(completed);
        }
    }

    /// Completes a loaded upload and the one before it.
    ///
    /// # Errors
    /// A statement fails; then nothing of it has changed.
    pub(super) fn complete(&mut self, loaded: &LoadedUpload<'_>) -> Result<Completion> {
        let Completed { earlier, own } = self.upload.session().complete(loaded);
        if let Some(earlier) = earlier {
            self.earlier = Earlier::Ended(earlier);
        }
        own
    }

    pub(super) fn reject_origin(&self) -> RejectOrigin {
        RejectOrigin {
            run_id: self.run_id,
            manifest_id: self.upload.manifest_id,
            generation: self.upload.generation,
            time_max: self.ingestion.plan.budget.quarantine_time,
        }
    }

    /// Refuses a payload of which too many rows were rejected, and keeps these rows.
    fn check_threshold(&mut self, files: &[IngestedFile]) -> Result<()> {
        let Err(failure) = self.ingestion.within_threshold(files, self.run_id) else {
            return Ok(());
        };
        self.upload.check_lock()?;
        let kept = quarantine::keep(self.ingestion.database, self.reject_origin(), files);
        Err(match kept {
            Ok(()) => failure,
            Err(also) => failure.followed_by(&also),
        })
    }
}

/// Runs a task; returns the number of the run and what came of it.
///
/// # Errors
/// Any of its steps fails; then nothing of it counts, and its record says why.
pub(super) fn run<T: Task>(
    ingestion: Ingestion<'_>,
    task: &mut T,
    input: T::Input,
) -> Result<(i64, T::Outcome)> {
    let name = task.name(&input);
    let mut record = run_record::open(ingestion.database, ingestion.plan, &name)?;
    let mut manifest_id = task.manifest_id(&input);
    let ended = first(ingestion, task, input, name, &mut record, &mut manifest_id);
    closed(task, record, manifest_id, ended)
}

/// Runs a task whose upload may repeat all of an earlier one of its source, which waits for
/// it; returns the same, and what came of the earlier one and of those before that.
pub(super) fn run_behind<T: Task>(
    ingestion: Ingestion<'_>,
    task: &mut T,
    input: T::Input,
    session: &mut SourceSession,
    earlier: &LoadedUpload<'_>,
) -> (Result<(i64, T::Outcome)>, EarlierEnd) {
    let name = task.name(&input);
    let record = match session.open_run(ingestion.plan, &name) {
        Ok(record) => record,
        Err(failure) => return (Err(failure), None),
    };
    let mut manifest_id = task.manifest_id(&input);
    let mut completed = None;
    let ended = opened(ingestion, task, input).and_then(|(opening, months)| {
        let begun = Begun {
            opening,
            months,
            name,
            run_id: record.id,
            earlier: Earlier::Waits(earlier),
        };
        load_opened(
            ingestion,
            task,
            begun,
            session,
            &mut completed,
            &mut manifest_id,
        )
    });
    (closed(task, record, manifest_id, ended), completed)
}

/// What a run has once its input is opened.
struct Begun<'a, W> {
    opening: Opening<W>,
    months: LoadableMonths,
    name: String,
    run_id: i64,
    earlier: Earlier<'a>,
}

/// Closes the record of a run, unless what made it count did.
fn closed<T: Task>(
    task: &T,
    record: RunRecord,
    manifest_id: Option<i32>,
    ended: Result<End<T::Outcome>>,
) -> Result<(i64, T::Outcome)> {
    let run_id = record.id;
    match ended {
        Ok(End::Counted(outcome)) => {
            record.closed();
            Ok((run_id, outcome))
        }
        Ok(End::Unchanged(outcome)) => record
            .close(RunState::Unchanged, manifest_id, task.sums(), None)
            .map(|()| (run_id, outcome)),
        Err(failure) => {
            let error = failure.to_string();
            // The user needs to hear the first failure.
            let _ = record.close(RunState::Failed, manifest_id, task.sums(), Some(&error));
            Err(failure)
        }
    }
}

fn opened<T: Task>(
    ingestion: Ingestion<'_>,
    task: &mut T,
    input: T::Input,
) -> Result<(Opening<T::Work>, LoadableMonths)> {
    let months = LoadableMonths::now(ingestion.database, ingestion.plan.months)?;
    let opening = task.open(input, &ingestion, &months)?;
    Ok((opening, months))
}

/// A run that takes the lock of its source.
fn first<T: Task>(
    ingestion: Ingestion<'_>,
    task: &mut T,
    input: T::Input,
    name: String,
    record: &mut RunRecord,
    manifest_id: &mut Option<i32>,
) -> Result<End<T::Outcome>> {
    let (opening, months) = opened(ingestion, task, input)?;
    let source = opening.source.clone();
    let run_id = record.id;
    let mut session = SourceSession::begin(ingestion.database, ingestion.plan, source, record)?;
    let begun = Begun {
        opening,
        months,
        name,
        run_id,
        earlier: Earlier::None,
    };
    let ended = load_opened(ingestion, task, begun, &mut session, &mut None, manifest_id);
    session.leave(record);
    ended
}

/// Loads an opened input and makes it count; `completed` is what came of the earlier uploads.
fn load_opened<T: Task>(
    ingestion: Ingestion<'_>,
    task: &mut T,
    begun: Begun<'_, T::Work>,
    session: &mut SourceSession,
    completed: &mut EarlierEnd,
    manifest_id: &mut Option<i32>,
) -> Result<End<T::Outcome>> {
    let Begun {
        opening,
        months,
        name,
        run_id,
        earlier,
    } = begun;
    let Opening {
        mut work, manifest, ..
    } = opening;
    let upload = Upload::begin(session, ingestion.plan, &manifest, run_id)?;
    *manifest_id = Some(upload.manifest_id);
    let mut open = OpenUpload {
        ingestion,
        upload,
        run_id,
        months,
        engine: None,
        loader: None,
        places: Vec::new(),
        folded: Folded::default(),
        earlier,
        name,
    };
    let mut result = load(task, &mut work, &mut open);
    result = task.end(&mut work, &mut open, result);
    if let Err(failure) = &result
        && open.falls_back()
    {
        result = open.fall_back(failure).and_then(|()| {
            task.forget(&mut work);
            load(task, &mut work, &mut open)
        });
        result = task.end(&mut work, &mut open, result);
    }
    open.leave_lake(result.is_ok());
    if let Earlier::Ended(ended) = open.earlier {
        *completed = Some(ended);
    }
    let upload = open.upload;
    match result {
        Ok(End::Counted(outcome)) => Ok(End::Counted(outcome)),
        Ok(End::Unchanged(outcome)) => upload.abandon().map(|()| End::Unchanged(outcome)),
        Err(failure) => Err(upload.fail(failure, T::failed_files(&work))),
    }
}

fn load<T: Task>(
    task: &mut T,
    work: &mut T::Work,
    open: &mut OpenUpload<'_>,
) -> Result<End<T::Outcome>> {
    let files = task.ingest(work, open)?;
    open.check_threshold(&files)?;
    open.fold()?;
    open.settle_earlier(T::reuse(work));
    task.complete(work, open, &files)
}
