//! Checks that the programs which build stages are there, and says how to install them.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Language;
use crate::authoring::stage_folder::path_of;
use crate::diagnostics::failure::Failure;

const TARGET: &str = "wasm32-wasip2";

/// Looks for what builds the stages of a language, as a build in this folder would.
///
/// # Errors
/// Something is missing; the hint is the line that installs it.
pub fn check_tools(language: Language, folder: &Path) -> Result<(), Failure> {
    let path = path_of(folder);
    for (program, install) in programs(language) {
        if !env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
            return Err(missing(&format!("`{program}`"), install));
        }
    }
    if language == Language::Rust && !has_target(folder, &path) {
        return Err(missing(
            &format!("Rust's target `{TARGET}`"),
            &format!("rustup target add {TARGET}"),
        ));
    }
    Ok(())
}

/// rustc knows the folder of every target; it exists where the target is installed.
fn has_target(folder: &Path, path: &OsStr) -> bool {
    Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(folder)
        .env("PATH", path)
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| {
            let directory = String::from_utf8_lossy(&output.stdout).trim().to_string();
            !directory.is_empty() && Path::new(&directory).is_dir()
        })
}

/// The programs that a language needs, each with the line that installs it.
fn programs(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::Rust => &[
            ("cargo", "curl https://sh.rustup.rs | sh"),
            ("rustc", "curl https://sh.rustup.rs | sh"),
        ],
        Language::Python => &[(
            "componentize-py",
            "python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1",
        )],
        Language::Javascript => &[
            ("node", "apt-get install nodejs npm"),
            ("npm", "apt-get install npm"),
            ("jco", "npm install @bytecodealliance/jco@1.35.0"),
        ],
    }
}

/// A tool that is not there.
fn missing(what: &str, install: &str) -> Failure {
    Failure::environment(format!("{what} is missing, which builds the stage"))
        .hint(format!("install it: {install}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_install_lines_name_the_versions_that_projects_pin() {
        let python = include_str!("../../../../plugins/templates/python/requirements.txt");
        let install = programs(Language::Python)[0].1;
        let pinned = install.rsplit(' ').next().unwrap();
        assert!(python.lines().any(|line| line == pinned), "{pinned}");

        let javascript = include_str!("../../../../plugins/templates/javascript/package.json");
        let install = programs(Language::Javascript)[2].1;
        let (package, version) = install
            .rsplit(' ')
            .next()
            .unwrap()
            .rsplit_once('@')
            .unwrap();
        let pinned = format!("\"{package}\": \"{version}\"");
        assert!(javascript.contains(&pinned), "{pinned}");
    }
}
