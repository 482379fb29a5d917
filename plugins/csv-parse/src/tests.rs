//! Whole files through the parser, in chunks of every size.

use gristmill_stage::{
    Column, ColumnType, Fact, Failure, OpenParser, Parser, RejectedRecord, Sets, Values,
    WantedColumn, parse_config,
};

use super::CsvParse;

/// A file as rows of text, however many chunks it came in.
#[derive(Debug, Default, PartialEq)]
struct Table {
    rows: Vec<Vec<String>>,
    places: Vec<(u64, u64, u32)>,
    rejects: Vec<RejectedRecord>,
    facts: Vec<Fact>,
}

fn cell(column: &Column, rows: usize, row: usize) -> String {
    let text = match &column.values {
        Values::Boolean(_) => column
            .as_boolean(rows)
            .get(row)
            .map(|value| value.to_string()),
        Values::Int64(_) => column.as_int64().get(row).map(|value| value.to_string()),
        Values::Float64(_) => column.as_float64().get(row).map(|value| value.to_string()),
        Values::Timestamp(_) => column
            .as_timestamp()
            .get(row)
            .map(|value| value.to_string()),
        Values::Utf8(_) => column.as_utf8().get(row).map(str::to_owned),
        Values::Dictionary(_) => column.as_dictionary().get(row).map(str::to_owned),
    };
    text.unwrap_or_else(|| "NULL".to_owned())
}

fn parse(
    config: &str,
    columns: &[WantedColumn],
    file: &[u8],
    chunk_bytes: usize,
) -> Result<Table, Failure> {
    let context = OpenParser {
        columns: columns.to_vec(),
        sets: Sets::default(),
    };
    let mut parser = CsvParse::open(parse_config(config)?, context)?;
    let mut table = Table::default();
    let chunks = file
        .chunks(chunk_bytes)
        .map(|chunk| (chunk, false))
        .chain([(&[][..], true)]);
    for (chunk, last) in chunks {
        let parsed = parser.parse(chunk.to_vec(), last)?;
        assert_eq!(parsed.columns.len(), columns.len());
        for row in 0..parsed.rows {
            table.rows.push(
                parsed
                    .columns
                    .iter()
                    .map(|column| cell(column, parsed.rows, row))
                    .collect(),
            );
            table
                .places
                .push((parsed.lines[row], parsed.starts[row], parsed.lengths[row]));
        }
        table.rejects.extend(parsed.rejects);
    }
    table.facts = parser.finish()?;
    Ok(table)
}

/// Parses in chunks of every size up to the whole, which must not matter.
fn parse_all_ways(columns: &[WantedColumn], file: &[u8]) -> Table {
    let whole = parse("{}", columns, file, file.len().max(1)).unwrap();
    for chunk_bytes in 1..file.len() {
        let table = parse("{}", columns, file, chunk_bytes).unwrap();
        assert_eq!(table, whole, "in chunks of {chunk_bytes}");
    }
    whole
}

fn text(name: &str) -> WantedColumn {
    WantedColumn::new(name, ColumnType::Dictionary)
}

fn number(name: &str) -> WantedColumn {
    WantedColumn::new(name, ColumnType::Float64)
}

#[track_caller]
fn check_rows(columns: &[WantedColumn], file: &str, expected: &[&[&str]]) -> Table {
    let table = parse_all_ways(columns, file.as_bytes());
    assert_eq!(table.rows, expected);
    table
}

#[track_caller]
fn check_failure(config: &str, columns: &[WantedColumn], file: &[u8], expected: &str) {
    for chunk_bytes in [1, 3, 1000] {
        let failure = parse(config, columns, file, chunk_bytes).unwrap_err();
        assert_eq!(failure.to_string(), expected, "in chunks of {chunk_bytes}");
    }
}

#[test]
fn columns_are_found_by_name_in_any_order() {
    let columns = [text("pod"), number("x"), text("later").optional()];
    let table = check_rows(&columns, "x,spare,pod\n1,2,web\n", &[&["web", "1", "NULL"]]);
    assert_eq!(table.facts, [Fact::new("ignored-columns", ["spare"])]);
}

#[test]
fn line_ends_blank_lines_and_the_byte_order_mark() {
    check_rows(
        &[text("a"), text("b")],
        "\u{feff}a,b\r\n1,2\r\n",
        &[&["1", "2"]],
    );
    check_rows(
        &[text("a"), text("b")],
        "a,b\n\n1,2\n\r\n3,4",
        &[&["1", "2"], &["3", "4"]],
    );
    check_rows(&[text("a,\"")], "\u{feff}\"a,\"\"\"\n1", &[&["1"]]);
    check_rows(&[text("a")], "a\nx\r", &[&["x"]]);
}

#[test]
fn quoted_fields_hold_anything() {
    let file = "a,b\n\"x,\r\n\"\"é\"\"\",1\n\"\",\"2\"\nq\"q,3\n";
    let table = check_rows(
        &[text("a"), number("b")],
        file,
        &[&["x,\r\n\"é\"", "1"], &["", "2"], &["q\"q", "3"]],
    );
    // The first record takes two lines: a line end is inside its quotes.
    assert_eq!(table.places, [(2, 4, 14), (4, 19, 6), (5, 26, 5)]);
}

#[test]
fn files_without_rows() {
    check_rows(&[text("a")], "", &[]);
    check_rows(&[text("a")], "\n\n", &[]);
    check_rows(&[text("a")], "\u{feff}", &[]);
    check_rows(&[text("a")], "a", &[]);
    check_rows(&[text("a")], "a\r\n", &[]);
}

#[test]
fn empty_cells_are_null_or_zero() {
    let types = [
        ColumnType::Float64,
        ColumnType::Int64,
        ColumnType::Utf8,
        ColumnType::Dictionary,
        ColumnType::Timestamp,
        ColumnType::Boolean,
    ];
    for (column_type, expected) in types.into_iter().zip(["0", "0", "", "", "empty", "empty"]) {
        let zero = [WantedColumn::new("a", column_type), text("b")];
        let table = parse_all_ways(&zero, b"a,b\n,x\n");
        let found = match table.rejects.first() {
            Some(reject) => &reject.code,
            None => &table.rows[0][0],
        };
        assert_eq!(found, expected, "{column_type}");
        let null = [zero[0].clone().empty_is_null(), text("b")];
        check_rows(&null, "a,b\n,x\n", &[&["NULL", "x"]]);
    }
}

#[test]
fn a_record_that_does_not_fit_is_rejected_alone() {
    let columns = [text("a"), number("b").empty_is_null(), text("c")];
    let file = "a,b,c\nkept,1,x\nbad,one,y\nshort,1\nlong,1,2,3\n\"a\"b,1,z\n,,\n";
    let table = parse_all_ways(&columns, file.as_bytes());
    assert_eq!(table.rows, [["kept", "1", "x"], ["", "NULL", ""]]);
    let rejects: Vec<_> = table
        .rejects
        .iter()
        .map(|reject| {
            let raw = &file[reject.start as usize..][..reject.length as usize];
            (
                reject.line,
                raw,
                reject.column.as_deref(),
                &*reject.code,
                &*reject.message,
            )
        })
        .collect();
    let expected = [
        (
            3,
            "bad,one,y",
            Some("b"),
            "not-a-number",
            "expected a number, found `one`",
        ),
        (
            4,
            "short,1",
            None,
            "wrong-field-count",
            "expected 3 fields, found 2",
        ),
        (
            5,
            "long,1,2,3",
            None,
            "wrong-field-count",
            "expected 3 fields, found 4",
        ),
        (
            6,
            "\"a\"b,1,z",
            Some("a"),
            "malformed-quotes",
            "there is text after a closing quote",
        ),
    ];
    assert_eq!(rejects, expected);
}

#[test]
fn a_quote_that_nobody_closes_costs_its_record() {
    let table = parse_all_ways(&[text("a")], b"a\nx\n\"y\nz\n");
    assert_eq!(table.rows, [["x"]]);
    let [reject] = &table.rejects[..] else {
        panic!("{:?}", table.rejects)
    };
    assert_eq!((reject.line, reject.start, reject.length), (3, 4, 5));
    assert_eq!(reject.code, "unterminated-quote");
}

#[test]
fn a_record_has_a_largest_length() {
    let config = r#"{ "record-bytes-max": 5 }"#;
    let long = "line 2: the record is longer than 5 bytes";
    check_failure(config, &[text("a")], b"a\n123456\n", long);
    check_failure(config, &[text("a")], b"a\n123456", long);
    check_failure(config, &[text("a")], b"a\n\"2345\n7\n9\n", long);
    check_failure(config, &[text("a")], b"a\n\"23456", long);
    check_failure(
        config,
        &[text("abcdef")],
        b"abcdef\n",
        "line 1: the record is longer than 5 bytes",
    );
    let table = parse(config, &[text("a")], b"a\r\n12345\r\n12345", 1).unwrap();
    assert_eq!(table.rows, [["12345"], ["12345"]]);
}

#[test]
fn headers_that_cannot_be_used() {
    let columns = [text("a"), text("pod")];
    check_failure(
        "{}",
        &columns,
        b"a,b\n1,2\n",
        "line 1, column `pod`: is required, but not in the header",
    );
    check_failure(
        "{}",
        &columns,
        b"\na,pod,a\n",
        "line 2, column `a`: appears twice in the header",
    );
    check_failure(
        "{}",
        &columns,
        b"a,\xff\n",
        "line 1: the header is not UTF-8",
    );
    check_failure(
        "{}",
        &columns,
        b"a,\"pod\n",
        "line 1: the header has an unclosed quote",
    );
    check_failure(
        "{}",
        &columns,
        b"\"a\"b,pod\n",
        "line 1: the header has text after a closing quote",
    );
}

#[test]
fn the_configuration_is_checked() {
    let semicolons = parse(
        r#"{ "delimiter": ";" }"#,
        &[text("a,b")],
        b"a,b;c\n1;2\n",
        100,
    )
    .unwrap();
    assert_eq!(semicolons.rows, [["1"]]);
    for delimiter in ["\\\"", "é", "\\n"] {
        let config = format!("{{ \"delimiter\": \"{delimiter}\" }}");
        let reason =
            "config key `delimiter`: must be one ASCII character, and no quote or line end";
        check_failure(&config, &[text("a")], b"a\n", reason);
    }
    check_failure(
        r#"{ "record-bytes-max": 0 }"#,
        &[text("a")],
        b"a\n",
        "config key `record-bytes-max`: must be at least 1",
    );
    check_failure(
        r#"{ "quote": "'" }"#,
        &[text("a")],
        b"a\n",
        "config key `quote`: unknown field `quote`, expected `delimiter` or `record-bytes-max`",
    );
}

#[test]
fn a_rejected_null_leaves_no_trace() {
    let columns = [number("a").empty_is_null(), number("b")];
    let table = parse_all_ways(&columns, b"a,b\n1,1\n,x\n2,2\n,3\n");
    assert_eq!(table.rows, [["1", "1"], ["2", "2"], ["NULL", "3"]]);
}

#[test]
fn records_that_do_not_fit_may_be_anywhere_among_many() {
    let columns = [number("a"), text("b"), number("c")];
    let mut file = "a,b,c\n".to_owned();
    let mut rows = Vec::new();
    let mut rejects = Vec::new();
    for number in 0..3000_u32 {
        // Long runs without a fault, and faults close to each other.
        let kind = match number.wrapping_mul(2_654_435_761) >> 16 & 0x3f {
            kind if number / 200 % 2 == 0 => kind,
            _ => 63,
        };
        let line = u64::from(number) + 2;
        let (record, code, column) = match kind {
            0 => (format!("x,gone {number},1\n"), "not-a-number", Some("a")),
            1 => (format!("{number},\0,1\n"), "nul-byte", Some("b")),
            2 => (format!("{number},b,-\n"), "not-a-number", Some("c")),
            3 => (format!("{number},b\n"), "wrong-field-count", None),
            4 => (format!("x,\"gone\"{number},1\n"), "not-a-number", Some("a")),
            5 => (format!("{number},\"b{number}\",1\n"), "", None),
            _ => (format!("{number},b{number},1\n"), "", None),
        };
        file.push_str(&record);
        match code {
            "" => rows.push([number.to_string(), format!("b{number}"), "1".to_owned()]),
            _ => rejects.push((line, code, column)),
        }
    }
    assert!(rejects.len() > 100 && rows.len() > 2000);
    for chunk_bytes in [file.len(), 10_000, 777, 50] {
        let table = parse("{}", &columns, file.as_bytes(), chunk_bytes).unwrap();
        assert_eq!(table.rows, rows, "in chunks of {chunk_bytes}");
        let found = table.rejects.iter().map(|reject| {
            let column = reject.column.as_deref();
            (reject.line, reject.code.as_str(), column)
        });
        assert_eq!(found.collect::<Vec<_>>(), rejects);
        for (row, (line, start, length)) in rows.iter().zip(&table.places) {
            let record = &file[*start as usize..][..*length as usize];
            assert_eq!(record.replace('"', ""), row.join(","), "line {line}");
            let before = &file[..*start as usize];
            assert_eq!(*line, 1 + before.matches('\n').count() as u64);
        }
    }
}

#[test]
fn what_stands_behind_a_fault_is_no_value_of_a_dictionary() {
    let context = OpenParser {
        columns: vec![number("a"), text("b")],
        sets: Sets::default(),
    };
    let mut parser = CsvParse::open(parse_config("{}").unwrap(), context).unwrap();
    let file = b"a,b\n1,x\nno number,gone\n2,y\n3,x\n";
    let parsed = parser.parse(file.to_vec(), true).unwrap();
    let Values::Dictionary(dictionary) = &parsed.columns[1].values else {
        panic!("{:?}", parsed.columns[1])
    };
    assert_eq!(dictionary.values.data, b"xy");
    assert_eq!(dictionary.keys, [0, 1, 0]);
}

#[test]
fn too_many_records_that_do_not_fit_are_no_report() {
    let (header, good, bad) = ("a\n", "1\n", "x\n");
    let file = [header, good, &bad.repeat(100_000), good].concat();
    let table = parse("{}", &[number("a")], file.as_bytes(), file.len()).unwrap();
    assert_eq!((table.rows.len(), table.rejects.len()), (2, 100_000));

    let file = [header, good, &bad.repeat(100_001), good].concat();
    let failure = parse("{}", &[number("a")], file.as_bytes(), file.len()).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "line 100003: more than 100000 records do not fit"
    );
}
