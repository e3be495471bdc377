//! Pages of messages: how much one holds, whatever it is read from.

use std::ops::ControlFlow;
use std::sync::Arc;
use wire::Message;

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

/// The most bytes that a message takes as JSON: its field names and numbers, and its texts escaped.
pub fn json_bytes(message: &Message) -> usize {
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
