//! What a node takes from Redis, under every kind of payload that somebody else could publish there.

#[path = "../../tests/support/effort.rs"]
mod effort;

use super::codec;
use super::inspector::Inspector;
use super::names::Names;
use super::rejection::Rejection;
use super::seal::{Keys, Sealer, TIME_MS};
use super::values::Values;
use effort::effort;
use logic::BusInput;
use logic::Network;
use logic::attempt::{AccountKey, Attempt, ClientKey};
use logic::bus::{Channel, Hint};
use logic::contract::Epoch;
use logic::contract::node::End;
use std::sync::Arc;
use std::time::Instant;
use storage::{BusKey, KEY_OVERLAP_MS, PeerView, Peers};
use wire::presence::{Presence, PresenceChange};
use wire::session::{Changed, GoingAway, Kicked, Listing};
use wire::timeline::{Receipt, Typist};
use wire::{
    ConversationId, ConversationKind, Errno, Message, Push, Refusal, Seq, UnixMillis, UserId, contact,
    message, presence, session, timeline,
};

const PAYLOADS: usize = 100_000;
const PAYLOADS_LONG: usize = 1_000_000;
/// The database's clock.
const NOW: u64 = 1_800_000_000_000;
const SERVER: &str = "0123456789abcdef0123456789abcdef";

fn view(clock: u64, keys: Vec<BusKey>) -> Arc<PeerView> {
    let runs = ["n1~1", "n2~1", "n3~1"].map(Into::into).into();
    Arc::new(PeerView::new(Peers { keys, runs, clock: UnixMillis(clock), read_at: Instant::now() }))
}

fn key(id: u32, secret: u8, since: u64) -> BusKey {
    BusKey { id, secret: [secret; 32], since: UnixMillis(since) }
}

fn sealer(run: &str, view: &Arc<PeerView>) -> Sealer {
    Sealer::new(Keys::new(Arc::clone(view)), run.into())
}

fn inspector(view: &Arc<PeerView>) -> Inspector {
    Inspector::new(Names::new(SERVER), Keys::new(Arc::clone(view)), "n1~1".into())
}

fn push(push: impl Into<Push>) -> Hint {
    Hint::Push { push: push.into() }
}

fn message(kind: ConversationKind) -> Hint {
    let message = Message {
        conversation: ConversationId(7),
        kind,
        seq: Seq(9),
        from: UserId(3),
        name: "zhang san".into(),
        content_type: "text".into(),
        content: "hello \u{1}\u{1F642}".into(),
        time: UnixMillis(NOW),
        cid: Some("c".into()),
        extra: None,
    };
    Hint::Push { push: message::Push::New(Arc::new(message)).into() }
}

/// Hints with the channel that carries them.
fn carried() -> Vec<(Channel, Hint)> {
    let user = Channel::User(UserId(8));
    let receipt = Receipt { conversation: ConversationId(7), id: UserId(3), seq: Seq(9) };
    let view = timeline::ConversationView {
        conversation: ConversationId(7),
        read_seq: Seq(9),
        first_seq: Seq(1),
        last_seq: Seq(40),
        unread: 12,
        unread_more: true,
        mentions: 2,
        pinned: true,
        muted: false,
        hidden: false,
    };
    let friend = contact::FriendChange {
        id: UserId(3),
        name: "li si".into(),
        event: contact::FriendEvent::Accepted,
        message: None,
    };
    let kick = |device: Option<&str>| Hint::Kick {
        user: UserId(8),
        epoch: Epoch(70_000),
        device: device.map(Into::into),
    };
    let tried = |client, address: &str, is_right: bool| Hint::PasswordTried {
        attempt: Attempt {
            account: AccountKey(1 << 63 | 5),
            network: Network::of(address.parse().unwrap()),
            client,
            is_familiar: !is_right,
        },
        is_right,
    };
    vec![
        (user.clone(), message(ConversationKind::Direct)),
        (Channel::Group(ConversationId(7)), message(ConversationKind::Group)),
        (
            user.clone(),
            push(presence::Push::Changed(Box::new(PresenceChange {
                id: UserId(3),
                state: Presence::Away,
                text: Some("lunch".into()),
                last_seen: Some(UnixMillis(7)),
            }))),
        ),
        (user.clone(), push(timeline::Push::ReadReceipt(receipt))),
        (user.clone(), push(timeline::Push::Delivered(receipt))),
        (user.clone(), push(timeline::Push::Conversation(Box::new(view)))),
        (user.clone(), Hint::Entered { entry: End { conversation: ConversationId(7), last: Seq(1 << 40) } }),
        (user.clone(), Hint::Left { entry: End { conversation: ConversationId(7), last: Seq(1 << 40) } }),
        (user.clone(), Hint::Missed),
        (user, push(contact::Push::Friend(Box::new(friend)))),
        (Channel::Node("n1~1".into()), kick(None)),
        (Channel::Node("n1~1".into()), Hint::Joined { user: UserId(8) }),
        (Channel::Node("n1~1".into()), kick(Some("phone"))),
        (Channel::Node("n1~1".into()), tried(None, "192.0.2.1", true)),
        (Channel::Node("n1~1".into()), tried(Some(ClientKey(7)), "2001:db8::1", false)),
    ]
}

/// A hint that a user's channel carries for a direct chat, and a group's for the group.
fn typing() -> Hint {
    push(timeline::Push::Typing(Typist { conversation: ConversationId(7), id: UserId(3) }))
}

/// Hints that no channel carries.
fn never_carried() -> Vec<Hint> {
    let away = GoingAway { reason: "x".into(), retry_after_ms: 0, node: Some("192.0.2.1:6000".into()) };
    let kicked = Kicked { reason: "x".into(), code: None, device: None, time: UnixMillis(1) };
    vec![
        push(session::Push::GoingAway(Box::new(away))),
        push(session::Push::Kicked(Box::new(kicked))),
        push(session::Push::Probe),
        push(session::Push::Changed(Box::new(Changed { what: vec![Listing::Friends] }))),
        push(Push::Error(Box::new(Refusal::new(Errno::Internal, "x")))),
    ]
}

#[test]
fn each_hint_is_carried_by_one_kind_of_channel() {
    let channels = [
        Channel::User(UserId(8)),
        Channel::Group(ConversationId(7)),
        Channel::Group(ConversationId(8)),
        Channel::Node("n1~1".into()),
    ];
    for (own, hint) in carried() {
        for channel in &channels {
            assert_eq!(channel.carries(&hint), *channel == own, "{channel:?} {hint:?}");
        }
    }
    let carry: Vec<_> = channels.iter().filter(|channel| channel.carries(&typing())).collect();
    assert_eq!(carry, [&channels[0], &channels[1]]);
    for (channel, hint) in
        channels.iter().flat_map(|channel| never_carried().into_iter().map(move |hint| (channel, hint)))
    {
        assert!(!channel.carries(&hint), "{channel:?} {hint:?}");
    }
}

/// A sequence of pseudorandom numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }
}

#[test]
fn nothing_passes_but_fresh_hints_of_live_nodes() {
    let dice = &mut Dice(0xB0);
    let ours = view(NOW, vec![key(1, 1, 0)]);
    let (names, other_names) = (Names::new(SERVER), Names::new("fedcba9876543210fedcba9876543210"));
    let mut inspector = inspector(&ours);
    let mut live = sealer("n2~1", &ours);
    let mut dead = sealer("n2~0", &ours);
    let mut own = sealer("n1~1", &ours);
    let mut late = sealer("n3~1", &view(NOW - TIME_MS - 60_000, vec![key(1, 1, 0)]));
    let mut early = sealer("n3~1", &view(NOW + TIME_MS + 60_000, vec![key(1, 1, 0)]));
    let mut other = sealer("n2~1", &view(NOW, vec![key(1, 2, 0)]));
    let (carried, never_carried) = (carried(), never_carried());
    let mut passed: Vec<(String, Vec<u8>)> = Vec::new();
    let mut rejected = 0;
    let payloads = effort(PAYLOADS, PAYLOADS_LONG);
    for nth in 0..payloads {
        let (channel, hint) = &carried[dice.below(carried.len())];
        let name = names.channel(channel);
        let whole = |sealer: &mut Sealer, place: &str, hint: &Hint| {
            sealer.seal(place, |out| codec::encode(hint, out))
        };
        let (place, payload) = match nth % 12 {
            0 => {
                let length = dice.below(400);
                (name, (0..length).map(|_| dice.roll() as u8).collect())
            }
            1 | 2 => {
                let original = whole(&mut live, &name, hint);
                let mut payload = original.clone();
                for _ in 0..1 + dice.below(3) {
                    let at = dice.below(payload.len());
                    payload[at] = dice.roll() as u8;
                }
                payload[0] ^= u8::from(payload == original);
                (name, payload)
            }
            3 => {
                let mut payload = whole(&mut live, &name, hint);
                payload.truncate(dice.below(payload.len()));
                (name, payload)
            }
            4 if !passed.is_empty() => passed[dice.below(passed.len())].clone(),
            5 => {
                let others: Vec<_> = carried.iter().filter(|(other, _)| other != channel).collect();
                (names.channel(&others[dice.below(others.len())].0), whole(&mut live, &name, hint))
            }
            6 => (name.clone(), whole(&mut other, &name, hint)),
            7 => {
                let place = other_names.channel(channel);
                let sealed = whole(&mut live, &place, hint);
                (if dice.below(2) == 0 { place } else { name }, sealed)
            }
            8 => (name.clone(), whole(&mut dead, &name, hint)),
            9 => (name.clone(), whole(if dice.below(2) == 0 { &mut late } else { &mut early }, &name, hint)),
            10 => (name.clone(), whole(&mut own, &name, hint)),
            _ => (name.clone(), whole(&mut live, &name, &never_carried[dice.below(never_carried.len())])),
        };
        let inspected = inspector.inspect(place.as_bytes(), &payload);
        assert!(inspected.is_err(), "payload {nth} passed as {inspected:?}");
        rejected += 1;
        if nth % 16 == 0 {
            let name = names.channel(channel);
            let payload = whole(&mut live, &name, hint);
            let input = BusInput::Hint { channel: channel.clone(), hint: hint.clone() };
            assert_eq!(inspector.inspect(name.as_bytes(), &payload), Ok(input));
            passed.push((name, payload));
            if passed.len() > 64 {
                passed.swap_remove(dice.below(64));
            }
        }
    }
    assert!(rejected > payloads * 99 / 100, "{rejected}");
}

#[test]
fn each_reason_to_reject_is_told_apart() {
    let ours = view(NOW, vec![key(1, 1, 0)]);
    let (names, mut inspector) = (Names::new(SERVER), inspector(&ours));
    let (channel, hint) = carried().swap_remove(0);
    let name = names.channel(&channel);
    let sealed =
        |run: &str, view: &Arc<PeerView>| sealer(run, view).seal(&name, |out| codec::encode(&hint, out));
    let mut reject = |payload: &[u8]| inspector.inspect(name.as_bytes(), payload).unwrap_err();
    assert_eq!(reject(b"x"), Rejection::Malformed);
    assert_eq!(reject(&sealed("n2~1", &view(NOW, vec![key(1, 2, 0)]))), Rejection::Forged);
    assert_eq!(
        reject(&sealed("n2~1", &view(NOW, vec![key(2, 1, 0)]))),
        Rejection::Forged,
        "of an unknown key"
    );
    assert_eq!(reject(&sealed("n2~1", &view(NOW - 60_000, vec![key(1, 1, 0)]))), Rejection::Late);
    assert_eq!(reject(&sealed("n9~1", &ours)), Rejection::Unlisted);
    assert_eq!(reject(&sealed("n1~1", &ours)), Rejection::Own);
    assert_eq!(reject(&sealer("n2~1", &ours).seal(&name, |out| out.push(9))), Rejection::Malformed);
    assert_eq!(reject(&sealed("n2~1", &ours)), Rejection::Repeated, "the counter was used");
}

#[test]
fn hints_of_a_node_that_is_listed_later_are_a_gap() {
    let ours = view(NOW, vec![key(1, 1, 0)]);
    let (names, mut inspector) = (Names::new(SERVER), inspector(&ours));
    let (channel, hint) = carried().swap_remove(0);
    let name = names.channel(&channel);
    let mut new = sealer("n4~1", &ours);
    let mut inspect = |inspector: &mut Inspector| {
        inspector.inspect(name.as_bytes(), &new.seal(&name, |out| codec::encode(&hint, out))).map(drop)
    };
    assert_eq!(inspect(&mut inspector), Err(Rejection::Unlisted));
    assert!(!inspector.take_gap());
    let latest = ours.latest();
    let runs = ["n1~1", "n2~1", "n3~1", "n4~1"].map(Into::into).into();
    ours.publish(Peers { runs, ..(*latest).clone() });
    assert!(inspector.take_gap() && !inspector.take_gap());
    assert_eq!(inspect(&mut inspector), Ok(()));
}

#[test]
fn nodes_understand_each_other_while_a_key_is_replaced() {
    let since = NOW + KEY_OVERLAP_MS;
    let (names, (channel, hint)) = (Names::new(SERVER), carried().swap_remove(0));
    let name = names.channel(&channel);
    let (old, new) = (vec![key(1, 1, 0)], vec![key(1, 1, 0), key(2, 2, since)]);
    let understands = |clock: u64, by: &[BusKey], of: &[BusKey]| {
        let payload = sealer("n2~1", &view(clock, by.to_vec())).seal(&name, |out| codec::encode(&hint, out));
        inspector(&view(clock, of.to_vec())).inspect(name.as_bytes(), &payload).is_ok()
    };
    // Nodes read the new key at different times, but all of them before it is used.
    for clock in [NOW, since - 1] {
        assert!(understands(clock, &old, &new) && understands(clock, &new, &old));
    }
    // Clocks differ a little when it comes into use.
    assert!(understands(since, &new, &new) && understands(since + 5_000, &old, &new));
    let over = since + KEY_OVERLAP_MS + 1_000;
    assert!(understands(over, &new, &new) && !understands(over, &old, &new), "the old key is refused");
}

#[test]
fn values_are_accepted_from_live_runs_while_they_last() {
    let ours = view(NOW, vec![key(1, 1, 0)]);
    let (keys, mut values) = (Keys::new(Arc::clone(&ours)), Values::default());
    let lease = Names::new(SERVER).lease("n2~1");
    let mut live = sealer("n2~1", &ours);
    let seal = |sealer: &mut Sealer| sealer.seal(&lease, |out| out.extend_from_slice(b"load"));
    let (first, second) = (seal(&mut live), seal(&mut live));
    let mut check = |key: &str, value: &[u8]| {
        values.check(&keys, key, value, 4_000).map(|sealed| sealed.payload.to_vec())
    };
    assert_eq!(check(&lease, &first), Ok(b"load".to_vec()));
    assert_eq!(check(&lease, &second), Ok(b"load".to_vec()));
    assert_eq!(check(&lease, &second), Ok(b"load".to_vec()), "a value is read more than once");
    assert_eq!(check(&lease, &first), Err(Rejection::Repeated), "an older value was put back");
    assert_eq!(check(&Names::new(SERVER).lease("n3~1"), &second), Err(Rejection::Forged));
    let old = seal(&mut sealer("n2~1", &view(NOW - 4_000 - TIME_MS - 5_000, vec![key(1, 1, 0)])));
    assert_eq!(check(&lease, &old), Err(Rejection::Late));
    assert_eq!(check(&lease, &seal(&mut sealer("n2~0", &ours))), Err(Rejection::Unlisted));
    assert_eq!(check(&lease, b"1"), Err(Rejection::Malformed));
}
