//! The one fault that a relay injects on request of a test.

use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The message is acknowledged and not delivered.
    Drop,
    /// The message is delivered twice.
    Duplicate,
    /// The message is delivered after the next one of its conversation.
    Reorder,
    /// The message is delivered with one changed letter.
    Corrupt,
    /// The message is refused as RATE_LIMITED.
    Refuse,
    /// The sender's connection is closed.
    Disconnect,
}

/// A fault at relayed message number `at`, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(super) kind: FaultKind,
    pub(super) at: u64,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Fault, String> {
        let (name, at) = text.split_once(':').ok_or("must be KIND:N")?;
        let kind = match name {
            "drop" => FaultKind::Drop,
            "duplicate" => FaultKind::Duplicate,
            "reorder" => FaultKind::Reorder,
            "corrupt" => FaultKind::Corrupt,
            "refuse" => FaultKind::Refuse,
            "disconnect" => FaultKind::Disconnect,
            _ => return Err(format!("there is no fault `{name}`")),
        };
        let at = at.parse().ok().filter(|at| *at > 0).ok_or("N must be a number, 1 or more")?;
        Ok(Fault { kind, at })
    }
}
