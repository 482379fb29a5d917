//! The name of a tenant's schema, checked once so that it may stand in SQL.
//!
//! A schema name is the one thing that reaches SQL text as an identifier and
//! not as a parameter; whoever holds a `SchemaName` need not check it again.

use std::fmt;
use std::str::FromStr;

/// Postgres keeps 63 bytes of an identifier and cuts the rest in silence.
const NAME_BYTES_MAX: usize = 63;

/// A lower-case identifier that is no schema of Postgres itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SchemaName(String);

impl SchemaName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as SQL text. A valid name may still be a keyword, such as `user`.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl Default for SchemaName {
    fn default() -> Self {
        SchemaName("gristmill".to_owned())
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for SchemaName {
    type Err = SchemaNameError;

    fn from_str(name: &str) -> Result<Self, SchemaNameError> {
        let refuse = |reason| {
            Err(SchemaNameError {
                name: name.to_owned(),
                reason,
            })
        };
        let starts_well = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';

        let Some(first) = name.bytes().next() else {
            return refuse("it is empty");
        };
        if !starts_well(first) {
            return refuse("it must start with a lower-case letter or `_`");
        }
        if !name
            .bytes()
            .all(|byte| starts_well(byte) || byte.is_ascii_digit())
        {
            return refuse("it may hold lower-case letters, digits and `_` only");
        }
        if name.len() > NAME_BYTES_MAX {
            return refuse("it is longer than 63 bytes");
        }
        if name.starts_with("pg_") || name == "information_schema" {
            return refuse("Postgres keeps it for itself");
        }
        Ok(SchemaName(name.to_owned()))
    }
}

/// Why a text is no schema name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaNameError {
    name: String,
    reason: &'static str,
}

impl fmt::Display for SchemaNameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SchemaNameError { name, reason } = self;
        write!(formatter, "`{name}` cannot name a schema: {reason}")
    }
}

impl std::error::Error for SchemaNameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(name: &str, reason: &str) {
        let error = name.parse::<SchemaName>().expect_err("it is refused");
        assert_eq!(
            error.to_string(),
            format!("`{name}` cannot name a schema: {reason}")
        );
    }

    #[test]
    fn plain_identifiers_are_taken() {
        for name in ["gristmill", "_tenant", "acct10001", "user", &"a".repeat(63)] {
            assert_eq!(name.parse::<SchemaName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_keyword_is_safe_once_quoted() {
        let name: SchemaName = "user".parse().unwrap();
        assert_eq!(name.quoted(), "\"user\"");
    }

    #[test]
    fn everything_else_is_refused() {
        let characters = "it may hold lower-case letters, digits and `_` only";
        let start = "it must start with a lower-case letter or `_`";
        refused("", "it is empty");
        refused("1st", start);
        refused("Tenant", start);
        refused("tenant-1", characters);
        refused("tenänt", characters);
        refused("a\"; DROP SCHEMA public; --", characters);
        refused(&"a".repeat(64), "it is longer than 63 bytes");
        refused("pg_temp", "Postgres keeps it for itself");
        refused("information_schema", "Postgres keeps it for itself");
    }
}
