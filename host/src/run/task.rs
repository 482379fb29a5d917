//! The skeleton of every run: its record, its upload, what is ingested, the threshold for
//! rejected rows, and the end, at which all of it counts or nothing does.

use crate::diagnostics::failure::Result;
use crate::ingest::IngestedFile;
use crate::ledger::publish::Upload;
use crate::ledger::quarantine::{self, RejectOrigin};
use crate::ledger::run_record::{self, RunState, RunSums};
use crate::ledger::source::Source;
use crate::load::{LoadableMonths, Loader};
use crate::payload::Manifest;
use crate::run::ingestion::Ingestion;
use crate::terminal::Live;

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

    /// The rows so far, for the record of a run that changed nothing.
    fn sums(&self) -> RunSums;

    /// The manifest, where it is in the ledger before the upload begins.
    fn manifest_id(&self, _input: &Self::Input) -> Option<i32> {
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
    pub(super) upload: Upload,
    pub(super) run_id: i64,
    pub(super) months: LoadableMonths,
    /// The name of the input for people.
    pub(super) name: String,
}

impl OpenUpload<'_> {
    /// Loads into the generation as it is now.
    pub(super) fn loader(&self) -> Loader {
        Loader::new(
            self.ingestion.database.clone(),
            self.upload.generation,
            self.upload.source_uuid(),
            self.months,
        )
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
    let record = run_record::open(ingestion.database, ingestion.plan, &name)?;
    let run_id = record.id;
    let mut manifest_id = task.manifest_id(&input);
    match recorded(ingestion, task, input, &name, run_id, &mut manifest_id) {
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

fn recorded<T: Task>(
    ingestion: Ingestion<'_>,
    task: &mut T,
    input: T::Input,
    name: &str,
    run_id: i64,
    manifest_id: &mut Option<i32>,
) -> Result<End<T::Outcome>> {
    let months = LoadableMonths::now(ingestion.database, ingestion.plan.months)?;
    let Opening {
        mut work,
        source,
        manifest,
    } = task.open(input, &ingestion, &months)?;
    let upload = Upload::begin(
        ingestion.database,
        ingestion.plan,
        source,
        &manifest,
        run_id,
    )?;
    *manifest_id = Some(upload.manifest_id);
    let mut open = OpenUpload {
        ingestion,
        upload,
        run_id,
        months,
        name: name.to_string(),
    };
    let result = load(task, &mut work, &mut open);
    let result = task.end(&mut work, &mut open, result);
    let upload = open.upload;
    match result {
        Ok(End::Counted(outcome)) => {
            upload.close();
            Ok(End::Counted(outcome))
        }
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
    let _live = Live::publishing(&open.name, open.ingestion.turn);
    task.complete(work, open, &files)
}
