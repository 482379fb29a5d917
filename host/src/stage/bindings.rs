//! The types that the component model makes of `wit/stage.wit`.
//!
//! A stage exports one of two interfaces. Both stand in one world here so that they share
//! their types; `component` looks up the one that a stage has.
#![allow(
    unsafe_code,
    rust_2018_idioms,
    unreachable_pub,
    dead_code,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package gristmill:host;

        world stages {
            import gristmill:stage/log@0.1.0;
            export gristmill:stage/parser@0.1.0;
            export gristmill:stage/transform@0.1.0;
        }
    ",
    world: "gristmill:host/stages",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
});
