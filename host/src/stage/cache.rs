//! Compiled components, kept by digest.
//!
//! A compiled component is machine code, so loading one is the only unsafe step
//! in the tree. It is done with what this program compiled a moment ago, and with a
//! file of the cache: one that belongs to us, in a directory of ours, neither of which
//! anybody else can write, and that says itself whose it is. Its header names the
//! component, the settings of the engine and the machine code that follows; all of
//! them are compared before anything is loaded. Whatever differs is compiled again
//! and replaced.

use std::fs::{self, File, Metadata, OpenOptions};
use std::hash::{Hash as _, Hasher};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

/// A file of the cache begins with this; the last digit is the version of the header.
const MAGIC: &[u8] = b"gristmill component 2\n";

/// SHA-256.
const DIGEST_BYTES: usize = 32;

/// The time that compiling took, in microseconds, in front of the machine code.
const TIME_BYTES: usize = 8;

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
            made.is_ok()
                && fs::symlink_metadata(directory)
                    .is_ok_and(|metadata| metadata.is_dir() && is_ours(&metadata))
        });
        Self {
            directory: directory.map(Path::to_path_buf),
        }
    }

    /// The component of this digest, if it was compiled before, and how long that took.
    pub(super) fn find(&self, engine: &Engine, digest: &str) -> Option<(Component, Duration)> {
        let settings = settings_of(engine);
        let stored = read(&self.path(&settings, digest)?)?;
        let (time, code) = behind_header(&stored, digest, &settings)?.split_first_chunk()?;
        let time = Duration::from_micros(u64::from_le_bytes(*time));
        Some((load(engine, code).ok()?, time))
    }

    /// Keeps what the engine compiled of the component of this digest, in place of
    /// what was there.
    pub(super) fn keep(&self, engine: &Engine, digest: &str, code: &[u8], time: Duration) {
        let settings = settings_of(engine);
        if let Some(path) = self.path(&settings, digest) {
            let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            let time: [u8; TIME_BYTES] = time.to_le_bytes();
            let compiled = [&time, code].concat();
            // A cache that cannot be written costs time at the next start and
            // nothing else.
            let _ = store(&path, &header(digest, &settings, &compiled), &compiled);
        }
    }

    /// Where a component that this engine compiled is kept.
    fn path(&self, settings: &[u8; DIGEST_BYTES], digest: &str) -> Option<PathBuf> {
        let directory = self.directory.as_ref()?;
        let engine = hex::encode(&settings[..8]);
        Some(directory.join(format!("{digest}-{engine}.cwasm")))
    }
}

/// Machine code that this program has compiled, as a component.
///
/// # Errors
/// It is of another engine.
#[expect(
    unsafe_code,
    reason = "machine code is trusted because only we could have made it"
)]
pub(super) fn load(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: it is the output of `precompile_component`, whole. Either this process,
    // or its own program in a child process, has just made it; or it stood in a file
    // that belongs to this user, that nobody else can write to, and whose header has
    // the digest of these very bytes (`behind_header`). Another version of wasmtime is
    // refused by `deserialize` itself.
    unsafe { Component::deserialize(engine, compiled) }
}

/// All that decides what the engine makes of a component: the machine that it is for,
/// wasmtime's version, and its settings.
fn settings_of(engine: &Engine) -> [u8; DIGEST_BYTES] {
    /// `Hash` gives 64 bits by itself, which somebody could make collide.
    struct Settings(Sha256);
    impl Hasher for Settings {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            let digest = self.0.clone().finalize();
            digest
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        }
    }
    let mut settings = Settings(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut settings);
    settings.0.finalize().into()
}

/// Whose what follows is: of which component, by which engine, and which bytes.
fn header(digest: &str, settings: &[u8; DIGEST_BYTES], compiled: &[u8]) -> Vec<u8> {
    let component = Sha256::digest(digest.as_bytes());
    let code = Sha256::digest(compiled);
    [MAGIC, &component, settings, &code].concat()
}

/// The bytes behind the header, when the header is right.
fn behind_header<'s>(
    stored: &'s [u8],
    digest: &str,
    settings: &[u8; DIGEST_BYTES],
) -> Option<&'s [u8]> {
    let (found, compiled) = stored.split_at_checked(MAGIC.len() + 3 * DIGEST_BYTES)?;
    (found == header(digest, settings, compiled)).then_some(compiled)
}

/// A file of ours. It is the opened file that is looked at, so that no other can take
/// its place in between.
fn read(path: &Path) -> Option<Vec<u8>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut file: File = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || !is_ours(&metadata) {
        return None;
    }
    let mut stored = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
    file.read_to_end(&mut stored).ok()?;
    Some(stored)
}

/// Writes a file, private to us, in one step.
fn store(path: &Path, header: &[u8], compiled: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(header)?;
    file.write_all(compiled)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Belongs to this user, and nobody else can write to it.
fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Scene {
        folder: tempfile::TempDir,
        engine: Engine,
        cache: Cache,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self {
                cache: Cache::open(Some(folder.path())),
                engine: Engine::default(),
                folder,
            }
        }

        /// A component with this export, compiled and kept: its digest.
        fn keep(&self, export: &str) -> String {
            let text = format!(r#"(component (instance $i) (export "{export}" (instance $i)))"#);
            let bytes = wat::parse_str(text).unwrap();
            let digest = hex::encode(Sha256::digest(&bytes));
            let compiled = self.engine.precompile_component(&bytes).unwrap();
            let time = Duration::from_millis(7);
            self.cache.keep(&self.engine, &digest, &compiled, time);
            digest
        }

        fn path(&self, digest: &str) -> PathBuf {
            let settings = settings_of(&self.engine);
            self.cache.path(&settings, digest).unwrap()
        }

        /// The export of what is found by this digest.
        fn found(&self, digest: &str) -> Option<String> {
            let (found, time) = self.cache.find(&self.engine, digest)?;
            assert_eq!(time, Duration::from_millis(7));
            let component_type = found.component_type();
            let (name, _) = component_type.exports(&self.engine).next()?;
            Some(name.to_string())
        }
    }

    #[test]
    fn a_file_of_another_component_is_not_loaded() {
        let scene = Scene::new();
        let (one, other) = (scene.keep("a:b/one"), scene.keep("a:b/other"));
        assert_eq!(scene.found(&one).as_deref(), Some("a:b/one"));
        fs::copy(scene.path(&other), scene.path(&one)).unwrap();
        assert_eq!(scene.found(&one), None);
        // It is compiled again, and replaced.
        scene.keep("a:b/one");
        assert_eq!(scene.found(&one).as_deref(), Some("a:b/one"));
    }

    #[test]
    fn a_file_of_another_engine_is_not_loaded() {
        let scene = Scene::new();
        let digest = scene.keep("a:b/one");
        let mut settings = wasmtime::Config::new();
        settings.consume_fuel(true);
        let metered = Engine::new(&settings).unwrap();
        assert_ne!(settings_of(&metered), settings_of(&scene.engine));
        let theirs = scene.cache.path(&settings_of(&metered), &digest).unwrap();
        fs::copy(scene.path(&digest), theirs).unwrap();
        assert!(scene.cache.find(&metered, &digest).is_none());
    }

    #[test]
    fn a_file_that_is_cut_or_changed_anywhere_is_not_loaded() {
        let scene = Scene::new();
        let digest = scene.keep("a:b/one");
        let path = scene.path(&digest);
        let whole = fs::read(&path).unwrap();
        let header = MAGIC.len() + 3 * DIGEST_BYTES;
        for end in [0, MAGIC.len(), header - 1, header, whole.len() - 1] {
            fs::write(&path, &whole[..end]).unwrap();
            assert_eq!(scene.found(&digest), None, "cut at {end}");
        }
        for at in [
            0,
            MAGIC.len(),
            header - DIGEST_BYTES,
            header,
            whole.len() - 1,
        ] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert_eq!(scene.found(&digest), None, "changed at {at}");
        }
        fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
        assert_eq!(scene.found(&digest), None, "longer");
        fs::write(&path, &whole).unwrap();
        assert!(scene.found(&digest).is_some());
    }

    #[test]
    fn a_file_that_others_can_write_or_put_there_is_not_loaded() {
        let scene = Scene::new();
        let digest = scene.keep("a:b/one");
        let path = scene.path(&digest);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        assert_eq!(scene.found(&digest), None);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert!(scene.found(&digest).is_some());
        let target = scene.folder.path().join("target");
        fs::rename(&path, &target).unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert_eq!(scene.found(&digest), None);
    }
}
