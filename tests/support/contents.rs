//! What tables hold, without what differs from one load to the next: two databases by the
//! host's own comparator, one before and after something by digests of the same rows.

use std::collections::BTreeMap;

use gristmill::ledger::comparison::{self, Comparison, Scope};

use super::server::TestDatabase;
use super::torture::figure;

/// Which tables are compared, and how.
#[derive(Clone, Copy)]
pub(crate) struct Compared {
    pub(crate) tables_left_out: &'static [&'static str],
    /// Columns that are left out besides.
    pub(crate) without: &'static [&'static str],
}

/// Every table but the record of what people did, and the records of runs, and of what each of them loaded: that shows
/// how often something was loaded, not what. And but for whose the archive is and what
/// leaves it: `Site::is_in_order` sees to that.
pub(crate) const ALL: Compared = Compared {
    tables_left_out: &[
        "gristmill_action",
        "gristmill_run",
        "gristmill_row_account",
        "gristmill_run_stage",
        "gristmill_fold",
        "gristmill_generation",
        "gristmill_hour_read",
        "gristmill_archive_owner",
        "gristmill_archive_pending",
        "gristmill_secret",
        "_sqlx_migrations",
    ],
    without: &[],
};

/// The rows of each table: how many, and a digest of them.
pub(crate) type Contents = BTreeMap<String, (String, String)>;

#[track_caller]
pub(crate) fn contents(database: &TestDatabase, compared: Compared) -> Contents {
    let left_out = |names: &[&str]| format!("'{{{}}}'", names.join(","));
    let tables = database.query_rows(&format!(
        "SELECT table_name, string_agg(format('(%s)::text', expression), ', ' ORDER BY place)
        FROM compared_columns()
        WHERE
            expression IS NOT NULL
            AND table_name <> ALL ({}::text[])
            AND column_name <> ALL ({}::text[])
        GROUP BY table_name",
        left_out(compared.tables_left_out),
        left_out(compared.without)
    ));
    assert!(!tables.is_empty(), "there are no such tables");
    let text = |cell: Option<String>| cell.unwrap_or_default();
    let digests: Vec<String> = tables
        .into_iter()
        .map(|row| {
            let mut cells = row.into_iter().map(text);
            let mut next = || cells.next().unwrap_or_default();
            let (table, columns) = (next(), next());
            format!(
                "SELECT '{table}', count(*), coalesce(md5(string_agg(line, E'\\n' ORDER BY line)), '')
                FROM (SELECT ARRAY[{columns}]::text FROM {table} AS compared) AS lines (line)"
            )
        })
        .collect();
    let found = database.query_rows(&digests.join(" UNION ALL "));
    found
        .into_iter()
        .map(|row| {
            let mut cells = row.into_iter().map(text);
            let mut next = || cells.next().unwrap_or_default();
            (next(), (next(), next()))
        })
        .collect()
}

/// What the host says of two databases.
#[track_caller]
pub(crate) fn compare(left: &TestDatabase, right: &TestDatabase, scope: &Scope<'_>) -> Comparison {
    let compared =
        left.opened(|left| right.opened(|right| comparison::compare(left, right, scope)));
    compared.unwrap_or_else(|failure| panic!("{failure:?}"))
}

/// Fails unless a database holds what another one holds; notes whether a row was lost or
/// doubled.
#[track_caller]
pub(crate) fn are_same(
    found: &TestDatabase,
    expected: &TestDatabase,
    compared: Compared,
    after: &str,
) {
    let scope = Scope {
        with_ledger: true,
        tables_left_out: compared.tables_left_out,
        columns_left_out: compared.without,
        ..Scope::default()
    };
    let comparison = compare(found, expected, &scope);
    let is_there = |side: fn(&comparison::RowDifference) -> bool| {
        usize::from(comparison.difference.as_ref().is_some_and(side))
    };
    figure("rows lost", is_there(|row| row.left.is_none()));
    figure("rows doubled", is_there(|row| row.right.is_none()));
    if let Some(difference) = &comparison.difference {
        panic!("after {after}, found on the left, expected on the right:\n{difference}");
    }
}
