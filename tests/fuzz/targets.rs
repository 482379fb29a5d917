//! The targets of fuzzing: functions that take any bytes and panic when a promise is
//! broken. `tests/fuzzing.rs` runs them in every test run, `make fuzz` for as long as one
//! likes.

use gristmill_plugin_csv_parse::fuzzing::records;

pub(crate) fn csv(bytes: &[u8]) {
    const HEADER: &[u8] = b"a,b\n";
    let file = [HEADER, bytes].concat();
    let whole = records(&file, file.len(), &["a", "b"]);
    for chunk_bytes in [1, 7, 64] {
        let chunked = records(&file, chunk_bytes, &["a", "b"]);
        assert_eq!(chunked, whole, "in chunks of {chunk_bytes}");
    }
    // Only line feeds end lines here, and the library takes carriage returns too.
    let Ok(whole) = whole else { return };
    if bytes.contains(&b'\r') {
        return;
    }
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(&file[..]);
    let library: Vec<csv::ByteRecord> = reader.byte_records().map_while(Result::ok).collect();
    assert_eq!(whole.len(), library.len(), "records");
    for ((line, ours), theirs) in whole.iter().zip(&library) {
        match ours {
            Ok(fields) => {
                let fields: Vec<&[u8]> = fields.iter().map(String::as_bytes).collect();
                assert_eq!(fields, theirs.iter().collect::<Vec<_>>(), "line {line}");
            }
            Err(code) => match code.as_str() {
                "wrong-field-count" => assert_ne!(theirs.len(), 2, "line {line}"),
                "nul-byte" => assert!(theirs.as_slice().contains(&0), "line {line}"),
                "not-utf8" => {
                    let is_text = |field| std::str::from_utf8(field).is_ok();
                    assert!(!theirs.iter().all(is_text), "line {line}");
                }
                // The library reads on where quotes are malformed.
                _ => {}
            },
        }
    }
}

pub(crate) use gristmill::fuzzing::{definition, manifest, stage_output, tarball};
