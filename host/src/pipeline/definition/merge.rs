//! Reads a file, follows `extends`, and merges the tables: a key of the file that
//! extends replaces the same key of the file that it extends; tables merge key by
//! key; arrays are replaced whole.

use std::io;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostics::file_kind;
use crate::diagnostics::problem::{Problem, Sources, Span};

/// More than anybody needs, few enough to stop a circle that links hide.
const EXTENDS_MAX: usize = 16;

/// Reads the file and every file that it extends, nearest first.
pub(super) fn collect(path: &Path, sources: &mut Sources) -> Result<(), Problem> {
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut next = Some((path.to_path_buf(), None::<Span>));
    while let Some((path, named_at)) = next.take() {
        let identity = path.canonicalize().unwrap_or_else(|_| path.clone());
        if seen.contains(&identity) || seen.len() == EXTENDS_MAX {
            let message = format!("`{}` ends up extending itself", path.display());
            return Err(Problem::new(named_at, message));
        }
        seen.push(identity);
        let text =
            std::fs::read_to_string(&path).map_err(|error| unread(&path, named_at, &error))?;
        let start = sources.add(&path, &text);
        let table = DeTable::parse(&text).map_err(|error| problem(&error, start))?;
        if let Some(parent) = table.get_ref().get("extends") {
            let span = moved(parent.span(), start);
            let Some(parent) = parent.get_ref().as_str() else {
                return Err(Problem::new(span, "`extends` must be the path of a file"));
            };
            let folder = path.parent().unwrap_or(Path::new(""));
            next = Some((folder.join(parent), Some(span)));
        }
    }
    Ok(())
}

/// Why a file is no pipeline file. Whoever gives a payload first has the two in the wrong
/// order.
fn unread(path: &Path, named_at: Option<Span>, error: &io::Error) -> Problem {
    let shown = path.display();
    let kind = match error.kind() {
        io::ErrorKind::IsADirectory => Some("a folder"),
        io::ErrorKind::InvalidData => file_kind::of_file(path),
        _ => None,
    };
    let Some(kind) = kind else {
        let message = format!("cannot read pipeline file `{shown}`: {error}");
        return Problem::new(named_at, message);
    };
    let is_first = named_at.is_none();
    let problem = Problem::new(
        named_at,
        format!("`{shown}` is no pipeline file: it is {kind}, not TOML"),
    );
    match is_first {
        true => problem.hint(
            "the pipeline file comes first, and behind it what is run: \
             `gristmill run PIPELINE PAYLOAD…`, `gristmill watch PIPELINE INBOX`",
        ),
        false => problem,
    }
}

/// All of the sources as one table, whose spans are places among them.
pub(super) fn merged(sources: &Sources) -> Result<Spanned<DeTable<'_>>, Problem> {
    let mut merged = DeTable::new();
    for (start, text) in sources.texts().rev() {
        let mut table = DeTable::parse(text)
            .map_err(|error| problem(&error, start))?
            .into_inner();
        table.remove("extends");
        merged = merge(merged, shift_table(table, start));
    }
    Ok(Spanned::new(0..0, merged))
}

/// A message of the TOML library as a problem. `start` is where the text begins
/// among the sources.
pub(super) fn problem(error: &toml::de::Error, start: usize) -> Problem {
    let span = error.span().map(|span| moved(span, start));
    Problem::new(span, error.message().trim_end().replace('\n', ", "))
}

fn merge<'s>(mut base: DeTable<'s>, over: DeTable<'s>) -> DeTable<'s> {
    for (key, value) in over {
        // A key that is there keeps its place: the order of columns matters.
        let Some(below) = base.get_mut(key.get_ref().as_ref()) else {
            base.insert(key, value);
            continue;
        };
        let span = value.span();
        let merged = match (below.get_mut(), value.into_inner()) {
            (DeValue::Table(below), DeValue::Table(above)) => {
                DeValue::Table(merge(std::mem::take(below), above))
            }
            (_, value) => value,
        };
        *below = Spanned::new(span, merged);
    }
    base
}

fn shift_table(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    table
        .into_iter()
        .map(|(key, value)| {
            let span = moved(key.span(), by);
            (Spanned::new(span, key.into_inner()), shift_value(value, by))
        })
        .collect()
}

fn shift_value(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = moved(value.span(), by);
    let inner = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(shift_table(table, by)),
        DeValue::Array(array) => DeValue::Array(
            array
                .into_iter()
                .map(|item| shift_value(item, by))
                .collect(),
        ),
        plain => plain,
    };
    Spanned::new(span, inner)
}

fn moved(span: Span, by: usize) -> Span {
    span.start + by..span.end + by
}
