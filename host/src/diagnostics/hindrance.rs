//! Hindrances: what in the surroundings can stop a payload, and whether it passes. One
//! table has the errors of Postgres (SQLSTATE) and those of the system.
//!
//! An error that is not in the table is the fault of the payload, a stage or a statement.

use std::io;

use rustix::io::Errno;

/// Something of the surroundings that stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// Another transaction was in the way: over once this one is tried again.
    Clash,
    /// Goes by itself: memory that others have, a cancelled statement. What was asked may
    /// have to do with it.
    Passing,
    /// The connection or the server went away; what was at work may be what kills it.
    Lost,
    /// Stays until somebody mends it or lets go: a full disk, a read-only server, a lost
    /// right, a lock.
    Lasting,
}

use Hindrance::{Clash, Lasting, Lost, Passing};

/// The beginnings of SQLSTATEs, longer ones before shorter ones. The classes that are not
/// here (22 data, 23 constraints, 42 syntax, P0 our own `RAISE`) tell of a fault in the
/// statement.
const STATES: &[(&str, Option<Hindrance>)] = &[
    // Connections. Poolers use the protocol violation for all they have to say.
    ("08", Some(Lost)),
    // Transactions that may not write: a standby, a server after a failover.
    ("25006", Some(Lasting)),
    // Transactions or sessions that took too long for an administrator.
    ("25P03", Some(Lost)),
    ("25P04", Some(Passing)),
    // Rights of the role, and databases that are not there (any more).
    ("28", Some(Lasting)),
    ("3D", Some(Lasting)),
    ("42501", Some(Lasting)),
    // A constraint at the end of a transaction is about the rows.
    ("40002", None),
    ("40", Some(Clash)),
    // Resources: disk and connections stay short, memory comes back.
    ("53100", Some(Lasting)),
    ("53300", Some(Lasting)),
    ("53", Some(Passing)),
    // Objects in use, locks that were waited for in vain, a recovery under way.
    ("55000", Some(Passing)),
    ("55006", Some(Passing)),
    ("55P03", Some(Lasting)),
    // Operators: a cancelled statement; shutdown, crash, start; a dropped database.
    ("57014", Some(Passing)),
    ("57P04", Some(Lasting)),
    ("57", Some(Lost)),
    // The server's own files and disks, and data of its that is damaged.
    ("58", Some(Lasting)),
    ("F0", Some(Lasting)),
    ("XX001", Some(Lasting)),
    ("XX002", Some(Lasting)),
    ("72", Some(Clash)),
];

/// Errors of the system that say nothing about a file's contents or name.
const ERRORS: &[(Errno, Hindrance)] = &[
    // No room, or no right to write at all.
    (Errno::NOSPC, Lasting),
    (Errno::DQUOT, Lasting),
    (Errno::FBIG, Lasting),
    (Errno::ROFS, Lasting),
    // Disks and file systems that are broken or away.
    (Errno::IO, Lasting),
    (Errno::STALE, Lasting),
    (Errno::NODEV, Lasting),
    (Errno::NXIO, Lasting),
    (Errno::NOTCONN, Lasting),
    (Errno::SHUTDOWN, Lasting),
    (Errno::HOSTDOWN, Lasting),
    (Errno::HOSTUNREACH, Lasting),
    (Errno::NETDOWN, Lasting),
    (Errno::NETUNREACH, Lasting),
    (Errno::REMOTEIO, Lasting),
    (Errno::TIMEDOUT, Lasting),
    // The machine or this process has too little of these.
    (Errno::MFILE, Passing),
    (Errno::NFILE, Passing),
    (Errno::NOMEM, Passing),
    (Errno::NOBUFS, Passing),
    (Errno::NOLCK, Passing),
    (Errno::AGAIN, Passing),
    (Errno::BUSY, Passing),
    (Errno::DEADLK, Passing),
    (Errno::INTR, Passing),
];

/// The hindrance that an SQLSTATE tells of.
pub fn of_state(state: &str) -> Option<Hindrance> {
    let (_, hindrance) = STATES.iter().find(|(begin, _)| state.starts_with(begin))?;
    *hindrance
}

/// The hindrance that an error of reading somebody's file tells of. A file that is
/// missing, or not ours to read, is none.
pub fn of_reading(error: &io::Error) -> Option<Hindrance> {
    let errno = Errno::from_io_error(error)?;
    let (_, hindrance) = ERRORS.iter().find(|(known, _)| *known == errno)?;
    Some(*hindrance)
}

/// Whether an error says that the user may not read a file.
pub fn is_of_rights(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// What to do where the user may not read a file.
pub fn rights_hint() -> String {
    let user = rustix::process::geteuid().as_raw();
    format!("gristmill runs as the user with the number {user}, who needs the right to read it")
}

/// The hindrance that an error in a place of our own, such as the archive, tells of.
/// Every error there is one, since no payload can cause it.
pub fn of_our_place(error: &io::Error) -> Option<Hindrance> {
    let is_said_by_us = matches!(
        error.kind(),
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    );
    if Errno::from_io_error(error).is_none() && !is_said_by_us {
        return None;
    }
    Some(of_reading(error).unwrap_or(Lasting))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_of_the_surroundings_or_of_what_was_asked() {
        for (state, hindrance) in [
            ("08006", Some(Lost)),
            ("25006", Some(Lasting)),
            ("40001", Some(Clash)),
            ("40P01", Some(Clash)),
            ("40002", None),
            ("53100", Some(Lasting)),
            ("53200", Some(Passing)),
            ("53300", Some(Lasting)),
            ("55P03", Some(Lasting)),
            ("57014", Some(Passing)),
            ("57P01", Some(Lost)),
            ("57P02", Some(Lost)),
            ("57P03", Some(Lost)),
            ("57P05", Some(Lost)),
            ("58030", Some(Lasting)),
            ("22003", None),
            ("23505", None),
            ("42601", None),
            ("54000", None),
            ("P0001", None),
            ("XX000", None),
        ] {
            assert_eq!(of_state(state), hindrance, "{state}");
        }
    }

    #[test]
    fn no_entry_hides_a_longer_one() {
        for (place, (state, _)) in STATES.iter().enumerate() {
            let hidden = STATES[..place]
                .iter()
                .find(|(before, _)| state.starts_with(before));
            assert_eq!(hidden, None, "{state}");
        }
    }

    #[test]
    fn a_full_disk_is_of_the_surroundings_and_a_missing_file_is_not() {
        let error = |errno: Errno| io::Error::from(errno);
        for errno in [
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::ROFS,
            Errno::IO,
            Errno::STALE,
            Errno::NOTCONN,
        ] {
            assert_eq!(of_reading(&error(errno)), Some(Lasting), "{errno}");
            assert_eq!(of_our_place(&error(errno)), Some(Lasting), "{errno}");
        }
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::ISDIR, Errno::LOOP] {
            assert_eq!(of_reading(&error(errno)), None, "{errno}");
            assert_eq!(of_our_place(&error(errno)), Some(Lasting), "{errno}");
        }
        assert_eq!(of_our_place(&io::Error::other("not of the system")), None);
    }
}
