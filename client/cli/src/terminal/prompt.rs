//! A line to be read, and what was read.

use std::io;

#[derive(Clone, Debug)]
pub struct Prompt {
    pub text: String,
    pub kind: PromptKind,
}

/// How a line is echoed and remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptKind {
    /// Echoed, not remembered.
    Answer,
    /// Echoed until it is entered, and kept in the history.
    Command,
    /// Neither echoed nor remembered.
    Secret,
}

#[derive(Debug)]
pub enum Input {
    Line(String),
    /// Ctrl-C was pressed.
    Interrupted,
    /// Ctrl-D, or the end of the file.
    End,
    Failed(io::Error),
}
