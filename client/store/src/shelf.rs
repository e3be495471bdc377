//! The store that is open at present, if any: a failing one is said once and let go.

use crate::{Folder, Store, StoreError};
use chatclient_core::{Event, Snapshot};
use wire::UserId;

/// The folder, and the store of the account that is logged in.
#[derive(Debug, Default)]
pub struct Shelf {
    folder: Option<Folder>,
    store: Option<Store>,
}

impl Shelf {
    /// A shelf that opens stores of this folder; without one nothing is kept.
    pub fn new(folder: Option<Folder>) -> Shelf {
        Shelf { folder, store: None }
    }

    /// The open store.
    pub fn store(&mut self) -> Option<&mut Store> {
        self.store.as_mut()
    }

    /// Opens the store of an account in place of the present one, and reads it.
    pub fn turn_to(&mut self, account: UserId) -> Result<Option<Snapshot>, StoreError> {
        self.store = None;
        let Some(folder) = &self.folder else { return Ok(None) };
        let store = folder.open(account)?;
        let snapshot = store.snapshot()?;
        self.store = Some(store);
        Ok(Some(snapshot))
    }

    /// Writes down a turn. An error means that nothing is kept from now on.
    pub fn save(&mut self, changes: Option<&Snapshot>, events: &[Event]) -> Result<(), StoreError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        // What is left of another account is in its own store already.
        let changes = changes.filter(|changes| changes.account == Some(store.account()));
        if changes.is_none() && events.is_empty() {
            return Ok(());
        }
        store.save(changes, events).inspect_err(|_| self.store = None)
    }
}
