//! The generated side of `wit/stage.wit`, one module per world.
//!
//! Nothing outside `guest` and the export macros looks in here.
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

pub mod transform {
    //! The world `transform-stage`.
    wit_bindgen::generate!({
        path: "../../wit",
        world: "transform-stage",
        pub_export_macro: true,
        export_macro_name: "export_transform",
        generate_all,
    });
}

pub mod parser {
    //! The world `parser-stage`, which shares the types of the other.
    wit_bindgen::generate!({
        path: "../../wit",
        world: "parser-stage",
        pub_export_macro: true,
        export_macro_name: "export_parser_world",
        with: {
            "gristmill:stage/types@0.1.0": crate::bindings::transform::gristmill::stage::types,
            "gristmill:stage/log@0.1.0": crate::bindings::transform::gristmill::stage::log,
        },
    });
}
