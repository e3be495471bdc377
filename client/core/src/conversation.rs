//! How the user sees a conversation: its settings, and where its view of the timeline begins.

use crate::event::{Event, Failure};
use crate::requests::{Purpose, RequestId};
use crate::state::Session;
use wire::timeline::{Clear, ConversationSummary, ConversationView, Push, Request, Set, SettingsChange};
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
        let push = match push {
            Push::Conversation(view) => match self.learn_view(now, &view) {
                Some(view) => Push::Conversation(Box::new(view)),
                None => return,
            },
            push => push,
        };
        self.events.push_back(Event::Push(push.into()));
    }

    /// Another session of the account has read the conversation, cleared it, or changed its settings. Returns the view as
    /// it is now; `None`: what was pushed is older in everything.
    fn learn_view(&mut self, now: u64, pushed: &ConversationView) -> Option<ConversationView> {
        let ConversationView { conversation, read_seq, first_seq, .. } = *pushed;
        let Some(state) = self.conversations.get_mut(&conversation) else { return Some(*pushed) };
        let view = match &state.view {
            Some(known) => latest(known, pushed),
            None => *pushed,
        };
        let is_news = view == *pushed || state.view.as_deref() != Some(&view);
        state.view = Some(Box::new(view));
        state.cursors.read_elsewhere(read_seq);
        if state.buffer.cursor().is_some() {
            state.buffer.learn_first(first_seq);
            state.cursors.cleared(first_seq.prev());
        }
        self.advance(now, conversation);
        is_news.then_some(view)
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
            let state = self.conversations.get_mut(&conversation);
            if let Some(view) = state.and_then(|state| state.view.as_mut()) {
                let SettingsChange { pinned, muted, hidden } = change;
                for (setting, to) in
                    [(&mut view.pinned, pinned), (&mut view.muted, muted), (&mut view.hidden, hidden)]
                {
                    *setting = to.unwrap_or(*setting);
                }
            }
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

/// Joins two views of a conversation. Those that two nodes push are not ordered: one may know entries that the other does
/// not know yet, which has read further. The settings are those of the view with the later end.
fn latest(known: &ConversationView, pushed: &ConversationView) -> ConversationView {
    let counted = |view: &ConversationView| (view.read_seq.max(view.first_seq.prev()), view.last_seq);
    let counts = if counted(pushed) >= counted(known) { pushed } else { known };
    let ConversationView { pinned, muted, hidden, .. } =
        if pushed.last_seq >= known.last_seq { pushed } else { known };
    let first_seq = known.first_seq.max(pushed.first_seq);
    ConversationView { first_seq, pinned: *pinned, muted: *muted, hidden: *hidden, ..*counts }
}

pub(crate) fn view_of(summary: &ConversationSummary) -> ConversationView {
    let ConversationSummary { conversation, read_seq, first_seq, last_seq, unread, unread_more, .. } =
        *summary;
    let ConversationSummary { mentions, pinned, muted, hidden, .. } = *summary;
    ConversationView {
        conversation,
        read_seq,
        first_seq,
        last_seq,
        unread,
        unread_more,
        mentions,
        pinned,
        muted,
        hidden,
    }
}
