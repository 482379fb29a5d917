//! A door for fuzzers: a whole file in chunks, as texts.

use gristmill_stage::{ColumnType, OpenParser, Parser, Sets, WantedColumn};

use crate::{Config, CsvParse};

/// What became of a record: its fields, or the code that it was rejected with.
pub type Outcome = Result<Vec<String>, String>;

/// The records of a file by their lines; a failure as its text.
///
/// # Errors
/// The file is refused.
pub fn records(
    file: &[u8],
    chunk_bytes: usize,
    columns: &[&str],
) -> Result<Vec<(u64, Outcome)>, String> {
    let wanted = columns.iter().map(|name| WantedColumn {
        name: (*name).to_owned(),
        column_type: ColumnType::Utf8,
        required: true,
        empty_is_null: false,
    });
    let context = OpenParser {
        columns: wanted.collect(),
        sets: Sets::default(),
    };
    let mut parser =
        CsvParse::open(Config::default(), context).map_err(|failure| format!("{failure:?}"))?;
    let mut records = Vec::new();
    let chunks = file
        .chunks(chunk_bytes.max(1))
        .map(|chunk| (chunk, false))
        .chain([(&[][..], true)]);
    for (chunk, last) in chunks {
        let parsed = parser
            .parse(chunk.to_vec(), last)
            .map_err(|failure| format!("{failure:?}"))?;
        let views: Vec<_> = parsed
            .columns
            .iter()
            .map(gristmill_stage::Column::as_utf8)
            .collect();
        for (row, line) in parsed.lines.iter().enumerate() {
            let cells = views
                .iter()
                .map(|view| view.get(row).unwrap_or("NULL").to_owned());
            records.push((*line, Ok(cells.collect())));
        }
        let rejects = parsed.rejects.into_iter();
        records.extend(rejects.map(|reject| (reject.line, Err(reject.code))));
    }
    records.sort_by_key(|(line, _)| *line);
    Ok(records)
}
