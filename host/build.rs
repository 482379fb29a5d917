//! Embeds the functions and views of `sql/` and rebuilds when `sql/` or `migrations/` change.
//!
//! A file of `sql/` is one of these when its first statement begins with `CREATE OR
//! REPLACE`; the others are statements that modules include by name. The result is
//! `REPLACEABLES` in `$OUT_DIR/replaceables.rs`, in file-name order. Migrations are
//! embedded by `sqlx::migrate!`.
//!
//! The source of the SDK is embedded as `SDK` in `$OUT_DIR/sdk.rs`, file name and
//! text, for the projects that `gristmill stage new` makes.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const OPENING: &str = "CREATE OR REPLACE ";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../migrations");
    println!("cargo::rerun-if-changed=../sql");

    let manifest_directory = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let sql_directory = fs::canonicalize(manifest_directory.join("../sql"))?;
    let mut paths = fs::read_dir(&sql_directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    paths.sort();

    let mut source = String::from("const REPLACEABLES: &[Replaceable] = &[\n");
    for path in &paths {
        let sql = fs::read_to_string(path)?;
        if let Some((name, is_view)) = replaceable(&sql) {
            let file = file_name(path)?;
            writeln!(
                source,
                "    Replaceable {{ name: {name:?}, is_view: {is_view}, file: {file:?}, sql: include_str!({path:?}) }},"
            )?;
        }
    }
    source.push_str("];\n");

    let target = PathBuf::from(env::var("OUT_DIR")?).join("replaceables.rs");
    fs::write(target, source)?;
    embed_sdk(&manifest_directory)
}

fn embed_sdk(manifest_directory: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../plugins/sdk/src");
    let directory = fs::canonicalize(manifest_directory.join("../plugins/sdk/src"))?;
    let mut paths = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.sort();
    let mut source = String::from("const SDK: &[(&str, &str)] = &[\n");
    for path in &paths {
        let file = file_name(path)?;
        writeln!(source, "    ({file:?}, include_str!({path:?})),")?;
    }
    source.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("sdk.rs"), source)?;
    Ok(())
}

/// The name of the function, aggregate or view that the file defines, if it defines one,
/// and whether it is a view.
fn replaceable(sql: &str) -> Option<(&str, bool)> {
    let mut rest = sql.trim_start();
    while rest.starts_with("--") {
        rest = rest.split_once('\n')?.1.trim_start();
    }
    let (kind, signature) = rest.strip_prefix(OPENING)?.split_once(' ')?;
    let name = signature.split(['(', ' ']).next()?;
    Some((name, kind == "VIEW"))
}

fn file_name(path: &Path) -> Result<&str, String> {
    path.file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| format!("{} has no readable name", path.display()))
}
