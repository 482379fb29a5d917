//! Results of cases as JUnit XML, which every CI can show.

use std::fmt::Write as _;
use std::time::Duration;

use crate::diagnostics::printable;

/// One case that was run.
#[derive(Clone, Copy, Debug)]
pub struct Result<'a> {
    pub stage: &'a str,
    pub case: &'a str,
    /// How it differs from what it expects; empty when it passed.
    pub differences: &'a [String],
    pub time: Duration,
}

/// The document; cases of a stage stand together.
pub fn document(results: &[Result<'_>]) -> String {
    let mut stages: Vec<&str> = Vec::new();
    for result in results {
        if !stages.contains(&result.stage) {
            stages.push(result.stage);
        }
    }
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<Result<'_>> = results.to_vec();
    let _ = writeln!(text, "<testsuites name=\"gristmill\"{}>", totals(&all));
    for stage in stages {
        let of_stage: Vec<Result<'_>> = results
            .iter()
            .filter(|result| result.stage == stage)
            .copied()
            .collect();
        let name = escaped(stage);
        let _ = writeln!(text, "  <testsuite name=\"{name}\"{}>", totals(&of_stage));
        for result in of_stage {
            write_case(&mut text, &name, &result);
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn totals(results: &[Result<'_>]) -> String {
    let failures = results
        .iter()
        .filter(|result| !result.differences.is_empty())
        .count();
    let time: Duration = results.iter().map(|result| result.time).sum();
    format!(
        " tests=\"{}\" failures=\"{failures}\" errors=\"0\" time=\"{:.3}\"",
        results.len(),
        time.as_secs_f64()
    )
}

fn write_case(text: &mut String, stage: &str, result: &Result<'_>) {
    let _ = write!(
        text,
        "    <testcase classname=\"{stage}\" name=\"{}\" time=\"{:.3}\"",
        escaped(result.case),
        result.time.as_secs_f64()
    );
    match result.differences {
        [] => text.push_str("/>\n"),
        differences => {
            let _ = writeln!(
                text,
                ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
                escaped(&differences[0]),
                escaped(&differences.join("\n"))
            );
        }
    }
}

/// Text for an attribute or an element. XML has no way to write most control
/// characters, so they become a replacement character. What cannot be seen shows its
/// number, as on a terminal.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\t' => escaped.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            control if control.is_control() => escaped.push('\u{fffd}'),
            hidden if printable::is_hidden(hidden) => escaped.extend(hidden.escape_unicode()),
            other => escaped.push(other),
        }
    }
    escaped
}
