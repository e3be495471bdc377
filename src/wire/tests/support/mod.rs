//! Strategies for every value of the protocol.

#![allow(dead_code, reason = "each test file uses some strategies")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::borrow::Cow;
use std::sync::Arc;
use wire::account::{Register, Registered, Who};
use wire::contact::{Friend, FriendChange, FriendEvent, FriendRequest, FriendState, FriendsPage};
use wire::group::{Group, GroupsPage, Member, MembersPage, Role};
use wire::kind::request;
use wire::message::{Send, Sent};
use wire::node::{Node, NodesPage};
use wire::presence::{Presence, PresenceChange};

use wire::session::{Changed, GoingAway, Kicked, Listing, LoggedIn};
use wire::timeline::{ConversationSummary, ConversationsPage, HistoryPage, Receipt};
use wire::{
    Command, ConversationId, ConversationKind, Credentials, Direction, Errno, Message, Page, Push, Refusal,
    Reply, Seq, Target, UnixMillis, UserId, limits, name,
};
use wire::{account, contact, group, message, node, presence, session, timeline};

/// Every type of request with a JSON value, and one that the protocol does not have.
pub fn kinds() -> Vec<u16> {
    let all = wire::kind::REQUESTS.iter().copied().flatten().map(|&(kind, _)| kind);
    all.filter(|&kind| kind != request::HEARTBEAT).chain([99]).collect()
}

/// Text of at most `characters`: ASCII, characters that JSON escapes, and the limits of Unicode.
pub fn text(characters: usize) -> impl Strategy<Value = Box<str>> {
    let odd = select(vec![
        '\0',
        '"',
        '\\',
        '/',
        '\n',
        '\u{7f}',
        '\u{2028}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{10ffff}',
        '张',
    ]);
    let character = prop_oneof![4 => prop::char::range(' ', '~'), 2 => odd, 1 => any::<char>()];
    vec(character, 0..=characters).prop_map(|characters| characters.into_iter().collect::<String>().into())
}

/// Text of `min` to `max` bytes.
fn bytes(min: usize, max: usize) -> impl Strategy<Value = Box<str>> {
    text(max).prop_filter("length", move |text| (min..=max).contains(&text.len()))
}

fn a_name() -> impl Strategy<Value = Box<str>> {
    text(12).prop_filter("a name", |text| name::check("name", text, limits::NAME_CHARS).is_ok())
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..100u64, 0..=limits::INTEGER_MAX, Just(limits::INTEGER_MAX)]
}

fn id() -> impl Strategy<Value = u32> {
    number().prop_map(|number| number.min(limits::ID_MAX) as u32)
}

fn user() -> impl Strategy<Value = UserId> {
    id().prop_map(UserId)
}

fn conversation() -> impl Strategy<Value = ConversationId> {
    id().prop_map(ConversationId)
}

fn seq() -> impl Strategy<Value = Seq> {
    number().prop_map(Seq)
}

fn time() -> impl Strategy<Value = UnixMillis> {
    number().prop_map(UnixMillis)
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![user().prop_map(Who::Id), text(60).prop_map(Who::Name)]
}

fn cid() -> impl Strategy<Value = Box<str>> {
    let own = bytes(1, limits::CID_BYTES).prop_filter("made by the server", |cid| !cid.starts_with('\0'));
    prop_oneof![own, any::<(u64, u64)>().prop_map(|(boot, count)| message::server_cid(boot, count))]
}

fn content_type() -> impl Strategy<Value = Cow<'static, str>> {
    let other = bytes(1, limits::TYPE_BYTES)
        .prop_filter("hidden characters", |text| !text.chars().any(name::is_hidden))
        .prop_map(|text| Cow::Owned(text.into_string()));
    prop_oneof![Just(Cow::Borrowed("text")), other]
}

fn rows() -> impl Strategy<Value = u32> {
    1..=limits::PAGE_MAX
}

fn page() -> impl Strategy<Value = Page> {
    (id(), rows()).prop_map(|(after, limit)| Page { after, limit })
}

fn message_to_friend() -> impl Strategy<Value = Option<Box<str>>> {
    option::of(text(limits::FRIEND_MESSAGE_CHARS))
}

pub fn command() -> impl Strategy<Value = Command> {
    let credentials = prop_oneof![
        (who(), text(130)).prop_map(|(who, password)| Credentials::Password { who, password }),
        bytes(1, limits::TOKEN_BYTES).prop_map(Credentials::Token),
    ];
    let register = (
        a_name(),
        bytes(limits::PASSWORD_BYTES_MIN, limits::PASSWORD_BYTES_MAX),
        option::of(bytes(3, limits::EMAIL_BYTES)),
        option::of(bytes(1, limits::CODE_BYTES)),
        option::of(a_name()),
    )
        .prop_map(|(name, password, email, code, nick)| Register { name, password, email, code, nick });
    let target = prop_oneof![
        user().prop_map(Target::User),
        text(60).prop_map(Target::Name),
        conversation().prop_map(Target::Conversation),
    ];
    let send = (target, bytes(1, 300), content_type(), option::of(cid())).prop_map(
        |(target, content, content_type, cid)| {
            Command::Message(message::Request::Send(Send { target, content, content_type, cid }))
        },
    );
    let direction = prop_oneof![seq().prop_map(Direction::After), seq().prop_map(Direction::Before)];
    prop_oneof![
        4 => send,
        2 => (credentials, option::of(bytes(0, limits::DEVICE_BYTES)))
            .prop_map(|(credentials, device)| Command::Session(session::Request::Login(session::Login { credentials, device }))),
        1 => Just(Command::Session(session::Request::Logout)),
        2 => register.prop_map(|register| Command::Account(account::Request::Register(Box::new(register)))),
        1 => (who(), message_to_friend()).prop_map(|(who, message)| Command::Contact(contact::Request::Add(contact::Add { who, message }))),
        1 => (a_name(), text(limits::GROUP_DESC_CHARS))
            .prop_map(|(name, desc)| Command::Group(group::Request::Create(group::Create { name, desc }))),
        1 => conversation().prop_map(|conversation| Command::Group(group::Request::Join(group::Join { conversation }))),
        1 => (conversation(), seq()).prop_map(|(conversation, seq)| Command::Timeline(timeline::Request::Ack(timeline::Cursor { conversation, seq }))),
        1 => (conversation(), seq()).prop_map(|(conversation, seq)| Command::Timeline(timeline::Request::Read(timeline::Cursor { conversation, seq }))),
        1 => (conversation(), direction, rows()).prop_map(|(conversation, direction, limit)| {
            Command::Timeline(timeline::Request::History(timeline::History { conversation, direction, limit }))
        }),
        1 => (user(), any::<bool>(), message_to_friend())
            .prop_map(|(id, accept, message)| Command::Contact(contact::Request::Answer(contact::Answer { id, accept, message }))),
        1 => page().prop_map(|page| Command::Contact(contact::Request::Friends(page))),
        1 => (conversation(), page()).prop_map(|(conversation, page)| Command::Group(group::Request::Members(group::Members { conversation, page }))),
        1 => (option::of((time(), conversation())), rows())
            .prop_map(|(before, limit)| Command::Timeline(timeline::Request::Conversations(timeline::Conversations { before, limit }))),
        1 => page().prop_map(|page| Command::Group(group::Request::Groups(page))),
        1 => Just(Command::Node(node::Request::Nodes)),
    ]
}

fn conversation_kind() -> impl Strategy<Value = ConversationKind> {
    select(vec![ConversationKind::Direct, ConversationKind::Group])
}

fn presence() -> impl Strategy<Value = Presence> {
    select(vec![Presence::Online, Presence::Offline])
}

fn role() -> impl Strategy<Value = Role> {
    select(vec![Role::Owner, Role::Admin, Role::Member])
}

pub fn message() -> impl Strategy<Value = Message> {
    let place = (conversation(), conversation_kind(), seq(), time());
    (place, user(), a_name(), content_type(), bytes(1, 300), option::of(cid())).prop_map(
        |((conversation, kind, seq, time), from, name, content_type, content, cid)| Message {
            conversation,
            kind,
            seq,
            from,
            name: name.into(),
            content_type,
            content,
            time,
            cid,
        },
    )
}

fn friend() -> impl Strategy<Value = Friend> {
    (user(), a_name(), presence()).prop_map(|(id, name, state)| Friend { id, name, state })
}

fn group() -> impl Strategy<Value = Group> {
    (conversation(), a_name(), text(40), role()).prop_map(|(conversation, name, desc, role)| Group {
        conversation,
        name,
        desc,
        role,
    })
}

fn summary() -> impl Strategy<Value = ConversationSummary> {
    let seqs = (seq(), seq(), seq(), seq(), option::of(seq()), option::of(seq()));
    (conversation(), conversation_kind(), option::of(user()), a_name(), seqs, time()).prop_map(
        |(conversation, kind, peer, name, seqs, time)| ConversationSummary {
            conversation,
            kind,
            peer,
            name,
            last_seq: seqs.0,
            first_seq: seqs.1,
            delivered_seq: seqs.2,
            read_seq: seqs.3,
            time,
            peer_delivered_seq: seqs.4,
            peer_read_seq: seqs.5,
        },
    )
}

fn refusal() -> impl Strategy<Value = Refusal> {
    let errno = select(Errno::ALL.iter().copied().filter(|errno| *errno != Errno::Ok).collect::<Vec<_>>());
    (errno, text(60), option::of(number()), option::of(cid())).prop_map(
        |(errno, errmsg, retry_after_ms, cid)| Refusal {
            errno,
            errmsg: Cow::Owned(errmsg.into_string()),
            retry_after_ms,
            cid,
        },
    )
}

fn logged_in() -> impl Strategy<Value = LoggedIn> {
    let account = (user(), a_name(), text(40), time(), text(20), any::<bool>());
    let lists = (vec(friend(), 0..4), vec(group(), 0..4), vec(summary(), 0..4));
    (account, lists, any::<(bool, bool, bool)>()).prop_map(|(account, lists, more)| LoggedIn {
        id: account.0,
        name: account.1,
        token: account.2,
        token_expires: account.3,
        node: account.4,
        resumed: account.5,
        friends: lists.0,
        groups: lists.1,
        conversations: lists.2,
        friends_more: more.0,
        groups_more: more.1,
        conversations_more: more.2,
    })
}

/// Any reply, with a request type that it may answer.
pub fn reply() -> impl Strategy<Value = (u16, Reply)> {
    let more = any::<bool>;
    let member = (user(), a_name(), presence(), role()).prop_map(|(id, name, state, role)| Member {
        id,
        name,
        state,
        role,
    });
    let asks = (user(), a_name(), text(40), time()).prop_map(|(id, name, message, time)| FriendRequest {
        id,
        name,
        message,
        time,
    });
    let busy = (number(), number(), number(), number());
    let node = (text(20), text(20), busy, any::<bool>()).prop_map(|(node, address, busy, alive)| {
        let (connections, cpu, messages_per_second, score) = busy;
        Node { node, address, connections, cpu, messages_per_second, score, alive }
    });
    let of = |kind: u16| move |reply: Reply| (kind, reply);
    prop_oneof![
        select(vec![
            request::LOGOUT,
            request::ACK,
            request::READ,
            request::JOIN_GROUP,
            request::ANSWER_FRIEND
        ])
        .prop_map(|kind| (kind, Reply::Done)),
        logged_in()
            .prop_map(|body| Reply::Session(session::Reply::LoggedIn(Box::new(body))))
            .prop_map(of(request::LOGIN)),
        (user(), text(40), time())
            .prop_map(|(id, token, token_expires)| {
                Reply::Account(account::Reply::Registered(Box::new(Registered { id, token, token_expires })))
            })
            .prop_map(of(request::REGISTER)),
        (conversation(), seq(), time(), any::<bool>())
            .prop_map(|(conversation, seq, time, duplicate)| {
                Reply::Message(message::Reply::Sent(Sent { conversation, seq, time, duplicate }))
            })
            .prop_map(of(request::SEND)),
        select(vec![FriendState::Requested, FriendState::Friends])
            .prop_map(|state| Reply::Contact(contact::Reply::Added(contact::Added { state })))
            .prop_map(of(request::ADD_FRIEND)),
        conversation()
            .prop_map(|conversation| Reply::Group(group::Reply::Created(group::Created { conversation })))
            .prop_map(of(request::CREATE_GROUP)),
        (vec(message().prop_map(Arc::new), 0..4), more(), seq())
            .prop_map(|(messages, more, first_seq)| {
                Reply::Timeline(timeline::Reply::History(Box::new(HistoryPage { messages, more, first_seq })))
            })
            .prop_map(of(request::HISTORY)),
        (vec(friend(), 0..4), vec(asks, 0..4), more())
            .prop_map(|(friends, requests, more)| Reply::Contact(contact::Reply::Friends(Box::new(
                FriendsPage { friends, requests, more }
            ))))
            .prop_map(of(request::FRIENDS)),
        (vec(member, 0..4), more())
            .prop_map(|(members, more)| Reply::Group(group::Reply::Members(Box::new(MembersPage {
                members,
                more
            }))))
            .prop_map(of(request::MEMBERS)),
        (vec(summary(), 0..4), more())
            .prop_map(|(conversations, more)| {
                Reply::Timeline(timeline::Reply::Conversations(Box::new(ConversationsPage {
                    conversations,
                    more,
                })))
            })
            .prop_map(of(request::CONVERSATIONS)),
        (vec(group(), 0..4), more())
            .prop_map(|(groups, more)| Reply::Group(group::Reply::Groups(Box::new(GroupsPage {
                groups,
                more
            }))))
            .prop_map(of(request::GROUPS)),
        (text(20), vec(node, 0..4))
            .prop_map(|(best, nodes)| Reply::Node(node::Reply::Nodes(Box::new(NodesPage { best, nodes }))))
            .prop_map(of(request::NODES)),
        (select(kinds()), refusal()).prop_map(|(kind, refusal)| (kind, refusal.into())),
    ]
}

pub fn push() -> impl Strategy<Value = Push> {
    let receipt = || {
        (conversation(), user(), seq()).prop_map(|(conversation, id, seq)| Receipt { conversation, id, seq })
    };
    let event = select(vec![
        FriendEvent::Requested,
        FriendEvent::Accepted,
        FriendEvent::Refused,
        FriendEvent::Removed,
    ]);
    let listing = select(vec![Listing::Friends, Listing::Groups, Listing::Conversations]);
    prop_oneof![
        message().prop_map(|message| Push::Message(message::Push::New(Arc::new(message)))),
        (user(), presence())
            .prop_map(|(id, state)| Push::Presence(presence::Push::Changed(PresenceChange { id, state }))),
        (text(40), option::of(text(20)), time()).prop_map(|(reason, device, time)| Push::Session(
            session::Push::Kicked(Box::new(Kicked { reason, device, time }))
        )),
        receipt().prop_map(|body| Push::Timeline(timeline::Push::ReadReceipt(body))),
        receipt().prop_map(|body| Push::Timeline(timeline::Push::Delivered(body))),
        (user(), a_name(), event, option::of(text(40))).prop_map(|(id, name, event, message)| Push::Contact(
            contact::Push::Friend(Box::new(FriendChange { id, name, event, message }))
        )),
        Just(Push::Session(session::Push::Probe)),
        (text(40), number(), option::of(text(20))).prop_map(|(reason, retry_after_ms, node)| {
            Push::Session(session::Push::GoingAway(Box::new(GoingAway { reason, retry_after_ms, node })))
        }),
        vec(listing, 0..4).prop_map(|what| Push::Session(session::Push::Changed(Box::new(Changed { what })))),
        refusal().prop_map(|refusal| Push::Error(Box::new(refusal))),
    ]
}
