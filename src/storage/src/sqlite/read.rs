//! Answers reads.

use super::view::View;
use crate::error::StoreError;
use crate::fault;
use logic::contract::{Found, Read};

impl View<'_> {
    /// Answers a read. A failure is logged and answered with [`Found::Unavailable`], or with
    /// [`Found::Failed`] if it does not pass.
    pub fn answer(&mut self, read: &Read) -> Found {
        self.find(read).unwrap_or_else(|error| match error {
            StoreError::Fault(what) => {
                fault::report(&what);
                Found::Failed
            }
            error => {
                log::error!("cannot read from the database: {error}");
                Found::Unavailable
            }
        })
    }

    fn find(&mut self, read: &Read) -> Result<Found, StoreError> {
        match read {
            Read::Account(read) => self.read_account(read),
            Read::Session(read) => self.read_session(read),
            Read::Contact(read) => self.read_contact(read),
            Read::Group(read) => self.read_group(read),
            Read::Timeline(read) => self.read_timeline(read),
            Read::Presence(read) => self.read_presence(read),
            Read::Node(read) => self.read_node(read),
            Read::Search(read) => self.read_search(read),
        }
    }
}
