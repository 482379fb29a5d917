//! The number of connections that a command may have, and their use.
//!
//! A payload at work holds a session of its own, for the record of its run and the lock of its
//! source. All else comes from one pool, which cannot starve itself: whoever
//! holds one of its connections asks for no other, except for a COPY, whose rows need ids
//! that are looked up. So COPYs never take the last connection. With a single one, each
//! batch is a COPY of its own, which ends before the next look-up.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{FromRow, PgConnection};

use super::error::DatabaseError;

/// One payload needs at least this: the session that it holds, and one in the pool.
pub const CONNECTIONS_MIN: u32 = HELD_BY_PAYLOAD + 1;

/// The session with the record of the run and the lock of the source.
const HELD_BY_PAYLOAD: u32 = 1;

/// Any command needs this: two sessions are compared when a database is opened.
const NEEDED_AT_LEAST: u32 = 2;

/// How long to wait for a connection of the pool. Nobody holds one for longer but a
/// COPY, and a COPY leaves one over: so then there is none to be had from the server.
pub(super) const WAIT_SECONDS_MAX: u64 = 15;

/// Looks for room, until what is too little is refused. Who begins in the same moment as
/// others counts theirs, and they count this one's.
const LOOKS_MAX: u32 = 5;

/// About how long the pause behind the first look is; it doubles with each. Together some
/// three seconds.
const PAUSE_FIRST: Duration = Duration::from_millis(200);

/// How often room was looked for.
pub(super) struct Looks(u32);

impl Looks {
    pub(super) fn new() -> Self {
        Self(1)
    }

    /// Whether this was the first.
    pub(super) fn is_first(&self) -> bool {
        self.0 == 1
    }

    /// How long to wait for the next; `None` when this was the last. By chance from half
    /// to one and a half of it, so that those who looked together do so no more.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        if self.0 == LOOKS_MAX {
            return None;
        }
        let pause = PAUSE_FIRST * 2_u32.pow(self.0 - 1);
        self.0 += 1;
        let chance = RandomState::new().hash_one(self.0) % 1_000;
        Some(pause / 2 + pause * chance as u32 / 1_000)
    }
}

/// A budget of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    most: u32,
    held: u32,
    /// Whether the user asked for this number.
    is_given: bool,
    loads: bool,
}

impl Connections {
    /// For `payloads` at work side by side. `given` is what the user allows in all;
    /// without it, as many as they can use, when the pool has `pooled` to load with.
    /// There may be room for fewer payloads: see `payloads`.
    pub fn of(given: Option<u32>, pooled: u32, payloads: u32) -> Self {
        let payloads = payloads.max(1);
        let most = given.unwrap_or(HELD_BY_PAYLOAD * payloads + pooled);
        Self {
            most: CONNECTIONS_MIN,
            held: HELD_BY_PAYLOAD * payloads,
            is_given: given.is_some(),
            loads: true,
        }
        .with(most)
    }

    /// The same with so many in all, and as many payloads as fit into that.
    fn with(self, most: u32) -> Self {
        let most = most.max(CONNECTIONS_MIN);
        let payloads_max = (most - 1) / HELD_BY_PAYLOAD;
        Self {
            most,
            held: self.held.min(payloads_max * HELD_BY_PAYLOAD),
            ..self
        }
    }

    /// How many in all.
    pub fn most(self) -> u32 {
        self.most
    }

    /// Payloads that may be at work side by side.
    pub fn payloads(self) -> usize {
        (self.held / HELD_BY_PAYLOAD) as usize
    }

    /// The connections that the pool may open.
    pub fn pooled(self) -> u32 {
        self.most - self.held
    }

    /// COPYs at a time.
    pub fn copies(self) -> usize {
        (self.pooled() as usize - 1).max(1)
    }

    /// Whether a COPY must let go of its connection before anything else is asked.
    pub fn ends_copies_early(self) -> bool {
        self.pooled() == 1
    }

    /// Fits the budget into what the server has left, as far as that can be known.
    pub(super) async fn within(
        self,
        connection: &mut PgConnection,
        location: &str,
    ) -> Result<Self, DatabaseError> {
        // Not prepared: it is not known yet whose session this is.
        let room = sqlx::raw_sql(include_str!(
            "../../../sql/pg_stat_activity.select_room.sql"
        ))
        .fetch_one(connection)
        .await
        .and_then(|row| Room::from_row(&row))
        .map_err(DatabaseError::statement(
            "look how many connections are left",
        ))?;
        self.fit(&room)
            .map_err(|full| DatabaseError::NoConnectionLeft {
                location: location.to_owned(),
                needed: full.needed,
                of: full.of,
                left: full.left,
            })
    }

    fn fit(self, room: &Room) -> Result<Self, Full> {
        let needed = match (self.is_given, self.loads) {
            (true, _) => self.most,
            (false, true) => CONNECTIONS_MIN,
            (false, false) => NEEDED_AT_LEAST,
        };
        let limits = [
            (room.of_role, format!("role `{}`", room.role)),
            (room.of_database, format!("database `{}`", room.database)),
        ];
        let mut most = self.most;
        for (left, of) in limits {
            let Some(left) = left else {
                continue;
            };
            let left = u32::try_from(left).unwrap_or(0);
            if left < needed {
                return Err(Full { needed, of, left });
            }
            most = most.min(left);
        }
        if !self.loads {
            return Ok(self);
        }
        // Who else is connected can be known only roughly: too little to refuse by.
        if !self.is_given {
            most = most.min(u32::try_from(room.of_server).unwrap_or(0));
        }
        Ok(self.with(most))
    }
}

/// For what loads nothing, and needs so many in the pool.
impl From<u32> for Connections {
    fn from(pooled: u32) -> Self {
        Self {
            most: pooled.max(1) + 1,
            held: 1,
            is_given: false,
            loads: false,
        }
    }
}

/// The connections that are left for us, with the session that asks.
#[derive(FromRow)]
struct Room {
    role: String,
    database: String,
    /// `None` is without a limit.
    of_role: Option<i64>,
    of_database: Option<i64>,
    of_server: i64,
}

#[derive(Debug, PartialEq, Eq)]
struct Full {
    needed: u32,
    of: String,
    left: u32,
}

/// Why a connection of the pool could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: String,
    /// The next step, where the cause is not a lack of connections.
    pub(super) hint: Option<String>,
}

/// The pool waited in vain: the words for that.
#[derive(Clone, Debug)]
pub(super) struct InVain {
    budget: Option<Connections>,
    /// The last one, unless another was made since.
    refused: Option<Refusal>,
}

/// The words for this process. The library tries on until its time is over, and its error
/// then says no more than that: neither which pool it was, nor why.
static NOW: Mutex<InVain> = Mutex::new(InVain {
    budget: None,
    refused: None,
});

fn now() -> MutexGuard<'static, InVain> {
    NOW.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn remember_refusal(refused: Option<Refusal>) {
    now().refused = refused;
}

pub(super) fn remember_budget(connections: Connections) {
    now().budget = Some(connections);
}

impl InVain {
    pub(super) fn now() -> Self {
        now().clone()
    }

    pub(super) fn hint(&self) -> String {
        if let Some(Refusal {
            hint: Some(hint), ..
        }) = &self.refused
        {
            return hint.clone();
        }
        let few = "the server, the role, the database or a pooler in between has fewer left";
        match self.budget {
            Some(Connections {
                most, loads: true, ..
            }) => format!(
                "the command may have {most} connections at a time, and {few}; {CONNECTIONS_MIN} are the least that it needs, and `--connections` lets it have so few"
            ),
            Some(Connections { most, .. }) => {
                format!(
                    "the command may have {most} connections at a time, and {few}; {NEEDED_AT_LEAST} are the least that it needs"
                )
            }
            None => few.to_owned(),
        }
    }
}

impl fmt::Display for InVain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "no connection to the database was to be had within {WAIT_SECONDS_MAX} s"
        )?;
        match &self.refused {
            Some(Refusal { reason, .. }) => {
                write!(formatter, "; the last one could not be used: {reason}")
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::database::SqlError;
    use crate::diagnostics::failure::Exit;

    use super::*;

    fn room(of_role: Option<i64>, of_database: Option<i64>, of_server: i64) -> Room {
        Room {
            role: "alice".into(),
            database: "usage".into(),
            of_role,
            of_database,
            of_server,
        }
    }

    /// In all, payloads at a time, in the pool, COPYs at a time.
    fn split(connections: Connections) -> (u32, usize, u32, usize) {
        (
            connections.most(),
            connections.payloads(),
            connections.pooled(),
            connections.copies(),
        )
    }

    #[test]
    fn payloads_hold_one_each_and_share_the_rest() {
        assert_eq!(split(Connections::of(None, 5, 1)), (6, 1, 5, 4));
        assert_eq!(split(Connections::of(None, 5, 3)), (8, 3, 5, 4));
        assert_eq!(split(Connections::of(Some(2), 5, 1)), (2, 1, 1, 1));
        assert_eq!(split(Connections::of(Some(3), 5, 1)), (3, 1, 2, 1));
        // Of three payloads, two fit.
        assert_eq!(split(Connections::of(Some(3), 5, 3)), (3, 2, 1, 1));
    }

    #[test]
    fn the_last_connection_is_never_held_by_a_copy() {
        for most in CONNECTIONS_MIN..40 {
            for payloads in 1..8 {
                let connections = Connections::of(Some(most), 9, payloads);
                let (all, payloads, pooled, copies) = split(connections);
                assert_eq!(all, most);
                assert!(payloads >= 1 && pooled >= 1);
                assert!(connections.ends_copies_early() || copies < pooled as usize);
            }
        }
    }

    #[test]
    fn fewer_are_opened_where_fewer_are_left() {
        let wanted = Connections::of(None, 9, 1);
        let fit = |room: Room| wanted.fit(&room).map(Connections::most);
        assert_eq!(fit(room(None, None, 90)), Ok(10));
        assert_eq!(fit(room(Some(2), None, 90)), Ok(2));
        assert_eq!(fit(room(Some(7), Some(5), 90)), Ok(5));
        assert_eq!(fit(room(None, None, 8)), Ok(8));
        // Perhaps there is room all the same.
        assert_eq!(fit(room(None, None, -2)), Ok(2));
        let full = |needed, of: &str, left| {
            Err(Full {
                needed,
                of: of.into(),
                left,
            })
        };
        assert_eq!(fit(room(Some(1), None, 90)), full(2, "role `alice`", 1));
        assert_eq!(
            fit(room(None, Some(-1), 90)),
            full(2, "database `usage`", 0)
        );
    }

    #[test]
    fn what_loads_nothing_needs_two_and_takes_no_fewer() {
        let few = Connections::from(1);
        assert_eq!(few.fit(&room(Some(2), None, 0)), Ok(few));
        let full = Full {
            needed: 2,
            of: "role `alice`".into(),
            left: 1,
        };
        assert_eq!(few.fit(&room(Some(1), None, 90)), Err(full));
    }

    #[test]
    fn a_wait_in_vain_is_told_with_the_number() {
        remember_budget(Connections::of(Some(7), 9, 1));
        let failure = SqlError(sqlx::Error::PoolTimedOut).failure("cannot load");
        assert_eq!(failure.exit, Exit::Environment);
        assert!(failure.to_string().contains("within 15 s"), "{failure}");
        let hint = failure.hint.unwrap_or_default();
        assert!(
            hint.contains("7 connections") && hint.contains("`--connections`"),
            "{hint}"
        );
        assert!(hint.contains("2 are the least that it needs"), "{hint}");
    }

    #[test]
    fn a_session_that_cannot_be_used_is_no_lack_of_connections() {
        let hint = "somebody wants no writes there";
        let in_vain = |hint: Option<&str>| InVain {
            budget: Some(Connections::of(Some(7), 9, 1)),
            refused: Some(Refusal {
                reason: "its sessions are read-only".into(),
                hint: hint.map(str::to_owned),
            }),
        };
        let mismatch = in_vain(Some(hint));
        assert!(
            mismatch
                .to_string()
                .ends_with(": its sessions are read-only")
        );
        assert_eq!(mismatch.hint(), hint);
        // Of a pooler that has no session left, nobody knows more.
        assert!(in_vain(None).hint().contains("2 are the least"));
    }

    #[test]
    fn room_is_looked_for_again_in_bounds() {
        let mut looks = Looks::new();
        assert!(looks.is_first());
        let pauses: Vec<Duration> = std::iter::from_fn(|| looks.pause()).collect();
        assert_eq!(pauses.len() as u32, LOOKS_MAX - 1);
        for (pause, number) in pauses.iter().zip(0..) {
            let about = PAUSE_FIRST * 2_u32.pow(number);
            assert!((about / 2..about * 3 / 2).contains(pause), "{pauses:?}");
        }
        let mut others = Looks::new();
        let others: Vec<Duration> = std::iter::from_fn(|| others.pause()).collect();
        assert_ne!(others, pauses, "two who look together do so once");
    }

    #[test]
    fn what_was_asked_for_is_not_made_less() {
        let given = Connections::of(Some(6), 9, 1);
        assert_eq!(
            given.fit(&room(None, None, 4)).map(Connections::most),
            Ok(6)
        );
        let full = given.fit(&room(Some(5), None, 90)).map(Connections::most);
        assert_eq!(
            full,
            Err(Full {
                needed: 6,
                of: "role `alice`".into(),
                left: 5
            })
        );
    }
}
