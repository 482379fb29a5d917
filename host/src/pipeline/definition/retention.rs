//! The section that says how long records are kept; `gristmill clean` reads it.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

/// How long records of payloads are kept.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RetentionSection {
    /// Days that rows stay in quarantine, with their raw text, whatever became of them.
    #[schemars(with = "Option<u16>", extend("default" = 90))]
    pub quarantine_days: Option<Spanned<u16>>,
    /// Days that the row accounting of runs is kept: the rows that went into each stage and
    /// what came of them, as `gristmill run --json` shows it.
    #[schemars(with = "Option<u16>", extend("default" = 90))]
    pub row_accounts_days: Option<Spanned<u16>>,
    /// Days that the records of runs are kept, but for those whose rows are staged or in
    /// quarantine.
    #[schemars(with = "Option<u16>", extend("default" = 400))]
    pub runs_days: Option<Spanned<u16>>,
    /// Days that uploads and the statuses of their files are kept, unless they hold a day,
    /// are staged or archived.
    #[schemars(with = "Option<u16>", extend("default" = 400))]
    pub manifests_days: Option<Spanned<u16>>,
}
