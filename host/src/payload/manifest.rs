//! `manifest.json`: which cluster, which files, which window.

use std::collections::HashSet;
use std::fmt;
use std::io;

use chrono::{DateTime, Datelike, Months, NaiveDateTime, Utc};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use uuid::Uuid;

use super::archive::is_flat;
use crate::payload::cluster_name::{ID_CHARACTERS_MAX, is_id};

/// Characters of a report's name, as the status table holds it.
const FILE_NAME_MAX: usize = 128;
/// Names in one list: as many as a tarball may have members.
const FILES_MAX: usize = 10_000;
/// Characters of an operator's version: a commit, mostly.
const VERSION_MAX: usize = 256;
/// Months that a window may cover; a report covers one, now and then two.
const WINDOW_MONTHS_MAX: u32 = 36;

/// A manifest that may be trusted with its own names.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Identifies the upload. All tarballs of a split payload share it.
    pub uuid: Uuid,
    pub cluster_id: String,
    pub version: Option<String>,
    /// When it was made.
    pub date: DateTime<Utc>,
    /// The reports, in the manifest's order.
    pub files: Vec<String>,
    /// Files that may come along and are not ours: resource optimization.
    pub other_files: Vec<String>,
    /// The window that the operator says it covers.
    pub start: Option<DateTime<Utc>>,
    pub end: Option<DateTime<Utc>>,
    pub certified: bool,
    /// Whether the upload holds whole days so far (true) or only what is new.
    pub daily_reports: bool,
    /// The operator's own status, kept as it is.
    pub status: Value,
}

/// Why a manifest is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct ManifestError(String);

impl fmt::Display for ManifestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "its manifest is wrong: {}", self.0)
    }
}

impl std::error::Error for ManifestError {}

#[derive(Deserialize)]
struct ManifestText {
    uuid: String,
    cluster_id: String,
    version: Option<String>,
    #[serde(deserialize_with = "instant")]
    date: DateTime<Utc>,
    files: Option<Vec<String>>,
    resource_optimization_files: Option<Vec<String>>,
    #[serde(default, deserialize_with = "optional_instant")]
    start: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "optional_instant")]
    end: Option<DateTime<Utc>>,
    #[serde(default)]
    certified: bool,
    #[serde(default)]
    daily_reports: bool,
    #[serde(default)]
    cr_status: Value,
}

impl Manifest {
    /// # Errors
    /// The text is not a manifest, or names what no payload may name.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        let written: ManifestText = serde_json::from_slice(text)
            .map_err(|error| ManifestError(format!("`manifest.json`: {error}")))?;
        let uuid = Uuid::parse_str(&written.uuid)
            .ok()
            .filter(|uuid| uuid.get_version_num() == 4)
            .ok_or_else(|| {
                ManifestError(format!(
                    "`uuid` is `{}`, not a version 4 UUID",
                    shown(&written.uuid)
                ))
            })?;
        let cluster_id = written.cluster_id;
        check_cluster_id(&cluster_id)?;
        let files = written.files.unwrap_or_default();
        let other_files = written.resource_optimization_files.unwrap_or_default();
        if files.len().max(other_files.len()) > FILES_MAX {
            return Err(ManifestError(format!(
                "it lists more than {FILES_MAX} files"
            )));
        }
        let mut names = HashSet::new();
        for file in &files {
            if !is_flat(file) || file.chars().count() > FILE_NAME_MAX {
                return Err(ManifestError(format!(
                    "`files` names `{}`, which is not a flat name of at most {FILE_NAME_MAX} characters",
                    shown(file)
                )));
            }
            if !names.insert(file.as_str()) {
                return Err(ManifestError(format!("`files` names `{file}` twice")));
            }
        }
        check_window(written.start, written.end)?;
        let version = written.version.filter(|version| !version.is_empty());
        if let Some(version) = &version
            && (version.chars().any(char::is_control) || version.chars().count() > VERSION_MAX)
        {
            return Err(ManifestError(format!(
                "`version` is `{}`, not plain text of at most {VERSION_MAX} characters",
                shown(version)
            )));
        }
        Ok(Self {
            uuid,
            cluster_id,
            version,
            date: written.date,
            files,
            other_files,
            start: written.start,
            end: written.end,
            certified: written.certified,
            daily_reports: written.daily_reports,
            status: written.cr_status,
        })
    }

    /// Whether the upload adds to its days, as operators before 3.0 wrote it. Those
    /// that say no version yet held the month so far, of which each day is whole.
    pub fn is_additive(&self) -> bool {
        !self.daily_reports && self.version.is_some()
    }

    /// The operator's own words about itself, where it says them and a database
    /// can hold them.
    pub fn operator_says(&self, path: &[&str]) -> Option<&Value> {
        path.iter()
            .try_fold(&self.status, |value, key| value.get(key))
            .filter(|value| value.as_str().is_none_or(|text| !text.contains('\0')))
    }

    /// The manifest of reports that came without one.
    pub(super) fn of_reports(uuid: Uuid, cluster_id: &str, files: Vec<String>) -> Self {
        Self {
            uuid,
            cluster_id: cluster_id.to_string(),
            version: None,
            date: DateTime::UNIX_EPOCH,
            files,
            other_files: Vec::new(),
            start: None,
            end: None,
            certified: false,
            daily_reports: true,
            status: Value::Null,
        }
    }
}

impl ManifestError {
    /// A report could not be read.
    pub(super) fn of(error: &io::Error) -> Self {
        Self(error.to_string())
    }
}

pub(super) fn check_cluster_id(cluster_id: &str) -> Result<(), ManifestError> {
    if is_id(cluster_id) {
        return Ok(());
    }
    Err(ManifestError(format!(
        "`cluster_id` is `{}`, not a plain name of at most {ID_CHARACTERS_MAX} characters",
        shown(cluster_id)
    )))
}

fn check_window(
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
) -> Result<(), ManifestError> {
    let (Some(start), Some(end)) = (start, end) else {
        return Ok(());
    };
    if start > end {
        return Err(ManifestError(format!(
            "`start` {start} is after `end` {end}"
        )));
    }
    if start
        .checked_add_months(Months::new(WINDOW_MONTHS_MAX))
        .is_some_and(|latest| end > latest)
    {
        return Err(ManifestError(format!(
            "`start` {start} and `end` {end} are more than {WINDOW_MONTHS_MAX} months apart"
        )));
    }
    Ok(())
}

/// Text of the manifest for a message: on one line, and no longer than a line.
fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    let mut shown: String = text
        .chars()
        .take(SHOWN_MAX)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// RFC 3339; a time without a zone is UTC.
fn parse_instant<E: de::Error>(text: &str) -> Result<DateTime<Utc>, E> {
    DateTime::parse_from_rfc3339(text)
        .map(|instant| instant.to_utc())
        .or_else(|_| text.parse::<NaiveDateTime>().map(|naive| naive.and_utc()))
        .map_err(|_| E::custom(format!("`{}` is not a time", shown(text))))
}

/// A time that an upload can be of. A report that came alone is of 1970.
fn plausible<E: de::Error>(instant: DateTime<Utc>) -> Result<DateTime<Utc>, E> {
    match (1970..2100).contains(&instant.year()) {
        true => Ok(instant),
        false => Err(E::custom(format!(
            "{instant} is not in the years 1970 to 2099"
        ))),
    }
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    parse_instant(&String::deserialize(deserializer)?).and_then(plausible)
}

fn optional_instant<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let parsed: DateTime<Utc> = parse_instant(&text)?;
    // Go writes a missing time as the first instant of the year 1.
    match parsed.year() {
        1 => Ok(None),
        _ => plausible(parsed).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(changes: &str) -> Result<Manifest, ManifestError> {
        let mut value = serde_json::json!({
            "uuid": "0df8b45b-6e53-4761-b7f1-3155ee407047",
            "cluster_id": "cluster",
            "date": "2026-10-01T23:59:59.5Z",
            "files": ["a.csv"],
        });
        let changes: Value = serde_json::from_str(changes).unwrap();
        for (key, changed) in changes.as_object().unwrap() {
            value[key] = changed.clone();
        }
        Manifest::parse(value.to_string().as_bytes())
    }

    #[test]
    fn go_zero_time_and_naive_time_are_understood() {
        let parsed = manifest(
            r#"{"start": "0001-01-01T00:00:00Z", "end": "2026-10-02T00:00:00", "files": null}"#,
        )
        .unwrap();
        assert_eq!(parsed.start, None);
        assert_eq!(
            parsed.end.unwrap().to_rfc3339(),
            "2026-10-02T00:00:00+00:00"
        );
        assert!(parsed.files.is_empty());
    }

    #[test]
    fn an_upload_adds_when_it_has_a_version_and_no_daily_reports() {
        for (changes, expected) in [
            (r#"{"version": "2.0.0", "daily_reports": false}"#, true),
            (r#"{"version": "2.0.0"}"#, true),
            (r#"{"version": "3.0.0", "daily_reports": true}"#, false),
            (r#"{"version": "", "daily_reports": false}"#, false),
            (r#"{"version": null}"#, false),
            ("{}", false),
        ] {
            assert_eq!(
                manifest(changes).unwrap().is_additive(),
                expected,
                "{changes}"
            );
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for (changes, message) in [
            (
                r#"{"cluster_id": "../x"}"#,
                "its manifest is wrong: `cluster_id` is `../x`, not a plain name of at most 50 characters",
            ),
            (
                r#"{"files": ["a/b.csv"]}"#,
                "its manifest is wrong: `files` names `a/b.csv`, which is not a flat name of at most 128 characters",
            ),
            (
                r#"{"uuid": "x"}"#,
                "its manifest is wrong: `uuid` is `x`, not a version 4 UUID",
            ),
            (
                r#"{"start": "2026-10-02T00:00:00Z", "end": "2026-10-01T00:00:00Z"}"#,
                "its manifest is wrong: `start` 2026-10-02 00:00:00 UTC is after `end` 2026-10-01 00:00:00 UTC",
            ),
        ] {
            assert_eq!(manifest(changes).unwrap_err().to_string(), message);
        }
    }
}
