//! [`Missed`]: counts the messages that arrived while the client was away.
//!
//! Messages are counted when they are shown, because the user's own ones cannot be told apart earlier.

use super::directory::Chat;
use std::collections::BTreeMap;
use wire::session::LoggedIn;
use wire::{ConversationId, Seq};

#[derive(Debug, Default)]
pub struct Missed {
    /// The last seq at the login, for every conversation that was behind it.
    ends: BTreeMap<ConversationId, Seq>,
    /// Messages of others among them shown so far.
    new: u64,
}

impl Missed {
    /// Messages that are yet to arrive after a login.
    pub fn of(login: &LoggedIn, chats: &BTreeMap<ConversationId, Chat>) -> Missed {
        let shown = |id| chats.get(id).map_or(Seq(0), |chat| chat.shown);
        let lacking = login.conversations.iter().filter(|row| row.last_seq > shown(&row.conversation));
        Missed { ends: lacking.map(|row| (row.conversation, row.last_seq)).collect(), new: 0 }
    }

    /// Counts a message that is now part of `chat`. Returns the number of new messages once all have arrived.
    pub fn take(&mut self, id: ConversationId, seq: Seq, theirs: bool, chat: &Chat) -> Option<u64> {
        let end = *self.ends.get(&id)?;
        self.new += u64::from(theirs && seq <= end);
        if chat.shown >= end {
            self.ends.remove(&id);
        }
        (self.ends.is_empty() && self.new > 0).then(|| std::mem::take(&mut self.new))
    }
}

#[cfg(test)]
mod tests {
    use super::super::directory::Directory;
    use super::*;
    use crate::display::style::Mark;
    use wire::timeline::ConversationSummary;
    use wire::{ConversationKind, Target, UserId};

    #[test]
    fn the_backlog_counts_messages_of_others_only() {
        let row = |delivered: u64, last: u64| ConversationSummary {
            peer: Some(UserId(2)),
            name: "li si".into(),
            last_seq: Seq(last),
            delivered_seq: Seq(delivered),
            read_seq: Seq(1),
            peer_delivered_seq: Some(Seq(2)),
            peer_read_seq: Some(Seq(1)),
            unread: last - 1,
            ..ConversationSummary::new(ConversationId(9), ConversationKind::Direct)
        };
        let login = |row| LoggedIn {
            id: UserId(1),
            name: "me".into(),
            token: None,
            token_expires: wire::UnixMillis(0),
            node: "".into(),
            server: None,
            history: None,
            http: None,
            resumed: false,
            friends: vec![],
            groups: vec![],
            conversations: vec![row].into(),
            friends_more: false,
            groups_more: false,
            conversations_more: false,
        };
        let mut directory = Directory::default();
        directory.learn_conversations(&[row(3, 5)]);
        let chat = &directory.chats[&ConversationId(9)];
        assert_eq!((chat.last, chat.unread.count()), (Seq(3), 4));
        assert_eq!([1, 2, 3].map(|seq| chat.mark(Seq(seq))), [Mark::Read, Mark::Delivered, Mark::Stored]);
        // An own message is confirmed before the messages below it arrive.
        let (id, peer) = (ConversationId(9), Target::User(UserId(2)));
        let found = login(row(3, 8));
        directory.learn_conversations(&found.conversations);
        let mut missed = Missed::of(&found, &directory.chats);
        let mut take = |seq, theirs| {
            match theirs {
                true => directory.chats.get_mut(&id).expect("the chat exists").show(Seq(seq)),
                false => directory.learn_sent(id, &peer, Seq(seq)),
            }
            missed.take(id, Seq(seq), theirs, &directory.chats[&id])
        };
        assert_eq!([(6, false), (9, false), (4, true)].map(|(seq, theirs)| take(seq, theirs)), [None; 3]);
        assert_eq!(
            [(5, true), (7, true), (8, true)].map(|(seq, theirs)| take(seq, theirs)),
            [None, None, Some(4)]
        );
        assert_eq!(take(10, true), None, "it arrived after all missed messages had arrived");
        assert_eq!(directory.chats[&id].shown, Seq(10));
        // Own messages alone are not new.
        let found = login(row(10, 11));
        let mut missed = Missed::of(&found, &directory.chats);
        directory.learn_sent(id, &peer, Seq(11));
        assert_eq!(missed.take(id, Seq(11), false, &directory.chats[&id]), None);
    }
}
