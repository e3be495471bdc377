//! The table `membership`: the groups of the last login, without those that were left since.

use crate::database::{Store, StoreError};
use rusqlite::{Transaction, params};
use wire::group::{Group, Reply, Role};
use wire::session::LoggedIn;
use wire::{ConversationId, Message, UserId};

impl Store {
    /// The groups of the last login, without those that were left since.
    pub fn groups(&self) -> Result<Vec<Group>, StoreError> {
        self.rows("SELECT conversation, name, description, role FROM membership", |row| {
            let role = match row.get_ref(3)?.as_str()? {
                // Written by earlier versions.
                "creator" | "owner" => Role::Creator,
                "admin" => Role::Admin,
                _ => Role::Normal,
            };
            let (name, desc) = (row.get::<_, String>(1)?.into(), row.get::<_, String>(2)?.into());
            Ok(Group { conversation: ConversationId(row.get(0)?), name, desc, role })
        })
    }
}

pub(crate) fn write_login(t: &Transaction<'_>, login: &LoggedIn) -> rusqlite::Result<()> {
    if !login.groups_more {
        t.execute("DELETE FROM membership", [])?;
    }
    login.groups.iter().try_for_each(|group| write_group(t, group))
}

pub(crate) fn write_reply(t: &Transaction<'_>, reply: &Reply) -> rusqlite::Result<()> {
    match reply {
        Reply::Groups(page) => page.groups.iter().try_for_each(|group| write_group(t, group)),
        _ => Ok(()),
    }
}

/// A group is none of the account's any more once an entry has ended its view.
pub(crate) fn write_message(t: &Transaction<'_>, me: UserId, message: &Message) -> rusqlite::Result<()> {
    if message.ends_view_of(me) {
        t.prepare_cached("DELETE FROM membership WHERE conversation = ?1")?
            .execute([message.conversation.0])?;
    }
    Ok(())
}

fn write_group(t: &Transaction<'_>, group: &Group) -> rusqlite::Result<()> {
    t.prepare_cached("INSERT OR REPLACE INTO membership VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        group.conversation.0,
        group.name,
        group.desc,
        group.role.as_str()
    ])?;
    Ok(())
}
