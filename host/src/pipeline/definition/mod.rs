//! A pipeline file as its author wrote it, with every file that it extends
//! merged in and every value still knowing its place.
//!
//! Nothing here looks at components, tables or the environment: `plan` does.

mod former;
mod incomplete;
mod json_schema;
mod merge;
mod quantity;
mod retention;
mod servers;

use std::fmt;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

pub use self::json_schema::json_schema;
pub use self::quantity::{Bytes, Share, Time};
pub use self::retention::RetentionSection;
pub use self::servers::{LakeSection, SecretSource, TrinoSection};
use crate::diagnostics::problem::{Problem, Sources};
use crate::rows::column::ColumnType;

/// A definition and the texts it came from.
#[derive(Debug)]
pub struct SourcedDefinition {
    pub definition: Definition,
    pub sources: Sources,
    /// The file that was asked for.
    pub path: PathBuf,
}

/// The pipeline file, key by key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Definition {
    /// The name of the pipeline.
    pub pipeline: Pipeline,
    /// Limits for every stage, and of the pipeline itself.
    #[serde(default)]
    pub limits: Limits,
    /// The stages by name. A report's chain names them.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, Stage>")]
    pub stages: IndexMap<Spanned<String>, Stage>,
    /// The report kinds by name.
    #[schemars(with = "IndexMap<String, Report>")]
    pub reports: IndexMap<Spanned<String>, Report>,
    /// How days are published.
    #[serde(default)]
    pub publish: Publish,
    /// How summaries are made.
    #[serde(default)]
    pub summarize: Summarize,
    /// Object storage, in which hours wait to be folded by Trino. The engine `trino` needs it.
    pub lake: Option<LakeSection>,
    /// The Trino that folds hours into days. The engine `trino` needs it.
    pub trino: Option<TrinoSection>,
    /// The clusters that payloads come from.
    #[serde(default)]
    pub sources: SourcesSection,
    /// The place for a payload once it is loaded.
    #[serde(default)]
    pub archive: ArchiveSection,
    /// How long records of payloads are kept.
    #[serde(default)]
    pub retention: RetentionSection,
    /// How `gristmill watch` goes on when something stands in the way.
    #[serde(default)]
    pub watch: WatchSection,
}

/// The name of the pipeline.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pipeline {
    /// The name under which runs are recorded.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
}

/// Limits for every stage, or for one.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Memory of one stage.
    #[schemars(with = "Option<Bytes>", extend("default" = "128 MiB"))]
    pub memory: Option<Spanned<Bytes>>,
    /// Time of one call of a stage.
    #[schemars(with = "Option<Time>", extend("default" = "2 s"))]
    pub time_per_batch: Option<Spanned<Time>>,
    /// Bytes that one call of a stage returns.
    #[schemars(with = "Option<Bytes>", extend("default" = "64 MiB"))]
    pub output_per_batch: Option<Spanned<Bytes>>,
    /// Memory of the host that the rows of a batch take behind a stage, with the texts of
    /// each row written out. It is known before anything is made of them.
    #[schemars(with = "Option<Bytes>", extend("default" = "64 MiB"))]
    pub batch_memory: Option<Spanned<Bytes>>,
    /// Messages of a stage that are shown, for one file and over all workers. The rest is
    /// dropped, and that is said.
    #[schemars(with = "Option<u64>", extend("default" = 100))]
    pub log_lines: Option<Spanned<u64>>,
    /// Bytes of a component.
    #[schemars(with = "Option<Bytes>", extend("default" = "64 MiB"))]
    pub component_size: Option<Spanned<Bytes>>,
    /// Time of compiling a component that was not compiled before.
    #[schemars(with = "Option<Time>", extend("default" = "120 s"))]
    pub compile_time: Option<Spanned<Time>>,
    /// Memory of compiling a component, which is done in a process of its own.
    #[schemars(with = "Option<Bytes>", extend("default" = "416 MiB"))]
    pub compile_memory: Option<Spanned<Bytes>>,
    /// Bytes of a report that the parser gets at a time; the rows that it completes are a
    /// batch. Of the pipeline only.
    #[schemars(with = "Option<Bytes>", extend("default" = "1 MiB"))]
    pub chunk: Option<Spanned<Bytes>>,
    /// Time that a lock of another session is waited for: of a source, a table, a row. Of
    /// the pipeline only.
    #[schemars(with = "Option<Time>", extend("default" = "10 min"))]
    pub lock_wait: Option<Spanned<Time>>,
    /// Months before the present one, by the database's clock, of which rows are loaded. A
    /// row of another month is rejected; a payload whose manifest names another one is
    /// refused. Of the pipeline only.
    #[schemars(extend("default" = 120))]
    pub months_back: Option<u16>,
    /// Months after the present one of which rows are loaded, as `months-back`.
    #[schemars(extend("default" = 2))]
    pub months_ahead: Option<u16>,
    /// The share of the rows of a payload, and of each of its files, that may be rejected;
    /// above it the payload fails. For a stage: the share that it may reject, which is no
    /// limit of its own unless given.
    #[schemars(extend("default" = "1 %"))]
    pub rejected_rows: Option<Share>,
    /// Rejected rows that are borne whatever their share is: a payload, and each of its
    /// files, fails only above both. None are where `rejected-rows` is 0 % and nothing is
    /// said here. For a stage: beside a share of its own, and that of the pipeline unless
    /// given.
    #[schemars(with = "Option<u64>", extend("default" = 10))]
    pub rejected_rows_floor: Option<Spanned<u64>>,
    /// Rejected rows of a payload, all of its files together. A payload with more is
    /// refused, and so many are kept. Of the pipeline only.
    #[schemars(with = "Option<u64>", extend("default" = 100_000))]
    pub quarantine_rows: Option<Spanned<u64>>,
    /// Bytes of the text of rejected rows, and of what is said of them. Of the pipeline
    /// only.
    #[schemars(with = "Option<Bytes>", extend("default" = "64 MiB"))]
    pub quarantine_bytes: Option<Spanned<Bytes>>,
    /// Time of putting rejected rows into quarantine when the payload ends. Of the
    /// pipeline only.
    #[schemars(with = "Option<Time>", extend("default" = "60 s"))]
    pub quarantine_time: Option<Spanned<Time>>,
    /// Label keys that stages learn of a payload, and columns that nobody wants; one of
    /// more than 256 bytes counts as several. Of the pipeline only.
    #[schemars(with = "Option<u64>", extend("default" = 100_000))]
    pub learned_words: Option<Spanned<u64>>,
    /// Messages of a stage that are shown for a payload. Of the pipeline only.
    #[schemars(with = "Option<u64>", extend("default" = 200))]
    pub log_lines_of_payload: Option<Spanned<u64>>,
}

/// A stage: a component and what it is given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stage {
    /// Path of the component.
    #[schemars(with = "String")]
    pub component: Spanned<String>,
    /// Handed to the stage as JSON.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub config: Option<Spanned<toml::Table>>,
    /// Sets of the database that the stage is given: the name that the stage has for a
    /// set, and the set.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, BoundSet>")]
    pub bind: IndexMap<Spanned<String>, Spanned<BoundSet>>,
    /// Sets of the database that the stage's facts are added to: the topic of the facts,
    /// and the set.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, LearnedSet>")]
    pub learn: IndexMap<Spanned<String>, Spanned<LearnedSet>>,
    /// Limits of this stage alone.
    #[schemars(with = "Option<Limits>")]
    pub limits: Option<Spanned<Limits>>,
}

/// A set that the host can hand to a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BoundSet {
    /// The tag keys that are enabled in the database.
    EnabledTagKeys,
}

/// A set that a stage's facts add to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LearnedSet {
    /// The tag keys known to the database; new ones are not enabled.
    TagKeys,
}

impl fmt::Display for BoundSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::EnabledTagKeys => "enabled-tag-keys",
        })
    }
}

impl fmt::Display for LearnedSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TagKeys => "tag-keys",
        })
    }
}

/// A report kind: how its files are known, and their way into a table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Report {
    /// A file whose header holds all of these columns is a report of this kind. One that
    /// is of two kinds is refused.
    #[schemars(with = "Vec<String>")]
    pub detect: Spanned<Vec<Spanned<String>>>,
    /// Whether files of this kind are read past. The keys of a kind that is loaded are not
    /// needed then.
    #[serde(default)]
    pub ignore: bool,
    /// The chain: one parser, then transforms, by their names. A kind that is loaded has
    /// one.
    #[schemars(with = "Option<Vec<String>>")]
    pub stages: Option<Spanned<Vec<Spanned<String>>>>,
    /// The staging table. A kind that is loaded has one.
    #[schemars(with = "Option<String>")]
    pub into: Option<Spanned<String>>,
    /// The columns of the file.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, Column>")]
    pub columns: IndexMap<Spanned<String>, Column>,
}

/// One column that the pipeline wants of a report file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub column_type: ColumnType,
    /// Whether a file without it is accepted; its values are null then.
    pub optional: bool,
    /// Whether an empty cell is null rather than 0 or the empty text.
    pub empty_is_null: bool,
}

/// How days are published.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Publish {
    /// The report kind whose distinct hours decide which payload wins a day. A pipeline
    /// has it, in the file or in one that it extends.
    #[schemars(with = "Option<String>")]
    pub coverage: Option<Spanned<String>>,
    /// What becomes of a payload with a report of no kind that the pipeline knows, such as
    /// a newer operator brings.
    #[serde(default)]
    #[schemars(extend("default" = "skip"))]
    pub unknown_reports: UnknownReports,
}

/// What becomes of a payload with a report of an unknown kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownReports {
    /// The report is read past with a warning, which `status` goes on showing. A payload
    /// that brings nothing else is refused.
    #[default]
    Skip,
    /// The payload is refused.
    Refuse,
}

impl fmt::Display for UnknownReports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Skip => "skip",
            Self::Refuse => "refuse",
        })
    }
}

/// How summaries are made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Summarize {
    /// The engine that folds the hours of pods and volumes into days. `gristmill sources
    /// set --engine` overrides it for a source, `OCP_POSTGRES_PIPELINE` for all.
    #[schemars(with = "Option<EngineName>", extend("default" = "postgres"))]
    pub engine: Option<Spanned<EngineName>>,
    /// What becomes of a payload when Trino, or the lake, is away after all that was tried.
    pub when_unreachable: WhenUnreachable,
    /// What engine `auto` goes by.
    pub auto: AutoSection,
}

/// What becomes of a payload whose engine is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenUnreachable {
    /// It fails.
    #[default]
    Fail,
    /// The host folds it, and says so.
    Embedded,
}

/// An engine, or how one is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EngineName {
    /// Postgres stores the hours, and folds them whenever it summarizes a day.
    Postgres,
    /// The host folds while it loads; the hours of pods and volumes are not stored.
    Embedded,
    /// Trino folds, over files in the lake.
    Trino,
    /// By the size of a payload, as `[summarize.auto]` says.
    Auto,
}

impl EngineName {
    const ALL: [Self; 4] = [Self::Postgres, Self::Embedded, Self::Trino, Self::Auto];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Embedded => "embedded",
            Self::Trino => "trino",
            Self::Auto => "auto",
        }
    }

    /// The engine of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.as_str() == name)
    }
}

/// What engine `auto` goes by.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct AutoSection {
    /// The unpacked bytes of a payload's reports of pods and volumes from which on Trino
    /// folds them. Never when absent.
    #[schemars(with = "Option<Bytes>")]
    pub trino_from: Option<Spanned<Bytes>>,
    /// The engine of smaller payloads.
    pub below: AutoBelow,
}

/// The engine of payloads that are too small for Trino.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AutoBelow {
    #[default]
    Postgres,
    Embedded,
}

/// The clusters that payloads come from.
#[derive(Debug, Deserialize, JsonSchema)]
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

/// The place for a payload once it is loaded.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ArchiveSection {
    /// Whether every payload that was loaded is kept; `gristmill replay` needs them.
    pub keep: bool,
    /// Where payloads are kept; a relative path begins at the folder of the file that says
    /// it. `archive` in the data folder when absent.
    #[schemars(with = "Option<PathBuf>")]
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

/// How `gristmill watch` goes on when something of the surroundings stands in the way.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct WatchSection {
    /// Times that a payload is tried that may itself be what fails, such as by killing
    /// its session; then it is set aside.
    #[schemars(with = "Option<u64>", extend("default" = 5))]
    pub tries: Option<Spanned<u64>>,
    /// Time, in which the database could be used, for which any other payload is tried;
    /// then it is set aside.
    #[schemars(with = "Option<Time>", extend("default" = "1440 min"))]
    pub patience: Option<Spanned<Time>>,
}

/// A column with more to say than its type.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LongColumn {
    /// The type of its values.
    #[serde(rename = "type")]
    #[schemars(with = "json_schema::FileColumnType")]
    column_type: ColumnType,
    /// Whether a file without it is accepted; its values are null then.
    #[serde(default)]
    optional: bool,
    /// The value of an empty cell. An empty time or boolean that may not be null rejects
    /// its row.
    #[schemars(extend("default" = "zero"))]
    empty: Option<Empty>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Empty {
    /// No value.
    Null,
    /// 0, or the empty text.
    Zero,
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
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
                let long = LongColumn::deserialize(de::value::MapAccessDeserializer::new(map))?;
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
pub fn load(path: &Path) -> Result<SourcedDefinition, Box<Unreadable>> {
    let mut sources = Sources::default();
    let parsed = merge::collect(path, &mut sources)
        .and_then(|()| merge::merged(&sources))
        .and_then(|table| {
            former::refuse(table.get_ref(), path)?;
            incomplete::refuse(table.get_ref())?;
            Definition::deserialize(toml::de::Deserializer::from(table))
                .map_err(|error| merge::problem(&error, 0))
        });
    match parsed {
        Ok(definition) => Ok(SourcedDefinition {
            definition,
            sources,
            path: path.to_path_buf(),
        }),
        Err(problem) => Err(Box::new(Unreadable { problem, sources })),
    }
}
