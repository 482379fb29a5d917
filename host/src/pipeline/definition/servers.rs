//! The sections of the servers that the engine `trino` asks: object storage, and Trino.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::{Bytes, Time};

/// Object storage, in which hours wait to be folded by Trino.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LakeSection {
    /// Where files are written: `s3://bucket/prefix`, or `file:///folder`, which Trino sees
    /// too. Everything below it is gristmill's.
    #[schemars(with = "String")]
    pub location: Spanned<String>,
    /// What Trino calls that place, where it is another name: `local:///` for the folder that
    /// its catalog has as `local.location`.
    #[schemars(with = "Option<String>")]
    pub location_in_trino: Option<Spanned<String>>,
    /// The URL of a server that speaks S3; Amazon's when absent. Buckets are parts of its
    /// paths.
    #[schemars(with = "Option<String>")]
    pub endpoint: Option<Spanned<String>>,
    /// The region of the bucket.
    #[schemars(with = "Option<String>", extend("default" = "us-east-1"))]
    pub region: Option<Spanned<String>>,
    /// The id of the key for S3. Without it, and `secret-key`, both are looked for where
    /// Amazon's programs look: `AWS_ACCESS_KEY_ID` and its like, or the machine's role.
    #[schemars(with = "Option<SecretTable>")]
    pub access_key: Option<Spanned<SecretSource>>,
    /// The key for S3.
    #[schemars(with = "Option<SecretTable>")]
    pub secret_key: Option<Spanned<SecretSource>>,
    /// Days that the hours of a generation stay in Trino, for people to query, before they
    /// are removed.
    #[schemars(with = "Option<u16>", extend("default" = 0))]
    pub keep_days: Option<Spanned<u16>>,
    /// Files that are written at the same time, by all workers, besides one of each; each
    /// takes some 16 MiB of memory.
    #[schemars(with = "Option<u16>", extend("default" = 4))]
    pub open_files: Option<Spanned<u16>>,
}

/// The Trino that folds hours into days.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrinoSection {
    /// Of the coordinator: `https://trino.example:8443`.
    #[schemars(with = "String")]
    pub url: Spanned<String>,
    /// The user that statements run as.
    #[schemars(with = "Option<String>", extend("default" = "gristmill"))]
    pub user: Option<Spanned<String>>,
    /// The user's password.
    #[schemars(with = "Option<SecretTable>")]
    pub password: Option<Spanned<SecretSource>>,
    /// A token (JWT) in place of a password.
    #[schemars(with = "Option<SecretTable>")]
    pub token: Option<Spanned<SecretSource>>,
    /// A file of certificates (PEM) that are trusted besides those of the system.
    #[schemars(with = "Option<PathBuf>")]
    pub certificates: Option<Spanned<PathBuf>>,
    /// The catalog, of Iceberg's, in which tables are made for as long as a fold takes.
    #[schemars(with = "String")]
    pub catalog: Spanned<String>,
    /// The schema of these tables. It is made where it is missing.
    #[schemars(with = "Option<String>", extend("default" = "gristmill"))]
    pub schema: Option<Spanned<String>>,
    /// Memory that a statement may take of each of Trino's nodes; as much as Trino itself
    /// allows when absent.
    #[schemars(with = "Option<Bytes>")]
    pub memory_per_node: Option<Spanned<Bytes>>,
    /// Time that Trino may take for one statement.
    #[schemars(with = "Option<Time>", extend("default" = "10 min"))]
    pub time_per_statement: Option<Spanned<Time>>,
    /// Time for which a Trino, or an object storage, that does not answer is asked again.
    #[schemars(with = "Option<Time>", extend("default" = "60 s"))]
    pub patience: Option<Spanned<Time>>,
}

/// Where a secret is; it never stands in the file itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Variable(String),
    /// A file; a relative path begins at the folder of the pipeline file.
    File(PathBuf),
    /// Neither, or both.
    Unclear,
    /// Somebody wrote the secret. It is forgotten, so that no message has it.
    Written,
}

/// Where a secret is: one of the two.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SecretTable {
    /// The environment variable that has it.
    env: Option<String>,
    /// The file that has it, and nothing else; a relative path begins at the folder of the
    /// pipeline file.
    file: Option<PathBuf>,
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = SecretSource;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a table with `env` or `file`")
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretSource, E> {
                Ok(SecretSource::Written)
            }

            fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<SecretSource, M::Error> {
                let table = SecretTable::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(match (table.env, table.file) {
                    (Some(name), None) => SecretSource::Variable(name),
                    (None, Some(path)) => SecretSource::File(path),
                    _ => SecretSource::Unclear,
                })
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
