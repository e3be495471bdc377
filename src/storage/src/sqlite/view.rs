//! Answers to questions: what is on the disk, with the resident tail laid over it.

use super::super::StoreError;
use super::super::column::{kind_of, role_of};
use super::super::overview::Overview;
use super::super::page::{Rows, is_fed, is_too_long};
use super::names::Names;
use super::resident::{End, Resident};
use super::timeline;
use logic::contract::account::Password;
use logic::contract::contact::Friend;
use logic::contract::group::Member;
use logic::contract::session::{LOGIN_LIST_MAX, LoginView};
use logic::contract::timeline::{UNREAD_MAX, UnreadPage};
use logic::contract::{self, Denial, Found, Read, account, contact, group, node, presence, session};
use rusqlite::{Connection, OptionalExtension, Row};
use std::cmp::Reverse;
use wire::account::Who;
use wire::group::Group;
use wire::timeline::ConversationSummary;
use wire::{ConversationId, ConversationKind, Direction, Page, Seq, UnixMillis, UserId};

/// The columns of [`overview_of`], for `?1 = user`.
macro_rules! overview {
    () => {
        "SELECT c.id, c.kind, c.low_id, c.high_id, c.last_seq, c.updated_at, max(c.first_seq, m.joined_seq + 1), \
         m.delivered_seq, m.read_seq \
         FROM member m JOIN conversation c ON c.id = m.conversation_id WHERE m.user_id = ?1 AND m.device = 0"
    };
}
/// One question's way to what it needs.
pub struct View<'a> {
    pub conn: &'a Connection,
    /// What is not filed yet.
    pub resident: &'a Resident,
    /// Names of senders.
    pub names: &'a mut Names,
    pub now: UnixMillis,
}

impl View<'_> {
    /// Answers; what cannot be read is [`Found::Unavailable`], and the log says why.
    pub fn answer(&mut self, read: &Read) -> Found {
        self.find(read).unwrap_or_else(|error| {
            log::error!("a read failed: {error}");
            Found::Unavailable
        })
    }

    fn find(&mut self, read: &Read) -> Result<Found, StoreError> {
        Ok(match read {
            Read::Account(account::Read::Password(who)) => {
                Found::Account(account::Found::Password(self.account(who)?))
            }
            Read::Session(session::Read::LoginView { user }) => {
                Found::Session(session::Found::LoginView(Box::new(self.login(*user)?)))
            }
            Read::Timeline(contract::timeline::Read::Unread { user, after }) => {
                Found::Timeline(contract::timeline::Found::Unread(unread(&self.overviews(*user, *after)?)))
            }
            Read::Contact(contact::Read::FriendIds { user }) => {
                Found::Contact(contact::Found::FriendIds(self.friend_ids(*user)?))
            }
            Read::Timeline(contract::timeline::Read::Standing { user, conversation }) => {
                let overview = self.overview(*user, *conversation)?;
                Found::Timeline(contract::timeline::Found::Standing(overview.map(Overview::standing)))
            }
            Read::Timeline(contract::timeline::Read::Feed { conversation, after, limit, bytes }) => {
                self.feed((*conversation, *after), *limit as usize, *bytes)?
            }
            Read::Timeline(contract::timeline::Read::History { user, conversation, direction, limit }) => {
                match self.overview(*user, *conversation)? {
                    Some(overview) => self.history(&overview, *direction, *limit as usize)?,
                    None => Found::Denied(Denial::Forbidden),
                }
            }
            Read::Contact(contact::Read::Friends { user, page }) => {
                let (friends, more) = self.friends(*user, *page)?;
                Found::Contact(contact::Found::Friends { friends, more })
            }
            Read::Group(group::Read::Members { user, conversation, page }) => {
                self.members(*user, *conversation, *page)?
            }
            Read::Timeline(contract::timeline::Read::Conversations { user, before, limit }) => {
                let all = self.overviews(*user, ConversationId(0))?;
                let (entries, more) = self.entries(*user, all, *before, *limit as usize)?;
                Found::Timeline(contract::timeline::Found::Conversations { entries, more })
            }
            Read::Group(group::Read::Groups { user, page }) => {
                let (groups, more) = self.groups(*user, *page)?;
                Found::Group(group::Found::Groups { groups, more })
            }
            Read::Group(group::Read::GroupIds { user }) => {
                Found::Group(group::Found::GroupIds(self.group_ids(*user)?))
            }
            Read::Presence(presence::Read::Online { users, grace }) => {
                Found::Presence(presence::Found::Online(self.online(users, *grace)?))
            }
            Read::Node(node::Read::Claims { node, since }) => self.claims(node, *since)?,
            Read::Node(node::Read::Changes { node, since }) => self.changes(node, *since)?,
            Read::Node(node::Read::Roster { conversation }) => {
                Found::Node(node::Found::Roster(self.roster(*conversation)?.map(Box::new)))
            }
        })
    }

    fn account(&self, who: &Who) -> Result<Option<Password>, StoreError> {
        let account = |row: &Row<'_>| Ok(Password { user: UserId(row.get(0)?), hash: row.get(1)? });
        Ok(match who {
            Who::Id(id) => {
                let mut select = self.conn.prepare_cached("SELECT id, password FROM user WHERE id = ?1")?;
                select.query_row([id.0], account).optional()?
            }
            Who::Name(name) => {
                let sql = "SELECT id, password FROM user WHERE name_key = ?1";
                let mut select = self.conn.prepare_cached(sql)?;
                select.query_row([wire::name::key(name).as_bytes()], account).optional()?
            }
        })
    }

    fn login(&mut self, user: UserId) -> Result<LoginView, StoreError> {
        let first = Page { after: 0, limit: LOGIN_LIST_MAX as u32 };
        let (friends, friends_more) = self.friends(user, first)?;
        let friend_ids = self.friend_ids(user)?;
        let (groups, groups_more) = self.groups(user, first)?;
        let all = self.overviews(user, ConversationId(0))?;
        let unread = unread(&all);
        let (conversations, conversations_more) = self.entries(user, all, None, LOGIN_LIST_MAX)?;
        Ok(LoginView {
            friends,
            friends_more,
            friend_ids,
            groups,
            groups_more,
            conversations,
            conversations_more,
            unread,
        })
    }

    /// All conversations of a user above an id, by id.
    ///
    /// Their ends are taken from the tail before the disk is read, so that a message which is filed meanwhile is seen
    /// here or there. (A conversation that is new since the ids were read is left for the next question.)
    pub(super) fn overviews(&self, user: UserId, after: ConversationId) -> Result<Vec<Overview>, StoreError> {
        let sql = "SELECT conversation_id FROM member WHERE user_id = ?1 AND conversation_id > ?2 AND device = 0 \
                   ORDER BY conversation_id";
        let mut select = self.conn.prepare_cached(sql)?;
        let ids = select
            .query_map((user.0, after.0), |row| row.get(0).map(ConversationId))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let ends = self.resident.ends(ids.iter().copied());
        let sql = concat!(overview!(), " AND m.conversation_id > ?2 ORDER BY m.conversation_id");
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((user.0, after.0))?;
        let mut known = ids.into_iter().zip(ends).peekable();
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let mut overview = overview_of(row, user)?;
            while known.next_if(|(id, _)| *id < overview.conversation).is_some() {}
            let Some((_, end)) = known.next_if(|(id, _)| *id == overview.conversation) else { continue };
            lay_over(&mut overview, end);
            if is_published(&overview) {
                all.push(overview);
            }
        }
        Ok(all)
    }

    fn overview(&self, user: UserId, conversation: ConversationId) -> Result<Option<Overview>, StoreError> {
        let end = self.resident.end(conversation);
        let sql = concat!(overview!(), " AND m.conversation_id = ?2");
        let mut select = self.conn.prepare_cached(sql)?;
        let overview = select.query_row((user.0, conversation.0), |row| overview_of(row, user)).optional()?;
        Ok(overview.map(|mut overview| {
            lay_over(&mut overview, end);
            overview
        }))
    }

    /// The latest conversations below a bound, as their member sees them.
    fn entries(
        &mut self,
        user: UserId,
        mut all: Vec<Overview>,
        before: Option<(UnixMillis, ConversationId)>,
        limit: usize,
    ) -> Result<Rows<ConversationSummary>, StoreError> {
        let place = |overview: &Overview| (overview.time, overview.conversation);
        if let Some(before) = before {
            all.retain(|overview| place(overview) < before);
        }
        let latest_first = |overview: &Overview| Reverse(place(overview));
        let more = all.len() > limit;
        if more {
            all.select_nth_unstable_by_key(limit, latest_first);
            all.truncate(limit);
        }
        all.sort_unstable_by_key(latest_first);
        let entries = all.iter().map(|overview| self.entry(user, overview)).collect::<Result<_, _>>()?;
        Ok((entries, more))
    }

    fn entry(&mut self, user: UserId, overview: &Overview) -> Result<ConversationSummary, StoreError> {
        let id = overview.conversation.0;
        let (name, peer_cursors) = match overview.peer {
            Some(peer) => {
                let sql = "SELECT delivered_seq, read_seq FROM member \
                           WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0";
                let mut select = self.conn.prepare_cached(sql)?;
                let cursors =
                    select.query_row((id, peer.0), |row| Ok([Some(seq(row, 0)?), Some(seq(row, 1)?)]));
                (Box::from(&*self.names.get(self.conn, peer)?), cursors.optional()?.unwrap_or_default())
            }
            None => {
                let mut select = self.conn.prepare_cached("SELECT name FROM conversation WHERE id = ?1")?;
                let name: Option<Box<str>> = select.query_row([id], |row| row.get(0))?;
                (name.unwrap_or_default(), [None; 2])
            }
        };
        debug_assert!(overview.peer != Some(user));
        Ok(overview.entry(name, peer_cursors))
    }

    fn feed(&mut self, from: (ConversationId, Seq), limit: usize, bytes: usize) -> Result<Found, StoreError> {
        let (limit, is_fed) = (limit.max(1), is_fed(bytes));
        let page = timeline::after(self.conn, self.resident, self.names, from, limit, is_fed)?;
        Ok(Found::Timeline(contract::timeline::Found::Feed { messages: page.messages, more: page.more }))
    }

    fn history(
        &mut self,
        overview: &Overview,
        direction: Direction,
        limit: usize,
    ) -> Result<Found, StoreError> {
        let first_seq = overview.first;
        let (conn, resident, names, id) = (self.conn, self.resident, &mut *self.names, overview.conversation);
        let page = match direction {
            Direction::After(bound) => {
                let from = (id, bound.max(first_seq.prev()));
                timeline::after(conn, resident, names, from, limit, is_too_long())?
            }
            Direction::Before(bound) => {
                let below = (id, bound);
                let mut page =
                    timeline::before(conn, resident, names, below, first_seq, limit, is_too_long())?;
                page.messages.reverse();
                page
            }
        };
        Ok(Found::Timeline(contract::timeline::Found::History {
            messages: page.messages,
            more: page.more,
            first_seq,
        }))
    }

    fn friend_ids(&self, user: UserId) -> Result<Vec<UserId>, StoreError> {
        let sql = "SELECT friend_id FROM friend WHERE user_id = ?1 ORDER BY friend_id";
        let mut select = self.conn.prepare_cached(sql)?;
        let ids = select.query_map([user.0], |row| row.get(0).map(UserId))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    fn friends(&self, user: UserId, page: Page) -> Result<Rows<Friend>, StoreError> {
        let sql = "SELECT u.id, u.name FROM friend f JOIN user u ON u.id = f.friend_id \
                   WHERE f.user_id = ?1 AND f.friend_id > ?2 ORDER BY f.friend_id LIMIT ?3";
        let row = |row: &Row<'_>| Ok(Friend { user: UserId(row.get(0)?), name: row.get(1)? });
        self.page(sql, user.0, page, row)
    }

    fn members(&self, user: UserId, conversation: ConversationId, page: Page) -> Result<Found, StoreError> {
        let sql = "SELECT 1 FROM member WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0";
        if !self.conn.prepare_cached(sql)?.exists((conversation.0, user.0))? {
            return Ok(Found::Denied(Denial::Forbidden));
        }
        let sql = "SELECT u.id, u.name, m.role FROM member m JOIN user u ON u.id = m.user_id \
                   WHERE m.conversation_id = ?1 AND m.user_id > ?2 AND m.device = 0 ORDER BY m.user_id LIMIT ?3";
        let row = |row: &Row<'_>| {
            Ok(Member { user: UserId(row.get(0)?), name: row.get(1)?, role: role_of(row.get(2)?) })
        };
        let (members, more) = self.page(sql, conversation.0, page, row)?;
        Ok(Found::Group(group::Found::Members { members, more }))
    }

    fn groups(&self, user: UserId, page: Page) -> Result<Rows<Group>, StoreError> {
        let sql = "SELECT c.id, c.name, c.description, m.role \
                   FROM member m INDEXED BY member_user JOIN conversation c ON c.id = m.conversation_id \
                   WHERE m.user_id = ?1 AND m.conversation_id > ?2 AND m.device = 0 AND c.kind = 1 \
                   ORDER BY m.conversation_id LIMIT ?3";
        self.page(sql, user.0, page, |row| {
            let desc: Option<Box<str>> = row.get(2)?;
            Ok(Group {
                conversation: ConversationId(row.get(0)?),
                name: row.get(1)?,
                desc: desc.unwrap_or_default(),
                role: role_of(row.get(3)?),
            })
        })
    }

    /// Rows of `sql` for `?1 = owner` above `?2`; one more than asked tells whether there are others.
    fn page<T>(
        &self,
        sql: &str,
        owner: u32,
        page: Page,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Rows<T>, StoreError> {
        let limit = page.limit as usize;
        let mut select = self.conn.prepare_cached(sql)?;
        let rows = select.query_map((owner, page.after, limit as i64 + 1), row)?;
        let mut rows: Vec<T> = rows.collect::<rusqlite::Result<_>>()?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok((rows, more))
    }
}

/// The tail knows the end better. Cursors were moved by who had seen what they point at, so the end is not below.
fn lay_over(overview: &mut Overview, end: Option<End>) {
    if let Some(end) = end
        && end.last >= overview.last
    {
        (overview.last, overview.time) = (end.last, end.time);
    }
    overview.last = overview.last.max(overview.delivered).max(overview.read);
}

/// A direct conversation begins with a message; before its outcome is published nobody sees it.
fn is_published(overview: &Overview) -> bool {
    overview.kind == ConversationKind::Group || overview.last > Seq(0)
}

fn overview_of(row: &Row<'_>, user: UserId) -> rusqlite::Result<Overview> {
    let kind = kind_of(row.get(1)?);
    let (low, high): (Option<u32>, Option<u32>) = (row.get(2)?, row.get(3)?);
    let peer = if low == Some(user.0) { high } else { low };
    let time: i64 = row.get(5)?;
    Ok(Overview {
        conversation: ConversationId(row.get(0)?),
        kind,
        peer: peer.map(UserId),
        last: seq(row, 4)?,
        time: UnixMillis(time as u64),
        first: seq(row, 6)?,
        delivered: seq(row, 7)?,
        read: seq(row, 8)?,
    })
}

pub(super) fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<Seq> {
    row.get::<_, i64>(column).map(|seq| Seq(seq as u64))
}

/// Where the member is behind; the first page of those.
fn unread(all: &[Overview]) -> UnreadPage {
    let mut behind = all.iter().filter(|overview| overview.last > overview.delivered);
    let rows = behind.by_ref().take(UNREAD_MAX).map(|overview| overview.unread());
    UnreadPage { rows: rows.collect(), more: behind.next().is_some() }
}
