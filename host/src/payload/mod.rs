//! Payloads as they arrive: a tarball, a directory, or a single CSV.
//!
//! A payload is read in two passes: the manifest first, wherever it stands, then
//! the reports one after another as chunks of bytes. Nothing is unpacked to disk
//! and nothing is held whole in memory. What a report's rows mean is not known
//! here.

mod ahead;
mod archive;
mod manifest;
mod pack;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use self::ahead::open_ahead;
pub use self::manifest::{Manifest, ManifestError};
use crate::failure::{Failure, Result};

/// The member that says what the others are.
const MANIFEST: &str = "manifest.json";

/// Bytes of a manifest; real ones have some thousands.
const MANIFEST_BYTES_MAX: u64 = 10 << 20;

/// A payload whose manifest has been read.
#[derive(Debug)]
pub struct Payload {
    pub path: PathBuf,
    pub manifest: Manifest,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Tarball,
    Directory,
    /// One report without a manifest.
    SingleFile,
}

impl Payload {
    /// Opens a payload and reads its manifest.
    ///
    /// `cluster_id` is for a single CSV, which has no manifest to say it.
    ///
    /// # Errors
    /// The payload cannot be read, or its manifest is missing or lies.
    pub fn open(path: &Path, cluster_id: Option<&str>) -> Result<Self> {
        let shown = path.display();
        let metadata = std::fs::metadata(path).map_err(|error| {
            Failure::definition(format!("cannot read payload `{shown}`")).because(error)
        })?;
        let (form, manifest) = if metadata.is_dir() {
            (Form::Directory, manifest_of_directory(path)?)
        } else if !metadata.is_file() {
            return Err(Failure::definition(format!(
                "payload `{shown}` is neither a file nor a folder"
            )));
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            let Some(cluster_id) = cluster_id else {
                return Err(Failure::definition(format!(
                    "`{shown}` is a single report without a manifest, so its cluster is unknown"
                ))
                .hint("name the cluster with `--cluster-id ID`"));
            };
            (Form::SingleFile, manifest_of_file(path, cluster_id)?)
        } else {
            let text = archive::manifest(path).map_err(|failure| refuse(path, failure))?;
            (Form::Tarball, parse_manifest(path, &text)?)
        };
        Ok(Self {
            path: path.to_path_buf(),
            manifest,
            form,
        })
    }

    /// Hands every report that the manifest lists and that is here to `each`, in
    /// the order in which they stand, as a name and its bytes.
    ///
    /// # Errors
    /// The payload is broken, or `each` fails.
    pub fn for_each_report(
        &self,
        each: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        match self.form {
            Form::Tarball => archive::for_each_file(&self.path, &mut |name, reader| {
                if self.manifest.files.iter().any(|listed| listed == name) {
                    each(name, reader)
                } else if name == MANIFEST
                    || self.manifest.other_files.iter().any(|other| other == name)
                {
                    Ok(())
                } else {
                    Err(
                        Failure::run(format!("payload `{}` is refused", self.path.display()))
                            .because(anyhow::anyhow!(
                                "it holds `{name}`, which its manifest does not list"
                            )),
                    )
                }
            })
            .map_err(|failure| match failure {
                archive::Broken::Callback(failure) => failure,
                other => refuse(&self.path, other),
            }),
            Form::Directory => self.manifest.files.iter().try_for_each(|name| {
                let path = self.path.join(name);
                match plain(&path, name).map_err(|broken| refuse(&self.path, broken))? {
                    true => read_file(&path, name, each),
                    false => Ok(()),
                }
            }),
            Form::SingleFile => {
                let name = self.manifest.files[0].clone();
                read_file(&self.path, &name, each)
            }
        }
    }
}

/// The files of a tarball in memory, as names and sizes.
///
/// # Errors
/// Why it is refused.
pub(crate) fn files_of(tarball: &[u8]) -> Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    archive::read_files(tarball, tarball.len() as u64, &mut |name, reader| {
        let bytes = io::copy(reader, &mut io::sink())
            .map_err(|error| Failure::run("cannot read a member").because(error))?;
        files.push((name.to_string(), bytes));
        Ok(())
    })
    .map_err(|broken| refuse(Path::new("tarball"), broken))?;
    Ok(files)
}

/// Whether a member of a folder is there; a link may lead anywhere, and reading a
/// pipe may never end.
fn plain(path: &Path, name: &str) -> Result<bool, archive::Broken> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(_) => Err(archive::Broken::Refused(format!(
            "member `{name}` is not a plain file"
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(archive::Broken::Refused(format!(
            "member `{name}` cannot be read: {error}"
        ))),
    }
}

fn read_file(
    path: &Path,
    name: &str,
    each: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let mut file = File::open(path).map_err(|error| {
        Failure::run(format!("cannot read report `{}`", path.display())).because(error)
    })?;
    each(name, &mut file)
}

fn manifest_of_directory(path: &Path) -> Result<Manifest> {
    let file = path.join(MANIFEST);
    if !plain(&file, MANIFEST).map_err(|broken| refuse(path, broken))? {
        return Err(refuse(path, archive::Broken::NoManifest));
    }
    let mut text = Vec::new();
    File::open(&file)
        .and_then(|file| file.take(MANIFEST_BYTES_MAX + 1).read_to_end(&mut text))
        .map_err(|error| {
            Failure::run(format!(
                "payload `{}` has no readable manifest",
                path.display()
            ))
            .because(error)
        })?;
    parse_manifest(path, &text)
}

fn manifest_of_file(path: &Path, cluster_id: &str) -> Result<Manifest> {
    let mut file = File::open(path).map_err(|error| {
        Failure::run(format!("cannot read report `{}`", path.display())).because(error)
    })?;
    Manifest::of_single_file(cluster_id, &mut file).map_err(|error| {
        Failure::run(format!("cannot load report `{}`", path.display())).because(error)
    })
}

fn parse_manifest(path: &Path, text: &[u8]) -> Result<Manifest> {
    if text.len() as u64 > MANIFEST_BYTES_MAX {
        return Err(Failure::run(format!(
            "the manifest of payload `{}` has more than {MANIFEST_BYTES_MAX} bytes",
            path.display()
        )));
    }
    Manifest::parse(text).map_err(|error| {
        Failure::run(format!("payload `{}` is refused", path.display()))
            .because(error)
            .hint("nothing of it was loaded; ask the operator of the cluster for a new upload")
    })
}

fn refuse(path: &Path, broken: archive::Broken) -> Failure {
    match broken {
        archive::Broken::Callback(failure) => failure,
        other => Failure::run(format!("payload `{}` is refused", path.display()))
            .because(other)
            .hint("nothing of it was published; ask the operator of the cluster for a new upload"),
    }
}
