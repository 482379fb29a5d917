//! Tag keys: which label keys become tags, and under which name.
//!
//! The ledger learns a key when a payload shows it; a person enables it. A change here
//! applies to the days that come. Days that are loaded follow when they are replayed or
//! summarized again.

use serde::Serialize;
use serde_json::json;
use sqlx::{FromRow, PgConnection, Postgres, Transaction};

use crate::database::{Database, SqlError, waiting};
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::action;
use crate::rows::column::nearest;

/// Enabled keys; consumers join every label with all of them.
pub const ENABLED_MAX: usize = 200;

/// Characters of a key, as consumers hold it.
pub const KEY_CHARACTERS_MAX: usize = 512;

/// Bytes of a key: an index entry of the label summaries has room for no more beside a
/// namespace and a node.
pub const KEY_BYTES_MAX: usize = 640;

/// A label key that payloads have shown or a person has enabled.
#[derive(Clone, Debug, FromRow, Serialize)]
pub struct Tag {
    pub key: String,
    pub enabled: bool,
    /// The key that it is mapped to.
    pub parent: Option<String>,
}

/// The result of a change for the keys that it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChange {
    pub changed: Vec<String>,
    /// Were so before.
    pub unchanged: Vec<String>,
    /// The changed ones that no payload has shown yet.
    pub unseen: Vec<UnseenKey>,
}

/// A key that no payload has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnseenKey {
    pub key: String,
    /// The known one that it may have been meant to be.
    pub near: Option<String>,
}

/// Every key, in order.
///
/// # Errors
/// The database fails.
pub fn list(database: &Database) -> Result<Vec<Tag>> {
    database.wait(async {
        let mut connection = database.pool().acquire().await.map_err(unread)?;
        select(&mut connection).await
    })
}

/// Enables keys, all or none.
///
/// # Errors
/// A key is too long, too many would be enabled, or the database fails.
pub fn enable(database: &Database, keys: &[String]) -> Result<TagChange> {
    database.wait(async {
        for key in keys {
            check(key)?;
        }
        let (mut transaction, tags) = begin(database).await?;
        let mut change = TagChange::default();
        for key in distinct(keys) {
            match find(&tags, key) {
                Some(tag) if tag.enabled => change.unchanged.push(key.clone()),
                Some(_) => change.changed.push(key.clone()),
                None => {
                    change.changed.push(key.clone());
                    let known = tags.iter().map(|tag| tag.key.as_str());
                    change.unseen.push(UnseenKey {
                        key: key.clone(),
                        near: nearest(key, known).map(str::to_string),
                    });
                }
            }
        }
        let enabled = tags.iter().filter(|tag| tag.enabled).count();
        if enabled + change.changed.len() > ENABLED_MAX {
            return Err(Failure::run(format!(
                "cannot enable {}: {enabled} keys are enabled, and there can be at most {ENABLED_MAX}",
                names(&change.changed)
            ))
            .hint("`gristmill tags disable KEY` makes room"));
        }
        let failed = |error| SqlError(error).failure(format!("cannot enable {}", names(&change.changed)));
        sqlx::query(include_str!(
            "../../../sql/reporting_enabledtagkeys.enable.sql"
        ))
        .bind(&change.changed)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        record(&mut transaction, "tags enable", &change)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(change)
    })
}

/// Disables keys, all or none.
///
/// # Errors
/// A key is not known or takes part in a mapping, or the database fails.
pub fn disable(database: &Database, keys: &[String]) -> Result<TagChange> {
    database.wait(async {
        let (mut transaction, tags) = begin(database).await?;
        let mut change = TagChange::default();
        for key in distinct(keys) {
            let tag = known(&tags, key)?;
            if let Some(parent) = &tag.parent {
                return Err(Failure::run(format!(
                    "cannot disable `{key}`: it is mapped to `{parent}`"
                ))
                .hint(format!("`gristmill tags unmap {key}` comes first")));
            }
            if let Some(child) = tags.iter().find(|tag| tag.parent.as_ref() == Some(key)) {
                return Err(Failure::run(format!(
                    "cannot disable `{key}`: `{}` is mapped to it",
                    child.key
                ))
                .hint(format!("`gristmill tags unmap {}` comes first", child.key)));
            }
            match tag.enabled {
                true => change.changed.push(key.clone()),
                false => change.unchanged.push(key.clone()),
            }
        }
        let failed =
            |error| SqlError(error).failure(format!("cannot disable {}", names(&change.changed)));
        sqlx::query(include_str!(
            "../../../sql/reporting_enabledtagkeys.disable.sql"
        ))
        .bind(&change.changed)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        record(&mut transaction, "tags disable", &change)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(change)
    })
}

/// Maps `child` to the name of `parent`; returns whether that is new.
///
/// # Errors
/// One of them does not exist or is not enabled, the two would make a chain, or the
/// database fails.
pub fn map(database: &Database, child: &str, parent: &str) -> Result<bool> {
    database.wait(async {
        if child == parent {
            return Err(Failure::definition(format!(
                "cannot map `{child}` to itself"
            )));
        }
        let (mut transaction, tags) = begin(database).await?;
        for key in [child, parent] {
            if !known(&tags, key)?.enabled {
                return Err(Failure::run(format!(
                    "cannot map `{child}` to `{parent}`: `{key}` is not enabled"
                ))
                .hint(format!("`gristmill tags enable {key}` comes first")));
            }
        }
        if let Some(grandparent) = &known(&tags, parent)?.parent {
            return Err(Failure::run(format!(
                "cannot map `{child}` to `{parent}`, which is itself mapped to `{grandparent}`"
            ))
            .hint(format!("map `{child}` to `{grandparent}`")));
        }
        if let Some(grandchild) = tags.iter().find(|tag| tag.parent.as_deref() == Some(child)) {
            return Err(Failure::run(format!(
                "cannot map `{child}` to `{parent}`: `{}` is mapped to `{child}`",
                grandchild.key
            ))
            .hint(format!("map `{}` to `{parent}` first", grandchild.key)));
        }
        if known(&tags, child)?.parent.as_deref() == Some(parent) {
            return Ok(false);
        }
        let failed = |error| SqlError(error).failure(format!("cannot map `{child}` to `{parent}`"));
        sqlx::query(include_str!("../../../sql/reporting_tagmapping.upsert.sql"))
            .bind(child)
            .bind(parent)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let subject = format!("`{child}` is known as `{parent}`");
        let details = json!({ "child": child, "parent": parent });
        action::record(&mut transaction, "tags map", &subject, details)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    })
}

/// Undoes the mappings of keys, which then have their own names again.
///
/// # Errors
/// A key is not known, or the database fails.
pub fn unmap(database: &Database, children: &[String]) -> Result<TagChange> {
    database.wait(async {
        let (mut transaction, tags) = begin(database).await?;
        let mut change = TagChange::default();
        for key in distinct(children) {
            match known(&tags, key)?.parent {
                Some(_) => change.changed.push(key.clone()),
                None => change.unchanged.push(key.clone()),
            }
        }
        let failed =
            |error| SqlError(error).failure(format!("cannot unmap {}", names(&change.changed)));
        sqlx::query(include_str!("../../../sql/reporting_tagmapping.delete.sql"))
            .bind(&change.changed)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        record(&mut transaction, "tags unmap", &change)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(change)
    })
}

/// Records what a command changes; nothing that was so before.
async fn record(
    connection: &mut PgConnection,
    command: &str,
    change: &TagChange,
) -> Result<(), sqlx::Error> {
    if change.changed.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = change
        .changed
        .iter()
        .map(|key| format!("`{key}`"))
        .collect();
    let details = json!({ "keys": change.changed });
    action::record(connection, command, &names.join(", "), details).await
}

fn unread(error: sqlx::Error) -> Failure {
    SqlError(error).failure("cannot read the tag keys")
}

fn unlocked(error: sqlx::Error) -> Failure {
    SqlError(error).failure("cannot lock the tag keys and mappings against other sessions")
}

/// Begins a transaction beside which nobody else changes tags, and reads the tags.
async fn begin(database: &Database) -> Result<(Transaction<'static, Postgres>, Vec<Tag>)> {
    let mut transaction = database.pool().begin().await.map_err(unlocked)?;
    let alone = sqlx::query(include_str!(
        "../../../sql/reporting_enabledtagkeys.lock.sql"
    ))
    .execute(&mut *transaction);
    let words = || "waiting for another session at work on tag keys and mappings".to_string();
    waiting::or_say(words, alone).await.map_err(unlocked)?;
    let tags = select(&mut transaction).await?;
    Ok((transaction, tags))
}

async fn select(connection: &mut PgConnection) -> Result<Vec<Tag>> {
    sqlx::query_as(include_str!(
        "../../../sql/reporting_enabledtagkeys.select.sql"
    ))
    .fetch_all(connection)
    .await
    .map_err(unread)
}

fn check(key: &str) -> Result<()> {
    let characters = key.chars().count();
    match characters {
        1..=KEY_CHARACTERS_MAX if key.len() <= KEY_BYTES_MAX => Ok(()),
        1..=KEY_CHARACTERS_MAX => Err(Failure::definition(format!(
            "a tag key has at most {KEY_BYTES_MAX} bytes, and this one has {}",
            key.len()
        ))),
        0 => Err(Failure::definition("a tag key cannot be empty")),
        _ => Err(Failure::definition(format!(
            "a tag key has at most {KEY_CHARACTERS_MAX} characters, and this one has {characters}"
        ))),
    }
}

fn find<'t>(tags: &'t [Tag], key: &str) -> Option<&'t Tag> {
    tags.iter().find(|tag| tag.key == key)
}

fn known<'t>(tags: &'t [Tag], key: &str) -> Result<&'t Tag> {
    find(tags, key).ok_or_else(|| {
        let near = nearest(key, tags.iter().map(|tag| tag.key.as_str()));
        let failure = Failure::definition(format!("there is no tag key `{}`", key.escape_debug()));
        match near {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`gristmill tags list` shows the keys"),
        }
    })
}

/// Each key once, in the order given.
fn distinct(keys: &[String]) -> impl Iterator<Item = &String> {
    keys.iter()
        .enumerate()
        .filter(|(position, key)| !keys[..*position].contains(key))
        .map(|(_, key)| key)
}

fn names(keys: &[String]) -> String {
    match keys {
        [key] => format!("`{key}`"),
        keys => format!("{} keys", keys.len()),
    }
}
