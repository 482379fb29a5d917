//! A pipeline file as its author wrote it, with every file that it extends
//! merged in and every value still knowing its place.
//!
//! Nothing here looks at components, tables or the environment: `plan` does.

mod merge;
mod quantity;

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

pub use self::quantity::{Bytes, Share, Time};
use crate::problem::{Problem, Sources};
use crate::schema::ColumnType;

/// A definition and the texts it came from.
#[derive(Debug)]
pub struct Loaded {
    pub definition: Definition,
    pub sources: Sources,
    /// The file that was asked for.
    pub path: PathBuf,
}

/// The pipeline file, key by key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Definition {
    pub pipeline: Pipeline,
    #[serde(default)]
    pub limits: Limits,
    /// The stages by name. A report's chain names them.
    #[serde(default)]
    pub stages: IndexMap<Spanned<String>, Stage>,
    /// The report kinds by name.
    pub reports: IndexMap<Spanned<String>, Report>,
    #[serde(default)]
    pub publish: Publish,
    #[serde(default)]
    pub summarize: Summarize,
    #[serde(default)]
    pub sources: SourcesSection,
    #[serde(default)]
    pub archive: ArchiveSection,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pipeline {
    /// The name under which runs are recorded.
    pub name: Spanned<String>,
}

/// Limits for every stage, or for one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Linear memory of one stage.
    pub memory: Option<Spanned<Bytes>>,
    /// Time that a stage may take for one batch.
    pub time_per_batch: Option<Spanned<Time>>,
    /// Bytes that a stage may return for one batch.
    pub output_per_batch: Option<Spanned<Bytes>>,
    /// Bytes of a report file that a parser gets at a time.
    pub chunk: Option<Spanned<Bytes>>,
    /// The share of a payload's rows that may go to quarantine; above it the
    /// payload fails.
    pub rejected_rows: Option<Share>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stage {
    /// Path of the component.
    pub component: Spanned<String>,
    /// Digest that the component must have.
    pub sha256: Option<Spanned<String>>,
    /// Handed to the stage as JSON.
    pub config: Option<Spanned<toml::Table>>,
    /// Sets that the host reads for the stage: name in the stage → set.
    #[serde(default)]
    pub bind: IndexMap<Spanned<String>, Spanned<BoundSet>>,
    /// Facts that the host stores for the stage: topic → set.
    #[serde(default)]
    pub learn: IndexMap<Spanned<String>, Spanned<LearnedSet>>,
    /// Limits of this stage alone.
    pub limits: Option<Spanned<Limits>>,
}

/// A set that the host can hand to a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoundSet {
    /// The tag keys that are enabled in the database.
    EnabledTagKeys,
}

/// A set that a stage's facts add to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LearnedSet {
    /// The tag keys known to the database; new ones are not enabled.
    TagKeys,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Report {
    /// A file whose header holds all of these is a report of this kind.
    pub detect: Spanned<Vec<Spanned<String>>>,
    /// Read the files of this kind past, on purpose.
    #[serde(default)]
    pub ignore: bool,
    /// The chain: one parser, then transforms.
    pub stages: Option<Spanned<Vec<Spanned<String>>>>,
    /// The staging table.
    pub into: Option<Spanned<String>>,
    /// The columns of the file.
    #[serde(default)]
    pub columns: IndexMap<Spanned<String>, Column>,
}

/// What the pipeline wants of one column of a report file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub column_type: ColumnType,
    /// Whether a file without it is accepted; its values are null then.
    pub optional: bool,
    /// Whether an empty cell is null rather than 0 or the empty text.
    pub empty_is_null: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Publish {
    /// The report kind whose distinct hours decide which payload wins a day.
    pub coverage: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Summarize {
    pub engine: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SourcesSection {
    /// Whether a payload of an unknown cluster registers a source for it.
    pub register: bool,
}

impl Default for SourcesSection {
    fn default() -> Self {
        Self { register: true }
    }
}

/// What is done with a payload once it is loaded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ArchiveSection {
    /// Whether payloads are kept, which replaying them needs.
    pub keep: bool,
    /// Where; a relative path begins at the folder of the file that says it.
    pub directory: Option<Spanned<PathBuf>>,
}

impl Default for ArchiveSection {
    fn default() -> Self {
        Self {
            keep: true,
            directory: None,
        }
    }
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        struct Long {
            #[serde(rename = "type")]
            column_type: ColumnType,
            #[serde(default)]
            optional: bool,
            empty: Option<Empty>,
        }

        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum Empty {
            Null,
            Zero,
        }

        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Column;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a column type, or a table with `type`, `optional`, `empty`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Column, E> {
                let column_type =
                    ColumnType::deserialize(de::value::StrDeserializer::<E>::new(word))?;
                Ok(Column {
                    column_type,
                    optional: false,
                    empty_is_null: false,
                })
            }

            fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<Column, M::Error> {
                let long = Long::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Column {
                    column_type: long.column_type,
                    optional: long.optional,
                    empty_is_null: matches!(long.empty, Some(Empty::Null)),
                })
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// Why a definition could not be loaded.
#[derive(Debug)]
pub struct Unreadable {
    pub problem: Problem,
    pub sources: Sources,
}

/// Reads a pipeline file and everything it extends.
///
/// # Errors
/// The first problem of the file's text: unreadable, not TOML, an unknown key, a
/// value of the wrong form.
pub fn load(path: &Path) -> Result<Loaded, Box<Unreadable>> {
    let mut sources = Sources::default();
    let parsed = merge::collect(path, &mut sources)
        .and_then(|()| merge::merged(&sources))
        .and_then(|table| {
            Definition::deserialize(toml::de::Deserializer::from(table))
                .map_err(|error| merge::problem(&error, 0))
        });
    match parsed {
        Ok(definition) => Ok(Loaded {
            definition,
            sources,
            path: path.to_path_buf(),
        }),
        Err(problem) => Err(Box::new(Unreadable { problem, sources })),
    }
}
