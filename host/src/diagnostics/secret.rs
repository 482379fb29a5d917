//! Secrets: passwords, tokens and keys. A definition names where one is, an environment
//! variable or a file, and never has it itself.
//!
//! A secret does not show itself, so that no message, log or record can have it by mistake.

use std::env;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use crate::diagnostics::failure::{Failure, Result};

/// More than any password or token has; a larger file is none.
const BYTES_MAX: u64 = 64 << 10;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// The value of an environment variable.
    Variable(String),
    /// The contents of a file, without the line end behind it.
    File(PathBuf),
}

/// A secret. Whoever sends it asks for it by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl SecretPlace {
    /// # Errors
    /// It is not there, or empty, or no text.
    pub fn read(&self, what: &str) -> Result<Secret> {
        let read = match self {
            Self::Variable(name) => match env::var(name) {
                Ok(value) => value,
                Err(env::VarError::NotPresent) => {
                    return Err(Failure::environment(format!(
                        "{what} is to be in the environment variable `{name}`, which is not set"
                    )));
                }
                Err(env::VarError::NotUnicode(_)) => {
                    return Err(Failure::environment(format!(
                        "the environment variable `{name}` is no text"
                    )));
                }
            },
            Self::File(path) => {
                let shown = path.display();
                let cannot = || Failure::environment(format!("cannot read {what} from `{shown}`"));
                let bytes = fs::metadata(path).map_err(|error| cannot().because(error))?;
                if bytes.len() > BYTES_MAX {
                    return Err(Failure::environment(format!(
                        "`{shown}` is too large to be {what}"
                    )));
                }
                // What cannot be read is not repeated: the library's error has no contents.
                fs::read_to_string(path).map_err(|error| cannot().because(error))?
            }
        };
        let secret = read.trim_end_matches(['\r', '\n']);
        if secret.is_empty() || secret.contains(|character: char| character.is_control()) {
            return Err(Failure::environment(format!(
                "{what} from {self} is empty, or has a control character"
            )));
        }
        Ok(Secret(secret.to_owned()))
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(formatter, "the environment variable `{name}`"),
            Self::File(path) => write!(formatter, "`{}`", path.display()),
        }
    }
}

impl Secret {
    /// The secret itself, for whoever sends it where it belongs.
    pub fn exposed(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_and_does_not_show_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "hush hush\n").unwrap();
        let place = SecretPlace::File(path.clone());
        let secret = place.read("the password").unwrap();
        assert_eq!(secret.exposed(), "hush hush");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        for wrong in ["", "\n", "two\nlines", "nul\0"] {
            fs::write(&path, wrong).unwrap();
            let refusal = place.read("the password").unwrap_err().to_string();
            assert!(refusal.contains("is empty, or has"), "{refusal}");
            assert!(!refusal.contains("lines"), "{refusal}");
        }
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(place.read("the password").is_err());
        let missing = SecretPlace::Variable("GRISTMILL_NO_SUCH_VARIABLE".into());
        let refusal = missing.read("the password").unwrap_err().to_string();
        assert!(refusal.contains("`GRISTMILL_NO_SUCH_VARIABLE`, which is not set"));
    }
}
