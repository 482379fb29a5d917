//! What a terminal can show: its colours, if somebody wants them, and its width.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// The words at the beginning of a line that say what kind of line it is.
const LABELS: [(&str, AnsiColor); 3] = [
    ("error: ", AnsiColor::Red),
    ("warning: ", AnsiColor::Yellow),
    ("hint: ", AnsiColor::Cyan),
];

/// Whether tables are shown in full.
static WIDE: AtomicBool = AtomicBool::new(false);

pub(super) fn forget_width() {
    WIDE.store(true, Ordering::Relaxed);
}

/// From now on a terminal that says it is dumb has no colours, in CI either: there the
/// library gives them to every terminal.
pub(super) fn heed_dumb_terminals() {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| value != "0");
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") && !is_set("CLICOLOR_FORCE") {
        ColorChoice::Never.write_global();
    }
}

/// Whether a stream shows colours: a terminal does, unless `NO_COLOR` or its kin say
/// otherwise.
pub(super) fn colours<S: RawStream>(stream: &S) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// The columns of the terminal that standard output is; `None` when it is none, or is to
/// be taken for one without an end.
pub(super) fn width() -> Option<usize> {
    let output = io::stdout();
    if WIDE.load(Ordering::Relaxed) || !output.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&output).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}

/// Lines with their labels in colours.
pub(super) fn with_labels(lines: &str) -> String {
    let painted = lines.lines().map(|line| {
        let label = LABELS.iter().find(|(label, _)| line.starts_with(label));
        let Some((label, colour)) = label else {
            return line.to_string();
        };
        let style = Style::new().bold().fg_color(Some((*colour).into()));
        let word = label.trim_end();
        format!("{style}{word}{style:#}{}", &line[word.len()..])
    });
    painted.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labels_are_painted() {
        assert_eq!(
            with_labels("error: a\n  error: b\nhint: c"),
            "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m a\n  error: b\n\u{1b}[1m\u{1b}[36mhint:\u{1b}[0m c"
        );
    }
}
