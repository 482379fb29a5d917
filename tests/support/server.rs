//! Databases for the end-to-end tests: a fresh, migrated one for each test.
//!
//! All tests of a process share one Postgres server, started on first use by the
//! code that the product itself uses, in memory where there is room, without
//! safety against crashes. It ends with the process, however that ends. With
//! `GRISTMILL_TEST_DATABASE_URL` the databases are made on that server instead;
//! its role must be allowed to create databases. Without any server, tests fail.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock};

use gristmill::database::{self, Database, SchemaAccess, Target};
use gristmill::pipeline::plan::LOCK_WAIT;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions, PgConnection, Row, ValueRef};
use tokio::runtime::Runtime;

/// The connections that the databases of a test run need at the most, with room to spare.
const MEMORY_BYTES_MIN: u64 = 2 << 30;

/// Names of our databases start so; the process id follows.
const PREFIX: &str = "gristmill_test_";

/// Waits until its input closes, which it does when the test process is gone,
/// then takes the server down and its files away.
const WATCHDOG: &str = r#"
    cat > /dev/null
    server=$(head -n 1 "$1/postgres/data/postmaster.pid" 2> /dev/null)
    if [ -n "$server" ]; then
        kill -QUIT "$server" 2> /dev/null
        tries=0
        while [ "$tries" -lt 100 ] && kill -0 "$server" 2> /dev/null; do
            sleep 0.05
            tries=$((tries + 1))
        done
    fi
    rm -rf "$1"
"#;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("a runtime for the tests' own queries"));

/// A database of one test, dropped with this value.
pub(crate) struct TestDatabase {
    /// Its name on the server that all tests share, if it is there.
    name: Option<String>,
    url: String,
}

impl TestDatabase {
    /// A database whose schema `gristmill` is migrated and otherwise empty.
    pub(crate) fn migrated() -> TestDatabase {
        let server = Server::shared();
        server.create(&format!(
            "TEMPLATE {} STRATEGY FILE_COPY",
            server.template()
        ))
    }

    /// A database without anything in it.
    pub(crate) fn empty() -> TestDatabase {
        Server::shared().create("")
    }

    /// A database that keeps text in another encoding.
    pub(crate) fn encoded(encoding: &str) -> TestDatabase {
        Server::shared().create(&format!(
            "TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        ))
    }

    /// The database of a server of the test's own.
    pub(crate) fn elsewhere(url: &str) -> TestDatabase {
        TestDatabase {
            name: None,
            url: url.to_string(),
        }
    }

    /// A database with the same in it; nobody may be at work on this one.
    #[track_caller]
    pub(crate) fn copy(&self) -> TestDatabase {
        let name = self.name_on_shared();
        let options = format!("TEMPLATE {name} STRATEGY FILE_COPY");
        Server::shared().create(&options)
    }

    /// Its name on the server that all tests share.
    #[track_caller]
    pub(crate) fn name(&self) -> &str {
        self.name_on_shared()
    }

    /// Runs a statement on that server from outside of the database, which it calls
    /// `{name}`.
    #[track_caller]
    pub(crate) fn administer(&self, sql: &str) {
        let sql = sql.replace("{name}", self.name_on_shared());
        if let Err(error) = Server::shared().execute(&sql) {
            panic!("{error}");
        }
    }

    #[track_caller]
    fn name_on_shared(&self) -> &str {
        let name = self.name.as_deref();
        name.expect("a database of the shared server")
    }

    /// The URL for `--database-url`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The database as the program opens it, for as long as the work takes.
    #[track_caller]
    pub(crate) fn opened<T>(&self, work: impl FnOnce(&Database) -> T) -> T {
        let target = Target {
            url: Some(self.url().into()),
            schema: "gristmill".parse().expect("a name"),
            data_directory: self.data(),
            lock_wait: LOCK_WAIT,
            access: SchemaAccess::Change,
        };
        let opened = RUNTIME
            .block_on(Database::open(&target, 1))
            .unwrap_or_else(|error| panic!("{error}"));
        let done = work(&opened);
        RUNTIME.block_on(opened.pool().close());
        done
    }

    /// A data folder of its own, unless a test has another one: an archive belongs to
    /// one database.
    pub(crate) fn data(&self) -> PathBuf {
        let name = self.name.as_deref().unwrap_or(&self.url);
        scratch().join(format!("data-{}", name.replace('/', "-")))
    }

    /// A session that stays, for what lasts as long as one.
    #[track_caller]
    pub(crate) fn session(&self) -> Session {
        let connection = RUNTIME.block_on(connect(&self.url));
        Session(Mutex::new(connection.expect("a connection")))
    }

    /// Runs statements, which may be several.
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        self.query_rows(sql);
    }

    /// The rows of a query, every value as the text that psql would show. Names
    /// are looked up in schema `gristmill`.
    #[track_caller]
    pub(crate) fn query_rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        match RUNTIME.block_on(query_rows(&self.url, sql)) {
            Ok(rows) => rows,
            Err(error) => panic!("{error}\nin this SQL:\n{sql}"),
        }
    }

    /// The only value of a query's only row.
    #[track_caller]
    pub(crate) fn query_value(&self, sql: &str) -> Option<String> {
        let rows = self.query_rows(sql);
        match &rows[..] {
            [row] if row.len() == 1 => row[0].clone(),
            _ => panic!("expected one value and got {rows:?}\nfrom this SQL:\n{sql}"),
        }
    }

    /// Ends every session and lets none begin, as a server that went away.
    #[track_caller]
    pub(crate) fn close(&self) {
        let name = self.name_on_shared();
        Server::shared()
            .execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            .and_then(|()| {
                Server::shared().execute(&format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
                ))
            })
            .expect("the database closes");
    }

    /// Lets sessions begin again.
    #[track_caller]
    pub(crate) fn reopen(&self) {
        let name = self.name_on_shared();
        Server::shared()
            .execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
            .expect("the database opens");
    }

    /// A digest of each table's rows, but for the records of runs, and who its archive
    /// belongs to: a copy of a database finds that out when it archives something.
    #[track_caller]
    pub(crate) fn digests(&self) -> Vec<Vec<Option<String>>> {
        self.digests_of(
            "relname NOT IN ('gristmill_run', 'gristmill_run_stage', 'gristmill_archive_owner')",
        )
    }

    /// A digest of what consumers read, and of the ledger of days.
    #[track_caller]
    pub(crate) fn digests_of_summaries(&self) -> Vec<Vec<Option<String>>> {
        self.digests_of(
            "relname IN ('gristmill_day', 'reporting_ocpusagelineitem_daily_summary')
            OR relname LIKE 'reporting\\_ocp\\_%'",
        )
    }

    /// A digest of what an ingest leaves.
    #[track_caller]
    pub(crate) fn digests_of_staged(&self) -> Vec<Vec<Option<String>>> {
        self.digests_of(
            "relname IN ('gristmill_label_set', 'gristmill_name')
            OR relname LIKE 'reporting\\_%\\_staging'",
        )
    }

    /// A digest of all that a payload may leave only when it is published.
    #[track_caller]
    pub(crate) fn digests_of_published(&self) -> Vec<Vec<Option<String>>> {
        self.digests_of(
            "relname IN (
                'gristmill_coverage',
                'gristmill_day',
                'gristmill_generation',
                'reporting_ocpusagelineitem_daily_summary'
            )
            OR relname LIKE 'reporting\\_ocp\\_%'
            OR relname LIKE 'reporting\\_%\\_staging'",
        )
    }

    /// A digest of each table's rows, of those for whose `relname` the condition is true.
    #[track_caller]
    pub(crate) fn digests_of(&self, tables: &str) -> Vec<Vec<Option<String>>> {
        let names = self.query_rows(&format!(
            "SELECT relname
            FROM pg_class
            WHERE
                relnamespace = 'gristmill'::regnamespace
                AND relkind IN ('r', 'p')
                AND NOT relispartition
                AND ({tables})
            ORDER BY relname"
        ));
        let digests: Vec<String> = names
            .into_iter()
            .flatten()
            .flatten()
            .map(|name| {
                format!(
                    "SELECT
                        '{name}',
                        count(*),
                        md5(string_agg(contents::text, E'\\n' ORDER BY contents::text))
                    FROM {name} AS contents"
                )
            })
            .collect();
        assert!(!digests.is_empty(), "there are no such tables");
        // The server may come to the tables side by side.
        self.query_rows(&format!("{} ORDER BY 1", digests.join(" UNION ALL ")))
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(name) = &self.name else {
            return;
        };
        // A test that fails has said so already; its database goes with the server.
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        let _ = RUNTIME.block_on(query_rows(&Server::shared().url, &drop));
    }
}

/// A connection that is kept.
pub(crate) struct Session(Mutex<PgConnection>);

impl Session {
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        let mut connection = self.0.lock().expect("a session of one test");
        let statement = sqlx::raw_sql(sql);
        RUNTIME
            .block_on(statement.execute(&mut *connection))
            .unwrap_or_else(|error| panic!("{error}\nin this SQL:\n{sql}"));
    }
}

/// The server of this process.
struct Server {
    /// A database to create others from.
    url: String,
}

impl Server {
    fn shared() -> &'static Server {
        static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
        match SERVER.get_or_init(Server::start) {
            Ok(server) => server,
            Err(reason) => panic!("the end-to-end tests need a Postgres server\n{reason}"),
        }
    }

    fn start() -> Result<Server, String> {
        let server = match env::var("GRISTMILL_TEST_DATABASE_URL") {
            Ok(url) => {
                let server = Server { url };
                server.drop_leftovers()?;
                server
            }
            Err(_) => Server {
                url: start_throwaway()?,
            },
        };
        server.create_template()?;
        Ok(server)
    }

    fn template(&self) -> String {
        format!("{PREFIX}{}_template", process::id())
    }

    fn create_template(&self) -> Result<(), String> {
        let template = self.template();
        self.execute(&format!("CREATE DATABASE {template}"))?;
        let migrated = Command::new(env!("CARGO_BIN_EXE_gristmill"))
            .args(["db", "migrate", "--database-url"])
            .arg(with_database(&self.url, &template))
            .env_remove("DATABASE_URL")
            .output()
            .map_err(|error| format!("could not run gristmill: {error}"))?;
        if !migrated.status.success() {
            let words = String::from_utf8_lossy(&migrated.stderr);
            return Err(format!("`gristmill db migrate` failed:\n{words}"));
        }
        // Postgres copies a database only while nobody is connected to it.
        self.execute(&format!(
            "ALTER DATABASE {template} ALLOW_CONNECTIONS false"
        ))
    }

    #[track_caller]
    fn create(&self, options: &str) -> TestDatabase {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}_{number}", process::id());
        if let Err(error) = self.execute(&format!("CREATE DATABASE {name} {options}")) {
            panic!("{error}");
        }
        TestDatabase {
            url: with_database(&self.url, &name),
            name: Some(name),
        }
    }

    /// Drops what killed test processes of this machine left on a server that stays.
    fn drop_leftovers(&self) -> Result<(), String> {
        let list = format!("SELECT datname FROM pg_database WHERE datname LIKE '{PREFIX}%'");
        let names = RUNTIME
            .block_on(query_rows(&self.url, &list))
            .map_err(|error| format!("GRISTMILL_TEST_DATABASE_URL: {error}"))?;
        for name in names.iter().flatten().flatten() {
            let process = name[PREFIX.len()..].split('_').next().unwrap_or_default();
            if !Path::new("/proc").join(process).exists() {
                self.execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
            }
        }
        Ok(())
    }

    fn execute(&self, sql: &str) -> Result<(), String> {
        RUNTIME
            .block_on(query_rows(&self.url, sql))
            .map(drop)
            .map_err(|error| format!("{error}: {sql}"))
    }
}

/// A folder of this test process, which goes when it ends, however that ends.
pub(crate) fn scratch() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = fast_directory().join(format!("gristmill-test-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder for this process");
        // The server, which may run as another user, lives in it.
        let passable = fs::Permissions::from_mode(0o711);
        fs::set_permissions(&folder, passable).expect("our folder");
        watch(&folder).expect("a watchdog");
        folder
    })
}

fn start_throwaway() -> Result<String, String> {
    match database::start_throwaway(scratch()) {
        Ok(server) => Ok(server.url()),
        Err(error) => {
            let hint = error.hint().unwrap_or_default();
            Err(format!("{error}\n\nhint: {hint}"))
        }
    }
}

/// A folder for the files of servers: in memory if there is room, where syncing
/// them costs nothing.
pub(crate) fn fast_directory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let free_bytes = rustix::fs::statvfs(&memory).map_or(0, |room| room.f_bavail * room.f_frsize);
    if free_bytes >= MEMORY_BYTES_MIN {
        memory
    } else {
        env::temp_dir()
    }
}

/// Starts the watchdog. Its input is a pipe whose other end only we hold, so it
/// closes with us. It is in a process group of its own, so that Ctrl-C on
/// the tests does not reach it before it has cleaned up.
fn watch(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::process::CommandExt;

    let watchdog = Command::new("/bin/sh")
        .args(["-c", WATCHDOG, "watchdog"])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    // Never dropped, so the pipe stays open as long as this process lives.
    std::mem::forget(watchdog);
    Ok(())
}

async fn query_rows(url: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, sqlx::Error> {
    let mut connection = connect(url).await?;
    // The simple protocol gives every value as text.
    let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await?;
    rows.iter().map(texts).collect()
}

fn texts(row: &PgRow) -> Result<Vec<Option<String>>, sqlx::Error> {
    (0..row.len())
        .map(|index| {
            let value = row.try_get_raw(index)?;
            if value.is_null() {
                return Ok(None);
            }
            let text = value.as_str().map_err(sqlx::Error::Decode)?;
            Ok(Some(text.to_owned()))
        })
        .collect()
}

async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    let options: PgConnectOptions = url.parse()?;
    options
        .options([("search_path", "gristmill,public")])
        .connect()
        .await
}

/// The same server's other database.
fn with_database(url: &str, name: &str) -> String {
    let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
    let authority = address
        .find("://")
        .and_then(|scheme| Some(scheme + 3 + address[scheme + 3..].find('/')?))
        .map_or(address, |slash| &address[..slash]);
    format!("{authority}/{name}?{parameters}")
}
