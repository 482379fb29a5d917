//! Which kind of server a URL asks for (`target_session_attrs`), and whether the one that
//! answered is of that kind. The library does not know of it.

use std::str::FromStr;

use sqlx::{PgConnection, Row};

use super::error::DatabaseError;

/// The kind of server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TargetSession {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
}

impl FromStr for TargetSession {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            // Of one server there is nothing to prefer.
            "any" | "prefer-standby" => Self::Any,
            "read-write" => Self::ReadWrite,
            "read-only" => Self::ReadOnly,
            "primary" => Self::Primary,
            "standby" => Self::Standby,
            _ => return Err(()),
        })
    }
}

impl TargetSession {
    pub(super) const EXPECTED: &str =
        "`any`, `read-write`, `read-only`, `primary`, `standby` and `prefer-standby`";

    /// Refuses a server of another kind.
    pub(super) async fn check(
        self,
        connection: &mut PgConnection,
        location: &str,
    ) -> Result<(), DatabaseError> {
        if self == Self::Any {
            return Ok(());
        }
        // Not prepared: it is not known yet whose session this is.
        const SQL: &str = "
            SELECT
                pg_is_in_recovery()::text AS is_standby,
                current_setting('transaction_read_only') AS is_read_only";
        let failed = || DatabaseError::statement("ask which kind of server it is");
        let row = sqlx::raw_sql(SQL)
            .fetch_one(connection)
            .await
            .map_err(failed())?;
        let is = |name: &str, yes: &str| {
            row.try_get::<String, _>(name)
                .map(|value| value == yes)
                .map_err(failed())
        };
        let (is_standby, is_read_only) = (is("is_standby", "true")?, is("is_read_only", "on")?);
        match self.refusal(is_standby, is_read_only) {
            None => Ok(()),
            Some((wanted, is)) => Err(DatabaseError::SessionRefused {
                location: location.to_owned(),
                reason: format!("`target_session_attrs` asks for `{wanted}`, and it {is}"),
                hint: "give the URL of another server; gristmill needs one that takes writes"
                    .to_owned(),
            }),
        }
    }

    /// What is wanted and what is there, when these are not the same.
    fn refusal(self, is_standby: bool, is_read_only: bool) -> Option<(&'static str, &'static str)> {
        match self {
            Self::ReadWrite if is_standby => Some(("read-write", "is a standby")),
            Self::ReadWrite if is_read_only => Some(("read-write", "takes no writes")),
            Self::ReadOnly if !is_read_only && !is_standby => Some(("read-only", "takes writes")),
            Self::Primary if is_standby => Some(("primary", "is a standby")),
            Self::Standby if !is_standby => Some(("standby", "is a primary")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_what_was_asked_for_or_refused() {
        let refused = |text: &str, is_standby, is_read_only| {
            let target: TargetSession = text.parse().unwrap();
            target.refusal(is_standby, is_read_only).is_some()
        };
        // A primary that takes writes, one that takes none, a standby.
        for (text, expected) in [
            ("any", [false, false, false]),
            ("prefer-standby", [false, false, false]),
            ("read-write", [false, true, true]),
            ("read-only", [true, false, false]),
            ("primary", [false, false, true]),
            ("standby", [true, true, false]),
        ] {
            let found = [
                refused(text, false, false),
                refused(text, false, true),
                refused(text, true, true),
            ];
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!("master".parse::<TargetSession>(), Err(()));
    }
}
