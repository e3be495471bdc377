//! The table `friend`: the friends of the last login.

use crate::database::{Store, StoreError};
use rusqlite::{Transaction, params};
use wire::UserId;
use wire::contact::{Friend, FriendEvent, Push, Reply};
use wire::presence::Presence;
use wire::session::LoggedIn;

impl Store {
    /// The friends of the last login, all of them offline: their presence is not known.
    pub fn friends(&self) -> Result<Vec<Friend>, StoreError> {
        self.rows("SELECT id, name FROM friend", |row| {
            let name = row.get::<_, String>(1)?.into();
            let id = UserId(row.get(0)?);
            let (text, last_seen, remark, tag) = (None, None, None, None);
            Ok(Friend { id, name, state: Presence::Offline, text, last_seen, remark, tag })
        })
    }
}

pub(crate) fn write_login(t: &Transaction<'_>, login: &LoggedIn) -> rusqlite::Result<()> {
    if !login.friends_more {
        t.execute("DELETE FROM friend", [])?;
    }
    login.friends.iter().try_for_each(|friend| write_friend(t, friend))
}

pub(crate) fn write_reply(t: &Transaction<'_>, reply: &Reply) -> rusqlite::Result<()> {
    match reply {
        Reply::Friends(page) => page.friends.iter().try_for_each(|friend| write_friend(t, friend)),
        _ => Ok(()),
    }
}

pub(crate) fn write_push(t: &Transaction<'_>, push: &Push) -> rusqlite::Result<()> {
    match push {
        Push::Friend(change) if change.event == FriendEvent::Removed => {
            t.execute("DELETE FROM friend WHERE id = ?1", [change.id.0]).map(|_| ())
        }
        Push::Friend(_) => Ok(()),
    }
}

fn write_friend(t: &Transaction<'_>, friend: &Friend) -> rusqlite::Result<()> {
    t.prepare_cached("INSERT OR REPLACE INTO friend (id, name) VALUES (?1, ?2)")?
        .execute(params![friend.id.0, friend.name])?;
    Ok(())
}
