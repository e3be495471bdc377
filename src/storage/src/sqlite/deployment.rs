//! The ids of the deployment. The lock on the file admits one node, so every start begins a new history.

use super::store::SqliteStore;
use crate::deployment::{Deployment, RandomId};
use crate::error::StoreError;

impl SqliteStore {
    /// Begins a new history.
    pub fn join(&mut self) -> Result<Deployment, StoreError> {
        let mut history = [0; 16];
        (self.random)(&mut history);
        self.conn.execute("UPDATE deployment SET history = ?1", [history])?;
        let server = self.conn.query_row("SELECT server FROM deployment", [], |row| row.get(0))?;
        Ok(Deployment { server: RandomId(server), history: RandomId(history), peers: None })
    }
}
