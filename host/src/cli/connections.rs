//! The number of connections that a command that loads may have, as it is typed.

use clap::Args;

use crate::database::CONNECTIONS_MIN;

/// No server has more.
const CONNECTIONS_MAX: i64 = 1_000;

#[derive(Clone, Copy, Debug, Args)]
pub struct ConnectionsArguments {
    /// Use at most this many database connections, and at least 2; by default 1 for a
    /// payload, 1 for look-ups and 2 for each processor up to four
    #[arg(
        long,
        env = "GRISTMILL_CONNECTIONS",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(i64::from(CONNECTIONS_MIN)..=CONNECTIONS_MAX)
    )]
    pub connections: Option<u32>,
}
