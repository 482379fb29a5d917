//! Rows: the types of their columns, batches of them, and a memo of texts.

pub mod batch;
pub mod column;
pub(crate) mod memo;
