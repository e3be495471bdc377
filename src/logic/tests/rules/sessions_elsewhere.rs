//! Several sessions of an account on several nodes.

use super::harness::{ClaimedSession, Harness, Seen, errno, rules};
use super::sessions::{states, views};
use super::{ALICE_BOB, TO_BOB, ack};
use logic::bus::{BusInput, Channel, Hint};
use logic::contract::session as storage;
use logic::contract::{Epoch, Fence, Written, node};
use logic::limits::{CATCH_UP_MS, PRESENCE_MS, TOUCH_MS, UNENDED_RETRY_MAX_MS};
use logic::{BusOrder, Conflict, Input, Policy, Read, Rules, Write};
use std::sync::Arc;
use wire::presence::Presence;
use wire::session::ClientKind;
use wire::timeline::{ConversationView, Cursor};
use wire::{
    Command, ConversationId, ConversationKind, Errno, Message, Push, Seq, Target, UnixMillis, UserId, group,
    message, session, timeline,
};

const RUN: &str = "n1-1";
const ALICE: UserId = UserId(1);
const TO_ALICE: Target = Target::User(ALICE);

fn node() -> Harness {
    let sessions = Policy { conflict: Conflict::Multi, sessions_max: 10 };
    let mut t =
        Harness::new(Rules { sessions, cluster: Some(RUN.into()), ..rules() }, &["alice", "bob", "carol"]);
    trust(&mut t);
    t
}

/// The node has just read which of its sessions have ended, so that it may push.
fn trust(t: &mut Harness) {
    let at = t.now.monotonic;
    t.hear(BusInput::Heard { at });
}

/// A session of alice on another node.
fn elsewhere(epoch: u32) -> ClaimedSession {
    let fence = Fence { user: ALICE, epoch: Epoch(epoch) };
    let (node, device) = ("n2-7".into(), Some("tablet".into()));
    ClaimedSession { fence, node, token: [99; 32], device, kind: ClientKind::Other }
}

fn hint(t: &mut Harness, channel: Channel, hint: Hint) {
    t.hear(BusInput::Hint { channel, hint });
    t.settle();
}

/// A message that another node has stored.
fn stored_elsewhere(t: &mut Harness, from: UserId, text: &str) -> Arc<Message> {
    let stored = t.store_directly(from, ALICE_BOB, text);
    assert_eq!(stored.kind, ConversationKind::Direct);
    stored
}

/// The node reads from the database that this conversation has an entry which one of its sessions may lack.
fn named(t: &mut Harness, end: node::End) {
    let is_changes = |read: &node::Read| matches!(read, node::Read::Changes { .. });
    t.answer_node(is_changes, |upto| {
        node::Found::Changes(Box::new(node::Changes { upto, more: false, ends: vec![end] }))
    });
}

/// Whether a client is told to read these lists again.
fn tells_of(seen: &Seen, lists: &[session::Listing]) -> bool {
    matches!(seen, Seen::Push(Push::Session(session::Push::Changed(changed))) if changed.what == lists)
}

fn said(message: &Arc<Message>) -> Hint {
    Hint::Push { push: message::Push::New(Arc::clone(message)).into() }
}

#[test]
fn a_claim_in_doubt_is_given_up_until_that_is_stored() {
    let mut t = node();
    let conn = t.open();
    let login = t.ask(conn, Harness::login_command("alice"));
    let is_claim = |(_, write): &(_, Write)| matches!(write, Write::Session(storage::Write::Claim(_)));
    while !t.writes.iter().any(is_claim) {
        assert!(t.step(), "the login claims its session");
    }
    let (ticket, write) = t.writes.pop_front().expect("the claim");
    let Write::Session(storage::Write::Claim(claim)) = write else { panic!("{write:?}") };
    t.logic.handle_written(t.now, ticket, Written::Unavailable, &mut t.effects);
    t.advance(0);
    assert_eq!(errno(&t.reply(conn, login).expect("an answer")), Errno::Unavailable);
    let abandons = |t: &Harness| {
        let is_it = |(_, write): &&(_, Write)| matches!(write, Write::Session(storage::Write::Abandon { user: ALICE, claim: id, .. }) if *id == claim.id);
        t.writes.iter().filter(is_it).count()
    };
    assert_eq!(abandons(&t), 1);
    // While storage is away, it is tried again.
    t.is_away = true;
    for _ in 0..3 {
        while t.store_one() {}
        assert!(!t.logic.is_settled());
        t.advance(UNENDED_RETRY_MAX_MS);
        assert_eq!(abandons(&t), 1);
    }
    t.is_away = false;
    while t.store_one() {}
    t.advance(UNENDED_RETRY_MAX_MS);
    assert_eq!(abandons(&t), 0);
}

#[test]
fn friends_of_a_user_on_several_nodes_see_the_last_one_go() {
    for is_elsewhere in [false, true] {
        let mut t = node();
        t.befriend(1, 2);
        let bob = t.login("bob");
        t.claimed.extend(is_elsewhere.then(|| elsewhere(50)));
        let alice = t.login("alice");
        t.settle();
        assert_eq!(states(t.take(bob)).len(), usize::from(!is_elsewhere), "come");
        t.advance(PRESENCE_MS);
        trust(&mut t);
        t.get(alice, Command::Session(session::Request::Logout));
        t.settle();
        let gone = if is_elsewhere { vec![] } else { vec![Presence::Offline] };
        assert_eq!(states(t.take(bob)), gone);
    }
}

#[test]
fn the_nodes_of_the_other_sessions_learn_of_a_login() {
    let mut t = node();
    t.claimed.push(elsewhere(50));
    t.login("alice");
    t.settle();
    let joined = (Channel::Node("n2-7".into()), Hint::Joined { user: ALICE });
    assert!(t.published.contains(&joined), "{:?}", t.published);
    // A login that ends them tells why.
    let mut t = with_cluster(Policy { conflict: Conflict::Kick, sessions_max: 10 });
    t.claimed.push(elsewhere(50));
    t.login("alice");
    t.settle();
    let kick = Hint::Kick { user: ALICE, epoch: Epoch(50), device: Some("phone".into()) };
    assert!(t.published.contains(&(Channel::Node("n2-7".into()), kick)), "{:?}", t.published);
}

fn with_cluster(sessions: Policy) -> Harness {
    Harness::new(Rules { sessions, cluster: Some(RUN.into()), ..rules() }, &["alice", "bob", "carol"])
}

#[test]
fn a_direct_message_goes_to_the_senders_sessions_on_other_nodes() {
    let mut t = node();
    let alice = t.login("alice");
    t.advance(1);
    t.get(alice, Harness::text(TO_BOB, "alone"));
    t.settle();
    let own = |t: &mut Harness| {
        let own = Channel::User(ALICE);
        std::mem::take(&mut t.published).into_iter().filter(|(channel, _)| *channel == own).count()
    };
    assert_eq!(own(&mut t), 0, "an account with one session costs no more");
    hint(&mut t, Channel::Node(RUN.into()), Hint::Joined { user: ALICE });
    t.get(alice, Harness::text(TO_BOB, "beside another"));
    t.settle();
    assert_eq!(own(&mut t), 1);
    assert_eq!(t.texts(alice), [] as [&str; 0], "it is not told its own");
    // Reads as well.
    let at = Cursor { conversation: ALICE_BOB, seq: Seq(2) };
    let bob = t.login("bob");
    t.advance(1);
    t.get(bob, Harness::text(TO_ALICE, "read me"));
    t.settle();
    own(&mut t);
    t.get(alice, Command::Timeline(timeline::Request::Read(Cursor { seq: Seq(3), ..at })));
    t.settle();
    let is_view = |(_, hint): &(Channel, Hint)| {
        matches!(hint, Hint::Push { push: Push::Timeline(timeline::Push::Conversation(_)) })
    };
    assert_eq!(t.published.iter().filter(|published| is_view(published)).count(), 1);
}

#[test]
fn a_message_from_another_session_elsewhere_is_pushed_here_whatever_that_has_acknowledged() {
    let mut t = node();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.get(bob, Harness::text(TO_ALICE, "1"));
    t.settle();
    assert_eq!(t.texts(alice), ["1"]);
    t.input(ack(alice, 1));
    hint(&mut t, Channel::Node(RUN.into()), Hint::Joined { user: ALICE });
    // The line of the conversation and the track of the session are dropped.
    for _ in 0..20 {
        t.advance(10_000);
        t.settle();
        trust(&mut t);
    }
    t.advance(1);
    // Sent by alice elsewhere, which moves her cursor past it.
    let own = stored_elsewhere(&mut t, ALICE, "2");
    t.conversations[0].cursors.insert(ALICE, (Seq(2), Seq(2)));
    hint(&mut t, Channel::User(ALICE), said(&own));
    assert_eq!(t.texts(alice), ["2"]);
    // Sent by bob, and acknowledged elsewhere before this node has read the roster.
    for _ in 0..20 {
        t.input(ack(alice, 2));
        t.advance(10_000);
        t.settle();
        trust(&mut t);
    }
    t.advance(1);
    let his = stored_elsewhere(&mut t, UserId(2), "3");
    t.conversations[0].cursors.insert(ALICE, (Seq(3), Seq(3)));
    hint(&mut t, Channel::User(ALICE), said(&his));
    assert_eq!(t.texts(alice), ["3"]);
    // The view of another session is told here and goes no further.
    t.published.clear();
    let view = ConversationView {
        conversation: ConversationId(1),
        read_seq: Seq(3),
        first_seq: Seq(1),
        last_seq: Seq(3),
        unread: 0,
        unread_more: false,
        mentions: 0,
        pinned: false,
        muted: false,
        hidden: false,
    };
    let push = timeline::Push::Conversation(Box::new(view)).into();
    hint(&mut t, Channel::User(ALICE), Hint::Push { push });
    assert_eq!(views(t.take(alice)), [view]);
    assert_eq!(t.published, []);
}

#[test]
fn a_client_is_asked_to_look_where_a_lost_hint_may_have_been_acknowledged_elsewhere() {
    let mut t = node();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.get(bob, Harness::text(TO_ALICE, "1"));
    t.input(ack(alice, 1));
    hint(&mut t, Channel::Node(RUN.into()), Hint::Joined { user: ALICE });
    for _ in 0..20 {
        t.advance(10_000);
        t.settle();
        trust(&mut t);
    }
    t.take(alice);
    stored_elsewhere(&mut t, UserId(2), "2");
    t.conversations[0].cursors.insert(ALICE, (Seq(2), Seq(2)));
    // No hint comes. The database names the conversation, as the account has a session on another node.
    named(&mut t, node::End { conversation: ALICE_BOB, last: Seq(2) });
    let looks = |seen: &Seen| tells_of(seen, &[session::Listing::Conversations]);
    assert!(t.take(alice).iter().any(looks));
}

/// The hint that a session began on another node is lost. What has happened since was not published for it.
#[test]
fn a_session_elsewhere_that_the_database_names_is_told_to_read_again() {
    let mut t = node();
    let alice = t.login("alice");
    let claimed = |t: &mut Harness| {
        let is_claims = |read: &node::Read| matches!(read, node::Read::Claims { .. });
        t.answer_node(is_claims, |now| {
            let (ended, joined, unheard) = (vec![], vec![ALICE], UnixMillis(0));
            node::Found::Claims(Box::new(node::Claims { now, ended, joined, unheard }))
        });
        trust(t);
    };
    let missed = |t: &mut Harness| t.published.drain(..).filter(|(_, hint)| *hint == Hint::Missed).count();
    // The first read only asks for the time.
    claimed(&mut t);
    assert_eq!(missed(&mut t), 0);
    claimed(&mut t);
    assert_eq!(missed(&mut t), 1);
    claimed(&mut t);
    assert_eq!(missed(&mut t), 0, "it is known");
    // The other node tells its sessions of the user.
    t.take(alice);
    hint(&mut t, Channel::User(ALICE), Hint::Missed);
    let lists = [session::Listing::Friends, session::Listing::Conversations];
    let looks = |seen: &Seen| tells_of(seen, &lists);
    assert_eq!(t.take(alice).iter().filter(|seen| looks(seen)).count(), 1);
    // Once more when that is written which another node knew at that time.
    t.advance(CATCH_UP_MS);
    t.settle();
    trust(&mut t);
    assert_eq!(t.take(alice).iter().filter(|seen| looks(seen)).count(), 1);
    hint(&mut t, Channel::Node(RUN.into()), Hint::Missed);
    assert!(!t.take(alice).iter().any(looks), "only the user's channel carries it");
}

#[test]
fn a_node_tells_the_database_whom_it_has_heard_of() {
    let mut t = node();
    let (alice, _) = (t.login("alice"), t.login("bob"));
    let touched = |t: &mut Harness| {
        let mut users = Vec::new();
        for (_, write) in &t.writes {
            if let Write::Session(storage::Write::Touch(heard)) = write {
                users.extend(heard.iter().map(|(fence, silent)| (fence.user, *silent)));
            }
        }
        users.sort_unstable();
        t.settle();
        users
    };
    touched(&mut t);
    t.advance(TOUCH_MS);
    touched(&mut t);
    t.advance(TOUCH_MS - 500);
    t.input(Input::Heartbeat { conn: alice });
    t.advance(500);
    assert_eq!(touched(&mut t), [(ALICE, 500)], "only of who was heard of");
    // Nothing is recorded where it decides nothing.
    let mut t = with_cluster(Policy { conflict: Conflict::Kind, sessions_max: 10 });
    t.login("alice");
    t.settle();
    t.advance(TOUCH_MS);
    assert_eq!(touched(&mut t), []);
    assert!(!t.effects.bus.iter().any(|order| matches!(order, BusOrder::Publish { .. })));
    // Also a limit below the number of kinds.
    let mut t = with_cluster(Policy { conflict: Conflict::Kind, sessions_max: 2 });
    t.login("alice");
    t.settle();
    t.advance(TOUCH_MS);
    assert_eq!(touched(&mut t), [(ALICE, TOUCH_MS)]);
}

#[test]
fn a_new_group_is_followed_for_all_sessions_of_the_member() {
    let create = |name: &str| {
        Command::Group(group::Request::Create(group::Create { name: name.into(), desc: "".into() }))
    };
    for is_joined in [true, false] {
        let mut t = node();
        let group = t.group(&[2]);
        let (one, two) = (t.login("alice"), t.login("alice"));
        let bob = t.login("bob");
        t.settle();
        t.advance(1);
        trust(&mut t);
        let group = if is_joined {
            t.get(one, Command::Group(group::Request::Join(group::Join { conversation: group })));
            group
        } else {
            t.get(one, create("climbing"));
            ConversationId(group.0 + 1)
        };
        t.settle();
        t.input(Input::Closed { conn: bob });
        t.get(one, Command::Session(session::Request::Logout));
        t.settle();
        assert!(t.subscribed.contains(&Channel::Group(group)), "the other session is still there");
        t.get(two, Command::Session(session::Request::Logout));
        t.settle();
        assert!(!t.subscribed.contains(&Channel::Group(group)));
    }
}

#[test]
fn other_nodes_learn_that_a_user_has_a_new_group() {
    let mut t = node();
    let group = t.group(&[2]);
    // Whether there is another session elsewhere is not known here yet.
    let alice = t.login("alice");
    t.settle();
    t.advance(1);
    t.get(alice, Command::Group(group::Request::Join(group::Join { conversation: group })));
    t.settle();
    let entry = node::End { conversation: group, last: Seq(1) };
    let entered = (Channel::User(ALICE), Hint::Entered { entry });
    assert!(t.published.contains(&entered), "{:?}", t.published);
    // There, the session follows the group and is told what it has had since, also while it logs in.
    for is_logging_in in [false, true] {
        let mut t = node();
        let group = t.group(&[2]);
        let alice = t.open();
        t.ask(alice, Harness::login_command("alice"));
        t.step_until(|read| matches!(read, Read::Group(_)));
        if !is_logging_in {
            t.settle();
        }
        let members = &mut t.conversations[group.0 as usize - 1];
        members.members.insert(0, ALICE);
        members.joined.insert(ALICE, Seq(0));
        members.cursors.insert(ALICE, (Seq(0), Seq(0)));
        let said = t.store_directly(UserId(2), group, "welcome");
        t.advance(1);
        trust(&mut t);
        let entry = node::End { conversation: group, last: said.seq };
        hint(&mut t, Channel::User(ALICE), Hint::Entered { entry });
        t.advance(1);
        t.settle();
        assert!(t.subscribed.contains(&Channel::Group(group)));
        assert_eq!(t.texts(alice), ["welcome"], "{is_logging_in}");
        t.get(alice, Command::Session(session::Request::Logout));
        t.settle();
        assert!(!t.subscribed.contains(&Channel::Group(group)));
    }
}

#[test]
fn a_group_is_followed_once_the_database_names_it() {
    let mut t = node();
    let group = t.group(&[2]);
    let alice = t.login("alice");
    t.settle();
    t.advance(1);
    // Another session has joined elsewhere and acknowledged its entry; the hint that says so was lost.
    let members = &mut t.conversations[group.0 as usize - 1];
    members.members.insert(0, ALICE);
    members.joined.insert(ALICE, Seq(0));
    let said = t.store_directly(UserId(2), group, "welcome");
    t.conversations[group.0 as usize - 1].cursors.insert(ALICE, (said.seq, said.seq));
    assert!(!t.subscribed.contains(&Channel::Group(group)));
    named(&mut t, node::End { conversation: group, last: said.seq });
    assert!(t.subscribed.contains(&Channel::Group(group)));
    t.get(alice, Command::Session(session::Request::Logout));
    t.settle();
    assert!(!t.subscribed.contains(&Channel::Group(group)));
}

#[test]
fn a_logout_that_may_be_stored_ends_the_session() {
    let mut t = node();
    let alice = t.login("alice");
    t.settle();
    t.take(alice);
    t.is_away = true;
    let logout = t.ask(alice, Command::Session(session::Request::Logout));
    while t.store_one() {}
    assert_eq!(errno(&t.reply(alice, logout).expect("an answer")), Errno::Unavailable);
    assert_eq!(t.logic.sessions(), 0);
    // Its end is stored later.
    t.is_away = false;
    let is_end =
        |(_, write): &(_, Write)| matches!(write, Write::Session(storage::Write::End { token: Some(_), .. }));
    t.advance(UNENDED_RETRY_MAX_MS);
    assert!(t.writes.iter().any(is_end), "{:?}", t.writes);
}

#[test]
fn friends_are_told_once_the_session_is_gone_that_would_have_told_them() {
    // Another session, here or there, took that for granted.
    for is_elsewhere in [false, true] {
        let mut t = node();
        t.befriend(1, 2);
        let bob = t.login("bob");
        t.settle();
        t.take(bob);
        let alice = t.open();
        t.ask(alice, Harness::login_command("alice"));
        t.step_until(|read| matches!(read, Read::Group(_)));
        // Its login waits while the other one comes.
        let waiting = t.reads.pop_back().expect("there is one");
        if is_elsewhere {
            t.claimed.push(elsewhere(50));
            t.elsewhere.push(ALICE);
        } else {
            t.login("alice");
        }
        t.settle();
        assert_eq!(states(t.take(bob)), []);
        t.reads.push_back(waiting);
        t.input(Input::Closed { conn: alice });
        t.settle();
        t.advance(PRESENCE_MS);
        t.settle();
        assert_eq!(states(t.take(bob)), [Presence::Online], "{is_elsewhere}");
    }
}

#[test]
fn friends_are_told_that_a_claim_in_doubt_has_ended_the_last_session() {
    let mut t = with_cluster(Policy { conflict: Conflict::Kick, sessions_max: 10 });
    t.befriend(1, 2);
    let bob = t.login("bob");
    t.settle();
    trust(&mut t);
    t.take(bob);
    t.claimed.push(elsewhere(50));
    let conn = t.open();
    t.ask(conn, Harness::login_command("alice"));
    let is_claim = |(_, write): &(_, Write)| matches!(write, Write::Session(storage::Write::Claim(_)));
    while !t.writes.iter().any(is_claim) {
        assert!(t.step(), "the login claims its session");
    }
    // It is stored, and its answer is lost.
    let (ticket, write) = t.writes.pop_front().expect("the claim");
    t.write(write);
    t.logic.handle_written(t.now, ticket, Written::Unavailable, &mut t.effects);
    t.advance(PRESENCE_MS);
    t.settle();
    assert_eq!(states(t.take(bob)), [Presence::Offline]);
}
