//! [`Comparisons`]: the conversations that are being compared with another history of the server, and how far.

use crate::snapshot::Kept;
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::timeline::ConversationSummary;
use wire::{ConversationId, Message, Seq};

/// The most questions in flight.
pub(crate) const IN_FLIGHT_MAX: usize = 4;

/// The conversations that are not compared yet.
#[derive(Debug, Default)]
pub(crate) struct Comparisons {
    pub(crate) conversations: BTreeMap<ConversationId, Comparison>,
    pub(crate) in_flight: usize,
    /// The history that this client adopts at the end.
    pub(crate) history: Option<Box<str>>,
}

#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) step: Step,
    /// Everything up to here is the same.
    pub(crate) same: Seq,
    /// The lowest kept message that is known to differ.
    pub(crate) differs: Option<Seq>,
    pub(crate) summary: Option<ConversationSummary>,
    pub(crate) held: Vec<Arc<Message>>,
}

#[derive(Debug, Default)]
pub(crate) enum Step {
    /// Waits for the server's summary, or for the end of the listing.
    #[default]
    Begin,
    /// Needs the latest kept message below this seq.
    Look {
        below: Seq,
    },
    /// HISTORY is to be asked for this message.
    Ask {
        kept: Kept,
        at: u64,
    },
    Asked {
        kept: Kept,
    },
    /// HISTORY is refused, and an ACK of nothing asks whether the account was a member.
    AskedWhetherLeft {
        kept: Kept,
    },
}

impl Comparisons {
    pub fn is_empty(&self) -> bool {
        self.conversations.is_empty()
    }

    pub fn contains(&self, conversation: ConversationId) -> bool {
        self.conversations.contains_key(&conversation)
    }

    /// When the next question may be asked, milliseconds.
    pub fn next(&self) -> Option<u64> {
        let due = self.conversations.values().filter_map(|comparison| match comparison.step {
            Step::Ask { at, .. } => Some(at),
            _ => None,
        });
        due.min().filter(|_| self.in_flight < IN_FLIGHT_MAX)
    }
}
