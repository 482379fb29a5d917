//! The contents of tables, without all that differs from one load to the next: ids that
//! the database gave, times of the load, folders. The meaning of such an id is looked up,
//! so that rows of one upload are not taken for those of another.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::server::TestDatabase;
use super::torture::figure;

/// Columns that hold what differs.
const IDS: [&str; 9] = [
    "child_id",
    "directory",
    "id",
    "generation",
    "manifest_id",
    "parent_id",
    "report_period_id",
    "run_id",
    "uuid",
];

/// Tables whose `cluster_id` is the id of a row.
const OF_CLUSTERS: [&str; 3] = [
    "reporting_ocp_nodes",
    "reporting_ocp_projects",
    "reporting_ocp_pvcs",
];

/// Rows of a table that are told apart when two databases differ.
const ROWS_SHOWN: usize = 6;

/// Which tables are compared, and how.
#[derive(Clone, Copy)]
pub(crate) struct Compared {
    /// A condition on `relname`.
    pub(crate) tables: &'static str,
    /// Columns that are left out besides.
    pub(crate) without: &'static [&'static str],
}

/// Every table but the records of runs, and of what each of them loaded: that shows
/// how often something was loaded, not what. And but for whose the archive is and what
/// leaves it: `Site::is_in_order` sees to that.
pub(crate) const ALL: Compared = Compared {
    tables: "relname NOT IN
        ('gristmill_run', 'gristmill_row_account', 'gristmill_run_stage', 'gristmill_generation',
        'gristmill_hour_read', 'gristmill_archive_owner', 'gristmill_archive_pending',
        'gristmill_secret', '_sqlx_migrations')",
    without: &[],
};

/// The rows of each table: how many, and a digest of them.
pub(crate) type Contents = BTreeMap<String, (String, String)>;

#[track_caller]
pub(crate) fn contents(database: &TestDatabase, compared: Compared) -> Contents {
    let digests: Vec<String> = rows_by_table(database, compared)
        .into_iter()
        .map(|(table, rows)| {
            format!(
                "SELECT '{table}', count(*), coalesce(md5(string_agg(line, E'\\n' ORDER BY line)), '')
                FROM ({rows}) AS lines (line)"
            )
        })
        .collect();
    let found = database.query_rows(&digests.join(" UNION ALL "));
    let text = |cell: Option<String>| cell.unwrap_or_default();
    found
        .into_iter()
        .map(|row| {
            let mut cells = row.into_iter().map(text);
            let mut next = || cells.next().unwrap_or_default();
            (next(), (next(), next()))
        })
        .collect()
}

/// The rows that one database has and the other has not.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub(crate) text: String,
    pub(crate) rows_missing: usize,
    pub(crate) rows_too_many: usize,
}

impl Difference {
    /// Fails unless there is none; notes how many rows were lost and doubled.
    #[track_caller]
    pub(crate) fn is_none(&self, after: &str) {
        figure("rows lost", self.rows_missing);
        figure("rows doubled", self.rows_too_many);
        assert!(self.text.is_empty(), "after {after}:\n{}", self.text);
    }
}

/// Says what one database has and the other has not.
#[track_caller]
pub(crate) fn difference(
    found: &TestDatabase,
    expected: &TestDatabase,
    compared: Compared,
) -> Difference {
    let (ours, theirs) = (contents(found, compared), contents(expected, compared));
    let mut difference = Difference::default();
    let text = &mut difference.text;
    let tables = rows_by_table(found, compared);
    for (table, rows) in &tables {
        if ours.get(table) == theirs.get(table) {
            continue;
        }
        let lines = |database: &TestDatabase| -> Vec<String> {
            let lines = database.query_rows(&format!("{rows} ORDER BY 1"));
            lines.into_iter().flatten().flatten().collect()
        };
        let (ours, theirs) = (lines(found), lines(expected));
        let _ = writeln!(
            text,
            "{table}: {} rows, expected {}",
            ours.len(),
            theirs.len()
        );
        for (sign, these, those) in [("+", &ours, &theirs), ("-", &theirs, &ours)] {
            let only = without(these, those);
            match sign {
                "+" => difference.rows_too_many += only.len(),
                _ => difference.rows_missing += only.len(),
            }
            for line in only.iter().take(ROWS_SHOWN) {
                let _ = writeln!(text, "  {sign} {line}");
            }
        }
    }
    let unknown = theirs.keys().filter(|table| !ours.contains_key(*table));
    for table in unknown {
        let _ = writeln!(text, "{table}: is not there");
    }
    difference
}

/// The lines without those of another list, each as often as it is there.
fn without<'l>(lines: &'l [String], others: &[String]) -> Vec<&'l String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for line in others {
        *counts.entry(line).or_default() += 1;
    }
    lines
        .iter()
        .filter(|line| match counts.get_mut(line) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        })
        .collect()
}

/// A query for each table that gives its rows as text.
#[track_caller]
fn rows_by_table(database: &TestDatabase, compared: Compared) -> Vec<(String, String)> {
    let tables = database.query_rows(&format!(
        "SELECT relname, string_agg(attname, ',')
        FROM pg_class
        JOIN pg_attribute
            ON attrelid = pg_class.oid
            AND attnum > 0
            AND NOT attisdropped
        WHERE
            relnamespace = 'gristmill'::regnamespace
            AND relkind IN ('r', 'p')
            AND NOT relispartition
            AND ({})
        GROUP BY relname
        ORDER BY relname",
        compared.tables
    ));
    assert!(!tables.is_empty(), "there are no such tables");
    tables
        .into_iter()
        .map(|row| {
            let mut cells = row.into_iter().flatten();
            let mut next = || cells.next().unwrap_or_default();
            let (table, columns) = (next(), next());
            let query = rows_of(&table, &columns.split(',').collect::<Vec<_>>(), compared);
            (table, query)
        })
        .collect()
}

fn rows_of(table: &str, columns: &[&str], compared: Compared) -> String {
    let differs = |column: &&&str| {
        IDS.contains(column)
            || column.ends_with("_at")
            || column.ends_with("_datetime")
            || compared.without.contains(column)
            || **column == "cluster_id" && OF_CLUSTERS.contains(&table)
    };
    let left_out: Vec<&str> = columns.iter().filter(differs).copied().collect();
    let upload = if columns.contains(&"manifest_id") {
        "|| jsonb_build_object('upload', (
            SELECT manifest.assembly_id
            FROM reporting_common_costusagereportmanifest AS manifest
            WHERE manifest.id = contents.manifest_id
        ))"
    } else if columns.contains(&"generation") {
        "|| jsonb_build_object('upload', (
            SELECT manifest.assembly_id
            FROM gristmill_generation AS generation
            JOIN reporting_common_costusagereportmanifest AS manifest
                ON manifest.id = generation.manifest_id
            WHERE generation.id = contents.generation
        ))"
    } else {
        ""
    };
    // Ids of texts are made with a secret of the schema.
    let texts: String = columns
        .iter()
        .filter_map(|column| {
            let (table, text) = if column.ends_with("_name_id") {
                ("gristmill_name", "name")
            } else if column.ends_with("_labels_id") {
                ("gristmill_label_set", "labels")
            } else {
                return None;
            };
            Some(format!(
                "|| jsonb_build_object('{column}', (
                    SELECT stored.{text} FROM {table} AS stored WHERE stored.id = contents.{column}
                ))"
            ))
        })
        .collect();
    format!(
        "SELECT (to_jsonb(contents) - '{{{}}}'::text[] {upload} {texts})::text
        FROM {table} AS contents",
        left_out.join(",")
    )
}
