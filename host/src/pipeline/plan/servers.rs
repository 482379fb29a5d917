//! The settings of object storage and of Trino, checked as far as a file can be.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::location::LakeLocation;
use super::resolve::Resolver;
use crate::diagnostics::problem::{Problem, Span};
use crate::diagnostics::secret::SecretPlace;
use crate::pipeline::definition::{LakeSection, SecretSource, TrinoSection};

/// Where nothing is said: what Amazon takes for "anywhere", and other servers do not ask.
const REGION: &str = "us-east-1";
const USER: &str = "gristmill";
const SCHEMA: &str = "gristmill";
const TIME_PER_STATEMENT: Duration = Duration::from_mins(10);
/// A coordinator starts within half a minute.
const PATIENCE: Duration = Duration::from_mins(1);
/// Two days, the most that most payloads have, for two workers.
const OPEN_FILES: u16 = 4;

const KEEP_DAYS_RANGE: RangeInclusive<u64> = 0..=365;
const OPEN_FILES_RANGE: RangeInclusive<u64> = 1..=256;
const MEMORY_RANGE: RangeInclusive<u64> = 1 << 20..=1 << 44;
/// In milliseconds.
const STATEMENT_RANGE: RangeInclusive<u64> = 1_000..=24 * 3_600_000;
const PATIENCE_RANGE: RangeInclusive<u64> = 1_000..=24 * 3_600_000;

/// The settings of object storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakePlan {
    pub location: LakeLocation,
    pub endpoint: Option<String>,
    pub region: String,
    /// The id of the key, and the key; looked for in the surroundings when absent.
    pub keys: Option<(SecretPlace, SecretPlace)>,
    /// How long the hours of a generation are kept.
    pub keep_days: u16,
    /// Files that are open at a time besides one of each worker.
    pub open_files: usize,
    /// How long a server that does not answer is asked again.
    pub patience: Duration,
}

/// The settings of Trino.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrinoPlan {
    /// Scheme, host and port, without anything behind them.
    pub url: String,
    pub user: String,
    pub credentials: Credentials,
    /// Trusted besides the system's.
    pub certificates: Option<PathBuf>,
    pub catalog: String,
    pub schema: String,
    pub memory_per_node: Option<u64>,
    pub time_per_statement: Duration,
    pub patience: Duration,
}

/// How Trino is told who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// By name alone.
    None,
    Password(SecretPlace),
    Token(SecretPlace),
}

impl Resolver<'_> {
    pub(super) fn lake(&mut self) -> Option<LakePlan> {
        let section = self.definition.lake.as_ref()?;
        let location = self.lake_location(section);
        let endpoint = match &section.endpoint {
            Some(endpoint) => self.origin("endpoint", endpoint).map(Some),
            None => Some(None),
        };
        let region = match &section.region {
            Some(region) => self.word("region", region),
            None => Some(REGION.to_owned()),
        };
        let access = self.secret("access-key", section.access_key.as_ref());
        let secret = self.secret("secret-key", section.secret_key.as_ref());
        let keys = match (access?, secret?) {
            (Some(access), Some(secret)) => Some(Some((access, secret))),
            (None, None) => Some(None),
            _ => {
                let message = "`access-key` and `secret-key` go together";
                self.add(Problem::new(section.location.span(), message));
                None
            }
        };
        let keep_days = self.number("keep-days", section.keep_days.as_ref(), 0, KEEP_DAYS_RANGE);
        let open_files = section.open_files.as_ref();
        let open_files = self.number("open-files", open_files, OPEN_FILES, OPEN_FILES_RANGE);
        let patience = self.definition.trino.as_ref();
        let patience = patience.and_then(|trino| trino.patience.as_ref());
        Some(LakePlan {
            location: location?,
            endpoint: endpoint?,
            region: region?,
            keys: keys?,
            keep_days: keep_days?,
            open_files: open_files?.into(),
            // What is wrong with it is told where it stands.
            patience: patience.map_or(PATIENCE, |patience| patience.get_ref().0),
        })
    }

    pub(super) fn trino(&mut self) -> Option<TrinoPlan> {
        let section = self.definition.trino.as_ref()?;
        let url = self.origin("url", &section.url);
        let user = match &section.user {
            Some(user) => self.user(user),
            None => Some(USER.to_owned()),
        };
        let credentials = self.credentials(section);
        let catalog = self.name("catalog", &section.catalog);
        let schema = match &section.schema {
            Some(schema) => self.name("schema", schema),
            None => Some(SCHEMA.to_owned()),
        };
        let memory_per_node = match &section.memory_per_node {
            Some(memory) => {
                let bytes = memory.get_ref().0;
                self.within("memory-per-node", memory.span(), bytes, MEMORY_RANGE)
                    .map(Some)
            }
            None => Some(None),
        };
        let time = section.time_per_statement.as_ref();
        let time = self.duration(
            "time-per-statement",
            time,
            TIME_PER_STATEMENT,
            STATEMENT_RANGE,
        );
        let patience = section.patience.as_ref();
        let patience = self.duration("patience", patience, PATIENCE, PATIENCE_RANGE);
        let certificates = section.certificates.as_ref();
        Some(TrinoPlan {
            url: url?,
            user: user?,
            credentials: credentials?,
            certificates: certificates.map(|path| self.beside(&path.span(), path.get_ref())),
            catalog: catalog?,
            schema: schema?,
            memory_per_node: memory_per_node?,
            time_per_statement: time?,
            patience: patience?,
        })
    }

    fn lake_location(&mut self, section: &LakeSection) -> Option<LakeLocation> {
        let in_trino = section.location_in_trino.as_ref();
        let read = LakeLocation::parse(
            section.location.get_ref(),
            in_trino.map(|name| name.get_ref().as_str()),
        );
        match read {
            Ok(location) => Some(location),
            Err(error) => {
                let span = match (error.is_trinos_name, in_trino) {
                    (true, Some(name)) => name.span(),
                    _ => section.location.span(),
                };
                // It may have a key in it.
                if section.location.get_ref().contains('@') {
                    self.add_unshown(&span, &error.message);
                } else {
                    let hint = match error.is_trinos_name {
                        true => "as in `local:///prefix`",
                        false => "as in `s3://bucket/prefix` or `file:///folder`",
                    };
                    self.add(Problem::new(span, error.message).hint(hint));
                }
                None
            }
        }
    }

    fn credentials(&mut self, section: &TrinoSection) -> Option<Credentials> {
        let password = self.secret("password", section.password.as_ref());
        let token = self.secret("token", section.token.as_ref());
        let credentials = match (password?, token?) {
            (None, None) => return Some(Credentials::None),
            (Some(password), None) => Credentials::Password(password),
            (None, Some(token)) => Credentials::Token(token),
            (Some(_), Some(_)) => {
                let span = section.token.as_ref().map(Spanned::span);
                self.add(Problem::new(
                    span,
                    "a password and a token are one too many",
                ));
                return None;
            }
        };
        if !section.url.get_ref().starts_with("https://") {
            let message = "a password or a token goes over `https` only";
            self.add(Problem::new(section.url.span(), message));
            return None;
        }
        Some(credentials)
    }

    /// `Some(None)` where nothing is said.
    fn secret(
        &mut self,
        key: &str,
        source: Option<&Spanned<SecretSource>>,
    ) -> Option<Option<SecretPlace>> {
        let Some(source) = source else {
            return Some(None);
        };
        let form = format!("write `{key} = {{ env = \"…\" }}` or `{key} = {{ file = \"…\" }}`");
        match source.get_ref() {
            SecretSource::Variable(name) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Some(Some(SecretPlace::Variable(name.clone())))
            }
            SecretSource::File(path) => {
                let path = self.beside(&source.span(), path);
                Some(Some(SecretPlace::File(path)))
            }
            SecretSource::Variable(_) | SecretSource::Unclear => {
                let message = format!("`{key}` names one variable or one file");
                self.add(Problem::new(source.span(), message).hint(form));
                None
            }
            SecretSource::Written => {
                let message = format!("`{key}` must not stand in the pipeline file: {form}");
                self.add_unshown(&source.span(), &message);
                None
            }
        }
    }

    /// A problem at a line that may hold a secret, and so is not shown.
    fn add_unshown(&mut self, span: &Span, message: &str) {
        let place = self.sources.place(span).unwrap_or_default();
        self.add(Problem::new(None, format!("{place}: {message}")));
    }

    /// A path of the definition, seen from the file that has it.
    fn beside(&self, span: &Span, path: &Path) -> PathBuf {
        let folder = self.sources.path(span).and_then(Path::parent);
        folder.unwrap_or(Path::new("")).join(path)
    }

    /// `http` or `https`, host and port.
    fn origin(&mut self, key: &str, url: &Spanned<String>) -> Option<String> {
        let text = url.get_ref().trim_end_matches('/');
        let address = ["https://", "http://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        let is_of_one =
            |character: char| character.is_ascii_alphanumeric() || "-._:[]".contains(character);
        if address.is_some_and(|address| !address.is_empty() && address.chars().all(is_of_one)) {
            return Some(text.to_owned());
        }
        let message = format!("`{key}` is no `https://host:port` or `http://host:port`");
        // It may have a password in it.
        if text.contains('@') {
            let message = format!("{message}; names and passwords have keys of their own");
            self.add_unshown(&url.span(), &message);
        } else {
            self.add(Problem::new(url.span(), message));
        }
        None
    }

    /// A user's name, which goes into the header of a request.
    fn user(&mut self, user: &Spanned<String>) -> Option<String> {
        let text = user.get_ref();
        let fits = |character: char| (' '..='~').contains(&character) && character != ':';
        if !text.is_empty() && text.trim() == text && text.chars().all(fits) {
            return Some(text.clone());
        }
        let message = "`user` is a name of ASCII characters without a colon";
        self.add(Problem::new(user.span(), message));
        None
    }

    fn word(&mut self, key: &str, word: &Spanned<String>) -> Option<String> {
        let text = word.get_ref();
        let fits = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
        if !text.is_empty() && text.chars().all(fits) {
            return Some(text.clone());
        }
        let message = format!("`{key}` is a word of letters, digits, `-` and `_`");
        self.add(Problem::new(word.span(), message));
        None
    }

    /// A name as Trino keeps it: it makes small letters of capital ones.
    fn name(&mut self, key: &str, name: &Spanned<String>) -> Option<String> {
        let text = name.get_ref();
        let fits = |character: char| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || "-_".contains(character)
        };
        if !text.is_empty() && text.len() <= 63 && text.chars().all(fits) {
            return Some(text.clone());
        }
        let message = format!("`{key}` is a name of small letters, digits, `-` and `_`");
        self.add(Problem::new(name.span(), message));
        None
    }

    fn number(
        &mut self,
        key: &str,
        said: Option<&Spanned<u16>>,
        usual: u16,
        range: RangeInclusive<u64>,
    ) -> Option<u16> {
        match said {
            Some(count) => self
                .within(key, count.span(), u64::from(*count.get_ref()), range)
                .map(|count| count as u16),
            None => Some(usual),
        }
    }
}
