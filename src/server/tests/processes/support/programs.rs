//! The built programs, all in the server's folder.

use std::path::{Path, PathBuf};

pub fn chatserver() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_chatserver"))
}

/// The terminal client.
pub fn chatclient() -> PathBuf {
    beside_the_server("chatclient")
}

/// The load generator.
pub fn chatbench() -> PathBuf {
    beside_the_server("chatbench")
}

fn beside_the_server(name: &str) -> PathBuf {
    let program = chatserver().with_file_name(name);
    assert!(
        program.exists(),
        "{} is missing: run `cargo build --workspace` first (make test does)",
        program.display()
    );
    program
}
