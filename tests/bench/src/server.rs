//! A Postgres server for one measurement: of the program's own making, durable as
//! that of a site, gone at the end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use gristmill::database;
use tempfile::TempDir;

use crate::ENABLED_KEYS;

pub(crate) struct Server {
    folder: TempDir,
    url: String,
    schemas: AtomicU32,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("gristmill-bench-")
            .tempdir()?;
        // The server, which may run as another user, lives in it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
        let server = database::start_local(folder.path())?;
        Ok(Self {
            url: server.url(),
            folder,
            schemas: AtomicU32::new(0),
        })
    }

    /// Where files of the measurement go, and the archive.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The name of a schema that nobody has used.
    pub(crate) fn new_schema(&self) -> String {
        format!("bench_{}", self.schemas.fetch_add(1, Ordering::Relaxed))
    }

    /// Runs commands of psql in a schema; returns what it prints.
    pub(crate) fn psql(&self, schema: &str, commands: &[&str]) -> Result<String> {
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1"])
            .env("PGOPTIONS", format!("-c search_path={schema}"))
            .arg(&self.url);
        for command in commands {
            psql.args(["--command", command]);
        }
        let output = psql.output().context("psql cannot be run")?;
        if !output.status.success() {
            bail!("psql: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_string())
    }

    /// Enables the tag keys that the measurements use.
    pub(crate) fn enable_tags(&self, schema: &str) -> Result<()> {
        let keys: Vec<String> = ENABLED_KEYS
            .iter()
            .map(|key| format!("('{key}', true, 'OCP')"))
            .collect();
        let insert = format!(
            "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type) VALUES {}",
            keys.join(", ")
        );
        self.psql(schema, &[&insert]).map(drop)
    }

    /// Lets nothing that was written before weigh on what is measured next.
    pub(crate) fn settle(&self) -> Result<()> {
        self.psql("public", &["CHECKPOINT"]).map(drop)
    }

    pub(crate) fn drop_schema(&self, schema: &str) -> Result<()> {
        let drop = format!("DROP SCHEMA {schema} CASCADE");
        self.psql("public", &["SET client_min_messages = error", &drop])
            .map(std::mem::drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The rest of it goes with the folder.
        let _ = database::stop_local(self.folder.path());
    }
}
