//! Ingests payloads into the generation of an upload, and checks the threshold for
//! rejected rows.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use crate::authoring::capture;
use crate::database::Database;
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::log_line::LogLine;
use crate::ingest::hours::ReusedHours;
use crate::ingest::log_book::LogBook;
use crate::ingest::{
    FileKind, Ingest, IngestedFile, Progress, RejectTally, Rejects, beginning, describe,
};
use crate::ledger::publish;
use crate::ledger::quarantine::{self, RejectOrigin};
use crate::load::Loader;
use crate::payload::Payload;
use crate::pipeline::definition::BoundSet;
use crate::pipeline::plan::{Plan, RejectedRowsThreshold};
use crate::run::lake_folds::LakeFolds;
use crate::terminal::{self, Live, Turn, grouped};

/// COPY sessions at a time: what one chain makes feeds about three, but a report
/// has one, and payloads have six reports of which one is large.
const WORKERS_MAX: usize = 4;

/// Rejected rows that the message of a failed payload shows.
const REJECTS_SHOWN: usize = 3;

/// The settings of ingesting, besides a payload.
#[derive(Clone, Copy)]
pub struct Ingestion<'a> {
    pub plan: &'a Plan,
    pub database: &'a Database,
    pub workers: usize,
    /// The servers of engine `trino`, where the pipeline has them.
    pub lake: Option<&'a LakeFolds>,
    /// The folder for cases of rows that stages break at.
    pub capture: Option<&'a Path>,
    /// Which of the command's payloads is at work, where that is known.
    pub turn: Option<Turn>,
}

/// The result of ingesting a payload.
#[derive(Debug, Default)]
pub(super) struct IngestOutput {
    pub(super) files: Vec<IngestedFile>,
    /// The listed files that the payload brought, wanted or not.
    pub(super) here: Vec<String>,
    /// Time in each stage, over all reports.
    pub(super) stage_seconds: BTreeMap<String, f64>,
}

/// Workers for each payload, where connections do not bound them.
pub fn workers() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(WORKERS_MAX)
}

/// The words of the sets that stages can be bound to.
pub(super) struct Words {
    enabled_tag_keys: Vec<String>,
}

impl Words {
    pub(super) fn of(&self, set: BoundSet) -> Vec<String> {
        match set {
            BoundSet::EnabledTagKeys => self.enabled_tag_keys.clone(),
        }
    }
}

/// The part of a payload that is loaded.
#[derive(Clone, Copy)]
pub(super) struct Selection<'a> {
    /// The name of the payload for people.
    pub(super) name: &'a str,
    /// These files.
    pub(super) file: &'a dyn Fn(&str) -> bool,
    /// Rows of these hours are left out.
    pub(super) reused: &'a ReusedHours,
}

impl Ingestion<'_> {
    /// The words of the sets that the database has now.
    pub(super) fn words(&self) -> Result<Words> {
        Ok(Words {
            enabled_tag_keys: publish::enabled_tag_keys(self.database)?,
        })
    }

    /// Loads the selected part of a payload into staging, and shows what stages logged.
    pub(super) fn payload(
        &self,
        payload: &Payload,
        loader: &Loader,
        words: &Words,
        wanted: Selection<'_>,
        rejects: &Rejects<'_>,
    ) -> Result<IngestOutput> {
        let (log, ingested) = self.attempt(payload, loader, words, wanted, rejects);
        terminal::log(Some(wanted.name), &log);
        ingested
    }

    /// As `payload`, but that what stages logged is not shown.
    pub(super) fn attempt(
        &self,
        payload: &Payload,
        loader: &Loader,
        words: &Words,
        wanted: Selection<'_>,
        rejects: &Rejects<'_>,
    ) -> (Vec<(String, LogLine)>, Result<IngestOutput>) {
        let progress = Progress {
            log: Mutex::new(LogBook::with_room(self.plan.budget.log_lines)),
            captures: self.capture.map(|_| Mutex::default()),
            ..Progress::default()
        };
        let here: RefCell<Vec<String>> = RefCell::default();
        let bytes = payload.bytes_of(wanted.file);
        let live = Live::reading(wanted.name, self.turn, &progress.counters, bytes);
        let files = Ingest {
            plan: self.plan,
            words: &|set| words.of(set),
            reused: wanted.reused,
            sink: loader,
            rejects,
            progress: &progress,
            workers: self.workers,
        }
        .run(payload, &|name| {
            here.borrow_mut().push(name.to_string());
            (wanted.file)(name)
        });
        drop(live);
        let log = progress.log.lock().map(|log| log.lines());
        let kept = self.keep_captures(&progress);
        let stages = progress.counters.stages().into_iter();
        let stage_seconds = stages
            .map(|(stage, time)| (stage, time.as_secs_f64()))
            .collect();
        // The user needs to hear the first failure.
        let files = match (files, kept) {
            (Ok(_), Err(failure)) => Err(failure),
            (files, _) => files,
        };
        // How far reports that are read side by side had come would be chance.
        let begun = progress.counters.rows() > 0;
        let files = files.map_err(|failure| match begun {
            false => failure,
            true => failure.hint_if_none("nothing of the payload was published"),
        });
        let ingested = files.map(|files| IngestOutput {
            files,
            here: here.into_inner(),
            stage_seconds,
        });
        (log.unwrap_or_default(), ingested)
    }

    /// A failure; when there were too many rejected rows, those before are kept.
    pub(super) fn with_allowed_kept(
        &self,
        failure: Failure,
        rejects: &Rejects<'_>,
        origin: RejectOrigin,
    ) -> Failure {
        if rejects.exceeded().is_none() {
            return failure;
        }
        let kept = quarantine::keep_allowed(self.database, origin, rejects);
        match kept {
            Ok(()) => failure.hint(format!(
                "nothing of the payload was published; {} of the rows are in quarantine under run {}",
                grouped(rejects.rows()),
                origin.run_id
            )),
            Err(also) => failure.followed_by(&also),
        }
    }

    /// Writes the rows that stages broke at as cases, and says how to run them.
    fn keep_captures(&self, progress: &Progress) -> Result<()> {
        let (Some(directory), Some(captures)) = (self.capture, &progress.captures) else {
            return Ok(());
        };
        let captures = captures.lock().unwrap_or_else(|poison| poison.into_inner());
        for folder in capture::write(directory, &captures)? {
            terminal::say(&format!(
                "captured the rows that stage `{}` stopped at; `gristmill stage test {}` shows it again",
                folder.stage,
                folder.path.display()
            ));
        }
        Ok(())
    }

    /// Neither the payload nor one of its files may have more rejected rows than the
    /// pipeline allows, in all or by one stage.
    pub(super) fn within_threshold(&self, files: &[IngestedFile], run_id: i64) -> Result<()> {
        rejected_within(files, run_id, None, self.plan.rejected_rows)?;
        let stages: BTreeMap<&str, RejectedRowsThreshold> = self
            .plan
            .stages()
            .filter_map(|stage| Some((stage.name.as_str(), stage.rejected_rows?)))
            .collect();
        stages.into_iter().try_for_each(|(stage, threshold)| {
            rejected_within(files, run_id, Some(stage), threshold)
        })
    }
}

/// Warns of the reports of a payload that are of no known kind; returns their names.
pub(super) fn warn_of_unknown(shown: &str, pipeline: &str, files: &[IngestedFile]) -> Vec<String> {
    let mut unknown = Vec::new();
    for file in files {
        if let FileKind::Unknown(columns) = &file.kind {
            tracing::warn!(
                "{shown}: report `{}` is of no kind that pipeline `{pipeline}` knows, and is read \
                 past: its header begins with `{}`",
                file.name,
                beginning(columns)
            );
            unknown.push(file.name.clone());
        }
    }
    unknown
}

/// The rows rejected by one stage, or by all together.
fn rejected_within(
    files: &[IngestedFile],
    run_id: i64,
    stage: Option<&str>,
    threshold: RejectedRowsThreshold,
) -> Result<()> {
    let count = |rejected: &RejectTally| match stage {
        Some(stage) => rejected.rows_by(stage),
        None => rejected.rows(),
    };
    let of_files: Vec<(u64, u64)> = files
        .iter()
        .map(|file| (count(&file.rejected), file.rows_read))
        .collect();
    let of_payload = of_files
        .iter()
        .fold((0, 0), |sum, file| (sum.0 + file.0, sum.1 + file.1));
    let too_many = |(rejected, read): &(u64, u64)| threshold.is_exceeded(*rejected, *read);
    let Some((rejected, read)) = std::iter::once(of_payload).chain(of_files).find(too_many) else {
        return Ok(());
    };
    let shown = files
        .iter()
        .flat_map(|file| {
            let first = file.rejected.first(stage).into_iter();
            first.map(|reject| format!("report `{}`, {}", file.name, describe(reject)))
        })
        .take(REJECTS_SHOWN)
        .collect::<Vec<_>>()
        .join("\n");
    let (by, place) = match stage {
        Some(stage) => (
            format!(" by stage `{stage}`"),
            format!("[stages.{stage}.limits]"),
        ),
        None => (String::new(), "[limits]".to_string()),
    };
    let (keys, are) = match threshold.floor {
        0 => ("`rejected-rows`", "is"),
        _ => ("`rejected-rows` and `rejected-rows-floor`", "are"),
    };
    Err(Failure::run(format!(
        "{rejected} of {read} rows were rejected{by}, {threshold}"
    ))
    .because(anyhow::anyhow!(shown))
    .hint(format!(
        "the rows are in quarantine under run {run_id}; {keys} in `{place}` {are} the threshold"
    )))
}
