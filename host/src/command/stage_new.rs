//! `gristmill stage new`: a project with a stage that works, to be changed.
//!
//! Everything that can be refused is refused before anything is written; then the
//! project is built, loaded and run through its cases here, so that an author
//! begins with something that is known to work.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::engine;
use super::stage_alone::unusable;
use crate::authoring::case::{self, CaseFile};
use crate::authoring::project::{self, Project};
use crate::authoring::stage_folder::StageFolder;
use crate::cli::StageNewArguments;
use crate::diagnostics::failure::{Failure, Result};
use crate::terminal;

/// Names of libraries that a project in Rust uses itself.
const TAKEN: [&str; 3] = ["gristmill-stage", "serde", "serde-json"];

/// # Errors
/// The name or the folder is taken, a tool is missing, or the project does not
/// build, which leaves it to be looked at.
pub fn execute(arguments: &StageNewArguments) -> Result<()> {
    let started = Instant::now();
    let name = &arguments.name;
    if !is_kebab_case(name) || TAKEN.contains(&name.as_str()) {
        return Err(
            Failure::definition(format!("`{name}` cannot be the name of a stage"))
                .hint("a name is lowercase words with hyphens in between: `night-discount`"),
        );
    }
    let here = std::env::current_dir()
        .map_err(|error| Failure::environment("cannot tell the current folder").because(error))?;
    let project = Project {
        folder: here.join(name),
        name: name.clone(),
        language: arguments.lang,
        kind: arguments.kind,
    };
    if project.folder.symlink_metadata().is_ok() {
        return Err(Failure::definition(format!("`{name}` is there already"))
            .hint("choose another name, or another folder to be in"));
    }
    project::check_tools(project.language, &here)?;
    let files = write(&project, &here)?;
    terminal::say(&format!("{name}: {files} files; building"));
    let go_on =
        format!("the project is in `{name}`; change it, then `gristmill stage build {name}`");
    let component = StageFolder::at(&project.folder)
        .map_err(|error| Failure::environment(format!("cannot find `{name}`")).because(error))
        .and_then(|folder| project::build(&folder))
        .map_err(|failure| failure.hint(go_on.clone()))?;
    let cases = verify(&project, &component).map_err(|failure| failure.hint_if_none(go_on))?;
    terminal::say(&format!(
        "{name}: built, loaded, {cases} cases passed, in {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    terminal::text(&next_steps(&project));
    Ok(())
}

/// Puts the whole project into place at once; how many files it has.
fn write(project: &Project, here: &Path) -> Result<usize> {
    let cannot = |error: std::io::Error| {
        Failure::environment(format!("cannot write `{}`", project.folder.display())).because(error)
    };
    let unfinished = tempfile::Builder::new()
        .prefix(".gristmill-new-")
        .tempdir_in(here)
        .map_err(cannot)?;
    let root: PathBuf = unfinished.path().join(&project.name);
    let files = project::files(project);
    for file in &files {
        let path = root.join(&file.path);
        fs::create_dir_all(path.parent().unwrap_or(&root)).map_err(cannot)?;
        fs::write(&path, &file.text).map_err(cannot)?;
    }
    fs::rename(&root, &project.folder).map_err(cannot)?;
    Ok(files.len())
}

/// Loads the component and runs the project's cases; how many passed.
fn verify(project: &Project, component: &Path) -> Result<usize> {
    let component = engine()?.load(component, None).map_err(unusable)?;
    let file = CaseFile::load(&project.folder.join("cases.toml"), false)
        .map_err(|(sources, problem)| Failure::run(sources.render(&problem)))?;
    for case in &file.cases {
        let verdict = case.run(&component);
        if !verdict.passed() {
            let mut failure = Failure::run(format!("case `{}` fails", case.name.get_ref()));
            failure.causes = case::lines(&verdict.differences);
            return Err(failure);
        }
    }
    Ok(file.cases.len())
}

fn next_steps(project: &Project) -> String {
    let name = &project.name;
    format!(
        "cd {name}\n\
        # change {}, then\n\
        gristmill stage build .\n\
        gristmill stage test .\n\n\
        # in a pipeline file beside the folder:\n\n{}",
        project.source(),
        project.pipeline_lines()
    )
}

fn is_kebab_case(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.split('-').all(is_word)
}
