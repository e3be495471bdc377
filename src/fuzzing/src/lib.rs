//! Fuzz targets for everything that reads bytes from outside: each takes any bytes, and panics where a promise is broken.
//!
//! ```text
//!   fuzz/corpus/TARGET/*  --> mutator --> target          `cargo test -p fuzzing`: a bounded number of inputs
//!                         \-> libFuzzer --> target        `cargo +nightly fuzz run TARGET`: guided by coverage
//! ```

#![forbid(unsafe_code)]

pub mod mutator;
mod targets;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its folder in `fuzz/corpus`, and of its program in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Takes any bytes.
    ///
    /// # Panics
    /// If a promise about the input is broken.
    pub run: fn(&[u8]),
}

pub const TARGETS: [Target; 7] = [
    Target { name: "bus", run: targets::bus },
    Target { name: "config", run: targets::config },
    Target { name: "frames", run: targets::frames },
    Target { name: "journal", run: targets::journal },
    Target { name: "legacy", run: targets::legacy },
    Target { name: "proxy_header", run: targets::proxy_header },
    Target { name: "websocket", run: targets::websocket },
];

/// Runs the target of this name.
///
/// # Panics
/// If there is no such target, or a promise about the input is broken.
pub fn run(name: &str, bytes: &[u8]) {
    let target =
        TARGETS.iter().find(|target| target.name == name).expect("every fuzz program names a target");
    (target.run)(bytes);
}
