//! Decodes label sets and keeps the labels whose keys are enabled.
//!
//! A label set comes as `label_app:web|label_tier:db` and leaves as the JSON
//! object `{"app":"web"}`: keys sorted, no spaces, only what must be escaped is.
//! A missing label set is `{}`.
//!
//! - Works on every text column whose name ends in `_labels`, or on those that
//!   `columns` names.
//! - Items without a `:`, or with more than one, are dropped. Every `label_` in a
//!   key is removed. Of equal keys, the last one wins.
//! - Keeps the keys in the bound set `enabled-keys`, and those of `always`
//!   (`["vm_kubevirt_io_name"]`).
//! - Tells every key it saw as the fact `label-keys`, kept or not, but for the
//!   columns of `unreported` (`["vm_labels"]`).
//! - `extract` writes the value of a label into a text column of its own, before
//!   the filter, and `''` where the label is missing. By default the node role
//!   and the architecture: `{ node_labels = { node_role_kubernetes_io =
//!   "node_role_label", kubernetes_io_arch = "architecture" } }`. A column that
//!   does not reach the stage is skipped.
//! - Keeps every row.
//!
//! A label set that repeats is decoded once, within a batch and from batch to
//! batch.

mod labels;

use std::collections::{BTreeMap, BTreeSet};

use gristmill_stage::{
    Batch, Column, ColumnType, Contract, DictionaryValues, DictionaryView, Fact, Failure, Interner,
    OpenTransform, Output, Stage, Utf8Values, Values, export_stage, log,
};
use serde::Deserialize;

use crate::labels::{decode, to_json};

/// How many bytes of label sets, raw and decoded, are remembered per column; beyond
/// this all are forgotten. A thousand nodes have some ten thousand distinct sets in
/// an hour, which are 4 MB, and nearly all of them come again in the next. Of more, those of
/// pods are remembered by the host.
const REMEMBERED_BYTES_MAX: usize = 4 << 20;

/// The suffix of the columns that hold label sets.
const LABELS_SUFFIX: &str = "_labels";

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    columns: Option<Vec<String>>,
    always: BTreeSet<String>,
    unreported: BTreeSet<String>,
    /// Column → label key → new column.
    extract: BTreeMap<String, BTreeMap<String, String>>,
}

impl Default for Config {
    fn default() -> Config {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let node_labels = [
            (
                "node_role_kubernetes_io".to_owned(),
                "node_role_label".to_owned(),
            ),
            ("kubernetes_io_arch".to_owned(), "architecture".to_owned()),
        ];
        Config {
            columns: None,
            always: words(&["vm_kubevirt_io_name"]),
            unreported: words(&["vm_labels"]),
            extract: BTreeMap::from([("node_labels".to_owned(), BTreeMap::from(node_labels))]),
        }
    }
}

pub struct LabelFilter {
    kept: BTreeSet<String>,
    columns: Vec<LabelColumn>,
    seen: BTreeSet<String>,
}

/// One column of label sets.
struct LabelColumn {
    name: String,
    is_filtered: bool,
    is_reported: bool,
    /// Label keys whose values become columns, with the names of those.
    extracts: Vec<(String, String)>,
    remembered: Remembered,
}

/// Label sets that have been decoded.
#[derive(Default)]
struct Remembered {
    raw: Interner,
    /// One per column that label sets become.
    became: Vec<Became>,
    bytes: usize,
}

/// What label sets become in one column.
#[derive(Default)]
struct Became {
    texts: Interner,
    /// By the key of a label set, the key of its text.
    keys: Vec<u32>,
}

impl Remembered {
    /// Forgets everything when that is too much, with label sets of so many bytes that
    /// may be new: decoded, they are about as long.
    fn make_room(&mut self, bytes: usize) {
        if self.bytes + bytes * 2 > REMEMBERED_BYTES_MAX {
            *self = Remembered::default();
        }
    }

    /// The key of a label set; `decode` is asked when nobody knows what becomes of
    /// it, one text per column.
    fn get_or_decode(&mut self, raw: &str, decode: impl FnOnce() -> Vec<String>) -> usize {
        let known = self.raw.len();
        let key = self.raw.intern(raw) as usize;
        if key < known {
            return key;
        }
        let texts = decode();
        self.became.resize_with(texts.len(), Became::default);
        self.bytes += raw.len();
        for (became, text) in self.became.iter_mut().zip(&texts) {
            became.keys.push(became.texts.intern(text));
            self.bytes += text.len();
        }
        key
    }
}

impl Stage for LabelFilter {
    type Config = Config;

    fn open(config: Config, context: OpenTransform) -> Result<LabelFilter, Failure> {
        if context.sets.get("enabled-keys").is_none() {
            log::warn("no set is bound to `enabled-keys`: only the keys of `always` are kept");
        }
        let enabled = context.sets.get("enabled-keys").unwrap_or_default();
        Ok(LabelFilter {
            columns: label_columns(&config, &context)?,
            kept: enabled.iter().cloned().chain(config.always).collect(),
            seen: BTreeSet::new(),
        })
    }

    fn contract(&self) -> Contract {
        let mut contract = Contract::keeps();
        for column in &self.columns {
            contract = contract.reads(&column.name, ColumnType::Dictionary);
            if column.is_filtered {
                contract = contract.writes(&column.name, ColumnType::Json);
            }
            for (_, name) in &column.extracts {
                contract = contract.writes(name, ColumnType::Dictionary);
            }
        }
        contract
    }

    fn process(&mut self, batch: Batch) -> Result<Output, Failure> {
        let mut written = Vec::new();
        for (position, column) in self.columns.iter_mut().enumerate() {
            let labels = batch.dictionary(position);
            column.process(labels, &self.kept, &mut self.seen, &mut written);
        }
        Ok(Output::keeps(batch.rows(), written))
    }

    fn finish(&mut self) -> Result<Vec<Fact>, Failure> {
        Ok(vec![Fact::new(
            "label-keys",
            self.seen.iter().map(String::as_str),
        )])
    }
}

/// The columns to work on, in the order of the schema.
fn label_columns(config: &Config, context: &OpenTransform) -> Result<Vec<LabelColumn>, Failure> {
    for name in config.columns.iter().flatten() {
        context.schema.require(name, ColumnType::Dictionary)?;
        if context.schema.column_type(name) == Some(ColumnType::Json) {
            return Err(Failure::schema(
                name,
                "has type json, and is no label set any more",
            ));
        }
    }
    let mut names = BTreeSet::new();
    let mut columns = Vec::new();
    for field in context.schema.fields() {
        let is_filtered = match &config.columns {
            Some(columns) => columns.contains(&field.name),
            None => {
                field.name.ends_with(LABELS_SUFFIX)
                    && matches!(field.column_type, ColumnType::Utf8 | ColumnType::Dictionary)
            }
        };
        let extracts: Vec<(String, String)> = config
            .extract
            .get(&field.name)
            .cloned()
            .into_iter()
            .flatten()
            .collect();
        if !is_filtered && extracts.is_empty() {
            continue;
        }
        if !extracts.is_empty() {
            context
                .schema
                .require(&field.name, ColumnType::Dictionary)?;
        }
        for (label, name) in &extracts {
            context.schema.require_absent(name)?;
            if !names.insert(name.clone()) {
                let key = format!("extract.{}.{label}", field.name);
                let reason = format!("`{name}` is the name of another extracted column");
                return Err(Failure::config(key, reason));
            }
        }
        columns.push(LabelColumn {
            name: field.name.clone(),
            is_filtered,
            is_reported: !config.unreported.contains(&field.name),
            extracts,
            remembered: Remembered::default(),
        });
    }
    Ok(columns)
}

impl LabelColumn {
    /// Adds the columns that this one becomes to `written`.
    fn process(
        &mut self,
        labels: DictionaryView<'_>,
        kept: &BTreeSet<String>,
        seen: &mut BTreeSet<String>,
        written: &mut Vec<Column>,
    ) {
        self.remembered.make_room(labels.values().bytes());
        let mut sets = Vec::with_capacity(labels.values().len());
        for key in 0..labels.values().len() {
            sets.push(self.decode(labels.values().value(key), kept, seen));
        }
        let missing = self.decode("", kept, seen);
        for became in &self.remembered.became {
            written.push(became.spread(labels, &sets, missing));
        }
    }

    /// Decodes a label set, unless that has been done, and says how it is remembered.
    fn decode(&mut self, raw: &str, kept: &BTreeSet<String>, seen: &mut BTreeSet<String>) -> usize {
        let (is_reported, extracts) = (self.is_reported, &self.extracts);
        let is_filtered = self.is_filtered;
        self.remembered.get_or_decode(raw, || {
            let mut labels = decode(raw);
            if is_reported {
                for key in labels.keys() {
                    if !seen.contains(&**key) {
                        seen.insert(key.to_string());
                    }
                }
            }
            let extracted: Vec<String> = extracts
                .iter()
                .map(|(label, _)| labels.get(&**label).copied().unwrap_or_default().to_owned())
                .collect();
            labels.retain(|key, _| kept.contains(&**key));
            let json = is_filtered.then(|| to_json(&labels));
            json.into_iter().chain(extracted).collect()
        })
    }
}

impl Became {
    /// A column with, for each row, a text of its label set. Label sets with the same
    /// text share a value.
    fn spread(&self, labels: DictionaryView<'_>, sets: &[usize], missing: usize) -> Column {
        let mut values = Utf8Values::default();
        // By the key of a text here, its key in this column: looked up once, so that
        // no text is hashed again.
        let mut known = vec![None; self.texts.len()];
        let mut key_of = |set: usize| {
            let text = self.keys[set];
            *known[text as usize].get_or_insert_with(|| {
                values.push(self.texts.text(text));
                values.len() as u32 - 1
            })
        };
        let of_sets: Vec<u32> = sets.iter().map(|set| key_of(*set)).collect();
        let keys = labels
            .keys()
            .map(|key| key.map_or_else(|| key_of(missing), |key| of_sets[key]))
            .collect();
        Column::new(Values::Dictionary(DictionaryValues { keys, values }))
    }
}

export_stage!(LabelFilter);

#[cfg(test)]
mod tests;
