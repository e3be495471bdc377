//! The table `membership`: the groups of the last login.

use crate::database::{Store, StoreError};
use rusqlite::{Transaction, params};
use wire::ConversationId;
use wire::group::{Group, Reply, Role};
use wire::session::LoggedIn;

impl Store {
    /// The groups of the last login.
    pub fn groups(&self) -> Result<Vec<Group>, StoreError> {
        self.rows("SELECT conversation, name, description, role FROM membership", |row| {
            let role = match row.get_ref(3)?.as_str()? {
                "owner" => Role::Owner,
                "admin" => Role::Admin,
                _ => Role::Member,
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

fn write_group(t: &Transaction<'_>, group: &Group) -> rusqlite::Result<()> {
    let role = match group.role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Member => "member",
    };
    t.prepare_cached("INSERT OR REPLACE INTO membership VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        group.conversation.0,
        group.name,
        group.desc,
        role
    ])?;
    Ok(())
}
