//! A worker of `watch`: opens one payload after another, runs it when it is its turn, and
//! puts it away or leaves it in the inbox.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::agenda::{Ticket, Turn, Verdict};
use super::{Desk, Watch};
use crate::database;
use crate::diagnostics::failure::{Exit, Failure, Result};
use crate::diagnostics::hindrance::{self, Hindrance};
use crate::diagnostics::printable;
use crate::payload::inbox::{Arrival, PutAway};
use crate::payload::{OpenFile, Payload};
use crate::run::PayloadResult;
use crate::terminal::{self, grouped};

/// How long the database may stay away before it is tried again: at first, and at
/// most.
pub(super) const BACKOFF_FIRST: Duration = Duration::from_millis(500);
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How often a worker looks for what is due by time alone.
const TICK: Duration = Duration::from_millis(100);

/// A payload that was run, and where it went, if it was there to be moved.
#[derive(Serialize)]
struct WatchLine<'a> {
    #[serde(flatten)]
    result: &'a PayloadResult,
    moved_to: Option<String>,
}

impl Watch<'_> {
    /// Runs payloads until nothing more is to be begun.
    pub(super) fn work(&self) {
        while let Some((ticket, arrival)) = self.next() {
            self.handle(ticket, &arrival);
            self.bell.notify_all();
        }
    }

    fn next(&self) -> Option<(Ticket, Arrival)> {
        let mut desk = self.desk();
        loop {
            if desk.ending || self.stop.is_asked() {
                return None;
            }
            if !desk.ill
                && let Some(next) = desk.agenda.next(Instant::now())
            {
                return Some(next);
            }
            let waited = self.bell.wait_timeout(desk, TICK);
            desk = waited.unwrap_or_else(|poison| poison.into_inner()).0;
        }
    }

    fn handle(&self, ticket: Ticket, arrival: &Arrival) {
        let (file, payload) = match self.opened(arrival) {
            // It is no longer what was found; the next look finds what it is.
            Ok(None) => return self.desk().agenda.ended(ticket),
            Ok(Some((file, payload))) => (Some(file), payload),
            Err(failure) => (None, Err(failure)),
        };
        let cluster = payload
            .as_ref()
            .ok()
            .map(|payload| &payload.manifest.cluster_id);
        if !self.has_its_turn(ticket, cluster.map(String::as_str)) {
            return;
        }
        let (result, failure) = self.runner.run(&arrival.path, payload, self.turn());
        match failure {
            None => {
                let put_away = self.inbox.done(arrival, file.as_ref());
                self.settle(ticket, &result, None, put_away);
            }
            Some(failure) => match self.hindrance(&result, &failure) {
                Some((hindrance, ill)) => {
                    let work = Work {
                        ticket,
                        arrival,
                        file: file.as_ref(),
                        result: &result,
                    };
                    self.hindered(&work, failure, hindrance, ill);
                }
                None => {
                    let put_away = self.inbox.failed(arrival, file.as_ref(), &reason(&failure));
                    self.settle(ticket, &result, Some(&failure), put_away);
                }
            },
        }
    }

    /// Which one it is of those that were run or are there to be run.
    fn turn(&self) -> Option<terminal::Turn> {
        let desk = self.desk();
        let number = desk.handled + 1;
        let of = desk.handled + desk.agenda.len();
        Some(terminal::Turn { number, of })
    }

    /// The open payload, once for whoever puts it away and once to be run.
    fn opened(&self, arrival: &Arrival) -> Result<Option<(OpenFile, Result<Payload>)>> {
        let Some(file) = self.inbox.take(arrival)? else {
            return Ok(None);
        };
        let again = file.again().map_err(|error| {
            let message = format!("cannot read payload `{}`", arrival.path.display());
            Failure::hindered(hindrance::of_reading(&error), message).because(error)
        })?;
        let payload = Payload::of_tarball(&arrival.path, again);
        Ok(Some((file, payload)))
    }

    /// Waits until it is known whether an older payload of the source comes first.
    fn has_its_turn(&self, ticket: Ticket, cluster: Option<&str>) -> bool {
        let mut desk = self.desk();
        loop {
            if desk.ending || self.stop.is_asked() {
                desk.agenda.put_back(ticket);
                return false;
            }
            match desk.agenda.opened(ticket, cluster) {
                Turn::Run => return true,
                Turn::Later => return false,
                Turn::NotYet => {
                    let waited = self.bell.wait_timeout(desk, TICK);
                    desk = waited.unwrap_or_else(|poison| poison.into_inner()).0;
                }
            }
        }
    }

    /// The hindrance that caused a failure, and whether no other payload could be run
    /// either; `None` when the payload is to blame.
    fn hindrance(&self, result: &PayloadResult, failure: &Failure) -> Option<(Hindrance, bool)> {
        match (failure.exit, failure.hindrance) {
            (Exit::Environment, hindrance) => {
                let hindrance = hindrance.unwrap_or(Hindrance::Lasting);
                Some((hindrance, self.is_ill()))
            }
            // A payload that could not be opened has met no database; of others it may
            // have gone away while something else was what failed first.
            (_, _) if result.manifest.is_some() && self.is_ill() => Some((Hindrance::Lost, true)),
            _ => None,
        }
    }

    /// Whether the database cannot be used by anybody now.
    fn is_ill(&self) -> bool {
        let asked = database::probe(&self.target);
        self.runner.database().wait(asked).is_err()
    }

    /// Leaves a payload in the inbox, or sets it aside when that went on for too long.
    fn hindered(&self, work: &Work<'_>, failure: Failure, hindrance: Hindrance, ill: bool) {
        if self.arguments.once {
            let mut desk = self.desk();
            desk.agenda.pass_over(work.ticket);
            desk.hindered.push(failure);
            desk.ending |= ill;
            return;
        }
        let begun = work.result.manifest.is_some();
        let now = Instant::now();
        let verdict = self
            .desk()
            .agenda
            .hindered(work.ticket, hindrance, begun, now);
        match verdict {
            Verdict::GiveUp { tries, time } if !ill => {
                self.give_up(work, failure, tries, time);
            }
            Verdict::Again { wait } if !ill => {
                terminal::failure(&failure);
                terminal::say(&format!(
                    "{}: stays in the inbox, and is tried again in {} s",
                    printable::line(&work.result.payload),
                    wait.as_secs()
                ));
            }
            _ => {
                terminal::failure(&failure);
                self.wait_for_the_database(work.ticket);
            }
        }
    }

    fn give_up(&self, work: &Work<'_>, failure: Failure, tries: u32, time: Duration) {
        let failure = failure
            .within(format!(
                "payload `{}` is set aside after {tries} tries in {} s",
                work.arrival.path.display(),
                time.as_secs()
            ))
            .hint(
                "what stood in the way is of the surroundings; put the payload into the inbox \
                 again when that is mended; `tries` and `patience` in `[watch]` say how often and \
                 for how long it is tried",
            );
        let put_away = self
            .inbox
            .failed(work.arrival, work.file, &reason(&failure));
        self.settle(work.ticket, work.result, Some(&failure), put_away);
    }

    /// Tries the database until it is back, and lets nobody begin anything before.
    fn wait_for_the_database(&self, ticket: Ticket) {
        let others = {
            let mut desk = self.desk();
            desk.agenda.put_back(ticket);
            std::mem::replace(&mut desk.ill, true)
        };
        if others {
            return;
        }
        terminal::say("the payload stays in the inbox until the database is back");
        let mut backoff = BACKOFF_FIRST;
        while !self.stop.within(backoff) {
            backoff = (backoff * 2).min(BACKOFF_MAX);
            if !self.is_ill() {
                terminal::say("the database is back");
                break;
            }
        }
        self.desk().ill = false;
    }

    /// Says what became of a payload, and takes it off the agenda.
    fn settle(
        &self,
        ticket: Ticket,
        result: &PayloadResult,
        failure: Option<&Failure>,
        put_away: Result<PutAway>,
    ) {
        let payload = printable::line(&result.payload);
        let moved_to = match put_away {
            Ok(PutAway::Moved(path)) => Some(path),
            Ok(PutAway::Changed) => {
                terminal::say(&format!(
                    "{payload}: was written to while it was run; it is run again when it is whole"
                ));
                self.desk().agenda.ended(ticket);
                return;
            }
            Ok(PutAway::Replaced) => {
                terminal::say(&format!(
                    "{payload}: another file has its name now, and is run next"
                ));
                None
            }
            // Whoever took it away knows why.
            Ok(PutAway::Gone) if failure.is_some() => {
                self.desk().agenda.ended(ticket);
                return;
            }
            Ok(PutAway::Gone) => None,
            Err(stuck) => {
                if let Some(failure) = failure {
                    terminal::failure(failure);
                }
                terminal::failure(&stuck);
                terminal::say(&format!("{payload}: is passed over until it changes"));
                let mut desk = self.desk();
                desk.agenda.pass_over(ticket);
                count(&mut desk, failure);
                if self.arguments.once {
                    desk.hindered.push(stuck);
                }
                return;
            }
        };
        if let Some(failure) = failure {
            terminal::failure(failure);
        }
        {
            let mut desk = self.desk();
            desk.agenda.ended(ticket);
            count(&mut desk, failure);
        }
        self.tell(result, moved_to.as_deref());
    }

    fn tell(&self, result: &PayloadResult, moved_to: Option<&Path>) {
        if self.arguments.json {
            let moved_to = moved_to.map(|path| path.display().to_string());
            terminal::json_line(&WatchLine { result, moved_to });
            return;
        }
        let won = result.days.iter().filter(|day| day.outcome == "won");
        let won: Vec<String> = won.map(|day| day.day.to_string()).collect();
        let days = match won.as_slice() {
            [] => String::new(),
            [day] => format!(" {day}"),
            [first, .., last] => format!(" {} days, {first} to {last}", won.len()),
        };
        let reused = match result.sums.rows_reused {
            0 => String::new(),
            rows => format!("{} reused, ", grouped(rows)),
        };
        terminal::text(&format!(
            "{}: {}{days}, {} rows loaded, {reused}{} quarantined, {:.2} s",
            printable::line(&result.payload),
            result.state,
            grouped(result.sums.rows_loaded),
            grouped(result.sums.rows_rejected),
            result.seconds
        ));
    }
}

/// A payload that was run.
struct Work<'w> {
    ticket: Ticket,
    arrival: &'w Arrival,
    file: Option<&'w OpenFile>,
    result: &'w PayloadResult,
}

fn count(desk: &mut Desk, failure: Option<&Failure>) {
    desk.handled += 1;
    desk.failed += usize::from(failure.is_some());
}

/// The text of the file beside a payload that was refused.
fn reason(failure: &Failure) -> String {
    format!("{}\n", terminal::words_of(failure))
}
