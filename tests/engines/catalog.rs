//! The Postgres that holds Trino's Iceberg catalog: one of its own, on loopback, since JDBC
//! knows no sockets.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gristmill::database;

use super::process::{Process, free_port};
use crate::support::account::Account;
use crate::support::command::file;
use crate::support::server::TestDatabase;

const START_MAX: Duration = Duration::from_secs(60);

pub(super) struct Catalog {
    _process: Process,
    port: u16,
}

impl Catalog {
    pub(super) fn start(folder: &Path) -> Result<Catalog, String> {
        let account = Account::of_server(&TestDatabase::empty());
        let programs = database::server_programs().map_err(|error| error.to_string())?;
        let folder = folder.join("catalog");
        fs::create_dir(&folder).map_err(|error| error.to_string())?;
        account.own(&folder);
        let data = folder.join("data");
        let made = account
            .command(&programs.program("initdb"))
            .arg("--pgdata")
            .arg(&data)
            .args(["--username", "trino", "--auth", "trust", "--no-sync"])
            .args(["--encoding", "UTF8", "--locale", "C"])
            .status();
        if !made.is_ok_and(|status| status.success()) {
            return Err("cannot make a Postgres for Trino's catalog".to_owned());
        }
        let port = free_port();
        let mut server = account.command(&programs.program("postgres"));
        server
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&folder)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .arg("-c")
            .arg(format!("port={port}"))
            .args(["-c", "shared_buffers=16MB"]);
        let mut process = Process::start("Trino's catalog", server, &folder.join("log"))?;
        process.until(START_MAX, || {
            let status = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            let ready = |line: &str| line.trim() == "ready";
            status.lines().nth(7).is_some_and(ready)
                && TcpStream::connect(("127.0.0.1", port)).is_ok()
        })?;
        let catalog = Catalog {
            _process: process,
            port,
        };
        catalog.make_tables(&programs.program("psql"))?;
        Ok(catalog)
    }

    /// As an operator makes them, by the file that the book shows.
    fn make_tables(&self, psql: &Path) -> Result<(), String> {
        let made = Command::new(psql)
            .args([
                "--quiet",
                "--no-psqlrc",
                "--set",
                "ON_ERROR_STOP=1",
                "--file",
            ])
            .arg(file("docs/trino/catalog.sql"))
            .arg(format!(
                "postgresql://trino@127.0.0.1:{}/postgres",
                self.port
            ))
            .output()
            .map_err(|error| error.to_string())?;
        match made.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&made.stderr).into_owned()),
        }
    }

    /// For Trino's `connection-url`.
    pub(super) fn jdbc_url(&self) -> String {
        format!(
            "jdbc:postgresql://127.0.0.1:{}/postgres?currentSchema=lake",
            self.port
        )
    }
}
