//! A Trino on loopback: a coordinator that works too, and one worker.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::catalog::Catalog;
use super::installed::Installed;
use super::process::{Process, command, free_port};
use super::s3::Bucket;
use crate::support::command::file;

/// On two processors that are busy with other tests; half a minute is usual.
const START_MAX: Duration = Duration::from_secs(240);

/// `-XX:TieredStopAtLevel=1`: it is soon compiled, and tests ask little of it.
const JAVA_OPTIONS: [&str; 7] = [
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+EnableDynamicAgentLoading",
    "-Djdk.attach.allowAttachSelf=true",
    "--add-modules=jdk.incubator.vector",
    "-Dfile.encoding=UTF-8",
];

/// As sites have it, but that a lost worker is given up soon, and that no files are kept in
/// memory, which would hide those that are damaged.
const COORDINATOR_SETTINGS: &str = "node-scheduler.include-coordinator=true\n";
const NODE_SETTINGS: &str =
    "exchange.max-error-duration=5s\nquery.remote-task.max-error-duration=5s\n";
const CATALOG_SETTINGS: &str = "iceberg.metadata-cache.enabled=false\n";

/// Running nodes, which end with this value.
pub(crate) struct Trino {
    pub(crate) coordinator: Process,
    pub(crate) worker: Process,
    site: Site,
}

impl Trino {
    /// `files` is the folder that its catalog `files` calls `local:///`; `bucket` is what
    /// its catalog `lake` may read and write.
    pub(super) fn start(
        installed: &Installed,
        folder: &Path,
        bucket: &Bucket,
        files: &Path,
    ) -> Result<Trino, String> {
        let site = Site {
            java: installed.java.clone(),
            program: installed.trino.clone(),
            folder: folder.to_path_buf(),
            bucket: bucket.clone(),
            files: files.to_path_buf(),
            port: free_port(),
            worker_port: free_port(),
            catalog: Catalog::start(folder)?,
        };
        let mut trino = Trino {
            coordinator: site.coordinator()?,
            worker: site.worker()?,
            site,
        };
        trino.wait()?;
        Ok(trino)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.site.port)
    }

    /// Starts the nodes anew that were killed, as an operator does.
    #[track_caller]
    pub(crate) fn revive(&mut self) {
        let revived = self.revived();
        revived.unwrap_or_else(|error| panic!("{error}"));
    }

    fn revived(&mut self) -> Result<(), String> {
        if self.coordinator.has_ended() {
            self.coordinator = self.site.coordinator()?;
        }
        if self.worker.has_ended() {
            self.worker = self.site.worker()?;
        }
        self.wait()
    }

    fn wait(&mut self) -> Result<(), String> {
        let Site {
            port, worker_port, ..
        } = self.site;
        self.coordinator.until(START_MAX, || has_started(port))?;
        self.worker.until(START_MAX, || {
            has_started(worker_port) && knows_a_worker(port)
        })
    }
}

struct Site {
    java: PathBuf,
    program: PathBuf,
    folder: PathBuf,
    bucket: Bucket,
    files: PathBuf,
    port: u16,
    /// The same when it is started anew, so that nobody asks for it elsewhere.
    worker_port: u16,
    catalog: Catalog,
}

impl Site {
    fn coordinator(&self) -> Result<Process, String> {
        self.node("coordinator", "2g")
    }

    fn worker(&self) -> Result<Process, String> {
        self.node("worker", "1g")
    }

    fn node(&self, name: &'static str, heap: &str) -> Result<Process, String> {
        let folder = self.folder.join(name);
        self.configure(name, &folder)
            .map_err(|error| format!("cannot configure Trino: {error}"))?;
        let mut server = command(&self.java);
        server
            .arg(format!("-Xmx{heap}"))
            .args(JAVA_OPTIONS)
            .arg(format!("-Dnode.id={name}"))
            .arg("-Dnode.environment=test")
            .args([
                "-Dnode.internal-address=127.0.0.1",
                "-Dnode.bind-ip=127.0.0.1",
            ])
            .arg(format!("-Dnode.data-dir={}", folder.display()))
            .arg(format!(
                "-Dconfig={}",
                folder.join("etc/config.properties").display()
            ))
            .arg("-cp")
            .arg(self.program.join("lib/*"))
            .arg("io.trino.server.TrinoServer")
            .current_dir(&folder)
            .env("LAKE_CATALOG_URL", self.catalog.jdbc_url())
            .env("LAKE_CATALOG_USER", "trino")
            .env("LAKE_CATALOG_PASSWORD", "nobody-asks-for-it")
            .env(
                "LAKE_WAREHOUSE",
                format!("s3://{}/warehouse", self.bucket.name),
            )
            .env("LAKE_S3_ENDPOINT", &self.bucket.endpoint)
            .env("LAKE_S3_ACCESS_KEY", &self.bucket.access_key)
            .env("LAKE_S3_SECRET_KEY", &self.bucket.secret_key);
        Process::start(name, server, &folder.join("log"))
    }

    fn configure(&self, name: &str, folder: &Path) -> std::io::Result<()> {
        let catalogs = folder.join("etc/catalog");
        fs::create_dir_all(&catalogs)?;
        let coordinator = name == "coordinator";
        let mut config = format!(
            "coordinator={coordinator}\n\
            http-server.http.port={}\n\
            discovery.uri=http://127.0.0.1:{}\n\
            query.max-memory-per-node={}\n\
            plugin.dir={}\n\
            catalog.config-dir={}\n",
            if coordinator {
                self.port
            } else {
                self.worker_port
            },
            self.port,
            if coordinator { "700MB" } else { "300MB" },
            self.program.join("plugin").display(),
            catalogs.display(),
        );
        config.push_str(NODE_SETTINGS);
        if coordinator {
            config.push_str(COORDINATOR_SETTINGS);
        }
        fs::write(folder.join("etc/config.properties"), config)?;
        // The file that the book shows, as it stands.
        let mut lake = fs::read_to_string(file("docs/trino/lake.properties"))?;
        lake.push_str(CATALOG_SETTINGS);
        fs::write(catalogs.join("lake.properties"), &lake)?;
        fs::write(catalogs.join("files.properties"), self.on_files(&lake))
    }

    /// The same, of a folder.
    fn on_files(&self, lake: &str) -> String {
        let kept = lake.lines().filter(|line| {
            !["fs.", "s3.", "#"]
                .iter()
                .any(|begin| line.starts_with(begin))
        });
        let lines: Vec<String> = kept
            .map(|line| match line.split_once("catalog-name=") {
                Some((key, _)) => format!("{key}catalog-name=files"),
                None => line.replace("${ENV:LAKE_WAREHOUSE}", "local:///warehouse"),
            })
            .collect();
        format!(
            "{}\nfs.native-local.enabled=true\nlocal.location={}\n",
            lines.join("\n"),
            self.files.display()
        )
    }
}

/// What a Trino that has no passwords answers.
fn ask(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Trino-User: test\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn has_started(port: u16) -> bool {
    ask(port, "/v1/info").is_some_and(|said| said.contains("\"starting\":false"))
}

/// Whether a worker answers the coordinator, which does not list itself.
fn knows_a_worker(port: u16) -> bool {
    ask(port, "/v1/node").is_some_and(|said| said.contains("\"uri\""))
}

/// Where the files of nodes go.
pub(super) fn folder(below: &Path, number: u32) -> std::io::Result<PathBuf> {
    let folder = below.join(format!("engines-{number}"));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
