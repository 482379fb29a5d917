//! The record of what people had done that no payload asks for: removals, discarded rows,
//! abandoned uploads, changed tags, renamed and adopted things. Each is written by the
//! transaction that does it, so that neither is there without the other.

use std::process::{Command, Stdio};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgConnection};

use crate::database::{Database, SqlError};
use crate::diagnostics::failure::Result;

/// Something that somebody had done.
#[derive(Debug, FromRow, Serialize)]
pub struct Action {
    pub id: i64,
    pub done_at: DateTime<Utc>,
    pub command: String,
    pub subject: String,
    pub details: Value,
    pub system_user: String,
    pub database_role: String,
}

/// Records what the caller's transaction does.
///
/// # Errors
/// The database fails.
pub(crate) async fn record(
    connection: &mut PgConnection,
    command: &str,
    subject: &str,
    details: Value,
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../../sql/gristmill_action.insert.sql"))
        .bind(command)
        // A name that was typed may have what no text of the database has.
        .bind(subject.replace('\0', "\u{fffd}"))
        .bind(details)
        .bind(system_user())
        .execute(connection)
        .await
        .map(drop)
}

/// Records something that no transaction did alone.
///
/// # Errors
/// The database fails.
pub fn record_done(
    database: &Database,
    command: &str,
    subject: &str,
    details: Value,
) -> Result<()> {
    database.wait(async {
        let failed = |error| SqlError(error).failure(format!("cannot record `{command}`"));
        let mut connection = database.pool().acquire().await.map_err(failed)?;
        record(&mut connection, command, subject, details)
            .await
            .map_err(failed)
    })
}

/// What people had done, the newest first.
///
/// # Errors
/// The database fails.
pub fn list(database: &Database, actions_max: i64) -> Result<Vec<Action>> {
    database.wait(async {
        sqlx::query_as(include_str!("../../../sql/gristmill_action.select.sql"))
            .bind(actions_max)
            .fetch_all(database.pool())
            .await
            .map_err(|error| SqlError(error).failure("cannot read what was done"))
    })
}

/// The name of the user who runs this, wherever users are listed; the number of one who is
/// listed nowhere.
fn system_user() -> String {
    let number = rustix::process::getuid().as_raw();
    let named = Command::new("id")
        .args(["-r", "-u", "-n"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let name = match named {
        Ok(named) if named.status.success() => {
            String::from_utf8_lossy(&named.stdout).trim().to_string()
        }
        _ => String::new(),
    };
    match name.is_empty() {
        true => format!("user {number}"),
        false => name,
    }
}
