//! Prints every line of the program: data to standard output, all else to standard error.
//!
//! There is one way out for each of them, which makes all text fit for a terminal,
//! whoever wrote it. So nobody else needs to know which text others wrote.

mod failure;
mod live;
mod log;
mod style;
mod table;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

pub use self::failure::words_of;
pub use self::live::{Live, Step, Turn};
pub use self::log::{log, show_log};
pub use self::table::{Table, table};
use crate::diagnostics::failure::{Exit, Failure};
use crate::diagnostics::printable;

/// Whether a failure is told to a program.
static JSON: AtomicBool = AtomicBool::new(false);

/// Whether standard output has something that a program reads.
static GIVEN: AtomicBool = AtomicBool::new(false);

/// From now on failures are told to a program.
pub fn speak_json() {
    JSON.store(true, Ordering::Relaxed);
}

fn speaks_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// From now on tables are shown in full, however wide the terminal is.
pub fn show_wide() {
    style::forget_width();
}

/// Lines to standard error. Nothing gets there in another way, but live progress.
fn tell(text: &str) {
    let shown = printable::lines(text);
    let shown = match style::colours(&std::io::stderr()) {
        true => style::with_labels(&shown),
        false => shown,
    };
    // Nobody is told that nobody listens.
    live::beside(|| drop(writeln!(std::io::stderr(), "{shown}")));
}

/// Lines to standard output. Nothing gets there in another way, but cells that another
/// program reads, and tables, whose cells are made fit one by one.
fn give(text: &str) {
    write(&printable::lines(text));
}

fn write(text: &str) {
    // A reader that went away, such as `head`, has what it wants.
    live::beside(|| drop(writeln!(std::io::stdout(), "{text}")));
}

/// A log line: what is going on.
pub fn say(line: &str) {
    tracing::info!("{line}");
}

/// Text to standard output, fit for a terminal.
pub fn text(text: &str) {
    give(text);
}

/// CSV to standard output: as it is for the program that reads it, fit for a terminal
/// where there is one.
pub fn csv(text: &str) {
    match std::io::stdout().is_terminal() {
        true => give(text),
        false => write(text),
    }
}

/// A value to standard output as JSON, in one line.
pub fn json_line<T: Serialize>(value: &T) {
    as_json(value, printable::Json::default());
}

/// A value to standard output as JSON.
pub fn json<T: Serialize>(value: &T) {
    as_json(value, printable::Json::pretty());
}

fn as_json<T: Serialize>(value: &T, formatter: printable::Json) {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    match value.serialize(&mut serializer) {
        Ok(()) => {
            GIVEN.store(true, Ordering::Relaxed);
            give(&String::from_utf8_lossy(&text));
        }
        Err(error) => tell(&format!("error: cannot write JSON: {error}")),
    }
}

/// A failure before the last word, to standard error.
pub fn failure(failure: &Failure) {
    match speaks_json() {
        true => tell(&failure::object(failure)),
        false => failure::told(failure).iter().for_each(|words| tell(words)),
    }
}

/// The last word of a command that did not go well. Under `--json` it is one object: on
/// standard output when nothing else was given there, so that there is always something
/// to read, and only one thing.
pub fn last_word(failure: &Failure) {
    match speaks_json() && !GIVEN.load(Ordering::Relaxed) {
        true => give(&failure::object(failure)),
        false => self::failure(failure),
    }
}

/// A command line that cannot be understood, or that asks for help: the exit code.
/// `without_secrets` takes out what nobody may see.
pub fn refusal(refusal: &clap::Error, without_secrets: &dyn Fn(&str) -> String) -> ExitCode {
    let words = without_secrets(&refusal.render().to_string());
    let exit = u8::try_from(refusal.exit_code()).unwrap_or(Exit::Definition as u8);
    if refusal.use_stderr() && speaks_json() {
        last_word(&failure::of_arguments(refusal, &words));
        return ExitCode::from(exit);
    }
    let shown = printable::lines(&words);
    match shown == refusal.render().to_string() {
        // In colours, where there is a terminal; whoever went away needs no help.
        true => drop(refusal.print()),
        false => tell(shown.trim_end()),
    }
    ExitCode::from(exit)
}

/// From now on a terminal gets what it can show, and a bug of ours is told like anything
/// else: its words may be of others.
pub fn open() {
    style::heed_dumb_terminals();
    std::panic::set_hook(Box::new(|panic| tell(&format!("error: {panic}"))));
}

/// A count with its thousands apart.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
