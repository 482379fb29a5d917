//! Compiled components, kept by digest.
//!
//! A compiled component is machine code, so loading one is the only unsafe step
//! in the tree. It is done only from a directory and a file that belong to us and
//! that nobody else can write; anything else is compiled again.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

/// What stands before the component in its file.
const DIGEST_BYTES: usize = 32;

#[derive(Clone)]
pub(super) struct Cache {
    /// `None` when no directory can be trusted: then every start compiles.
    directory: Option<PathBuf>,
}

impl Cache {
    /// Opens the directory, making it when it is not there.
    pub(super) fn open(directory: Option<&Path>) -> Self {
        let directory = directory.filter(|directory| {
            let made = fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory);
            made.is_ok() && is_ours(directory)
        });
        Self {
            directory: directory.map(Path::to_path_buf),
        }
    }

    /// The component of this digest, if it was compiled before.
    pub(super) fn find(&self, engine: &Engine, digest: &str) -> Option<Component> {
        load(engine, &self.path(engine, digest)?)
    }

    /// The component compiled now, whatever is kept, and how long that took.
    ///
    /// # Errors
    /// The bytes are not a component that this engine can compile.
    pub(super) fn compile(
        &self,
        engine: &Engine,
        bytes: &[u8],
        digest: &str,
    ) -> wasmtime::Result<(Component, Duration)> {
        if let Some(path) = self.path(engine, digest) {
            let started = Instant::now();
            let compiled = engine.precompile_component(bytes)?;
            let took = started.elapsed();
            // A cache that cannot be written costs time at the next start and
            // nothing else.
            let _ = store(&path, &compiled);
            if let Some(component) = load(engine, &path) {
                return Ok((component, took));
            }
        }
        let started = Instant::now();
        let component = Component::new(engine, bytes)?;
        Ok((component, started.elapsed()))
    }

    /// Where a component that this engine compiled is kept.
    fn path(&self, engine: &Engine, digest: &str) -> Option<PathBuf> {
        let directory = self.directory.as_ref()?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Some(directory.join(format!("{digest}-{:016x}.cwasm", hasher.finish())))
    }
}

#[expect(
    unsafe_code,
    reason = "machine code is trusted because only we could have written the file"
)]
fn load(engine: &Engine, path: &Path) -> Option<Component> {
    if !is_ours(path) {
        return None;
    }
    let stored = fs::read(path).ok()?;
    let (digest, compiled) = stored.split_at_checked(DIGEST_BYTES)?;
    if Sha256::digest(compiled).as_slice() != digest {
        return None;
    }
    // SAFETY: the file and its directory belong to this user and nobody else can
    // write to them, so it holds what `store` put there: the output of
    // `precompile_component`, whole, as its digest shows. Another version of
    // wasmtime is refused by `deserialize` itself.
    unsafe { Component::deserialize(engine, compiled) }.ok()
}

/// Writes the digest and the component, private to us, in one step.
fn store(path: &Path, compiled: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(&Sha256::digest(compiled))?;
    file.write_all(compiled)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Belongs to this user, is no link, and nobody else can write to it.
fn is_ours(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| {
        !metadata.file_type().is_symlink()
            && metadata.uid() == rustix::process::geteuid().as_raw()
            && metadata.mode() & 0o022 == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_can_write_is_not_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.cwasm");
        store(&path, b"anything").unwrap();
        assert!(is_ours(&path));
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        assert!(!is_ours(&path));
    }

    #[test]
    fn a_link_is_not_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        store(&target, b"anything").unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(!is_ours(&link));
    }
}
