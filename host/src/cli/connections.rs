//! How many connections a command that loads may have.

use clap::Args;

use crate::database::CONNECTIONS_MIN;

/// More than a server has.
const CONNECTIONS_MAX: i64 = 1_000;

#[derive(Clone, Copy, Debug, Args)]
pub struct ConnectionsArguments {
    /// Have so many database connections at most, 3 at the least; by default 2 for a
    /// payload, 1 for look-ups and 2 for each processor up to four
    #[arg(
        long,
        env = "GRISTMILL_CONNECTIONS",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(i64::from(CONNECTIONS_MIN)..=CONNECTIONS_MAX)
    )]
    pub connections: Option<u32>,
}
