//! Whether two schemas hold the same: row by row and exactly, as multisets, up to the
//! first day, table and row that differ.
//!
//! `sql/compared_columns.sql` says what of a row is compared. Rows are read through one
//! cursor a side, in one order, so that no table is held whole.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;

use chrono::NaiveDate;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, Postgres, Transaction};

use crate::database::{Database, SqlError};
use crate::diagnostics::failure::{Failure, Result};

/// What of two schemas is compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    /// The ledger's tables too, and not only those that consumers read.
    pub with_ledger: bool,
    /// The first and the last of the days that count; all days, and what is of no day,
    /// without it.
    pub days: Option<(NaiveDate, NaiveDate)>,
    pub tables_left_out: &'a [&'a str],
    /// Of every table, besides those that are never compared.
    pub columns_left_out: &'a [&'a str],
}

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub tables: usize,
    /// Rows that both have, as far as there was no difference.
    pub rows: u64,
    /// The first of the differences; none when all is the same.
    pub difference: Option<RowDifference>,
}

/// A row that one side has and the other has not, or has with other values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowDifference {
    /// Of a label summary the first one of its month; `None` for a table of no day.
    pub day: Option<NaiveDate>,
    pub table: String,
    pub columns: Vec<String>,
    /// The texts of these columns; `None` for a side without such a row.
    pub left: Option<Vec<Option<String>>>,
    pub right: Option<Vec<Option<String>>>,
}

/// A table whose rows are compared.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
struct ComparedTable {
    table_name: String,
    is_of_consumers: bool,
    is_daily: bool,
    /// Those that say which row it is come first.
    columns: Vec<String>,
    /// How many say so.
    names: i64,
}

/// A row as both databases order it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
struct ComparedRow {
    day: Option<NaiveDate>,
    cells: Vec<Option<String>>,
}

/// Rows of a side that are held at once.
const ROWS_HELD: usize = 500;

/// As `ROWS_HELD`; a number in a statement is no parameter here.
const FETCH: &str = "FETCH 500 FROM compared_rows";

/// Compares what two databases hold, each as it is at one moment. They are two, even if
/// their schemas are of one server, since each takes a connection.
///
/// # Errors
/// A database fails, or they have not the same tables.
pub fn compare(left: &Database, right: &Database, scope: &Scope<'_>) -> Result<Comparison> {
    left.wait(async {
        let mut left = Side::of(left).await.map_err(failed)?;
        let mut right = Side::of(right).await.map_err(failed)?;
        let tables = left.tables(scope).await.map_err(failed)?;
        if tables != right.tables(scope).await.map_err(failed)? {
            let message = "cannot compare two schemas whose tables differ";
            return Err(Failure::run(message).hint("open both with the same gristmill"));
        }
        let mut comparison = Comparison {
            tables: tables.len(),
            rows: 0,
            difference: None,
        };
        for table in &tables {
            let walk = comparison.walk(table, scope, &mut left, &mut right);
            walk.await.map_err(failed)?;
        }
        Ok(comparison)
    })
}

fn failed(error: sqlx::Error) -> Failure {
    SqlError(error).failure("cannot compare the tables")
}

impl Comparison {
    /// Walks over a table, as far as a difference there would be the first one.
    async fn walk(
        &mut self,
        table: &ComparedTable,
        scope: &Scope<'_>,
        left: &mut Side,
        right: &mut Side,
    ) -> Result<(), sqlx::Error> {
        let first_day = scope.days.map(|(first, _)| first);
        let mut last_day = scope.days.map(|(_, last)| last);
        if let Some(day) = self.difference.as_ref().and_then(|known| known.day) {
            last_day = day.pred_opt();
        }
        left.open(table, scope, first_day, last_day).await?;
        right.open(table, scope, first_day, last_day).await?;
        let pair = loop {
            match (left.next().await?, right.next().await?) {
                (None, None) => break None,
                (Some(ours), Some(theirs)) if ours == theirs => self.rows += 1,
                pair => break Some(pair),
            }
        };
        left.close().await?;
        right.close().await?;
        let found = pair.map(|(ours, theirs)| table.difference(ours, theirs));
        let comes_first = |found: &RowDifference| match self.difference {
            // Of a day that counts here, it is an earlier one.
            Some(_) => found.day.is_some(),
            None => true,
        };
        if let Some(found) = found.filter(comes_first) {
            self.difference = Some(found);
        }
        Ok(())
    }
}

impl ComparedTable {
    /// What two rows in the same place tell: either that there is one row with two
    /// values, or that the first of them is missing on the other side.
    fn difference(&self, left: Option<ComparedRow>, right: Option<ComparedRow>) -> RowDifference {
        let (left, right) = match (left, right) {
            (Some(left), Some(right)) if !self.are_alike(&left, &right) => match left.cmp(&right) {
                Ordering::Less => (Some(left), None),
                _ => (None, Some(right)),
            },
            sides => sides,
        };
        RowDifference {
            day: left.as_ref().or(right.as_ref()).and_then(|row| row.day),
            table: self.table_name.clone(),
            columns: self.columns.clone(),
            left: left.map(|row| row.cells),
            right: right.map(|row| row.cells),
        }
    }

    /// Whether it is one row, as far as its names tell.
    fn are_alike(&self, left: &ComparedRow, right: &ComparedRow) -> bool {
        let names = self.names as usize;
        left.day == right.day && left.cells[..names] == right.cells[..names]
    }
}

impl ComparedRow {
    /// As the cursors order it: nulls come last.
    fn key(&self) -> impl Ord {
        let cells = self.cells.iter().map(|cell| (cell.is_none(), cell));
        (self.day.is_none(), self.day, cells.collect::<Vec<_>>())
    }
}

impl Ord for ComparedRow {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for ComparedRow {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One of the two, at the moment at which it was first read.
struct Side {
    transaction: Transaction<'static, Postgres>,
    fetched: VecDeque<ComparedRow>,
    /// The cursor has no more.
    has_ended: bool,
}

impl Side {
    async fn of(database: &Database) -> Result<Self, sqlx::Error> {
        let mut transaction = database.pool().begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut *transaction)
            .await?;
        Ok(Self {
            transaction,
            fetched: VecDeque::new(),
            has_ended: true,
        })
    }

    fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    async fn tables(&mut self, scope: &Scope<'_>) -> Result<Vec<ComparedTable>, sqlx::Error> {
        let mut tables: Vec<ComparedTable> =
            sqlx::query_as(include_str!("../../../sql/compared_columns.select.sql"))
                .bind(scope.columns_left_out)
                .fetch_all(self.connection())
                .await?;
        tables.retain(|table| {
            (table.is_of_consumers || scope.with_ledger)
                && (table.is_daily || scope.days.is_none())
                && !scope.tables_left_out.contains(&table.table_name.as_str())
        });
        Ok(tables)
    }

    async fn open(
        &mut self,
        table: &ComparedTable,
        scope: &Scope<'_>,
        first_day: Option<NaiveDate>,
        last_day: Option<NaiveDate>,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT open_compared_rows('compared_rows', $1, $2, $3, $4)")
            .bind(&table.table_name)
            .bind(scope.columns_left_out)
            .bind(first_day)
            .bind(last_day)
            .execute(self.connection())
            .await?;
        self.has_ended = false;
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<ComparedRow>, sqlx::Error> {
        if self.fetched.is_empty() && !self.has_ended {
            let rows: Vec<ComparedRow> = sqlx::query_as(FETCH)
                .persistent(false)
                .fetch_all(self.connection())
                .await?;
            self.has_ended = rows.len() < ROWS_HELD;
            self.fetched = rows.into();
        }
        Ok(self.fetched.pop_front())
    }

    async fn close(&mut self) -> Result<(), sqlx::Error> {
        self.fetched.clear();
        sqlx::query("CLOSE compared_rows")
            .execute(self.connection())
            .await
            .map(drop)
    }
}

impl RowDifference {
    /// The difference in words; `preposition` stands before what the sides are called, where
    /// something is on one of them.
    pub fn told(&self, preposition: &str, left_side: &str, right_side: &str) -> String {
        let mut told = match self.day {
            Some(day) => format!("{day}, `{}`: ", self.table),
            None => format!("`{}`: ", self.table),
        };
        let words = |cells: &[Option<String>]| {
            let cells = self.columns.iter().zip(cells);
            let words =
                cells.filter_map(|(name, cell)| Some(format!("{name} `{}`", cell.as_ref()?)));
            words.collect::<Vec<_>>().join(", ")
        };
        told += &match (&self.left, &self.right) {
            (Some(left), Some(right)) => {
                let differ: Vec<String> = self
                    .columns
                    .iter()
                    .zip(left.iter().zip(right))
                    .filter(|(_, (left, right))| left != right)
                    .map(|(name, (left, right))| {
                        format!(
                            "{name} is {} {preposition} {left_side} and {} {preposition} {right_side}",
                            shown(left),
                            shown(right)
                        )
                    })
                    .collect();
                format!("{} in the row of {}", differ.join(", "), words(left))
            }
            (Some(left), None) => format!("only {left_side} has {}", words(left)),
            (None, Some(right)) => format!("only {right_side} has {}", words(right)),
            (None, None) => String::new(),
        };
        told
    }
}

impl fmt::Display for RowDifference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.told("on", "the left", "the right"))
    }
}

fn shown(cell: &Option<String>) -> String {
    cell.as_ref()
        .map_or_else(|| "null".into(), |cell| format!("`{cell}`"))
}
