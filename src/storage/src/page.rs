//! Pages: how much one holds, whatever it is read from.

use std::ops::ControlFlow;
use std::sync::Arc;
use wire::Message;
use wire::limits::HISTORY_BYTES;

/// A page of a listing, and whether there are others after it.
pub type Rows<T> = (Vec<T>, bool);

/// What was read, and whether there was more.
#[derive(Debug, Default)]
pub struct Page {
    /// In the order in which it was read.
    pub messages: Vec<Arc<Message>>,
    /// Whether one was left out.
    pub more: bool,
}

impl Page {
    /// Takes a message, unless there is no room; the first always finds room.
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

/// Says of each message of a feed whether there are enough before it: so many bytes of content.
pub fn is_fed(bytes: usize) -> impl FnMut(&Message) -> bool {
    let mut taken = 0;
    move |message| {
        let enough = taken >= bytes;
        taken += message.content.len();
        enough
    }
}

/// Says of each message of a history whether the reply would be too long with it.
pub fn is_too_long() -> impl FnMut(&Message) -> bool {
    let mut taken = 0;
    move |message| {
        taken += json_bytes(message);
        taken > HISTORY_BYTES
    }
}

/// The most bytes that a message takes as JSON: its field names and numbers, and its texts escaped.
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
    224 + escaped(&message.content) + escaped(&message.name) + escaped(&message.content_type) + cid
}
