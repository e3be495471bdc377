//! Entries for tests.

use wire::{Change, ChangeKind, ConversationId, ConversationKind, Message, Seq, UnixMillis, UserId};

/// A message of user 1 in conversation 9.
pub fn text(seq: u64, content: &str) -> Message {
    Message {
        conversation: ConversationId(9),
        kind: ConversationKind::Group,
        seq: Seq(seq),
        from: UserId(1),
        name: "ann".into(),
        content_type: wire::message::TEXT.into(),
        content: content.into(),
        time: UnixMillis(seq * 10),
        cid: None,
        extra: None,
    }
}

/// A change of entry `of` by user 1.
pub fn change(seq: u64, of: u64, kind: ChangeKind, content: &str) -> Message {
    let change = Change { of: Seq(of), kind };
    Message { content_type: change.content_type().into(), extra: Some(change.into()), ..text(seq, content) }
}
