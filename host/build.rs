//! Embeds the SQL functions of `sql/` and rebuilds when `sql/` or `migrations/` change.
//!
//! A file of `sql/` is a function when its first statement is
//! `CREATE OR REPLACE FUNCTION` or `CREATE OR REPLACE AGGREGATE`; the others are
//! statements that modules include by name. The result is `FUNCTIONS` in `$OUT_DIR/functions.rs`, in file-name
//! order. Migrations are embedded by `sqlx::migrate!`.
//!
//! The source of the SDK is embedded as `SDK` in `$OUT_DIR/sdk.rs`, file name and
//! text, for the projects that `gristmill stage new` makes.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const FUNCTION_OPENINGS: [&str; 2] = [
    "CREATE OR REPLACE FUNCTION ",
    "CREATE OR REPLACE AGGREGATE ",
];

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

    let mut source = String::from("const FUNCTIONS: &[Function] = &[\n");
    for path in &paths {
        let sql = fs::read_to_string(path)?;
        if let Some(name) = function_name(&sql) {
            let file = file_name(path)?;
            writeln!(
                source,
                "    Function {{ name: {name:?}, file: {file:?}, sql: include_str!({path:?}) }},"
            )?;
        }
    }
    source.push_str("];\n");

    let target = PathBuf::from(env::var("OUT_DIR")?).join("functions.rs");
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

/// The name of the function that the file defines, if it defines one.
fn function_name(sql: &str) -> Option<&str> {
    let mut rest = sql.trim_start();
    while rest.starts_with("--") {
        rest = rest.split_once('\n')?.1.trim_start();
    }
    let signature = FUNCTION_OPENINGS
        .iter()
        .find_map(|opening| rest.strip_prefix(opening))?;
    Some(signature.split_once('(')?.0.trim())
}

fn file_name(path: &Path) -> Result<&str, String> {
    path.file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| format!("{} has no readable name", path.display()))
}
