//! `gristmill stage build`: builds the component of a project, whatever its language.

use super::engine;
use super::stage_alone::unusable;
use super::stage_test::stage_folder;
use crate::authoring::project::{self, Language};
use crate::cli::StageBuildArguments;
use crate::diagnostics::failure::Result;
use crate::terminal;

/// # Errors
/// A tool is missing, the source does not build, or what it makes is no stage.
pub fn execute(arguments: &StageBuildArguments) -> Result<()> {
    let folder = stage_folder(&arguments.folder)?;
    if let Some(language) = Language::of(&arguments.folder) {
        project::check_tools(
            language,
            &arguments.folder.canonicalize().unwrap_or_default(),
        )?;
    }
    let component = project::build(&folder)?;
    let loaded = engine()?.load(&component, None).map_err(unusable)?;
    terminal::say(&format!("{}: {} bytes", loaded.world, loaded.bytes));
    terminal::text(&component.display().to_string());
    Ok(())
}
