//! Reports without a manifest: CSV files that are given together, or lie in one folder. They
//! are one payload of the cluster that the user names.
//!
//! Each file is known by its bytes, whatever it is called and whichever comes first, so that
//! the same files again are the same upload.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, OFlags};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::folder::open_member;
use super::manifest::{Manifest, ManifestError, check_cluster_id};
use super::opened::OpenFile;
use super::{Payload, open_file, unreadable};
use crate::diagnostics::failure::{Failure, Result};

/// More are none that somebody laid there by hand.
const FILES_MAX: usize = 1_000;

/// A payload as it is given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadInput {
    /// A tarball or a folder.
    Whole(PathBuf),
    /// CSV files.
    Reports(Vec<PathBuf>),
}

impl PayloadInput {
    /// The payloads that some paths are: all CSV files are one, which stands where the
    /// first of them does.
    pub fn of(paths: &[PathBuf]) -> Vec<PayloadInput> {
        let reports: Vec<PathBuf> = paths
            .iter()
            .filter(|path| is_report(path))
            .cloned()
            .collect();
        let mut inputs = Vec::new();
        for path in paths {
            if !is_report(path) {
                inputs.push(Self::Whole(path.clone()));
            } else if reports.first() == Some(path)
                && !inputs.iter().any(|input| matches!(input, Self::Reports(_)))
            {
                inputs.push(Self::Reports(reports.clone()));
            }
        }
        inputs
    }

    /// Its name for people.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Whole(path) => path.clone(),
            Self::Reports(paths) => match &paths[..] {
                [] => PathBuf::new(),
                [path] => path.clone(),
                [first, others @ ..] => {
                    let mut name = first.clone().into_os_string();
                    name.push(format!(" and {} more", others.len()));
                    PathBuf::from(name)
                }
            },
        }
    }

    /// Opens it; reports need the cluster's id.
    ///
    /// # Errors
    /// It cannot be read, or its manifest is missing or lies.
    pub fn open(&self, cluster_id: Option<&str>) -> Result<Payload> {
        match self {
            Self::Whole(path) => Payload::open(path, cluster_id),
            Self::Reports(paths) => {
                let files = paths.iter().map(|path| open_report(path));
                let files = files.collect::<Result<Vec<_>>>()?;
                of_files(&self.path(), files, cluster_id)
            }
        }
    }
}

/// Whether a path is taken for a report that has no manifest beside it.
pub(super) fn is_report(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "csv") && !path.is_dir()
}

fn open_report(path: &Path) -> Result<OpenFile> {
    let file = open_file(path)?;
    OpenFile::new(file).map_err(|error| unreadable(path, error))
}

/// The payload of a folder that has no manifest, if it has CSV files; `path` is its name for
/// people.
pub(super) fn of_folder(
    path: &Path,
    directory: &File,
    cluster_id: Option<&str>,
) -> Option<Result<Payload>> {
    match files_of(path, directory) {
        Ok(files) if files.is_empty() => None,
        Ok(files) => Some(of_files(path, files, cluster_id)),
        Err(failure) => Some(Err(failure)),
    }
}

fn files_of(path: &Path, directory: &File) -> Result<Vec<OpenFile>> {
    let entries = Dir::read_from(directory).map_err(|error| unreadable(path, error.into()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(path, error.into()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Hidden ones are being written.
        if name.ends_with(".csv") && !name.starts_with('.') {
            names.push(name);
        }
    }
    if names.len() > FILES_MAX {
        return Err(Failure::definition(format!(
            "folder `{}` has more than {FILES_MAX} CSV files",
            path.display()
        )));
    }
    names.sort();
    let directory = rustix::fs::openat(
        directory,
        ".",
        OFlags::RDONLY | OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(|error| unreadable(path, error.into()))?;
    let mut files = Vec::new();
    for name in names {
        let opened =
            open_member(&directory, &name).map_err(|broken| super::refuse(path, broken))?;
        files.extend(opened);
    }
    Ok(files)
}

fn of_files(path: &Path, files: Vec<OpenFile>, cluster_id: Option<&str>) -> Result<Payload> {
    let shown = path.display();
    let Some(cluster_id) = cluster_id else {
        let (are, whose) = match (path.is_dir(), files.len()) {
            (true, _) => ("is a folder of reports", "its"),
            (false, 1) => ("is a single report", "its"),
            (false, _) => ("are reports", "their"),
        };
        return Err(Failure::definition(format!(
            "`{shown}` {are} without a manifest, so {whose} cluster is unknown"
        ))
        .hint("name the cluster with `--cluster-id ID`"));
    };
    let (manifest, files) = manifest_of(cluster_id, files)
        .map_err(|error| Failure::run(format!("cannot load report `{shown}`")).because(error))?;
    Ok(Payload::of_reports(path, manifest, files))
}

/// The manifest of some reports, which are named by their contents: a copy is the same
/// file. Of one report the upload is identified as the report is, of several by all of them.
fn manifest_of(
    cluster_id: &str,
    files: Vec<OpenFile>,
) -> std::result::Result<(Manifest, BTreeMap<String, OpenFile>), ManifestError> {
    check_cluster_id(cluster_id)?;
    let mut reports = BTreeMap::new();
    for file in files {
        reports.insert(identity_of(cluster_id, &mut file.reader())?, file);
    }
    let mut hasher = Sha256::new();
    hasher.update(cluster_id.as_bytes());
    let uuid = match reports.keys().collect::<Vec<_>>()[..] {
        [only] => *only,
        ref several => {
            for report in several {
                hasher.update(report.as_bytes());
            }
            uuid_of(hasher)
        }
    };
    let reports: BTreeMap<String, OpenFile> = reports
        .into_iter()
        .map(|(report, file)| (format!("{report}.csv"), file))
        .collect();
    let names = reports.keys().cloned().collect();
    Ok((Manifest::of_reports(uuid, cluster_id, names), reports))
}

fn identity_of(
    cluster_id: &str,
    content: &mut dyn Read,
) -> std::result::Result<Uuid, ManifestError> {
    let mut hasher = Sha256::new();
    hasher.update(cluster_id.as_bytes());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = content
            .read(&mut buffer)
            .map_err(|error| ManifestError::of(&error))?;
        if read == 0 {
            return Ok(uuid_of(hasher));
        }
        hasher.update(&buffer[..read]);
    }
}

fn uuid_of(hasher: Sha256) -> Uuid {
    let digest = hasher.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_reports_on_a_command_line_are_one_payload() {
        let paths = ["a.tar.gz", "b.csv", "folder", "c.csv", "b.csv"].map(PathBuf::from);
        let inputs = PayloadInput::of(&paths);
        let names: Vec<String> = inputs
            .iter()
            .map(|input| input.path().display().to_string())
            .collect();
        assert_eq!(names, ["a.tar.gz", "b.csv and 2 more", "folder"]);
        assert_eq!(PayloadInput::of(&paths[1..2])[0].path(), paths[1]);
    }

    #[test]
    fn the_same_reports_are_the_same_upload_whatever_they_are_called() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (one, two) = (write("one.csv", "a\n1\n"), write("two.csv", "b\n2\n"));
        let copy = write("copy.csv", "a\n1\n");
        let open = |paths: &[&PathBuf]| {
            let paths = paths.iter().map(|path| (*path).clone()).collect();
            let opened = PayloadInput::Reports(paths).open(Some("cluster"));
            opened.unwrap().manifest
        };
        let both = open(&[&one, &two]);
        assert_eq!(both.files.len(), 2);
        assert_eq!(both, open(&[&two, &copy]));
        assert_eq!(both, open(&[&two, &copy, &one]));
        let alone = open(&[&one]);
        assert_ne!(alone.uuid, both.uuid);
        assert!(both.files.contains(&alone.files[0]));
    }
}
