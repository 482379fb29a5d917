//! Finds the rows whose text cannot be stored because its id stands for another text,
//! before they are sent. Ids are made with a secret, so that this takes chance. It costs
//! these rows and not the payload.

use std::collections::BTreeMap;

use super::stored_texts::{Kind, MemoIds};
use crate::pipeline::plan::LoadPlan;
use crate::rows::batch::{Batch, RejectedRow, Values};

/// Characters of a text that a message shows.
const SHOWN_MAX: usize = 80;

/// Takes out the rows that name a text without an id, and these texts; `None` when there
/// are none. The batch must be of the plan's schema, the ids in the order of
/// `Encoder::texts`.
pub(super) fn check(
    batch: &Batch,
    plan: &LoadPlan,
    ids: &MemoIds,
) -> Result<Option<(Batch, Vec<RejectedRow>)>, String> {
    let all = ids.label_sets.iter().chain(&ids.names);
    if all.copied().all(|id| id.is_some()) {
        return Ok(None);
    }
    let mut unstored: BTreeMap<usize, (String, String)> = BTreeMap::new();
    let (mut label_sets, mut names) = (ids.label_sets.iter(), ids.names.iter());
    for ((array, field), target) in batch
        .columns
        .iter()
        .zip(&batch.schema.fields)
        .zip(&plan.targets)
    {
        let Some(kind) = Kind::of(target.storage) else {
            continue;
        };
        let ids = match kind {
            Kind::LabelSet => &mut label_sets,
            Kind::Name => &mut names,
        };
        let values = Values::of(array)
            .ok_or_else(|| format!("column `{}` is of no known kind", field.name))?;
        let (Values::Dictionary(_, texts) | Values::Utf8(texts)) = values else {
            continue;
        };
        let has_id: Vec<bool> = texts
            .iter()
            .map(|text| text.is_none() || ids.next().is_some_and(Option::is_some))
            .collect();
        if has_id.iter().all(|has_id| *has_id) {
            continue;
        }
        for row in 0..batch.rows {
            let place = match values {
                Values::Dictionary(keys, _) => keys.key(row),
                _ => Some(row),
            };
            if place.is_some_and(|place| !has_id[place]) {
                let text = values.text(row).unwrap_or_default();
                unstored
                    .entry(row)
                    .or_insert_with(|| (field.name.clone(), message(kind, text)));
            }
        }
    }
    let rows: Vec<u32> = unstored.keys().map(|row| *row as u32).collect();
    // The texts go with the rows: what a dictionary holds is stored.
    let kept = batch
        .without(&rows)
        .and_then(Batch::compact)
        .map_err(|error| error.to_string())?;
    let rejects = unstored
        .into_iter()
        .map(|(row, (column, message))| {
            batch
                .places
                .reject(row, Some(column), "id-taken".to_string(), message)
        })
        .collect();
    Ok(Some((kept, rejects)))
}

fn message(kind: Kind, text: &str) -> String {
    let shown: String = text.chars().take(SHOWN_MAX).collect();
    let rest = if shown.len() < text.len() { "…" } else { "" };
    let noun = kind.noun();
    format!(
        "`{}{rest}` cannot be stored: its id is that of another {noun}",
        shown.escape_debug()
    )
}
