//! The statements for Trino, all of them. Identifiers and locations enter a statement here and
//! nowhere else, checked and quoted; columns come from the declaration of the fold.

use crate::fold::{
    DAY_COLUMN, FoldColumn, FoldColumnKind, Grain, INTERVAL_COLUMN, Part, TableFold,
};

/// What sums are made in: `sum(bigint)` overflows in Trino.
const SUM_TYPE: &str = "decimal(38,0)";

/// A table in Trino.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableName {
    catalog: String,
    schema: String,
    table: String,
}

impl TableName {
    /// `None` where a part has other characters than names of ours have: Trino would take it
    /// for another name, or for more than one.
    pub(super) fn new(catalog: &str, schema: &str, table: &str) -> Option<TableName> {
        let fits = |name: &&str| {
            let of_one = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
            };
            !name.is_empty() && name.len() <= 128 && name.bytes().all(of_one)
        };
        [catalog, schema, table]
            .iter()
            .all(fits)
            .then(|| TableName {
                catalog: catalog.to_owned(),
                schema: schema.to_owned(),
                table: table.to_owned(),
            })
    }

    fn quoted(&self) -> String {
        format!("{}.{}", self.quoted_schema(), identifier(&self.table))
    }

    fn quoted_schema(&self) -> String {
        format!("{}.{}", identifier(&self.catalog), identifier(&self.schema))
    }
}

pub(super) fn create_schema(name: &TableName) -> String {
    format!("CREATE SCHEMA IF NOT EXISTS {}", name.quoted_schema())
}

pub(super) fn create_table(name: &TableName, fold: &TableFold, location: &str) -> String {
    let columns: Vec<String> = columns(fold)
        .iter()
        .map(|(column, kind)| format!("{} {kind}", identifier(column)))
        .collect();
    format!(
        "CREATE TABLE {} ({}) WITH (format = 'PARQUET', location = {})",
        name.quoted(),
        columns.join(", "),
        text(location)
    )
}

pub(super) fn add_files(name: &TableName, location: &str) -> String {
    format!(
        "ALTER TABLE {} EXECUTE add_files(location => {}, format => 'PARQUET')",
        name.quoted(),
        text(location)
    )
}

/// How many files a table has, and their rows.
pub(super) fn count_files(name: &TableName) -> String {
    let files = identifier(&format!("{}$files", name.table));
    format!(
        "SELECT count(*), sum(record_count) FROM {}.{files}",
        name.quoted_schema()
    )
}

/// The columns are those of the part, in its order.
pub(super) fn fold(name: &TableName, part: &Part) -> String {
    let time = match part.grain {
        Grain::Day => DAY_COLUMN,
        Grain::Interval => INTERVAL_COLUMN,
    };
    let keys = std::iter::once(time).chain(part.keys.iter().copied());
    let keys: Vec<String> = keys.map(identifier).collect();
    let maxima = part
        .maxima
        .iter()
        .map(|column| format!("max({})", identifier(column)));
    let words = part.words.iter().map(|word| {
        let among: Vec<String> = word.among.iter().map(|word| text(word)).collect();
        let column = identifier(word.column);
        format!(
            "max({column}) FILTER (WHERE {column} IN ({}))",
            among.join(", ")
        )
    });
    let sums = part
        .sums
        .iter()
        .map(|column| format!("sum(CAST({} AS {SUM_TYPE}))", identifier(column)));
    let selected: Vec<String> = keys
        .iter()
        .cloned()
        .chain(maxima)
        .chain(words)
        .chain(sums)
        .chain(std::iter::once("count(*)".to_owned()))
        .collect();
    let places: Vec<String> = (1..=keys.len()).map(|place| place.to_string()).collect();
    format!(
        "SELECT {} FROM {} GROUP BY {}",
        selected.join(", "),
        name.quoted(),
        places.join(", ")
    )
}

pub(super) fn drop_table(name: &TableName) -> String {
    format!("DROP TABLE IF EXISTS {}", name.quoted())
}

/// The tables of a schema.
pub(super) fn tables_of(name: &TableName) -> String {
    format!(
        "SELECT table_name FROM {}.information_schema.tables WHERE table_schema = {} ORDER BY 1",
        identifier(&name.catalog),
        text(&name.schema)
    )
}

/// Whether the catalog is there.
pub(super) fn catalogs(name: &TableName) -> String {
    format!(
        "SELECT catalog_name, connector_name FROM system.metadata.catalogs WHERE catalog_name = {}",
        text(&name.catalog)
    )
}

/// The columns of a table: what the files have.
fn columns(fold: &TableFold) -> Vec<(&'static str, &'static str)> {
    let mut columns = vec![(INTERVAL_COLUMN, "bigint"), (DAY_COLUMN, "date")];
    columns.extend(fold.columns().iter().map(|FoldColumn { name, kind }| {
        let kind = match kind {
            FoldColumnKind::Int64 => "bigint",
            FoldColumnKind::Text => "varchar",
        };
        (*name, kind)
    }));
    columns
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::FOLDS;

    fn name() -> TableName {
        TableName::new("lake", "org-1", "pods_1_0a").unwrap()
    }

    #[test]
    fn names_and_locations_are_quoted() {
        assert_eq!(
            add_files(&name(), "s3://usage/it's/data"),
            "ALTER TABLE \"lake\".\"org-1\".\"pods_1_0a\" EXECUTE \
            add_files(location => 's3://usage/it''s/data', format => 'PARQUET')"
        );
        let created = create_table(&name(), &FOLDS[0], "local:///a'; DROP TABLE b --");
        assert!(
            created.contains("location = 'local:///a''; DROP TABLE b --')"),
            "{created}"
        );
        assert!(created.contains("(\"interval_start_us\" bigint, \"usage_day\" date, "));
        assert!(created.contains("\"pod\" varchar"), "{created}");
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn a_name_with_anything_else_in_it_is_none() {
        for wrong in ["", "A", "a.b", "a\"b", "a b", "ü", "a;b"] {
            assert_eq!(TableName::new("lake", "org", wrong), None, "{wrong}");
            assert_eq!(TableName::new(wrong, "org", "pods"), None, "{wrong}");
            assert_eq!(TableName::new("lake", wrong, "pods"), None, "{wrong}");
        }
    }

    /// It is what the declaration says, and what the design was tried with.
    #[test]
    fn a_fold_follows_from_its_declaration() {
        assert_eq!(
            fold(&name(), &FOLDS[0].parts[1]),
            "SELECT \"interval_start_us\", \"node_name_id\", \
            max(\"node_capacity_cpu_core_hours_e12\"), \
            max(\"node_capacity_memory_gigabyte_hours_e12\"), \
            max(\"node_role\") FILTER (WHERE \"node_role\" IN ('infra', 'master', 'worker')), \
            count(*) FROM \"lake\".\"org-1\".\"pods_1_0a\" GROUP BY 1, 2"
        );
        for part in FOLDS.iter().flat_map(|fold| fold.parts) {
            let statement = fold(&name(), part);
            let (selected, grouped) = statement.split_once(" FROM ").unwrap();
            // No column is named with a comma, but lists of words are.
            let commas = part
                .words
                .iter()
                .map(|word| word.among.len() - 1)
                .sum::<usize>();
            let casts = selected.matches("decimal(38,0)").count();
            let columns = selected.matches(',').count() + 1 - commas - casts;
            assert_eq!(columns, part.columns().len(), "{statement}");
            assert!(
                grouped.ends_with(&(part.keys.len() + 1).to_string()),
                "{statement}"
            );
        }
    }
}
