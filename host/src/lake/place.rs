//! The place of one generation's files of one report: a path below the lake's location, and
//! the name of the table that has them for a while.
//!
//! No two places are equal, whatever becomes of generations and databases: Trino keeps small
//! files in memory by their paths.

use std::fmt;
use std::str::FromStr;

/// Where the files of a generation's report are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// An identity of the database, so that several may share a lake.
    database: String,
    schema: String,
    report: String,
    generation: i64,
    random: u64,
}

/// A text is no place.
#[derive(Debug)]
pub struct PlaceError {
    text: String,
}

impl Place {
    /// A new one.
    ///
    /// # Errors
    /// A part of it has other characters than names of ours have.
    pub fn new(
        database: &str,
        schema: &str,
        report: &str,
        generation: i64,
    ) -> Result<Place, PlaceError> {
        let place = Place {
            database: database.to_owned(),
            schema: schema.to_owned(),
            report: report.to_owned(),
            generation,
            random: uuid::Uuid::new_v4().as_u64_pair().0,
        };
        place.to_string().parse()
    }

    /// The table's name in Trino.
    pub fn table(&self) -> String {
        format!("{}_{}_{:016x}", self.report, self.generation, self.random)
    }

    /// Below the lake's location: the folder of the files.
    pub(super) fn data(&self) -> String {
        format!("{self}/data")
    }

    /// Below the lake's location: what Trino keeps of the table. It wants the folder empty,
    /// so it is not that of the files.
    pub(super) fn table_folder(&self) -> String {
        format!("{self}/table")
    }
}

/// The path below the lake's location, as records have it.
impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            database,
            schema,
            report,
            generation,
            random,
        } = self;
        write!(
            formatter,
            "{database}/{schema}/{report}/generation={generation}-{random:016x}"
        )
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Place, PlaceError> {
        let read = || {
            let [database, schema, report, rest]: [&str; 4] =
                text.split('/').collect::<Vec<_>>().try_into().ok()?;
            let (generation, random) = rest.strip_prefix("generation=")?.rsplit_once('-')?;
            let place = Place {
                database: name(database)?,
                schema: name(schema)?,
                report: name(report).filter(|report| !report.contains('-'))?,
                generation: generation.parse().ok()?,
                random: u64::from_str_radix(random, 16).ok()?,
            };
            // One place has one text.
            (place.to_string() == text).then_some(place)
        };
        read().ok_or_else(|| PlaceError {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for PlaceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is no place of a lake",
            self.text.escape_debug()
        )
    }
}

impl std::error::Error for PlaceError {}

/// A part of a place, if it has the characters of a name of ours.
fn name(text: &str) -> Option<String> {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    (!text.is_empty() && text.len() <= 63 && text.bytes().all(fits)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_what_its_record_says_and_never_used_twice() {
        let place = Place::new("0a1b-2c", "org1", "pods", 12).unwrap();
        assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        let text = place.to_string();
        assert!(
            text.starts_with("0a1b-2c/org1/pods/generation=12-"),
            "{text}"
        );
        assert!(place.table().starts_with("pods_12_"), "{}", place.table());
        assert_ne!(place, Place::new("0a1b-2c", "org1", "pods", 12).unwrap());
    }

    #[test]
    fn no_other_text_is_a_place() {
        let random = "0123456789abcdef";
        for text in [
            "".to_owned(),
            "a/b/pods".to_owned(),
            format!("../b/pods/generation=1-{random}"),
            format!("a//pods/generation=1-{random}"),
            format!("a/b/po\"ds/generation=1-{random}"),
            format!("a/b/pods/generation=1-{random}/.."),
            format!("/a/b/pods/generation=1-{random}"),
            format!("a/b/pods/generation=+1-{random}"),
            format!("a/b/pods/generation=1-{random}0"),
            "a/b/pods/generation=1-0123456789ABCDEF".to_owned(),
            "a/b/pods/generation=1-1".to_owned(),
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
        assert!(Place::new("a", "b", "pods'", 1).is_err());
        assert!(Place::new("A", "b", "pods", 1).is_err());
    }
}
