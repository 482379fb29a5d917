//! Live progress: what a payload is at, in one line of a terminal for as long as that
//! takes. Elsewhere a plain line says that it begins, and others what takes long.
//!
//! What the database is at comes from its session, on the thread that waits for it, and so
//! does the line that it belongs to.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::table::shortened;
use super::{grouped, say};
use crate::diagnostics::counters::Counters;
use crate::diagnostics::printable;

/// How often live progress is drawn.
const PROGRESS_TICK: Duration = Duration::from_millis(100);

/// How long nothing is said of what the database does, where there is no terminal.
const SILENCE: Duration = Duration::from_secs(10);

/// Columns of the name of a payload: others have more to say.
const NAME_WIDTH_MAX: usize = 40;

/// The lines of live progress.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

thread_local! {
    /// What this thread is at.
    static ACTIVITY: RefCell<Option<Arc<Activity>>> = const { RefCell::new(None) };
}

/// Prints something, beside which live progress stays whole.
pub(super) fn beside(print: impl FnOnce()) {
    BARS.suspend(print);
}

/// Which of a command's payloads is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Counted from 1.
    pub number: usize,
    pub of: usize,
}

/// What is known of the progress of a payload.
struct Activity {
    name: String,
    turn: Option<Turn>,
    reading: Option<Reading>,
    /// What the database is at.
    doing: Mutex<String>,
    started: Instant,
    /// When the last plain line was said.
    said: Mutex<Instant>,
}

struct Reading {
    counters: Arc<Counters>,
    /// Of all files that are read; 0 when that is not known.
    bytes: u64,
}

/// Progress that is shown until it is dropped.
pub struct Live {
    done: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What is going on in another program, on a line of a terminal until it is dropped.
pub struct Step {
    name: String,
    bar: Option<ProgressBar>,
}

impl Step {
    pub fn begin(name: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = BARS.add(ProgressBar::no_length());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self {
            name: name.to_string(),
            bar,
        }
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

impl Live {
    /// A payload is read, of which so many bytes are wanted.
    pub fn reading(name: &str, turn: Option<Turn>, counters: &Arc<Counters>, bytes: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            say(&begins(name, turn));
        }
        let counters = Arc::clone(counters);
        Self::begin(name, turn, Some(Reading { counters, bytes }), "")
    }

    /// The database makes of a payload what readers see.
    pub fn publishing(name: &str, turn: Option<Turn>) -> Self {
        Self::begin(name, turn, None, "publishing")
    }

    fn begin(name: &str, turn: Option<Turn>, reading: Option<Reading>, doing: &str) -> Self {
        let now = Instant::now();
        let activity = Arc::new(Activity {
            name: name.to_string(),
            turn,
            reading,
            doing: Mutex::new(doing.to_string()),
            started: now,
            said: Mutex::new(now),
        });
        ACTIVITY.set(Some(Arc::clone(&activity)));
        let done = Arc::new(AtomicBool::new(false));
        if !std::io::stderr().is_terminal() {
            return Self { done, thread: None };
        }
        // Each has a line of its own when several payloads are at work.
        let bar = BARS.add(ProgressBar::no_length());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        let stop = Arc::clone(&done);
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                bar.set_message(activity.line(activity.started.elapsed()));
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
        ACTIVITY.set(None);
        if let Some(thread) = self.thread.take() {
            // A drawing thread that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

/// The database says what it does for the payload that this thread is at.
pub(super) fn doing(what: &str) {
    let Some(activity) = ACTIVITY.with_borrow(Clone::clone) else {
        return;
    };
    *activity
        .doing
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = what.to_string();
    if std::io::stderr().is_terminal() {
        return;
    }
    let mut said = activity.said.lock().unwrap_or_else(PoisonError::into_inner);
    if said.elapsed() >= SILENCE {
        *said = Instant::now();
        say(&format!("{}: {what}", activity.name));
    }
}

/// `payload 2 of 12, pods.tar.gz: running`
fn begins(name: &str, turn: Option<Turn>) -> String {
    match turn.filter(|turn| turn.of > 1) {
        Some(Turn { number, of }) => format!("payload {number} of {of}, {name}: running"),
        None => format!("{name}: running"),
    }
}

impl Activity {
    /// `pods.tar.gz  2 of 12 payloads  45 %  12,345 rows  56.0 MB/s  csv-parse 71 %, …`
    fn line(&self, elapsed: Duration) -> String {
        let mut words = vec![shortened(&printable::line(&self.name), NAME_WIDTH_MAX)];
        if let Some(Turn { number, of }) = self.turn.filter(|turn| turn.of > 1) {
            words.push(format!("{number} of {of} payloads"));
        }
        match &self.reading {
            Some(reading) => words.extend(reading.words(elapsed)),
            None => {
                let doing = self.doing.lock();
                words.push(doing.unwrap_or_else(PoisonError::into_inner).clone());
                words.push(format!("{} s", elapsed.as_secs()));
            }
        }
        printable::line(&words.join("  "))
    }
}

impl Reading {
    fn words(&self, elapsed: Duration) -> Vec<String> {
        let counters = &self.counters;
        let bytes = counters.bytes();
        let stages = counters.stages();
        let total: f64 = stages.values().map(Duration::as_secs_f64).sum();
        let shares: Vec<String> = stages
            .iter()
            .map(|(stage, time)| format!("{stage} {:.0} %", 100.0 * time.as_secs_f64() / total))
            .collect();
        let mut words = Vec::new();
        if self.bytes > 0 {
            let share = 100.0 * bytes as f64 / self.bytes as f64;
            words.push(format!("{:.0} %", share.min(100.0)));
        }
        words.push(format!("{} rows", grouped(counters.rows())));
        let megabytes = bytes as f64 / 1e6;
        let seconds = elapsed.as_secs_f64().max(0.001);
        words.push(format!("{:.1} MB/s", megabytes / seconds));
        words.push(shares.join(", "));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(name: &str, turn: Option<Turn>, reading: Option<Reading>) -> Activity {
        Activity {
            name: name.into(),
            turn,
            reading,
            doing: Mutex::new("summarizing pods".into()),
            started: Instant::now(),
            said: Mutex::new(Instant::now()),
        }
    }

    #[test]
    fn live_progress_shows_names_and_does_not_obey_them() {
        let counters = Arc::new(Counters::default());
        counters.add_stage("b\u{9b}2J", 0, Duration::from_secs(1));
        let reading = Reading { counters, bytes: 0 };
        let line = activity("a\u{1b}]0;x\u{7}\n\u{202e}", None, Some(reading));
        assert_eq!(
            line.line(Duration::from_secs(1)),
            "a ]0;x  \\u{202e}  0 rows  0.0 MB/s  b 2J 100 %"
        );
    }

    #[test]
    fn a_line_has_the_share_of_bytes_and_of_payloads() {
        let counters = Arc::new(Counters::default());
        counters.add_bytes(45);
        counters.add_stage("csv-parse", 1_234, Duration::from_secs(1));
        let reading = Reading {
            counters,
            bytes: 100,
        };
        let turn = Some(Turn { number: 2, of: 12 });
        let line = activity("a.tar.gz", turn, Some(reading)).line(Duration::from_secs(1));
        let begin = "a.tar.gz  2 of 12 payloads  45 %  1,234 rows  0.0 MB/s  csv-parse 100 %";
        assert_eq!(line, begin);
        assert_eq!(
            begins("a.tar.gz", turn),
            "payload 2 of 12, a.tar.gz: running"
        );
        let alone = Some(Turn { number: 1, of: 1 });
        assert_eq!(begins("a.tar.gz", alone), "a.tar.gz: running");
    }

    #[test]
    fn a_line_says_what_the_database_does() {
        let line = activity("a.tar.gz", None, None).line(Duration::from_secs(7));
        assert_eq!(line, "a.tar.gz  summarizing pods  7 s");
    }
}
