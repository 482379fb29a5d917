//! Problems in pipeline files, with their place.
//!
//! A `Sources` holds the text of every file that a definition was read from, end
//! to end, so that a place is one range of bytes and still knows its file. It
//! decides nothing; the definition and the plan find the problems.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::diagnostics::printable;

/// The files of one definition.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

#[derive(Clone, Debug)]
struct Source {
    path: PathBuf,
    text: String,
    start: usize,
}

/// A range of bytes in one of the sources.
pub type Span = Range<usize>;

/// Something wrong in a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub span: Option<Span>,
    /// A lowercase sentence without a full stop.
    pub message: String,
    pub hint: Option<String>,
    /// The definition is not at fault: something that it names is not there.
    pub environment: bool,
}

impl Problem {
    pub fn new(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self {
            span: span.into(),
            message: message.into(),
            hint: None,
            environment: false,
        }
    }

    #[must_use]
    pub fn environment(mut self) -> Self {
        self.environment = true;
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Line and column, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    line: usize,
    column: usize,
}

impl Sources {
    /// Adds a file and returns the offset of its first byte.
    pub fn add(&mut self, path: &Path, text: &str) -> usize {
        let start = self.end();
        self.files.push(Source {
            path: path.to_path_buf(),
            text: text.to_string(),
            start,
        });
        start
    }

    /// Every file's offset and text, in the order of their addition.
    pub fn texts(&self) -> impl DoubleEndedIterator<Item = (usize, &str)> {
        self.files
            .iter()
            .map(|source| (source.start, source.text.as_str()))
    }

    /// The path of the file that a place is in.
    pub fn path(&self, span: &Span) -> Option<&Path> {
        self.source(span).map(|source| source.path.as_path())
    }

    /// `file:line:column` of a place.
    pub fn place(&self, span: &Span) -> Option<String> {
        let source = self.source(span)?;
        let position = source.position(span.start);
        Some(format!(
            "{}:{}:{}",
            source.path.display(),
            position.line,
            position.column
        ))
    }

    /// One problem as a block of text: sentence, place, the line with a caret, hint.
    pub fn render(&self, problem: &Problem) -> String {
        let mut text = problem.message.clone();
        if let Some(span) = &problem.span
            && let (Some(place), Some(source)) = (self.place(span), self.source(span))
        {
            let _ = write!(text, "\n{}", source.excerpt(span, &place));
        }
        if let Some(hint) = &problem.hint {
            let _ = write!(text, "\nhint: {hint}");
        }
        text
    }

    fn source(&self, span: &Span) -> Option<&Source> {
        self.files
            .iter()
            .rev()
            .find(|source| source.start <= span.start)
    }

    fn end(&self) -> usize {
        // One byte apart, so that the end of a file is not the start of the next.
        self.files
            .last()
            .map_or(0, |source| source.start + source.text.len() + 1)
    }
}

impl Source {
    /// A place, and its line with a mark below. Columns are those of the file; the mark
    /// stands below what is shown of it.
    fn excerpt(&self, span: &Span, place: &str) -> String {
        let position = self.position(span.start);
        let marked = self.text[span.start - self.start..]
            .get(..span.len())
            .map_or(1, |marked| marked.chars().count());
        let line = self.text.lines().nth(position.line - 1).unwrap_or("");
        let mut rest = line.chars();
        let before: String = rest.by_ref().take(position.column - 1).collect();
        let marked: String = rest.by_ref().take(marked).collect();
        let [before, marked, after] = [&before, &marked, rest.as_str()].map(printable::lines);
        let mark = AnnotationKind::Primary.span(before.len()..before.len() + marked.len());
        let snippet = Snippet::source(before + &marked + &after)
            .line_start(position.line)
            .annotation(mark);
        let group = Group::with_level(Level::ERROR).element(snippet);
        let gutter = " ".repeat(position.line.to_string().len());
        format!(
            "{gutter}--> {place}\n{}",
            Renderer::plain().render(&[group])
        )
    }

    fn position(&self, offset: usize) -> Position {
        let offset = (offset - self.start).min(self.text.len());
        let before = &self.text.as_bytes()[..offset];
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |index| index + 1);
        Position {
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: String::from_utf8_lossy(&before[line_start..])
                .chars()
                .count()
                + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_its_file_line_and_column() {
        let mut sources = Sources::default();
        sources.add(Path::new("base.toml"), "a = 1\n");
        let start = sources.add(Path::new("site.toml"), "b = 2\nçé = 3\n");
        let span = start + 6..start + 10;
        assert_eq!(sources.place(&span).as_deref(), Some("site.toml:2:1"));
        assert_eq!(
            sources.render(&Problem::new(span, "unknown key").hint("remove it")),
            "unknown key\n --> site.toml:2:1\n  |\n2 | çé = 3\n  | ^^\nhint: remove it"
        );
    }

    #[test]
    fn a_caret_stands_below_what_is_shown_of_a_line() {
        let mut sources = Sources::default();
        let text = "\t\"\u{202e}a\u{1b}[2J\" = \u{9b}31m";
        let start = sources.add(Path::new("site.toml"), text);
        let key = text.find('a').unwrap() + start;
        assert_eq!(
            sources.render(&Problem::new(key..key + 2, "unknown key")),
            "unknown key\n --> site.toml:1:4\n  |\n\
            1 |     \"\\u{202e}a [2J\" =  31m\n  |              ^^"
        );
    }

    #[test]
    fn a_caret_stands_below_wide_characters_and_behind_the_end() {
        let mut sources = Sources::default();
        let start = sources.add(Path::new("site.toml"), "a = \"日本\" b");
        let end = start + "a = \"日本\" b".len();
        for (span, carets) in [
            (end - 1..end, "           ^"),
            (end..end, "            ^"),
            (start + 5..start + 11, "     ^^^^"),
        ] {
            let shown = sources.render(&Problem::new(span, "odd"));
            let line = shown.lines().last().unwrap();
            assert_eq!(line, format!("  | {carets}"), "{shown}");
        }
    }
}
