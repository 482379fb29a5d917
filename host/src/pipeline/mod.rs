//! The pipeline file: as written, as locked, and as the plan that a run follows.

pub mod definition;
pub mod lock;
pub mod plan;
pub mod staging;
