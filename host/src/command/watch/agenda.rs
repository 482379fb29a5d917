//! The agenda of `watch`: says which payload of an inbox is run next. The oldest comes
//! first, several run at a time, and those of one source one after another. A payload
//! that the surroundings hindered is tried again later, within bounds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use crate::diagnostics::hindrance::Hindrance;
use crate::payload::Look;
use crate::payload::inbox::Arrival;
use crate::pipeline::plan::WatchPlan;

/// How long a payload waits before it is tried again: at first, and at most.
const WAIT_FIRST: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Names a payload as long as it is on the agenda.
pub(super) type Ticket = u64;

/// The payloads that are to be run.
#[derive(Debug)]
pub(super) struct Agenda {
    /// In the order in which they are run.
    entries: Vec<Entry>,
    /// Payloads that cannot be put away, as they were then.
    stuck: BTreeMap<OsString, Look>,
    bounds: WatchPlan,
    next_ticket: Ticket,
}

#[derive(Debug)]
struct Entry {
    ticket: Ticket,
    arrival: Arrival,
    state: State,
    /// Once it was opened.
    cluster: Option<String>,
    /// Tries that the payload itself may have made fail.
    tries: u32,
    /// Tries in all.
    waits: u32,
    hindered_since: Option<Instant>,
    not_before: Option<Instant>,
    /// It may be what kills the server: others are not run beside it.
    alone: bool,
    /// Others were run beside it.
    in_company: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// It is being read for its cluster.
    Opening,
    Running,
}

/// The next step for a payload that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Run,
    /// An older one is still being opened; ask again when it is.
    NotYet,
    /// An older one of its source comes first; it was put back.
    Later,
}

/// The next step for a payload that the surroundings hindered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Again { wait: Duration },
    GiveUp { tries: u32, time: Duration },
}

impl Agenda {
    pub(super) fn new(bounds: WatchPlan) -> Self {
        Self {
            entries: Vec::new(),
            stuck: BTreeMap::new(),
            bounds,
            next_ticket: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds what a look found to be whole, the oldest first.
    pub(super) fn add(&mut self, ready: Vec<Arrival>) {
        self.stuck
            .retain(|name, _| ready.iter().any(|arrival| arrival.name == *name));
        for arrival in ready {
            if self.stuck.get(&arrival.name) == Some(&arrival.look) {
                continue;
            }
            let known = self
                .entries
                .iter()
                .position(|entry| entry.arrival.name == arrival.name);
            match known.map(|place| &self.entries[place]) {
                None => {}
                // A newer one of its name is found again when this one has ended.
                Some(entry) if entry.state != State::Waiting => continue,
                Some(entry) if entry.arrival.look == arrival.look => continue,
                Some(_) => {
                    known.map(|place| self.entries.remove(place));
                }
            }
            self.next_ticket += 1;
            self.entries.push(Entry {
                ticket: self.next_ticket,
                arrival,
                state: State::Waiting,
                cluster: None,
                tries: 0,
                waits: 0,
                hindered_since: None,
                not_before: None,
                alone: false,
                in_company: false,
            });
        }
        self.entries.sort_by(|one, other| {
            let key = |entry: &Entry| (entry.arrival.look.modified, entry.arrival.name.clone());
            key(one).cmp(&key(other))
        });
    }

    /// The next payload to be opened, if one may be.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Ticket, Arrival)> {
        let at_work = self.at_work().count();
        if self.at_work().any(|entry| entry.alone) {
            return None;
        }
        let due = |entry: &Entry| {
            entry.state == State::Waiting && entry.not_before.is_none_or(|time| time <= now)
        };
        let place = (0..self.entries.len())
            .find(|place| due(&self.entries[*place]) && !self.is_held_up(*place))?;
        if self.entries[place].alone && at_work > 0 {
            return None;
        }
        if at_work > 0 {
            self.entries
                .iter_mut()
                .filter(|entry| entry.state != State::Waiting)
                .for_each(|entry| entry.in_company = true);
        }
        let entry = &mut self.entries[place];
        entry.state = State::Opening;
        entry.in_company = at_work > 0;
        Some((entry.ticket, entry.arrival.clone()))
    }

    /// Whether a payload that was opened may be run; `None` is one without a cluster.
    pub(super) fn opened(&mut self, ticket: Ticket, cluster: Option<&str>) -> Turn {
        let Some(place) = self.place(ticket) else {
            return Turn::Later;
        };
        self.entries[place].cluster = cluster.map(str::to_string);
        let unknown = |entry: &Entry| entry.state == State::Opening && entry.cluster.is_none();
        if cluster.is_some() && self.entries[..place].iter().any(unknown) {
            return Turn::NotYet;
        }
        let held_up = self.is_held_up(place);
        let entry = &mut self.entries[place];
        match held_up {
            true => {
                entry.state = State::Waiting;
                Turn::Later
            }
            false => {
                entry.state = State::Running;
                Turn::Run
            }
        }
    }

    /// Whether another payload of its source is at work or comes first.
    fn is_held_up(&self, place: usize) -> bool {
        let entry = &self.entries[place];
        let Some(cluster) = &entry.cluster else {
            return false;
        };
        let of_source = |other: &Entry| other.cluster.as_ref() == Some(cluster);
        let mut others = self.entries.iter().enumerate();
        others.any(|(other_place, other)| {
            of_source(other)
                && (other_place < place || other_place > place && other.state == State::Running)
        })
    }

    /// Takes a payload that has ended off the agenda.
    pub(super) fn ended(&mut self, ticket: Ticket) {
        self.entries.retain(|entry| entry.ticket != ticket);
    }

    /// Passes a payload over as long as it stays as it is.
    pub(super) fn pass_over(&mut self, ticket: Ticket) {
        if let Some(place) = self.place(ticket) {
            let Arrival { name, look, .. } = self.entries.remove(place).arrival;
            self.stuck.insert(name, look);
        }
    }

    /// Puts a payload back that something stood in the way of, unless that was so too
    /// often or for too long. `begun` is whether it was at work on the payload.
    pub(super) fn hindered(
        &mut self,
        ticket: Ticket,
        hindrance: Hindrance,
        begun: bool,
        now: Instant,
    ) -> Verdict {
        let Some(place) = self.place(ticket) else {
            return Verdict::Again {
                wait: Duration::ZERO,
            };
        };
        let entry = &mut self.entries[place];
        let may_be_its_own = match hindrance {
            Hindrance::Lasting => false,
            // Another one beside it may be what killed the server.
            Hindrance::Lost => !entry.in_company,
            Hindrance::Clash | Hindrance::Passing => true,
        };
        entry.alone |= begun && hindrance == Hindrance::Lost;
        entry.tries += u32::from(begun && may_be_its_own);
        entry.waits += 1;
        let since = *entry.hindered_since.get_or_insert(now);
        let time = now.duration_since(since);
        if entry.tries >= self.bounds.tries || time >= self.bounds.patience {
            return Verdict::GiveUp {
                tries: entry.waits,
                time,
            };
        }
        let doublings = (entry.waits - 1).min(16);
        let wait = (WAIT_FIRST * 2_u32.pow(doublings)).min(WAIT_MAX);
        entry.not_before = Some(now + wait);
        entry.state = State::Waiting;
        Verdict::Again { wait }
    }

    /// Puts a payload back that shall be run as soon as anything is.
    pub(super) fn put_back(&mut self, ticket: Ticket) {
        if let Some(place) = self.place(ticket) {
            let entry = &mut self.entries[place];
            entry.state = State::Waiting;
            entry.not_before = None;
        }
    }

    fn at_work(&self) -> impl Iterator<Item = &Entry> {
        let mut entries = self.entries.iter();
        std::iter::from_fn(move || entries.find(|entry| entry.state != State::Waiting))
    }

    fn place(&self, ticket: Ticket) -> Option<usize> {
        self.entries.iter().position(|entry| entry.ticket == ticket)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::payload::OpenFile;

    const BOUNDS: WatchPlan = WatchPlan {
        tries: 3,
        patience: Duration::from_secs(600),
    };

    /// Payloads of these names, the oldest first.
    fn arrivals(names: &[&str]) -> Vec<Arrival> {
        let folder = tempfile::tempdir().unwrap();
        let arrivals = names.iter().enumerate().map(|(age, name)| {
            let path = folder.path().join(name);
            fs::write(&path, name).unwrap();
            let file = File::open(&path).unwrap();
            let opened = OpenFile::new(file).unwrap();
            let mut look = *opened.look();
            look.modified = age as i128;
            Arrival {
                name: name.into(),
                path,
                look,
            }
        });
        arrivals.collect()
    }

    fn agenda(names: &[&str]) -> Agenda {
        let mut agenda = Agenda::new(BOUNDS);
        agenda.add(arrivals(names));
        agenda
    }

    /// Opens the next one, which has this name.
    #[track_caller]
    fn next(agenda: &mut Agenda, now: Instant, name: &str) -> Ticket {
        let (ticket, arrival) = agenda.next(now).expect(name);
        assert_eq!(arrival.name, name);
        ticket
    }

    #[test]
    fn payloads_of_a_source_are_run_in_their_order_and_others_beside_them() {
        let now = Instant::now();
        let mut agenda = agenda(&["a1", "a2", "b1", "a3"]);
        let first = next(&mut agenda, now, "a1");
        let second = next(&mut agenda, now, "a2");
        // The older one may be of the same source; nobody knows yet.
        assert_eq!(agenda.opened(second, Some("a")), Turn::NotYet);
        assert_eq!(agenda.opened(first, Some("a")), Turn::Run);
        assert_eq!(agenda.opened(second, Some("a")), Turn::Later);
        let other = next(&mut agenda, now, "b1");
        assert_eq!(agenda.opened(other, Some("b")), Turn::Run);
        let third = next(&mut agenda, now, "a3");
        assert_eq!(agenda.opened(third, Some("a")), Turn::Later);
        assert!(agenda.next(now).is_none());
        agenda.ended(first);
        let second = next(&mut agenda, now, "a2");
        assert_eq!(agenda.opened(second, Some("a")), Turn::Run);
    }

    #[test]
    fn one_that_waits_holds_its_source_up_and_no_other() {
        let now = Instant::now();
        let mut agenda = agenda(&["a1", "a2", "b1"]);
        let first = next(&mut agenda, now, "a1");
        agenda.opened(first, Some("a"));
        let wait = WAIT_FIRST;
        let verdict = agenda.hindered(first, Hindrance::Lasting, true, now);
        assert_eq!(verdict, Verdict::Again { wait });
        let second = next(&mut agenda, now, "a2");
        assert_eq!(agenda.opened(second, Some("a")), Turn::Later);
        let other = next(&mut agenda, now, "b1");
        assert_eq!(agenda.opened(other, Some("b")), Turn::Run);
        next(&mut agenda, now + wait, "a1");
    }

    #[test]
    fn what_fails_of_itself_is_given_up_after_some_tries_and_an_illness_after_some_time() {
        let mut now = Instant::now();
        for (hindrance, tries) in [(Hindrance::Passing, 3), (Hindrance::Lasting, 25)] {
            let mut agenda = agenda(&["a"]);
            let mut waits = Vec::new();
            let given_up = loop {
                let ticket = next(&mut agenda, now, "a");
                agenda.opened(ticket, Some("a"));
                match agenda.hindered(ticket, hindrance, true, now) {
                    Verdict::Again { wait } => {
                        now += wait;
                        waits.push(wait.as_secs());
                    }
                    Verdict::GiveUp { tries, .. } => break tries,
                }
            };
            assert_eq!(given_up, tries, "{hindrance:?}");
            assert_eq!(waits[..2], [1, 2]);
            assert!(waits.iter().all(|wait| *wait <= 30), "{waits:?}");
        }
    }

    #[test]
    fn a_payload_that_may_kill_the_server_is_run_alone_and_only_then_blamed() {
        let mut now = Instant::now();
        let mut agenda = agenda(&["killer", "victim"]);
        let killer = next(&mut agenda, now, "killer");
        let victim = next(&mut agenda, now, "victim");
        assert_eq!(agenda.opened(killer, Some("a")), Turn::Run);
        assert_eq!(agenda.opened(victim, Some("b")), Turn::Run);
        for ticket in [killer, victim] {
            agenda.hindered(ticket, Hindrance::Lost, true, now);
        }
        for round in 1..=3 {
            now += WAIT_MAX;
            let killer = next(&mut agenda, now, "killer");
            assert!(agenda.next(now).is_none(), "nothing beside it");
            agenda.opened(killer, Some("a"));
            let verdict = agenda.hindered(killer, Hindrance::Lost, true, now);
            let given_up = matches!(verdict, Verdict::GiveUp { .. });
            assert_eq!(given_up, round == 3, "{round}");
            if given_up {
                agenda.ended(killer);
            }
        }
        next(&mut agenda, now, "victim");
    }

    #[test]
    fn what_is_passed_over_comes_again_when_it_has_changed() {
        let now = Instant::now();
        let found = arrivals(&["a"]);
        let mut agenda = Agenda::new(BOUNDS);
        agenda.add(found.clone());
        let ticket = next(&mut agenda, now, "a");
        agenda.pass_over(ticket);
        agenda.add(found.clone());
        assert!(agenda.is_empty());
        let mut changed = found;
        changed[0].look.bytes += 1;
        agenda.add(changed);
        next(&mut agenda, now, "a");
    }
}
