//! The names of payloads in the inbox, and the names under which they are put away: free
//! ones that the file system takes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The endings of the names of payloads.
const SUFFIXES: [&[u8]; 2] = [b".tar.gz", b".tgz"];

/// The ending of the name of a reason, behind that of its payload.
pub(super) const REASON: &str = ".error.txt";

/// The ending of a payload's name; nothing when no payload has it.
pub(super) fn suffix(name: &OsStr) -> &'static [u8] {
    let name = name.as_bytes();
    let suffix = SUFFIXES.into_iter().find(|end| name.ends_with(end));
    suffix.unwrap_or_default()
}

/// The name itself, then with a number before its end; each cut in front of that so
/// that it has no more than so many bytes.
pub(super) fn candidates(name: &OsStr, bytes_max: usize) -> impl Iterator<Item = OsString> {
    let end = suffix(name);
    let stem = &name.as_bytes()[..name.len() - end.len()];
    (1_u64..).map(move |number| {
        let middle = match number {
            1 => String::new(),
            number => format!(".{number}"),
        };
        let room = bytes_max.saturating_sub(middle.len() + end.len());
        let mut candidate = cut(stem, room).to_vec();
        candidate.extend(middle.as_bytes());
        candidate.extend(end);
        OsString::from_vec(candidate)
    })
}

/// `NAME.tar.gz.error.txt` of `NAME.tar.gz`.
pub(super) fn reason(payload: &OsStr) -> OsString {
    let mut name = payload.to_os_string();
    name.push(REASON);
    name
}

/// At most so many bytes of a name, and no part of a character.
fn cut(name: &[u8], bytes_max: usize) -> &[u8] {
    if name.len() <= bytes_max {
        return name;
    }
    let continues = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    let mut end = bytes_max;
    while end > 0 && continues(&name[end]) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn named(name: &str, bytes_max: usize, expected: [&str; 2]) {
        let found: Vec<OsString> = candidates(OsStr::new(name), bytes_max).take(2).collect();
        assert_eq!(found, expected);
        assert!(found.iter().all(|name| name.len() <= bytes_max));
    }

    #[test]
    fn a_number_goes_before_the_end() {
        named("p.tar.gz", 245, ["p.tar.gz", "p.2.tar.gz"]);
        named("p.tgz", 245, ["p.tgz", "p.2.tgz"]);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        named("abcdef.tar.gz", 10, ["abc.tar.gz", "a.2.tar.gz"]);
        named("aéüö.tar.gz", 11, ["aé.tar.gz", "a.2.tar.gz"]);
        named("éüö.tar.gz", 10, ["é.tar.gz", ".2.tar.gz"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_kept() {
        let name = OsStr::from_bytes(b"\xff\xfe.tgz");
        let found: Vec<OsString> = candidates(name, 255).take(2).collect();
        assert_eq!(found[0], name);
        assert_eq!(found[1].as_bytes(), b"\xff\xfe.2.tgz");
    }
}
