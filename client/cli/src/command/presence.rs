//! Commands about what friends are shown.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Shows oneself as away, with a text.
    Away(Option<String>),
    /// Shows oneself as online.
    Back,
}

/// A text, or nothing.
pub fn away(rest: Option<&str>) -> Command {
    Command::Away(rest.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned))
}
