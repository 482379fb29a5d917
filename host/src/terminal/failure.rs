//! The words of a failure, for people and for programs.

use clap::error::ContextKind;
use serde::Serialize;

use crate::diagnostics::failure::Failure;
use crate::diagnostics::printable;

/// A failure as programs read it.
#[derive(Serialize)]
struct FailureObject<'f> {
    code: &'static str,
    exit_code: u8,
    message: &'f str,
    causes: &'f [String],
    place: Option<&'f str>,
    hint: Option<&'f str>,
    /// The failures that it sums up.
    failures: Vec<FailureObject<'f>>,
}

impl<'f> From<&'f Failure> for FailureObject<'f> {
    fn from(failure: &'f Failure) -> Self {
        // What is true of the first of its parts is where to begin.
        let first = failure.parts.first();
        let place = failure.place.as_ref();
        let hint = failure.hint.as_ref();
        Self {
            code: failure.exit.code(),
            exit_code: failure.exit as u8,
            message: &failure.message,
            causes: &failure.causes,
            place: place.or_else(|| first?.place.as_ref()).map(String::as_str),
            hint: hint.or_else(|| first?.hint.as_ref()).map(String::as_str),
            failures: failure.parts.iter().map(Self::from).collect(),
        }
    }
}

/// A failure in one line of JSON.
pub(super) fn object(failure: &Failure) -> String {
    let mut text = Vec::new();
    let formatter = printable::Json::default();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    match FailureObject::from(failure).serialize(&mut serializer) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) => format!("error: cannot write JSON: {error}"),
    }
}

/// The failures that a failure sums up, and the failure itself, each as its text.
pub(super) fn told(failure: &Failure) -> Vec<String> {
    let mut told: Vec<String> = failure.parts.iter().flat_map(told).collect();
    // A passage of a file stands apart from what follows.
    for (part, words) in failure.parts.iter().zip(&mut told) {
        if part.excerpt.is_some() {
            words.push('\n');
        }
    }
    told.push(words(failure));
    told
}

fn words(failure: &Failure) -> String {
    match (&failure.excerpt, &failure.hint) {
        // It has its hint.
        (Some(excerpt), _) => format!("error: {excerpt}"),
        (None, Some(hint)) => format!("error: {failure}\n\nhint: {hint}"),
        (None, None) => format!("error: {failure}"),
    }
}

/// The text of a failure, fit for a terminal and for files that people look into.
pub fn words_of(failure: &Failure) -> String {
    printable::lines(told(failure).join("\n").trim_end())
}

/// The failure of a command line that cannot be understood. `words` is what people are
/// told of it.
pub(super) fn of_arguments(refusal: &clap::Error, words: &str) -> Failure {
    let (sentence, rest) = words.split_once('\n').unwrap_or((words, ""));
    let sentence = sentence.strip_prefix("error: ").unwrap_or(sentence);
    let lines = rest.lines().map(str::trim).filter(|line| !line.is_empty());
    // What is missing stands below the sentence; the rest says how to go on.
    let (causes, hints): (Vec<&str>, Vec<&str>) =
        lines.partition(|line| line.starts_with(['<', '-']));
    let mut failure = Failure::definition(sentence.trim());
    failure.causes = causes.into_iter().map(str::to_string).collect();
    failure.place = refusal
        .get(ContextKind::InvalidArg)
        .or_else(|| refusal.get(ContextKind::InvalidSubcommand))
        .map(ToString::to_string);
    match hints.is_empty() {
        true => failure,
        false => failure.hint(hints.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_failure_is_fit_for_files_too() {
        let failure = Failure::run("a\u{1b}[2J\u{202e}")
            .because(anyhow::anyhow!("b\rc\u{9b}"))
            .hint("d\u{200b}");
        assert_eq!(
            words_of(&failure),
            "error: a [2J\\u{202e}\n  b c \n\nhint: d\\u{200b}"
        );
    }

    #[test]
    fn a_program_is_told_code_place_and_hint_of_the_first_of_several() {
        let part = Failure::environment("a").at("a.toml:1:2").hint("do");
        let whole = Failure::of_several("2 failed", vec![part, Failure::run("b")]);
        let object: serde_json::Value = serde_json::from_str(&object(&whole)).unwrap();
        for (key, value) in [
            ("code", "environment"),
            ("place", "a.toml:1:2"),
            ("hint", "do"),
        ] {
            assert_eq!(object[key], value, "{object}");
        }
        assert_eq!(object["exit_code"], 3);
        assert_eq!(object["failures"][1]["message"], "b");
        assert_eq!(
            words_of(&whole),
            "error: a\n\nhint: do\nerror: b\nerror: 2 failed"
        );
    }
}
