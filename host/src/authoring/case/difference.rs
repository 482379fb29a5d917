//! Compares the rows that a stage made with those that a case expects, row by row and
//! cell by cell: as sentences for machines, and side by side for people.

use std::fmt;

use crate::authoring::harness::run_path::Divergence;
use crate::authoring::harness::table::Table;

/// Rows up to which two tables are aligned; longer ones are compared by position.
const ALIGNED_ROWS_MAX: usize = 2_000;

/// Lines of one difference shown side by side.
const SHOWN_MAX: usize = 20;

/// One thing that is not as expected.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// A cell of a row that both have.
    Cell {
        table: &'static str,
        /// Counted from 0; of the row that came.
        row: usize,
        column: String,
        expected: String,
        got: String,
    },
    /// A row that only one of them has.
    Row {
        table: &'static str,
        /// Counted from 0; of the row where it stands.
        row: usize,
        expected: Option<String>,
        got: Option<String>,
    },
    Budget {
        key: &'static str,
        budget: f64,
        measured: f64,
    },
    /// From what comes of the case on the path of a run.
    Path(Divergence),
    Other(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cell {
                table,
                row,
                column,
                expected,
                got,
            } => write!(
                formatter,
                "{table}, row {row}, column `{column}`: expected `{expected}`, got `{got}`"
            ),
            Self::Row {
                table,
                row,
                expected,
                got,
            } => match (expected, got) {
                (Some(expected), _) => {
                    write!(
                        formatter,
                        "{table}, row {row}: expected `{expected}`, got no such row"
                    )
                }
                (None, got) => write!(
                    formatter,
                    "{table}, row {row}: expected no such row, got `{}`",
                    got.as_deref().unwrap_or_default()
                ),
            },
            Self::Budget {
                key,
                budget,
                measured,
            } => write!(
                formatter,
                "budget: `{key}` is {budget}, measured {}",
                rounded(*measured)
            ),
            Self::Path(divergence) => write!(formatter, "{divergence}"),
            Self::Other(text) => formatter.write_str(text),
        }
    }
}

/// At most three digits behind the point, and none that say nothing.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).ceil() / 1_000.0
}

/// Lists the rows of a table that the case does not expect.
pub(super) fn unexpected(table: &'static str, got: &Table) -> Vec<Difference> {
    let rows = got.rows.iter().enumerate();
    rows.map(|(row, cells)| extra(table, row, cells)).collect()
}

/// Compares a table with the CSV that is expected.
pub(super) fn of_tables(table: &'static str, expected: &str, got: &Table) -> Vec<Difference> {
    let wanted = match Table::read(expected) {
        Ok(wanted) => wanted,
        Err(error) => return vec![Difference::Other(format!("{table}: {error}"))],
    };
    if wanted == *got {
        return Vec::new();
    }
    if wanted.header != got.header {
        return vec![Difference::Other(format!(
            "{table}: expected the columns `{}`, got `{}`",
            wanted.header.join(","),
            got.header.join(",")
        ))];
    }
    let mut differences = Vec::new();
    for pair in aligned(&wanted.rows, &got.rows) {
        match pair {
            (Some(left), Some(right)) => {
                let (wanted_row, got_row) = (&wanted.rows[left], &got.rows[right]);
                for ((column, expected), got) in got.header.iter().zip(wanted_row).zip(got_row) {
                    if expected != got {
                        differences.push(Difference::Cell {
                            table,
                            row: right,
                            column: column.clone(),
                            expected: expected.clone(),
                            got: got.clone(),
                        });
                    }
                }
            }
            (Some(left), None) => differences.push(Difference::Row {
                table,
                row: left,
                expected: Some(wanted.rows[left].join(",")),
                got: None,
            }),
            (None, Some(right)) => differences.push(extra(table, right, &got.rows[right])),
            (None, None) => {}
        }
    }
    differences
}

fn extra(table: &'static str, row: usize, cells: &[String]) -> Difference {
    Difference::Row {
        table,
        row,
        expected: None,
        got: Some(cells.join(",")),
    }
}

type Pair = (Option<usize>, Option<usize>);

/// Which row stands for which: equal rows in common order first, and what is
/// between them by position.
fn aligned(left: &[Vec<String>], right: &[Vec<String>]) -> Vec<Pair> {
    let common = match left.len().max(right.len()) <= ALIGNED_ROWS_MAX {
        true if left.len() != right.len() => common_rows(left, right),
        _ => Vec::new(),
    };
    let mut pairs = Vec::new();
    let (mut from_left, mut from_right) = (0, 0);
    for (to_left, to_right) in common.into_iter().chain([(left.len(), right.len())]) {
        let between = (to_left - from_left).max(to_right - from_right);
        for step in 0..between {
            let at = |from: usize, to: usize| Some(from + step).filter(|row| *row < to);
            pairs.push((at(from_left, to_left), at(from_right, to_right)));
        }
        if to_left < left.len() && to_right < right.len() {
            pairs.push((Some(to_left), Some(to_right)));
        }
        (from_left, from_right) = (to_left + 1, to_right + 1);
    }
    pairs
}

/// The longest common subsequence, as positions.
fn common_rows(left: &[Vec<String>], right: &[Vec<String>]) -> Vec<(usize, usize)> {
    // lengths[i][j]: how much the rows from i and from j have in common.
    let width = right.len() + 1;
    let mut lengths = vec![0_u16; (left.len() + 1) * width];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            lengths[i * width + j] = if left[i] == right[j] {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut common = Vec::new();
    while i < left.len() && j < right.len() {
        if left[i] == right[j] {
            common.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    common
}

/// The differences for people: sentences as they are, cells and rows in columns
/// below each other.
pub fn lines(differences: &[Difference]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut tables: Vec<&'static str> = Vec::new();
    for difference in differences {
        match difference {
            Difference::Cell { table, .. } | Difference::Row { table, .. } => {
                if !tables.contains(table) {
                    tables.push(table);
                    lines.extend(side_by_side(table, differences));
                }
            }
            other => lines.extend(other.to_string().lines().map(str::to_string)),
        }
    }
    lines
}

fn side_by_side(table: &str, differences: &[Difference]) -> Vec<String> {
    const NOTHING: &str = "(no such row)";
    let mut grid = vec![[table, "column", "expected", "got"].map(str::to_string)];
    let mut hidden = 0;
    for difference in differences {
        let cells = match difference {
            Difference::Cell {
                table: of,
                row,
                column,
                expected,
                got,
            } if *of == table => [
                format!("row {row}"),
                column.clone(),
                shown(expected),
                shown(got),
            ],
            Difference::Row {
                table: of,
                row,
                expected,
                got,
            } if *of == table => {
                let side = |side: &Option<String>| {
                    side.as_deref().map_or_else(|| NOTHING.to_string(), shown)
                };
                [
                    format!("row {row}"),
                    String::new(),
                    side(expected),
                    side(got),
                ]
            }
            _ => continue,
        };
        match grid.len() <= SHOWN_MAX {
            true => grid.push(cells),
            false => hidden += 1,
        }
    }
    let width = |column: usize| {
        let cells = grid.iter().map(|cells| cells[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2)];
    let mut lines: Vec<String> = grid
        .iter()
        .map(|[row, column, expected, got]| {
            let [first, second, third] = widths;
            format!("{row:first$}  {column:second$}  {expected:third$}  {got}")
        })
        .collect();
    if hidden > 0 {
        lines.push(format!("and {hidden} more"));
    }
    lines
}

/// A cell on one line, and something to see where it is empty.
fn shown(cell: &str) -> String {
    match cell.is_empty() {
        true => "(empty)".to_string(),
        false => cell.replace('\r', "\\r").replace('\n', "\\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(expected: &str, got: &str) -> Vec<Difference> {
        of_tables("output", expected, &Table::read(got).unwrap())
    }

    #[test]
    fn differences_name_row_and_column() {
        let differences = compared("a,b\n1,2\n3,4\n", "a,b\n1,2\n3,5\n");
        assert_eq!(
            differences[0].to_string(),
            "output, row 1, column `b`: expected `4`, got `5`"
        );
        assert_eq!(differences.len(), 1);
    }

    #[test]
    fn a_row_too_many_leaves_the_others_alone() {
        let sentences: Vec<String> = compared("a\n1\n3\n4\n", "a\n1\n2\n3\n4\n")
            .iter()
            .map(Difference::to_string)
            .collect();
        assert_eq!(sentences, ["output, row 1: expected no such row, got `2`"]);
        let sentences: Vec<String> = compared("a\n1\n2\n3\n", "a\n1\n9\n")
            .iter()
            .map(Difference::to_string)
            .collect();
        assert_eq!(
            sentences,
            [
                "output, row 1, column `a`: expected `2`, got `9`",
                "output, row 2: expected `3`, got no such row"
            ]
        );
    }

    #[test]
    fn people_see_both_sides() {
        let differences = compared("pod,x\nweb,10\ndb,\n", "pod,x\nweb,9\ndb,1\nnew,2\n");
        assert_eq!(
            lines(&differences),
            [
                "output  column  expected       got",
                "row 0   x       10             9",
                "row 1   x       (empty)        1",
                "row 2           (no such row)  new,2",
            ]
        );
    }

    #[test]
    fn a_measured_number_is_never_shown_below_its_budget() {
        let over = Difference::Budget {
            key: "fuel-per-row",
            budget: 10.0,
            measured: 10.000_01,
        };
        assert_eq!(
            over.to_string(),
            "budget: `fuel-per-row` is 10, measured 10.001"
        );
    }
}
