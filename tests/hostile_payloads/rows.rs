//! Cells, rows and headers that no operator writes.

use chrono::{Datelike, Months, Utc};

use super::{Case, among_good, good, pods, published, quarantined, refused, survives};
use crate::support::payload::Report;
use crate::support::scene::Scene;

const USAGE: &str = "pod_usage_cpu_core_seconds";

/// A row with this usage among good ones.
fn usage(name: &'static str, number: u32, cell: &str, rows: &'static [&'static str]) -> Case {
    let payload = among_good(number, &[("pod", "bad"), (USAGE, cell)]);
    quarantined(name, payload, rows)
}

#[test]
fn numbers_that_are_none_are_quarantined() {
    const NONE: &[&str] = &["202 csv-parse pod_usage_cpu_core_seconds not-a-number"];
    const OUT: &[&str] = &["202 csv-parse pod_usage_cpu_core_seconds out-of-range"];
    const UNFIT: &[&str] = &["202 load pod_usage_cpu_core_hours out-of-range"];
    const FINE: &[&str] = &[];
    let digits = "9".repeat(900_000);
    survives(
        &Scene::new(),
        vec![
            usage("NaN", 2, "NaN", NONE),
            usage("nan with a sign", 3, "-nan", NONE),
            usage("inf", 4, "inf", NONE),
            usage("Infinity", 5, "-Infinity", NONE),
            usage("hexadecimal", 6, "0x1p3", NONE),
            usage("underscores", 7, "1_000", NONE),
            usage("decimal comma", 8, "\"1,5\"", NONE),
            usage("other digits", 9, "١٢٣", NONE),
            usage("NUL", 10, "1\x002", NONE),
            usage("formula", 11, "=1+1", NONE),
            usage("two signs", 12, "--1", NONE),
            usage("spaces alone", 13, "   ", NONE),
            usage("1e400", 14, "1e400", OUT),
            usage("minus 1e400", 15, "-1e400", OUT),
            usage(
                "an exponent that overflows",
                16,
                "1e99999999999999999999",
                OUT,
            ),
            usage("900,000 digits", 17, &digits, OUT),
            usage("more than 1e18", 18, "1.1e18", UNFIT),
            usage("nearly infinite", 19, "1.7976931348623157e308", UNFIT),
            usage("minus zero", 20, "-0", FINE),
            usage("negative", 21, "-3600", FINE),
            usage("next to nothing", 22, "5e-324", FINE),
            usage("less than nothing", 23, "1e-400", FINE),
        ],
    );
}

/// `spec`: what is negative passes, as the existing product has it.
#[test]
fn negative_usage_counts() {
    let scene = Scene::new();
    let report = Report::pods().hours(0..4).row(4, &[(USAGE, "-1800")]);
    let ended = scene.load(&pods(2, report.text()));
    assert_eq!(ended.code, Some(0), "{ended}");
    scene.has_usage("1.5");
}

#[test]
fn times_that_are_none_are_quarantined() {
    const NONE: &[&str] = &["202 csv-parse interval_start not-a-timestamp"];
    const ZONE: &[&str] = &["202 csv-parse interval_start not-utc"];
    const EMPTY: &[&str] = &["202 csv-parse interval_start empty"];
    const UNFIT: &[&str] = &["202 load interval_start out-of-range"];
    let time = |name, number, cell, rows| {
        quarantined(
            name,
            among_good(number, &[("pod", "bad"), ("interval_start", cell)]),
            rows,
        )
    };
    survives(
        &Scene::new(),
        vec![
            time("empty", 2, "", EMPTY),
            time("a leap second", 3, "2026-01-10 23:59:60 +0000 UTC", NONE),
            time("hour 24", 4, "2026-01-10 24:00:00 +0000 UTC", NONE),
            time(
                "day 30 of February",
                5,
                "2026-02-30 00:00:00 +0000 UTC",
                NONE,
            ),
            time("month 0", 6, "2026-00-10 00:00:00 +0000 UTC", NONE),
            time("year 0", 7, "0000-01-10 00:00:00 +0000 UTC", NONE),
            time(
                "five digits of year",
                8,
                "12026-01-10 00:00:00 +0000 UTC",
                NONE,
            ),
            time("seconds since 1970", 9, "1768003200", NONE),
            time("a minus", 10, "-2026-01-10 00:00:00 +0000 UTC", NONE),
            time("another zone", 11, "2026-01-10 00:00:00 +0200 CEST", ZONE),
            time("another offset", 12, "2026-01-10T00:00:00+02:00", ZONE),
            time("no zone", 13, "2026-01-10 00:00:00", ZONE),
            time("fractions", 14, "2026-01-10T00:00:00.5Z", ZONE),
            time(
                "monotonic",
                15,
                "2026-01-10 00:00:00 +0000 UTC m=+1.5",
                ZONE,
            ),
            time("year 1", 16, "0001-01-01 00:00:00 +0000 UTC", UNFIT),
            time("year 1999", 17, "1999-12-31 23:00:00 +0000 UTC", UNFIT),
            time("year 2100", 18, "2100-01-01 00:00:00 +0000 UTC", UNFIT),
            time("year 9999", 19, "9999-12-31 23:59:59 +0000 UTC", UNFIT),
        ],
    );
}

#[test]
fn a_payload_of_too_many_months_is_refused() {
    let first = Utc::now().date_naive().with_day(1).expect("a first day");
    let report = (0..40).fold(Report::pods(), |report, months_ago| {
        let time = format!("{} 00:00:00 +0000 UTC", first - Months::new(months_ago));
        report.row(0, &[("interval_start", &time)])
    });
    survives(
        &Scene::new(),
        vec![refused(
            "forty months",
            pods(2, report.text()),
            "spans more than 36 months",
        )],
    );
}

#[test]
fn text_that_no_table_holds_is_quarantined() {
    let scene = Scene::new();
    let bytes = |number: u32, from: &str, to: &[u8]| {
        let text = good().row(0, &[("pod", from)]).text().to_owned();
        let at = text.find(from).expect("the cell");
        let report = [
            &text.as_bytes()[..at],
            to,
            &text.as_bytes()[at + from.len()..],
        ]
        .concat();
        super::upload(number).file_of("pods.csv", &report).tarball()
    };
    survives(
        &scene,
        vec![
            quarantined(
                "NUL",
                bytes(2, "PLACE", b"a\0b"),
                &["202 csv-parse pod nul-byte"],
            ),
            quarantined(
                "Latin-1",
                bytes(3, "PLACE", b"caf\xe9"),
                &["202 csv-parse pod not-utf8"],
            ),
            quarantined(
                "half a surrogate",
                bytes(4, "PLACE", b"\xed\xa0\x80"),
                &["202 csv-parse pod not-utf8"],
            ),
            quarantined(
                "too many bytes",
                bytes(5, "PLACE", b"\xc0\xaf"),
                &["202 csv-parse pod not-utf8"],
            ),
            quarantined(
                "too few fields",
                pods(
                    6,
                    &good()
                        .row(0, &[("pod", "bad")])
                        .text()
                        .replace(",bad,", ","),
                ),
                &["202 csv-parse wrong-field-count"],
            ),
            quarantined(
                "too many fields",
                bytes(7, "PLACE", b"a,b,c,d"),
                &["202 csv-parse wrong-field-count"],
            ),
            quarantined(
                "text behind a quote",
                bytes(8, "PLACE", b"\"a\"b"),
                &["202 csv-parse pod malformed-quotes"],
            ),
            quarantined(
                "never closed",
                bytes(9, "PLACE", b"\"open"),
                &["202 csv-parse unterminated-quote"],
            ),
            quarantined(
                "NUL in a line of its own",
                bytes(10, "2026-01-01 00:00:00 +0000 UTC", b"\0"),
                &["2 csv-parse report_period_start not-a-timestamp"],
            ),
            published("quote inside", bytes(11, "PLACE", b"a\"b")),
            published("carriage return alone", bytes(12, "PLACE", b"a\rb")),
            published("line end in quotes", bytes(13, "PLACE", b"\"a\r\nb\"")),
            published(
                "a million of one letter",
                bytes(14, "PLACE", &vec![b'a'; 1_000_000]),
            ),
        ],
    );
}

#[test]
fn headers_that_are_none_are_refused() {
    let text = good().text().to_owned();
    let unknown = "is of no kind that pipeline `ocp` knows";
    let columns: String = (0..120_000).map(|column| format!("c{column},")).collect();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let of = |name, number, bytes: &[u8], words| {
        let payload = super::upload(number).file_of("pods.csv", bytes);
        refused(name, payload.tarball(), words)
    };
    let twice = text.replacen("pod,", "pod,pod,", 1);
    survives(
        &Scene::new(),
        vec![
            of(
                "a column twice",
                2,
                twice.as_bytes(),
                "column `pod`: appears twice in the header",
            ),
            of("UTF-16", 3, &utf16, unknown),
            of("one long word", 4, &vec![b'x'; 10 << 20], unknown),
            of(
                "quote never closed",
                5,
                &[b"\"", text.as_bytes()].concat(),
                unknown,
            ),
            of(
                "line ends of another age",
                6,
                text.replace('\n', "\r").as_bytes(),
                "report `pods.csv`",
            ),
            of(
                "escape sequences",
                7,
                b"\x1b[2J\x1b[H,\x07\n1,2\n",
                "begins with `\\u{1b}[2J",
            ),
            of("noise", 8, &vec![0xa5; 5 << 20], unknown),
            of(
                "blank lines alone",
                9,
                "\n".repeat(1 << 20).as_bytes(),
                unknown,
            ),
            of(
                "120,000 columns",
                10,
                format!("{columns}{text}").as_bytes(),
                "learned more than 100000 words of the payload (`learned-words` in `[limits]`)",
            ),
            of(
                "a million columns",
                11,
                format!("{}{text}", columns.repeat(9)).as_bytes(),
                unknown,
            ),
            of(
                "a column that is not UTF-8",
                12,
                &[b"\xff,", text.as_bytes()].concat(),
                "the header is not UTF-8",
            ),
        ],
    );
}

#[test]
fn headers_that_are_odd_are_read() {
    let text = good().text().to_owned();
    let (header, rows) = text.split_once('\n').expect("a header");
    survives(
        &Scene::new(),
        vec![
            published("a header alone", pods(2, &format!("{header}\n"))),
            published(
                "a header with a mark",
                pods(3, &format!("\u{feff}{header}")),
            ),
            published("nothing", pods(4, "")),
            published("no line end", pods(5, text.trim_end())),
            published("CRLF", pods(6, &text.replace('\n', "\r\n"))),
            published("blank lines", pods(7, &text.replace('\n', "\n\n\r\n"))),
            published("quoted", {
                let quoted: Vec<String> = header
                    .split(',')
                    .map(|name| format!("\"{name}\""))
                    .collect();
                pods(8, &format!("{}\n{rows}", quoted.join(",")))
            }),
            quarantined(
                "header again",
                pods(9, &format!("{text}{header}\n")),
                &["202 csv-parse report_period_start not-a-timestamp"],
            ),
            published("columns of no use", {
                let more = |line: &str| format!("{line},{}\n", ["x"; 900].join(","));
                let names: Vec<String> = (0..900).map(|column| format!("more{column}")).collect();
                let rows: String = rows.lines().map(more).collect();
                pods(10, &format!("{header},{}\n{rows}", names.join(",")))
            }),
        ],
    );
}
