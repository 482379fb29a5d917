//! What a transform declares to do to the columns that reach it, and the schema behind
//! it.

use std::collections::HashSet;

use crate::rows::column::{ColumnType, Field, Schema};
use crate::stage::StageError;
use crate::stage::bindings::exports::gristmill::stage::transform as wit;
use crate::stage::bindings::gristmill::stage::types::FieldResult;
use crate::stage::limits::COLUMNS_MAX;

/// The things that a stage may do with rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowEffect {
    Keeps,
    Rearranges,
}

/// The columns that a stage reads, and its changes of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    pub reads: Vec<Field>,
    pub writes: Vec<Field>,
    pub drops: Vec<String>,
    pub row_effect: RowEffect,
}

impl Contract {
    /// Whether texts come of one text alone: a run shows such a stage each text once.
    pub fn is_of_texts(&self) -> bool {
        let repeats =
            |field: &Field| matches!(field.column_type, ColumnType::Dictionary | ColumnType::Json);
        self.row_effect == RowEffect::Keeps
            && self.reads.len() == 1
            && self.reads.iter().chain(&self.writes).all(repeats)
    }

    /// The schema behind the stage: replaced in place, added at the end, dropped.
    pub(super) fn apply(&self, input: &Schema) -> Result<Schema, StageError> {
        if self.reads.len().max(self.writes.len()) > COLUMNS_MAX {
            return Err(StageError::malformed(format!(
                "a contract of more than {COLUMNS_MAX} columns"
            )));
        }
        let written_names = self.writes.iter().map(|write| &write.name);
        if let Some(name) = written_names
            .filter(|name| name.is_empty() || name.chars().any(char::is_control))
            .min()
        {
            return Err(StageError::malformed(format!(
                "it writes a column with the name `{}`",
                name.escape_debug()
            )));
        }
        for read in &self.reads {
            let schema_fault = |reason: String| StageError::Schema {
                column: read.name.clone(),
                reason,
            };
            let Some(field) = input.field(&read.name) else {
                return Err(schema_fault("nothing before this stage provides it".into()));
            };
            if !field.column_type.serves(read.column_type) {
                return Err(schema_fault(format!(
                    "the stage reads it as {}, but it is {}",
                    read.column_type, field.column_type
                )));
            }
        }
        let mut read = HashSet::new();
        if let Some(twice) = self
            .reads
            .iter()
            .find(|field| !read.insert(field.name.as_str()))
        {
            return Err(StageError::malformed(format!(
                "column `{}` is read twice",
                twice.name
            )));
        }
        let mut written = HashSet::new();
        for write in &self.writes {
            if !written.insert(write.name.as_str()) {
                return Err(StageError::malformed(format!(
                    "column `{}` is written twice",
                    write.name
                )));
            }
        }
        for drop in &self.drops {
            if input.position(drop).is_none() || written.contains(drop.as_str()) {
                return Err(StageError::malformed(format!(
                    "it drops column `{drop}`, which {}",
                    if written.contains(drop.as_str()) {
                        "it also writes"
                    } else {
                        "is not there"
                    }
                )));
            }
        }
        let mut output = Schema {
            fields: input
                .fields
                .iter()
                .filter(|field| !self.drops.contains(&field.name))
                .cloned()
                .collect(),
        };
        for write in &self.writes {
            match output.position(&write.name) {
                Some(position) => output.fields[position] = write.clone(),
                None => output.fields.push(write.clone()),
            }
        }
        Ok(output)
    }
}

impl From<wit::Contract> for Contract {
    fn from(contract: wit::Contract) -> Self {
        let fields = |fields: Vec<FieldResult>| {
            fields
                .into_iter()
                .map(|field| Field {
                    name: field.name,
                    column_type: field.column_type.into(),
                })
                .collect()
        };
        Self {
            reads: fields(contract.reads),
            writes: fields(contract.writes),
            drops: contract.drops,
            row_effect: match contract.row_effect {
                wit::RowEffect::Keeps => RowEffect::Keeps,
                wit::RowEffect::Rearranges => RowEffect::Rearranges,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::column::ColumnType;

    #[test]
    fn a_rename_is_a_drop_and_a_write() {
        let field = |name: &str| Field {
            name: name.into(),
            column_type: ColumnType::Float64,
        };
        let input = Schema {
            fields: vec![field("a"), field("b"), field("c")],
        };
        let contract = Contract {
            reads: vec![field("b")],
            writes: vec![field("hours"), field("c")],
            drops: vec!["b".into()],
            row_effect: RowEffect::Keeps,
        };
        let output = contract.apply(&input).unwrap();
        assert_eq!(output.names().collect::<Vec<_>>(), ["a", "c", "hours"]);
    }
}
