//! Payloads made by tests, whole ones and broken ones.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::{EntryType, Header};

/// The cluster of every payload made here.
pub(crate) const CLUSTER: &str = "test-cluster";

/// The one day that most payloads cover.
pub(crate) const DAY: &str = "2026-01-10";

/// A report: a header and rows, written cell by cell.
#[derive(Clone)]
pub(crate) struct Report {
    /// Each column, and what stands in it unless a row says otherwise.
    columns: Vec<(String, String)>,
    text: String,
}

impl Report {
    /// A pod report of node `n1`, which has four cores and 16 GiB.
    pub(crate) fn pods() -> Report {
        Report::new(&[
            ("node", "n1"),
            ("namespace", "app"),
            ("pod", "a"),
            ("pod_usage_cpu_core_seconds", "1800.000000"),
            ("pod_request_cpu_core_seconds", "3600.000000"),
            ("pod_limit_cpu_core_seconds", "0.000000"),
            ("pod_usage_memory_byte_seconds", "0.000000"),
            ("pod_request_memory_byte_seconds", "0.000000"),
            ("pod_limit_memory_byte_seconds", "0.000000"),
            ("node_capacity_cpu_cores", "4.000000"),
            ("node_capacity_cpu_core_seconds", "14400.000000"),
            ("node_capacity_memory_bytes", "17179869184.000000"),
            ("node_capacity_memory_byte_seconds", "61847529062400.000000"),
            ("node_role", "worker"),
            ("resource_id", "i-1"),
            ("pod_labels", ""),
        ])
    }

    /// A storage report of claims of 100 GiB, half full.
    pub(crate) fn volumes() -> Report {
        Report::new(&[
            ("namespace", "app"),
            ("pod", "a"),
            ("node", "n1"),
            ("persistentvolumeclaim", "d1"),
            ("persistentvolume", "pv-d1"),
            ("storageclass", "fast"),
            ("csi_driver", ""),
            ("csi_volume_handle", ""),
            (
                "persistentvolumeclaim_capacity_bytes",
                "107374182400.000000",
            ),
            (
                "persistentvolumeclaim_capacity_byte_seconds",
                "386547056640000.000000",
            ),
            (
                "volume_request_storage_byte_seconds",
                "386547056640000.000000",
            ),
            (
                "persistentvolumeclaim_usage_byte_seconds",
                "193273528320000.000000",
            ),
            ("persistentvolume_labels", ""),
            ("persistentvolumeclaim_labels", ""),
        ])
    }

    fn new(columns: &[(&str, &str)]) -> Report {
        let times = [
            "report_period_start",
            "report_period_end",
            "interval_start",
            "interval_end",
        ];
        let columns: Vec<(String, String)> = times
            .iter()
            .map(|time| (*time, ""))
            .chain(columns.iter().copied())
            .map(|(name, cell)| (name.to_string(), cell.to_string()))
            .collect();
        let header: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        Report {
            text: header.join(",") + "\n",
            columns,
        }
    }

    /// The same report without a column. Before the first row.
    pub(crate) fn without(mut self, column: &str) -> Report {
        self.columns.retain(|(name, _)| name != column);
        let header: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        self.text = header.join(",") + "\n";
        self
    }

    /// A row of an hour of the day, with these cells other than usual.
    #[track_caller]
    pub(crate) fn row(mut self, hour: u32, cells: &[(&str, &str)]) -> Report {
        for (name, _) in cells {
            assert!(
                self.columns.iter().any(|(column, _)| column == name),
                "the report has no column `{name}`"
            );
        }
        let row: Vec<String> = self
            .columns
            .iter()
            .map(|(name, usual)| {
                let cell = cells.iter().find(|(column, _)| column == name);
                match (cell, name.as_str()) {
                    (Some((_, cell)), _) => (*cell).to_string(),
                    (None, "report_period_start") => "2026-01-01 00:00:00 +0000 UTC".into(),
                    (None, "report_period_end") => "2026-02-01 00:00:00 +0000 UTC".into(),
                    (None, "interval_start") => format!("{DAY} {hour:02}:00:00 +0000 UTC"),
                    (None, "interval_end") => format!("{DAY} {hour:02}:59:59 +0000 UTC"),
                    (None, _) => usual.clone(),
                }
            })
            .collect();
        self.text += &(row.join(",") + "\n");
        self
    }

    /// A usual row for each of the hours.
    pub(crate) fn hours(self, hours: std::ops::Range<u32>) -> Report {
        hours.fold(self, |report, hour| report.row(hour, &[]))
    }

    /// Rows of the first hour that cannot be read, more than a pipeline bears unless told to.
    pub(crate) fn with_too_many_bad(self) -> Report {
        let much = [("pod_usage_cpu_core_seconds", "much")];
        (0..11).fold(self, |report, _| report.row(0, &much))
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// A payload: a manifest and members.
#[derive(Clone)]
pub(crate) struct Payload {
    manifest: Value,
    members: Vec<Member>,
}

#[derive(Clone)]
struct Member {
    name: String,
    kind: EntryType,
    bytes: Vec<u8>,
}

impl Payload {
    /// An empty payload. Those with another number are other uploads, made later
    /// if the number is larger.
    pub(crate) fn numbered(number: u32) -> Payload {
        Payload {
            manifest: json!({
                "uuid": format!("00000000-0000-4000-8000-{number:012}"),
                "cluster_id": CLUSTER,
                "version": "4.4.0",
                "date": format!("2026-01-11T00:{number:02}:00Z"),
                "files": [],
                "start": format!("{DAY}T00:00:00Z"),
                "end": format!("{DAY}T23:59:59Z"),
                "certified": true,
                "daily_reports": true,
            }),
            members: Vec::new(),
        }
    }

    /// The usual payload: three hours of pod `a`.
    pub(crate) fn usual(number: u32) -> Payload {
        Payload::numbered(number).file("pods.csv", Report::pods().hours(0..3).text())
    }

    /// With a report that the manifest lists.
    pub(crate) fn file(mut self, name: &str, text: &str) -> Payload {
        if let Some(files) = self.manifest["files"].as_array_mut() {
            files.push(name.into());
        }
        self.member(name, text)
    }

    /// With a report of bytes that need be no text.
    pub(crate) fn file_of(mut self, name: &str, bytes: &[u8]) -> Payload {
        self = self.file(name, "");
        if let Some(member) = self.members.last_mut() {
            member.bytes = bytes.to_vec();
        }
        self
    }

    /// The files that the manifest lists.
    pub(crate) fn files(&self) -> &[Value] {
        self.manifest["files"].as_array().map_or(&[], Vec::as_slice)
    }

    /// With a member that the manifest does not list.
    pub(crate) fn member(self, name: &str, text: &str) -> Payload {
        self.member_of(EntryType::Regular, name, text)
    }

    pub(crate) fn member_of(mut self, kind: EntryType, name: &str, text: &str) -> Payload {
        self.members.push(Member {
            name: name.into(),
            kind,
            bytes: text.into(),
        });
        self
    }

    /// With another value in the manifest.
    pub(crate) fn manifest(mut self, key: &str, value: impl Into<Value>) -> Payload {
        self.manifest[key] = value.into();
        self
    }

    /// The tarball, with the manifest last as operators write it.
    pub(crate) fn tarball(&self) -> Vec<u8> {
        self.tarball_with(Some(&self.manifest.to_string()))
    }

    /// The tarball with that text for a manifest, or with none.
    pub(crate) fn tarball_with(&self, manifest: Option<&str>) -> Vec<u8> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for member in &self.members {
            append(&mut archive, member);
        }
        if let Some(manifest) = manifest {
            append(
                &mut archive,
                &Member {
                    name: "manifest.json".into(),
                    kind: EntryType::Regular,
                    bytes: manifest.into(),
                },
            );
        }
        archive
            .into_inner()
            .and_then(GzEncoder::finish)
            .expect("a tarball in memory")
    }

    /// Writes the tarball into a folder.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> PathBuf {
        write(folder, name, &self.tarball())
    }

    /// Writes it as a folder of plain files.
    pub(crate) fn write_unpacked(&self, folder: &Path) -> PathBuf {
        for member in &self.members {
            write(folder, &member.name, &member.bytes);
        }
        write(
            folder,
            "manifest.json",
            self.manifest.to_string().as_bytes(),
        );
        folder.to_path_buf()
    }
}

pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    let mut file = fs::File::create(&path).expect("a file for the payload");
    file.write_all(bytes).expect("room for the payload");
    path
}

/// Written by hand, since the library refuses the names that we need.
fn append(archive: &mut tar::Builder<GzEncoder<Vec<u8>>>, member: &Member) {
    let mut header = Header::new_gnu();
    let name = member.name.as_bytes();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(member.kind);
    header.set_mode(0o644);
    if member.kind == EntryType::Symlink {
        header.set_link_name("/etc/passwd").expect("a short name");
    }
    header.set_size(member.bytes.len() as u64);
    header.set_cksum();
    archive
        .append(&header, &member.bytes[..])
        .expect("a member in memory");
}
