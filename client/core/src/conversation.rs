//! How the user sees a conversation: its settings, and where its view of the timeline begins.

use crate::event::{Event, Failure};
use crate::requests::{Purpose, RequestId};
use crate::state::Session;
use wire::timeline::{Clear, ConversationView, Push, Request, Set, SettingsChange};
use wire::{Command, ConversationId, Reply, Seq};

impl Session {
    /// Changes the settings that are given. If that succeeds, [`Event::SettingsChanged`] precedes the reply.
    pub fn set_conversation(&mut self, now: u64, of: ConversationId, change: SettingsChange) -> RequestId {
        let set = Set { conversation: of, change };
        self.ask_for(now, Request::Set(set), |request| Purpose::Set(request, set))
    }

    /// Removes everything up to `upto` from the user's view, for good. If that succeeds, [`Event::Cleared`] precedes the
    /// reply.
    pub fn clear(&mut self, now: u64, of: ConversationId, upto: Seq) -> RequestId {
        let clear = Clear { conversation: of, upto };
        self.ask_for(now, Request::Clear(clear), |request| Purpose::Clear(request, clear))
    }

    pub(crate) fn handle_timeline_push(&mut self, now: u64, push: Push) {
        if let Push::Conversation(view) = &push {
            self.learn_view(now, view);
        }
        self.events.push_back(Event::Push(push.into()));
    }

    /// Another session of the account has read the conversation, cleared it, or changed its settings.
    fn learn_view(&mut self, now: u64, view: &ConversationView) {
        let ConversationView { conversation, read_seq, first_seq, .. } = *view;
        let Some(state) = self.conversations.get_mut(&conversation) else { return };
        state.cursors.read_elsewhere(read_seq);
        if state.buffer.cursor().is_some() {
            state.buffer.learn_first(first_seq);
            state.cursors.cleared(first_seq.prev());
        }
        self.advance(now, conversation);
    }

    fn ask_for(&mut self, now: u64, asked: Request, purpose: impl FnOnce(RequestId) -> Purpose) -> RequestId {
        let request = self.next_request();
        if self.may_request() {
            self.transmit(now, &Command::Timeline(asked), purpose(request));
        } else {
            self.events.push_back(Event::Failed { request, failure: Failure::Offline });
        }
        request
    }

    pub(crate) fn handle_set_reply(&mut self, request: RequestId, set: Set, reply: Reply) -> bool {
        if let Reply::Done = reply {
            let Set { conversation, change } = set;
            self.events.push_back(Event::SettingsChanged { conversation, change });
        }
        self.handle_caller_reply(request, reply)
    }

    pub(crate) fn handle_clear_reply(
        &mut self,
        now: u64,
        request: RequestId,
        clear: Clear,
        reply: Reply,
    ) -> bool {
        if let Reply::Done = reply {
            let Clear { conversation, upto } = clear;
            let state = self.conversations.entry(conversation).or_default();
            let upto = state.buffer.clear(upto);
            state.cursors.cleared(upto);
            self.events.push_back(Event::Cleared { conversation, upto });
            self.advance(now, conversation);
        }
        self.handle_caller_reply(request, reply)
    }
}
