//! The address of a database, and the part of it that may be shown.
//!
//! The text that a user gives may hold a password, and only a reader of the whole text
//! knows where. So this is the one file that reads it. Others show what this file gives
//! them, which repeats no part of a text that might be read in two ways.

use std::convert::Infallible;
use std::env;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::{
    AsciiSet, CONTROLS, percent_decode_str, percent_encode, utf8_percent_encode,
};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::error::DatabaseError;

/// Where a mistyped password ends up, and what to do about it.
const ENCODE: &str = "in a user name or a password, `/`, `?`, `#`, `@` and `%` are to be written as `%2F`, `%3F`, `%23`, `%40` and `%25`";

/// What divides a URL, or ends the one that a message has. A `/` does not: a folder has
/// it, and the host stands before the first.
const DIVIDES: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b':')
    .add(b'?')
    .add(b'@')
    .add(b'`');

/// What the library says of URLs that it does not take, where that repeats nothing.
const REASONS: [&str; 6] = [
    "empty host",
    "invalid port number",
    "invalid IPv4 address",
    "invalid IPv6 address",
    "invalid international domain name",
    "invalid IP address syntax",
];

/// A database URL as the user wrote it. It does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// For whoever asks for the URL itself, or is to be given it.
    pub fn as_given(&self) -> &str {
        &self.0
    }

    /// Set to nothing means not set, as in other programs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it seems to hold a password, well-formed or not.
    pub fn holds_password(&self) -> bool {
        let rest = self.0.split_once("://").map_or(&*self.0, |(_, rest)| rest);
        let user = rest.rsplit_once('@').map_or("", |(user, _)| user);
        user.contains(':')
            || rest
                .split(['?', '&'])
                .skip(1)
                .filter_map(|pair| pair.split_once('='))
                .any(|(key, _)| unescaped(key).contains("password"))
            || rest.to_ascii_lowercase().contains("password=")
    }
}

impl From<&str> for DatabaseUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(url: &str) -> Result<Self, Infallible> {
        Ok(Self::from(url))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DatabaseUrl(…)")
    }
}

/// A text about the arguments of a command, without those that seem to hold a password.
pub fn without_passwords(text: &str, arguments: impl IntoIterator<Item = String>) -> String {
    arguments
        .into_iter()
        .filter(|argument| DatabaseUrl::from(&**argument).holds_password())
        .fold(text.to_owned(), |text, argument| {
            text.replace(&argument, "…")
        })
}

/// A database that can be connected to.
pub(super) struct Address {
    pub(super) options: PgConnectOptions,
    /// The database for messages.
    pub(super) location: String,
    /// The files of certificates and keys that it names, and the word for each.
    pub(super) certificates: Vec<(String, PathBuf)>,
}

/// The parameters that name a file of certificates or a key, and the variables that stand
/// for them.
const CERTIFICATES: [(&str, &[&str]); 3] = [
    ("PGSSLROOTCERT", &["sslrootcert", "ssl-root-cert", "ssl-ca"]),
    ("PGSSLCERT", &["sslcert", "ssl-cert"]),
    ("PGSSLKEY", &["sslkey", "ssl-key"]),
];

/// As the library takes them: a parameter goes before a variable.
fn certificates(rest: &str) -> Vec<(String, PathBuf)> {
    let named = |(variable, keys): (&str, &[&str])| {
        let parameter = parameters(rest)
            .filter(|(key, _)| keys.contains(key))
            .last()
            .map(|(key, value)| (key, percent_decode_str(value).decode_utf8_lossy()));
        match parameter {
            Some((key, value)) => Some((key.to_owned(), PathBuf::from(&*value))),
            None => Some((variable.to_owned(), PathBuf::from(env::var_os(variable)?))),
        }
    };
    CERTIFICATES.into_iter().filter_map(named).collect()
}

impl Address {
    /// Refuses what might be read in another way than it was meant: then a part of the
    /// password would pass for a host, a database or a parameter, and be shown.
    pub(super) fn of(url: &DatabaseUrl) -> Result<Address, DatabaseError> {
        let refuse = |reason: &str| {
            Err(DatabaseError::InvalidUrl {
                reason: reason.to_owned(),
            })
        };
        let url = url.as_given();
        let Some(rest) = ["postgresql://", "postgres://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme))
        else {
            return refuse("it does not start with `postgresql://`");
        };
        let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        if rest[authority..].contains('@') {
            return refuse(&format!("it has an `@` behind its host; {ENCODE}"));
        }
        if rest.contains('#') {
            return refuse(&format!("it has a `#`; {ENCODE}"));
        }
        if rest.contains(|character: char| character.is_control()) {
            return refuse("it has a control character");
        }
        for (key, value) in parameters(rest) {
            if matches!(key, "sslmode" | "ssl-mode") && value.parse::<PgSslMode>().is_err() {
                return refuse(
                    "`sslmode` is none of `disable`, `allow`, `prefer`, `require`, `verify-ca` and `verify-full`",
                );
            }
        }
        match url.parse::<PgConnectOptions>() {
            Ok(options) => Ok(Address {
                location: location(&options),
                certificates: certificates(rest),
                options,
            }),
            Err(error) => {
                let reason = match error {
                    sqlx::Error::Configuration(reason) => reason.to_string(),
                    _ => String::new(),
                };
                match REASONS.contains(&&*reason) {
                    true => refuse(&format!("it has an {reason}")),
                    false => refuse("it is not well-formed"),
                }
            }
        }
    }
}

/// The parameters of a URL, as they are written.
fn parameters(rest: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter_map(|pair| pair.split_once('='))
}

/// Lower-case, without percent-encoding: to see through what a key is.
fn unescaped(text: &str) -> String {
    percent_decode_str(text)
        .decode_utf8_lossy()
        .to_ascii_lowercase()
}

/// Built from its parts, so that no password and no other parameter can slip through, and
/// written so that it is read as it was meant.
fn location(options: &PgConnectOptions) -> String {
    let escaped = |text| utf8_percent_encode(text, DIVIDES);
    let user = options.get_username();
    let database = escaped(options.get_database().unwrap_or(user));
    let user = escaped(user);
    match options.get_socket() {
        Some(socket) => format!(
            "`postgresql:///{database}?host={}&user={user}`",
            percent_encode(socket.as_os_str().as_bytes(), DIVIDES)
        ),
        None => format!(
            "`postgresql://{user}@{}:{}/{database}`",
            options.get_host(),
            options.get_port()
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn located(url: &str, expected: &str) {
        let address = Address::of(&url.into()).map_err(|error| error.to_string());
        assert_eq!(address.map(|address| address.location), Ok(expected.into()));
    }

    /// All that can be told of a URL without connecting.
    fn told(url: &str) -> String {
        let url = DatabaseUrl::from(url);
        match Address::of(&url) {
            Ok(address) => format!("{} {url:?}", address.location),
            Err(error) => format!("{error} {error:?} {:?} {url:?}", error.hint()),
        }
    }

    #[test]
    fn a_location_holds_no_password() {
        located(
            "postgres://alice:secret@db.example:6543/usage?sslmode=require",
            "`postgresql://alice@db.example:6543/usage`",
        );
        located(
            "postgresql:///usage?host=/run/pg&user=alice&password=secret&port=5432",
            "`postgresql:///usage?host=/run/pg&user=alice`",
        );
        located(
            "postgres://alice:se%2Fcr%40et@db/usage",
            "`postgresql://alice@db:5432/usage`",
        );
        located(
            "postgres://al%40ice@db/us%3Fage",
            "`postgresql://al%40ice@db:5432/us%3Fage`",
        );
        // The last `@` is the one before the host.
        located(
            "postgres://alice:se:c@r%et@db/usage",
            "`postgresql://alice@db:5432/usage`",
        );
    }

    #[test]
    fn an_unusable_url_is_refused_without_repeating_it() {
        for url in [
            "mysql://alice:secret@db/usage",
            "host=db password=secret",
            "postgres://alice:secret@db:port/usage",
            "postgres://alice:secret@db/usage?sslmode=secret-mode",
            "postgres://alice:12/secret@db/usage",
            "postgres://alice:12?secret@db/usage",
            "postgres://alice:12?sslmode=secret@db/usage",
            "postgres://alice:12?user=secret@db/usage",
            "postgres://alice:12#secret@db/usage",
            "postgres:///usage?password=1#secret",
            "postgres://alice:p@12/secret@db/usage",
        ] {
            assert!(Address::of(&url.into()).is_err(), "{url} is refused");
            let text = told(url);
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_password_is_seen_in_a_url() {
        for (url, holds) in [
            ("postgres://alice:secret@db/usage", true),
            ("postgres://alice:sec/ret@db/usage", true),
            ("postgres:///usage?host=/run&password=secret", true),
            ("postgres:///usage?host=/run&PassWord=secret", true),
            ("postgres:///usage?p%61ssword=secret", true),
            ("host=db password=secret", true),
            ("postgres://alice@db:5432/usage", false),
            ("postgres://db:5432/usage", false),
        ] {
            assert_eq!(DatabaseUrl::from(url).holds_password(), holds, "{url}");
        }
    }

    /// The runs of four characters, of which none may be told.
    fn runs(password: &str) -> Vec<String> {
        let characters: Vec<char> = password.chars().collect();
        characters.windows(4).map(String::from_iter).collect()
    }

    proptest! {
        /// Of letters that no message of ours has, and all that divides a URL.
        #[test]
        fn no_part_of_a_password_is_told(
            password in "[QXZJ0-9/?#@:%&=+ ]{4,24}",
            user in "[a-z]{1,8}",
            form in 0..5_usize,
        ) {
            let url = match form {
                0 => format!("postgres://{user}:{password}@db.example/usage"),
                1 => format!("postgresql://{user}:{password}@db.example:6543/usage?sslmode=require"),
                2 => format!("postgres:///usage?host=/run&user={user}&password={password}"),
                3 => format!("postgres://db.example/usage?PASSWORD={password}&user={user}"),
                _ => format!("{user}:{password}@db.example/usage"),
            };
            let text = told(&url);
            for run in runs(&password) {
                prop_assert!(!text.contains(&run), "`{}` of {} is in {}", run, url, text);
            }
        }
    }
}
