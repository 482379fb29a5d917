//! Payloads as they arrive: a tarball, a directory, or CSV files.
//!
//! A payload is read in two passes: first the manifest, wherever it stands, then the
//! reports one after another as chunks of bytes. Nothing is unpacked to disk and nothing
//! is held whole in memory. A payload is opened once, and everything goes by the opened
//! file. This room does not know what the rows of a report mean.

mod ahead;
mod archive;
pub mod cluster_name;
mod folder;
pub mod inbox;
mod loose;
mod manifest;
mod opened;
mod pack;
mod strange;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags, fstat};

pub use self::ahead::open_ahead;
use self::folder::Folder;
pub use self::loose::PayloadInput;
pub use self::manifest::{Manifest, ManifestError};
pub use self::opened::{Look, OpenFile, other_kind};
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::hindrance;

/// The member that says what the others are.
const MANIFEST: &str = "manifest.json";

/// What to do about a payload that is broken.
const NEW_UPLOAD: &str =
    "nothing of it was published; ask the operator of the cluster for a new upload";

/// Bytes of a manifest; real ones have some thousands.
const MANIFEST_BYTES_MAX: u64 = 10 << 20;

/// A payload that is open, and whose manifest has been read.
#[derive(Debug)]
pub struct Payload {
    pub path: PathBuf,
    pub manifest: Manifest,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Tarball {
        file: OpenFile,
        /// The SHA-256 of the bytes that the manifest was read from.
        digest: String,
        /// The bytes of each file.
        sizes: BTreeMap<String, u64>,
    },
    Directory(Folder),
    /// Reports without a manifest, by the names that they have in ours.
    Reports(BTreeMap<String, OpenFile>),
}

impl Payload {
    /// Opens a payload and reads its manifest.
    ///
    /// `cluster_id` is for CSV files, which have no manifest to say it.
    ///
    /// # Errors
    /// The payload cannot be read, or its manifest is missing or lies.
    pub fn open(path: &Path, cluster_id: Option<&str>) -> Result<Self> {
        let file = open_file(path)?;
        let stat = fstat(&file).map_err(|error| unreadable(path, error.into()))?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Self::of_folder(path, file, cluster_id);
        }
        if loose::is_report(path) {
            return PayloadInput::Reports(vec![path.to_path_buf()]).open(cluster_id);
        }
        let file = OpenFile::new(file).map_err(|error| unreadable(path, error))?;
        Self::of_tarball(path, file)
    }

    /// Reports that came without a manifest, and the one that is made for them.
    fn of_reports(path: &Path, manifest: Manifest, reports: BTreeMap<String, OpenFile>) -> Self {
        Self {
            path: path.to_path_buf(),
            manifest,
            form: Form::Reports(reports),
        }
    }

    /// Reads the manifest of a tarball that is open. `path` is its name for people.
    ///
    /// # Errors
    /// As `open`.
    pub fn of_tarball(path: &Path, file: OpenFile) -> Result<Self> {
        let (text, read) = archive::manifest(&file).map_err(|broken| {
            let hint = match &broken {
                archive::TarballFault::Unreadable(_) => strange::hint(path, &file),
                _ => None,
            };
            let refused = refuse(path, broken);
            match hint {
                Some(hint) => refused.hint(hint),
                None => refused,
            }
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            manifest: parse_manifest(path, &text)?,
            form: Form::Tarball {
                file,
                digest: read.digest,
                sizes: read.sizes,
            },
        })
    }

    fn of_folder(path: &Path, directory: File, cluster_id: Option<&str>) -> Result<Self> {
        let refused = |broken| refuse(path, broken);
        let mut folder = match Folder::open(directory).map_err(refused)? {
            Ok(folder) => folder,
            Err(directory) => {
                let loose = loose::of_folder(path, &directory, cluster_id);
                return loose.unwrap_or_else(|| Err(strange::folder(path)));
            }
        };
        let manifest = parse_manifest(path, &folder.manifest)?;
        folder.note(&manifest.files).map_err(refused)?;
        Ok(Self {
            path: path.to_path_buf(),
            manifest,
            form: Form::Directory(folder),
        })
    }

    /// The SHA-256 of a tarball as it was opened; folders and single reports have none.
    pub fn digest(&self) -> Option<&str> {
        match &self.form {
            Form::Tarball { digest, .. } => Some(digest),
            Form::Directory(_) | Form::Reports(_) => None,
        }
    }

    /// The bytes of those reports that are wanted and are here.
    pub fn bytes_of(&self, wanted: &dyn Fn(&str) -> bool) -> u64 {
        let reports = self.manifest.files.iter();
        let reports = reports.filter(|name| wanted(name));
        reports
            .filter_map(|name| match &self.form {
                Form::Tarball { sizes, .. } => sizes.get(name).copied(),
                Form::Directory(folder) => folder.bytes_of(name),
                Form::Reports(reports) => u64::try_from(reports.get(name)?.look().bytes).ok(),
            })
            .sum()
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
        let refused = |broken| refuse(&self.path, broken);
        match &self.form {
            Form::Tarball { file, digest, .. } => {
                let read = archive::for_each_file(file, &mut |name, reader| {
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
                });
                match read.map_err(refused)?.digest == *digest {
                    true => Ok(()),
                    false => Err(self.changed()),
                }
            }
            Form::Directory(folder) => self.manifest.files.iter().try_for_each(|name| {
                let read = folder.member(name, |file| {
                    each(name, &mut file.reader()).map_err(archive::TarballFault::Callback)
                });
                read.map(drop).map_err(refused)
            }),
            Form::Reports(reports) => reports.iter().try_for_each(|(name, file)| {
                each(name, &mut file.reader())?;
                match file.is_unchanged() {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(self.changed()),
                    Err(error) => Err(refused(archive::TarballFault::Hindered(error))),
                }
            }),
        }
    }

    /// Somebody wrote into the payload between one look at it and the next.
    fn changed(&self) -> Failure {
        Failure::run(format!(
            "payload `{}` was changed while it was run",
            self.path.display()
        ))
        .hint(
            "nothing of it was published; write payloads under another name and rename them \
             when they are whole, then run it again",
        )
    }
}

/// Opens a file or a folder, and waits for nothing else that may stand there.
fn open_file(path: &Path) -> Result<File> {
    let shown = path.display();
    let neither =
        || Failure::definition(format!("payload `{shown}` is neither a file nor a folder"));
    let failed = |error| unreadable(path, error);
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_dir() && !metadata.is_file() {
        return Err(neither());
    }
    // A pipe that took its place would otherwise be waited for.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(failed)?;
    let stat = fstat(&file).map_err(|error| failed(error.into()))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::Directory => Ok(file),
        _ => Err(neither()),
    }
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    let shown = path.display();
    let message = format!("cannot read payload `{shown}`");
    let failure = match hindrance::of_reading(&error) {
        hindrance @ Some(_) => Failure::hindered(hindrance, message),
        None if hindrance::is_of_rights(&error) => {
            Failure::environment(message).hint(hindrance::rights_hint())
        }
        None => Failure::definition(message),
    };
    failure.because(error).at(shown.to_string())
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

fn refuse(path: &Path, broken: archive::TarballFault) -> Failure {
    use archive::TarballFault;
    let hindrance = match &broken {
        TarballFault::Hindered(error) | TarballFault::Member(_, error) => {
            hindrance::of_reading(error)
        }
        _ => None,
    };
    let not_readable = |error: &io::Error| {
        let failure = Failure::environment(format!("cannot read payload `{}`", path.display()));
        match hindrance::is_of_rights(error) {
            true => failure.hint(hindrance::rights_hint()),
            false => failure,
        }
    };
    match broken {
        TarballFault::Callback(failure) => failure,
        other if hindrance.is_some() => Failure::hindered(
            hindrance,
            format!("cannot read payload `{}`", path.display()),
        )
        .because(other),
        TarballFault::Hindered(error) => not_readable(&error).because(error),
        TarballFault::Member(name, error) if hindrance::is_of_rights(&error) => {
            let failure = not_readable(&error);
            failure.because(TarballFault::Member(name, error))
        }
        other => Failure::run(format!("payload `{}` is refused", path.display()))
            .because(other)
            .hint(NEW_UPLOAD),
    }
    .at(path.display().to_string())
}
