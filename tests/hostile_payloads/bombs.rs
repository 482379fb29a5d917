//! Much from little: what unpacks to more than it is, and rows without end.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::EntryType;

use super::{Case, among_good, good, gzip, member, pods, refused, scale, survives, unpacked};
use crate::support::payload::{Payload, Report};
use crate::support::scene::Scene;

/// A tarball of one report that begins with a text and goes on with another as
/// often as it takes to make so many bytes. It is never there unpacked.
fn endless(begin: &[u8], repeated: &[u8], bytes: usize) -> Vec<u8> {
    let manifest = unpacked(
        &Payload::numbered(2)
            .manifest("files", vec!["pods.csv"])
            .tarball(),
    );
    let times = (bytes - begin.len()) / repeated.len();
    let size = begin.len() + times * repeated.len();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let header = member(EntryType::Regular, b"pods.csv", size as u64, b"");
    encoder.write_all(&header).expect("memory");
    encoder.write_all(begin).expect("memory");
    for _ in 0..times {
        encoder.write_all(repeated).expect("memory");
    }
    let padding = size.next_multiple_of(512) - size;
    encoder.write_all(&vec![0; padding]).expect("memory");
    encoder.write_all(&manifest).expect("memory");
    encoder.finish().expect("memory")
}

fn best(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

const TOO_MUCH: &str = "it unpacks to more than 250 times its size";

#[test]
fn what_unpacks_to_far_more_than_it_is_is_refused() {
    let size = scale(128 << 20, 4 << 30);
    let zeros = vec![0; 1 << 20];
    let packed = best(&zeros);
    let row = format!("{}\n", ",".repeat(19)).repeat(50_000);
    let members: Vec<u8> = (0..10_001)
        .flat_map(|number| {
            member(
                EntryType::Regular,
                format!("{number}.csv").as_bytes(),
                0,
                b"",
            )
        })
        .collect();
    let folders = member(EntryType::Directory, b"/", 0, b"").repeat(20_000);
    survives(
        &Scene::new(),
        vec![
            refused("zeros", endless(b"", &zeros, size), TOO_MUCH),
            refused(
                "empty rows",
                endless(Report::pods().text().as_bytes(), row.as_bytes(), size),
                TOO_MUCH,
            ),
            refused(
                "one line",
                endless(b"", &vec![b'a'; 1 << 20], size),
                TOO_MUCH,
            ),
            refused("many gzip members", packed.repeat(size >> 20), TOO_MUCH),
            refused(
                "behind the end of the archive",
                {
                    let mut tarball = Payload::usual(2).tarball();
                    tarball.extend(packed.repeat(size >> 20));
                    tarball
                },
                TOO_MUCH,
            ),
            refused(
                "many members",
                gzip(&members),
                "it has more than 10000 members",
            ),
            refused(
                "many folders",
                gzip(&folders),
                "it has more than 10000 members",
            ),
            refused(
                "gzip in gzip",
                gzip(&gzip(&zeros)),
                "it is not a whole gzip-compressed tar archive",
            ),
        ],
    );
}

/// Letters that hardly compress, so that only what they are read as bounds them.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let letters = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        b'a' + (state % 26) as u8
    });
    letters.take(bytes).collect()
}

#[test]
fn rows_and_fields_without_end_are_refused() {
    let size = scale(24 << 20, 1 << 30);
    let header = Report::pods().text().to_owned();
    let with = |number: u32, rest: &[u8]| {
        let report = [header.as_bytes(), rest].concat();
        super::upload(number).file_of("pods.csv", &report).tarball()
    };
    let letters = noise(10 << 20);
    let too_long = "line 2: the record is longer than 1048576 bytes";
    let short: Vec<u8> = noise(3 << 20)
        .chunks(2)
        .flat_map(|pair| [pair[0], b'\n'])
        .collect();
    let wide: Vec<u8> = letters
        .chunks(700_000)
        .flat_map(|row| [row, b"\n"].concat())
        .collect();
    let cases: Vec<Case> = vec![
        refused("a field of 10 MB", with(2, &letters), too_long),
        refused(
            "a quoted field of 10 MB",
            with(3, &[b"\"", &letters[..]].concat()),
            too_long,
        ),
        refused("fields without end", with(4, &b",".repeat(size)), too_long),
        refused(
            "quotes without end",
            with(5, &b"\"".repeat(3 << 20)),
            too_long,
        ),
        refused(
            "rows of one letter",
            with(6, &short),
            "more than 100000 records do not fit",
        ),
        refused(
            "rows of 700 kB",
            with(7, &wide.repeat(scale(7, 20))),
            "the rejected rows of the payload take 64.016 MiB, more than 64 MiB",
        ),
        refused(
            "100,000 bad rows",
            {
                let bad: String = (0..100_000).map(|row| format!("bad,{row}\n")).collect();
                pods(8, &format!("{}{bad}", good().text()))
            },
            "100000 of 100200 rows were rejected, more than 1 %",
        ),
        refused(
            "a bad row in ten",
            {
                let bad: String = (0..20).map(|row| format!("bad,{row}\n")).collect();
                pods(9, &format!("{}{bad}", good().text()))
            },
            "20 of 220 rows were rejected",
        ),
    ];
    survives(&Scene::new(), cases);
}

/// Distinct label sets, each once: nothing that is remembered may grow with them.
#[test]
fn labels_that_never_repeat_are_bounded() {
    let rows = scale(4_000, 40_000) as u32;
    let report = (0..rows).fold(Report::pods(), |report, row| {
        let labels = format!("label_vm_kubevirt_io_name:v{row}|label_k{row}:v");
        report.row(row % 24, &[("pod_labels", &labels)])
    });
    let payload = pods(2, report.text());
    survives(&Scene::new(), vec![super::published("labels", payload)]);
}

#[test]
fn a_usual_payload_is_far_from_the_bounds() {
    let scene = Scene::new();
    let (ended, cost) = scene.load_at_a_cost(&among_good(2, &[]));
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(
        cost.memory_peak_bytes < super::MEMORY_BYTES_MAX / 2,
        "{cost:?}"
    );
    assert!(cost.memory_peak_bytes > 1 << 20, "it is measured: {cost:?}");
}
