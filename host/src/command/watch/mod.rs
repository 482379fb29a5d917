//! `gristmill watch`: takes the payloads of a folder through a pipeline as they appear.

mod agenda;
mod stop;
mod worker;

use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use self::agenda::Agenda;
use self::stop::Stop;
use self::worker::{BACKOFF_FIRST, BACKOFF_MAX};
use super::{engine, fills, open_to_load, plan, target};
use crate::cli::WatchArguments;
use crate::database::{self, Target};
use crate::diagnostics::failure::{Failure, Result};
use crate::payload::inbox::{Folders, Inbox, Seen};
use crate::pipeline::plan::Plan;
use crate::run::Runner;
use crate::terminal;

/// # Errors
/// The pipeline has problems, the inbox cannot be used, or the database cannot be
/// reached or used at the start, unless that may pass; with `--once` also when something
/// of the surroundings stands in the way later, or a payload failed.
pub fn execute(arguments: &WatchArguments, runtime: &Runtime) -> Result<()> {
    let engine = engine()?;
    let plan = plan(&arguments.pipeline, &engine)?;
    let folders = Folders {
        done: arguments.done.as_deref(),
        failed: arguments.failed.as_deref(),
    };
    let state = database::default_data_directory();
    let inbox = Inbox::open(&arguments.inbox, folders, &state)?;
    let stop = Stop::on_signals(runtime)?;
    let Some(runner) = runner(&plan, runtime, arguments, &stop)? else {
        terminal::say("stopped");
        return Ok(());
    };
    if let Some(lake) = runner.lake() {
        stop.cancels(lake);
    }
    let watch = Watch {
        arguments,
        inbox: &inbox,
        stop,
        runner,
        target: target(&arguments.database, fills(arguments.creation)),
        desk: Mutex::new(Desk {
            agenda: Agenda::new(plan.watch),
            ending: false,
            ill: false,
            handled: 0,
            failed: 0,
            hindered: Vec::new(),
        }),
        bell: Condvar::new(),
    };
    if !arguments.once {
        terminal::say(&format!("watching {}", arguments.inbox.display()));
    }
    let ended = thread::scope(|scope| {
        for _ in 0..watch.runner.payloads_at_once() {
            scope.spawn(|| watch.work());
        }
        let ended = watch.until_the_end();
        watch.desk().ending = true;
        watch.bell.notify_all();
        ended
    });
    match arguments.once {
        true => ended.and_then(|()| watch.last_word()),
        false => {
            ended?;
            terminal::say("stopped");
            Ok(())
        }
    }
}

/// All that running payloads needs. What of the surroundings stands in the way of it at
/// the start is waited for as it is later; `None` when it is to end meanwhile.
fn runner<'a>(
    plan: &'a Plan,
    runtime: &Runtime,
    arguments: &WatchArguments,
    stop: &Stop,
) -> Result<Option<Runner<'a>>> {
    let begun = Instant::now();
    let mut backoff = BACKOFF_FIRST;
    loop {
        let opened = open_to_load(
            plan,
            runtime,
            &arguments.database,
            fills(arguments.creation),
            arguments.connections,
            arguments.payloads_at_once,
        );
        let opened = opened.and_then(|(database, workers)| Runner::new(plan, database, workers));
        let failure = match opened {
            Ok(runner) => return Ok(Some(runner)),
            Err(failure) => failure,
        };
        let passes = failure.hindrance.is_some() && begun.elapsed() < plan.watch.patience;
        if arguments.once || !passes {
            return Err(failure);
        }
        terminal::failure(&failure);
        terminal::say(&format!(
            "the inbox is watched once that is over; tried again in {:.1} s",
            backoff.as_secs_f64()
        ));
        if stop.within(backoff) {
            return Ok(None);
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// The state that the thread which looks shares with those that work.
struct Watch<'a> {
    arguments: &'a WatchArguments,
    inbox: &'a Inbox,
    stop: Stop,
    runner: Runner<'a>,
    target: Target,
    desk: Mutex<Desk>,
    /// Rung when something on the desk has changed.
    bell: Condvar,
}

struct Desk {
    agenda: Agenda,
    /// Nothing more is begun.
    ending: bool,
    /// No payload could be run now.
    ill: bool,
    handled: usize,
    failed: usize,
    /// With `--once`: what stood in the way of payloads that stay.
    hindered: Vec<Failure>,
}

impl Watch<'_> {
    /// Looks into the folder until there is a reason to end.
    fn until_the_end(&self) -> Result<()> {
        let poll = Duration::from_millis(self.arguments.poll_milliseconds);
        let mut seen = Seen::default();
        let mut first = true;
        let mut readable = true;
        loop {
            match self.inbox.look(&mut seen) {
                Ok(looked) => {
                    readable = true;
                    for line in &looked.passed_over {
                        tracing::warn!("{line}");
                    }
                    let mut desk = self.desk();
                    desk.agenda.add(looked.ready);
                    // Nothing can be ready at the first look.
                    let drained = !first && desk.agenda.is_empty();
                    if self.arguments.once && (drained || desk.ending) {
                        drop(desk);
                        if looked.changing > 0 {
                            terminal::say(&format!(
                                "{}: {} payloads are still being written; they are left for another time",
                                self.arguments.inbox.display(),
                                looked.changing
                            ));
                        }
                        return Ok(());
                    }
                }
                Err(failure) if self.arguments.once => return Err(failure),
                // Its file system may be away for a while.
                Err(failure) => {
                    if readable {
                        terminal::failure(&failure);
                        terminal::say("the inbox is looked into again until it can be read");
                    }
                    readable = false;
                }
            }
            self.bell.notify_all();
            first = false;
            if self.stop.within(poll) {
                return Ok(());
            }
        }
    }

    /// How `--once` ends.
    fn last_word(&self) -> Result<()> {
        let mut desk = self.desk();
        let (handled, failed) = (desk.handled, desk.failed);
        let mut hindered = std::mem::take(&mut desk.hindered);
        if failed == 0 && hindered.len() == 1 {
            return hindered.pop().map_or(Ok(()), Err);
        }
        let shown = self.inbox.failed_folder().display();
        let failure = match (hindered.len(), failed) {
            (0, 0) => return Ok(()),
            (0, _) => Failure::run(format!("{failed} of {handled} payloads failed"))
                .hint(format!("they are in `{shown}`, each with its reason")),
            (stayed, _) => Failure::environment(format!(
                "{failed} of {handled} payloads failed, and {stayed} could not be run"
            ))
            .hint(format!(
                "those that failed are in `{shown}`, each with its reason; the others stay in the inbox"
            )),
        };
        Err(Failure {
            parts: hindered,
            ..failure
        })
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }
}
