//! The location of a lake: what a pipeline file has, what this process opens, and what
//! Trino is told.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a lake is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeLocation {
    pub store: LakeStore,
    /// As Trino calls it, without a slash behind it.
    pub in_trino: String,
    /// As the pipeline file has it, without a slash behind it.
    pub shown: String,
}

/// What has the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LakeStore {
    Folder(PathBuf),
    /// A bucket, and the beginning of all names in it.
    Bucket {
        name: String,
        prefix: String,
    },
}

/// Why a location is none.
#[derive(Debug)]
pub struct LocationError {
    pub message: String,
    /// It is what Trino calls it that is wrong.
    pub is_trinos_name: bool,
}

impl LakeLocation {
    /// # Errors
    /// The text is no location, or has a character that the stores, Trino and its catalogs
    /// do not all take for itself.
    pub fn parse(text: &str, in_trino: Option<&str>) -> Result<LakeLocation, LocationError> {
        let wrong = |message: String| LocationError {
            message,
            is_trinos_name: false,
        };
        let (store, shown) = if let Some(rest) = text.strip_prefix("file://") {
            let path = rest.trim_end_matches('/');
            checked_path(rest).map_err(wrong)?;
            if !path.starts_with('/') {
                let message = "a folder of `location` begins at the root: `file:///…`";
                return Err(wrong(message.into()));
            }
            (
                LakeStore::Folder(Path::new(path).to_path_buf()),
                format!("file://{path}"),
            )
        } else if let Some(rest) = text.strip_prefix("s3://") {
            let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let is_of_one = |character: char| {
                character.is_ascii_lowercase()
                    || character.is_ascii_digit()
                    || "-._".contains(character)
            };
            if name.len() < 3 || name.len() > 63 || !name.chars().all(is_of_one) {
                return Err(wrong(
                    "`location` has no name of a bucket behind `s3://`".into(),
                ));
            }
            let prefix = prefix.trim_end_matches('/');
            checked_path(prefix).map_err(wrong)?;
            let store = LakeStore::Bucket {
                name: name.to_owned(),
                prefix: prefix.to_owned(),
            };
            let slash = if prefix.is_empty() { "" } else { "/" };
            (store, format!("s3://{name}{slash}{prefix}"))
        } else {
            return Err(wrong(
                "`location` is neither of `s3://` nor of `file://`".into(),
            ));
        };
        let in_trino = match in_trino {
            Some(name) => trinos_name(name).map_err(|message| LocationError {
                message,
                is_trinos_name: true,
            })?,
            None => shown.clone(),
        };
        Ok(LakeLocation {
            store,
            in_trino,
            shown,
        })
    }
}

impl fmt::Display for LakeLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

/// Another scheme, perhaps, and a path. `local:///` keeps its slashes.
fn trinos_name(name: &str) -> Result<String, String> {
    let message = "`location-in-trino` is no `scheme://…`".to_owned();
    let (scheme, path) = name.split_once("://").ok_or_else(|| message.clone())?;
    let is_scheme = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    if scheme.is_empty() || !scheme.chars().all(is_scheme) {
        return Err(message);
    }
    checked_path(path)?;
    Ok(format!("{scheme}://{}", path.trim_end_matches('/')))
}

/// Refuses what one of those who read a location takes for something else than itself: the
/// signs of URLs and of patterns, quotes of code, and what cannot be seen.
fn checked_path(path: &str) -> Result<(), String> {
    let odd =
        |character: &char| character.is_control() || "\"\\%#?*<>|{}[]^`:@".contains(*character);
    if let Some(odd) = path.chars().find(odd) {
        return Err(format!("a location has no `{}` in it", odd.escape_debug()));
    }
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let is_odd = |part: &str| ["", ".", ".."].contains(&part) || part.trim() != part;
    if !inner.is_empty() && inner.split('/').any(is_odd) {
        return Err("a location has no empty part, no `.` and no `..`, and no part that begins or ends with a space".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_folder_or_a_bucket() {
        let bucket = LakeLocation::parse("s3://usage/grist mill/", None).unwrap();
        assert_eq!(bucket.in_trino, "s3://usage/grist mill");
        let prefix = "grist mill".to_owned();
        let name = "usage".to_owned();
        assert_eq!(bucket.store, LakeStore::Bucket { name, prefix });
        let whole = LakeLocation::parse("s3://usage", None).unwrap();
        assert_eq!(whole.to_string(), "s3://usage");
        let folder = LakeLocation::parse("file:///data/it's ü/", Some("local:///")).unwrap();
        assert_eq!(folder.store, LakeStore::Folder("/data/it's ü".into()));
        assert_eq!(folder.in_trino, "local://");
        let folder = LakeLocation::parse("file:///data", Some("local:///lake/")).unwrap();
        assert_eq!(folder.in_trino, "local:///lake");
    }

    #[test]
    fn what_might_be_read_in_two_ways_is_refused() {
        for text in [
            "/data",
            "file://data",
            "file:data",
            "hdfs://a/b",
            "s3://",
            "s3:///key",
            "s3://Usage",
            "s3://key:secret@usage",
            "s3://usage/a//b",
            "s3://usage/../b",
            "s3://usage/a%20b",
            "s3://usage/a?b",
            "s3://usage/a#b",
            "s3://usage/a\\b",
            "s3://usage/a\nb",
            "file:///a/./b",
            "file:///a/b*",
            "file:///a/ b",
            "file:////a",
        ] {
            assert!(LakeLocation::parse(text, None).is_err(), "{text}");
        }
        for name in [
            "",
            "lake",
            "://lake",
            "lo cal://",
            "local:///a/../b",
            "local:///'%'",
        ] {
            let error = LakeLocation::parse("s3://usage", Some(name)).unwrap_err();
            assert!(error.is_trinos_name, "{name}");
        }
    }
}
