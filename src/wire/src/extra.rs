//! [`Extra`]: the fields of an entry that few entries have.

use crate::change::{Change, ChangeKind, Changes};
use crate::entry::System;
use crate::json::{put, put_text};
use crate::references::{Mentions, References};
use serde::Serialize;

/// The fields of an entry that few entries have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Extra {
    /// Of a system entry.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub system: Option<System>,
    #[serde(flatten)]
    pub references: References,
    /// Of an entry that tells of a change.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// Of an entry that was changed.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
}

impl From<System> for Box<Extra> {
    fn from(system: System) -> Box<Extra> {
        Box::new(Extra { system: Some(system), ..Extra::default() })
    }
}

impl From<References> for Box<Extra> {
    fn from(references: References) -> Box<Extra> {
        Box::new(Extra { references, ..Extra::default() })
    }
}

impl From<Change> for Box<Extra> {
    fn from(change: Change) -> Box<Extra> {
        Box::new(Extra { change: Some(change), ..Extra::default() })
    }
}

impl Extra {
    /// Writes the same bytes as `Serialize`, behind the other fields.
    #[cold]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let Extra { system, references, change, changes } = self;
        if let Some(System { event, who, by, value }) = system {
            put_text(out, b",\"event\":", event.as_str());
            put(out, b",\"who\":", who);
            put(out, b",\"by\":", by);
            if let Some(value) = value {
                put_text(out, b",\"value\":", value);
            }
        }
        if let Some(seq) = references.reply_to {
            put(out, b",\"reply_to\":", &seq);
        }
        match &references.mentions {
            Mentions::Nobody => {}
            Mentions::Users(users) => put(out, b",\"mentions\":", users),
            Mentions::All => put(out, b",\"mention_all\":", &true),
        }
        if let Some(Change { of, kind }) = change {
            put(out, b",\"ref\":", of);
            if let ChangeKind::Reaction { on } = kind {
                put(out, b",\"on\":", on);
            }
        }
        if let Some(Changes { changed, edited, recalled, reactions }) = changes {
            put(out, b",\"changed\":", changed);
            if let Some(edited) = edited {
                put(out, b",\"edited\":", edited);
            }
            if let Some(recalled) = recalled {
                put(out, b",\"recalled\":", recalled);
            }
            if !reactions.is_empty() {
                put(out, b",\"reactions\":", reactions);
            }
        }
    }
}
