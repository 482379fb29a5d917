//! The files of a new project: those of `plugins/templates`, with the stage's name for
//! theirs, and the contract. They come with the program, so that a project can be made
//! anywhere.

use super::{Kind, Language, Project};

include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// A file below the project's folder.
#[derive(Debug)]
pub struct File {
    pub path: String,
    pub text: String,
}

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../../../plugins/templates/", $path))
    };
}

/// Everything that is written for a new project.
pub fn files(project: &Project) -> Vec<File> {
    let mut files = vec![
        ("wit/stage.wit", include_str!("../../../../wit/stage.wit")),
        (".gitignore", template!("gitignore")),
        (
            "cases.toml",
            match project.kind {
                Kind::Transform => template!("transform.cases.toml"),
                Kind::Parser => template!("parser.cases.toml"),
            },
        ),
        ("README.md", template!("README.md")),
    ];
    files.extend(sources(project.language, project.kind));
    let mut files: Vec<File> = files
        .into_iter()
        .map(|(path, text)| File {
            path: path.to_string(),
            text: named(project, path, text),
        })
        .collect();
    if project.language == Language::Rust {
        files.extend(SDK.iter().map(|(name, text)| File {
            path: format!("vendor/gristmill-stage/src/{name}"),
            text: (*text).to_string(),
        }));
    }
    files
}

fn sources(language: Language, kind: Kind) -> Vec<(&'static str, &'static str)> {
    match language {
        Language::Rust => vec![
            ("Cargo.toml", template!("rust/Cargo.toml")),
            // Cargo leaves out of it what the project does not need; the versions of
            // the rest are those that gristmill itself is tested with.
            ("Cargo.lock", include_str!("../../../../Cargo.lock")),
            (".cargo/config.toml", template!("rust/.cargo/config.toml")),
            (
                "vendor/gristmill-stage/Cargo.toml",
                template!("rust/vendor/gristmill-stage/Cargo.toml"),
            ),
            (
                "src/lib.rs",
                match kind {
                    Kind::Transform => template!("rust/transform/src/lib.rs"),
                    Kind::Parser => template!("rust/parser/src/lib.rs"),
                },
            ),
        ],
        Language::Python => vec![
            ("requirements.txt", template!("python/requirements.txt")),
            ("build.sh", template!("python/build.sh")),
            ("gristmill.py", template!("python/gristmill.py")),
            match kind {
                Kind::Transform => ("transform.py", template!("python/transform/transform.py")),
                Kind::Parser => ("parser.py", template!("python/parser/parser.py")),
            },
        ],
        Language::Javascript => vec![
            ("package.json", template!("javascript/package.json")),
            ("gristmill.js", template!("javascript/gristmill.js")),
            (
                "stage.js",
                match kind {
                    Kind::Transform => template!("javascript/transform/stage.js"),
                    Kind::Parser => template!("javascript/parser/stage.js"),
                },
            ),
        ],
    }
}

/// A template's text with the names of the project. The contract and the versions
/// of libraries have none.
fn named(project: &Project, path: &str, text: &str) -> String {
    match path {
        "wit/stage.wit" | "Cargo.lock" => return text.to_string(),
        "README.md" => return manual(project, text),
        _ => {}
    }
    let name = &project.name;
    let text = text
        .replace("my-stage", name)
        .replace("my_stage", &name.replace('-', "_"))
        .replace("MyStage", &type_name(name));
    match (path, project.kind) {
        ("package.json" | "build.sh", Kind::Parser) => text
            .replace("transform-stage", "parser-stage")
            .replace("componentize transform", "componentize parser"),
        _ => text,
    }
}

fn manual(project: &Project, text: &str) -> String {
    let (language, build, tools) = match project.language {
        Language::Rust => (
            "Rust",
            "cargo build --release --target wasm32-wasip2",
            "`vendor/gristmill-stage` is a copy of gristmill's SDK; the rest comes from crates.io.",
        ),
        Language::Python => (
            "Python",
            "sh build.sh",
            "`gristmill.py` is what stages have in common, yours to change; `requirements.txt` names the\n\
            tool that makes the component: `python3 -m venv .venv && .venv/bin/pip install -r requirements.txt`.",
        ),
        Language::Javascript => (
            "JavaScript",
            "npm run build",
            "`gristmill.js` is what stages have in common, yours to change; `package.json` names the\n\
            tool that makes the component: `npm install`.",
        ),
    };
    text.replace("my-stage", &project.name)
        .replace("LANGUAGE", language)
        .replace("SOURCE", project.source())
        .replace("COMPONENT", &project.component().display().to_string())
        .replace("BUILD", build)
        .replace("PIPELINE", &project.pipeline_lines())
        .replace("TOOLS", tools)
}

/// `night-discount` as a type: `NightDiscountStage`, so that a stage may be called
/// `lines` or `option` and is still not mistaken for what it uses.
fn type_name(name: &str) -> String {
    let words = name.split('-').chain(["stage"]).map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The copy of the SDK builds with the libraries that the SDK itself has.
    #[test]
    fn the_copy_of_the_sdk_needs_what_the_sdk_needs() {
        let read = |text: &str| toml::from_str::<toml::Table>(text).unwrap();
        let copy = read(template!("rust/vendor/gristmill-stage/Cargo.toml"));
        let sdk = read(include_str!("../../../../plugins/sdk/Cargo.toml"));
        for table in ["dependencies", "target"] {
            assert_eq!(copy[table], sdk[table], "[{table}]");
        }
        let version = copy["package"]["version"].as_str();
        assert_eq!(version, Some(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn names_are_as_each_place_wants_them() {
        let project = Project {
            folder: "night-discount".into(),
            name: "night-discount".into(),
            language: Language::Rust,
            kind: Kind::Transform,
        };
        let files = files(&project);
        let text = |path: &str| {
            let file = files.iter().find(|file| file.path == path).unwrap();
            file.text.clone()
        };
        assert!(text("Cargo.toml").contains("name = \"night-discount\""));
        assert!(text("src/lib.rs").contains("export_stage!(NightDiscountStage);"));
        assert!(text("README.md").contains("target/wasm32-wasip2/release/night_discount.wasm"));
        assert!(text("vendor/gristmill-stage/src/lib.rs").contains("export_stage"));
        let left = ["my-stage", "MyStage", "my_stage"];
        for file in &files {
            for word in left {
                assert!(!file.text.contains(word), "{} has {word}", file.path);
            }
        }
    }
}
