//! Log lines: what gristmill and its stages tell by `tracing`, in the words of standard
//! error.
//!
//! A library that a program of others uses tells nothing, unless that program listens.

use std::env;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::{live, tell};
use crate::diagnostics::log_line::{LogLevel, LogLine};

/// The least level that is shown, by its name.
const VARIABLE: &str = "GRISTMILL_LOG";

/// So begins what functions say that take long (`RAISE INFO`).
const DOING: &str = "gristmill: ";

/// From now on log lines are shown: ours, not those of libraries. `notices` is the target
/// of what the database's server says beside its answers.
pub fn show_log(notices: &str) {
    let level = env::var(VARIABLE).ok().filter(|level| !level.is_empty());
    let parsed = level.as_deref().map(str::parse::<LevelFilter>);
    let shown = parsed
        .clone()
        .and_then(Result::ok)
        .unwrap_or(LevelFilter::INFO);
    let targets = Targets::new().with_target(env!("CARGO_CRATE_NAME"), shown);
    let of_database = Targets::new().with_target(notices, LevelFilter::TRACE);
    // There is no other one: this is called once, first of all.
    let _ = tracing::subscriber::set_global_default(
        Registry::default()
            .with(Lines.with_filter(targets))
            .with(Doing.with_filter(of_database)),
    );
    if let (Some(level), Some(Err(_))) = (level, parsed) {
        tracing::warn!("`{VARIABLE}` is none of off, error, warn, info, debug: `{level}`");
    }
}

/// What stages logged, of a payload if there is one.
pub fn log(payload: Option<&str>, lines: &[(String, LogLine)]) {
    for (stage, LogLine { level, message, .. }) in lines {
        match level {
            LogLevel::Debug => tracing::debug!(payload, stage, "{message}"),
            LogLevel::Info => tracing::info!(payload, stage, "{message}"),
            LogLevel::Warn => tracing::warn!(payload, stage, "{message}"),
            LogLevel::Error => tracing::error!(payload, stage, "{message}"),
        }
    }
}

/// What the database is at, as our functions say.
struct Doing;

impl<S: Subscriber> Layer<S> for Doing {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        if let Some(what) = words.message.strip_prefix(DOING) {
            live::doing(what);
        }
    }
}

/// Shows each event as a line.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        tell(&words.line(*event.metadata().level()));
    }
}

/// What an event says.
#[derive(Default)]
struct Words {
    message: String,
    payload: Option<String>,
    stage: Option<String>,
}

impl Words {
    fn line(&self, level: Level) -> String {
        let payload = self.payload.as_ref().map(|payload| format!("{payload}: "));
        let stage = self
            .stage
            .as_ref()
            .map(|stage| format!("stage `{stage}`: "));
        let message = [payload.as_deref(), stage.as_deref(), Some(&self.message)];
        let message: String = message.into_iter().flatten().collect();
        match level {
            Level::ERROR => format!("error: {message}"),
            Level::WARN => format!("warning: {message}"),
            // That the program goes on needs no word for it.
            Level::INFO if self.stage.is_none() => message,
            Level::INFO => format!("info: {message}"),
            _ => format!("debug: {message}"),
        }
    }
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "payload" => self.payload = Some(value.to_string()),
            "stage" => self.stage = Some(value.to_string()),
            _ => self.record_debug(field, &format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps lines instead of showing them.
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut words = Words::default();
            event.record(&mut words);
            let line = words.line(*event.metadata().level());
            self.0.lock().unwrap().push(line);
        }
    }

    #[test]
    fn a_line_says_its_level_and_its_stage() {
        let kept = Arc::new(Mutex::default());
        let subscriber = Registry::default().with(Kept(Arc::clone(&kept)));
        let line = |level, message: &str| {
            let line = LogLine {
                level,
                message: message.into(),
                by: crate::diagnostics::log_line::LoggedBy::Stage,
            };
            ("a".to_string(), line)
        };
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("watching {}", "inbox");
            tracing::warn!("it is odd");
            log(
                None,
                &[
                    line(LogLevel::Debug, "{d}"),
                    line(LogLevel::Info, "i"),
                    line(LogLevel::Warn, "w"),
                    line(LogLevel::Error, "e"),
                ],
            );
            log(Some("p.tar.gz"), &[line(LogLevel::Warn, "odd")]);
        });
        assert_eq!(
            *kept.lock().unwrap(),
            [
                "watching inbox",
                "warning: it is odd",
                "debug: stage `a`: {d}",
                "info: stage `a`: i",
                "warning: stage `a`: w",
                "error: stage `a`: e",
                "warning: p.tar.gz: stage `a`: odd",
            ]
        );
    }
}
