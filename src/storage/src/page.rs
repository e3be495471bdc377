//! Pages: their size, shared by both stores.

use std::ops::ControlFlow;
use std::sync::Arc;
use wire::change::{Changes, Reaction};
use wire::limits::HISTORY_BYTES;
use wire::{Mentions, Message, References, Seq};

/// A page of a listing, and whether more rows follow.
pub type Rows<T> = (Vec<T>, bool);

/// A page of messages.
#[derive(Debug, Default)]
pub struct Page {
    /// In the order in which they were read.
    pub messages: Vec<Arc<Message>>,
    /// Whether at least one was left out.
    pub more: bool,
    /// The first entry that there is to read.
    pub first: Seq,
}

impl Page {
    /// Adds a message unless the page is full; the first message always fits.
    pub fn take(
        &mut self,
        message: Arc<Message>,
        limit: usize,
        enough: &mut impl FnMut(&Message) -> bool,
    ) -> ControlFlow<()> {
        let full = self.messages.len() >= limit || (enough(&message) && !self.messages.is_empty());
        if full {
            self.more = true;
            return ControlFlow::Break(());
        }
        self.messages.push(message);
        ControlFlow::Continue(())
    }
}

impl Page {
    /// Leaves out what follows an entry, for a reader who does not see it.
    pub fn end_at(&mut self, last: Seq) {
        let taken = self.messages.partition_point(|message| message.seq <= last);
        let is_cut = taken < self.messages.len();
        self.messages.truncate(taken);
        self.more &= !is_cut && self.messages.last().is_some_and(|message| message.seq < last);
    }
}

/// For a feed: returns for each message whether the messages before it already hold `bytes` of content.
pub fn is_fed(bytes: usize) -> impl FnMut(&Message) -> bool {
    let mut taken = 0;
    move |message| {
        let enough = taken >= bytes;
        taken += message.content.len();
        enough
    }
}

/// For HISTORY: returns for each message whether the reply would become too long with it.
pub fn is_too_long() -> impl FnMut(&Message) -> bool {
    let mut taken = 0;
    move |message| {
        taken += json_bytes(message);
        taken > HISTORY_BYTES
    }
}

/// An upper bound of a message's size as JSON: field names and numbers, and escaped texts.
fn json_bytes(message: &Message) -> usize {
    let escaped = |text: &str| -> usize {
        let byte = |byte: u8| match byte {
            0..0x20 => 6,
            b'"' | b'\\' => 2,
            _ => 1,
        };
        text.bytes().map(byte).sum()
    };
    let cid = message.cid.as_deref().map_or(0, escaped);
    let mentions = |references: &References| match &references.mentions {
        Mentions::Users(users) => users.len() * 11,
        Mentions::Nobody | Mentions::All => 0,
    };
    let reaction = |of: &Reaction| 64 + escaped(&of.reaction) + 11 * of.ids.len();
    let reactions = |changes: &Changes| 64 + changes.reactions.iter().map(reaction).sum::<usize>();
    let extra = message
        .extra
        .as_deref()
        .map_or(0, |extra| 64 + mentions(&extra.references) + extra.changes.as_ref().map_or(0, reactions));
    224 + extra + escaped(&message.content) + escaped(&message.name) + escaped(&message.content_type) + cid
}
