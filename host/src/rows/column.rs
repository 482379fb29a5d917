//! Names and types of columns, as the pipeline file, the stages and the tables
//! share them. Values are in `batch`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::IntoDeserializer;

/// The type of the values of a column, in the words of `column-type` in `wit/stage.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnType {
    Boolean,
    Int64,
    Float64,
    /// Microseconds since the epoch, UTC.
    Timestamp,
    /// Text, one value per row.
    Utf8,
    /// Text, every distinct value once.
    #[serde(alias = "text")]
    Dictionary,
    /// As `Dictionary`, every value a JSON document.
    Json,
}

impl ColumnType {
    pub fn is_text(self) -> bool {
        matches!(self, Self::Utf8 | Self::Dictionary | Self::Json)
    }

    /// Whether a column of this type can be handed to a stage that wants `wanted`.
    pub fn serves(self, wanted: Self) -> bool {
        self == wanted || (self.is_text() && wanted.is_text() && wanted != Self::Json)
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Boolean => "boolean",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Timestamp => "timestamp",
            Self::Utf8 => "utf8",
            Self::Dictionary => "dictionary",
            Self::Json => "json",
        })
    }
}

impl FromStr for ColumnType {
    type Err = serde::de::value::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::deserialize(text.into_deserializer())
    }
}

/// A column without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub column_type: ColumnType,
}

/// The columns of a batch, in order, with distinct names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    pub fields: Vec<Field>,
}

impl Schema {
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// The name most like a misspelt one, if any is close.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.names())
    }
}

/// Letters in which a misspelt name may differ, however long it is: names such as
/// `pod_usage_cpu_core_seconds` and `pod_request_cpu_core_seconds` are neighbours
/// that nobody confuses.
const TYPOS_MAX: usize = 3;

/// The candidate that a misspelt word was probably meant to be.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            let longest = candidate.len().max(word.len());
            *distance <= (longest / 4).clamp(1, TYPOS_MAX)
        })
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        let names = ["namespace", "node", "pod"];
        assert_eq!(nearest("namespce", names.into_iter()), Some("namespace"));
        assert_eq!(nearest("nodee", names.into_iter()), Some("node"));
        assert_eq!(nearest("interval", names.into_iter()), None);
        let usage = ["pod_usage_cpu_core_seconds"];
        let request = "pod_request_cpu_core_seconds";
        assert_eq!(nearest(request, usage.into_iter()), None);
    }

    #[test]
    fn text_serves_text_but_not_json() {
        assert!(ColumnType::Json.serves(ColumnType::Utf8));
        assert!(ColumnType::Utf8.serves(ColumnType::Dictionary));
        assert!(!ColumnType::Dictionary.serves(ColumnType::Json));
        assert!(!ColumnType::Int64.serves(ColumnType::Float64));
    }
}
