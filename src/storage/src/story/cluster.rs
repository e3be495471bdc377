//! Several nodes over one database: sessions and their fences, and what has changed since.

use super::{Play, append, appended};
use logic::contract::message::Append;
use logic::contract::node::{Roster, SILENT_MS};
use logic::contract::session::Holder;
use logic::contract::timeline::{CursorMove, CursorStep};
use logic::contract::{
    Denial, Epoch, Fence, Found, Read, TokenHash, Write, Written, contact, group, message, node, presence,
    session, timeline,
};
use wire::account::Who;
use wire::{ConversationId, ConversationKind, Seq, Target, UnixMillis, UserId};

const GRACE: u64 = 300_000;
const LAPTOP: TokenHash = [1; 32];
const PHONE: TokenHash = [2; 32];

fn see(play: &mut Play<'_>, node: &str) {
    assert!(matches!(
        play.one(Write::Node(node::Write::See { node: node.into(), unheard: false })),
        Written::Done
    ));
}

fn claim(user: UserId, node: &str, token: TokenHash) -> Write {
    Write::Session(session::Write::Claim { user, node: node.into(), token, grace: GRACE, unless_held: false })
}

fn claimed(written: &Written) -> (Epoch, Option<Holder>) {
    match written {
        Written::Session(session::Written::Claimed { epoch, before }) => (*epoch, before.clone()),
        other => panic!("{other:?}"),
    }
}

fn online(play: &mut Play<'_>, users: &[UserId]) -> Vec<UserId> {
    match play.read(Read::Presence(presence::Read::Online { users: users.to_vec(), grace: GRACE })) {
        Found::Presence(presence::Found::Online(online)) => online,
        other => panic!("{other:?}"),
    }
}

fn release(user: UserId, epoch: Epoch, ended: bool) -> Write {
    Write::Session(session::Write::Release { fence: Fence { user, epoch }, ended })
}

pub fn a_claim_raises_the_epoch(play: &mut Play<'_>) {
    let (anna, ben) = (play.user("anna"), play.user("ben"));
    see(play, "n1");
    see(play, "n2");
    assert_eq!(online(play, &[anna, ben]), []);
    let (first, before) = claimed(&play.one(claim(anna, "n1", LAPTOP)));
    assert!(first > Epoch::NONE && before.is_none());
    let (second, before) = claimed(&play.one(claim(anna, "n2", PHONE)));
    assert!(second > first);
    assert_eq!(before, Some(Holder { node: "n1".into(), token: LAPTOP }));
    play.stage.restart();
    // In one batch, too.
    let outcomes =
        play.all(vec![claim(anna, "n1", LAPTOP), claim(ben, "n1", PHONE), claim(anna, "n2", PHONE)]);
    let (third, before) = claimed(&outcomes[0]);
    assert_eq!(before, Some(Holder { node: "n2".into(), token: PHONE }));
    assert!(third > second && claimed(&outcomes[2]).0 > third);
    assert_eq!(online(play, &[ben, anna, UserId(999)]), [anna, ben]);
}

pub fn an_older_session_writes_nothing(play: &mut Play<'_>) {
    let (anna, ben) = (play.user("anna"), play.user("ben"));
    let group = play.group(ben, "climbing");
    see(play, "n1");
    let (old, _) = claimed(&play.one(claim(anna, "n1", LAPTOP)));
    let say = |epoch, cid: &str| match append(anna, Target::User(ben), cid, "x") {
        Write::Message(message::Write::Append(append)) => {
            Write::Message(message::Write::Append(Append { epoch, ..append }))
        }
        _ => unreachable!(),
    };
    let fenced = |epoch, write| Write::Fenced(Fence { user: anna, epoch }, Box::new(write));
    let first = appended(&play.one(say(old, "1")));
    play.say(ben, Target::User(anna), "b", "hello");
    // The claim is in the same batch: what stands before it is done, what stands after it is not.
    let outcomes = play.all(vec![say(old, "2"), claim(anna, "n2", PHONE), say(old, "3"), say(old, "1")]);
    assert_eq!(appended(&outcomes[0]).seq, Seq(3));
    let (new, _) = claimed(&outcomes[1]);
    assert!(matches!(outcomes[2], Written::Superseded));
    assert!(matches!(
        outcomes[3],
        Written::Superseded | Written::Message(message::Written::Duplicate { .. })
    ));
    for write in [
        Write::Contact(contact::Write::Add { user: anna, who: Who::Id(ben) }),
        Write::Group(group::Write::Join { user: anna, conversation: group }),
        Write::Group(group::Write::Create { owner: anna, name: "x".into(), desc: "".into() }),
    ] {
        assert!(matches!(play.one(fenced(old, write)), Written::Superseded));
    }
    assert!(matches!(play.one(release(anna, old, true)), Written::Superseded));
    let step = CursorStep::Reach { delivered: Seq(3), read: Seq(3) };
    let reach = |epoch| {
        let (conversation, user) = (first.conversation, anna);
        Write::Timeline(timeline::Write::MoveCursors(vec![CursorMove { conversation, user, epoch, step }]))
    };
    let delivered = |play: &mut Play<'_>| match play
        .read(Read::Timeline(timeline::Read::Standing { user: anna, conversation: first.conversation }))
    {
        Found::Timeline(timeline::Found::Standing(Some(standing))) => standing.delivered,
        other => panic!("{other:?}"),
    };
    let left_out = |written| match written {
        Written::Timeline(timeline::Written::CursorsMoved { left_out }) => left_out,
        other => panic!("{other:?}"),
    };
    assert_eq!(left_out(play.one(reach(old))), [(first.conversation, anna)]);
    assert_eq!(delivered(play), Seq(0), "an older session moves no cursor");
    assert_eq!(left_out(play.one(reach(new))), []);
    assert_eq!(delivered(play), Seq(3));
    play.stage.restart();
    assert!(matches!(play.one(say(old, "4")), Written::Superseded));
    assert_eq!(appended(&play.one(say(new, "3"))).seq, Seq(4));
    let joined = play.one(fenced(new, Write::Group(group::Write::Join { user: anna, conversation: group })));
    assert!(matches!(joined, Written::Done));
    assert!(
        matches!(play.read(Read::Group(group::Read::GroupIds { user: anna })), Found::Group(group::Found::GroupIds(ids)) if ids == [group])
    );
}

pub fn a_session_outlives_its_connection_for_its_grace(play: &mut Play<'_>) {
    let (anna, ben) = (play.user("anna"), play.user("ben"));
    see(play, "n1");
    let (epoch, _) = claimed(&play.one(claim(anna, "n1", LAPTOP)));
    let (bens, _) = claimed(&play.one(claim(ben, "n1", PHONE)));
    assert!(matches!(play.one(release(anna, epoch, false)), Written::Done));
    play.wait(GRACE / 2);
    see(play, "n1");
    assert_eq!(online(play, &[anna, ben]), [anna, ben]);
    // Losing it twice does not make it longer.
    assert!(matches!(play.one(release(anna, epoch, false)), Written::Done));
    play.wait(GRACE / 2);
    see(play, "n1");
    assert_eq!(online(play, &[anna, ben]), [ben]);
    let (epoch, before) = claimed(&play.one(claim(anna, "n1", LAPTOP)));
    assert_eq!(before, None, "its grace was over");
    assert!(matches!(play.one(release(anna, epoch, false)), Written::Done));
    let (epoch, before) = claimed(&play.one(claim(anna, "n1", LAPTOP)));
    assert_eq!(before, Some(Holder { node: "n1".into(), token: LAPTOP }));
    assert!(matches!(play.one(release(anna, epoch, true)), Written::Done));
    assert_eq!(claimed(&play.one(claim(anna, "n1", LAPTOP))).1, None, "it had ended");
    // A node that is not seen for so long takes its sessions along.
    play.wait(GRACE);
    see(play, "n2");
    assert_eq!(online(play, &[anna, ben]), []);
    let (next, before) = claimed(&play.one(claim(ben, "n2", PHONE)));
    assert!(before.is_none() && next > bens);
}

pub fn who_is_connected_can_be_left_alone(play: &mut Play<'_>) {
    let anna = play.user("anna");
    see(play, "n1");
    let politely = |token| {
        Write::Session(session::Write::Claim {
            user: anna,
            node: "n2".into(),
            token,
            grace: GRACE,
            unless_held: true,
        })
    };
    let (epoch, _) = claimed(&play.one(claim(anna, "n1", LAPTOP)));
    assert!(matches!(play.one(politely(PHONE)), Written::Denied(Denial::Conflict)));
    assert!(matches!(play.one(release(anna, epoch, false)), Written::Done), "nothing was claimed");
    claimed(&play.one(politely(PHONE)));
    see(play, "n2");
    assert!(matches!(play.one(politely(LAPTOP)), Written::Denied(Denial::Conflict)));
    claimed(&play.one(politely(PHONE)));
    play.wait(SILENT_MS);
    claimed(&play.one(politely(LAPTOP)));
}

pub fn claims_of_others_are_listed(play: &mut Play<'_>) {
    let (anna, ben, cleo) = (play.user("anna"), play.user("ben"), play.user("cleo"));
    let claims = |play: &mut Play<'_>, since| match play
        .read(Read::Node(node::Read::Claims { node: "n1".into(), since }))
    {
        Found::Node(node::Found::Claims { now, mut claims, .. }) => {
            claims.sort_unstable_by_key(|claim| claim.user);
            (now, claims)
        }
        other => panic!("{other:?}"),
    };
    let (begin, none) = claims(play, UnixMillis::MAX);
    assert_eq!((begin, none), (play.now, vec![]));
    play.one(claim(anna, "n2", LAPTOP));
    play.wait(1_000);
    play.one(claim(ben, "n1", LAPTOP));
    let (bens, _) = claimed(&play.one(claim(ben, "n2", LAPTOP)));
    play.one(claim(cleo, "n1", LAPTOP));
    assert_eq!(claims(play, play.now), (play.now, vec![node::Claim { user: ben, epoch: bens }]));
    assert_eq!(claims(play, begin).1.len(), 2);
    assert!(matches!(play.one(release(ben, bens, true)), Written::Done));
    assert_eq!(claims(play, play.now).1.len(), 1, "that it has ended does not undo that it was claimed");
}

pub fn whoever_was_not_heard_tells_the_others(play: &mut Play<'_>) {
    let unheard = |play: &mut Play<'_>, node: &str| match play
        .read(Read::Node(node::Read::Claims { node: node.into(), since: UnixMillis::MAX }))
    {
        Found::Node(node::Found::Claims { unheard, .. }) => unheard,
        other => panic!("{other:?}"),
    };
    see(play, "n1");
    see(play, "n2");
    assert_eq!(unheard(play, "n2"), UnixMillis(0));
    assert!(matches!(
        play.one(Write::Node(node::Write::See { node: "n1".into(), unheard: true })),
        Written::Done
    ));
    let at = play.now;
    play.wait(1_000);
    see(play, "n1");
    assert_eq!(unheard(play, "n2"), at, "that it lives does not undo it");
    assert_eq!(unheard(play, "n1"), UnixMillis(0), "it is not told of itself");
}

pub fn changes_that_a_nodes_members_lack_are_listed(play: &mut Play<'_>) {
    let (anna, ben, cleo) = (play.user("anna"), play.user("ben"), play.user("cleo"));
    play.one(claim(ben, "n1", LAPTOP));
    play.one(claim(cleo, "n2", LAPTOP));
    let changes = |play: &mut Play<'_>, since| match play
        .read(Read::Node(node::Read::Changes { node: "n1".into(), since }))
    {
        Found::Node(node::Found::Changes(changes)) => {
            assert!(!changes.more);
            (changes.upto, changes.ends.iter().map(|end| (end.conversation, end.last)).collect::<Vec<_>>())
        }
        other => panic!("{other:?}"),
    };
    let (begin, none) = changes(play, UnixMillis::MAX);
    assert_eq!((begin, none), (play.now, vec![]));
    let direct = play.say(anna, Target::User(ben), "1", "x").conversation;
    play.say(anna, Target::User(cleo), "2", "x");
    let step = CursorStep::Reach { delivered: Seq(1), read: Seq(0) };
    let acked = CursorMove { conversation: direct, user: ben, epoch: Epoch::NONE, step };
    play.wait(1_000);
    let later = play.now;
    let group = play.group(anna, "climbing");
    play.join(ben, group);
    play.say(anna, Target::Conversation(group), "3", "x");
    play.look_thrice(|play| {
        assert_eq!(changes(play, begin), (play.now, vec![(direct, Seq(1)), (group, Seq(1))]));
        assert_eq!(changes(play, later).1, [(group, Seq(1))]);
        assert_eq!(changes(play, UnixMillis(later.0 + 1)).1, []);
    });
    play.one(Write::Timeline(timeline::Write::MoveCursors(vec![acked])));
    assert_eq!(changes(play, begin).1, [(group, Seq(1))], "what was delivered is not lacked");
}

pub fn a_roster_has_every_members_place(play: &mut Play<'_>) {
    let (anna, ben) = (play.user("anna"), play.user("ben"));
    let group = play.group(anna, "climbing");
    let outcome = play.one(append(anna, Target::Conversation(group), "1", "x"));
    let Written::Message(message::Written::Appended { member_version: version, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    play.join(ben, group);
    let outcome = play.one(append(anna, Target::Conversation(group), "2", "x"));
    let Written::Message(message::Written::Appended { member_version, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(member_version > version, "a newer list has a higher version");
    play.look_thrice(|play| {
        let Found::Node(node::Found::Roster(Some(roster))) =
            play.read(Read::Node(node::Read::Roster { conversation: group }))
        else {
            panic!()
        };
        let members = vec![(anna, Seq(0)), (ben, Seq(1))];
        let kind = ConversationKind::Group;
        assert_eq!(*roster, Roster { kind, last: Seq(2), member_version, members });
        let nowhere = Read::Node(node::Read::Roster { conversation: ConversationId(999) });
        assert!(matches!(play.read(nowhere), Found::Node(node::Found::Roster(None))));
    });
    let outcome = play.one(append(anna, Target::Conversation(group), "3", "x"));
    assert!(
        matches!(outcome, Written::Message(message::Written::Appended { member_version: same, .. }) if same == member_version)
    );
}
