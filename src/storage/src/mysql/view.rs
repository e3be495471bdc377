//! Answers to questions.

use super::failure::Failure;
use super::link::Link;
use super::record::{Answer, Record};
use super::sql::Sql;
use super::{session, social, timeline};
use crate::column::{kind_of, role_of};
use crate::overview::Overview;
use crate::page::{Rows, is_fed, is_too_long};
use logic::contract::account::Password;
use logic::contract::contact::Friend;
use logic::contract::group::Member;
use logic::contract::session::{LOGIN_LIST_MAX, LoginView};
use logic::contract::timeline::{UNREAD_MAX, UnreadPage};
use logic::contract::{self, Denial, Found, Read, account, contact, group, node, presence};
use wire::account::Who;
use wire::group::Group;
use wire::timeline::ConversationSummary;
use wire::{ConversationId, Direction, Page, Seq, UnixMillis, UserId};

/// Whether an answer may show messages, or how far conversations have come.
pub fn shows_messages(read: &Read) -> bool {
    match read {
        Read::Session(contract::session::Read::LoginView { .. })
        | Read::Timeline(contract::timeline::Read::Unread { .. })
        | Read::Timeline(contract::timeline::Read::Standing { .. })
        | Read::Timeline(contract::timeline::Read::Feed { .. })
        | Read::Timeline(contract::timeline::Read::History { .. })
        | Read::Timeline(contract::timeline::Read::Conversations { .. })
        | Read::Node(node::Read::Changes { .. })
        | Read::Node(node::Read::Roster { .. }) => true,
        Read::Account(account::Read::Password(_))
        | Read::Contact(contact::Read::FriendIds { .. })
        | Read::Contact(contact::Read::Friends { .. })
        | Read::Group(group::Read::Members { .. })
        | Read::Group(group::Read::Groups { .. })
        | Read::Group(group::Read::GroupIds { .. })
        | Read::Presence(presence::Read::Online { .. })
        | Read::Node(node::Read::Claims { .. }) => false,
    }
}

/// Answers a question.
pub fn answer(link: &mut Link, read: &Read) -> Result<Found, Failure> {
    Ok(match read {
        Read::Account(account::Read::Password(who)) => {
            Found::Account(account::Found::Password(account(link, who)?))
        }
        Read::Session(contract::session::Read::LoginView { user }) => {
            Found::Session(contract::session::Found::LoginView(Box::new(login(link, *user)?)))
        }
        Read::Timeline(contract::timeline::Read::Unread { user, after }) => {
            Found::Timeline(contract::timeline::Found::Unread(unread(&ask_one(link, |sql| {
                ask_unread(sql, *user, *after);
            })?)?))
        }
        Read::Contact(contact::Read::FriendIds { user }) => {
            Found::Contact(contact::Found::FriendIds(ids(&ask_one(link, |sql| ask_friend_ids(sql, *user))?)?))
        }
        Read::Timeline(contract::timeline::Read::Standing { user, conversation }) => {
            let overview = overview(link, *user, *conversation)?;
            Found::Timeline(contract::timeline::Found::Standing(overview.map(Overview::standing)))
        }
        Read::Timeline(contract::timeline::Read::Feed { conversation, after, limit, bytes }) => {
            let (from, limit) = ((*conversation, *after), (*limit).max(1) as usize);
            let page = timeline::after(link, from, limit, is_fed(*bytes))?;
            Found::Timeline(contract::timeline::Found::Feed { messages: page.messages, more: page.more })
        }
        Read::Timeline(contract::timeline::Read::History { user, conversation, direction, limit }) => {
            match overview(link, *user, *conversation)? {
                Some(overview) => history(link, &overview, *direction, *limit as usize)?,
                None => Found::Denied(Denial::Forbidden),
            }
        }
        Read::Contact(contact::Read::Friends { user, page }) => {
            let (friends, more) = friends(&ask_one(link, |sql| ask_friends(sql, *user, *page))?, *page)?;
            Found::Contact(contact::Found::Friends { friends, more })
        }
        Read::Group(group::Read::Members { user, conversation, page }) => {
            members(link, *user, *conversation, *page)?
        }
        Read::Timeline(contract::timeline::Read::Conversations { user, before, limit }) => {
            let rows = ask_one(link, |sql| ask_entries(sql, *user, *before, *limit as usize))?;
            let (entries, more) = entries(&rows, *limit as usize)?;
            Found::Timeline(contract::timeline::Found::Conversations { entries, more })
        }
        Read::Group(group::Read::Groups { user, page }) => {
            let (groups, more) = groups(&ask_one(link, |sql| ask_groups(sql, *user, *page))?, *page)?;
            Found::Group(group::Found::Groups { groups, more })
        }
        Read::Group(group::Read::GroupIds { user }) => {
            Found::Group(group::Found::GroupIds(session::group_ids(link, *user)?))
        }
        Read::Presence(presence::Read::Online { users, grace }) => {
            Found::Presence(presence::Found::Online(session::online(link, users, *grace)?))
        }
        Read::Node(node::Read::Claims { node, since }) => session::claims(link, node, *since)?,
        Read::Node(node::Read::Changes { node, since }) => session::changes(link, node, *since)?,
        Read::Node(node::Read::Roster { conversation }) => {
            Found::Node(node::Found::Roster(session::roster(link, *conversation)?.map(Box::new)))
        }
    })
}

fn ask_one(link: &mut Link, question: impl FnOnce(&mut Sql)) -> Result<Vec<Record>, Failure> {
    let mut sql = Sql::new();
    question(&mut sql);
    link.rows(&sql)
}

fn account(link: &mut Link, who: &Who) -> Result<Option<Password>, Failure> {
    let rows = ask_one(link, |sql| {
        sql.push("SELECT id, password FROM user WHERE ").push(social::of(who)).end();
    })?;
    rows.first().map(|row| Ok(Password { user: row.user(0)?, hash: row.text(1)?.into() })).transpose()
}

/// Everything in one round trip.
fn login(link: &mut Link, user: UserId) -> Result<LoginView, Failure> {
    let page = Page { after: 0, limit: LOGIN_LIST_MAX as u32 };
    let mut sql = Sql::new();
    ask_friends(&mut sql, user, page);
    ask_friend_ids(&mut sql, user);
    ask_groups(&mut sql, user, page);
    ask_entries(&mut sql, user, None, LOGIN_LIST_MAX);
    ask_unread(&mut sql, user, ConversationId(0));
    let answers = link.ask(&sql)?;
    let rows = |at: usize| answers.get(at).map_or(&[][..], |answer: &Answer| &answer.rows);
    let (friends, friends_more) = friends(rows(0), page)?;
    let (groups, groups_more) = groups(rows(2), page)?;
    let (conversations, conversations_more) = entries(rows(3), LOGIN_LIST_MAX)?;
    Ok(LoginView {
        friends,
        friends_more,
        friend_ids: ids(rows(1))?,
        groups,
        groups_more,
        conversations,
        conversations_more,
        unread: unread(rows(4))?,
    })
}

/// The columns of [`overview_of`], of a conversation `c` and its member `m`.
const OVERVIEW: &str = "c.id, c.kind, IF(c.low_id = m.user_id, c.high_id, c.low_id) AS peer, c.last_seq, c.updated_at, \
                        GREATEST(c.first_seq, m.joined_seq + 1), m.delivered_seq, m.read_seq";
/// A direct conversation begins with a message: before that nobody sees it.
const IS_VISIBLE: &str = "m.device = 0 AND (c.kind <> 0 OR c.last_seq > 0)";

fn overview_of(row: &Record) -> Result<Overview, Failure> {
    Ok(Overview {
        conversation: row.conversation(0)?,
        kind: kind_of(row.number(1)? as u8),
        peer: row.maybe_number(2)?.map(|id| UserId(id as u32)),
        last: row.seq(3)?,
        time: row.time(4)?,
        first: row.seq(5)?,
        delivered: row.seq(6)?,
        read: row.seq(7)?,
    })
}

fn overview(
    link: &mut Link,
    user: UserId,
    conversation: ConversationId,
) -> Result<Option<Overview>, Failure> {
    let rows = ask_one(link, |sql| {
        sql.statement(format_args!(
            "SELECT {OVERVIEW} FROM member m JOIN conversation c ON c.id = m.conversation_id \
             WHERE m.conversation_id = {conversation} AND m.user_id = {user} AND m.device = 0"
        ));
    })?;
    rows.first().map(overview_of).transpose()
}

fn ask_unread(sql: &mut Sql, user: UserId, after: ConversationId) {
    sql.statement(format_args!(
        "SELECT {OVERVIEW} FROM member m JOIN conversation c ON c.id = m.conversation_id WHERE m.user_id = {user} \
         AND m.conversation_id > {after} AND c.last_seq > m.delivered_seq AND {IS_VISIBLE} \
         ORDER BY m.conversation_id LIMIT {}",
        UNREAD_MAX + 1
    ));
}

/// Where the member is behind; the first page of those.
fn unread(rows: &[Record]) -> Result<UnreadPage, Failure> {
    let (rows, more) = page_of(rows, UNREAD_MAX, |row| overview_of(row).map(Overview::unread))?;
    Ok(UnreadPage { rows, more })
}

/// The latest conversations below a bound, as their member sees them.
fn ask_entries(sql: &mut Sql, user: UserId, before: Option<(UnixMillis, ConversationId)>, limit: usize) {
    sql.push(format_args!(
        "SELECT {OVERVIEW}, COALESCE(u.name, c.name), p.delivered_seq, p.read_seq \
         FROM member m JOIN conversation c ON c.id = m.conversation_id \
         LEFT JOIN member p ON c.kind = 0 AND p.conversation_id = c.id AND p.device = 0 \
         AND p.user_id = IF(c.low_id = m.user_id, c.high_id, c.low_id) LEFT JOIN user u ON u.id = p.user_id \
         WHERE m.user_id = {user} AND {IS_VISIBLE}"
    ));
    if let Some((time, id)) = before {
        sql.push(format_args!(" AND (c.updated_at < {time} OR c.updated_at = {time} AND c.id < {id})"));
    }
    sql.push(format_args!(" ORDER BY c.updated_at DESC, c.id DESC LIMIT {}", limit + 1)).end();
}

fn entries(rows: &[Record], limit: usize) -> Result<Rows<ConversationSummary>, Failure> {
    page_of(rows, limit, |row| {
        let cursor = |column: usize| Ok(row.maybe_number(column)?.map(|seq| Seq(seq as u64)));
        Ok(overview_of(row)?.entry(row.text(8)?.into(), [cursor(9)?, cursor(10)?]))
    })
}

fn history(
    link: &mut Link,
    overview: &Overview,
    direction: Direction,
    limit: usize,
) -> Result<Found, Failure> {
    let (id, first_seq) = (overview.conversation, overview.first);
    let page = match direction {
        Direction::After(bound) => {
            timeline::after(link, (id, bound.max(first_seq.prev())), limit, is_too_long())?
        }
        Direction::Before(bound) => {
            let mut page = timeline::before(link, (id, bound), first_seq, limit, is_too_long())?;
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

fn ask_friend_ids(sql: &mut Sql, user: UserId) {
    sql.statement(format_args!("SELECT friend_id FROM friend WHERE user_id = {user} ORDER BY friend_id"));
}

fn ids(rows: &[Record]) -> Result<Vec<UserId>, Failure> {
    rows.iter().map(|row| row.user(0)).collect()
}

fn ask_friends(sql: &mut Sql, user: UserId, page: Page) {
    sql.statement(format_args!(
        "SELECT u.id, u.name FROM friend f JOIN user u ON u.id = f.friend_id \
         WHERE f.user_id = {user} AND f.friend_id > {} ORDER BY f.friend_id LIMIT {}",
        page.after,
        page.limit + 1
    ));
}

fn friends(rows: &[Record], page: Page) -> Result<Rows<Friend>, Failure> {
    page_of(rows, page.limit as usize, |row| Ok(Friend { user: row.user(0)?, name: row.text(1)?.into() }))
}

fn members(
    link: &mut Link,
    user: UserId,
    conversation: ConversationId,
    page: Page,
) -> Result<Found, Failure> {
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT 1 FROM member WHERE conversation_id = {conversation} AND user_id = {user} AND device = 0"
    ))
    .statement(format_args!(
        "SELECT u.id, u.name, m.role FROM member m JOIN user u ON u.id = m.user_id WHERE m.conversation_id = \
         {conversation} AND m.user_id > {} AND m.device = 0 ORDER BY m.user_id LIMIT {}",
        page.after,
        page.limit + 1
    ));
    let answers = link.ask(&sql)?;
    let [asker, rows] = &answers[..] else { unreachable!("an answer a statement") };
    if asker.rows.is_empty() {
        return Ok(Found::Denied(Denial::Forbidden));
    }
    let member = |row: &Record| {
        Ok(Member { user: row.user(0)?, name: row.text(1)?.into(), role: role_of(row.number(2)? as u8) })
    };
    let (members, more) = page_of(&rows.rows, page.limit as usize, member)?;
    Ok(Found::Group(group::Found::Members { members, more }))
}

fn ask_groups(sql: &mut Sql, user: UserId, page: Page) {
    sql.statement(format_args!(
        "SELECT c.id, c.name, c.description, m.role FROM member m JOIN conversation c ON c.id = m.conversation_id \
         WHERE m.user_id = {user} AND m.conversation_id > {} AND m.device = 0 AND c.kind = 1 \
         ORDER BY m.conversation_id LIMIT {}",
        page.after,
        page.limit + 1
    ));
}

fn groups(rows: &[Record], page: Page) -> Result<Rows<Group>, Failure> {
    page_of(rows, page.limit as usize, |row| {
        Ok(Group {
            conversation: row.conversation(0)?,
            name: row.text(1)?.into(),
            desc: row.text(2)?.into(),
            role: role_of(row.number(3)? as u8),
        })
    })
}

/// At most `limit` rows; one more tells whether there are others.
fn page_of<'a, T>(
    rows: &'a [Record],
    limit: usize,
    each: impl FnMut(&'a Record) -> Result<T, Failure>,
) -> Result<Rows<T>, Failure> {
    let page = rows.iter().take(limit).map(each).collect::<Result<_, _>>()?;
    Ok((page, rows.len() > limit))
}
