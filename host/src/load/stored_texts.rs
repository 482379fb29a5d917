//! Texts that are stored once, and that staging refers to. The database makes the id of a
//! text, by a digest with the tenant's secret. So parallel loads agree on it without
//! asking each other, and the secret stays where it is.

use std::collections::HashMap;

use tokio::sync::Mutex;

use crate::database::Database;
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::pipeline::staging::Storage;
use crate::rows::memo::TextMemo;

/// Texts remembered as stored, in 13 MiB at the most: the pods of some 6,000 nodes. Reports go
/// hour by hour, so that of more than these each would be asked for in every hour.
const MEMO_TEXTS_MAX: usize = 400_000;

/// How often a text is asked for. A statement does not see what another load stores
/// beside it, the next one does; what has no id then has none.
const LOOKS_MAX: u32 = 2;

/// Which table they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The canonical JSON of labels, in `gristmill_label_set`.
    LabelSet,
    /// A name, in `gristmill_name`.
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

    fn stored(self) -> Failpoint {
        match self {
            Self::LabelSet => Failpoint::LabelSetsStored,
            Self::Name => Failpoint::NamesStored,
        }
    }

    /// Its name for users.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::LabelSet => "label set",
            Self::Name => "name",
        }
    }
}

/// A value for each text of a batch that is stored once, each kind in the order of
/// `Encoder::texts`.
pub(super) struct TextIds<I = i64> {
    pub(super) label_sets: Vec<I>,
    pub(super) names: Vec<I>,
}

/// Their ids, as far as the texts are known to be stored.
pub(super) type MemoIds = TextIds<Option<i64>>;

impl MemoIds {
    /// `None` unless all of them have one.
    pub(super) fn complete(self) -> Option<TextIds> {
        Some(TextIds {
            label_sets: self.label_sets.into_iter().collect::<Option<_>>()?,
            names: self.names.into_iter().collect::<Option<_>>()?,
        })
    }
}

pub(super) struct StoredTexts {
    database: Database,
    kind: Kind,
    /// The ids of what is stored already.
    memo: Mutex<TextMemo<i64>>,
}

impl StoredTexts {
    pub(super) fn new(database: Database, kind: Kind) -> Self {
        Self {
            database,
            kind,
            memo: Mutex::new(TextMemo::new(MEMO_TEXTS_MAX)),
        }
    }

    /// The ids of the texts that are known to be stored, in the order of these.
    pub(super) async fn known<'t>(&self, texts: impl Iterator<Item = &'t str>) -> Vec<Option<i64>> {
        let memo = self.memo.lock().await;
        texts.map(|text| memo.get(text).copied()).collect()
    }

    /// The ids of texts, in the order of these; what is not in `known` is stored, if
    /// it is not yet. A text has none when what would be its id is another's.
    ///
    /// # Errors
    /// The database refuses them, or has lost its secret.
    pub(super) async fn ids<'t>(
        &self,
        texts: impl Iterator<Item = &'t str>,
        mut ids: Vec<Option<i64>>,
    ) -> Result<Vec<Option<i64>>, sqlx::Error> {
        let missing: Vec<(usize, &str)> = texts
            .enumerate()
            .filter(|(place, _)| ids[*place].is_none())
            .collect();
        if missing.is_empty() {
            return Ok(ids);
        }
        let mut memo = self.memo.lock().await;
        // Another worker may have stored them in the meantime; mostly both have the same
        // ones.
        let mut found: HashMap<&str, Option<i64>> = missing
            .iter()
            .map(|(_, text)| (*text, memo.get(text).copied()))
            .collect();
        for _ in 0..LOOKS_MAX {
            let new: Vec<&str> = found
                .iter()
                .filter_map(|(text, id)| id.is_none().then_some(*text))
                .collect();
            if new.is_empty() {
                break;
            }
            let stored: Vec<Option<i64>> = sqlx::query_scalar(self.kind.insert())
                .bind(&new)
                .fetch_all(self.database.pool())
                .await?;
            failpoint::passed(self.kind.stored());
            if stored.len() != new.len() {
                return Err(sqlx::Error::Protocol(
                    "table `gristmill_secret` has lost its row, without which no text gets \
                     the id that it had; restore it from a backup"
                        .into(),
                ));
            }
            for (text, id) in new.into_iter().zip(stored) {
                if let Some(id) = id {
                    memo.insert(text, id);
                    found.insert(text, Some(id));
                }
            }
        }
        for (place, text) in missing {
            ids[place] = found[text];
        }
        Ok(ids)
    }
}
