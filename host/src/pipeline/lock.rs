//! `gristmill.lock`: the very components that the pipelines of a folder run with.
//!
//! One file lies beside the pipeline files and has a section for each, by file
//! name. It says of every stage what was locked; it decides nothing. The plan
//! compares, and `gristmill lock` writes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::diagnostics::problem::{Problem, Sources, Span};

/// The name of the file.
pub const FILE_NAME: &str = "gristmill.lock";

/// The first lines of the file.
const HEADER: &str = "\
# Written by `gristmill lock`; `--locked` runs these components and no others.
# It belongs beside the pipeline files, into version control.

";

/// The version of the file's form.
const VERSION: u32 = 1;

/// The locked component of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedStage {
    /// The component's path as the pipeline file has it.
    pub component: String,
    /// Digest of the component.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// `parser` or `transform`.
    pub world: String,
    /// The version of the contract that it was built for.
    pub contract: String,
}

/// The stages of one pipeline file, by name.
pub type LockedStages = BTreeMap<String, LockedStage>;

/// The whole file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LockFile {
    version: u32,
    /// By file name.
    #[serde(default)]
    pipelines: BTreeMap<String, Section>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Section {
    #[serde(default)]
    stages: LockedStages,
}

/// The stages of a pipeline as they were locked, each with its place.
#[derive(Debug)]
pub struct Lock {
    pub path: PathBuf,
    pub stages: BTreeMap<String, (Span, LockedStage)>,
}

/// How the lock of a pipeline differs from the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Added(String),
    Removed(String),
    /// The names of what is another now.
    Changed(String, Vec<&'static str>),
    /// The section of a pipeline file that is there no longer.
    Forgotten(String),
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(stage) => write!(formatter, "added    {stage}"),
            Self::Removed(stage) => write!(formatter, "removed  {stage}"),
            Self::Changed(stage, what) => {
                write!(formatter, "changed  {stage}: {}", what.join(", "))
            }
            Self::Forgotten(file) => {
                write!(formatter, "removed  all of `{file}`, which is not there")
            }
        }
    }
}

/// The lock file of a pipeline file.
pub fn path_for(pipeline: &Path) -> PathBuf {
    pipeline.with_file_name(FILE_NAME)
}

/// Reads what is locked for a pipeline file. Its text joins the sources, so that
/// problems can point into it.
///
/// # Errors
/// There is no lock, it cannot be read, or it does not know the pipeline.
pub fn read(pipeline: &Path, sources: &mut Sources) -> Result<Lock, Problem> {
    let path = path_for(pipeline);
    let (shown, command) = (path.display(), command(pipeline));
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let problem = Problem::new(None, format!("cannot read lock `{shown}`: {error}"));
        match missing {
            true => problem.hint(format!("`{command}` writes it")),
            false => problem.environment(),
        }
    })?;
    let start = sources.add(&path, &text);
    let unreadable = |error: &toml::de::Error| {
        let span = error.span().unwrap_or_default();
        Problem::new(
            span.start + start..span.end + start,
            error.message().trim_end().replace('\n', ", "),
        )
        .hint(format!("`{command}` writes it anew"))
    };
    let file: LockFile = toml::from_str(&text).map_err(|error| unreadable(&error))?;
    if file.version != VERSION {
        return Err(Problem::new(
            None,
            format!(
                "lock `{shown}` is of version {}; this gristmill reads {VERSION}",
                file.version
            ),
        )
        .hint(format!("`{command}` writes it anew")));
    }
    let places: Places = toml::from_str(&text).map_err(|error| unreadable(&error))?;
    let name = file_name(pipeline);
    let Some(section) = file.pipelines.get(&name) else {
        return Err(Problem::new(
            None,
            format!("lock `{shown}` has nothing of pipeline file `{name}`"),
        )
        .hint(format!("`{command}` adds it")));
    };
    let place = |stage: &str| {
        let stages = places.pipelines.get(&name).map(|section| &section.stages);
        let found = stages.and_then(|stages| {
            let mut names = stages.keys();
            names.find(|name| name.get_ref() == stage)
        });
        found.map_or(start..start, |name| {
            name.span().start + start..name.span().end + start
        })
    };
    let stages = section
        .stages
        .iter()
        .map(|(stage, locked)| (stage.clone(), (place(stage), locked.clone())))
        .collect();
    Ok(Lock { path, stages })
}

/// The file once more, for where the names of its stages stand.
#[derive(Deserialize)]
struct Places {
    #[serde(default)]
    pipelines: BTreeMap<String, PlacesOfStages>,
}

#[derive(Deserialize)]
struct PlacesOfStages {
    #[serde(default)]
    stages: BTreeMap<Spanned<String>, toml::Table>,
}

/// Puts the stages of a pipeline file into the lock beside it; says what that
/// changes. The sections of other pipeline files stay, unless the files went away.
///
/// # Errors
/// The lock that is there has another form, or the folder cannot be written to.
pub fn write(pipeline: &Path, stages: LockedStages) -> Result<Vec<Change>, anyhow::Error> {
    let path = path_for(pipeline);
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.into()),
    };
    // A lock that is no lock is written anew: everything in it can be made again.
    let mut file = toml::from_str::<LockFile>(&before)
        .ok()
        .filter(|file| file.version == VERSION)
        .unwrap_or(LockFile {
            version: VERSION,
            pipelines: BTreeMap::new(),
        });
    let name = file_name(pipeline);
    let mut changes = Vec::new();
    let old = file.pipelines.remove(&name).unwrap_or_default().stages;
    file.pipelines.retain(|other, _| {
        let stays = path.with_file_name(other).is_file();
        if !stays {
            changes.push(Change::Forgotten(other.clone()));
        }
        stays
    });
    changes.extend(difference(&old, &stages));
    file.pipelines.insert(name, Section { stages });
    let after = format!("{HEADER}{}", toml::to_string(&file)?);
    if after != before {
        replace(&path, &after)?;
    }
    Ok(changes)
}

/// All of the text or the old one, whatever happens.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".gristmill.lock")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn difference(old: &LockedStages, new: &LockedStages) -> Vec<Change> {
    let added = |name: &&String| !old.contains_key(*name);
    let added = new.keys().filter(added).cloned().map(Change::Added);
    let removed = |name: &&String| !new.contains_key(*name);
    let removed = old.keys().filter(removed).cloned().map(Change::Removed);
    let changed = new.iter().filter_map(|(name, stage)| {
        let before = old.get(name).filter(|before| *before != stage)?;
        let what = [
            ("path", before.component != stage.component),
            ("sha256", before.sha256 != stage.sha256),
            ("bytes", before.bytes != stage.bytes),
            ("world", before.world != stage.world),
            ("contract", before.contract != stage.contract),
        ];
        let what = what.iter().filter(|(_, differs)| *differs);
        Some(Change::Changed(
            name.clone(),
            what.map(|(name, _)| *name).collect(),
        ))
    });
    added.chain(changed).chain(removed).collect()
}

/// The command that makes the lock of a pipeline file.
pub fn command(pipeline: &Path) -> String {
    format!("gristmill lock {}", pipeline.display())
}

fn file_name(pipeline: &Path) -> String {
    let name = pipeline.file_name().unwrap_or(pipeline.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(digest: char) -> LockedStage {
        LockedStage {
            component: "a.wasm".into(),
            sha256: digest.to_string().repeat(64),
            bytes: 7,
            world: "parser".into(),
            contract: "0.1.0".into(),
        }
    }

    #[test]
    fn a_lock_keeps_other_pipelines_and_says_what_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (
            folder.path().join("one.toml"),
            folder.path().join("two.toml"),
        );
        std::fs::write(&one, "").unwrap();
        std::fs::write(&two, "").unwrap();
        let first = LockedStages::from([("p".into(), stage('a')), ("q".into(), stage('b'))]);
        let changes = write(&one, first.clone()).unwrap();
        assert_eq!(
            changes,
            [Change::Added("p".into()), Change::Added("q".into())]
        );
        write(&two, first.clone()).unwrap();
        let text = std::fs::read_to_string(path_for(&one)).unwrap();
        assert_eq!(write(&one, first).unwrap(), []);
        assert_eq!(std::fs::read_to_string(path_for(&one)).unwrap(), text);

        let second = LockedStages::from([("p".into(), stage('c')), ("r".into(), stage('b'))]);
        assert_eq!(
            write(&one, second).unwrap(),
            [
                Change::Added("r".into()),
                Change::Changed("p".into(), vec!["sha256"]),
                Change::Removed("q".into()),
            ]
        );
        let lock = read(&two, &mut Sources::default()).unwrap();
        assert_eq!(lock.stages["q"].1, stage('b'));

        std::fs::remove_file(&two).unwrap();
        let third = LockedStages::from([("p".into(), stage('c')), ("r".into(), stage('b'))]);
        assert_eq!(
            write(&one, third).unwrap(),
            [Change::Forgotten("two.toml".into())]
        );
    }

    #[test]
    fn a_place_in_a_lock_is_a_place_among_the_sources() {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = folder.path().join("one.toml");
        write(&pipeline, LockedStages::from([("p".into(), stage('a'))])).unwrap();
        let mut sources = Sources::default();
        sources.add(&pipeline, "# the pipeline\n");
        let lock = read(&pipeline, &mut sources).unwrap();
        let place = sources.place(&lock.stages["p"].0).unwrap();
        assert!(place.contains("gristmill.lock:6:"), "{place}");
    }
}
