//! Everything a gristmill stage needs besides its own logic.
//!
//! A stage implements [`Stage`] (rows in, rows out) or [`Parser`] (bytes in,
//! rows out) on the plain types of this crate and names itself in
//! [`export_stage!`] or [`export_parser!`]. Built for `wasm32-wasip2` it is a
//! component; built natively it is an ordinary library, so `#[test]`s call the
//! same functions that the sandbox does.
//!
//! ```
//! use gristmill_stage::{
//!     Batch, ColumnType, Contract, Failure, Float64Builder, NoConfig, OpenTransform, Output, Stage,
//!     export_stage,
//! };
//!
//! struct Doubled;
//!
//! impl Stage for Doubled {
//!     type Config = NoConfig;
//!
//!     fn open(_: NoConfig, context: OpenTransform) -> Result<Doubled, Failure> {
//!         context.schema.require("price", ColumnType::Float64)?;
//!         Ok(Doubled)
//!     }
//!
//!     fn contract(&self) -> Contract {
//!         Contract::keeps()
//!             .reads("price", ColumnType::Float64)
//!             .writes("price_doubled", ColumnType::Float64)
//!     }
//!
//!     fn process(&mut self, batch: Batch) -> Result<Output, Failure> {
//!         let mut doubled = Float64Builder::with_capacity(batch.rows());
//!         for price in batch.float64(0).iter() {
//!             doubled.push_option(price.map(|price| price * 2.0));
//!         }
//!         Ok(Output::keeps(batch.rows(), vec![doubled.finish()]))
//!     }
//! }
//!
//! export_stage!(Doubled);
//! ```
//!
//! The contract between host and stage is `wit/stage.wit`; this crate adds
//! nothing to it.

mod bitmap;
mod builder;
mod column;
mod config;
mod dictionary;
mod each_row;
mod failure;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod guest;
mod hash;
mod lines;
pub mod log;
mod parser;
mod rows;
mod schema;
mod stage;
mod text;
mod view;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;

pub use bitmap::Bitmap;
pub use builder::{
    BooleanBuilder, Float64Builder, Int64Builder, PrimitiveBuilder, TimestampBuilder, Utf8Builder,
};
pub use column::{Column, ColumnType, DictionaryValues, Field, Utf8Values, Values};
pub use config::{NoConfig, parse_config};
pub use dictionary::{DictionaryBuilder, DictionarySize, Interner};
pub use each_row::EachRow;
pub use failure::{Fact, Failure, Reject};
pub use hash::{hash_bytes, same_bytes};
pub use lines::{Line, Lines};
pub use parser::{OpenParser, Parsed, Parser, RejectedRecord, WantedColumn};
pub use rows::{Cell, Rows};
pub use schema::{Schema, Sets};
pub use stage::{Batch, Contract, OpenTransform, Output, RowEffect, Stage};
pub use text::Text;
pub use view::{BooleanView, DictionaryView, PrimitiveView, Utf8View};

/// Makes a component of the `transform-stage` world out of a [`Stage`].
///
/// Natively it exports nothing, because the names that a component exports are
/// none that a native linker accepts; it only makes sure that the type fits.
#[macro_export]
macro_rules! export_stage {
    ($stage:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::guest::ExportedStage<$stage>;
            $crate::bindings::transform::export_transform!(
                Exported with_types_in $crate::bindings::transform
            );
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn() = || {
            fn is_stage<T: $crate::Stage>() {}
            is_stage::<$stage>();
        };
    };
}

/// Makes a component of the `parser-stage` world out of a [`Parser`].
///
/// Natively it exports nothing, as [`export_stage!`] does.
#[macro_export]
macro_rules! export_parser {
    ($parser:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::guest::ExportedParser<$parser>;
            $crate::bindings::parser::export_parser_world!(
                Exported with_types_in $crate::bindings::parser
            );
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn() = || {
            fn is_parser<T: $crate::Parser>() {}
            is_parser::<$parser>();
        };
    };
}
