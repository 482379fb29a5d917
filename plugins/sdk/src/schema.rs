//! What a stage is opened with: the columns that reach it and the sets bound to
//! it.

use std::collections::BTreeMap;

use crate::{ColumnType, Failure, Field};

/// Every column that reaches a stage, in the order of the table.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    fields: Vec<Field>,
}

impl Schema {
    /// A schema of those columns.
    pub fn new(fields: Vec<Field>) -> Schema {
        Schema { fields }
    }

    /// All columns.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The type of a column, where there is one of that name.
    pub fn column_type(&self, name: &str) -> Option<ColumnType> {
        self.fields
            .iter()
            .find(|field| field.name == name)
            .map(|field| field.column_type)
    }

    /// Whether there is a column of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.column_type(name).is_some()
    }

    /// Makes sure that a column is there and can be read as `wanted`.
    pub fn require(&self, name: &str, wanted: ColumnType) -> Result<(), Failure> {
        match self.column_type(name) {
            Some(found) if found.is_readable_as(wanted) => Ok(()),
            Some(found) => Err(Failure::schema(
                name,
                format!("has type {found}, but {wanted} is needed"),
            )),
            None => Err(Failure::schema(name, "is missing")),
        }
    }

    /// Makes sure that no column has the name of one that the stage adds.
    pub fn require_absent(&self, name: &str) -> Result<(), Failure> {
        match self.contains(name) {
            true => Err(Failure::schema(name, "is there already")),
            false => Ok(()),
        }
    }
}

/// The sets that the host binds to a stage.
#[derive(Clone, Debug, Default)]
pub struct Sets {
    sets: BTreeMap<String, Vec<String>>,
}

impl Sets {
    /// Sets by name.
    pub fn new(sets: impl IntoIterator<Item = (String, Vec<String>)>) -> Sets {
        Sets {
            sets: sets.into_iter().collect(),
        }
    }

    /// The words of a set, sorted; `None` when the pipeline binds no such set.
    pub fn get(&self, name: &str) -> Option<&[String]> {
        self.sets.get(name).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::Schema;
    use crate::{ColumnType, Field};

    #[test]
    fn says_what_is_wrong_with_which_column() {
        let schema = Schema::new(vec![Field::new("labels", ColumnType::Json)]);
        assert_eq!(schema.require("labels", ColumnType::Utf8), Ok(()));
        assert_eq!(
            schema
                .require("labels", ColumnType::Float64)
                .unwrap_err()
                .to_string(),
            "column `labels`: has type json, but float64 is needed"
        );
        assert_eq!(
            schema
                .require("pod", ColumnType::Utf8)
                .unwrap_err()
                .to_string(),
            "column `pod`: is missing"
        );
        assert_eq!(
            schema.require_absent("labels").unwrap_err().to_string(),
            "column `labels`: is there already"
        );
    }
}
