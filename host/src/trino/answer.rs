//! What Trino answers, as JSON, and rows of it as rows of day parts.

use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, de};

use crate::diagnostics::failure::{Failure, Result};
use crate::fold::{FoldColumnKind, Grain, Part, PartKey, PartRow, TableFold};

const MICROSECONDS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// One page of an answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    pub(super) id: String,
    pub(super) next_uri: Option<String>,
    #[serde(default)]
    pub(super) data: Vec<Vec<Cell>>,
    #[serde(default)]
    pub(super) stats: Stats,
    pub(super) error: Option<QueryError>,
}

/// How far a statement is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Stats {
    pub(super) state: String,
    pub(super) completed_splits: u64,
    pub(super) total_splits: u64,
}

/// Why a statement failed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct QueryError {
    pub(super) message: String,
    pub(super) error_name: String,
    pub(super) error_type: String,
}

/// A value: all that statements of ours select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Text(String),
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Cell;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a null, an integer or a text")
            }

            fn visit_unit<E: de::Error>(self) -> std::result::Result<Cell, E> {
                Ok(Cell::Null)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> std::result::Result<Cell, E> {
                Ok(Cell::Integer(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> std::result::Result<Cell, E> {
                i64::try_from(value).map(Cell::Integer).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, value: &str) -> std::result::Result<Cell, E> {
                Ok(Cell::Text(value.to_owned()))
            }

            fn visit_string<E: de::Error>(self, value: String) -> std::result::Result<Cell, E> {
                Ok(Cell::Text(value))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// Reads rows of the statement that `statements::fold` makes of a part.
pub(super) struct PartReader {
    grain: Grain,
    keys: Vec<FoldColumnKind>,
    maxima: usize,
    words: usize,
    sums: usize,
}

impl PartReader {
    pub(super) fn new(fold: &TableFold, part: &Part) -> PartReader {
        PartReader {
            grain: part.grain,
            keys: part.keys.iter().map(|key| fold.kind(key)).collect(),
            maxima: part.maxima.len(),
            words: part.words.len(),
            sums: part.sums.len(),
        }
    }

    /// # Errors
    /// Trino answers with other types than it was asked for.
    pub(super) fn row(&self, cells: Vec<Cell>) -> Result<PartRow> {
        let expected = self.keys.len() + self.maxima + self.words + self.sums + 2;
        if cells.len() != expected {
            return Err(odd(&format!("{} columns for {expected}", cells.len())));
        }
        let mut cells = cells.into_iter();
        // There are as many as were counted.
        let mut next = || cells.next().unwrap_or(Cell::Null);
        Ok(PartRow {
            start: match (self.grain, next()) {
                (Grain::Interval, Cell::Integer(start)) => start,
                (Grain::Day, Cell::Text(day)) => start_of(&day)?,
                (_, other) => return Err(odd(&format!("the time {other:?}"))),
            },
            keys: self
                .keys
                .iter()
                .map(|kind| match (kind, next()) {
                    (_, Cell::Null) => Ok(PartKey::Null),
                    (FoldColumnKind::Int64, Cell::Integer(value)) => Ok(PartKey::Int64(value)),
                    (FoldColumnKind::Text, Cell::Text(text)) => Ok(PartKey::Text(text)),
                    (_, other) => Err(odd(&format!("the key {other:?}"))),
                })
                .collect::<Result<_>>()?,
            maxima: (0..self.maxima)
                .map(|_| match next() {
                    Cell::Null => Ok(None),
                    Cell::Integer(value) => Ok(Some(value)),
                    other => Err(odd(&format!("the maximum {other:?}"))),
                })
                .collect::<Result<_>>()?,
            words: (0..self.words)
                .map(|_| match next() {
                    Cell::Null => Ok(None),
                    Cell::Text(word) => Ok(Some(word)),
                    other => Err(odd(&format!("the word {other:?}"))),
                })
                .collect::<Result<_>>()?,
            sums: (0..self.sums)
                .map(|_| match next() {
                    Cell::Null => Ok(None),
                    Cell::Text(sum) => match sum.parse() {
                        Ok(sum) => Ok(Some(sum)),
                        Err(_) => Err(odd(&format!("the sum `{sum}`"))),
                    },
                    other => Err(odd(&format!("the sum {other:?}"))),
                })
                .collect::<Result<_>>()?,
            rows: match next() {
                Cell::Integer(rows) => u64::try_from(rows).map_err(|_| odd("a negative count"))?,
                other => return Err(odd(&format!("the count {other:?}"))),
            },
        })
    }
}

/// The first instant of a day, UTC.
fn start_of(day: &str) -> Result<i64> {
    let date: NaiveDate = day.parse().map_err(|_| odd(&format!("the day `{day}`")))?;
    let epoch = chrono::DateTime::UNIX_EPOCH.date_naive();
    Ok((date - epoch).num_days() * MICROSECONDS_PER_DAY)
}

fn odd(what: &str) -> Failure {
    Failure::run(format!(
        "Trino answers with {what}, which it was not asked for"
    ))
    .hint("see that `[trino]` names a Trino that gristmill's book says it was tried with")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::FOLDS;

    #[test]
    fn rows_are_read_exactly() {
        let text = r#"{"id":"1","nextUri":"http://a/b","stats":{"state":"RUNNING","completedSplits":1,"totalSplits":3,"other":{}},
            "data":[["1969-12-31",1,null,"pod ü\"",null,-5,9223372036854775807,null,
                "170141183460469231731687303715884105727","-1",null,"0","0","0","0","0",24]]}"#;
        let page: Page = serde_json::from_str(text).unwrap();
        assert_eq!(page.stats.total_splits, 3);
        let reader = PartReader::new(&FOLDS[0], &FOLDS[0].parts[0]);
        let row = reader.row(page.data.into_iter().next().unwrap()).unwrap();
        assert_eq!(row.start, -MICROSECONDS_PER_DAY);
        assert_eq!(row.keys[2], PartKey::Text("pod ü\"".into()));
        assert_eq!(row.keys[1], PartKey::Null);
        assert_eq!(row.maxima, [Some(i64::MAX), None]);
        assert_eq!(row.sums[..3], [Some(i128::MAX), Some(-1), None]);
        assert_eq!(row.rows, 24);
    }

    #[test]
    fn an_answer_of_other_types_is_refused() {
        let reader = PartReader::new(&FOLDS[0], &FOLDS[0].parts[1]);
        let cells = |time: Cell, role: Cell| {
            vec![
                time,
                Cell::Integer(1),
                Cell::Null,
                Cell::Null,
                role,
                Cell::Integer(1),
            ]
        };
        assert!(reader.row(cells(Cell::Integer(0), Cell::Null)).is_ok());
        for wrong in [
            cells(Cell::Text("2026-01-01".into()), Cell::Null),
            cells(Cell::Integer(0), Cell::Integer(1)),
            vec![Cell::Integer(0)],
        ] {
            assert!(reader.row(wrong.clone()).is_err(), "{wrong:?}");
        }
        assert!(serde_json::from_str::<Cell>("1.5").is_err());
        assert!(serde_json::from_str::<Cell>("[1]").is_err());
    }
}
