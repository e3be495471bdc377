//! A seeded simulation: the rules, the real SQLite store on a disk that fails, and the real client core, with delays,
//! lost connections, crashes and restarts between any two steps; on one node, and on several over one database, joined
//! by a bus that loses, delays, reorders, forgets and goes away. After every run the promises are checked:
//!
//! 1. every message that was answered `errno 0` is in the timeline, and on every device of every member once and in order;
//! 2. a message that was not answered is stored at most once, however often it was retried;
//! 3. timelines have no gaps, and on one connection nothing is left out but that connection's own messages;
//! 4. every request gets one reply, and the reply to LOGIN comes before any push;
//! 5. a session writes nothing once another one has ended it, and gets nothing once its node can know;
//! 6. a member of the group is shown exactly what its timeline holds from the entry of its last join on; who has left, what
//!    it holds up to the entry of that; and nobody anything that was stored while it was no member;
//! 7. a message is for every member what its timeline says, each change once and in order, whatever it met first; and a
//!    change that was answered is in the timeline;
//! 8. how many messages are unread, in every list that a device was ever told, equals a recount of the timeline;
//! 9. what a search returns is what HISTORY shows at that moment, all that is indexed, and nobody finds what it may not
//!    see.
//!
//! In some runs messages become so old that they are dropped; all of this holds for what is kept.
//!
//! `SIM_SEED=n cargo test -p chatserver --test simulation` replays one run; `SIM_RUNS=n` makes that many; both together
//! begin at that seed. `make test-long` makes many thousands.

mod bounds;
mod bus;
mod device;
mod dice;
#[path = "../support/effort.rs"]
mod effort;
mod link;
mod node;
mod promises;
mod refusals;
mod unread;
mod world;

use dice::Dice;
use effort::effort;
use logic::{Conflict, Policy};
use std::num::NonZero;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, available_parallelism};
use world::World;

const RUNS: u64 = 1_000;
const RUNS_LONG: u64 = 150_000;

#[test]
fn the_promises_hold_under_random_faults() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let (from, runs) = (number("SIM_SEED"), number("SIM_RUNS"));
    if let (Some(seed), None) = (from, runs) {
        run(seed);
        return;
    }
    let from = from.unwrap_or_default();
    let seeds = from..from + runs.unwrap_or_else(|| effort(RUNS, RUNS_LONG));
    let all = match run_all(seeds) {
        Ok(all) => all,
        Err(seed) => panic!("run {seed} broke a promise; SIM_SEED={seed} replays it"),
    };
    let is_whole = runs.is_none();
    let has_all = all.crashes > 0 && all.answers > 0 && all.dropped > 0;
    assert!(!is_whole || has_all, "crashes, searches and dropped months are part of this");
}

/// Makes these runs, on all processors.
///
/// # Errors
/// The lowest seed of a run that broke a promise. None is begun after one has.
fn run_all(seeds: Range<u64>) -> Result<Counts, u64> {
    let next = AtomicU64::new(seeds.start);
    let broken = AtomicU64::new(u64::MAX);
    let work = || {
        let mut all = Counts::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || broken.load(Ordering::Relaxed) < u64::MAX {
                return all;
            }
            match catch_unwind(AssertUnwindSafe(|| run(seed))) {
                Ok(counts) => all.add(&counts),
                Err(_) => {
                    broken.fetch_min(seed, Ordering::Relaxed);
                }
            }
        }
    };
    let mut all = Counts::default();
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..available_parallelism().map_or(1, NonZero::get)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().for_each(|thread| all.add(&thread.join().expect("its runs are caught")));
    });
    match broken.into_inner() {
        u64::MAX => Ok(all),
        seed => Err(seed),
    }
}

/// What happened in runs.
#[derive(Default)]
struct Counts {
    crashes: u32,
    /// Answers to searches.
    answers: u32,
    /// Conversations of which months were dropped.
    dropped: usize,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.crashes += other.crashes;
        self.answers += other.answers;
        self.dropped += other.dropped;
    }
}

/// Makes one run.
fn run(seed: u64) -> Counts {
    let mut dice = Dice(seed ^ 0xC4A7);
    let users = 2 + dice.below(3);
    // In some runs a user has several devices, which end each other's sessions, or stay beside each other.
    let devices = users + if dice.once_in(3) { 1 + dice.below(2) * users.min(2) } else { 0 };
    let conflict = if dice.once_in(2) { Conflict::Multi } else { Conflict::Kind };
    let policy = Policy { conflict, sessions_max: 10 };
    let faults = Faults {
        crash: dice.below(4),
        drop: dice.below(4),
        full: dice.below(3),
        restart: dice.below(3),
        bus: dice.below(3),
    };
    let nodes = if dice.once_in(2) { 1 } else { 2 + dice.below(2) };
    // The others join when they are told to.
    let members = 1 + dice.below(users);
    let mut world = World::with_members(seed, nodes, users, devices, members, policy);
    if dice.once_in(4) {
        world.begin_index();
    }
    let agings = if dice.once_in(4) { 1 + dice.below(3) } else { 0 };
    world.bus.loses = dice.below(4) * dice.below(8);
    let steps = 300 + dice.below(900);
    let mut aged = 0;
    for at in 0..steps {
        step(&mut world, &faults);
        // Nobody sends again what is so old.
        if aged < agings && at > steps * (aged + 1) / (agings + 2) && world.is_settled() {
            aged += 1;
            world.age();
        }
    }
    settle(&mut world);
    let dropped = promises::check(&mut world);
    Counts { crashes: world.crashes, answers: world.answers(), dropped }
}

/// How often each fault happens, from 0 (never) up.
struct Faults {
    crash: usize,
    drop: usize,
    full: usize,
    restart: usize,
    bus: usize,
}

fn step(w: &mut World, faults: &Faults) {
    let links = w.live_links();
    let link = w.dice.pick(&links).copied();
    let device = w.dice.below(w.devices.len());
    let node = w.dice.below(w.nodes.len());
    match w.dice.below(100) {
        0..6 => w.write_text(device),
        6..8 => w.change(device),
        8..9 => w.read_some(device),
        9..12 => {
            let now = w.ms;
            if w.devices[device].session.account().is_none() || w.devices[device].kicked {
                w.devices[device].login(now);
            }
            w.pump(device);
        }
        12..19 => w.connect(device),
        19..20 => w.change_group(device),
        20..35 => {
            if let Some(at) = link {
                let count = 1 + w.dice.below(400);
                w.up(at, count);
            }
        }
        35..50 => {
            if let Some(at) = link {
                let count = 1 + w.dice.below(600);
                w.down(at, count);
            }
        }
        50..65 => {
            let most = 1 + w.dice.below(6);
            w.logic_turn(node, most);
        }
        65..75 => {
            let crash = faults.crash > 0 && w.dice.once_in(60 / faults.crash);
            if !w.is_clustered() && faults.crash > 0 && w.dice.once_in(90 / faults.crash) {
                w.store_step_in_a_power_cut(node);
            } else {
                w.store_step(node, crash);
            }
        }
        75..80 => w.read_step(node),
        80..82 => w.password_step(node),
        82..86 => w.housekeep(),
        86..94 => {
            let ms = match w.dice.below(10) {
                0 => 1_000 + w.dice.roll() % 4_000,
                _ => w.dice.roll() % 60,
            };
            w.advance(ms);
            w.tick_devices();
        }
        94..96 => {
            if let Some(at) = link
                && faults.drop > 0
                && w.dice.once_in(6 / faults.drop)
            {
                w.drop_link(at);
            }
        }
        96..97 => {
            if faults.crash > 0 && w.dice.once_in(9 / faults.crash) {
                w.crash(node);
            }
        }
        97..98 => {
            if faults.full > 0 {
                let (tables, journal) = (w.dice.once_in(3), w.dice.once_in(3));
                w.set_full(tables, journal);
            }
        }
        98..99 => {
            if faults.restart > 0 && w.dice.once_in(4 / faults.restart) {
                restart(w, device);
            }
        }
        _ => w.logic_turn(node, 1000),
    }
    match w.dice.below(24) {
        0 => w.search(device),
        1..4 => {
            w.follow();
        }
        4..7 => w.answer_search(node),
        _ => {}
    }
    if w.nodes.len() > 1 && faults.bus > 0 && w.dice.once_in(60 / faults.bus) {
        bus_fault(w, node);
    }
}

fn bus_fault(w: &mut World, node: usize) {
    let ms = w.ms;
    match w.dice.below(8) {
        0 => w.bus.flush(),
        1 => w.bus.overflow(node),
        2 => (0..w.nodes.len()).for_each(|node| w.bus.set_away(node, true, ms)),
        3 => w.bus.set_away(node, true, ms),
        4 => w.restart_database(),
        5 => w.bus.set_mute(node, true),
        6 => w.bus.set_mute(node, false),
        _ => (0..w.nodes.len()).for_each(|node| w.bus.set_away(node, false, ms)),
    }
}

fn restart(w: &mut World, device: usize) {
    if let Some(at) = w.devices[device].link {
        w.links[at].dead_there = true;
        w.links[at].up.clear();
    }
    let (now, mut dice) = (w.ms, w.dice.clone());
    w.dice.roll();
    w.devices[device].restart(now, &mut dice);
    if w.devices[device].session.account().is_some() {
        w.devices[device].login(now);
    }
    w.pump(device);
}

/// Delivers all that is in flight, and has every node do its work, except the reads of one.
fn move_all(w: &mut World, without_reads: Option<usize>) {
    for at in w.live_links() {
        w.up(at, usize::MAX);
        w.down(at, usize::MAX);
    }
    for node in 0..w.nodes.len() {
        w.logic_turn(node, usize::MAX);
        w.store_step(node, false);
        if without_reads != Some(node) {
            w.read_step(node);
        }
        w.password_step(node);
        w.answer_search(node);
    }
    w.follow();
}

/// Ends all faults, and advances time until nothing is left to do.
fn settle(w: &mut World) {
    w.set_full(false, false);
    w.bus.loses = 0;
    for node in 0..w.nodes.len() {
        if w.nodes.len() > 1 {
            let ms = w.ms;
            w.bus.set_away(node, false, ms);
            w.bus.set_mute(node, false);
        }
    }
    for at in w.live_links() {
        if w.links[at].dead_there || w.links[at].cut {
            w.links[at].up.clear();
            w.server_notices(at);
            w.device_notices(at);
        }
    }
    // Of two devices of a user, one at a time: first the one that is in, then each of the others gets its turn.
    let turns: Vec<usize> = (0..w.devices.len()).rev().chain(0..w.devices.len()).collect();
    for (nth, device) in turns.iter().copied().enumerate() {
        // Long enough for every coalesced receipt and every retry; in the end also for the slowest of what finds a lost
        // hint. (Not longer: nobody answers heartbeats here, and who misses them logs in again.)
        let is_last = nth + 1 == turns.len();
        let calm = if w.nodes.len() > 1 && is_last { 600 } else { 150 };
        let mut quiet = 0;
        for round in 0.. {
            assert!(round < 20_000, "the server does not come to rest: {}", w.describe());
            // A login may be refused for a while; people try again.
            if round % 100 == 0 && (w.devices[device].session.account().is_none() || w.devices[device].kicked)
            {
                let now = w.ms;
                w.devices[device].login(now);
                w.pump(device);
            }
            for device in 0..w.devices.len() {
                w.connect(device);
            }
            move_all(w, None);
            w.housekeep();
            let user = w.devices[device].user;
            let served = w.devices[device].session.is_online() && w.devices[device].session.unsent() == 0;
            let others = w.devices.iter().all(|d| {
                d.user == user || d.kicked || d.session.account().is_none() || d.session.is_settled()
            });
            quiet = if w.is_quiet() && served && others { quiet + 1 } else { 0 };
            if quiet > calm {
                break;
            }
            w.advance(20);
            w.tick_devices();
        }
    }
}
