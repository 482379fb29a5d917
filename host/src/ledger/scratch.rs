//! Scratch schemas: in the tenant's database, beside its schema, for something to be tried
//! out in. They are dropped when that is over.
//!
//! A schema is marked as one in the transaction that makes it, and locked by a session for
//! as long as it is used. One that is marked and not locked was left by a program that
//! died: the next to make some, and `clean`, drop it.

use std::sync::Arc;

use sqlx::{Connection, PgConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};
use uuid::Uuid;

use crate::database::{Database, SchemaName, SchemaNameError, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::hindrance::Hindrance;
use crate::ledger::publish::clash::Tries;

/// Tables that are dropped at a time. Each has some indexes and texts beside it, which are
/// locked with it; a server has room for thousands of locks.
const TABLES_MAX: i32 = 50;

/// Scratch schemas that are used.
pub struct Scratch {
    removal: Removal,
    /// Has the locks that say so.
    session: PgConnection,
}

/// What drops scratch schemas, from any thread.
#[derive(Clone)]
pub struct Removal {
    site: Database,
    schemas: Vec<SchemaName>,
    /// Held by who opens one, which would make it anew, and by who drops them.
    opening: Arc<Mutex<()>>,
}

impl Scratch {
    /// Makes so many, after it has dropped what others left.
    ///
    /// # Errors
    /// The role may make none, or the database fails.
    pub fn make(site: &Database, count: usize) -> Result<Self> {
        remove_left(site, false)?;
        site.wait(async {
            let session = site.pool().acquire().await.map_err(failed)?.detach();
            let mut scratch = Self {
                removal: Removal {
                    site: site.clone(),
                    schemas: Vec::new(),
                    opening: Arc::default(),
                },
                session,
            };
            for _ in 0..count {
                if let Err(failure) = scratch.add().await {
                    let removed = scratch.end().await;
                    return Err(match removed {
                        Ok(()) => failure,
                        Err(also) => failure.followed_by(&also),
                    });
                }
            }
            Ok(scratch)
        })
    }

    async fn add(&mut self) -> Result<()> {
        let name: String = sqlx::query_scalar("SELECT create_scratch_schema()")
            .fetch_one(&mut self.session)
            .await
            .map_err(not_made)?;
        failpoint::passed(Failpoint::ScratchCreated);
        let name = name
            .parse()
            .map_err(|error: SchemaNameError| Failure::bug(error.to_string()))?;
        self.removal.schemas.push(name);
        Ok(())
    }

    /// Opens one of them, by its number, while nobody drops it. Whoever opens a schema that is
    /// gone would make it anew, without its mark.
    ///
    /// # Errors
    /// It was dropped, or cannot be opened.
    pub fn open<T>(
        &mut self,
        number: usize,
        open: impl FnOnce(&SchemaName) -> Result<T>,
    ) -> Result<T> {
        let site = self.removal.site.clone();
        let opening = Arc::clone(&self.removal.opening);
        let _opening = site.wait(opening.lock_owned());
        let marked = sqlx::query_scalar("SELECT scratch_schemas()").fetch_all(&mut self.session);
        let marked: Vec<String> = site.wait(marked).map_err(failed)?;
        let schema = self.removal.schemas.get(number);
        match schema.filter(|schema| marked.iter().any(|name| name == schema.as_str())) {
            Some(schema) => open(schema),
            None => Err(
                Failure::run("a scratch schema was dropped while it was used").hint("run it again"),
            ),
        }
    }

    /// What drops them while this is used.
    pub fn removal(&self) -> Removal {
        self.removal.clone()
    }

    /// Drops them.
    ///
    /// # Errors
    /// The database fails; then `clean` drops them.
    pub fn remove(self) -> Result<()> {
        let site = self.removal.site.clone();
        site.wait(self.end())
    }

    async fn end(self) -> Result<()> {
        let removed = self.removal.remove().await;
        // The locks go with the session.
        let _ = self.session.close().await;
        removed.map(drop)
    }
}

impl Removal {
    /// Drops them, whoever uses them; nobody opens one until what is returned goes.
    ///
    /// # Errors
    /// The database fails; then `clean` drops them.
    pub async fn remove(&self) -> Result<OwnedMutexGuard<()>> {
        let opening = Arc::clone(&self.opening).lock_owned().await;
        let mut session = self.site.pool().acquire().await.map_err(failed)?;
        for schema in &self.schemas {
            remove_one(&mut session, schema.as_str()).await?;
        }
        Ok(opening)
    }
}

/// Gives a scratch schema the settings of another schema, for this source.
///
/// # Errors
/// The database fails.
pub fn copy_settings(scratch: &Database, other: &SchemaName, source_uuid: Uuid) -> Result<()> {
    let copied = sqlx::query("SELECT copy_settings($1, $2)")
        .bind(other.as_str())
        .bind(source_uuid)
        .execute(scratch.pool());
    scratch
        .wait(copied)
        .map(drop)
        .map_err(|error| SqlError(error).failure("cannot copy the settings of the site"))
}

/// Drops the scratch schemas that programs left that died, and returns their names. A dry
/// run drops none.
///
/// # Errors
/// The database fails.
pub fn remove_left(site: &Database, dry_run: bool) -> Result<Vec<String>> {
    site.wait(async {
        let mut session = site.pool().acquire().await.map_err(failed)?.detach();
        let left = left_in(&mut session, dry_run).await;
        // The locks go with the session.
        let _ = session.close().await;
        left
    })
}

async fn left_in(session: &mut PgConnection, dry_run: bool) -> Result<Vec<String>> {
    let marked: Vec<String> = sqlx::query_scalar("SELECT scratch_schemas()")
        .fetch_all(&mut *session)
        .await
        .map_err(failed)?;
    let mut left = Vec::new();
    for schema in marked {
        let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock(scratch_lock_key($1))")
            .bind(&schema)
            .fetch_one(&mut *session)
            .await
            .map_err(failed)?;
        if !locked {
            continue;
        }
        if !dry_run {
            remove_one(session, &schema).await?;
        }
        left.push(schema);
    }
    Ok(left)
}

/// Whoever is at work in it may lock its tables in another order: of two that meet, one is
/// broken off.
async fn remove_one(session: &mut PgConnection, schema: &str) -> Result<()> {
    let mut tries = Tries::new();
    loop {
        let dropped = sqlx::query_scalar("SELECT drop_scratch_schema($1, $2)")
            .bind(schema)
            .bind(TABLES_MAX)
            .fetch_one(&mut *session)
            .await
            .map_err(|error| {
                SqlError(error)
                    .failure(format!("cannot drop scratch schema `{schema}`"))
                    .hint("`gristmill clean` drops it")
            });
        let gone: bool = match dropped {
            Err(failure) if tries.again(&failure).await => continue,
            dropped => dropped?,
        };
        failpoint::passed(Failpoint::ScratchDropped);
        if gone {
            return Ok(());
        }
    }
}

fn not_made(error: sqlx::Error) -> Failure {
    let error = SqlError(error);
    let denied = error.state().as_deref() == Some("42501");
    let failure = error.failure("cannot make a scratch schema");
    match denied {
        true => failure.hint(
            "the role needs the right to make schemas: GRANT CREATE ON DATABASE … TO …, by the \
             database's owner",
        ),
        false => failure,
    }
}

fn failed(error: sqlx::Error) -> Failure {
    let error = SqlError(error);
    let lost = error.hindrance() == Some(Hindrance::Lost);
    let failure = error.failure("cannot look after the scratch schemas");
    match lost {
        true => failure.hint("run it again: it drops what was left"),
        false => failure,
    }
}
