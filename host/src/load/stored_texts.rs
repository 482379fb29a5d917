//! Texts that are stored once and referred to from staging: a text gets its id by
//! digest, so that parallel loads need not ask for one.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::database::Database;
use crate::known_texts::KnownTexts;
use crate::staging::Storage;
use crate::step::{self, Step};

/// Texts remembered as stored.
const KNOWN_MAX: usize = 100_000;

/// Which table they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The canonical JSON of labels, in `gristmill_label_set`.
    LabelSet,
    /// What something is called, in `gristmill_name`.
    Name,
}

impl Kind {
    /// `None` for a column that holds its values itself.
    pub(super) fn of(storage: Storage) -> Option<Self> {
        match storage {
            Storage::LabelSet => Some(Self::LabelSet),
            Storage::Name { .. } => Some(Self::Name),
            _ => None,
        }
    }

    fn insert(self) -> &'static str {
        match self {
            Self::LabelSet => include_str!("../../../sql/gristmill_label_set.insert.sql"),
            Self::Name => include_str!("../../../sql/gristmill_name.insert.sql"),
        }
    }

    fn stored(self) -> Step {
        match self {
            Self::LabelSet => Step::LabelSetsStored,
            Self::Name => Step::NamesStored,
        }
    }

    fn clash(self, id: i64) -> sqlx::Error {
        let these = match self {
            Self::LabelSet => "label sets",
            Self::Name => "names",
        };
        sqlx::Error::Protocol(format!(
            "two {these} have the id {id}; one of them cannot be stored"
        ))
    }
}

/// What is known of the texts of a batch that are stored once, each kind in the order of
/// `Encoder::texts`.
pub(super) struct TextIds<I = i64> {
    pub(super) label_sets: Vec<I>,
    pub(super) names: Vec<I>,
}

/// Their ids, as far as the texts are known to be stored.
pub(super) type KnownIds = TextIds<Option<i64>>;

pub(super) struct StoredTexts {
    database: Database,
    kind: Kind,
    /// The ids of what is stored already.
    known: Mutex<KnownTexts<i64>>,
}

impl StoredTexts {
    pub(super) fn new(database: Database, kind: Kind) -> Self {
        Self {
            database,
            kind,
            known: Mutex::new(KnownTexts::new(KNOWN_MAX)),
        }
    }

    /// The ids of the texts that are known to be stored, in the order of these.
    pub(super) async fn known<'t>(&self, texts: impl Iterator<Item = &'t str>) -> Vec<Option<i64>> {
        let known = self.known.lock().await;
        texts.map(|text| known.get(text).copied()).collect()
    }

    /// The ids of texts, in the order of these; what is not in `known` is stored, if
    /// it is not yet.
    ///
    /// # Errors
    /// The database refuses them, or two texts have one digest.
    pub(super) async fn ids<'t>(
        &self,
        texts: impl Iterator<Item = &'t str>,
        known: Vec<Option<i64>>,
    ) -> Result<Vec<i64>, sqlx::Error> {
        // The statement sees what was stored before it, not what it stores.
        let mut new: HashMap<i64, &str> = HashMap::new();
        let mut ids = Vec::with_capacity(known.len());
        for (text, id) in texts.zip(known) {
            let id = match id {
                Some(id) => id,
                None => {
                    let id = id_of(text);
                    if *new.entry(id).or_insert(text) != text {
                        return Err(self.kind.clash(id));
                    }
                    id
                }
            };
            ids.push(id);
        }
        if new.is_empty() {
            return Ok(ids);
        }
        let mut known = self.known.lock().await;
        // What another worker has stored in the meantime; mostly both have the same ones.
        new.retain(|_, text| known.get(text).is_none());
        if new.is_empty() {
            return Ok(ids);
        }
        let (new_ids, new_texts): (Vec<i64>, Vec<&str>) = new.into_iter().unzip();
        let clashes: Vec<i64> = sqlx::query_scalar(self.kind.insert())
            .bind(&new_ids)
            .bind(&new_texts)
            .fetch_all(self.database.pool())
            .await?;
        step::passed(self.kind.stored());
        if let Some(clash) = clashes.first() {
            return Err(self.kind.clash(*clash));
        }
        for (text, id) in new_texts.into_iter().zip(new_ids) {
            known.insert(text, id);
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
    fn the_id_of_a_text_never_changes() {
        // Staged rows refer to texts by these ids.
        assert_eq!(id_of("{}"), 0x4413_6fa3_55b3_678a);
        assert_ne!(id_of(r#"{"app":"a"}"#), id_of(r#"{"app":"b"}"#));
    }
}
