//! The version of the load: of all that decides, on the host's side, what becomes of a
//! report's bytes on their way to staging, and how hours are compared.
//!
//! Hours that were loaded by another version are not reused but loaded again
//! (`plan/fingerprint`). Stages and their configuration are no part of it: their digests
//! are in the fingerprint themselves.

/// To be raised with every change of what is staged of the same bytes by the same
/// stages: of `validate`, `encode`, `months`, of the texts that are stored once, of `batch`,
/// `chain`, `stage/crossing` and of the digests of `hours`. The test `load_version`
/// notices.
pub const LOAD_VERSION: u32 = 1;
