//! The word by which a person names a source.
//!
//! Clusters may have any name, so one cluster's id may be another's alias or uuid. A word
//! that fits several sources is therefore refused, and a prefix says which of the three
//! it is.

use uuid::Uuid;

use super::Source;
use crate::diagnostics::failure::{Failure, Result};

/// Candidates that a message shows.
const CANDIDATES_SHOWN: usize = 10;

/// The meaning of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word<'w> {
    /// `uuid:…`
    Uuid(Uuid),
    /// `cluster:…`, which is all of the cluster's id.
    Cluster(&'w str),
    /// `alias:…`
    Alias(&'w str),
    /// Any of these.
    Any(&'w str),
}

impl<'w> Word<'w> {
    /// # Errors
    /// The text behind `uuid:` is no uuid.
    fn read(word: &'w str) -> Result<Self> {
        let Some((prefix, rest)) = word.split_once(':') else {
            return Ok(Self::Any(word));
        };
        match prefix {
            "uuid" => Uuid::parse_str(rest).map(Self::Uuid).map_err(|error| {
                Failure::definition(format!("`{rest}` is no uuid"))
                    .because(error)
                    .hint(format!(
                        "`cluster:{word}` means the cluster whose id is `{word}`"
                    ))
            }),
            "cluster" => Ok(Self::Cluster(rest)),
            "alias" => Ok(Self::Alias(rest)),
            _ => Ok(Self::Any(word)),
        }
    }

    fn fits(self, source: &Source) -> bool {
        match self {
            Self::Uuid(uuid) => source.source_uuid == uuid,
            Self::Cluster(cluster_id) => source.cluster_id == cluster_id,
            Self::Alias(alias) => source.cluster_alias == alias,
            Self::Any(word) => {
                source.cluster_id == word
                    || source.cluster_alias == word
                    || Uuid::parse_str(word).is_ok_and(|uuid| uuid == source.source_uuid)
            }
        }
    }
}

/// The one source that the word fits.
///
/// # Errors
/// It fits none, or several, or is not of its prefix.
pub(super) fn pick(sources: Vec<Source>, word: &str) -> Result<Source> {
    let read = Word::read(word)?;
    let exists = |word: Word<'_>| sources.iter().any(|source| word.fits(source));
    let is_id = exists(Word::Cluster(word));
    let mut candidates: Vec<Source> = sources
        .into_iter()
        .filter(|source| read.fits(source))
        .collect();
    if candidates.len() > 1 {
        return Err(ambiguous(word, &candidates));
    }
    candidates.pop().ok_or_else(|| {
        Failure::definition(format!("there is no source `{word}`")).hint(match is_id {
            true => format!("`cluster:{word}` means the cluster whose id is `{word}`"),
            false => "`gristmill sources list` shows the sources".to_string(),
        })
    })
}

fn ambiguous(word: &str, candidates: &[Source]) -> Failure {
    let mut failure = Failure::definition(format!(
        "`{word}` may be any of {} sources",
        candidates.len()
    ));
    let shown = candidates.iter().take(CANDIDATES_SHOWN).map(|source| {
        format!(
            "uuid:{}, cluster `{}`, alias `{}`",
            source.source_uuid, source.cluster_id, source.cluster_alias
        )
    });
    failure.causes.extend(shown);
    if let Some(more) = candidates.len().checked_sub(CANDIDATES_SHOWN)
        && more > 0
    {
        failure.causes.push(format!("and {more} more"));
    }
    failure.hint("`uuid:UUID`, `cluster:ID` and `alias:NAME` are exact")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    const VICTIM: &str = "11111111-0000-4000-8000-00000000000a";

    fn source(number: u8, cluster_id: &str, cluster_alias: &str) -> Source {
        Source {
            source_uuid: format!("11111111-0000-4000-8000-0000000000{number:02x}")
                .parse()
                .unwrap(),
            cluster_id: cluster_id.into(),
            cluster_alias: cluster_alias.into(),
            registered_at: DateTime::UNIX_EPOCH,
            engine: None,
        }
    }

    /// The result of a word: the source's cluster or the failure.
    #[track_caller]
    fn check(sources: &[Source], word: &str, expected: &str) {
        let picked = pick(sources.to_vec(), word);
        let shown = picked.map_or_else(|failure| failure.message, |source| source.cluster_id);
        assert_eq!(shown, expected, "{word}");
    }

    #[test]
    fn a_word_that_fits_one_source_means_it() {
        let sources = [source(10, "victim", "the victim"), source(11, "b", "b")];
        for word in ["victim", "the victim", VICTIM, &VICTIM.to_uppercase()] {
            check(&sources, word, "victim");
        }
        // Its id is its alias, which is one source all the same.
        check(&sources, "b", "b");
        check(&sources, "c", "there is no source `c`");
    }

    #[test]
    fn a_stranger_is_never_taken_for_another() {
        for word in ["victim", "the victim", VICTIM] {
            for stranger in [source(11, word, "s"), source(11, "s", word)] {
                let sources = [source(10, "victim", "the victim"), stranger];
                check(&sources, word, &format!("`{word}` may be any of 2 sources"));
                check(&sources, &format!("uuid:{VICTIM}"), "victim");
            }
        }
        // Upper case is another id, and the same uuid.
        let upper = VICTIM.to_uppercase();
        let sources = [source(10, "victim", "v"), source(11, &upper, "s")];
        check(&sources, VICTIM, "victim");
        check(
            &sources,
            &upper,
            &format!("`{upper}` may be any of 2 sources"),
        );
    }

    #[test]
    fn a_prefix_is_exact() {
        let uuid = format!("uuid:{VICTIM}");
        let sources = [
            source(10, "victim", "x"),
            source(11, &uuid, "alias:x"),
            source(12, "x", "cluster:victim"),
        ];
        check(&sources, &uuid, "victim");
        check(&sources, &format!("cluster:{uuid}"), &uuid);
        check(&sources, "alias:x", "victim");
        check(&sources, "alias:alias:x", &uuid);
        check(&sources, "cluster:x", "x");
        check(&sources, "cluster:victim", "victim");
        check(&sources, "alias:cluster:victim", "x");
        check(&sources, "x", "`x` may be any of 2 sources");
        check(&sources, "uuid:x", "`x` is no uuid");
        check(&sources, "alias:y", "there is no source `alias:y`");
    }

    #[test]
    fn an_alias_that_several_have_is_refused_with_all_of_them() {
        let sources: Vec<Source> = (0..12)
            .map(|number| source(number, &number.to_string(), "same"))
            .collect();
        for word in ["same", "alias:same"] {
            let failure = pick(sources.clone(), word).unwrap_err();
            assert_eq!(failure.exit as u8, 2);
            assert_eq!(failure.causes.len(), CANDIDATES_SHOWN + 1);
            assert!(failure.causes[0].starts_with("uuid:11111111-"), "{failure}");
            assert_eq!(failure.causes[CANDIDATES_SHOWN], "and 2 more");
        }
    }
}
