//! A database, payloads and an archive for a test that breaks off what is under way.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::command::{Gristmill, gristmill, run};
use super::contents::{self, ALL, Contents};
use super::payload::Payload;
use super::server::{TestDatabase, fast_directory};
use crate::local_server::wait_until;

pub(crate) struct Site {
    pub(crate) database: TestDatabase,
    folder: TempDir,
}

impl Site {
    pub(crate) fn new() -> Site {
        Site::with(TestDatabase::migrated())
    }

    pub(crate) fn with(database: TestDatabase) -> Site {
        Site {
            database,
            folder: tempfile::tempdir_in(fast_directory()).expect("a folder"),
        }
    }

    /// Another one with the same in its database and its archive.
    #[track_caller]
    pub(crate) fn copy(&self) -> Site {
        let copy = Site::with(self.database.copy());
        let archive = self.folder().join("archive");
        let archived = files_below(&archive);
        if archived.is_empty() {
            return copy;
        }
        for path in archived {
            let below = path.strip_prefix(self.folder()).expect("a file of ours");
            let place = copy.folder().join(below);
            fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
            fs::copy(&path, &place).expect("a copy");
        }
        // Database and archive moved together: the identity is that of both.
        copy.database.execute(&format!(
            "UPDATE gristmill_archive SET directory = replace(directory, '{0}', '{1}');
            UPDATE gristmill_archive_pending SET directory = replace(directory, '{0}', '{1}');
            UPDATE gristmill_archive_owner
            SET database_oid = (SELECT oid FROM pg_database WHERE datname = current_database())",
            self.folder().display(),
            copy.folder().display()
        ));
        copy
    }

    /// Removes every archived payload behind the back of its record.
    #[track_caller]
    pub(crate) fn lose_archived_files(&self) {
        for path in tarballs_below(&self.folder().join("archive")) {
            fs::remove_file(path).expect("an archived payload");
        }
    }

    /// The payloads in the archive.
    pub(crate) fn archived(&self) -> Vec<PathBuf> {
        tarballs_below(&self.folder().join("archive"))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes payloads, each under a name of its own.
    pub(crate) fn write(&self, payloads: &[Payload]) -> Vec<PathBuf> {
        payloads
            .iter()
            .enumerate()
            .map(|(number, payload)| {
                payload.write(self.folder(), &format!("payload-{number}.tar.gz"))
            })
            .collect()
    }

    /// `gristmill run`, about to be run.
    pub(crate) fn run(&self, payloads: &[PathBuf]) -> Gristmill {
        self.at_home(run(&self.database, "pipelines/ocp.toml", payloads))
    }

    /// The same, by another pipeline.
    pub(crate) fn run_by(&self, pipeline: &Path, payloads: &[PathBuf]) -> Gristmill {
        self.at_home(run(&self.database, pipeline, payloads))
    }

    /// Another command on the database and the archive.
    pub(crate) fn command(&self, arguments: &[&str]) -> Gristmill {
        self.at_home(gristmill(arguments).database(&self.database))
    }

    fn at_home(&self, command: Gristmill) -> Gristmill {
        command
            .env("GRISTMILL_DATA", self.folder())
            .calling(self.folder(), "[FOLDER]")
    }

    #[track_caller]
    pub(crate) fn contents(&self) -> Contents {
        contents::contents(&self.database, ALL)
    }

    /// A run is known to be dead once the server has noticed, which takes a busy machine a
    /// moment; until then the next one takes it for one at work.
    #[track_caller]
    pub(crate) fn server_has_noticed(&self) {
        wait_until("the server has noticed", || {
            let sessions = self.database.query_value(
                "SELECT count(*)
                FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'gristmill'",
            );
            sessions.as_deref() == Some("0")
        });
    }

    /// Everything is as on a site where nothing was broken off.
    #[track_caller]
    pub(crate) fn is_like(&self, other: &Site, after: &str) {
        contents::are_same(&self.database, &other.database, ALL, after);
        self.is_in_order(after);
    }

    /// Nothing is left of what was broken off, and the archive is what its records
    /// say.
    #[track_caller]
    pub(crate) fn is_in_order(&self, after: &str) {
        let leftovers = self.database.query_rows(LEFTOVERS);
        let none: Vec<Vec<Option<String>>> = Vec::new();
        assert_eq!(leftovers, none, "left in the database after {after}");
        let recorded = self.database.query_rows(
            "SELECT DISTINCT directory || '/' || left(digest, 2) || '/' || digest || '.tar.gz'
            FROM gristmill_archive
            ORDER BY 1",
        );
        let recorded: Vec<PathBuf> = recorded
            .into_iter()
            .flatten()
            .flatten()
            .map(PathBuf::from)
            .collect();
        let archive = self.folder().join("archive");
        let pending = "SELECT count(*) FROM gristmill_archive_pending";
        let pending = || self.database.query_value(pending);
        if pending().as_deref() != Some("0") {
            // It names the files of a payload that did not get into the records.
            self.command(&["clean", "--retention-months", "120"])
                .succeeds();
            assert_eq!(pending().as_deref(), Some("0"), "pending after {after}");
        }
        let mut found = tarballs_below(&archive);
        found.sort();
        assert_eq!(found, recorded, "the archive after {after}");
        for path in &found {
            let digest = Sha256::digest(fs::read(path).expect("an archived payload"));
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            assert_eq!(name, format!("{digest}.tar.gz"), "damaged after {after}");
        }
    }
}

/// Rows that should not be there when nothing is under way.
const LEFTOVERS: &str = "
    SELECT 'generation that is still loading', id::text
    FROM gristmill_generation
    WHERE state <> 'complete'
    UNION ALL
    SELECT 'run that is still running', id::text
    FROM gristmill_run
    WHERE state = 'running'
    UNION ALL
    SELECT DISTINCT 'row of no generation in ' || staged.tableoid::regclass, staged.generation::text
    FROM (
        SELECT tableoid, generation FROM gristmill_coverage
        UNION ALL
        SELECT tableoid, generation FROM gristmill_hour_read
        UNION ALL
        SELECT tableoid, generation FROM reporting_ocpusagelineitem_pod_staging
        UNION ALL
        SELECT tableoid, generation FROM reporting_ocpusagelineitem_storage_staging
        UNION ALL
        SELECT tableoid, generation FROM reporting_ocpusagelineitem_node_labels_staging
        UNION ALL
        SELECT tableoid, generation FROM reporting_ocpusagelineitem_namespace_labels_staging
        UNION ALL
        SELECT tableoid, generation FROM reporting_ocpusagelineitem_vm_staging
        UNION ALL
        SELECT tableoid, generation FROM reporting_ocpusagelineitem_gpu_staging
        UNION ALL
        SELECT tableoid, generation FROM reporting_ocpusagelineitem_pod_day_staging
        UNION ALL
        SELECT tableoid, generation FROM reporting_ocpusagelineitem_node_hour_staging
        UNION ALL
        SELECT tableoid, generation FROM reporting_ocpusagelineitem_volume_day_staging
    ) AS staged
    WHERE NOT EXISTS (
        SELECT
        FROM gristmill_generation AS generation
        WHERE generation.id = staged.generation
    )
    UNION ALL
    SELECT 'place in the lake', place
    FROM gristmill_lake
    UNION ALL
    SELECT DISTINCT 'name that is not stored', named.id::text
    FROM reporting_ocpusagelineitem_pod_staging AS staged
    CROSS JOIN LATERAL (
        VALUES (staged.namespace_name_id), (staged.node_name_id), (staged.resource_id_name_id)
    ) AS named (id)
    LEFT JOIN gristmill_name AS name
        ON name.id = named.id
    WHERE
        named.id IS NOT NULL
        AND name.id IS NULL
    UNION ALL
    SELECT 'generation whose rows are not those that its coverage says', generation.id::text
    FROM gristmill_generation AS generation
    JOIN reporting_common_costusagereportmanifest AS manifest
        ON manifest.id = generation.manifest_id
    WHERE
        -- What a later additive upload has as well is gone from the earlier one.
        NOT manifest.is_additive
        AND (
            SELECT coalesce(sum(coverage.rows), 0)
            FROM gristmill_coverage AS coverage
            WHERE coverage.generation = generation.id
        ) <> (
            (SELECT count(*) FROM reporting_ocpusagelineitem_pod_staging AS s WHERE s.generation = generation.id)
            + (SELECT count(*) FROM reporting_ocpusagelineitem_storage_staging AS s WHERE s.generation = generation.id)
            + (SELECT count(*) FROM reporting_ocpusagelineitem_node_labels_staging AS s WHERE s.generation = generation.id)
            + (SELECT count(*) FROM reporting_ocpusagelineitem_namespace_labels_staging AS s WHERE s.generation = generation.id)
            + (SELECT count(*) FROM reporting_ocpusagelineitem_vm_staging AS s WHERE s.generation = generation.id)
            + (SELECT count(*) FROM reporting_ocpusagelineitem_gpu_staging AS s WHERE s.generation = generation.id)
            + (
                SELECT coalesce(sum(s.rows), 0)
                FROM reporting_ocpusagelineitem_pod_day_staging AS s
                WHERE s.generation = generation.id
            )
            + (
                SELECT coalesce(sum(s.rows), 0)
                FROM reporting_ocpusagelineitem_volume_day_staging AS s
                WHERE s.generation = generation.id
            )
        )
    ORDER BY 1, 2";

/// Everything in an archive but the file that says whose it is, finished or not.
fn tarballs_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = files_below(folder);
    files.retain(|path| path.file_name().is_some_and(|name| name != "owner.json"));
    files
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.expect("an entry").path())
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path],
        })
        .collect()
}
