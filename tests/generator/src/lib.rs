//! Makes payloads as the operator of a cluster writes them: all six report kinds,
//! hour by hour, the same bytes for the same cluster every time.
//!
//! Nothing is remembered: whatever a row says follows from the seed and from what
//! the row is about. So a payload is written straight to disk, however large it
//! is, and the upload of a later hour begins with the bytes of the one before.
//! The reports look like the operator's: headers, number formats, empty cells, label
//! sets that repeat. Payloads made here have no faults.

mod cluster;
mod reports;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

pub use self::cluster::{Cluster, Size};
pub use self::reports::Kind;
use self::reports::write_report;

/// One upload of a day.
#[derive(Clone, Debug)]
pub struct Upload {
    pub cluster: Cluster,
    /// Which month of 2026, before December.
    pub month: u32,
    /// Which day of it.
    pub day: u32,
    /// The hours that it covers, counted from the begin of the day; those from 24 on are of the
    /// days behind it, in the same month. Uploads of a day all begin at its first.
    pub hours: Range<u32>,
    /// Tells uploads apart; a larger one is a later one.
    pub number: u32,
}

/// The files that were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows of each report, in the order of [`Kind::ALL`].
    pub rows: [u64; Kind::ALL.len()],
    /// Bytes of all reports.
    pub report_bytes: u64,
    /// Bytes of the tarball.
    pub bytes: u64,
}

impl Written {
    /// Rows of all reports.
    pub fn rows_of_all(&self) -> u64 {
        self.rows.iter().sum()
    }
}

impl Upload {
    /// The first day of a cluster, all of it.
    pub fn of_day(cluster: Cluster) -> Upload {
        Upload {
            cluster,
            month: 10,
            day: 1,
            hours: 0..24,
            number: 1,
        }
    }

    /// Its identity.
    pub fn uuid(&self) -> String {
        format!(
            "{:08x}-0000-4000-8000-{:06}{:02}{:04}",
            self.cluster.seed, self.cluster.nodes, self.day, self.number
        )
    }

    /// The name of a report in the payload.
    pub fn file_name(&self, kind: Kind) -> String {
        format!(
            "{}-cm-openshift-{}-usage-2026{:02}.{}.csv",
            self.uuid(),
            kind.name(),
            self.month,
            kind as u32
        )
    }

    /// One report as text.
    ///
    /// # Errors
    /// `to` fails.
    pub fn write_report(&self, kind: Kind, to: &mut impl Write) -> io::Result<u64> {
        write_report(self, kind, to)
    }

    /// The payload as a tarball.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_tarball(&self, path: &Path) -> io::Result<Written> {
        let mut written = Written::default();
        let file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        // Room for what one member is written in.
        let encoder = BufWriter::with_capacity(1 << 18, GzEncoder::new(file, Compression::new(3)));
        let mut archive = Builder::new(encoder);
        for kind in Kind::ALL {
            // Its size stands before it, so it is made twice.
            let mut counter = Counter(0);
            written.rows[kind as usize] = self.write_report(kind, &mut counter)?;
            written.report_bytes += counter.0;
            archive.append(&header(&self.file_name(kind), counter.0)?, io::empty())?;
            let mut member = BufWriter::with_capacity(1 << 18, archive.get_mut());
            self.write_report(kind, &mut member)?;
            let padding = counter.0.next_multiple_of(512) - counter.0;
            member.write_all(&[0; 512][..padding as usize])?;
            member.flush()?;
        }
        let manifest = self.manifest();
        let size = manifest.len() as u64;
        archive.append(&header("manifest.json", size)?, manifest.as_bytes())?;
        let encoder = archive.into_inner()?.into_inner()?;
        encoder.finish()?.into_inner()?;
        written.bytes = std::fs::metadata(path)?.len();
        Ok(written)
    }

    /// An hour, with what stands between its day and itself.
    fn hour(&self, hour: u32, between: char) -> String {
        let (day, hour) = (self.day + hour / 24, hour % 24);
        format!("2026-{:02}-{day:02}{between}{hour:02}", self.month)
    }

    fn manifest(&self) -> String {
        let files: Vec<String> = Kind::ALL
            .iter()
            .map(|kind| format!("  \"{}\"", self.file_name(*kind)))
            .collect();
        let last = self.hours.end.saturating_sub(1);
        format!(
            "{{
 \"uuid\": \"{uuid}\",
 \"cluster_id\": \"{cluster}\",
 \"version\": \"4.4.0\",
 \"date\": \"{end}:59:59.{number:04}Z\",
 \"files\": [
{files}
 ],
 \"resource_optimization_files\": null,
 \"start\": \"{start}:00:00Z\",
 \"end\": \"{end}:59:59Z\",
 \"cr_status\": {{
  \"clusterID\": \"{cluster}\",
  \"clusterVersion\": \"stable-4.18\"
 }},
 \"certified\": false,
 \"daily_reports\": true
}}
",
            uuid = self.uuid(),
            cluster = self.cluster.id(),
            files = files.join(",\n"),
            start = self.hour(self.hours.start, 'T'),
            end = self.hour(last, 'T'),
            number = self.number,
        )
    }
}

fn header(name: &str, size: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

/// Counts what is written to it.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(upload: &Upload, kind: Kind) -> String {
        let mut bytes = Vec::new();
        upload.write_report(kind, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn upload(hours: Range<u32>) -> Upload {
        Upload {
            hours,
            ..Upload::of_day(Cluster::of(Size::Small))
        }
    }

    #[test]
    fn the_same_upload_is_the_same_bytes() {
        for kind in Kind::ALL {
            assert_eq!(text(&upload(0..3), kind), text(&upload(0..3), kind));
        }
        let other = Upload {
            cluster: Cluster {
                seed: 7,
                ..Cluster::of(Size::Small)
            },
            ..upload(0..3)
        };
        assert_ne!(
            text(&upload(0..3), Kind::Pod),
            text(&other, Kind::Pod),
            "another seed is another cluster"
        );
    }

    #[test]
    fn a_later_upload_begins_as_the_one_before() {
        for kind in Kind::ALL {
            let (before, later) = (text(&upload(0..3), kind), text(&upload(0..6), kind));
            assert!(later.starts_with(&before), "{kind:?}");
            assert!(later.len() > before.len(), "{kind:?}");
        }
    }

    #[test]
    fn hours_go_on_into_the_next_day() {
        let next = Upload {
            day: 2,
            ..upload(0..2)
        };
        for kind in Kind::ALL {
            let (both, next) = (text(&upload(22..26), kind), text(&next, kind));
            let (_, rows) = next.split_once('\n').unwrap();
            assert!(both.ends_with(rows), "{kind:?}");
            assert!(both.contains(",2026-10-01 23:00:00 "), "{kind:?}");
        }
        let manifest = upload(0..26).manifest();
        assert!(manifest.contains("\"start\": \"2026-10-01T00:00:00Z\""));
        assert!(manifest.contains("\"end\": \"2026-10-02T01:59:59Z\""));
    }

    #[test]
    fn another_month_has_periods_of_its_own() {
        let july = Upload {
            month: 7,
            ..upload(0..1)
        };
        for kind in Kind::ALL {
            let text = text(&july, kind);
            let mut rows = text.lines().skip(1);
            let times = "2026-07-01 00:00:00 +0000 UTC,2026-08-01 00:00:00 +0000 UTC,\
                         2026-07-01 00:00:00 +0000 UTC,2026-07-01 00:59:59 +0000 UTC,";
            assert!(rows.all(|row| row.starts_with(times)), "{kind:?}");
        }
    }

    #[test]
    fn label_sets_change_every_hour_where_they_shall() {
        let labels = |relabels: bool, hours: Range<u32>, kind: Kind| {
            let cluster = Cluster {
                relabels,
                ..Cluster::of(Size::Small)
            };
            let upload = Upload {
                cluster,
                ..upload(hours)
            };
            let text = text(&upload, kind);
            let cells = text.lines().skip(1).map(|row| {
                let (_, labels) = row.rsplit_once(',').unwrap();
                labels.to_owned()
            });
            let labelled = cells.filter(|labels| !labels.is_empty());
            labelled.collect::<std::collections::BTreeSet<_>>()
        };
        for kind in [
            Kind::Pod,
            Kind::Storage,
            Kind::Machine,
            Kind::Node,
            Kind::Namespace,
        ] {
            let shared = |relabels| {
                let first = labels(relabels, 0..1, kind);
                first.intersection(&labels(relabels, 1..2, kind)).count()
            };
            assert!(shared(false) > 0, "{kind:?}");
            assert_eq!(shared(true), 0, "{kind:?}");
        }
    }

    #[test]
    fn every_record_has_the_fields_of_its_header() {
        for kind in Kind::ALL {
            let text = text(&upload(0..2), kind);
            let mut lines = text.lines();
            let header = lines.next().unwrap().split(',').count();
            let rows = lines.inspect(|line| {
                assert_eq!(line.split(',').count(), header, "{kind:?}: {line}");
            });
            assert!(rows.count() > 0, "{kind:?}");
        }
    }

    #[test]
    fn a_thousand_nodes_make_1_200_000_pod_rows() {
        let cluster = Cluster::of(Size::ThousandNodes);
        assert_eq!(cluster.nodes * cluster.pods_of_node * 24, 1_200_000);
    }

    #[test]
    fn the_members_are_those_of_the_manifest() {
        let folder = std::env::temp_dir().join(format!("generator-{}", std::process::id()));
        let upload = upload(0..2);
        let written = upload.write_tarball(&folder).unwrap();
        let bytes = std::fs::read(&folder).unwrap();
        std::fs::remove_file(&folder).unwrap();
        assert_eq!(written.bytes, bytes.len() as u64);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        let mut report_bytes = 0;
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            names.push(entry.path().unwrap().display().to_string());
            let mut counter = Counter(0);
            io::copy(&mut entry, &mut counter).unwrap();
            if names.len() <= Kind::ALL.len() {
                report_bytes += counter.0;
            }
        }
        let mut expected: Vec<String> = Kind::ALL.map(|kind| upload.file_name(kind)).into();
        expected.push("manifest.json".into());
        assert_eq!(names, expected);
        assert_eq!(report_bytes, written.report_bytes);
    }
}
