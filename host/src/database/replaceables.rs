//! The functions and views of `sql/`, embedded in the program: installed anew, all in one
//! transaction, whenever the text of one has changed.
//!
//! Functions keep the settings with which they were installed: see [`SETTLED`]. They have a
//! version, which grows with every change, so that an older program does not put its own
//! in the place of a newer one's: `functions.version` has it, with the digest of the
//! text that it is of. `UPDATE=1` in the test below writes the next one.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};

use super::error::{DatabaseError, sql_state};
use super::history::MIGRATIONS_TABLE;
use super::session::MEANING;

/// A function or view of `sql/`, which a newer text replaces.
struct Replaceable {
    name: &'static str,
    is_view: bool,
    file: &'static str,
    sql: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/replaceables.rs"));

/// The version of the functions and views, and the digest of their text.
const VERSION: &str = include_str!("functions.version");

/// Which functions and views a schema has, as the comment of its table of migrations says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Of two, the larger one is newer. Programs before the first version said none.
    pub(super) version: u32,
    digest: String,
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, digest } = self;
        write!(formatter, "gristmill functions {version} sha256:{digest}")
    }
}

impl FromStr for Mark {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let rest = text.strip_prefix("gristmill functions ").ok_or(())?;
        let (version, digest) = rest.rsplit_once("sha256:").ok_or(())?;
        let version = match version.trim_end() {
            "" => 0,
            version => version.parse().map_err(drop)?,
        };
        Ok(Self {
            version,
            digest: digest.to_owned(),
        })
    }
}

/// That of this program.
pub(super) fn mark() -> Mark {
    let version = VERSION.split_whitespace().next();
    Mark {
        version: version
            .and_then(|version| version.parse().ok())
            .unwrap_or(0),
        digest: digest(),
    }
}

/// What each of them is called.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    REPLACEABLES.iter().map(|object| object.name)
}

/// Installs every function and view in one transaction, with their mark.
pub(super) async fn install(connection: &mut PgConnection) -> Result<(), DatabaseError> {
    let doing = "install the functions and views";
    let mut transaction = connection
        .begin()
        .await
        .map_err(DatabaseError::statement(doing))?;
    for object in REPLACEABLES {
        let installed = match object.is_view {
            true => install_view(&mut transaction, object).await,
            false => install_function(&mut transaction, object).await,
        };
        installed.map_err(|error| {
            let file = format!("sql/{}", object.file);
            DatabaseError::sql_file(file, object.sql, error)
        })?;
    }
    settle_functions(&mut transaction)
        .await
        .map_err(DatabaseError::statement(doing))?;
    // COMMENT takes no parameters; a mark is of numbers and plain words.
    let record = format!("COMMENT ON TABLE {MIGRATIONS_TABLE} IS '{}'", mark());
    sqlx::raw_sql(&record)
        .execute(&mut *transaction)
        .await
        .map_err(DatabaseError::statement("record the functions and views"))?;
    transaction
        .commit()
        .await
        .map_err(DatabaseError::statement(doing))
}

/// The language of functions that others may call. Those in SQL are parts of them,
/// which are put in place where they are called; a setting of their own would forbid
/// that.
const SETTLED: &str = "plpgsql";

/// Functions that came with their triggers, in migrations.
pub(super) const TRIGGERS: [&str; 2] = ["forget_hours_of_generations", "limit_enabled_tag_keys"];

/// Has the functions do the same in any session: find our tables and the system's
/// functions and nothing else, whatever the caller's search path, and read and write
/// text as our sessions do.
async fn settle_functions(transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
    const SQL: &str = "
        SELECT routine.oid::regprocedure::text
        FROM pg_proc AS routine
        JOIN pg_language AS language
            ON language.oid = routine.prolang
        WHERE
            routine.pronamespace = current_schema()::regnamespace
            AND routine.proname = ANY($1)
            AND language.lanname = $2";

    let names: Vec<&str> = names().chain(TRIGGERS).collect();
    let signatures: Vec<String> = sqlx::query_scalar(SQL)
        .bind(names)
        .bind(SETTLED)
        .fetch_all(&mut *transaction)
        .await?;
    let settings: String = settled()
        .map(|name| format!(" SET {name} FROM CURRENT"))
        .collect();
    let settle: String = signatures
        .iter()
        .map(|signature| format!("ALTER ROUTINE {signature}{settings};"))
        .collect();
    sqlx::raw_sql(&settle).execute(transaction).await.map(drop)
}

/// The settings that functions keep.
fn settled() -> impl Iterator<Item = &'static str> {
    std::iter::once("search_path").chain(MEANING.iter().map(|(name, _)| *name))
}

/// Replaces the view, or drops it first where columns of it have changed: Postgres takes
/// new ones at the end and nothing else.
async fn install_view(
    transaction: &mut PgConnection,
    view: &Replaceable,
) -> Result<(), sqlx::Error> {
    let mut attempt = transaction.begin().await?;
    match sqlx::raw_sql(view.sql).execute(&mut *attempt).await {
        Ok(_) => return attempt.commit().await,
        Err(error) if sql_state(&error).as_deref() != Some("42P16") => return Err(error),
        Err(_) => attempt.rollback().await?,
    }
    let sql = format!("DROP VIEW {}", view.name);
    sqlx::raw_sql(&sql).execute(&mut *transaction).await?;
    sqlx::raw_sql(view.sql).execute(transaction).await.map(drop)
}

/// Replaces the function, or drops it first where its signature has changed:
/// Postgres refuses other results, and takes other parameters for a second
/// function of the same name.
async fn install_function(
    transaction: &mut PgConnection,
    function: &Replaceable,
) -> Result<(), sqlx::Error> {
    let mut attempt = transaction.begin().await?;
    let replaced = sqlx::raw_sql(function.sql).execute(&mut *attempt).await;
    match replaced {
        Ok(_) if overloads(&mut attempt, function).await?.len() == 1 => {
            return attempt.commit().await;
        }
        Err(error) if sql_state(&error).as_deref() != Some("42P13") => return Err(error),
        _ => attempt.rollback().await?,
    }

    for overload in overloads(transaction, function).await? {
        let sql = format!("DROP ROUTINE {overload}");
        sqlx::raw_sql(&sql).execute(&mut *transaction).await?;
    }
    sqlx::raw_sql(function.sql).execute(transaction).await?;
    Ok(())
}

/// The schema's functions of that name, each as Postgres writes its signature.
async fn overloads(
    connection: &mut PgConnection,
    function: &Replaceable,
) -> Result<Vec<String>, sqlx::Error> {
    const SQL: &str = "
        SELECT oid::regprocedure::text
        FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname = $1";

    sqlx::query_scalar(SQL)
        .bind(function.name)
        .fetch_all(connection)
        .await
}

/// A digest of all of them, and of the settings that functions keep.
fn digest() -> String {
    let mut digest = Sha256::new();
    for object in REPLACEABLES {
        // The separators keep text from moving unseen between a file and its name.
        for part in [object.file, "\0", object.sql, "\0"] {
            digest.update(part);
        }
    }
    for (name, value) in MEANING {
        digest.update(format!("{name} {value}\0"));
    }
    hex::encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE=1` writes the next version.
    #[test]
    fn the_version_grows_with_every_change() {
        let ours = mark();
        let expected = format!("{} {}\n", ours.version, ours.digest);
        if VERSION == expected {
            return;
        }
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/database/functions.version"
        );
        let next = format!("{} {}\n", ours.version + 1, ours.digest);
        match std::env::var_os("UPDATE") {
            Some(_) => std::fs::write(file, next).expect("the file is written"),
            None => panic!(
                "functions or views have changed since version {} was written; with UPDATE=1 \
                 this test writes the next one",
                ours.version
            ),
        }
    }

    #[test]
    fn a_mark_is_read_as_it_is_written() {
        assert_eq!(mark().to_string().parse(), Ok(mark()));
        let before = "gristmill functions sha256:ab".parse::<Mark>();
        assert_eq!(before.map(|mark| mark.version), Ok(0));
        assert!("an older digest".parse::<Mark>().is_err());
    }
}
