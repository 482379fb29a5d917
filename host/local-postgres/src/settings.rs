//! The settings of the local server, as a file that `postgresql.conf` includes: those that keep
//! it private, those that the machine asks for, and the application's.
//!
//! Changes of one's own go through `ALTER SYSTEM`, which Postgres reads later.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::thread;

use crate::application::Application;

/// Whether the server keeps what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Committed is committed, whatever happens.
    Durable,
    /// For tests: a crash of the machine loses everything.
    Throwaway,
}

const COMMON: &str = "\
listen_addresses = ''
unix_socket_permissions = 0700
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_checkpoints = off
";

/// What part of the machine's memory the server's buffers take, and no more or less
/// than so many MiB: the application, and other things, live there as well.
const BUFFERS_SHARE: u64 = 8;
const BUFFERS_MIB: RangeInclusive<u64> = 128..=512;

/// Processes that may help with one query.
const HELPERS_MAX: usize = 4;

const DURABLE: &str = "\
fsync = on
max_connections = 100
max_wal_size = 2GB
checkpoint_timeout = 15min
";

const THROWAWAY: &str = "\
shared_buffers = 128MB
fsync = off
full_page_writes = off
synchronous_commit = off
autovacuum = off
max_connections = 400
max_wal_size = 256MB
";

pub(crate) fn text(
    application: &Application,
    socket_directory: &Path,
    port: u16,
    durability: Durability,
) -> String {
    let name = application.name;
    let cluster_name = quote(name);
    let settings = application.settings;
    let socket_directory = quote(&quote_identifier(&socket_directory.to_string_lossy()));
    let rest = match durability {
        Durability::Durable => format!("{DURABLE}{}", for_machine(memory_mib(), processors())),
        Durability::Throwaway => THROWAWAY.to_owned(),
    };
    format!(
        "# Written by {name} at every start. Use ALTER SYSTEM for settings of your own.\n\
         cluster_name = {cluster_name}\n\
         unix_socket_directories = {socket_directory}\n\
         port = {port}\n\
         {COMMON}{settings}{rest}"
    )
}

/// Settings that depend on the machine. A query has as many processes as there are
/// processors: with more, each would fold the same groups once again.
fn for_machine(memory_mib: Option<u64>, processors: usize) -> String {
    let buffers = memory_mib
        .map_or(0, |memory| memory / BUFFERS_SHARE)
        .clamp(*BUFFERS_MIB.start(), *BUFFERS_MIB.end());
    let helpers = processors.saturating_sub(1).clamp(1, HELPERS_MAX);
    format!("shared_buffers = {buffers}MB\nmax_parallel_workers_per_gather = {helpers}\n")
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The machine's memory, where the system tells.
fn memory_mib() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib >> 10)
}

/// A value as `postgresql.conf` wants it.
fn quote(value: &str) -> String {
    let text = value.replace('\\', "\\\\").replace('\'', "''");
    format!("'{text}'")
}

/// One of several values: they are split at commas unless double quotes hold them together.
fn quote_identifier(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::ORCHARD;

    fn text(durability: Durability) -> String {
        super::text(&ORCHARD, Path::new("/data/socket"), 5432, durability)
    }

    #[test]
    fn only_a_throw_away_server_forgoes_safety() {
        assert!(text(Durability::Durable).contains("fsync = on\n"));
        assert!(text(Durability::Throwaway).contains("fsync = off\n"));
    }

    #[test]
    fn the_server_listens_on_the_socket_alone() {
        let text = text(Durability::Durable);
        assert!(text.contains("listen_addresses = ''\n"));
        assert!(text.contains("unix_socket_directories = '\"/data/socket\"'\n"));
    }

    #[test]
    fn buffers_and_processes_fit_the_machine() {
        let small = "shared_buffers = 128MB\nmax_parallel_workers_per_gather = 1\n";
        assert_eq!(for_machine(None, 1), small);
        assert_eq!(for_machine(Some(512), 2), small);
        let middling = for_machine(Some(2048), 4);
        assert!(middling.contains("= 256MB\n"), "{middling}");
        assert!(middling.contains("_gather = 3\n"), "{middling}");
        let large = for_machine(Some(1 << 20), 64);
        assert!(large.contains("= 512MB\n"), "{large}");
        assert!(large.contains("_gather = 4\n"), "{large}");
    }

    #[test]
    fn odd_paths_are_quoted() {
        let path = "/it's, \"here\"\\";
        assert_eq!(
            quote(&quote_identifier(path)),
            "'\"/it''s, \"\"here\"\"\\\\\"'"
        );
    }
}
