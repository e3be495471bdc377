//! What users do in a mixed load, and in which proportions.

use crate::args::workload::Mix;
use crate::error::Error;
use wire::Dialect;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Direct,
    Group,
    Read,
    PageBack,
    Leave,
    Edit,
    Recall,
    React,
    Search,
}

/// In the order of [`Mix`], with the names under which they are counted.
pub const ACTIONS: [(Action, &str); 9] = [
    (Action::Direct, "direct messages"),
    (Action::Group, "group messages"),
    (Action::Read, "reads"),
    (Action::PageBack, "looks back"),
    (Action::Leave, "new logins"),
    (Action::Edit, "edits"),
    (Action::Recall, "recalls"),
    (Action::React, "reactions"),
    (Action::Search, "searches"),
];

/// Actions that the legacy dialect does not have.
const ONLY_TLV: [Action; 6] =
    [Action::Read, Action::PageBack, Action::Edit, Action::Recall, Action::React, Action::Search];

impl Action {
    /// The index in [`ACTIONS`].
    pub fn number(self) -> usize {
        ACTIONS.iter().position(|known| known.0 == self).expect("every action is listed")
    }
}

/// The proportions of the actions that `dialect` has.
///
/// # Errors
/// It has none of them.
pub fn possible(Mix(mut parts): Mix, dialect: Dialect) -> Result<Mix, Error> {
    if dialect == Dialect::Legacy {
        for (part, (action, _)) in parts.iter_mut().zip(ACTIONS) {
            *part = if ONLY_TLV.contains(&action) { 0 } else { *part };
        }
    }
    if parts.iter().all(|part| *part == 0) {
        return Err(Error::Usage(
            "the legacy dialect has only messages and logins: --mix needs another action".to_owned(),
        ));
    }
    Ok(Mix(parts))
}
