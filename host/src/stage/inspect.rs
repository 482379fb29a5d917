//! Looks into a component, also one that may not run: lists each import with a verdict,
//! and the reason of a refusal.

use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::compiler::CompileRefusal;
use super::component::{self, Component, ComponentRefusal};
use super::engine::Engine;
use super::limits::LoadLimits;
use super::{CONTRACT_VERSION, World, wasi};

/// The findings about a file that is, or should be, a stage.
#[derive(Debug)]
pub struct Inspection {
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub digest: String,
    /// Now, or when it was compiled; `None` when it does not compile.
    pub compile_time: Option<Duration>,
    /// Whether the cache had it.
    pub cached: bool,
    /// Whether it is a component at all.
    pub is_component: bool,
    pub world: Option<World>,
    /// The version of the contract that it was built for.
    pub version: Option<String>,
    pub imports: Vec<Import>,
    /// The component, or why it may not run.
    pub component: Result<Component, ComponentRefusal>,
}

/// Something that a component wants of its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// As the component names it.
    pub name: String,
    pub verdict: Verdict,
}

/// The verdict on an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs to the contract.
    Contract,
    /// It belongs to the contract in a version that this host does not speak.
    OtherVersion,
    /// It is there and holds nothing.
    Inert,
    /// It is not there: a call of it ends the stage.
    Absent,
    /// A component that wants it does not run.
    Refused,
}

impl Engine {
    /// Looks at a component, and compiles it when the cache does not have it. Whatever it
    /// is, that is no error.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn inspect(&self, path: &Path) -> Result<Inspection, ComponentRefusal> {
        self.inspect_within(path, LoadLimits::default())
    }

    fn inspect_within(
        &self,
        path: &Path,
        limits: LoadLimits,
    ) -> Result<Inspection, ComponentRefusal> {
        let bytes = component::read(path).map_err(|refusal| ComponentRefusal {
            path: path.to_path_buf(),
            ..refusal
        })?;
        let mut inspection = Inspection {
            bytes: bytes.len() as u64,
            digest: hex::encode(Sha256::digest(&bytes)),
            compile_time: None,
            cached: false,
            is_component: false,
            world: None,
            version: None,
            imports: Vec::new(),
            component: Err(component::not_webassembly(path, &bytes)),
        };
        if inspection.bytes > limits.component_bytes {
            let too_large = component::too_large(path, inspection.bytes, limits.component_bytes);
            inspection.component = Err(too_large);
            inspection.is_component = bytes.starts_with(b"\0asm");
            return Ok(inspection);
        }
        if !bytes.starts_with(b"\0asm") {
            return Ok(inspection);
        }
        let found = self.cache.find(&self.engine, &inspection.digest);
        inspection.cached = found.is_some();
        let compiled = match found {
            Some(found) => Ok(found),
            None => self.compile_within(bytes, &inspection.digest, limits),
        };
        let (compiled, compile_time) = match compiled {
            Ok(compiled) => compiled,
            Err(why) => {
                // What takes too long may be one.
                inspection.is_component = !matches!(why, CompileRefusal::Refused(_));
                inspection.component = Err(component::not_compiled(path, limits, &why));
                return Ok(inspection);
            }
        };
        inspection.is_component = true;
        inspection.compile_time = Some(compile_time);
        let component_type = compiled.component_type();
        inspection.imports = component_type
            .imports(&self.engine)
            .map(|(name, _)| Import::judged(name))
            .collect();
        if let Some((world, version)) = component_type
            .exports(&self.engine)
            .find_map(|(name, _)| exported(name))
        {
            inspection.world = Some(world);
            inspection.version = Some(version.to_string());
        }
        let digest = inspection.digest.clone();
        inspection.component = self.admit(path, inspection.bytes, digest, &compiled);
        Ok(inspection)
    }
}

impl Import {
    pub(super) fn judged(name: &str) -> Self {
        let ours = name
            .strip_prefix("gristmill:stage/")
            .and_then(|ours| ours.split_once('@'));
        let verdict = match ours {
            Some(("log" | "types", CONTRACT_VERSION)) => Verdict::Contract,
            Some(("log" | "types", _)) => Verdict::OtherVersion,
            _ if wasi::is_inert(name) => Verdict::Inert,
            _ if wasi::is_absent(name) => Verdict::Absent,
            _ => Verdict::Refused,
        };
        Self {
            name: name.to_string(),
            verdict,
        }
    }
}

/// The world and the version that an export belongs to.
pub(super) fn exported(export: &str) -> Option<(World, &str)> {
    let worlds = [World::Parser, World::Transform];
    worlds.into_iter().find_map(|world| {
        let version = export.strip_prefix(&format!("gristmill:stage/{world}@"))?;
        Some((world, version))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_that_takes_too_long_or_is_too_large_is_known_as_that() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.wasm");
        std::fs::write(&path, wat::parse_str("(component)").unwrap()).unwrap();
        let engine = Engine::new(None).unwrap();
        let refused = |limits: LoadLimits| {
            let inspection = engine.inspect_within(&path, limits).unwrap();
            let words = inspection.component.unwrap_err().message;
            words.replace(&path.display().to_string(), "x.wasm")
        };
        assert_eq!(
            refused(LoadLimits {
                compile_time: Duration::ZERO,
                ..LoadLimits::default()
            }),
            "component `x.wasm` took longer than 0ns to compile (`compile-time`)"
        );
        assert_eq!(
            refused(LoadLimits {
                component_bytes: 7,
                ..LoadLimits::default()
            }),
            "component `x.wasm` has 8 bytes, more than 7 (`component-size`)"
        );
    }

    #[test]
    fn every_import_gets_a_verdict() {
        for (name, verdict) in [
            ("gristmill:stage/log@0.1.0", Verdict::Contract),
            ("gristmill:stage/log@0.9.0", Verdict::OtherVersion),
            ("wasi:cli/environment@0.2.6", Verdict::Inert),
            ("wasi:sockets/tcp@0.2.6", Verdict::Absent),
            ("wasi:http/types@0.2.6", Verdict::Refused),
            ("gristmill:stage/database@0.1.0", Verdict::Refused),
            ("acme:database/query", Verdict::Refused),
        ] {
            assert_eq!(Import::judged(name).verdict, verdict, "{name}");
        }
    }

    #[test]
    fn an_export_tells_world_and_version() {
        assert_eq!(
            exported("gristmill:stage/transform@0.9.0"),
            Some((World::Transform, "0.9.0"))
        );
        assert_eq!(exported("memory"), None);
    }
}
