//! The folder that a stage is written in: how its component is built, and which of
//! its files are sources.
//!
//! The build command is known by what is in the folder, the first of these:
//!
//! | File | Command |
//! |---|---|
//! | `build.sh` | `sh build.sh` |
//! | `Cargo.toml` | `cargo build --release --target wasm32-wasip2` |
//! | `package.json` | `npm run build` |
//! | `Makefile` | `make` |
//!
//! Its programs are those of a virtual environment (`.venv`) or of the node modules
//! of the folder or of one above it, then those in `PATH`. It must leave the
//! component where `stage test` looks for it: named after the
//! folder, in the folder itself or in `target/wasm32-wasip2/release`.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

const BUILDS: [(&str, &[&str]); 4] = [
    ("build.sh", &["sh", "build.sh"]),
    (
        "Cargo.toml",
        &["cargo", "build", "--release", "--target", "wasm32-wasip2"],
    ),
    ("package.json", &["npm", "run", "build"]),
    ("Makefile", &["make"]),
];

/// Where cargo leaves a stage of its own.
const CARGO_OUTPUT: &str = "target/wasm32-wasip2/release";

/// Folders of programs that belong to a project, found before those of `PATH`.
const PROJECT_PROGRAMS: [&str; 2] = [".venv/bin", "node_modules/.bin"];

/// Folders of what is made or fetched. Hidden ones are passed over as well.
const NO_SOURCES: [&str; 6] = [
    "__pycache__",
    "build",
    "dist",
    "node_modules",
    "target",
    "venv",
];

/// How deep sources are looked for, and how many: more is no stage's folder.
const DEPTH_MAX: usize = 8;
const FILES_MAX: usize = 10_000;

/// A folder with a stage in it.
#[derive(Clone, Debug)]
pub struct StageFolder {
    folder: PathBuf,
    name: String,
}

impl StageFolder {
    /// # Errors
    /// The folder is not there.
    pub fn at(folder: &Path) -> std::io::Result<Self> {
        let folder = folder.canonicalize()?;
        let name = folder.file_name().unwrap_or_default();
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            folder,
        })
    }

    /// The stage's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its component.
    pub fn component_file(&self) -> String {
        format!("{}.wasm", self.name.replace('-', "_"))
    }

    /// Its component, where its own build puts it.
    pub fn component(&self) -> Option<PathBuf> {
        [self.folder.clone(), self.folder.join(CARGO_OUTPUT)]
            .iter()
            .map(|folder| folder.join(self.component_file()))
            .find(|path| path.is_file())
    }

    /// The command that builds it, as it would be typed in its folder, if there is one.
    pub fn build_line(&self) -> Option<String> {
        self.build_words().map(|words| words.join(" "))
    }

    fn build_words(&self) -> Option<&'static [&'static str]> {
        BUILDS
            .iter()
            .find(|(file, _)| self.folder.join(file).is_file())
            .map(|(_, words)| *words)
    }

    /// The command that builds it, if there is one; it runs in its folder.
    pub fn build(&self) -> Option<Command> {
        let words = self.build_words()?;
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .current_dir(&self.folder)
            .env("PATH", path_of(&self.folder))
            // The component belongs where it is looked for, whatever else is built.
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTFLAGS");
        Some(command)
    }

    /// The files that it is written in.
    pub fn sources(&self) -> Vec<PathBuf> {
        self.sources_and_folders().0
    }

    /// A source that was written after the component was built. Its cases, and pages about
    /// it, say nothing of that.
    pub fn newer_source(&self, component: &Path) -> Option<PathBuf> {
        let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
        let built = modified(component)?;
        let newer = self.sources().into_iter().find(|path| {
            let about = path.extension().is_some_and(|end| end == "md")
                || path.file_name().is_some_and(|name| name == "cases.toml");
            !about && modified(path).is_some_and(|written| written > built)
        })?;
        let within = newer.strip_prefix(&self.folder);
        Some(within.map(Path::to_path_buf).unwrap_or(newer))
    }

    /// The folders that such files are in, or may come to be.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.sources_and_folders().1
    }

    fn sources_and_folders(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let mut sources = Vec::new();
        let mut seen = Vec::new();
        let mut folders = vec![(self.folder.clone(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            // A folder that went away while it was read has no sources.
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if name.starts_with('.') || NO_SOURCES.contains(&name.as_ref()) {
                    continue;
                }
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => {
                        folders.push((path, depth + 1));
                    }
                    Ok(kind) if kind.is_file() && sources.len() < FILES_MAX => {
                        let made = path.extension().is_some_and(|end| end == "wasm");
                        if !made {
                            sources.push(path);
                        }
                    }
                    _ => {}
                }
            }
            seen.push(folder);
        }
        (sources, seen)
    }
}

/// `PATH` with the programs of the projects that the folder lies in, in front.
pub fn path_of(folder: &Path) -> OsString {
    let inherited = env::var_os("PATH").unwrap_or_default();
    let own = folder
        .ancestors()
        .flat_map(|folder| PROJECT_PROGRAMS.map(|programs| folder.join(programs)));
    let folders = own
        .filter(|programs| programs.is_dir())
        .chain(env::split_paths(&inherited));
    env::join_paths(folders).unwrap_or(inherited)
}

/// The contents of some files at one time. A file is read again only when its time or its
/// size has changed, and counts as changed only when its contents differ: a build that
/// writes the same again starts nothing.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    files: BTreeMap<PathBuf, FileState>,
}

#[derive(Clone, Copy, Debug)]
struct FileState {
    modified: Option<SystemTime>,
    bytes: u64,
    content: u64,
}

impl Snapshot {
    /// Of these files; those that are not there are left out.
    pub fn of(files: impl IntoIterator<Item = PathBuf>, before: &Self) -> Self {
        let held = |path: PathBuf| {
            let metadata = fs::metadata(&path).ok()?;
            let (modified, bytes) = (metadata.modified().ok(), metadata.len());
            let known = before
                .files
                .get(&path)
                .filter(|held| held.modified == modified && held.bytes == bytes);
            let content = match known {
                Some(held) => held.content,
                None => {
                    let mut hasher = DefaultHasher::new();
                    fs::read(&path).ok()?.hash(&mut hasher);
                    hasher.finish()
                }
            };
            let held = FileState {
                modified,
                bytes,
                content,
            };
            Some((path, held))
        };
        Self {
            files: files.into_iter().filter_map(held).collect(),
        }
    }

    pub fn is_same(&self, other: &Self) -> bool {
        let contents = |snapshot: &Self| -> Vec<(PathBuf, u64)> {
            let files = snapshot.files.iter();
            files
                .map(|(path, held)| (path.clone(), held.content))
                .collect()
        };
        contents(self) == contents(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_tells_how_it_is_built() {
        let folder = tempfile::tempdir().unwrap();
        let stage = StageFolder::at(folder.path()).unwrap();
        assert!(stage.build().is_none());
        for (file, program) in [
            ("Makefile", "make"),
            ("package.json", "npm"),
            ("build.sh", "sh"),
        ] {
            fs::write(folder.path().join(file), "").unwrap();
            let build = stage.build().unwrap();
            assert_eq!(build.get_program(), program);
        }
    }

    #[test]
    fn what_is_made_is_no_source() {
        let folder = tempfile::tempdir().unwrap();
        for made in ["target", "src", ".git"] {
            fs::create_dir(folder.path().join(made)).unwrap();
            fs::write(folder.path().join(made).join("a.rs"), "").unwrap();
        }
        fs::write(folder.path().join("a.wasm"), "").unwrap();
        let stage = StageFolder::at(folder.path()).unwrap();
        let sources = stage.sources();
        assert_eq!(sources.len(), 1, "{sources:?}");
        assert!(sources[0].ends_with("src/a.rs"));
    }

    #[test]
    fn a_source_is_newer_than_what_was_built_before_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, "").unwrap();
            path
        };
        let at = |path: &Path, seconds: u64| {
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        };
        let (component, source) = (write("a.wasm"), write("a.py"));
        write("cases.toml");
        write("README.md");
        let stage = StageFolder::at(folder.path()).unwrap();
        at(&component, 2_000);
        at(&source, 1_000);
        assert_eq!(stage.newer_source(&component), None);
        at(&source, 3_000);
        assert_eq!(stage.newer_source(&component), Some("a.py".into()));
    }

    #[test]
    fn the_same_written_again_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let taken = |before: &Snapshot| Snapshot::of([path.clone()], before);
        fs::write(&path, "one").unwrap();
        let first = taken(&Snapshot::default());
        fs::remove_file(&path).unwrap();
        assert!(!first.is_same(&taken(&first)));
        fs::write(&path, "one").unwrap();
        assert!(first.is_same(&taken(&Snapshot::default())));
        fs::write(&path, "three").unwrap();
        assert!(!first.is_same(&taken(&first)));
    }
}
