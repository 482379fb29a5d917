//! A Postgres server for one measurement: of the program's own making, durable as
//! that of a site, gone at the end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gristmill::database;
use tempfile::TempDir;

use crate::processor::seconds_of_family;

/// In which the server notices that a session has ended.
const NOTICE: Duration = Duration::from_millis(200);

pub(crate) struct Server {
    folder: TempDir,
    url: String,
    process: u32,
    schemas: AtomicU32,
}

/// A database beside that in which most is measured.
pub(crate) struct OtherDatabase {
    name: String,
    url: String,
}

impl OtherDatabase {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("gristmill-bench-")
            .tempdir()?;
        // The server, which may run as another user, lives in it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
        let url = database::start_local(folder.path())?.url();
        let data = psql(&url, "public", &["SHOW data_directory"])?;
        let lock = fs::read_to_string(Path::new(&data).join("postmaster.pid"))?;
        let process = lock.lines().next().context("an empty lock")?.parse()?;
        Ok(Self {
            url,
            folder,
            process,
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

    /// The name of a schema or database that nobody has used.
    pub(crate) fn new_schema(&self) -> String {
        format!("bench_{}", self.schemas.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes a database that is a copy of another one.
    pub(crate) fn new_database(&self, template: &str) -> Result<OtherDatabase> {
        let name = self.new_schema();
        let create = format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY");
        self.psql("public", &[&create])?;
        let (_, settings) = self.url.split_once('?').context("an address")?;
        Ok(OtherDatabase {
            url: format!("postgresql:///{name}?{settings}"),
            name,
        })
    }

    pub(crate) fn drop_database(&self, database: &OtherDatabase) -> Result<()> {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", database.name);
        self.psql("public", &[&drop]).map(std::mem::drop)
    }

    /// Runs commands of psql in a schema; returns what it prints.
    pub(crate) fn psql(&self, schema: &str, commands: &[&str]) -> Result<String> {
        psql(&self.url, schema, commands)
    }

    /// Has the time in each function counted, for sessions to come.
    pub(crate) fn count_functions(&self) -> Result<()> {
        let set = "ALTER SYSTEM SET track_functions = 'pl'";
        self.psql("public", &[set, "SELECT pg_reload_conf()"])
            .map(drop)
    }

    /// Stops that.
    pub(crate) fn leave_functions(&self) -> Result<()> {
        let reset = "ALTER SYSTEM RESET track_functions";
        self.psql("public", &[reset, "SELECT pg_reload_conf()"])
            .map(drop)
    }

    /// The processor time of all its processes so far, in seconds.
    pub(crate) fn processor_seconds(&self) -> f64 {
        seconds_of_family(self.process)
    }

    /// Waits until sessions that ended count with the server's own process.
    pub(crate) fn notice_ended(&self) {
        thread::sleep(NOTICE);
    }

    /// Lets nothing that was written before weigh on what is measured next.
    pub(crate) fn settle(&self) -> Result<()> {
        self.psql("public", &["CHECKPOINT"]).map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The rest of it goes with the folder.
        let _ = database::stop_local(self.folder.path());
    }
}

/// Runs commands of psql in a schema of a database; returns what it prints.
pub(crate) fn psql(url: &str, schema: &str, commands: &[&str]) -> Result<String> {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args(["--set", "ON_ERROR_STOP=1"])
        .env("PGOPTIONS", format!("-c search_path={schema}"))
        .arg(url);
    for command in commands {
        psql.args(["--command", command]);
    }
    let output = psql.output().context("psql cannot be run")?;
    if !output.status.success() {
        bail!("psql: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_string())
}
