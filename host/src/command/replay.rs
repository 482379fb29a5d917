//! `gristmill replay`: archived payloads once more, through the pipeline as it is
//! now, in the place of what they made before.

use std::collections::BTreeSet;
use std::time::Instant;

use serde::Serialize;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::ingesting::{Ingested, Ingesting, Wanted, open_to_load, sums};
use super::{archive_of, difference, engine, plan};
use crate::archive::{self, Archives, Kept};
use crate::cli::ReplayArguments;
use crate::database::{Database, SqlError, waiting};
use crate::days::Days;
use crate::difference::{self as changes, DayDifference};
use crate::failure::{Failure, Result};
use crate::hours::KnownHours;
use crate::ingest::Rejects;
use crate::load::Loader;
use crate::payload::{Manifest, Payload};
use crate::plan::Plan;
use crate::publish::Upload;
use crate::publish::replace::{self, Holder};
use crate::quarantine::{self, Rejecting};
use crate::report;
use crate::run_record::{self, RunState, RunSums};
use crate::source::{self, Source};
use crate::summarize;

/// What a replay came to.
#[derive(Debug, Serialize)]
struct Replayed {
    cluster_id: String,
    source_uuid: Uuid,
    payloads: usize,
    days: Vec<DayDifference>,
    rows_read: u64,
    rows_loaded: u64,
    rows_filtered: u64,
    rows_rejected: u64,
    seconds: f64,
    error: Option<String>,
}

/// The archived tarballs that together are a manifest's payload.
pub(super) struct Replayable {
    holder: Holder,
    tarballs: Vec<Kept>,
}

/// # Errors
/// The pipeline has problems, a payload is not in the archive, the database cannot
/// be reached, or a payload failed; those before it stay replayed.
pub fn execute(arguments: &ReplayArguments, runtime: &Runtime) -> Result<()> {
    let days = Days::between(arguments.from, arguments.to)?;
    let engine = engine()?;
    let plan = plan(&arguments.pipeline, &engine)?;
    let (database, workers) = open_to_load(
        &plan,
        runtime,
        &arguments.database,
        arguments.connections,
        1,
    )?;
    let archives = archives_of(&plan, &database, runtime)?;
    let source = runtime.block_on(source::named(&database, &arguments.source))?;
    let replay = Replay {
        ingesting: Ingesting {
            plan: &plan,
            database: &database,
            runtime,
            workers,
            capture: None,
        },
        archives,
        source,
        days: Some(days),
    };
    let replayables = replay.replayables(days)?;
    let started = Instant::now();
    let mut replayed = Replayed {
        cluster_id: replay.source.cluster_id.clone(),
        source_uuid: replay.source.source_uuid,
        payloads: 0,
        days: Vec::new(),
        rows_read: 0,
        rows_loaded: 0,
        rows_filtered: 0,
        rows_rejected: 0,
        seconds: 0.0,
        error: None,
    };
    let mut failure = None;
    for replayable in &replayables {
        let mut sums = RunSums::default();
        match replay.run(replayable, &mut sums) {
            Ok((_, days)) => {
                replayed.payloads += 1;
                replayed.days.extend(days);
            }
            Err(failed) => {
                replayed.error = Some(failed.to_string());
                failure = Some(failed);
            }
        }
        replayed.rows_read += sums.rows_read;
        replayed.rows_loaded += sums.rows_loaded;
        replayed.rows_filtered += sums.rows_filtered;
        replayed.rows_rejected += sums.rows_rejected;
        if failure.is_some() {
            break;
        }
    }
    if replayed.payloads > 0
        && let Err(also) = runtime.block_on(restore_tags_values(&database))
    {
        match &mut failure {
            Some(failure) => failure.causes.push(also.to_string()),
            None => {
                replayed.error = Some(also.to_string());
                failure = Some(also);
            }
        }
    }
    replayed.days = changes::joined(replayed.days);
    replayed.seconds = started.elapsed().as_secs_f64();
    if arguments.json {
        report::json(&replayed);
    } else {
        difference::show(&replayed.days);
    }
    failure.map_or(Ok(()), |failure| {
        Err(failure.hint_if_none(format!(
            "{} of {} payloads were replayed, each with all of its days; run it again when the cause is mended",
            replayed.payloads,
            replayables.len()
        )))
    })
}

/// Where the archived payloads of this database are; refused when it is a copy that has
/// records of another's.
pub(super) fn archives_of(plan: &Plan, database: &Database, runtime: &Runtime) -> Result<Archives> {
    let archive = archive_of(plan, database, runtime)?;
    runtime.block_on(Archives::of(database, archive.as_ref()))
}

/// Once, and not with each payload: it reads all months.
async fn restore_tags_values(database: &Database) -> Result<()> {
    let failed = |error| SqlError(error).failure("cannot reach the database");
    let mut connection = database.pool().acquire().await.map_err(failed)?;
    let process = waiting::process(&mut connection).await.map_err(failed)?;
    let restored = summarize::restore_tags_values(&mut connection);
    database.telling(process, &report::say, restored).await
}

pub(super) struct Replay<'a> {
    pub(super) ingesting: Ingesting<'a>,
    pub(super) archives: Archives,
    pub(super) source: Source,
    /// `None` replaces all that a payload made.
    pub(super) days: Option<Days>,
}

impl Replay<'_> {
    /// The payloads that hold the days, all of them whole in the archive.
    fn replayables(&self, days: Days) -> Result<Vec<Replayable>> {
        let (database, runtime) = (self.ingesting.database, self.ingesting.runtime);
        let source = &self.source;
        let holders = runtime.block_on(replace::holders(database, source.source_uuid, days))?;
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
            "nothing was replayed: the archive lacks the payloads of {}",
            shown.join(", ")
        ))
        .hint(
            "`gristmill run` of a payload that was loaded before puts it into the archive; \
             `--from` and `--to` can leave these days out",
        ))
    }

    /// The payload of a manifest, if all of it is in the archive.
    pub(super) fn replayable(&self, holder: Holder) -> Result<Result<Replayable, Holder>> {
        let (database, runtime) = (self.ingesting.database, self.ingesting.runtime);
        let files = runtime.block_on(replace::files_of_manifest(database, holder.manifest_id))?;
        let kept = runtime.block_on(archive::of_manifest(database, holder.manifest_id))?;
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

    /// Replays a payload; returns the run and what it changed.
    pub(super) fn run(
        &self,
        replayable: &Replayable,
        sums: &mut RunSums,
    ) -> Result<(i64, Vec<DayDifference>)> {
        let Ingesting {
            plan,
            database,
            runtime,
            ..
        } = self.ingesting;
        let name = match &replayable.tarballs[..] {
            [] => format!("replay of {}", replayable.holder.assembly_id),
            [kept] => format!("replay of {}", kept.payload),
            [kept, others @ ..] => {
                format!("replay of {} and {} more", kept.payload, others.len())
            }
        };
        let record = runtime.block_on(run_record::open(database, plan, &name))?;
        let failure = match self.recorded(replayable, record.id, sums) {
            Ok(days) => {
                let run_id = record.id;
                runtime.block_on(record.closed());
                return Ok((run_id, days));
            }
            Err(failure) => failure,
        };
        let manifest_id = Some(replayable.holder.manifest_id);
        let error = failure.to_string();
        let closed = record.close(RunState::Failed, manifest_id, *sums, Some(&error));
        // What went wrong first is what the user needs to hear.
        let _ = runtime.block_on(closed);
        Err(failure.within(format!("the {name} failed")))
    }

    fn recorded(
        &self,
        replayable: &Replayable,
        run_id: i64,
        sums: &mut RunSums,
    ) -> Result<Vec<DayDifference>> {
        let Ingesting {
            plan,
            database,
            runtime,
            ..
        } = self.ingesting;
        let mut payloads = Vec::new();
        for kept in &replayable.tarballs {
            kept.verify()?;
            let payload = Payload::open(&kept.path()?, None)?;
            self.is_of(&payload, &replayable.holder)?;
            payloads.push(payload);
        }
        let Some(first) = payloads.first() else {
            return Err(Failure::run("its manifest lists no file"));
        };
        let source = self.source.clone();
        let mut upload = runtime.block_on(Upload::begin(
            database,
            plan,
            source,
            &first.manifest,
            run_id,
            &report::say,
        ))?;
        let result = self.replace(&mut upload, &payloads, &replayable.holder, run_id, sums);
        match result {
            Ok(days) => {
                runtime.block_on(upload.close());
                Ok(days)
            }
            // No file is open, so none is marked as failed.
            Err(failure) => Err(runtime.block_on(upload.fail(failure, &[]))),
        }
    }

    /// Whether an archived payload is that of the upload it is recorded for: a record may
    /// name the bytes of another, of another cluster even.
    fn is_of(&self, payload: &Payload, holder: &Holder) -> Result<()> {
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
        } else if *cluster_id != self.source.cluster_id {
            format!(
                "archived payload `{shown}` is of cluster `{cluster_id}`, not of cluster `{}` for \
                 which it is recorded",
                self.source.cluster_id
            )
        } else {
            return Ok(());
        };
        Err(Failure::run(refused)
            .hint("nothing was changed; `gristmill run` of the upload's own payload archives it"))
    }

    fn replace(
        &self,
        upload: &mut Upload,
        payloads: &[Payload],
        holder: &Holder,
        run_id: i64,
        sums: &mut RunSums,
    ) -> Result<Vec<DayDifference>> {
        let Ingesting {
            plan,
            database,
            runtime,
            ..
        } = self.ingesting;
        let loadable = self.ingesting.loadable_months()?;
        for payload in payloads {
            loadable.check(payload)?;
        }
        let loader = Loader::new(
            database.clone(),
            upload.generation,
            self.source.source_uuid,
            loadable,
            report::say,
        );
        let sink = self.ingesting.written_through(upload.generation);
        // The tarballs are one payload together.
        let rejects = Rejects::new(&plan.budget, &sink);
        let rejecting = Rejecting {
            run_id,
            manifest_id: upload.manifest_id,
            generation: upload.generation,
            time_max: plan.budget.quarantine_time,
        };
        let mut files = Vec::new();
        let mut taken = BTreeSet::new();
        for payload in payloads {
            let wanted = Wanted {
                file: &|name| !taken.contains(name),
                // What stages make of an hour now may be other than what they made of it.
                known: &KnownHours::default(),
            };
            let words = self.ingesting.words()?;
            let ingested = self
                .ingesting
                .payload(payload, &loader, &words, wanted, &rejects);
            let Ingested {
                files: ingested,
                here,
                ..
            } = ingested.map_err(|failure| {
                self.ingesting
                    .with_allowed_kept(failure, &rejects, rejecting)
            })?;
            files.extend(ingested);
            taken.extend(here);
        }
        if let Some(missing) = upload
            .known_files()
            .iter()
            .find(|file| !taken.contains(*file))
        {
            return Err(Failure::run(format!(
                "the archived payload of upload {} lacks file `{missing}`, which its record says \
                 it has",
                holder.assembly_id
            ))
            .hint("nothing was changed; `gristmill run` of the upload's own payload archives it"));
        }
        *sums = self::sums(&files);
        if let Err(mut failure) = self.ingesting.within_threshold(&files, run_id) {
            runtime.block_on(upload.check_lock())?;
            let kept = quarantine::keep(database, rejecting, &files);
            if let Err(also) = runtime.block_on(kept) {
                failure.causes.push(also.to_string());
            }
            return Err(failure);
        }
        let Some(days) = self.days else {
            return runtime.block_on(upload.replace_whole(&files, plan, *sums, &report::say));
        };
        // Another payload may have won some of them since we looked.
        let days = runtime.block_on(upload.held_days(days))?;
        runtime.block_on(upload.replace(&files, &days, plan, *sums, &report::say))
    }
}
