//! The bounds on the delay of a message to another node, each path by itself: every step is taken at once, and only
//! one thing is broken.

use crate::move_all;
use crate::world::World;
use wire::{Target, UserId};

const STEP_MS: u64 = 20;
/// Round trips between devices, nodes and the database.
const SLACK_MS: u64 = 500;

/// Two nodes, and a user connected to each.
fn two_nodes() -> World {
    let mut w = World::new(7, 2, 3, 2);
    for at in 0..2 {
        log_in(&mut w, at, at);
    }
    // Everything has a line, so that nothing is found by a look at who is where.
    for at in 0..2 {
        assert!(say(&mut w, at, "begin") < SLACK_MS);
    }
    write_to_group(&mut w, "begin");
    run(&mut w, 3_000);
    w
}

fn log_in(w: &mut World, device: usize, node: usize) {
    let now = w.ms;
    w.devices[device].login(now);
    w.pump(device);
    w.connect_to(device, node);
    run(w, 500);
    assert!(w.devices[device].session.is_online());
}

/// Everything moves, but for the reads of one node.
fn step(w: &mut World, without_reads: Option<usize>) {
    move_all(w, without_reads);
    w.advance(STEP_MS);
    w.tick_devices();
}

fn run(w: &mut World, ms: u64) {
    for _ in 0..ms / STEP_MS {
        step(w, None);
    }
}

/// Has one write to the other; gives how long it took to be shown there.
fn say(w: &mut World, from: usize, text: &str) -> u64 {
    write(w, from, text);
    shown(w, 1 - from, text)
}

fn write(w: &mut World, from: usize, text: &str) {
    let (now, to) = (w.ms, w.devices[1 - from].user);
    w.devices[from].write(now, Target::User(to), format!("{text} from {from}"));
    w.pump(from);
}

fn shown(w: &mut World, at: usize, text: &str) -> u64 {
    let (began, text) = (w.ms, format!("{text} from {}", 1 - at));
    while !w.devices[at].shown.values().any(|timeline| timeline.values().any(|shown| *shown == text)) {
        assert!(w.ms < began + 60_000, "`{text}` never comes");
        step(w, None);
    }
    w.ms - began
}

/// Takes the bus away from both nodes, or gives it back.
fn set_away(w: &mut World, away: bool) {
    let now = w.ms;
    (0..2).for_each(|node| w.bus.set_away(node, away, now));
}

#[test]
fn without_faults_messages_arrive_by_the_bus() {
    let mut w = two_nodes();
    let took = say(&mut w, 0, "hello");
    assert!(took <= 100, "{took} ms");
}

#[test]
fn a_lost_hint_is_found_by_the_next_one() {
    let mut w = two_nodes();
    w.bus.loses = 1;
    write(&mut w, 0, "lost");
    run(&mut w, 200);
    w.bus.loses = 0;
    write(&mut w, 0, "heard");
    let took = shown(&mut w, 1, "lost");
    assert!(took <= SLACK_MS, "{took} ms");
}

#[test]
fn a_lost_last_hint_is_found_by_the_periodic_reconciliation() {
    let mut w = two_nodes();
    w.bus.loses = 1;
    let took = say(&mut w, 0, "lost");
    assert!(took > SLACK_MS && took <= 10_000 + SLACK_MS, "{took} ms");
}

#[test]
fn without_the_bus_the_database_is_polled_every_second() {
    let mut w = two_nodes();
    set_away(&mut w, true);
    run(&mut w, 300);
    for n in 0..5 {
        let took = say(&mut w, 0, &format!("dark {n}"));
        assert!(took <= 2_500, "{took} ms");
    }
    set_away(&mut w, false);
    run(&mut w, 300);
    let took = say(&mut w, 0, "light");
    assert!(took <= 100, "{took} ms");
}

#[test]
fn unpublished_messages_are_found_in_the_database() {
    let mut w = two_nodes();
    w.bus.set_mute(0, true);
    for n in 0..5 {
        // Also long after its lease has ended.
        let took = say(&mut w, 0, &format!("unheard {n}"));
        assert!(took <= 2_500, "{took} ms");
        run(&mut w, 7_000);
    }
    w.bus.set_mute(0, false);
    let took = say(&mut w, 0, "heard");
    assert!(took <= 100, "{took} ms");
}

#[test]
fn a_gap_is_filled_at_once() {
    let mut w = two_nodes();
    w.bus.loses = 1;
    write(&mut w, 0, "lost");
    run(&mut w, 200);
    w.bus.overflow(1);
    let took = shown(&mut w, 1, "lost");
    assert!(took <= SLACK_MS, "{took} ms");
}

#[test]
fn a_node_that_dies_between_commit_and_publication_leaves_nothing_stuck() {
    // Whenever the safety sweep was last there: it is not what finds it.
    for second in 0..10 {
        dies_between_commit_and_publication(second * 1_000);
    }
}

fn dies_between_commit_and_publication(after: u64) {
    let mut w = two_nodes();
    run(&mut w, after);
    write(&mut w, 0, "committed");
    for at in w.live_links() {
        w.up(at, usize::MAX);
    }
    w.logic_turn(0, usize::MAX);
    let links = w.live_links();
    w.store_step(0, true);
    assert_eq!(w.crashes, 1);
    // Its client does not come back.
    for at in links {
        if w.links[at].node == 0 {
            w.links[at].dead_there = true;
        }
    }
    let took = shown(&mut w, 1, "committed");
    assert!(took > SLACK_MS && took <= 7_000, "{took} ms");
}

#[test]
fn messages_fed_to_a_new_session_are_not_pushed_again_by_a_late_line() {
    // Whenever the node sweeps, and looks for lost hints.
    for second in 0..10 {
        feeds_a_session_ahead_of_its_line(second * 1_000);
    }
}

fn feeds_a_session_ahead_of_its_line(after: u64) {
    let mut w = two_nodes();
    run(&mut w, after);
    // The second node misses these, and has a line that ends before them.
    w.bus.loses = 1;
    for n in 0..5 {
        write_to_group(&mut w, &format!("lost {n}"));
    }
    run(&mut w, 200);
    // A new session of a third user there is fed them, and acknowledges them.
    w.add_device(w.users[2]);
    log_in(&mut w, 2, 1);
    run(&mut w, 5_000);
    w.bus.loses = 0;
    write_to_group(&mut w, "heard");
    // The link asserts that pushes ascend.
    run(&mut w, 1_000);
    let group = w.group;
    // With the entries of those who joined, from the own one on.
    for (device, entries) in [(1, 2), (2, 1)] {
        assert_eq!(w.devices[device].shown[&group].len(), entries + 1 + 6, "device {device} has all of them");
    }
}

fn write_to_group(w: &mut World, text: &str) {
    let (now, group) = (w.ms, w.group);
    w.devices[0].write(now, Target::Conversation(group), text.to_owned());
    w.pump(0);
}

#[test]
fn with_the_bus_an_older_session_ends_at_once() {
    let mut w = two_nodes();
    w.add_device(w.devices[1].user);
    // The two devices of a user take turns, whenever the database was last asked.
    for (turn, (device, node)) in [(2, 0), (1, 1)].into_iter().cycle().take(8).enumerate() {
        run(&mut w, 130 * turn as u64);
        let now = w.ms;
        w.devices[device].login(now);
        w.pump(device);
        w.connect_to(device, node);
        while !w.devices[device].session.is_online() {
            assert!(w.ms < now + SLACK_MS, "no login in turn {turn}");
            step(&mut w, None);
        }
        run(&mut w, 60);
        let other = 3 - device;
        assert!(w.devices[other].kicked, "not after {} ms in turn {turn}", w.ms - now);
    }
}

#[test]
fn a_node_without_the_bus_stops_pushing_to_sessions_it_may_have_lost() {
    let mut w = two_nodes();
    // Somebody on the second node, whose messages it delivers itself.
    let (writer, stale) = (2, 3);
    w.add_device(w.users[2]);
    log_in(&mut w, writer, 1);
    // Another device of the user who is connected there.
    w.add_device(w.devices[1].user);
    log_in(&mut w, stale, 0);
    run(&mut w, 500);
    assert!(w.devices[1].kicked, "with the bus, the older session ends at once");
    let user: UserId = w.devices[stale].user;

    let now = w.ms;
    w.bus.set_away(1, true, now);
    w.devices[1].login(now);
    w.pump(1);
    w.connect_to(1, 1);
    run(&mut w, 1_000);
    assert!(
        w.devices[stale].kicked,
        "without the bus on one side the other one's kick comes by the database"
    );
    // The newer session begins on the first node, while the second can neither hear nor ask.
    let now = w.ms;
    w.devices[stale].login(now);
    w.pump(stale);
    w.connect_to(stale, 0);
    for n in 0..200 {
        if n % 10 == 0 {
            let now = w.ms;
            let text = format!("late {n}");
            w.devices[writer].write(now, Target::User(user), text);
            w.pump(writer);
        }
        step(&mut w, Some(1));
    }
    assert!(w.devices[stale].session.is_online() && !w.devices[1].kicked, "the older one does not know yet");
    run(&mut w, 1_500);
    assert!(w.devices[1].kicked, "as soon as it can ask, it ends it");
}
