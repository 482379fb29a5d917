//! What the staging tables hold, read from the migrations themselves, so that a
//! pipeline can be checked with no database in reach.

use std::collections::BTreeMap;
use std::fmt;

use sqlparser::ast::{
    AlterTable, AlterTableOperation, ColumnOption, CreateTable, DataType, Expr, Statement,
    TableConstraint,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::rows::column::ColumnType;

/// Columns that the load fills in itself.
pub const SYSTEM_COLUMNS: [&str; 3] = ["generation", "source_uuid", "report_period_id"];

/// The column that staging tables are partitioned by.
pub const PARTITION_COLUMN: &str = "interval_start";

/// What `gristmill_name` holds of a name.
pub const NAME_CHARACTERS_MAX: usize = 253;

/// What ends the name of a column that refers to `gristmill_name`.
const NAME_SUFFIX: &str = "_name_id";

/// A staging table's columns, in order, without the system columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagingTable {
    pub name: String,
    pub columns: Vec<StagingColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagingColumn {
    pub name: String,
    pub storage: Storage,
    pub required: bool,
}

/// How a column of a batch is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    Boolean,
    Int64,
    Float64,
    /// A number as a whole count of 10^-scale, so that sums are exact.
    FixedPoint {
        scale: u32,
        counts: Counts,
    },
    Timestamp,
    Text {
        characters_max: Option<usize>,
    },
    /// A JSON document stored once, and its id in the row.
    LabelSet,
    /// A text stored once, and its id in the row.
    Name {
        characters_max: usize,
    },
}

/// The counts that a column of whole counts holds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub least: i64,
    pub most: i64,
}

impl Counts {
    /// What the column's type holds.
    pub const ALL: Counts = Counts {
        least: i64::MIN,
        most: i64::MAX,
    };

    pub fn hold(self, count: i64) -> bool {
        (self.least..=self.most).contains(&count)
    }
}

impl StagingTable {
    /// Where a batch column of this name and type goes; `Err` says why nowhere.
    ///
    /// # Errors
    /// The table has no such column, or one of another type.
    pub fn place(&self, name: &str, column_type: ColumnType) -> Result<&StagingColumn, String> {
        let mut other = None;
        for column in &self.columns {
            if column.batch_name() != name {
                continue;
            }
            if column.storage.takes(column_type) {
                return Ok(column);
            }
            other = Some(column);
        }
        Err(match other {
            Some(column) => format!(
                "table `{}` stores `{}` as {}, but it is {column_type}",
                self.name,
                column.name,
                column.storage.describe()
            ),
            None => format!("table `{}` has no column for `{name}`", self.name),
        })
    }

    /// The names by which batches may call the table's columns.
    pub fn batch_names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(StagingColumn::batch_name)
    }
}

impl StagingColumn {
    /// The name by which batches may call the column.
    pub fn batch_name(&self) -> &str {
        self.storage.batch_name(&self.name)
    }
}

impl Storage {
    /// What batches call a column that is stored so.
    pub fn batch_name(self, column: &str) -> &str {
        let stem = match self {
            Self::FixedPoint { scale, .. } => column.strip_suffix(&format!("_e{scale}")),
            Self::LabelSet => column.strip_suffix("_id"),
            Self::Name { .. } => column.strip_suffix(NAME_SUFFIX),
            _ => None,
        };
        stem.unwrap_or(column)
    }

    fn takes(self, column_type: ColumnType) -> bool {
        match self {
            Self::Boolean => column_type == ColumnType::Boolean,
            Self::Int64 => column_type == ColumnType::Int64,
            Self::Float64 | Self::FixedPoint { .. } => column_type == ColumnType::Float64,
            Self::Timestamp => column_type == ColumnType::Timestamp,
            Self::Text { .. } | Self::Name { .. } => column_type.is_text(),
            Self::LabelSet => column_type == ColumnType::Json,
        }
    }

    /// With its article, for a sentence.
    fn describe(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Int64 => "a whole number",
            Self::Float64 | Self::FixedPoint { .. } => "a number (float64)",
            Self::Timestamp => "a timestamp",
            Self::Text { .. } => "text",
            Self::LabelSet => "a label set (json)",
            Self::Name { .. } => "a name (text)",
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => formatter.write_str("boolean"),
            Self::Int64 => formatter.write_str("int64"),
            Self::Float64 => formatter.write_str("float64"),
            Self::FixedPoint { scale, .. } => write!(formatter, "whole count of 1e-{scale}"),
            Self::Timestamp => formatter.write_str("timestamp"),
            Self::Text {
                characters_max: None,
            } => formatter.write_str("text"),
            Self::Text {
                characters_max: Some(most),
            } => write!(formatter, "text of at most {most} characters"),
            Self::LabelSet => formatter.write_str("label set"),
            Self::Name { characters_max } => {
                write!(formatter, "name of at most {characters_max} characters")
            }
        }
    }
}

/// Every staging table, by name, as the last migration that makes it says, with the
/// limits that later ones set.
///
/// # Panics
/// Never with the migrations of this tree: a test reads them all.
pub fn tables<'a>(migrations: impl Iterator<Item = &'a str>) -> BTreeMap<String, StagingTable> {
    let mut tables = BTreeMap::new();
    for statement in migrations
        .filter(|text| text.contains("_staging"))
        .flat_map(statements)
    {
        match statement {
            Statement::CreateTable(created) => {
                let table = table(&created);
                if table.name.ends_with("_staging") {
                    tables.insert(table.name.clone(), table);
                }
            }
            Statement::AlterTable(altered) => limit(&mut tables, &altered),
            _ => {}
        }
    }
    tables
}

fn table(created: &CreateTable) -> StagingTable {
    let columns = created
        .columns
        .iter()
        .filter(|column| !SYSTEM_COLUMNS.contains(&column.name.value.as_str()))
        .filter_map(|column| {
            let name = column.name.value.clone();
            let has = |wanted: fn(&ColumnOption) -> bool| {
                column.options.iter().any(|option| wanted(&option.option))
            };
            Some(StagingColumn {
                storage: storage(&name, &column.data_type)?,
                required: has(|option| matches!(option, ColumnOption::NotNull))
                    && !has(|option| matches!(option, ColumnOption::Default(_))),
                name,
            })
        })
        .collect();
    StagingTable {
        name: created.name.to_string(),
        columns,
    }
}

/// Limits the columns of which the statement says `CHECK (column BETWEEN least AND most)`.
fn limit(tables: &mut BTreeMap<String, StagingTable>, altered: &AlterTable) {
    let Some(table) = tables.get_mut(&altered.name.to_string()) else {
        return;
    };
    for operation in &altered.operations {
        let AlterTableOperation::AddConstraint {
            constraint: TableConstraint::Check(check),
            ..
        } = operation
        else {
            continue;
        };
        let Some((name, limits)) = between(&check.expr) else {
            continue;
        };
        for column in &mut table.columns {
            if column.name == name
                && let Storage::FixedPoint { counts, .. } = &mut column.storage
            {
                *counts = limits;
            }
        }
    }
}

/// The column and the counts of `column BETWEEN least AND most`.
fn between(expression: &Expr) -> Option<(String, Counts)> {
    let Expr::Between {
        expr,
        negated: false,
        low,
        high,
    } = expression
    else {
        return None;
    };
    let counts = Counts {
        least: low.to_string().parse().ok()?,
        most: high.to_string().parse().ok()?,
    };
    Some((expr.to_string(), counts))
}

fn statements(text: &str) -> Vec<Statement> {
    // The storage parameters of an index are beyond the parser, and only the
    // tables matter here: each statement is read by itself.
    text.split_inclusive(";\n")
        .filter(|statement| {
            statement.contains("CREATE TABLE") || statement.contains("ADD CONSTRAINT")
        })
        .flat_map(|statement| {
            Parser::parse_sql(&PostgreSqlDialect {}, statement).unwrap_or_default()
        })
        .collect()
}

fn storage(name: &str, data_type: &DataType) -> Option<Storage> {
    let scale = name
        .rsplit_once("_e")
        .and_then(|(_, digits)| digits.parse().ok());
    let data_type = data_type.to_string().to_lowercase();
    let characters = data_type
        .strip_prefix("varchar(")
        .and_then(|rest| rest.strip_suffix(')'));
    if let Some(characters) = characters {
        return Some(Storage::Text {
            characters_max: characters.parse().ok(),
        });
    }
    match (data_type.as_str(), scale) {
        ("bigint", Some(scale)) => Some(Storage::FixedPoint {
            scale,
            counts: Counts::ALL,
        }),
        ("bigint", None) if name.ends_with("_labels_id") => Some(Storage::LabelSet),
        ("bigint", None) if name.ends_with(NAME_SUFFIX) => Some(Storage::Name {
            characters_max: NAME_CHARACTERS_MAX,
        }),
        ("bigint", None) => Some(Storage::Int64),
        ("double precision", _) => Some(Storage::Float64),
        ("boolean", _) => Some(Storage::Boolean),
        ("timestamptz", _) => Some(Storage::Timestamp),
        ("text", _) => Some(Storage::Text {
            characters_max: None,
        }),
        _ => None,
    }
}
