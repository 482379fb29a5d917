//! Makes the component of a project.

use std::path::PathBuf;
use std::process::Stdio;

use crate::authoring::stage_folder::StageFolder;
use crate::diagnostics::failure::{Failure, Result};

/// Lines of a tool's complaint that are shown.
const LINES_MAX: usize = 60;

/// Builds the component and returns its path. What the tool says is kept for the
/// case that it fails.
///
/// # Errors
/// Nothing says how to build it, the tool refuses the source, or it made nothing.
pub fn build(folder: &StageFolder) -> Result<PathBuf> {
    let name = folder.name();
    let mut command = folder.build().ok_or_else(|| {
        Failure::definition(format!("nothing says how to build stage `{name}`"))
            .hint("a `Cargo.toml`, a `package.json`, a `build.sh` or a `Makefile` does")
    })?;
    let shown = folder.build_line().unwrap_or_default();
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        Failure::environment(format!("cannot build stage `{name}` with `{shown}`")).because(error)
    })?;
    if let (true, Some(component)) = (output.status.success(), folder.component()) {
        return Ok(component);
    }
    let mut failure = Failure::run(format!("cannot build stage `{name}`"));
    let ended = match output.status.success() {
        true => format!("`{shown}` left no `{}`", folder.component_file()),
        false => format!("`{shown}` ended with {}", output.status),
    };
    failure.causes.push(ended);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines = said.lines().take_while(|line| *line != "Stack backtrace:");
    failure
        .causes
        .extend(lines.take(LINES_MAX).map(str::to_string));
    Err(failure)
}
