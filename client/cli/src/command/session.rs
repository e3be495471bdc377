//! Commands about the login and the program.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Help on all commands, or on the one of this name.
    Help(Option<&'static str>),
    /// Help on the keys and the marks of messages.
    Keys,
    Clear,
    Logout,
    Quit,
}
