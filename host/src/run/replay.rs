//! Replays archived payloads through the pipeline as it is now, in place of what they
//! made before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use chrono::NaiveDate;
use serde::Serialize;
use uuid::Uuid;

use super::ingestion::{IngestOutput, Ingestion, Selection, warn_of_unknown};
use super::task::{self, End, Folded, OpenUpload, Opening, Task};
use crate::diagnostics::days::Days;
use crate::diagnostics::failure::{Failure, Result};
use crate::ingest::hours::ReusedHours;
use crate::ingest::{IngestedFile, Rejects};
use crate::ledger::archive::{self, ArchivedPayload, Archives};
use crate::ledger::difference::{self, DayDifference};
use crate::ledger::publish::replace::{self, Holder};
use crate::ledger::quarantine::RejectWriter;
use crate::ledger::run_record::RunSums;
use crate::ledger::source::Source;
use crate::ledger::summarize;
use crate::load::LoadableMonths;
use crate::payload::{Manifest, Payload};
use crate::terminal::Turn;

/// The result of a replay of days.
#[derive(Debug, Serialize)]
pub struct ReplayResult {
    cluster_id: String,
    source_uuid: Uuid,
    payloads: usize,
    /// Those payloads, by their files and the days that they held.
    replayed: Vec<ReplayedPayload>,
    pub days: Vec<DayDifference>,
    rows_read: u64,
    rows_loaded: u64,
    rows_filtered: u64,
    rows_rejected: u64,
    seconds: f64,
    /// The engines that folded the hours, each with its time where that is not part of
    /// publishing.
    engines: BTreeMap<&'static str, Option<f64>>,
    error: Option<String>,
}

/// A payload that was replayed.
#[derive(Debug, Serialize)]
struct ReplayedPayload {
    payload: String,
    days: Vec<NaiveDate>,
}

/// The archived tarballs that together are a manifest's payload.
pub struct Replayable {
    holder: Holder,
    tarballs: Vec<ArchivedPayload>,
}

/// The settings of replaying a source's payloads.
pub struct Replay<'a> {
    pub ingestion: Ingestion<'a>,
    pub archives: Archives,
    pub source: Source,
}

/// A payload to be replayed.
struct ReplayTask<'a> {
    source: &'a Source,
    /// `None` replaces all that the payload made.
    days: Option<Days>,
    sums: RunSums,
    folded: Folded,
}

/// A payload at work.
struct ReplayWork {
    holder: Holder,
    payloads: Vec<Payload>,
}

impl ReplayResult {
    /// Adds what folded the hours of a payload.
    fn add(&mut self, folded: Folded) {
        if let Some(engine) = folded.engine {
            let seconds = self.engines.entry(engine).or_default();
            *seconds = match (*seconds, folded.seconds) {
                (Some(before), Some(more)) => Some(before + more),
                (before, more) => before.or(more),
            };
        }
    }
}

impl Replay<'_> {
    /// Replays the payloads that hold some days, each with all of its days; returns the
    /// result of those before one failed, and why it did.
    ///
    /// # Errors
    /// No payload holds the days, or one is not in the archive: nothing was replayed.
    pub fn days(&self, days: Days) -> Result<(ReplayResult, Option<Failure>)> {
        let replayables = self.replayables(days, "replayed")?;
        let started = Instant::now();
        let mut result = ReplayResult {
            cluster_id: self.source.cluster_id.clone(),
            source_uuid: self.source.source_uuid,
            payloads: 0,
            replayed: Vec::new(),
            days: Vec::new(),
            rows_read: 0,
            rows_loaded: 0,
            rows_filtered: 0,
            rows_rejected: 0,
            seconds: 0.0,
            engines: BTreeMap::new(),
            error: None,
        };
        let count = replayables.len();
        let mut failure = None;
        for (before, replayable) in replayables.into_iter().enumerate() {
            let number = before + 1;
            let turn = Turn { number, of: count };
            let replayed = ReplayedPayload {
                payload: replayable.payload(),
                days: replayable.holder.days.clone(),
            };
            let (sums, folded, run) = self.run(replayable, Some(days), Some(turn));
            result.add(folded);
            match run {
                Ok((_, days)) => {
                    result.payloads += 1;
                    result.replayed.push(replayed);
                    result.days.extend(days);
                }
                Err(failed) => failure = Some(failed),
            }
            result.rows_read += sums.rows_read;
            result.rows_loaded += sums.rows_loaded;
            result.rows_filtered += sums.rows_filtered;
            result.rows_rejected += sums.rows_rejected;
            if failure.is_some() {
                break;
            }
        }
        // Once, and not with each payload: it reads all months.
        if result.payloads > 0
            && let Err(also) = summarize::restore_all_tags_values(self.ingestion.database)
        {
            failure = Some(match failure {
                Some(failure) => failure.followed_by(&also),
                None => also,
            });
        }
        result.days = difference::joined(result.days);
        result.seconds = started.elapsed().as_secs_f64();
        result.error = failure.as_ref().map(ToString::to_string);
        let failure = failure.map(|failure| {
            failure.hint_if_none(format!(
                "{} of {count} payloads were replayed, each with all of its days; run it again when the cause is mended",
                result.payloads
            ))
        });
        Ok((result, failure))
    }

    /// Replays a payload in place of what it made of the days, or of all that it made;
    /// returns the rows, and the run with what it changed.
    pub(super) fn run(
        &self,
        replayable: Replayable,
        days: Option<Days>,
        turn: Option<Turn>,
    ) -> (RunSums, Folded, Result<(i64, Vec<DayDifference>)>) {
        let mut task = ReplayTask {
            source: &self.source,
            days,
            sums: RunSums::default(),
            folded: Folded::default(),
        };
        let name = replayable.name();
        let ingestion = Ingestion {
            turn,
            ..self.ingestion
        };
        let run = task::run(ingestion, &mut task, replayable)
            .map_err(|failure| failure.within(format!("the {name} failed")));
        (task.sums, task.folded, run)
    }

    /// The payloads that hold the days, the latest first, all of them whole in the archive.
    /// `done` is what is not done of any when one is not.
    ///
    /// # Errors
    /// No payload holds the days, or one is not in the archive.
    pub fn replayables(&self, days: Days, done: &str) -> Result<Vec<Replayable>> {
        let database = self.ingestion.database;
        let source = &self.source;
        let holders = replace::holders(database, source.source_uuid, days)?;
        if holders.is_empty() {
            return Err(Failure::run(format!(
                "no payload of cluster `{}` holds {}",
                source.cluster_id, days
            ))
            .hint("`gristmill status` shows which days are loaded"));
        }
        let mut replayables = Vec::new();
        let mut missing = Vec::new();
        for holder in holders {
            match self.replayable(holder)? {
                Ok(replayable) => replayables.push(replayable),
                Err(holder) => missing.extend(holder.days),
            }
        }
        if missing.is_empty() {
            return Ok(replayables);
        }
        missing.sort();
        let shown: Vec<String> = missing.iter().map(ToString::to_string).collect();
        Err(Failure::run(format!(
            "nothing was {done}: the archive lacks the payloads of {}",
            shown.join(", ")
        ))
        .hint(
            "`gristmill run` of a payload that was loaded before puts it into the archive; \
             `--from` and `--to` can leave these days out",
        ))
    }

    /// The payload of a manifest, if all of it is in the archive.
    pub(super) fn replayable(&self, holder: Holder) -> Result<Result<Replayable, Holder>> {
        let database = self.ingestion.database;
        let files = replace::files_of_manifest(database, holder.manifest_id)?;
        let kept = archive::of_manifest(database, holder.manifest_id)?;
        let mut open: BTreeSet<&String> = files.iter().collect();
        let mut tarballs = Vec::new();
        for kept in kept {
            let Some(kept) = self.archives.find(kept)? else {
                continue;
            };
            let before = open.len();
            open.retain(|file| !kept.files.contains(file));
            if open.len() < before {
                tarballs.push(kept);
            }
        }
        Ok(match open.is_empty() {
            true => Ok(Replayable { holder, tarballs }),
            false => Err(holder),
        })
    }
}

impl Replayable {
    /// Opens the tarballs, each of which must be what was archived for the upload.
    pub(super) fn open(&self, source: &Source) -> Result<Vec<Payload>> {
        let mut payloads = Vec::new();
        for kept in &self.tarballs {
            kept.verify()?;
            let payload = Payload::open(&kept.path()?, None)?;
            self.holds(&payload, source)?;
            payloads.push(payload);
        }
        Ok(payloads)
    }

    /// The payload's file.
    fn payload(&self) -> String {
        match &self.tarballs[..] {
            [] => self.holder.assembly_id.clone(),
            [kept] => kept.payload.clone(),
            [kept, others @ ..] => format!("{} and {} more", kept.payload, others.len()),
        }
    }

    /// Whether an archived payload is that of the upload it is recorded for: a record may
    /// name the bytes of another, of another cluster even.
    fn holds(&self, payload: &Payload, source: &Source) -> Result<()> {
        let holder = &self.holder;
        let Manifest {
            uuid, cluster_id, ..
        } = &payload.manifest;
        let shown = payload.path.display();
        let refused = if uuid.to_string() != holder.assembly_id {
            format!(
                "archived payload `{shown}` is of upload {uuid}, not of upload {} for which it is \
                 recorded",
                holder.assembly_id
            )
        } else if *cluster_id != source.cluster_id {
            format!(
                "archived payload `{shown}` is of cluster `{cluster_id}`, not of cluster `{}` for \
                 which it is recorded",
                source.cluster_id
            )
        } else {
            return Ok(());
        };
        Err(Failure::run(refused)
            .hint("nothing was changed; `gristmill run` of the upload's own payload archives it"))
    }

    /// For the record of the run, and for people: the payload's file and its days.
    pub(super) fn name(&self) -> String {
        let payload = self.payload();
        let days = match &self.holder.days[..] {
            [] => String::new(),
            [day] => format!(", {day}"),
            [first, .., last] => format!(", {first} to {last}"),
        };
        format!("replay of {payload}{days}")
    }
}

impl Task for ReplayTask<'_> {
    type Input = Replayable;
    type Work = ReplayWork;
    type Outcome = Vec<DayDifference>;

    fn name(&self, replayable: &Replayable) -> String {
        replayable.name()
    }

    fn open(
        &mut self,
        replayable: Replayable,
        _ingestion: &Ingestion<'_>,
        months: &LoadableMonths,
    ) -> Result<Opening<ReplayWork>> {
        let payloads = replayable.open(self.source)?;
        let Some(first) = payloads.first() else {
            return Err(Failure::run("its manifest lists no file"));
        };
        let manifest = first.manifest.clone();
        for payload in &payloads {
            months.check(payload)?;
        }
        Ok(Opening {
            source: self.source.clone(),
            manifest,
            work: ReplayWork {
                holder: replayable.holder,
                payloads,
            },
        })
    }

    fn ingest(
        &mut self,
        work: &mut ReplayWork,
        open: &mut OpenUpload<'_>,
    ) -> Result<Vec<IngestedFile>> {
        let ingestion = open.ingestion;
        let loader = open.loader(&work.payloads)?;
        let sink = RejectWriter::of(ingestion.database, open.upload.generation);
        // The tarballs are one payload together.
        let rejects = Rejects::new(&ingestion.plan.budget, &sink);
        let mut files = Vec::new();
        let mut taken = BTreeSet::new();
        for payload in &work.payloads {
            let wanted = Selection {
                name: &open.name,
                file: &|name| !taken.contains(name),
                // Stages may make other rows of an hour now than before.
                reused: &ReusedHours::default(),
            };
            let words = ingestion.words()?;
            let ingested = ingestion.payload(payload, &loader, &words, wanted, &rejects);
            let IngestOutput {
                files: ingested,
                here,
                ..
            } = ingested.map_err(|failure| {
                ingestion.with_allowed_kept(failure, &rejects, open.reject_origin())
            })?;
            files.extend(ingested);
            taken.extend(here);
        }
        let mut known = open.upload.known_files().iter();
        if let Some(missing) = known.find(|file| !taken.contains(*file)) {
            return Err(Failure::run(format!(
                "the archived payload of upload {} lacks file `{missing}`, which its record says \
                 it has",
                work.holder.assembly_id
            ))
            .hint("nothing was changed; `gristmill run` of the upload's own payload archives it"));
        }
        self.sums = RunSums::of(&files);
        let shown = format!("upload {}", work.holder.assembly_id);
        warn_of_unknown(&shown, &ingestion.plan.name, &files);
        Ok(files)
    }

    fn complete(
        &mut self,
        _work: &mut ReplayWork,
        open: &mut OpenUpload<'_>,
        files: &[IngestedFile],
    ) -> Result<End<Vec<DayDifference>>> {
        let _live = open.publishing();
        let plan = open.ingestion.plan;
        let folded = open.folded();
        let upload = &mut open.upload;
        let changed = match self.days {
            None => upload.replace_whole(files, plan, self.sums)?,
            Some(days) => {
                // Another payload may have won some of them since we looked.
                let days = upload.held_days(days)?;
                upload.replace(files, &days, plan, self.sums)?
            }
        };
        self.folded = folded;
        Ok(End::Counted(changed))
    }

    fn forget(&mut self, _work: &mut ReplayWork) {
        self.sums = RunSums::default();
    }

    fn sums(&self) -> RunSums {
        self.sums
    }

    fn manifest_id(&self, replayable: &Replayable) -> Option<i32> {
        Some(replayable.holder.manifest_id)
    }
}
