//! Label sets, each stored once: its canonical JSON text gets an id by digest, so
//! that parallel loads need not ask for one.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::database::Database;
use crate::step::{self, Step};

/// Sets remembered as stored; some megabytes.
const KNOWN_MAX: usize = 100_000;

pub(super) struct LabelSets {
    database: Database,
    known: Mutex<HashMap<Box<str>, i64>>,
}

impl LabelSets {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database,
            known: Mutex::default(),
        }
    }

    /// The id of each text; what is not stored yet is stored.
    ///
    /// # Errors
    /// The database refuses them, or two sets have one digest.
    pub(super) async fn ids<'t>(
        &self,
        texts: impl Iterator<Item = &'t str>,
    ) -> Result<HashMap<&'t str, i64>, sqlx::Error> {
        let mut ids = HashMap::new();
        let mut known = self.known.lock().await;
        let mut new_ids = Vec::new();
        let mut new_texts = Vec::new();
        for text in texts {
            if ids.contains_key(text) {
                continue;
            }
            let id = known.get(text).copied().unwrap_or_else(|| {
                let id = id_of(text);
                new_ids.push(id);
                new_texts.push(text);
                id
            });
            ids.insert(text, id);
        }
        if new_ids.is_empty() {
            return Ok(ids);
        }
        let clashes: Vec<i64> =
            sqlx::query_scalar(include_str!("../../../sql/gristmill_label_set.insert.sql"))
                .bind(&new_ids)
                .bind(&new_texts)
                .fetch_all(self.database.pool())
                .await?;
        step::passed(Step::LabelSetsStored);
        if let Some(clash) = clashes.first() {
            return Err(sqlx::Error::Protocol(format!(
                "two label sets have the id {clash}; one of them cannot be stored"
            )));
        }
        if known.len() + new_texts.len() > KNOWN_MAX {
            known.clear();
        }
        for (text, id) in new_texts.into_iter().zip(new_ids) {
            known.insert(text.into(), id);
        }
        Ok(ids)
    }
}

/// The first eight bytes of the text's SHA-256.
fn id_of(text: &str) -> i64 {
    let digest = Sha256::digest(text.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_label_set_never_changes() {
        // Staged rows refer to sets by these ids.
        assert_eq!(id_of("{}"), 0x4413_6fa3_55b3_678a);
        assert_ne!(id_of(r#"{"app":"a"}"#), id_of(r#"{"app":"b"}"#));
    }
}
