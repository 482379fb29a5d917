//! `gristmill export`: writes a table's rows of some days as CSV or Parquet.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

use super::open_to_read;
use crate::cli::{ExportArguments, ExportFormat};
use crate::diagnostics::days::Days;
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::export::{self, Wanted};
use crate::ledger::source;
use crate::terminal::{self, grouped};

/// # Errors
/// There is no such table or cluster, the file is there or cannot be written, or the
/// database cannot be reached.
pub fn execute(arguments: &ExportArguments, runtime: &Runtime) -> Result<()> {
    let days = Days::between(arguments.from, arguments.to)?;
    if arguments.format == ExportFormat::Parquet && arguments.output.is_none() {
        return Err(Failure::definition("Parquet is nothing for a terminal")
            .hint("name the file with `--output FILE`"));
    }
    if let Some(path) = &arguments.output
        && path.exists()
    {
        return Err(there_already(path));
    }
    let database = open_to_read(runtime, &arguments.database)?;
    let source = arguments.source.as_deref();
    let source = source
        .map(|word| source::named(&database, word))
        .transpose()?;
    let wanted = Wanted {
        table: &arguments.table,
        days,
        source_uuid: source.map(|source| source.source_uuid),
    };
    let Some(path) = &arguments.output else {
        export::csv(&database, wanted, &mut |line| {
            terminal::csv(String::from_utf8_lossy(line).trim_end_matches('\n'));
            Ok(())
        })?;
        return Ok(());
    };
    // Whoever looks finds a whole file or none.
    let file = begin(path)?;
    let mut to = BufWriter::new(file);
    let rows = match arguments.format {
        ExportFormat::Csv => export::csv(&database, wanted, &mut |line| to.write_all(line))?,
        ExportFormat::Parquet => export::parquet(&database, wanted, &mut to)?,
    };
    let file = to
        .into_inner()
        .map_err(|error| not_written(path, error.into_error()))?;
    file.persist_noclobber(path)
        .map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => there_already(path),
            _ => not_written(path, error.error),
        })?;
    let rows = match rows {
        1 => "1 row".to_string(),
        rows => format!("{} rows", grouped(rows)),
    };
    terminal::say(&format!("{rows} in {}", path.display()));
    Ok(())
}

fn begin(path: &Path) -> Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    NamedTempFile::new_in(folder).map_err(|error| not_written(path, error))
}

fn there_already(path: &Path) -> Failure {
    Failure::definition(format!("`{}` is there already", path.display()))
        .hint("remove it, or name another file with `--output`")
}

fn not_written(path: &Path, error: io::Error) -> Failure {
    Failure::environment(format!("cannot write `{}`", path.display())).because(error)
}
