//! The settings of the local server, as a file that `postgresql.conf` includes.
//!
//! Changes of one's own go through `ALTER SYSTEM`, which Postgres reads later.

use std::path::Path;

/// The file's name in the data folder. It is written anew at every start.
pub(super) const FILE_NAME: &str = "gristmill.conf";

/// Whether the server keeps what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Committed is committed, whatever happens.
    Durable,
    /// For tests: a crash of the machine loses everything.
    Throwaway,
}

/// Without replication the log need not hold what a COPY into a new partition
/// wrote; it stays safe against crashes.
const COMMON: &str = "\
cluster_name = 'gristmill'
listen_addresses = ''
unix_socket_permissions = 0700
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_checkpoints = off
shared_buffers = 128MB
work_mem = 64MB
maintenance_work_mem = 128MB
wal_level = minimal
max_wal_senders = 0
jit = off
";

const DURABLE: &str = "\
fsync = on
max_connections = 100
max_wal_size = 2GB
checkpoint_timeout = 15min
";

const THROWAWAY: &str = "\
fsync = off
full_page_writes = off
synchronous_commit = off
autovacuum = off
max_connections = 400
max_wal_size = 256MB
";

pub(super) fn text(socket_directory: &Path, port: u16, durability: Durability) -> String {
    let socket_directory = quote(&socket_directory.to_string_lossy());
    let rest = match durability {
        Durability::Durable => DURABLE,
        Durability::Throwaway => THROWAWAY,
    };
    format!(
        "# Written by gristmill at every start. Use ALTER SYSTEM for settings of your own.\n\
         unix_socket_directories = {socket_directory}\n\
         port = {port}\n\
         {COMMON}{rest}"
    )
}

/// A value as `postgresql.conf` wants it. Socket folders are further split at
/// commas unless double quotes hold them together.
fn quote(value: &str) -> String {
    let identifier = value.replace('"', "\"\"");
    let text = format!("\"{identifier}\"")
        .replace('\\', "\\\\")
        .replace('\'', "''");
    format!("'{text}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_throw_away_server_forgoes_safety() {
        let folder = Path::new("/data/socket");
        assert!(text(folder, 5432, Durability::Durable).contains("fsync = on\n"));
        assert!(text(folder, 5432, Durability::Throwaway).contains("fsync = off\n"));
    }

    #[test]
    fn the_server_listens_on_the_socket_alone() {
        let text = text(Path::new("/data/socket"), 5432, Durability::Durable);
        assert!(text.contains("listen_addresses = ''\n"));
        assert!(text.contains("unix_socket_directories = '\"/data/socket\"'\n"));
    }

    #[test]
    fn odd_paths_are_quoted() {
        assert_eq!(quote("/it's, \"here\"\\"), "'\"/it''s, \"\"here\"\"\\\\\"'");
    }
}
