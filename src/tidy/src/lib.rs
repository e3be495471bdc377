//! Reads the source of the workspace and finds what the compiler accepts and a reader does not: modules of one crate
//! that import each other in a circle, long files, doc comments that say nothing, crates that depend the wrong way.
//!
//! `cargo test -p tidy` checks this repository; the rules and what is still allowed stand in `tests/source.rs`.
//!
//! ```text
//!   package (Cargo.toml) -> modules (files, parsed by syn) -> paths (who uses whose items) -> circles
//!                        \-> prose (//! and /// as text)
//!   pages (*.md) -> document (links, and the paths they name)
//! ```

#![forbid(unsafe_code)]

pub mod circle;
pub mod document;
pub mod module;
pub mod package;
pub mod path;
pub mod prose;
