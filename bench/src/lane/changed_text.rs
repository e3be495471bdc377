//! Messages of a lane whose texts change: they are known by their `cid`.

use super::{Lane, request_number};
use crate::accounts::Account;
use crate::digits::hex;
use crate::stamp::{CHANNEL_BYTES, COUNTER_BYTES, Destination, Padding, Received, Stamp};
use wire::{Command, Message, Reply, kind, message, split_frame};

impl Lane {
    /// Lets the texts of messages be edited or recalled before they are received.
    pub fn allow_changes(&mut self) {
        self.has_changes = true;
    }

    /// The stamp that the text of a message had before it was changed; `None` where it cannot have been.
    #[cold]
    pub(super) fn changed_stamp(&self, received: &Received<'_>) -> Option<Stamp> {
        let cid = received.cid.filter(|_| self.has_changes)?;
        let channel = hex(cid.get(..CHANNEL_BYTES)?)? as u32;
        let counter = hex(&cid[cid.len().checked_sub(COUNTER_BYTES)?..])?;
        let number = channel.wrapping_sub(self.first_channel) as usize;
        let at = self.channels.get(number)?.ledger.time_of(counter)?;
        Some(Stamp { channel, counter, at })
    }

    /// The message of `member` that a reply to its SEND says is stored; `None` where it says something else.
    pub fn stored(&self, member: usize, request: u32, value: &[u8], padding: &Padding) -> Option<Message> {
        let (number, counter) = request_number::decode(request);
        let channel = self.channels.get(number)?;
        let Ok(Reply::Message(message::Reply::Sent(sent))) = Reply::decode(kind::request::SEND, value) else {
            return None;
        };
        let (counter, at) = channel.ledger.unanswered(counter)?;
        let mut bytes = Vec::new();
        channel.template.encode(request, counter, at, padding, &mut bytes);
        let (frame, _) = split_frame(&bytes, bytes.len()).ok()??;
        let Ok(Command::Message(message::Request::Send(send))) = Command::decode(frame.kind, frame.value)
        else {
            return None;
        };
        let Destination::Conversation(conversation, kind) = channel.origin.destination else { return None };
        let Account { id: from, name, .. } = &self.members[member];
        (sent.conversation == conversation).then(|| Message {
            conversation,
            kind,
            seq: sent.seq,
            from: *from,
            name: (**name).into(),
            content_type: message::TEXT.into(),
            content: send.content,
            time: sent.time,
            cid: send.cid,
            extra: None,
        })
    }
}
