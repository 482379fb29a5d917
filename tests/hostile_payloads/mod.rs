//! Payloads made to do harm. Each is refused with a reason, or its bad rows are
//! quarantined, or it is data like any other; whichever it is, memory and time
//! are bounded, what is said is short and fit for a terminal, nothing is half
//! published, and the next good payload loads.
//!
//! `GRISTMILL_TORTURE=1` makes the large ones as large as an attacker would.

/// Much from little.
mod bombs;
/// Manifests that are wrong.
mod manifests;
/// Names that mean something elsewhere.
mod names;
/// Rows and headers.
mod rows;
/// Archives.
mod tarballs;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use crate::support::command::Ended;
use crate::support::payload::{Payload, Report};
use crate::support::scene::Scene;
use crate::support::torture;

/// The memory of a run, in a build without optimisation.
const MEMORY_BYTES_MAX: u64 = 400 << 20;

/// The time of a run on a machine that is busy with other tests.
const TIME_MAX: Duration = Duration::from_secs(60);

/// The bytes that a run may print, progress and all.
const SAID_BYTES_MAX: usize = 8 << 10;

/// One payload and what must come of it.
pub(crate) struct Case {
    name: &'static str,
    payload: Vec<u8>,
    ending: Ending,
}

pub(crate) enum Ending {
    /// It fails with these words in its message.
    Refused(&'static str),
    /// It is published but for the rows with these lines, stages, columns and codes.
    Quarantined(&'static [&'static str]),
    /// It is published whole.
    Published,
}

impl Ending {
    fn figure(&self) -> &'static str {
        match self {
            Self::Refused(_) => "hostile payloads refused",
            Self::Quarantined(_) => "hostile payloads quarantined in part",
            Self::Published => "hostile payloads read as plain data",
        }
    }
}

pub(crate) fn refused(name: &'static str, payload: Vec<u8>, words: &'static str) -> Case {
    Case {
        name,
        payload,
        ending: Ending::Refused(words),
    }
}

pub(crate) fn quarantined(
    name: &'static str,
    payload: Vec<u8>,
    rows: &'static [&'static str],
) -> Case {
    Case {
        name,
        payload,
        ending: Ending::Quarantined(rows),
    }
}

pub(crate) fn published(name: &'static str, payload: Vec<u8>) -> Case {
    Case {
        name,
        payload,
        ending: Ending::Published,
    }
}

/// Runs the cases one after another in one place, and says all that is wrong.
#[track_caller]
pub(crate) fn survives(scene: &Scene, cases: Vec<Case>) {
    let mut wrong = String::new();
    for case in cases {
        match survive(scene, &case) {
            Ok(()) => torture::figure(case.ending.figure(), 1),
            Err(reason) => {
                let _ = writeln!(wrong, "{}: {reason}\n", case.name);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let last = Payload::numbered(59)
        .manifest("date", "2026-01-13T00:00:00Z")
        .file("pods.csv", Report::pods().hours(0..24).text());
    let ended = scene.load(&last.tarball());
    assert_eq!(ended.code, Some(0), "a good payload after that\n{ended}");
    scene.has_usage("12");
}

fn survive(scene: &Scene, case: &Case) -> Result<(), String> {
    let before = published_tables(scene);
    let (ended, cost) = scene.load_at_a_cost(&case.payload);
    let megabytes = cost.memory_peak_bytes >> 20;
    if cost.memory_peak_bytes > MEMORY_BYTES_MAX {
        return Err(format!("it took {megabytes} MiB of memory\n{ended}"));
    }
    if cost.time > TIME_MAX {
        return Err(format!("it took {:?}\n{ended}", cost.time));
    }
    said_well(&ended)?;
    let quarantined = quarantined_by_last_run(scene);
    match case.ending {
        Ending::Refused(words) => {
            if ended.code != Some(1) || !ended.stderr.contains(words) {
                return Err(format!("expected exit code 1 and `{words}`\n{ended}"));
            }
            let after = published_tables(scene);
            if after != before {
                return Err(format!("something changed: {before:?}\n{after:?}\n{ended}"));
            }
        }
        Ending::Quarantined(rows) => {
            if ended.code != Some(0) || quarantined != rows {
                return Err(format!(
                    "expected {rows:?} in quarantine, found {quarantined:?}\n{ended}"
                ));
            }
        }
        Ending::Published => {
            if ended.code != Some(0) || !quarantined.is_empty() {
                return Err(format!(
                    "expected nothing in quarantine, found {quarantined:?}\n{ended}"
                ));
            }
        }
    }
    Ok(())
}

/// A digest of each table, in an order that the planner does not choose.
fn published_tables(scene: &Scene) -> BTreeSet<Vec<Option<String>>> {
    scene.database.digests_of_published().into_iter().collect()
}

/// Messages are short, end where they should, and move no cursor.
fn said_well(ended: &Ended) -> Result<(), String> {
    let said = [&ended.stdout, &ended.stderr];
    let length: usize = said.iter().map(|text| text.len()).sum();
    if length > SAID_BYTES_MAX {
        let start: String = ended.stderr.chars().take(2_000).collect();
        return Err(format!("it said {length} bytes, which begin with\n{start}"));
    }
    let obeyed = |character: char| character.is_control() && character != '\n';
    match said.iter().any(|text| text.contains(obeyed)) {
        true => Err(format!("it said control characters: {ended:?}")),
        false if ended.stderr.contains("panicked") => Err(format!("it panicked\n{ended}")),
        false => Ok(()),
    }
}

fn quarantined_by_last_run(scene: &Scene) -> Vec<String> {
    let rows = scene.database.query_rows(
        "SELECT concat_ws(' ', line, stage, column_name, code)
        FROM gristmill_quarantine
        WHERE run_id = (SELECT max(id) FROM gristmill_run)
        ORDER BY id",
    );
    rows.into_iter().flatten().flatten().collect()
}

/// How many times larger than in a usual run the large payloads are.
pub(crate) fn scale(usual: usize, under_torture: usize) -> usize {
    if torture::is_on() {
        under_torture
    } else {
        usual
    }
}

/// An upload that wins the day over those with smaller numbers.
pub(crate) fn upload(number: u32) -> Payload {
    Payload::numbered(number).manifest("date", format!("2026-01-12T00:{number:02}:00Z"))
}

/// An upload of one report with this text.
pub(crate) fn pods(number: u32, text: &str) -> Vec<u8> {
    upload(number).file("pods.csv", text).tarball()
}

/// An upload of 200 good rows and one with these cells, on line 202.
pub(crate) fn among_good(number: u32, cells: &[(&str, &str)]) -> Vec<u8> {
    pods(number, good().row(0, cells).text())
}

/// 200 rows, so that one bad one is below the threshold.
pub(crate) fn good() -> Report {
    (0..200).fold(Report::pods(), |report, pod| {
        report.row(pod % 4, &[("pod", &format!("pod-{pod}"))])
    })
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// The bytes of a tarball before gzip.
pub(crate) fn unpacked(tarball: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(tarball), &mut bytes)
        .expect("a tarball of ours");
    bytes
}

/// A member as it stands in a tar archive: header, content, padding. The size in
/// the header is what is said, the content what there is.
pub(crate) fn member(kind: EntryType, name: &[u8], size: u64, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A tarball that begins with these bytes and goes on with a usual payload.
pub(crate) fn before_usual(members: &[u8]) -> Vec<u8> {
    let mut bytes = members.to_vec();
    bytes.extend(unpacked(&Payload::usual(2).tarball()));
    gzip(&bytes)
}
