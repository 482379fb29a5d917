//! Packs a payload as one tarball, so that it can be kept.
//!
//! A tarball stays as it is, byte for byte. Anything else becomes a tarball whose bytes
//! depend on its contents alone: no times, no owners, the manifest first. It holds what
//! was opened and loaded, or is not made.

use std::io::{self, Read, Write};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::archive::TarballFault;
use super::{Form, MANIFEST, Manifest, OpenFile, Payload};

impl Payload {
    /// Writes the payload as a tarball.
    ///
    /// # Errors
    /// The payload cannot be read or was changed since it was opened, or `to` cannot be
    /// written.
    pub fn pack(&self, to: &mut dyn Write) -> io::Result<()> {
        match &self.form {
            Form::Tarball { file, digest, .. } => {
                let mut bytes = file.reader();
                io::copy(&mut bytes, to)?;
                match bytes.digest()? == *digest {
                    true => Ok(()),
                    false => Err(changed()),
                }
            }
            Form::Directory(folder) => {
                let mut tarball = begin(to, &folder.manifest)?;
                for name in &self.manifest.files {
                    let appended = folder.member(name, |file| {
                        append(&mut tarball, name, file).map_err(TarballFault::Unreadable)
                    });
                    appended.map_err(|broken| match broken {
                        TarballFault::Unreadable(error) | TarballFault::Member(_, error) => error,
                        other => io::Error::other(other.to_string()),
                    })?;
                }
                end(tarball)
            }
            Form::Reports(reports) => {
                let manifest = written(&self.manifest).to_string();
                let mut tarball = begin(to, manifest.as_bytes())?;
                for (name, file) in reports {
                    append(&mut tarball, name, file)?;
                    if !file.is_unchanged()? {
                        return Err(changed());
                    }
                }
                end(tarball)
            }
        }
    }
}

fn changed() -> io::Error {
    io::Error::other("the payload was changed while it was run")
}

/// The manifest of reports that came without one, as its payload would have had it.
fn written(manifest: &Manifest) -> serde_json::Value {
    json!({
        "uuid": manifest.uuid,
        "cluster_id": manifest.cluster_id,
        "date": manifest.date,
        "files": manifest.files,
        "daily_reports": manifest.daily_reports,
    })
}

type Tarball<'t> = Builder<GzEncoder<&'t mut dyn Write>>;

fn begin<'t>(to: &'t mut dyn Write, manifest: &[u8]) -> io::Result<Tarball<'t>> {
    let gzip: GzEncoder<&mut dyn Write> =
        GzBuilder::new().mtime(0).write(to, Compression::default());
    let mut tarball = Builder::new(gzip);
    tarball.append_data(&mut header(manifest.len() as u64), MANIFEST, manifest)?;
    Ok(tarball)
}

fn append(tarball: &mut Tarball<'_>, name: &str, file: &OpenFile) -> io::Result<()> {
    let bytes = file.look().bytes as u64;
    // A file that grows meanwhile is cut at the size that was announced.
    tarball.append_data(&mut header(bytes), name, file.reader().take(bytes))
}

fn end(tarball: Tarball<'_>) -> io::Result<()> {
    tarball.into_inner()?.finish()?.flush()
}

fn header(bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(bytes);
    header
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Packs a payload twice, and opens what that made.
    #[track_caller]
    fn packed(payload: &Payload, folder: &Path) -> Payload {
        let (mut once, mut twice) = (Vec::new(), Vec::new());
        payload.pack(&mut once).unwrap();
        payload.pack(&mut twice).unwrap();
        assert_eq!(once, twice);
        let tarball = folder.join("packed.tar.gz");
        std::fs::write(&tarball, &once).unwrap();
        let packed = Payload::open(&tarball, None).unwrap();
        assert_eq!(packed.manifest, payload.manifest);
        packed
    }

    #[track_caller]
    fn reports(payload: &Payload) -> Vec<(String, String)> {
        let mut reports = Vec::new();
        payload
            .for_each_report(&mut |name, reader| {
                let mut text = String::new();
                reader.read_to_string(&mut text).unwrap();
                reports.push((name.to_string(), text));
                Ok(())
            })
            .unwrap();
        reports
    }

    #[test]
    fn a_report_that_came_alone_is_the_same_upload_when_packed() {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("alone.csv");
        std::fs::write(&report, "a,b\n1,2\n").unwrap();
        let single = Payload::open(&report, Some("cluster")).unwrap();
        let packed = packed(&single, folder.path());
        assert_eq!(reports(&packed), reports(&single));
    }

    #[test]
    fn a_directory_is_packed_with_what_is_there_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        // Longer than the name field of a tarball.
        let long = format!("{}.csv", "a".repeat(120));
        let manifest = json!({
            "uuid": "0df8b45b-6e53-4761-b7f1-3155ee407047",
            "cluster_id": "cluster",
            "date": "2026-10-01T23:59:59.5Z",
            "files": [long, "absent.csv", "empty.csv"],
        });
        let text = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        text(MANIFEST, &manifest.to_string()).unwrap();
        text(&long, "a,b\n1,2\n").unwrap();
        text("empty.csv", "").unwrap();
        text("unlisted.csv", "c\n").unwrap();
        let directory = Payload::open(folder.path(), None).unwrap();
        let packed = packed(&directory, folder.path());
        assert_eq!(reports(&packed), reports(&directory));
        assert_eq!(reports(&packed).len(), 2);
    }
}
