//! Cells that are read, and cells that are refused.

use super::{boolean, float64, int64, text, timestamp, unescape};

#[track_caller]
fn check_fault<T>(result: Result<T, Box<super::Fault>>, code: &str, message: &str) {
    let Err(fault) = result else {
        panic!("expected {code}, but it was read")
    };
    assert_eq!((fault.code, fault.message.as_str()), (code, message));
}

#[test]
fn numbers_are_correctly_rounded() {
    let cells = [
        "0",
        "-0",
        "1",
        "8",
        "+5",
        "51.626897",
        "354808627200.000000",
        "354808627200.123456",
        "4522600562688.000000",
        "4252017623040.0005",
        "1.8e3",
        "1E-7",
        ".5",
        "5.",
        "-1.5",
        "9007199254740992",
        "9007199254740993",
        "18446744073709551615",
        "0.1",
        "0.000001",
        "123456789012345678901234567890",
        "1e308",
        "4.9e-324",
        "0.30000000000000004",
        "1000000000000000000",
        "00000000000000000001",
        "12345678",
        "123456789.123456789",
    ];
    for cell in cells {
        let expected: f64 = cell.parse().unwrap();
        let read = float64(cell.as_bytes()).unwrap();
        assert_eq!(read.to_bits(), expected.to_bits(), "{cell}");
    }
    assert_eq!(float64(b" 1800 ").unwrap(), 1800.0);
    // A long walk over six decimals, as the operator writes them.
    let mut state = 1_u64;
    for _ in 0..200_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695);
        let cell = format!("{}.{:06}", state >> (state % 61), state >> 20 & 0xf_ffff);
        let expected: f64 = cell.parse().unwrap();
        assert_eq!(
            float64(cell.as_bytes()).unwrap().to_bits(),
            expected.to_bits(),
            "{cell}"
        );
    }
}

/// A repeatable sequence of numbers that look random.
fn next_number(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn push_digits(cell: &mut String, state: &mut u64, count: u64) {
    for _ in 0..count {
        // Zeros are what the ways of reading differ about.
        let digit = next_number(state) % 20;
        cell.push(char::from(b'0' + digit.saturating_sub(10) as u8));
    }
}

#[test]
fn every_form_of_number_is_read_as_the_standard_library_does() {
    let mut state = 5;
    for wholes in 0..=22 {
        for decimals in 0..=22 {
            for round in 0..200_u64 {
                let mut cell = ["", "", "-", "+"][round as usize % 4].to_owned();
                push_digits(&mut cell, &mut state, wholes);
                if decimals > 0 || round % 3 == 0 {
                    cell.push('.');
                }
                push_digits(&mut cell, &mut state, decimals);
                let read = float64(cell.as_bytes()).ok().map(f64::to_bits);
                let expected = cell.parse::<f64>().ok().map(f64::to_bits);
                assert_eq!(read, expected, "{cell}");
            }
        }
    }
}

#[test]
fn a_wrong_byte_anywhere_in_a_number_is_seen() {
    for length in 1..=19 {
        let number = format!("{}.123456", &"1234567890123456789"[..length]);
        for position in 0..number.len() {
            for byte in u8::MIN..=u8::MAX {
                let mut cell = number.clone().into_bytes();
                cell[position] = byte;
                let expected = str::from_utf8(&cell)
                    .ok()
                    .and_then(|text| text.trim_matches(' ').parse::<f64>().ok())
                    .filter(|number| number.is_finite());
                let read = float64(&cell).ok();
                assert_eq!(
                    read.map(f64::to_bits),
                    expected.map(f64::to_bits),
                    "{cell:?}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_number_is_refused() {
    for cell in [
        "abc",
        "inf",
        "-inf",
        "Infinity",
        "NaN",
        "nan",
        "1,5",
        "1e",
        "--1",
        "+-1",
        "-",
        ".",
        " ",
        "1 2",
        "0x10",
        "1_000",
        "1..000000",
        "1.5.000000",
        "1..2",
        "1.2.3",
        "e5",
        "١",
    ] {
        let message = format!("expected a number, found `{cell}`");
        check_fault(float64(cell.as_bytes()), "not-a-number", &message);
    }
    check_fault(
        float64(b"1e400"),
        "out-of-range",
        "expected a number of double precision, found `1e400`",
    );
}

#[test]
fn whole_numbers() {
    assert_eq!(int64(b" -42 ").unwrap(), -42);
    assert_eq!(int64(b"9223372036854775807").unwrap(), i64::MAX);
    assert_eq!(int64(b"-9223372036854775808").unwrap(), i64::MIN);
    for cell in [
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999",
    ] {
        let message = format!("expected a whole number of 64 bits, found `{cell}`");
        check_fault(int64(cell.as_bytes()), "out-of-range", &message);
    }
    for cell in ["1.0", "", "-", "1e3", "x"] {
        let message = format!("expected a whole number, found `{cell}`");
        check_fault(int64(cell.as_bytes()), "not-a-whole-number", &message);
    }
}

#[test]
fn timestamps_are_utc_or_refused() {
    for (cell, seconds) in [
        ("1970-01-01 00:00:00 +0000 UTC", 0),
        ("2026-10-01 00:59:59 +0000 UTC", 1_790_816_399),
        ("2024-02-29T23:00:00Z", 1_709_247_600),
        ("2000-03-01T00:00:00+00:00", 951_868_800),
        ("1900-01-01T00:00:00Z", -2_208_988_800),
    ] {
        assert_eq!(
            timestamp(cell.as_bytes()).unwrap(),
            seconds * 1_000_000,
            "{cell}"
        );
    }
    for cell in [
        "2026-10-01 00:00:00 +0200 CEST",
        "2026-10-01 00:00:00 +0000 UTC m=+0.1",
        "2026-10-01 00:00:00",
        "2026-10-01 00:00:00.5 +0000 UTC",
        "2026-10-01T00:00:00+02:00",
        "2026-10-01T00:00:00 +0000 UTC",
        "2026-10-01 00:00:00Z",
    ] {
        let message =
            format!("expected a timestamp such as `2026-01-10 05:00:00 +0000 UTC`, found `{cell}`");
        check_fault(timestamp(cell.as_bytes()), "not-utc", &message);
    }
    for cell in [
        "2026-02-29 00:00:00 +0000 UTC",
        "1900-02-29 00:00:00 +0000 UTC",
        "2026-13-01 00:00:00 +0000 UTC",
        "2026-00-01 00:00:00 +0000 UTC",
        "2026-01-01 24:00:00 +0000 UTC",
        "2026-01-01 00:60:00 +0000 UTC",
        "2026-01-01 00:00:60 +0000 UTC",
        "2026/01/01 00:00:00 +0000 UTC",
        "2026-1-1",
        "yesterday",
    ] {
        let message = format!("expected a timestamp, found `{cell}`");
        check_fault(timestamp(cell.as_bytes()), "not-a-timestamp", &message);
    }
}

#[test]
fn booleans_and_text() {
    assert_eq!(
        [b"T".as_slice(), b"true", b"1"].map(|cell| boolean(cell).unwrap()),
        [true; 3]
    );
    assert_eq!(
        [b"F".as_slice(), b"False", b"0"].map(|cell| boolean(cell).unwrap()),
        [false; 3]
    );
    check_fault(
        boolean(b"yes"),
        "not-a-boolean",
        "expected true or false, found `yes`",
    );
    assert_eq!(text("é".as_bytes()).unwrap(), "é");
    check_fault(
        text(b"a\xff"),
        "not-utf8",
        "expected text in UTF-8, found `a\u{fffd}`",
    );
    check_fault(
        text(b"a\0"),
        "nul-byte",
        "expected text without NUL bytes, found `a\\u{0}`",
    );
    check_fault(
        boolean("é".repeat(100).as_bytes()),
        "not-a-boolean",
        &format!("expected true or false, found `{}…`", "é".repeat(40)),
    );
}

#[test]
fn doubled_quotes_are_halved() {
    let mut unescaped = Vec::new();
    unescape(br#"a""b"""""#, &mut unescaped);
    assert_eq!(unescaped, br#"a"b"""#);
}
