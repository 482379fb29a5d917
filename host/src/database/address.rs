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

use super::environment;
use super::error::DatabaseError;
use super::target_session::TargetSession;

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

/// The ways to encrypt a connection, or not.
pub(super) const SSL_MODES: &str =
    "`disable`, `allow`, `prefer`, `require`, `verify-ca` and `verify-full`";

/// The keys that the library heeds, and ours. It passes over any other one with a warning:
/// one that was mistyped would mean nothing, and a connection be open to all.
const KEYS: [&str; 20] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    TARGET_SESSION,
    "options[…]",
];

/// Keys that other programs heed.
const LIBPQ: [&str; 22] = [
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "passfile",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "service",
    "sslcrl",
    "sslnegotiation",
    "tcp_user_timeout",
];

const TARGET_SESSION: &str = "target_session_attrs";

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
    /// Which kind of server it must be.
    pub(super) target_session: TargetSession,
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
        let host = rest[..authority].rsplit('@').next().unwrap_or_default();
        if host.contains(',') {
            return refuse("it names several servers, and gristmill takes one");
        }
        let mut target_session = environment::check()?;
        let mut library = url[..url.len() - rest.len()].to_owned();
        library += rest.split_once('?').map_or(rest, |(before, _)| before);
        for (position, (key, value)) in parameters(rest).enumerate() {
            let known = unescaped(key);
            match &*known {
                "sslmode" | "ssl-mode" if value.parse::<PgSslMode>().is_err() => {
                    return refuse(&format!("`sslmode` is none of {SSL_MODES}"));
                }
                TARGET_SESSION => match value.parse() {
                    Ok(wanted) => target_session = wanted,
                    Err(()) => {
                        let expected = TargetSession::EXPECTED;
                        return refuse(&format!("`{TARGET_SESSION}` is none of {expected}"));
                    }
                },
                // As they are spelled: the library does not know them otherwise.
                known if known == key && KEYS.contains(&key) => {}
                _ if key.starts_with("options[") && key.ends_with(']') => {}
                _ => return refuse(&unknown(&known, position)),
            }
            // The library is not told of what it does not know.
            if known != TARGET_SESSION {
                library += if library.contains('?') { "&" } else { "?" };
                library += key;
                library += "=";
                library += value;
            }
        }
        match library.parse::<PgConnectOptions>() {
            Ok(options) => Ok(Address {
                location: location(&options),
                certificates: certificates(rest),
                options,
                target_session,
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
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Says that a key is unknown. What is no plain word, or unlike all keys that there are, may
/// be a part of a password, and is not repeated.
fn unknown(key: &str, position: usize) -> String {
    let near = KEYS
        .iter()
        .map(|known| (strsim::damerau_levenshtein(key, known), known))
        .min();
    match near {
        Some((distance, known)) if distance <= 2 => {
            format!("its parameter `{key}` is unknown; there is `{known}`")
        }
        _ if LIBPQ.contains(&key) => format!("its parameter `{key}` is none that gristmill heeds"),
        _ => format!(
            "its parameter {} is unknown; those that there are: {}",
            position + 1,
            KEYS.map(|known| format!("`{known}`")).join(", ")
        ),
    }
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
    // Of a variable the library takes a folder for a host until it connects.
    let host = options.get_host();
    let socket = options
        .get_socket()
        .map(|socket| socket.as_os_str().as_bytes());
    match socket.or(host.starts_with('/').then_some(host.as_bytes())) {
        Some(socket) => format!(
            "`postgresql:///{database}?host={}&user={user}`",
            percent_encode(socket, DIVIDES)
        ),
        None => format!(
            "`postgresql://{user}@{host}:{}/{database}`",
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
            // A part of a password may stand where a key does.
            "postgres://alice@db/usage?secret",
            "postgres://alice@db/usage?secret=1",
            "postgres://alice@db/usage?sslmode=require&secret&sslmode=disable",
        ] {
            assert!(Address::of(&url.into()).is_err(), "{url} is refused");
            let text = told(url);
            assert!(!text.contains("secret"), "{text}");
        }
    }

    /// A mistyped `sslmode` would leave the connection as open as none.
    #[test]
    fn an_unknown_parameter_is_refused_with_the_one_that_is_meant() {
        let refused = |parameters: &str, expected: &str| {
            let url = format!("postgres://alice@db/usage?{parameters}");
            let error = Address::of(&url.as_str().into())
                .err()
                .expect("it is refused");
            let expected = format!("the database URL cannot be used: {expected}");
            assert!(error.to_string().starts_with(&expected), "{error}");
        };
        refused(
            "sslmod=require",
            "its parameter `sslmod` is unknown; there is `sslmode`",
        );
        refused(
            "SSLMODE=require",
            "its parameter `sslmode` is unknown; there is `sslmode`",
        );
        refused(
            "user=alice&connect_timeout=3",
            "its parameter `connect_timeout` is none that gristmill heeds",
        );
        refused(
            "sslmode=require&usr=alice",
            "its parameter `usr` is unknown; there is `user`",
        );
        refused(
            "verbosity=1",
            "its parameter 1 is unknown; those that there are: `sslmode`, ",
        );
        refused("sslmode", "`sslmode` is none of `disable`, ");
        refused(
            "target_session_attrs=master",
            "`target_session_attrs` is none of `any`, ",
        );
    }

    #[test]
    fn the_kind_of_server_is_read_and_kept_from_the_library() {
        let wanted = |url: &str| Address::of(&url.into()).ok().map(|of| of.target_session);
        let url = "postgres://db/usage?target_session_attrs=read-write&sslmode=require";
        assert_eq!(wanted(url), Some(TargetSession::ReadWrite));
        assert_eq!(wanted("postgres://db/usage"), Some(TargetSession::Any));
        assert_eq!(wanted("postgres://one,two/usage"), None);
        located(url, &location(&"postgres://db/usage".parse().unwrap()));
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
