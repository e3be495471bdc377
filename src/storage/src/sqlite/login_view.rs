//! What a login reads of an account: from memory if nothing of it has changed, otherwise in one transaction.

use super::generations::{Note, Subject};
use super::login_cache::KeptView;
use super::view::View;
use crate::error::StoreError;
use crate::fault;
use logic::contract::session::{LOGIN_LIST_MAX, LoginView};
use std::sync::Arc;
use wire::{Page, UserId};

const FIRST: Page = Page { after: 0, limit: LOGIN_LIST_MAX as u32 };

impl View<'_> {
    pub(super) fn login_view(&mut self, user: UserId, with_last: bool) -> Result<LoginView, StoreError> {
        if let Some(view) = self.kept_view(user, with_last)? {
            return Ok(view);
        }
        let faults = fault::reported();
        let (view, note) = self.read_login(user, with_last)?;
        let friends = self.note_friends(&view);
        // Read under their note: who they are was not known before.
        let view = self.with_friends(user, view)?;
        // What a fault left out is read again: it may be gone by then.
        if let Some(note) = note
            && fault::reported() == faults
        {
            self.logins.keep(user, with_last, Arc::new(KeptView { note, friends, view: view.clone() }));
        }
        Ok(view)
    }

    /// The view that is kept, as it is now; `None`: there is none, or it is outdated.
    fn kept_view(&mut self, user: UserId, with_last: bool) -> Result<Option<LoginView>, StoreError> {
        let generations = &self.logins.generations;
        let Some(mut kept) = self.logins.find(user, with_last) else { return Ok(None) };
        if !generations.is_current(&kept.note) {
            return Ok(None);
        }
        // The rows of friends change whenever one logs in or out, the lists seldom.
        if !generations.is_current(&kept.friends) {
            let faults = fault::reported();
            let friends = self.note_friends(&kept.view);
            let view = self.with_friends(user, kept.view.clone())?;
            if fault::reported() != faults {
                return Ok(Some(view));
            }
            kept = Arc::new(KeptView { note: kept.note.clone(), friends, view });
            self.logins.keep(user, with_last, Arc::clone(&kept));
        }
        #[cfg(debug_assertions)]
        self.check(user, with_last, &kept)?;
        Ok(Some(kept.view.clone()))
    }

    /// Reads everything but the friends' rows, with the note under which it was read; `None`: it is too much to be kept.
    fn read_login(&mut self, user: UserId, with_last: bool) -> Result<(LoginView, Option<Note>), StoreError> {
        let generations = &self.logins.generations;
        // Each counter is noted before what it counts is read.
        let mut note = generations.note([Subject::Lists(user)]);
        let memberships = self.memberships_of_login(user, |ids| {
            note.join(generations.note(ids.iter().copied().map(Subject::Conversation)));
        })?;
        let snapshot = self.snapshot()?;
        let friend_ids = self.friend_ids(user)?;
        let (groups, groups_more) = self.groups(user, FIRST)?;
        let ((conversations, conversations_more), unread) =
            self.of_login(user, &memberships, snapshot, with_last)?;
        // The cursors of who has left are not among what was noted.
        let is_kept = memberships.are_complete() && !unread.rows.iter().any(|row| row.has_left);
        let view = LoginView {
            friend_ids,
            groups,
            groups_more,
            conversations: conversations.into(),
            conversations_more,
            unread,
            ..LoginView::default()
        };
        Ok((view, is_kept.then_some(note)))
    }

    fn note_friends(&self, view: &LoginView) -> Note {
        let ids = view.friend_ids.iter().take(LOGIN_LIST_MAX).copied();
        self.logins.generations.note(ids.map(Subject::Account))
    }

    /// Reads the friends' rows.
    fn with_friends(&self, user: UserId, mut view: LoginView) -> Result<LoginView, StoreError> {
        (view.friends, view.friends_more) = match view.friend_ids.is_empty() {
            true => (Vec::new(), false),
            false => self.friends(user, FIRST)?,
        };
        Ok(view)
    }

    /// Compares what was kept with what a new read finds.
    #[cfg(debug_assertions)]
    fn check(&mut self, user: UserId, with_last: bool, kept: &KeptView) -> Result<(), StoreError> {
        let begun = std::time::Instant::now();
        loop {
            let (view, _) = self.read_login(user, with_last)?;
            let view = self.with_friends(user, view)?;
            let generations = &self.logins.generations;
            if view == kept.view
                || !generations.is_current(&kept.note)
                || !generations.is_current(&kept.friends)
            {
                return Ok(());
            }
            // What another thread has committed is counted once the journal is synced.
            let kept = &kept.view;
            assert!(begun.elapsed().as_secs() < 60, "kept of {user} is {kept:?}, but there is {view:?}");
            std::thread::yield_now();
        }
    }
}
