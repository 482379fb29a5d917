//! Every line that the program prints: data to standard output, all else to
//! standard error.
#![expect(clippy::print_stderr, reason = "this is the one place that prints")]

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

use crate::database::without_passwords;
use crate::failure::{Exit, Failure};
use crate::ingest::Progress;
use crate::printable;
use crate::problem::{Problem, Sources};
use crate::stage::{LogLevel, LogLine};

/// How often live progress is drawn.
const PROGRESS_TICK: Duration = Duration::from_millis(100);

/// The lines of live progress.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// One line of standard error: what is going on.
pub fn say(line: &str) {
    eprintln!("{}", printable::lines(line));
}

/// Text to standard output, as it is.
pub fn data(text: &str) {
    // A reader that went away, such as `head`, has what it wants.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Text to standard output, fit for a terminal.
pub fn text(text: &str) {
    data(&printable::lines(text));
}

/// A value to standard output as JSON, in one line.
pub fn json_line<T: Serialize>(value: &T) {
    match serde_json::to_string(value) {
        Ok(text) => data(&text),
        Err(error) => eprintln!("error: cannot write JSON: {error}"),
    }
}

/// A value to standard output as JSON.
pub fn json<T: Serialize>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => data(&text),
        Err(error) => eprintln!("error: cannot write JSON: {error}"),
    }
}

/// Rows to standard output under a header. Columns named in `numbers` are aligned
/// to the right.
pub fn table(header: &[&str], numbers: &[usize], rows: &[Vec<String>]) {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(
            row.iter()
                .map(|cell| printable::lines(cell).replace('\t', " ")),
        );
    }
    for index in numbers {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    data(&table.to_string());
}

/// The last word of a run that did not go well.
pub fn failure(failure: &Failure) {
    eprintln!("error: {}", printable::lines(&failure.to_string()));
    if let Some(hint) = &failure.hint {
        eprintln!("\nhint: {}", printable::lines(hint));
    }
}

/// What is wrong with the command line, or the help that was asked for.
pub fn usage(refusal: &clap::Error) -> ExitCode {
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let text = refusal.to_string();
    let shown = without_passwords(&text, arguments);
    match shown == text {
        // In colours, where there are some.
        true => drop(refusal.print()),
        false => eprint!("{}", printable::lines(&shown)),
    }
    ExitCode::from(u8::try_from(refusal.exit_code()).unwrap_or(Exit::Definition as u8))
}

/// Everything that is wrong with a definition.
pub fn problems(sources: &Sources, problems: &[Problem]) {
    for problem in problems {
        eprintln!("error: {}\n", printable::lines(&sources.render(problem)));
    }
}

/// What stages logged.
pub fn log(lines: &[(String, LogLine)]) {
    for (stage, line) in lines {
        let level = match line.level {
            LogLevel::Debug => continue,
            LogLevel::Info => "info",
            LogLevel::Warn => "warning",
            LogLevel::Error => "error",
        };
        eprintln!("{level}: stage `{stage}`: {}", line.message);
    }
}

/// Live progress on a terminal until it is dropped; one plain line elsewhere.
pub struct Live {
    done: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Live {
    pub fn begin(name: &str, progress: &Arc<Progress>) -> Self {
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
        let (watched, stop) = (Arc::clone(progress), Arc::clone(&done));
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

/// `payload.tar.gz  12,345 rows  56 MB/s  csv-parse 71 %, …`
fn line(name: &str, progress: &Progress, elapsed: Duration) -> String {
    let megabytes = progress.bytes.load(Ordering::Relaxed) as f64 / 1e6;
    let stages = progress
        .stages
        .lock()
        .map(|stages| stages.clone())
        .unwrap_or_default();
    let total: f64 = stages.values().map(Duration::as_secs_f64).sum();
    let shares: Vec<String> = stages
        .iter()
        .map(|(stage, time)| format!("{stage} {:.0} %", 100.0 * time.as_secs_f64() / total))
        .collect();
    format!(
        "{name}  {} rows  {:.1} MB/s  {}",
        grouped(progress.rows.load(Ordering::Relaxed)),
        megabytes / elapsed.as_secs_f64().max(0.001),
        shares.join(", ")
    )
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
