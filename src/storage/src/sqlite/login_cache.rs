//! What logins have read of accounts, kept as long as nothing of it changes.

use super::generations::{Generations, Note};
use foldhash::HashMap;
use logic::contract::session::LoginView;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use wire::UserId;
use wire::timeline::ConversationSummary;

/// The most bytes that are kept.
const KEPT_BYTES: usize = 64 << 20;
/// The most bytes of one account, so that few large ones do not displace all others.
const VIEW_BYTES: usize = 256 << 10;
/// About what a view takes apart from its lists.
const VIEW_FIXED_BYTES: usize = 512;

/// Views of accounts, shared by the writer and the readers.
#[derive(Debug, Default)]
pub struct LoginCache {
    pub generations: Generations,
    kept: Mutex<Kept>,
}

/// A view, and whether its conversations show their last messages.
type Key = (UserId, bool);

/// Evicts by the clock algorithm: what was not used since it was last looked at, the longest waiting first.
#[derive(Debug, Default)]
struct Kept {
    views: HashMap<Key, Entry>,
    /// Every key, in the order in which they are looked at.
    order: VecDeque<Key>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    view: Arc<KeptView>,
    bytes: usize,
    is_used: bool,
}

/// What a login has read.
#[derive(Clone, Debug)]
pub struct KeptView {
    /// Of everything but the friends' rows.
    pub note: Note,
    /// Of the friends' rows.
    pub friends: Note,
    pub view: LoginView,
}

impl LoginCache {
    pub fn find(&self, user: UserId, with_last: bool) -> Option<Arc<KeptView>> {
        let mut kept = self.kept.lock();
        let entry = kept.views.get_mut(&(user, with_last))?;
        entry.is_used = true;
        Some(Arc::clone(&entry.view))
    }

    pub fn keep(&self, user: UserId, with_last: bool, view: Arc<KeptView>) {
        let bytes = view.bytes();
        if bytes <= VIEW_BYTES {
            self.kept.lock().put((user, with_last), view, bytes);
        }
    }
}

impl Kept {
    fn put(&mut self, key: Key, view: Arc<KeptView>, bytes: usize) {
        self.bytes += bytes;
        match self.views.get_mut(&key) {
            Some(entry) => {
                self.bytes -= entry.bytes;
                (entry.view, entry.bytes) = (view, bytes);
            }
            None => {
                self.views.insert(key, Entry { view, bytes, is_used: false });
                self.order.push_back(key);
            }
        }
        while self.bytes > KEPT_BYTES
            && let Some(key) = self.order.pop_front()
        {
            match self.views.get_mut(&key) {
                Some(entry) if entry.is_used => {
                    entry.is_used = false;
                    self.order.push_back(key);
                }
                _ => {
                    let evicted = self.views.remove(&key);
                    self.bytes -= evicted.map_or(0, |entry| entry.bytes);
                }
            }
        }
    }
}

impl KeptView {
    /// About how many bytes it takes.
    fn bytes(&self) -> usize {
        let LoginView { friends, friend_ids, groups, conversations, unread, .. } = &self.view;
        let of_row = |row: &ConversationSummary| {
            let of_last = |last: &wire::timeline::LastMessage| {
                size_of_val(last) + last.name.len() + last.content_type.len() + last.content.len()
            };
            row.name.len() + row.last.as_deref().map_or(0, of_last)
        };
        let lists = [
            size_of_val(&friends[..]),
            size_of_val(&friend_ids[..]),
            size_of_val(&groups[..]),
            size_of_val(&conversations[..]),
            size_of_val(&unread.rows[..]),
            friends.iter().map(|friend| friend.name.len()).sum(),
            groups.iter().map(|group| group.name.len() + group.desc.len()).sum(),
            conversations.iter().map(of_row).sum(),
        ];
        VIEW_FIXED_BYTES + self.note.bytes() + self.friends.bytes() + lists.iter().sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ConversationKind;

    fn view(conversations: usize) -> Arc<KeptView> {
        let row = ConversationSummary::new(wire::ConversationId(1), ConversationKind::Group);
        let view = LoginView { conversations: vec![row; conversations].into(), ..LoginView::default() };
        Arc::new(KeptView { note: Note::default(), friends: Note::default(), view })
    }

    #[test]
    fn what_is_used_stays_and_the_bytes_are_bounded() {
        let cache = LoginCache::default();
        let bytes = view(200).bytes();
        let used = UserId(1);
        for user in 1..=(2 * KEPT_BYTES / bytes) as u32 {
            cache.keep(UserId(user), false, view(200));
            // Again, as when the rows of friends have changed.
            cache.keep(UserId(user), false, view(200));
            assert!(cache.find(used, false).is_some());
        }
        assert!(cache.find(UserId(2), false).is_none());
        assert!(cache.find(used, true).is_none());
        let kept = cache.kept.lock();
        assert_eq!(kept.views.values().map(|entry| entry.view.bytes()).sum::<usize>(), kept.bytes);
        assert!((KEPT_BYTES - bytes..=KEPT_BYTES).contains(&kept.bytes), "{}", kept.bytes);
        assert_eq!(kept.order.len(), kept.views.len());
    }

    #[test]
    fn a_large_view_is_not_kept() {
        let cache = LoginCache::default();
        cache.keep(UserId(1), false, view(VIEW_BYTES / size_of::<ConversationSummary>()));
        assert!(cache.find(UserId(1), false).is_none());
    }
}
