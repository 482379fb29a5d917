//! A program with a database and an archive of its own, and copies of that database: a copy is
//! there at once, where a new schema takes seconds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use gristmill_generator::{Cluster, Upload};

use crate::program::{Program, Spent, Verb};
use crate::server::{OtherDatabase, Server};
use crate::{Build, Options};

pub(super) struct Place<'a> {
    program: Program<'a>,
    database: OtherDatabase,
    schema: String,
    /// The archive's: it belongs to the database.
    folder: PathBuf,
    /// Compiled components, which copies share.
    cache: PathBuf,
}

impl<'a> Place<'a> {
    /// A new database, in which the schema is up to date and no payload was ever loaded.
    pub(super) fn new(options: &'a Options, build: &'a Build, server: &Server) -> Result<Self> {
        let database = server.new_database("template1")?;
        let folder = folder_of(server, &database)?;
        let program = Program::apart(options, build, database.url(), folder.clone());
        let place = Self {
            schema: program.new_schema(server)?,
            cache: program.cache(),
            program,
            database,
            folder,
        };
        place.compile(server)?;
        Ok(place)
    }

    /// Has the components compiled, which else the first shape would pay for.
    fn compile(&self, server: &Server) -> Result<()> {
        let path = server.folder().join("compiles.tar.gz");
        Upload::of_day(Cluster::of_nodes(2, 5)).write_tarball(&path)?;
        let copy = self.copied(server)?;
        copy.load(Verb::Run, &self.program.shipped_pipeline(), &[path])?;
        copy.remove(server)
    }

    /// A copy of its database as it is now.
    pub(super) fn copied(&self, server: &Server) -> Result<Self> {
        let database = server.new_database(self.database.name())?;
        let folder = folder_of(server, &database)?;
        Ok(Self {
            program: self.program.moved(database.url(), folder.clone()),
            schema: self.schema.clone(),
            database,
            folder,
            cache: self.cache.clone(),
        })
    }

    pub(super) fn remove(self, server: &Server) -> Result<()> {
        server.drop_database(&self.database)?;
        Ok(fs::remove_dir_all(&self.folder)?)
    }

    pub(super) fn shipped_pipeline(&self) -> PathBuf {
        self.program.shipped_pipeline()
    }

    /// Loads payloads in one command.
    pub(super) fn load(&self, verb: Verb, pipeline: &Path, payloads: &[PathBuf]) -> Result<Spent> {
        self.program
            .load_by(verb, pipeline, payloads, &self.schema, &self.cache)
    }

    /// How many days of clusters have a summary.
    pub(super) fn summarized_days(&self) -> Result<u64> {
        let count = self.program.psql(
            &self.schema,
            &["SELECT count(DISTINCT (source_uuid, usage_start))
            FROM reporting_ocpusagelineitem_daily_summary"],
        )?;
        Ok(count.parse()?)
    }

    /// The time in each function, without that in those that it called.
    pub(super) fn function_seconds(&self) -> Result<BTreeMap<String, f64>> {
        let found = self.program.psql(
            &self.schema,
            &["SELECT funcname, sum(self_time) / 1000
            FROM pg_stat_user_functions
            GROUP BY funcname"],
        )?;
        let functions = found.lines().map(|line| {
            let (name, seconds) = line.split_once('|').context("a function")?;
            Ok((name.to_owned(), seconds.parse()?))
        });
        functions.collect()
    }
}

fn folder_of(server: &Server, database: &OtherDatabase) -> Result<PathBuf> {
    let folder = server.folder().join(database.name());
    fs::create_dir(&folder)?;
    Ok(folder)
}
