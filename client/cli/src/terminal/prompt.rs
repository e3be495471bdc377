//! A line to be read, and what was typed.

#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    Line(String),
    /// A line was entered that has bytes that are not UTF-8.
    NotUtf8,
    /// Ctrl-C was pressed.
    Interrupted,
    /// Ctrl-D on an empty line, or the end of the file.
    End,
    /// Ctrl-L was pressed.
    ClearScreen,
    /// Ctrl-Z was pressed.
    Suspend,
    /// A key with Alt that does not edit the line.
    Alt(char),
}
