//! Prints every line of the program: data to standard output, all else to standard error.
//!
//! There is one way out for each of them, which makes all text fit for a terminal,
//! whoever wrote it. So nobody else needs to know which text others wrote.
#![expect(clippy::print_stderr, reason = "this is the one place that prints")]

mod log;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

pub use self::log::{log, show_log};
use crate::diagnostics::counters::Counters;
use crate::diagnostics::failure::{Exit, Failure};
use crate::diagnostics::printable;
use crate::diagnostics::problem::{Problem, Sources};

/// How often live progress is drawn.
const PROGRESS_TICK: Duration = Duration::from_millis(100);

/// The lines of live progress.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Lines to standard error. Nothing gets there in another way, but live progress.
fn tell(text: &str) {
    eprintln!("{}", printable::lines(text));
}

/// Lines to standard output. Nothing gets there in another way, but cells that another
/// program reads.
fn give(text: &str) {
    write(&printable::lines(text));
}

fn write(text: &str) {
    // A reader that went away, such as `head`, has what it wants.
    let _ = writeln!(std::io::stdout(), "{text}");
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
        Ok(()) => give(&String::from_utf8_lossy(&text)),
        Err(error) => tell(&format!("error: cannot write JSON: {error}")),
    }
}

/// Rows to standard output under a header. Columns named in `numbers` are aligned
/// to the right.
pub fn table(header: &[&str], numbers: &[usize], rows: &[Vec<String>]) {
    // Before they are aligned: what is shown is longer.
    let cell = |cell: &str| printable::lines(cell).replace('\t', " ");
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(header.iter().map(|title| cell(title)));
    for row in rows {
        table.add_row(row.iter().map(|text| cell(text)));
    }
    for index in numbers {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    give(&table.to_string());
}

/// The last word of a run that did not go well.
pub fn failure(failure: &Failure) {
    tell(&words_of(failure));
}

/// The text of a failure, fit for a terminal and for files that people look into.
pub fn words_of(failure: &Failure) -> String {
    let words = match &failure.hint {
        Some(hint) => format!("error: {failure}\n\nhint: {hint}"),
        None => format!("error: {failure}"),
    };
    printable::lines(&words)
}

/// A command line that cannot be understood, or that asks for help: the exit code.
/// `without_secrets` takes out what nobody may see.
pub fn refusal(refusal: &clap::Error, without_secrets: &dyn Fn(&str) -> String) -> ExitCode {
    let words = refusal.render().to_string();
    let shown = printable::lines(&without_secrets(&words));
    match shown == words {
        // In colours, where there is a terminal; whoever went away needs no help.
        true => drop(refusal.print()),
        false => tell(shown.trim_end()),
    }
    ExitCode::from(u8::try_from(refusal.exit_code()).unwrap_or(Exit::Definition as u8))
}

/// From now on a bug of ours is told like anything else: its words may be of others.
pub fn show_panics() {
    std::panic::set_hook(Box::new(|panic| tell(&format!("error: {panic}"))));
}

/// Everything that is wrong with a definition.
pub fn problems(sources: &Sources, problems: &[Problem]) {
    for problem in problems {
        tell(&format!("error: {}\n", sources.render(problem)));
    }
}

/// Live progress on a terminal until it is dropped; one plain line elsewhere.
pub struct Live {
    done: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Live {
    pub fn begin(name: &str, counters: &Arc<Counters>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        if !std::io::stderr().is_terminal() {
            say(&format!("{name}: running"));
            return Self { done, thread: None };
        }
        // Each has a line of its own when several payloads are at work.
        let bar = BARS.add(ProgressBar::no_length());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        let (watched, stop) = (Arc::clone(counters), Arc::clone(&done));
        let name = name.to_string();
        let thread = thread::spawn(move || {
            let started = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                bar.set_message(line(&name, &watched, started.elapsed()));
                bar.tick();
                thread::sleep(PROGRESS_TICK);
            }
            bar.finish_and_clear();
            BARS.remove(&bar);
        });
        Self {
            done,
            thread: Some(thread),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A drawing thread that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

/// What is going on in another program, on a line of a terminal until it is dropped.
pub struct Step {
    name: String,
    bar: Option<ProgressBar>,
}

impl Step {
    pub fn begin(name: &str) -> Self {
        Self {
            name: name.to_string(),
            bar: None,
        }
        .on_a_terminal()
    }

    fn on_a_terminal(mut self) -> Self {
        if std::io::stderr().is_terminal() {
            let bar = BARS.add(ProgressBar::no_length());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
        self
    }

    pub fn show(&self, state: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(printable::lines(&format!("{}: {state}", self.name)));
            bar.tick();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            BARS.remove(&bar);
        }
    }
}

/// `payload.tar.gz  12,345 rows  56 MB/s  csv-parse 71 %, …`
fn line(name: &str, counters: &Counters, elapsed: Duration) -> String {
    let megabytes = counters.bytes() as f64 / 1e6;
    let stages = counters.stages();
    let total: f64 = stages.values().map(Duration::as_secs_f64).sum();
    let shares: Vec<String> = stages
        .iter()
        .map(|(stage, time)| format!("{stage} {:.0} %", 100.0 * time.as_secs_f64() / total))
        .collect();
    printable::line(&format!(
        "{name}  {} rows  {:.1} MB/s  {}",
        grouped(counters.rows()),
        megabytes / elapsed.as_secs_f64().max(0.001),
        shares.join(", ")
    ))
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
    fn live_progress_shows_names_and_does_not_obey_them() {
        let counters = Counters::default();
        counters.add_stage("b\u{9b}2J", 0, Duration::from_secs(1));
        let line = line(
            "a\u{1b}]0;x\u{7}\n\u{202e}",
            &counters,
            Duration::from_secs(1),
        );
        assert_eq!(line, "a ]0;x  \\u{202e}  0 rows  0.0 MB/s  b 2J 100 %");
    }

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
    fn thousands_stand_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
