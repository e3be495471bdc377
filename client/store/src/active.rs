//! [`ActiveStore`]: the store of the account that is logged in, if there is one.

use crate::database::{Store, StoreError};
use crate::folder::Folder;
use chatclient_core::{Event, Snapshot};
use wire::UserId;
use wire::account::Who;

/// Without a folder, and after a failure, nothing is saved.
#[derive(Debug, Default)]
pub struct ActiveStore {
    folder: Option<Folder>,
    store: Option<Store>,
}

impl ActiveStore {
    pub fn new(folder: Option<Folder>) -> ActiveStore {
        ActiveStore { folder, store: None }
    }

    pub fn store(&mut self) -> Option<&mut Store> {
        self.store.as_mut()
    }

    /// Opens and reads the store of another account; `None` without a folder.
    ///
    /// `server`: the server's identity; `None`: the server that the account was last used at.
    pub fn switch_to(
        &mut self,
        account: UserId,
        server: Option<&str>,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.store = None;
        let Some(folder) = &self.folder else { return Ok(None) };
        let store = folder.open(account, server)?;
        let snapshot = store.snapshot()?;
        self.store = Some(store);
        Ok(Some(snapshot))
    }

    /// The token of the last login of an account, also after a logout.
    pub fn known_token(&self, who: &Who) -> Option<String> {
        // The open store is locked, so the folder leaves it out.
        let of_open = self.store.as_ref().and_then(|store| store.known_token(who).ok().flatten());
        of_open.or_else(|| self.folder.as_ref()?.known_token(who))
    }

    /// Saves a turn. After an error the store is closed: nothing is saved from then on.
    pub fn save(&mut self, changes: Option<&Snapshot>, events: &[Event]) -> Result<(), StoreError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        // Changes of another account are in that account's store already.
        let changes = changes.filter(|changes| changes.account == Some(store.account()));
        if changes.is_none() && events.is_empty() {
            return Ok(());
        }
        store.save(changes, events).inspect_err(|_| self.store = None)
    }
}
