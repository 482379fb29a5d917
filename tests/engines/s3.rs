//! An S3 server on loopback, whose buckets are folders.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::installed::Installed;
use super::process::{Process, command, free_port};

const START_MAX: Duration = Duration::from_secs(30);

/// Where an S3 server is, and who may use it.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) endpoint: String,
    pub(crate) name: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

impl Bucket {
    /// `http://KEY:SECRET@host:port/bucket`.
    pub(super) fn parse(url: &str) -> Option<Bucket> {
        let (scheme, rest) = url.split_once("://")?;
        let (keys, rest) = rest.rsplit_once('@')?;
        let (access_key, secret_key) = keys.split_once(':')?;
        let (address, name) = rest.split_once('/')?;
        Some(Bucket {
            endpoint: format!("{scheme}://{address}"),
            name: name.to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
        })
    }
}

/// A server of ours.
pub(crate) struct S3 {
    process: Process,
    folder: PathBuf,
    program: PathBuf,
    pub(crate) bucket: Bucket,
}

impl S3 {
    pub(super) fn start(installed: &Installed, folder: &Path) -> Result<S3, String> {
        let folder = folder.join("s3");
        let bucket = Bucket {
            endpoint: format!("http://127.0.0.1:{}", free_port()),
            name: "usage".to_owned(),
            access_key: "test-access".to_owned(),
            secret_key: "test-5ecret+/of=S3".to_owned(),
        };
        fs::create_dir_all(folder.join("buckets").join(&bucket.name))
            .map_err(|error| error.to_string())?;
        Ok(S3 {
            process: run(&installed.versitygw, &folder, &bucket)?,
            folder,
            program: installed.versitygw.clone(),
            bucket,
        })
    }

    /// The folder whose files are the objects of the bucket.
    pub(crate) fn objects(&self) -> PathBuf {
        self.folder.join("buckets").join(&self.bucket.name)
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it anew where it was, with what it had.
    pub(crate) fn revive(&mut self) {
        self.process.kill();
        self.process = run(&self.program, &self.folder, &self.bucket)
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

fn run(program: &Path, folder: &Path, bucket: &Bucket) -> Result<Process, String> {
    let address = bucket.endpoint.trim_start_matches("http://").to_owned();
    let mut server = command(program);
    server
        .env("ROOT_ACCESS_KEY", &bucket.access_key)
        .env("ROOT_SECRET_KEY", &bucket.secret_key)
        .args([
            "--port",
            &address,
            "--region",
            "us-east-1",
            "posix",
            "--nometa",
        ])
        .arg(folder.join("buckets"));
    let mut process = Process::start("versitygw", server, &folder.join("log"))?;
    process.until(START_MAX, || TcpStream::connect(&address).is_ok())?;
    Ok(process)
}
