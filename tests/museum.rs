//! Stages that were built from earlier versions of the contract, run as they are.

use std::fs::{self, File};
use std::path::PathBuf;

use flate2::read::GzDecoder;
use gristmill::stage::CONTRACT_VERSION;

use crate::support::command::{file, gristmill};
use crate::support::server::scratch;
use crate::support::tools::cache;

/// What the components take in the repository at the most.
const PACKED_BYTES_MAX: u64 = 8 << 20;

/// The folders of the pieces, of all versions.
#[track_caller]
fn pieces() -> Vec<PathBuf> {
    let folders = |folder: PathBuf| {
        fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.is_dir())
            .collect::<Vec<_>>()
    };
    let mut pieces: Vec<PathBuf> = folders(file("tests/museum"))
        .into_iter()
        .flat_map(folders)
        .collect();
    pieces.sort();
    pieces
}

fn packed(piece: &std::path::Path) -> PathBuf {
    let name = piece.file_name().unwrap_or_default().to_string_lossy();
    piece.join(format!("{}.wasm.gz", name.replace('-', "_")))
}

#[test]
fn every_piece_still_does_what_it_did() {
    let hall = tempfile::tempdir_in(scratch()).expect("a folder");
    for piece in pieces() {
        let version = piece
            .parent()
            .and_then(|path| path.file_name())
            .expect("a version");
        let folder = hall
            .path()
            .join(version)
            .join(piece.file_name().expect("a name"));
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(piece.join("cases.toml"), folder.join("cases.toml")).expect("cases");
        let packed = packed(&piece);
        let component = folder.join(packed.file_stem().expect("a name"));
        let mut source = GzDecoder::new(File::open(&packed).expect("a component"));
        let mut unpacked = File::create(&component).expect("a file");
        std::io::copy(&mut source, &mut unpacked).expect("a whole component");
        let cases = fs::read_to_string(piece.join("cases.toml")).expect("cases");
        let count = cases.matches("[[case]]").count();
        assert!(count > 0, "{} has no case", piece.display());
        gristmill(["stage", "test"])
            .argument(&component)
            .without_env("DATABASE_URL")
            // Machine code of the big ones is kept from one run to the next.
            .env("GRISTMILL_CACHE", cache())
            .succeeds()
            .stderr_is(&format!("{count} cases passed"));
    }
}

#[test]
fn every_language_has_a_piece_of_the_contract_as_it_is() {
    let current: Vec<String> = pieces()
        .iter()
        .filter(|piece| {
            piece
                .parent()
                .is_some_and(|version| version.ends_with(CONTRACT_VERSION))
        })
        .map(|piece| {
            piece
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(
        current,
        ["javascript", "python", "rust", "rust-parser", "wat"]
    );
    let bytes: u64 = pieces()
        .iter()
        .map(|piece| fs::metadata(packed(piece)).expect("a component").len())
        .sum();
    assert!(bytes <= PACKED_BYTES_MAX, "the museum has {bytes} bytes");
}
