//! The variables of libpq, by which `psql` and its like find a database: those that fill in
//! what a URL leaves open, and those that are not used, which the user is told.
//!
//! The library reads the first kind by itself, and passes over a value that it cannot
//! read: so they are looked at here first, since `PGSSLMODE=requir` must not mean none.

use std::env;

use sqlx::postgres::PgSslMode;

use super::address::SSL_MODES;
use super::error::DatabaseError;
use super::target_session::TargetSession;

/// Of use to whoever gives a URL.
const USED: [&str; 12] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGTARGETSESSIONATTRS",
];

/// Those that decide which database it is, or as whom.
const NAMES_DATABASE: [&str; 6] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGSERVICE",
];

/// Those that `psql` heeds and we do not, with any URL.
const UNUSED: [&str; 19] = [
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSYSCONFDIR",
    "PGREQUIREAUTH",
    "PGCHANNELBINDING",
    "PGREQUIRESSL",
    "PGSSLCOMPRESSION",
    "PGSSLNEGOTIATION",
    "PGSSLCERTMODE",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLSNI",
    "PGREQUIREPEER",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
    "PGGSSENCMODE",
    "PGKRBSRVNAME",
    "PGCONNECT_TIMEOUT",
    "PGLOADBALANCEHOSTS",
];

/// What there is to say of variables that are set and not used; `has_url` is whether the
/// user named a database.
pub fn unused_variables(has_url: bool) -> Option<String> {
    told(has_url, |name| {
        env::var_os(name).is_some_and(|value| !value.is_empty())
    })
}

fn told(has_url: bool, is_set: impl Fn(&str) -> bool) -> Option<String> {
    let candidates: &[&str] = match has_url {
        true => &UNUSED,
        false => &NAMES_DATABASE,
    };
    let set: Vec<&str> = candidates
        .iter()
        .copied()
        .filter(|name| is_set(name))
        .collect();
    let (last, others) = set.split_last()?;
    let (names, verb) = match others {
        [] => ((*last).to_owned(), "is set, and not used"),
        others => (
            format!("{} and {last}", others.join(", ")),
            "are set, and not used",
        ),
    };
    Some(match has_url {
        true => format!("{names} {verb}: the database URL says what gristmill goes by"),
        false => format!(
            "{names} {verb}: without a database URL gristmill has a server of its own; \
             DATABASE_URL=postgresql:// is the one that they name"
        ),
    })
}

/// Refuses variables that the library reads and cannot understand; returns which server is
/// wanted.
pub(super) fn check() -> Result<TargetSession, DatabaseError> {
    check_values(|name| match USED.contains(&name) {
        true => env::var(name).ok(),
        false => None,
    })
}

fn check_values(value: impl Fn(&str) -> Option<String>) -> Result<TargetSession, DatabaseError> {
    let refuse = |name: &str, expected: &str| {
        Err(DatabaseError::InvalidVariable {
            name: name.to_owned(),
            expected: expected.to_owned(),
        })
    };
    if value("PGPORT").is_some_and(|port| port.parse::<u16>().is_err()) {
        return refuse("PGPORT", "no number of a port");
    }
    if value("PGSSLMODE").is_some_and(|mode| mode.parse::<PgSslMode>().is_err()) {
        return refuse("PGSSLMODE", &format!("none of {SSL_MODES}"));
    }
    match value("PGTARGETSESSIONATTRS").map(|attributes| attributes.parse()) {
        None => Ok(TargetSession::Any),
        Some(Ok(target)) => Ok(target),
        Some(Err(())) => refuse(
            "PGTARGETSESSIONATTRS",
            &format!("none of {}", TargetSession::EXPECTED),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_and_not_used_is_said() {
        let said = |has_url, set: &'static [&str]| told(has_url, |name| set.contains(&name));
        assert_eq!(said(false, &["PGPASSWORD", "PGSSLMODE"]), None);
        assert_eq!(said(true, &["PGHOST", "PGUSER"]), None);
        assert_eq!(
            said(false, &["PGHOST"]).as_deref(),
            Some(
                "PGHOST is set, and not used: without a database URL gristmill has a server of \
                 its own; DATABASE_URL=postgresql:// is the one that they name"
            )
        );
        assert_eq!(
            said(true, &["PGSERVICE", "PGSSLCRL", "PGGSSENCMODE"]).as_deref(),
            Some(
                "PGSERVICE, PGSSLCRL and PGGSSENCMODE are set, and not used: the database URL \
                 says what gristmill goes by"
            )
        );
    }

    #[test]
    fn what_the_library_would_pass_over_is_refused() {
        let checked = |name: &'static str, value: &str| {
            let value = value.to_owned();
            check_values(|asked| (asked == name).then(|| value.clone()))
                .map_err(|error| error.to_string())
        };
        assert_eq!(checked("PGSSLMODE", "require"), Ok(TargetSession::Any));
        assert_eq!(
            checked("PGTARGETSESSIONATTRS", "primary"),
            Ok(TargetSession::Primary)
        );
        for (name, value) in [
            ("PGSSLMODE", "requir-e"),
            ("PGPORT", "54321x"),
            ("PGTARGETSESSIONATTRS", "master"),
        ] {
            let refused = checked(name, value).expect_err("it is refused");
            assert!(refused.starts_with(&format!("{name} is no")), "{refused}");
            assert!(!refused.contains(value), "{refused}");
        }
    }
}
