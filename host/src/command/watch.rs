//! `gristmill watch`: payloads of a folder through a pipeline, as they appear.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::payload_run::PayloadResult;
use super::run::Runner;
use super::{engine, plan};
use crate::cli::WatchArguments;
use crate::failure::{Exit, Failure, Result};
use crate::inbox::Inbox;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::report::{self, grouped};

/// How long the database may stay away before it is tried again: at first, and at
/// most.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// A payload that was run, and where it went.
#[derive(Serialize)]
struct Handled<'a> {
    #[serde(flatten)]
    result: &'a PayloadResult,
    moved_to: String,
}

/// # Errors
/// The pipeline has problems, the inbox cannot be used, or the database cannot be
/// reached at the start; with `--once` also when it goes away later, or a payload
/// failed.
pub fn execute(arguments: &WatchArguments, runtime: &Runtime) -> Result<()> {
    let engine = engine()?;
    let plan = plan(&arguments.pipeline, &engine)?;
    let inbox = Inbox::open(&arguments.inbox)?;
    let stop = Stop::on_signals(runtime)?;
    let mut watch = Watch {
        arguments,
        plan: &plan,
        runtime,
        stop,
        runner: Runner::open(&plan, runtime, &arguments.database)?,
        handled: 0,
        failed: 0,
    };
    if !arguments.once {
        report::say(&format!("watching {}", arguments.inbox.display()));
    }
    watch.until_the_end(inbox)?;
    match (arguments.once, watch.failed) {
        (true, 1..) => Err(Failure::run(format!(
            "{} of {} payloads failed",
            watch.failed, watch.handled
        ))
        .hint(format!(
            "they are in `{}`, each with its reason",
            arguments.inbox.join("failed").display()
        ))),
        _ => Ok(()),
    }
}

struct Watch<'a> {
    arguments: &'a WatchArguments,
    plan: &'a Plan,
    runtime: &'a Runtime,
    stop: Stop,
    runner: Runner<'a>,
    handled: usize,
    failed: usize,
}

impl Watch<'_> {
    fn until_the_end(&mut self, mut inbox: Inbox) -> Result<()> {
        let poll = Duration::from_millis(self.arguments.poll_milliseconds);
        let mut first = true;
        loop {
            let looked = inbox.look()?;
            for payload in &looked.ready {
                if self.stop.is_asked() {
                    break;
                }
                self.handle(payload, &inbox)?;
            }
            // Nothing can be ready at the first look.
            let drained = !first && looked.ready.is_empty();
            if self.arguments.once && drained {
                if looked.changing > 0 {
                    report::say(&format!(
                        "{}: {} payloads are still being written; they are left for another time",
                        self.arguments.inbox.display(),
                        looked.changing
                    ));
                }
                return Ok(());
            }
            first = false;
            if self.stop.is_asked() || self.stop.within(self.runtime, poll) {
                report::say("stopped");
                return Ok(());
            }
        }
    }

    /// Runs a payload and puts it away; one that the environment failed stays.
    fn handle(&mut self, payload: &Path, inbox: &Inbox) -> Result<()> {
        loop {
            let (result, failure) = self.runner.run(payload, Payload::open(payload, None));
            let moved_to = match failure {
                None => inbox.done(payload)?,
                Some(failure) if self.is_environments(&failure) => {
                    if self.arguments.once {
                        return Err(failure);
                    }
                    match self.wait_for_the_environment(&failure) {
                        true => continue,
                        false => return Ok(()),
                    }
                }
                // Whoever took it away knows why.
                Some(_) if !payload.exists() => return Ok(()),
                Some(failure) => {
                    self.failed += 1;
                    report::failure(&failure);
                    inbox.failed(payload, &reason(&failure))?
                }
            };
            self.handled += 1;
            self.tell(&result, &moved_to);
            return Ok(());
        }
    }

    /// Whether the payload is not at fault: the next one would fail as well.
    fn is_environments(&self, failure: &Failure) -> bool {
        failure.exit == Exit::Environment
            || Runner::open(self.plan, self.runtime, &self.arguments.database).is_err()
    }

    /// Tries the database until it is back; false when asked to stop before.
    fn wait_for_the_environment(&mut self, failure: &Failure) -> bool {
        report::failure(failure);
        report::say("the payload stays in the inbox until the database is back");
        let mut backoff = BACKOFF_FIRST;
        loop {
            if self.stop.within(self.runtime, backoff) {
                return false;
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
            if let Ok(runner) = Runner::open(self.plan, self.runtime, &self.arguments.database) {
                self.runner = runner;
                report::say("the database is back");
                return true;
            }
        }
    }

    fn tell(&self, result: &PayloadResult, moved_to: &Path) {
        if self.arguments.json {
            let moved_to = moved_to.display().to_string();
            report::json_line(&Handled { result, moved_to });
            return;
        }
        let won = result.days.iter().filter(|day| day.outcome == "won");
        let won: Vec<String> = won.map(|day| day.day.to_string()).collect();
        let days = match won.as_slice() {
            [] => String::new(),
            [day] => format!(" {day}"),
            [first, .., last] => format!(" {} days, {first} to {last}", won.len()),
        };
        let taken_over = match result.rows_taken_over {
            0 => String::new(),
            rows => format!("{} taken over, ", grouped(rows)),
        };
        report::text(&format!(
            "{}: {}{days}, {} rows loaded, {taken_over}{} quarantined, {:.2} s",
            result.payload,
            result.state,
            grouped(result.rows_loaded),
            grouped(result.rows_rejected),
            result.seconds
        ));
    }
}

fn reason(failure: &Failure) -> String {
    let words = report::words_of(failure);
    format!("{words}\n")
}

/// Whether a signal asked to stop.
struct Stop {
    asked: Arc<AtomicBool>,
    notify: Arc<Notify>,
}

impl Stop {
    fn on_signals(runtime: &Runtime) -> Result<Self> {
        let stop = Self {
            asked: Arc::default(),
            notify: Arc::default(),
        };
        let _guard = runtime.enter();
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let mut signals = signal(kind)
                .map_err(|error| Failure::environment("cannot wait for signals").because(error))?;
            let (asked, notify) = (Arc::clone(&stop.asked), Arc::clone(&stop.notify));
            runtime.spawn(async move {
                signals.recv().await;
                report::say("stopping after the payload at work, if there is one");
                asked.store(true, Ordering::Relaxed);
                notify.notify_one();
            });
        }
        Ok(stop)
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Waits so long; true as soon as a signal comes.
    fn within(&self, runtime: &Runtime, time: Duration) -> bool {
        runtime.block_on(async {
            // Whether it was the time or the signal, the flag tells.
            let _ = tokio::time::timeout(time, self.notify.notified()).await;
        });
        self.is_asked()
    }
}
