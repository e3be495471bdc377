//! The one wrong that a relay does where a test asks for it.

use std::str::FromStr;

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The message is acknowledged and not delivered.
    Drop,
    /// It is delivered twice.
    Duplicate,
    /// It is delivered behind the next one of its conversation.
    Reorder,
    /// It is delivered with one letter changed.
    Corrupt,
    /// It is refused as RATE_LIMITED.
    Refuse,
    /// Its sender's connection is closed.
    Disconnect,
}

/// A fault at the `at`th message that is relayed, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(super) wrong: FaultKind,
    pub(super) at: u64,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Fault, String> {
        let (kind, at) = text.split_once(':').ok_or("must be KIND:N")?;
        let wrong = match kind {
            "drop" => FaultKind::Drop,
            "duplicate" => FaultKind::Duplicate,
            "reorder" => FaultKind::Reorder,
            "corrupt" => FaultKind::Corrupt,
            "refuse" => FaultKind::Refuse,
            "disconnect" => FaultKind::Disconnect,
            _ => return Err(format!("there is no fault `{kind}`")),
        };
        let at = at.parse().ok().filter(|at| *at > 0).ok_or("N must be a number from 1 on")?;
        Ok(Fault { wrong, at })
    }
}
