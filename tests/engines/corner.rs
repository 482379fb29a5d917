//! A test's own corner of the servers: a schema of Trino, and a prefix of the bucket or a
//! folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gristmill::diagnostics::secret::SecretPlace;
use gristmill::lake::{Lake, Place};
use gristmill::pipeline::plan::{Credentials, LakeLocation, LakePlan, TrinoPlan};
use gristmill::trino::Trino;
use tokio::runtime::{Handle, Runtime};

use super::Engines;
use crate::support::server::scratch;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// For what opens a lake or a Trino.
pub(crate) fn runtime() -> Handle {
    RUNTIME.handle().clone()
}

/// A schema and a prefix that no other test has.
pub(crate) struct Corner {
    pub(super) name: String,
    pub(crate) lake: LakePlan,
    pub(crate) trino: TrinoPlan,
    /// The folder that has the files, where the servers are ours.
    pub(super) folder: Option<PathBuf>,
}

impl Engines {
    /// In the bucket.
    pub(crate) fn corner(&self) -> Corner {
        self.corner_at("")
    }

    /// In the bucket, below a part of a path of the test's own making.
    pub(crate) fn corner_at(&self, part: &str) -> Corner {
        let name = name();
        let location = format!("s3://{}/{name}{part}", self.bucket.name);
        let objects = self.own.as_ref().map(|own| own.s3.objects());
        Corner {
            lake: LakePlan {
                endpoint: Some(self.bucket.endpoint.clone()),
                keys: Some((
                    secret(&self.bucket.access_key),
                    secret(&self.bucket.secret_key),
                )),
                ..lake(&location, None)
            },
            trino: self.trino_plan(&self.catalog, &name),
            folder: objects.map(|objects| objects.join(format!("{name}{part}"))),
            name,
        }
    }

    /// In a folder that Trino sees as `local:///`. `None` where the servers are not ours.
    pub(crate) fn corner_on_files(&self, part: &str) -> Option<Corner> {
        let files = &self.own.as_ref()?.files;
        let name = format!("{}{part}", name());
        let folder = files.join(&name);
        let location = format!("file://{}", folder.display());
        let schema = name.split(|character: char| !character.is_ascii_alphanumeric());
        let schema = schema.take(3).collect::<Vec<_>>().join("_");
        Some(Corner {
            lake: lake(&location, Some(&format!("local:///{name}"))),
            trino: self.trino_plan("files", &schema.to_lowercase()),
            folder: Some(folder),
            name,
        })
    }

    fn trino_plan(&self, catalog: &str, schema: &str) -> TrinoPlan {
        TrinoPlan {
            url: self.url.clone(),
            user: "gristmill".into(),
            credentials: Credentials::None,
            certificates: None,
            catalog: catalog.into(),
            schema: schema.into(),
            memory_per_node: None,
            time_per_statement: Duration::from_mins(3),
            patience: Duration::from_secs(20),
        }
    }
}

impl Corner {
    /// For a pipeline file. No variable of the environment is needed.
    pub(crate) fn sections(&self) -> String {
        let LakePlan {
            location,
            endpoint,
            keys,
            ..
        } = &self.lake;
        let mut text = format!("[lake]\nlocation = {:?}\n", location.shown);
        if location.in_trino != location.shown {
            text.push_str(&format!("location-in-trino = {:?}\n", location.in_trino));
        }
        if let Some(endpoint) = endpoint {
            text.push_str(&format!("endpoint = {endpoint:?}\n"));
        }
        if let Some((SecretPlace::File(access), SecretPlace::File(secret))) = keys {
            text.push_str(&format!(
                "access-key = {{ file = {access:?} }}\nsecret-key = {{ file = {secret:?} }}\n"
            ));
        }
        let TrinoPlan {
            url,
            catalog,
            schema,
            ..
        } = &self.trino;
        text.push_str(&format!(
            "\n[trino]\nurl = {url:?}\ncatalog = {catalog:?}\nschema = {schema:?}\npatience = \"20 s\"\n"
        ));
        text
    }

    #[track_caller]
    pub(crate) fn open_lake(&self) -> Lake {
        match Lake::open(&self.lake, runtime()) {
            Ok(lake) => lake,
            Err(error) => panic!("{error}"),
        }
    }

    #[track_caller]
    pub(crate) fn open_trino(&self) -> Trino {
        match Trino::open(&self.trino, runtime()) {
            Ok(trino) => trino,
            Err(error) => panic!("{error}"),
        }
    }

    /// A place of some generation's report.
    pub(crate) fn place(&self, report: &str) -> Place {
        Place::new("test-database", "gristmill", report, 7).expect("a place")
    }

    /// The files and tables that are there.
    #[track_caller]
    pub(crate) fn litter(&self) -> Vec<String> {
        let mut found = match self.open_trino().tables() {
            Ok(tables) => tables,
            Err(error) => panic!("{error}"),
        };
        let folder = self.folder.as_ref().expect("servers of ours");
        found.extend(
            files_below(folder)
                .into_iter()
                .map(|path| path.display().to_string()),
        );
        found
    }

    /// The files that are there.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        files_below(self.folder.as_ref().expect("servers of ours"))
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

fn lake(location: &str, in_trino: Option<&str>) -> LakePlan {
    LakePlan {
        location: LakeLocation::parse(location, in_trino)
            .unwrap_or_else(|error| panic!("{}", error.message)),
        endpoint: None,
        region: "us-east-1".into(),
        keys: None,
        keep_days: 0,
        open_files: 4,
        patience: Duration::from_secs(20),
    }
}

/// One that no other test has, in this process or beside it.
fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("corner_{}_{number}", process::id())
}

/// A file that has it.
pub(crate) fn secret(text: &str) -> SecretPlace {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = scratch().join(format!("secret-{number}"));
    fs::write(&path, text).expect("a file");
    SecretPlace::File(path)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files_below(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}
