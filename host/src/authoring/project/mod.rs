//! A project: the folder in which an author keeps a stage, its language, its build, and
//! the place of its component.
//!
//! A project needs nothing of gristmill's own source. Each language is built by its own
//! tool, with the command that `stage_folder` finds in the project.

mod build;
mod template;
mod tools;

use std::path::{Path, PathBuf};

use clap::ValueEnum;

pub use self::build::build;
pub use self::template::files;
pub use self::tools::check_tools;

/// The language of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Rust,
    Python,
    Javascript,
}

impl Language {
    /// The language of the project in a folder, if it is one of these.
    pub fn of(folder: &Path) -> Option<Self> {
        [
            ("Cargo.toml", Self::Rust),
            ("package.json", Self::Javascript),
            ("requirements.txt", Self::Python),
        ]
        .into_iter()
        .find(|(file, _)| folder.join(file).is_file())
        .map(|(_, language)| language)
    }
}

/// Which of the two worlds a stage is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Rows in, rows out
    Transform,
    /// A report file in, rows out
    Parser,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Parser => "parser",
        }
    }
}

/// A stage's folder.
#[derive(Clone, Debug)]
pub struct Project {
    pub folder: PathBuf,
    /// In kebab-case; the component is named after it.
    pub name: String,
    pub language: Language,
    pub kind: Kind,
}

impl Project {
    /// Where the component is once it is built, seen from the folder.
    pub fn component(&self) -> PathBuf {
        let file = format!("{}.wasm", self.name.replace('-', "_"));
        match self.language {
            Language::Rust => Path::new("target/wasm32-wasip2/release").join(file),
            Language::Python | Language::Javascript => file.into(),
        }
    }

    /// The file with the author's logic, seen from the folder.
    pub fn source(&self) -> &'static str {
        match (self.language, self.kind) {
            (Language::Rust, _) => "src/lib.rs",
            (Language::Python, Kind::Transform) => "transform.py",
            (Language::Python, Kind::Parser) => "parser.py",
            (Language::Javascript, _) => "stage.js",
        }
    }

    /// The lines that put the stage into a pipeline whose file is beside the folder.
    pub fn pipeline_lines(&self) -> String {
        let name = &self.name;
        let component = Path::new(name).join(self.component());
        let component = component.display();
        let chain = match self.kind {
            Kind::Transform => format!(
                "\"csv-parse\", \"{name}\", \"effective-usage\", \"label-filter\", \"unit-conversion\""
            ),
            Kind::Parser => {
                format!("\"{name}\", \"effective-usage\", \"label-filter\", \"unit-conversion\"")
            }
        };
        format!(
            "[stages.{name}]\ncomponent = \"{component}\"\n\n[reports.pod-usage]\nstages = [{chain}]"
        )
    }
}
