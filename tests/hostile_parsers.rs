//! Parsers that break, lie or take too much. A parser that breaks fails its payload,
//! since only it knows what was in the file: the message says which stage, at which
//! batch and what, nothing stays, and the next payload loads.

use crate::support::command::{file, gristmill, same};
use crate::support::component;
use crate::support::payload::{Payload, Report, write};
use crate::support::scene::{Scene, later};
use crate::support::torture::contained;

/// The pipeline with the hostile parser for pods.
fn hostile(behaviour: &str) -> String {
    // A busy machine shall not make another fault look like this one.
    let time = match behaviour {
        // The calls before must not run out of time.
        "spins-at-finish" => "2 s",
        _ if behaviour.starts_with("spins") => "200 ms",
        _ => "20 s",
    };
    let (memory, output) = match behaviour {
        "floods" | "facts-beyond-the-limit" => ("512 MiB", "1 MiB"),
        "rejects-without-end" => ("512 MiB", "64 MiB"),
        _ => ("16 MiB", "64 MiB"),
    };
    format!(
        "[stages.hostile]
        component = {:?}
        config = {{ behaviour = {behaviour:?} }}
        limits = {{ memory = {memory:?}, output-per-batch = {output:?}, time-per-batch = {time:?} }}

        [reports.pod-usage]
        stages = [\"hostile\", \"effective-usage\", \"label-filter\", \"unit-conversion\"]
        ",
        component::hostile_parser().join("hostile_parser.wasm")
    )
}

/// The volumes are loaded when the parser of the pods breaks; they must not stay.
fn of_two_reports() -> Vec<u8> {
    Payload::numbered(2)
        .file("volumes.csv", Report::volumes().hours(0..3).text())
        .file("pods.csv", &pods())
        .tarball()
}

/// A header and three rows.
fn pods() -> String {
    Report::pods().hours(0..3).text().to_string()
}

/// Where in its source the hostile parser says this.
fn line_of(words: &str) -> usize {
    let source = include_str!("hostile-parser/src/lib.rs");
    let before = source.lines().take_while(|line| !line.contains(words));
    before.count() + 1
}

/// Fills in what depends on the payload: where its records are.
fn filled_in(words: &str) -> String {
    let text = pods();
    let starts: Vec<usize> = text
        .match_indices('\n')
        .map(|(position, _)| position + 1)
        .collect();
    let ends = starts.iter().skip(1).map(|start| start - 1);
    let places = [("START", starts.clone()), ("END", ends.collect())];
    let row = starts[1] - starts[0] - 1;
    let words = words.replace("FAR", &((1_usize << 40) + row).to_string());
    let words = words.replace("OVER", &(starts[1] + 1).to_string());
    let words = words.replace("LONG", &(starts[2] + u32::MAX as usize).to_string());
    let mut words = words.replace("FILE_BYTES", &text.len().to_string());
    for (name, places) in places {
        for (number, place) in places.iter().enumerate() {
            words = words.replace(&format!("{name}{}", number + 1), &place.to_string());
        }
    }
    words
}

#[track_caller]
fn breaks(behaviour: &str, words: &str) {
    let scene = Scene::with_pipeline(&hostile(behaviour));
    scene.fails(
        &of_two_reports(),
        &format!(
            "error: cannot ingest report `pods.csv`\n  stage `hostile` {}\n\n\
            hint: nothing of the payload was published",
            filled_in(words)
        ),
    );
    scene.loads_without_the_stage();
    contained();
}

#[track_caller]
fn lies(behaviour: &str, words: &str) {
    let lie = "broke at batch 1: returned something that the contract does not allow: ";
    breaks(behaviour, &format!("{lie}{words}"));
}

#[test]
fn a_parser_that_breaks_fails_the_payload() {
    let panicked = format!(
        "broke at batch 1: trapped: `unreachable` instruction executed\n  \
        it said: panicked at src/lib.rs:{}: the dog ate FILE_BYTES bytes",
        line_of("the dog ate")
    );
    breaks("panics", &panicked);
    for (behaviour, words) in [
        ("traps", "trapped: `unreachable` instruction executed"),
        ("exits", "trapped: the stage exited, which a stage may not"),
        ("overflows-stack", "trapped: call stack exhausted"),
        (
            "spins",
            "took longer than 200ms for one batch (`time-per-batch`)",
        ),
        (
            "spins-in-log",
            "took longer than 200ms for one batch (`time-per-batch`)",
        ),
        (
            "eats-memory",
            "wanted more than 16777216 bytes of memory (`memory`)",
        ),
    ] {
        breaks(behaviour, &format!("broke at batch 1: {words}"));
    }
    breaks(
        "refuses-in-escapes",
        "refused batch 1: line 18446744073709551615, column `b `: a [2J error: \\u{202e}",
    );
}

#[test]
fn a_parser_that_returns_no_table_fails_the_payload() {
    for (behaviour, words) in [
        (
            "floods",
            "more than 1048576 bytes for one batch (`output-per-batch`)",
        ),
        (
            "ragged",
            "column `pod_usage_cpu_core_seconds`: it has 2 values for 3 rows",
        ),
        ("too-few-columns", "19 columns where 20 were wanted"),
        ("too-many-columns", "21 columns where 20 were wanted"),
        (
            "wrong-type",
            "column `pod_usage_cpu_core_seconds`: it is int64 where the contract says float64",
        ),
        (
            "bad-keys",
            "column `node`: key 7 is out of range: it has 1 values",
        ),
        ("bad-utf8", "column `node`: its text is not valid UTF-8"),
        (
            "bad-offsets",
            "column `node`: its text offsets do not divide its 3 bytes from first to last",
        ),
        (
            "short-validity",
            "column `pod_usage_cpu_core_seconds`: its validity bitmap has 0 bytes for 3 rows",
        ),
        (
            "huge-row-count",
            "4294967295 rows with 3 lines, 3 starts and 3 lengths",
        ),
        (
            "too-few-lines",
            "3 rows with 2 lines, 3 starts and 3 lengths",
        ),
        (
            "too-few-starts",
            "3 rows with 3 lines, 2 starts and 3 lengths",
        ),
        (
            "too-many-lengths",
            "3 rows with 3 lines, 3 starts and 4 lengths",
        ),
    ] {
        lies(behaviour, words);
    }
}

#[test]
fn a_parser_that_lies_about_where_its_records_are_fails_the_payload() {
    for (behaviour, words) in [
        (
            "line-zero",
            "a record on line 0, at byte START1, behind one on line 0",
        ),
        (
            "lines-fall",
            "a record on line 3, at byte START2, behind one on line 4",
        ),
        (
            "line-beyond-the-file",
            "a record on line 18446744073709551615, at byte START3, behind one on line 3",
        ),
        (
            "start-beyond-the-file",
            "a record of bytes 1099511627776 to FAR, \
            where the file is known up to FILE_BYTES",
        ),
        (
            "start-at-the-end-of-numbers",
            "a record of bytes 18446744073709551615 to 18446744073709551615, \
            where the file is known up to FILE_BYTES",
        ),
        (
            "length-beyond-the-file",
            "a record of bytes START3 to LONG, where the file is known up to FILE_BYTES",
        ),
        (
            "records-overlap",
            "a record at byte START2, where the one before it ends at byte OVER",
        ),
        (
            "records-repeat",
            "a record at byte START1, where the one before it ends at byte END1",
        ),
        (
            "records-fall",
            "a record at byte START2, where the one before it ends at byte END3",
        ),
        (
            "records-of-no-bytes",
            "a record of no bytes, at byte START1",
        ),
        (
            "rejects-without-end",
            "a record at byte START1, where the one before it ends at byte END1",
        ),
        (
            "rejects-twice",
            "a record at byte START1, where the one before it ends at byte END1",
        ),
        (
            "rejects-what-is-a-row",
            "a record at byte START3, where the one before it ends at byte END3",
        ),
        (
            "rejects-beyond-the-file",
            "a record of bytes 1099511627776 to 1099511627777, \
            where the file is known up to FILE_BYTES",
        ),
        (
            "rejects-line-zero",
            "a record on line 0, at byte START1, behind one on line 0",
        ),
    ] {
        lies(behaviour, words);
    }
}

/// The message about so many rows of those that are passed over.
fn passed_over(rows: usize) -> String {
    let text = pods();
    let row = text.lines().nth(1).expect("a row");
    let bytes = row.bytes().filter(|byte| *byte != b' ').count() * rows;
    format!(
        "broke at the file: returned something that the contract does not allow: \
        {bytes} bytes of the file that are not white space belong to no record, \
        and it says that it left out 0 (`left-out-bytes`); "
    )
}

#[test]
fn a_parser_that_passes_over_rows_in_silence_fails_the_payload() {
    for (behaviour, rows, place) in [
        ("swallows", 3, "the first is byte START1, before any record"),
        (
            "skips-the-first",
            1,
            "the first is byte START1, before any record",
        ),
        (
            "skips-the-second",
            1,
            "the first is byte START2, behind the record on line 2",
        ),
        (
            "skips-the-last",
            1,
            "the first is byte START3, behind the record on line 3",
        ),
    ] {
        breaks(behaviour, &format!("{}{place}", passed_over(rows)));
    }
    let lie = "broke at the file: returned something that the contract does not allow: ";
    breaks(
        "lies-about-what-is-left-out",
        &format!(
            "{lie}0 bytes of the file that are not white space belong to no record, \
            and it says that it left out 7 (`left-out-bytes`)"
        ),
    );
    breaks(
        "tells-no-number",
        &format!("{lie}fact `left-out-bytes` is ` [2Jmany`, which is no number"),
    );
}

/// A parser that tells what it leaves out on purpose is right.
#[test]
fn a_parser_may_leave_out_what_it_says() {
    let scene = Scene::with_pipeline(&hostile("leaves-out"));
    let mut lines: Vec<String> = pods().lines().map(str::to_string).collect();
    lines.insert(2, "# a  note\r\n".into());
    lines.insert(1, "# another".into());
    lines.push("# the end".into());
    let text = lines.join("\n");
    let payload = Payload::numbered(2)
        .manifest("date", "2026-01-12T00:00:00Z")
        .file("pods.csv", &text);
    let ended = scene.load(&payload.tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
    scene.has_usage("1.5");
}

#[test]
fn a_parser_that_breaks_at_the_end_of_a_file_fails_the_payload() {
    for (behaviour, words) in [
        (
            "spins-at-finish",
            "broke at the file: took longer than 2s for one batch (`time-per-batch`)".into(),
        ),
        (
            "panics-at-finish",
            format!(
                "broke at the file: trapped: `unreachable` instruction executed\n  \
                it said: panicked at src/lib.rs:{}: so close",
                line_of("so close")
            ),
        ),
        (
            "eats-memory-at-finish",
            "broke at the file: wanted more than 16777216 bytes of memory (`memory`)".into(),
        ),
        (
            "refuses-at-finish",
            "refused the file: it was all [2J wrong".into(),
        ),
        (
            "facts-beyond-the-limit",
            "broke at the file: returned something that the contract does not allow: \
            more than 1048576 bytes for one batch (`output-per-batch`)"
                .into(),
        ),
    ] {
        breaks(behaviour, &words);
    }
}

/// A parser that breaks before any data is there breaks the pipeline.
#[test]
fn a_parser_that_cannot_be_opened_is_a_problem_of_the_pipeline() {
    for (behaviour, words) in [
        (
            "spins-at-open",
            "took longer than 200ms for one batch (`time-per-batch`)".into(),
        ),
        (
            "eats-memory-at-open",
            "wanted more than 16777216 bytes of memory (`memory`)".into(),
        ),
        (
            "exits-at-open",
            "trapped: the stage exited, which a stage may not".into(),
        ),
        (
            "panics-at-open",
            format!(
                "trapped: `unreachable` instruction executed\n\
                it said: panicked at src/lib.rs:{}: the door is stuck",
                line_of("the door is stuck")
            ),
        ),
        (
            "refuses-at-open-in-escapes",
            "config key `beha [2Jviour`: not \\u{202e}today".into(),
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let base = file("pipelines/ocp.toml");
        let text = format!("extends = {base:?}\n{}", hostile(behaviour));
        let pipeline = write(folder.path(), "pipeline.toml", text.as_bytes());
        let ended = gristmill(["check"])
            .argument(pipeline)
            .with_stages()
            .calling(folder.path(), "[FOLDER]")
            .ends_with(2);
        let mut lines = ended.stderr.lines();
        let first = lines.find_map(|line| line.split_once("stage `hostile`: "));
        let (_, first) = first.unwrap_or_else(|| panic!("nothing of the stage\n{ended}"));
        let rest: Vec<&str> = lines
            .map(str::trim)
            .take_while(|line| line.starts_with("it said: "))
            .collect();
        let said = [&[first], &rest[..]].concat().join("\n");
        same(behaviour, &said, &words);
        contained();
    }
}

#[test]
fn what_a_parser_says_is_bounded_and_cannot_control_the_terminal() {
    let payload = later(&Report::pods().hours(0..3));
    let load = |behaviour: &str| {
        let scene = Scene::with_pipeline(&hostile(behaviour));
        let ended = scene.load(&payload);
        assert_eq!(ended.code, Some(0), "{ended}");
        scene.has_usage("1.5");
        contained();
        ended
    };
    load("behaves").stderr_is("");
    load("says-escapes").stderr_is("warning: bad.tar.gz: stage `hostile`:  [2Jnothing to see here");
    let ended = load("chatters");
    let lines = ended.stderr.lines();
    let said = lines
        .filter(|line| line.starts_with("info: bad.tar.gz: stage `hostile`: user\\u{202e}nimda "));
    assert_eq!(said.count(), 100, "{ended}");
    let cut = "warning: bad.tar.gz: stage `hostile`: more than 100 messages (`log-lines`); the rest is dropped";
    assert!(ended.stderr.contains(cut), "{ended}");
    for behaviour in ["ignores-without-end", "ignores-escapes"] {
        let ended = load(behaviour);
        let said = [&ended.stdout, &ended.stderr].map(String::as_str).concat();
        assert!(said.len() < 8 << 10, "{} bytes\n{ended}", said.len());
        let obeyed = |character: char| character.is_control() && character != '\n';
        assert!(!said.contains(obeyed), "{ended:?}");
        assert!(!said.contains('\u{202e}'), "{ended:?}");
    }
}

#[test]
fn what_a_parser_rejects_is_bounded_and_shown_as_text() {
    for (behaviour, message) in [
        ("rejects-in-escapes", " [2Jadmin\\u{202e} ".into()),
        ("rejects-at-length", "x".repeat(1024)),
    ] {
        let patient = "[limits]\nrejected-rows = \"50 %\"\n";
        let scene = Scene::with_pipeline(&format!("{patient}{}", hostile(behaviour)));
        let ended = scene.load(&later(&Report::pods().hours(0..5)));
        assert_eq!(ended.code, Some(0), "{ended}");
        let (code, column) = match behaviour {
            "rejects-in-escapes" => ("bad code", "a "),
            _ => ("disliked", "null"),
        };
        let kept = scene.database.query_rows(
            "SELECT line, code, coalesce(column_name, 'null'), message
            FROM gristmill_quarantine",
        );
        let kept: Vec<String> = kept.into_iter().flatten().flatten().collect();
        assert_eq!(kept, ["2", code, column, message.as_str()]);
        scene.has_usage("2");
        contained();
    }
}

#[test]
fn numbers_of_a_parser_that_no_table_holds_are_quarantined() {
    for (behaviour, words) in [
        (
            "not-a-number",
            "column `pod_usage_cpu_core_hours`: NaN does not fit \
            `pod_usage_cpu_core_hours_e12`, which holds up to 9223372",
        ),
        (
            "end-of-time",
            "column `report_period_start`: 9223372036854775807 is not in the years 2000 to 2099",
        ),
    ] {
        let scene = Scene::without_floor(&hostile(behaviour));
        let row = |line| format!("  report `pods.csv`, line {line}, stage `load`: {words}\n");
        scene.fails(
            &of_two_reports(),
            &format!(
                "error: 3 of 6 rows were rejected, more than 1 %\n{}{}{}\n\
                hint: the rows are in quarantine under run 2; \
                `rejected-rows` in `[limits]` is the threshold",
                row(2),
                row(3),
                row(4)
            ),
        );
        scene.loads_without_the_stage();
        contained();
    }
}
