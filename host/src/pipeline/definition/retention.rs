//! The section that says how long records are kept; `gristmill clean` reads it.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

/// How long records of payloads are kept.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RetentionSection {
    /// Days that rows stay in quarantine, with their raw text.
    #[schemars(with = "Option<u16>")]
    pub quarantine_days: Option<Spanned<u16>>,
    /// Days that the row accounts of runs are kept.
    #[schemars(with = "Option<u16>")]
    pub row_accounts_days: Option<Spanned<u16>>,
    /// Days that the records of runs are kept.
    #[schemars(with = "Option<u16>")]
    pub runs_days: Option<Spanned<u16>>,
    /// Days that manifests are kept which hold nothing any more, with the statuses of
    /// their files.
    #[schemars(with = "Option<u16>")]
    pub manifests_days: Option<Spanned<u16>>,
}
