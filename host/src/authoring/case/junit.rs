//! Results of cases as JUnit XML, which every CI can show.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

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
///
/// # Errors
/// The library cannot write it.
pub fn document(results: &[Result<'_>]) -> std::result::Result<String, SerializeError> {
    let mut suites: Vec<(&str, TestSuite)> = Vec::new();
    for result in results {
        let position = suites.iter().position(|(stage, _)| *stage == result.stage);
        let position = position.unwrap_or_else(|| {
            suites.push((result.stage, TestSuite::new(fit(result.stage))));
            suites.len() - 1
        });
        let suite = &mut suites[position].1;
        suite.add_test_case(test_case(result));
        suite.set_time(suite.time.unwrap_or_default() + result.time);
    }
    let mut report = Report::new("gristmill");
    report.set_time(results.iter().map(|result| result.time).sum());
    report.add_test_suites(suites.into_iter().map(|(_, suite)| suite));
    report.to_string()
}

fn test_case(result: &Result<'_>) -> TestCase {
    let status = match result.differences {
        [] => TestCaseStatus::success(),
        [first, ..] => {
            let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
            failure.set_message(fit(first));
            failure.set_description(fit(&result.differences.join("\n")));
            failure
        }
    };
    let mut case = TestCase::new(fit(result.case), status);
    case.set_classname(fit(result.stage)).set_time(result.time);
    case
}

/// Text of others as on a terminal. The library leaves out tabs, and lets pass two
/// characters that XML has no way to write.
fn fit(text: &str) -> String {
    printable::lines(text)
        .replace('\t', " ")
        .replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_well_formed_and_does_not_steer_a_terminal() {
        let differences = ["a\t<b>\u{1}\u{1b}[2J\nc\u{ffff}\u{202e}".to_string()];
        let result = Result {
            stage: "\"s\"",
            case: "it's <&>\r\u{fffe}",
            differences: &differences,
            time: Duration::from_millis(1500),
        };
        let passed = Result {
            differences: &[],
            ..result
        };
        let text = document(&[result, passed]).unwrap();
        assert!(
            !text.contains(|c| c != '\n' && printable::is_hidden(c)),
            "{text}"
        );
        let document = roxmltree::Document::parse(&text).unwrap();
        let named = |name| document.descendants().find(|node| node.has_tag_name(name));
        let failure = named("failure").unwrap();
        assert_eq!(failure.text(), Some("a <b>  [2J\nc\u{fffd}\\u{202e}"));
        let suite = named("testsuite").unwrap();
        let attributes = ["name", "tests", "failures", "time"].map(|name| suite.attribute(name));
        assert_eq!(
            attributes,
            [Some("\"s\""), Some("2"), Some("1"), Some("3.000")]
        );
        let case = named("testcase").unwrap();
        assert_eq!(case.attribute("name"), Some("it's <&> \u{fffd}"));
    }
}
