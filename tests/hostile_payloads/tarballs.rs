//! Archives that lead elsewhere, lie about themselves, or are none.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use tar::EntryType;

use super::{before_usual, gzip, member, refused, survives, unpacked};
use crate::support::command::run;
use crate::support::payload::{Payload, Report};
use crate::support::scene::Scene;

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let regular = |name: &[u8]| before_usual(&member(EntryType::Regular, name, 1, b"x"));
    let not_flat = "does not have a flat name";
    survives(
        &Scene::new(),
        vec![
            refused("parent", regular(b"../pods.csv"), "`../pods.csv` does not"),
            refused("deep parent", regular(b"a/../../b.csv"), not_flat),
            refused("absolute", regular(b"/etc/passwd"), not_flat),
            refused("backslash", regular(b"..\\pods.csv"), "`..\\\\pods.csv`"),
            refused("drive", regular(b"c:\\pods.csv"), not_flat),
            refused("dot", regular(b"."), "`.` does not have"),
            refused("dot slash alone", regular(b"./"), "`` does not have"),
            refused("dot slash twice", regular(b"././x.csv"), not_flat),
            refused("empty name", regular(b""), "`` does not have"),
            refused("folder", regular(b"manifest.json/x"), not_flat),
            refused("escape", regular(b"a\x1b[2J.csv"), "`a\\u{1b}[2J.csv`"),
            refused("line end", regular(b"a\nb.csv"), "`a\\nb.csv`"),
            refused("not UTF-8", regular(b"\xff\xfe.csv"), "is not UTF-8"),
            refused(
                "slash from the right",
                regular("pods\u{202e}vsc.csv/".as_bytes()),
                not_flat,
            ),
        ],
    );
}

#[test]
fn members_that_are_no_files_are_refused() {
    let of = |kind| before_usual(&member(kind, b"more.csv", 0, b""));
    let mut linked = member(EntryType::Link, b"pods.csv", 0, b"");
    linked[157..168].copy_from_slice(b"/etc/passwd");
    survives(
        &Scene::new(),
        vec![
            refused("symbolic link", of(EntryType::Symlink), "is a Symlink"),
            refused("hard link", of(EntryType::Link), "is a Link"),
            // Its checksum is that of the header before the change.
            refused("changed header", before_usual(&linked), "checksum mismatch"),
            refused("character device", of(EntryType::Char), "is a Char"),
            refused("block device", of(EntryType::Block), "is a Block"),
            refused("pipe", of(EntryType::Fifo), "is a Fifo"),
            refused("sparse file", of(EntryType::GNUSparse), "is a GNUSparse"),
            refused("folder", of(EntryType::Directory), "is a Directory"),
            refused("long link", of(EntryType::GNULongLink), "GNULongLink"),
            refused("global", of(EntryType::XGlobalHeader), "XGlobalHeader"),
            refused("unknown kind", of(EntryType::new(b'Q')), "not a plain file"),
        ],
    );
}

/// Headers in front of a member that say something else about it.
#[test]
fn extensions_that_lie_are_refused() {
    let extension =
        |kind, text: &[u8]| before_usual(&member(kind, b"extension", text.len() as u64, text));
    let pax = |text: &[u8]| extension(EntryType::XHeader, text);
    let long = |text: &[u8]| extension(EntryType::GNULongName, text);
    let too_large = vec![b'a'; 70_000];
    survives(
        &Scene::new(),
        vec![
            refused(
                "path that leads elsewhere",
                pax(b"15 path=../a.b\n"),
                "flat",
            ),
            refused(
                "size",
                pax(b"12 size=999\n"),
                "has its size in an extension",
            ),
            refused("length that lies", pax(b"99 path=a.csv\n"), "malformed pax"),
            refused("no record", pax(b"nonsense"), "malformed pax"),
            refused("too large", pax(&too_large), "more than 65536 bytes"),
            refused("long name that leads elsewhere", long(b"../../x\0"), "flat"),
            refused("long name, empty", long(b"\0"), "`` does not have"),
            refused("long name, too large", long(&too_large), "more than 65536"),
            refused(
                "a gibibyte announced",
                before_usual(&member(EntryType::XHeader, b"x", 1 << 30, b"")),
                "malformed pax",
            ),
        ],
    );
}

#[test]
fn archives_that_lie_about_their_sizes_are_refused() {
    let usual = unpacked(&Payload::usual(2).tarball());
    let behind = 512
        + Report::pods()
            .hours(0..3)
            .text()
            .len()
            .next_multiple_of(512);
    let announced = |size| gzip(&member(EntryType::Regular, b"pods.csv", size, b"a,b\n"));
    let mut overflow = member(EntryType::Regular, b"pods.csv", 0, b"");
    // The binary form, which goes beyond eight octal digits.
    overflow[124..136].fill(0xff);
    let checksum: u32 = overflow[..148]
        .iter()
        .chain(&overflow[156..512])
        .map(|byte| u32::from(*byte))
        .sum::<u32>()
        + 8 * 32;
    overflow[148..156].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());
    let whole = "it is not a whole gzip-compressed tar archive";
    survives(
        &Scene::new(),
        vec![
            refused("a terabyte announced", announced(1 << 40), whole),
            refused("all that a header can say", announced(u64::MAX >> 1), whole),
            refused("a size that overflows", gzip(&overflow), whole),
            refused("cut in a header", gzip(&usual[..300]), whole),
            refused("cut in a member", gzip(&usual[..700]), whole),
            refused(
                "cut behind a member",
                gzip(&usual[..behind]),
                "has no `manifest.json`",
            ),
            refused("without an end", gzip(&[0; 1024]), "has no `manifest.json`"),
            refused("noise", gzip(&[0xa5; 4096]), whole),
            refused("text", gzip("manifest.json\n".repeat(99).as_bytes()), whole),
            refused(
                "two manifests",
                {
                    let payload = Payload::usual(2).member("manifest.json", "{}");
                    payload.tarball()
                },
                "`manifest.json` is there twice",
            ),
        ],
    );
}

#[test]
fn what_is_no_gzip_is_refused() {
    let whole = Payload::usual(2).tarball();
    let with = |tail: &[u8]| [&whole, tail].concat();
    let changed = |place: usize, byte: u8| {
        let mut changed = whole.clone();
        changed[place] = byte;
        changed
    };
    // A header whose name never ends.
    let endless_name = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0][..], &[b'a'; 200_000]].concat();
    let not_whole = "it is not a whole gzip-compressed tar archive";
    survives(
        &Scene::new(),
        vec![
            refused(
                "zip",
                b"PK\x03\x04 and so on".to_vec(),
                "invalid gzip header",
            ),
            refused("plain tar", unpacked(&whole), "invalid gzip header"),
            refused("another method", changed(2, 7), not_whole),
            refused("garbage behind it", with(b"garbage"), not_whole),
            refused(
                "half a second one",
                with(&whole[..whole.len() / 2]),
                not_whole,
            ),
            refused("a header alone", whole[..10].to_vec(), not_whole),
            refused("an endless name", endless_name, not_whole),
            refused("wrong size", changed(whole.len() - 1, 0x77), not_whole),
        ],
    );
}

/// A payload may also be a folder, in which nothing leads elsewhere either.
#[test]
fn folders_hold_plain_files() {
    let scene = Scene::new();
    let ends_with = |code: i32, prepare: &dyn Fn(&Path), words: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let payload = Payload::usual(2).write_unpacked(folder.path());
        prepare(folder.path());
        let ended = run(&scene.database, "pipelines/ocp.toml", &[payload]).ends_with(code);
        assert!(ended.stderr.contains(words), "{words}\n{ended}");
    };
    let refuses = |prepare: &dyn Fn(&Path), words: &str| ends_with(1, prepare, words);
    let link = |name: &'static str| {
        move |folder: &Path| {
            fs::remove_file(folder.join(name)).expect("it is there");
            symlink("/etc/passwd", folder.join(name)).expect("a link");
        }
    };
    let folder_instead = |folder: &Path| {
        fs::remove_file(folder.join("pods.csv")).expect("it is there");
        fs::create_dir(folder.join("pods.csv")).expect("a folder");
    };
    let socket_instead = |folder: &Path| {
        fs::remove_file(folder.join("manifest.json")).expect("it is there");
        UnixListener::bind(folder.join("manifest.json")).expect("a socket");
    };
    let nothing =
        |folder: &Path| fs::remove_file(folder.join("manifest.json")).expect("it is there");
    refuses(&link("pods.csv"), "member `pods.csv` is not a plain file");
    refuses(
        &link("manifest.json"),
        "member `manifest.json` is not a plain file",
    );
    refuses(&folder_instead, "member `pods.csv` is not a plain file");
    refuses(
        &socket_instead,
        "member `manifest.json` is not a plain file",
    );
    // Reports that somebody laid together are a payload of a cluster that is named.
    ends_with(
        2,
        &nothing,
        "is a folder of reports without a manifest, so its cluster is unknown",
    );
    run(&scene.database, "pipelines/ocp.toml", &["/dev/null".into()])
        .ends_with(2)
        .stderr_is("error: payload `/dev/null` is neither a file nor a folder");
    survives(&scene, Vec::new());
}
