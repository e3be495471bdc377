//! The table `draft`: lines that were begun and not entered.

use crate::database::{Store, StoreError};
use crate::message::target_columns;
use rusqlite::{Transaction, params};
use wire::Target;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// `None`: no conversation was open.
    pub to: Option<Target>,
    pub text: String,
}

impl Store {
    pub fn drafts(&self) -> Result<Vec<Draft>, StoreError> {
        self.rows("SELECT to_user, to_name, to_conversation, content FROM draft", |row| {
            Ok(Draft { to: target_columns(row, 0)?, text: row.get(3)? })
        })
    }

    /// Replaces all drafts.
    pub fn set_drafts(&mut self, drafts: &[Draft]) -> Result<(), StoreError> {
        let write = |t: &Transaction<'_>| {
            t.execute("DELETE FROM draft", [])?;
            drafts.iter().try_for_each(|draft| write_draft(t, draft))
        };
        let done = self.db.transaction().and_then(|t| write(&t).and_then(|()| t.commit()));
        done.map_err(|error| self.failure(&error))
    }
}

fn write_draft(t: &Transaction<'_>, draft: &Draft) -> rusqlite::Result<()> {
    let (user, name, conversation) = match &draft.to {
        Some(Target::User(id)) => (Some(id.0), None, None),
        Some(Target::Name(name)) => (None, Some(name), None),
        Some(Target::Conversation(id) | Target::Group(id)) => (None, None, Some(id.0)),
        None => (None, None, None),
    };
    t.prepare_cached("INSERT INTO draft VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        user,
        name,
        conversation,
        draft.text
    ])?;
    Ok(())
}
