//! Roles that may read what a tenant has, and change nothing.

use crate::database::{Database, SqlError};
use crate::diagnostics::failure::{Failure, Result};

/// Lets a role read all tables and views, those to come included; returns their number.
///
/// # Errors
/// There is no such role, ours may not grant anything, or the database fails.
pub fn grant(database: &Database, role: &str) -> Result<u64> {
    database.wait(async {
        let granted = sqlx::query_scalar("SELECT grant_reader($1)")
            .bind(role)
            .fetch_one(database.pool())
            .await
            .map(|count: i64| count.unsigned_abs());
        granted.map_err(|error| {
            let error = SqlError(error);
            let state = error.state();
            let failure: Failure = error.failure(format!("cannot let role `{role}` read"));
            match state.as_deref() {
                Some("42704") => {
                    failure.hint("create the role first, such as with `createuser --no-login`")
                }
                Some("42501") => failure
                    .hint("who grants must own the schema and its tables, or be an administrator"),
                _ => failure,
            }
        })
    })
}
