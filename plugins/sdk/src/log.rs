//! Messages for the person who runs the pipeline.
//!
//! The host shows them with the stage's name in front, limited in length and
//! rate. Natively, in a stage's own tests, they go nowhere.

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For whoever writes the stage.
    Debug,
    /// Worth knowing.
    Info,
    /// Probably not what was meant.
    Warn,
    /// Something went wrong.
    Error,
}

/// Writes one message.
pub fn write(level: Level, message: impl AsRef<str>) {
    #[cfg(target_family = "wasm")]
    crate::guest::write_log(level, message.as_ref());
    #[cfg(not(target_family = "wasm"))]
    let _ = (level, message.as_ref());
}

/// Writes a message for whoever writes the stage.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message);
}

/// Writes a message that is worth knowing.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message);
}

/// Writes a message about something that was probably not meant.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message);
}

/// Writes a message about something that went wrong.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message);
}
