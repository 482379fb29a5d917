//! Tests which paths of a folder can be reached, and which cannot.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::parse(&hex::encode(Sha256::digest(bytes))).unwrap()
}

fn kept(root: &Root, bytes: &[u8]) -> Digest {
    let (id, digest) = (Uuid::new_v4(), digest_of(bytes));
    root.begin(id).unwrap().write_all(bytes).unwrap();
    root.place(id, &digest).unwrap();
    digest
}

fn owner(number: u128) -> OwnerFile {
    OwnerFile {
        identity: Uuid::from_u128(number),
        system_identifier: None,
        database_oid: 5,
        database: "a database".into(),
        schema: "gristmill".into(),
    }
}

#[test]
fn no_path_is_made_of_what_is_no_digest() {
    let digest = "0123456789abcdef".repeat(4);
    assert!(Digest::parse(&digest).is_some());
    for text in [
        "",
        "../../../etc/passwd",
        &digest[1..],
        &digest.to_uppercase(),
        &format!("{digest}0"),
        &format!("../{}", &digest[3..]),
        &format!("é{}", &digest[2..]),
    ] {
        assert_eq!(Digest::parse(text), None, "{text}");
    }
}

#[test]
fn a_folder_of_a_table_is_an_absolute_one() {
    assert!(is_place(Path::new("/var/lib/gristmill/archive/t")));
    for path in ["", "archive/t", "../t", "./t", "/"] {
        assert!(!is_place(Path::new(path)), "{path}");
    }
}

#[test]
fn the_first_who_claims_a_folder_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::create(&folder.path().join("archive/t")).unwrap();
    assert_eq!(root.standing(None).unwrap(), Ownership::Nobodys);
    root.claim(&owner(1)).unwrap();
    root.claim(&owner(2)).unwrap();
    let standing = |number| root.standing(Some(Uuid::from_u128(number))).unwrap();
    assert_eq!(standing(1), Ownership::Ours);
    assert_eq!(standing(2), Ownership::Others(owner(1)));
    assert_eq!(root.standing(None).unwrap(), Ownership::Others(owner(1)));
    root.take(&owner(2)).unwrap();
    assert_eq!(standing(1), Ownership::Others(owner(2)));
    assert_eq!(standing(2), Ownership::Ours);
    let entries = fs::read_dir(root.path()).unwrap().count();
    assert_eq!(entries, 1, "nothing else is left");
}

#[test]
fn payloads_without_an_owner_are_nobodys_to_take() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::create(folder.path()).unwrap();
    let digest = kept(&root, b"payload");
    assert_eq!(root.standing(None).unwrap(), Ownership::Unsaid);
    assert!(root.remove(&digest).unwrap());
    assert_eq!(root.standing(None).unwrap(), Ownership::Nobodys);
    root.begin(Uuid::new_v4()).unwrap();
    assert_eq!(root.standing(None).unwrap(), Ownership::Unsaid);
}

#[test]
fn an_owner_that_is_noise_is_no_owner() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::create(folder.path()).unwrap();
    fs::write(folder.path().join(OWNER), "noise").unwrap();
    let error = root.standing(None).unwrap_err().to_string();
    assert!(error.contains("owner.json` is not readable"), "{error}");
}

#[test]
fn a_tarball_is_examined_by_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::create(folder.path()).unwrap();
    let digest = kept(&root, b"payload");
    let path = place(folder.path(), &digest);
    assert_eq!(root.examine(&digest).unwrap(), FileCondition::Whole);
    fs::write(&path, b"other").unwrap();
    let damaged =
        FileCondition::Damaged(format!("its SHA-256 is {}", digest_of(b"other").as_str()));
    assert_eq!(root.examine(&digest).unwrap(), damaged);
    fs::remove_file(&path).unwrap();
    assert_eq!(root.examine(&digest).unwrap(), FileCondition::Missing);
    // The right bytes, reached through a link.
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, b"payload").unwrap();
    symlink(&elsewhere, &path).unwrap();
    let found = root.examine(&digest).unwrap();
    assert_eq!(found, FileCondition::Damaged("it is no plain file".into()));
    // Removing it removes the link.
    assert!(root.remove(&digest).unwrap());
    assert!(elsewhere.exists());
}

#[test]
fn a_folder_in_a_tarballs_place_makes_room_when_it_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::create(folder.path()).unwrap();
    let digest = kept(&root, b"payload");
    let path = place(folder.path(), &digest);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let found = root.examine(&digest).unwrap();
    assert_eq!(found, FileCondition::Damaged("it is no plain file".into()));
    kept(&root, b"payload");
    assert_eq!(root.examine(&digest).unwrap(), FileCondition::Whole);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("somebody's"), "").unwrap();
    let id = Uuid::new_v4();
    root.begin(id).unwrap();
    let error = root.place(id, &digest).unwrap_err();
    let words = format!("`{}` is a folder with something in it", path.display());
    assert!(error.to_string().contains(&words), "{error}");
    assert!(path.join("somebody's").exists());
}

#[test]
fn a_folder_that_leads_out_is_not_entered() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = Root::create(folder.path()).unwrap();
    let digest = digest_of(b"payload");
    let victim = outside.path().join(digest.file());
    fs::write(&victim, b"payload").unwrap();
    symlink(outside.path(), folder.path().join(digest.folder())).unwrap();
    let error = root.remove(&digest).unwrap_err().to_string();
    assert!(error.contains("leads out of the archive"), "{error}");
    assert!(root.examine(&digest).is_err());
    let id = Uuid::new_v4();
    root.begin(id).unwrap();
    assert!(root.place(id, &digest).is_err());
    assert_eq!(fs::read(&victim).unwrap(), b"payload");
}
