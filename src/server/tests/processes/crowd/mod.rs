//! A hostile crowd: attackers of every kind at once, beside fifty innocent users who must not notice them.
//!
//! Quiet phases alternate with attacks, so that whatever else the machine does meanwhile slows both alike. Attackers
//! attempt far more than their budgets allow, but at fixed rates: together with the server they leave most of two
//! cores idle. Latency therefore tells how the server shares its own resources, and not how the kernel shares the
//! processors.
//!
//! What is compared is the median, over all phases of a kind, of the 99th percentile in each. A neighbour's burst of
//! disk flushes falls into one or two phases and does not move the median; a server that the attack slows down is slow
//! in every attack. Whatever happens, nothing is refused but for a disk that takes longer than 1.7 s.
//!
//! Other programs may take the processors in any phase. A chain of threads with no server in it shows how long that alone
//! delays a message: where the chain is slow under attack, messages may be as many times slower than the chain as they
//! may else be slower than in a quiet phase. What the server lets an attacker delay does not slow down the chain.

mod attackers;
mod innocents;
mod machine;
mod stage;

use crate::support::effort::effort;
use crate::support::nodes::Nodes;
use crate::support::process::{cpu_time, need_descriptors, resident_mib};
use crate::support::{Client, Server};
use attackers::Attackers;
use innocents::{Innocents, Latencies};
use machine::Chain;
use stage::{Phase, Stage};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

const QUIET: Duration = Duration::from_millis(800);
const ATTACK: Duration = Duration::from_millis(3_000);
/// After each attack, the server may answer what it has accepted.
const SETTLING: Duration = Duration::from_millis(250);
/// Half a minute of attacks, or a minute and a half.
const ROUNDS: usize = 10;
const ROUNDS_LONG: usize = 30;
/// How much slower innocent users may become, as a ratio of their own quiet figures, or of the chain's under attack.
const RATIO_MAX: u32 = 5;
/// The least quiet figures that the ratio refers to, so that it does not compare one noise of the machine with another.
/// A message passes six threads and a disk flush, 1 to 3 ms at the 99th percentile on an idle machine. Where another
/// program is running, two of the wake-ups may each wait for a time slice (3 ms), and the flush for another one's.
const SEND_FLOOR: Duration = Duration::from_millis(10);
/// A login may wait for the hash that is running, and for one more before its own: three times 10 to 30 ms, as the
/// machine is loaded. With one queue for everybody, it would wait for some hundred.
const LOGIN_FLOOR: Duration = Duration::from_millis(100);
/// What the attackers may make a server hold, MiB: twice `limits.output_mib`, the free 64 KiB of each connection, and
/// what the allocator keeps. Slow readers alone ask for 180 MiB.
const GROWTH_MAX_MIB: u64 = 140;
/// The default cost of passwords, fewer connections than idle strangers open, and less output than slow readers ask for.
const SETTINGS: [&str; 8] = [
    "--set",
    "password.memory_kib=19456",
    "--set",
    "password.iterations=2",
    "--set",
    "limits.connections=500",
    "--set",
    "limits.output_mib=32",
];
/// The defaults, which other tests go without.
const LIMITED: [&str; 6] = [
    "--set",
    "limits.messages_per_second=100",
    "--set",
    "limits.requests_per_second=100",
    "--set",
    "registration.per_address_hour=20",
];
/// Everything that can be switched off.
const UNLIMITED: [&str; 18] = [
    "--set",
    "limits.messages_per_second=0",
    "--set",
    "limits.requests_per_second=0",
    "--set",
    "limits.reads_waiting=0",
    "--set",
    "limits.groups=0",
    "--set",
    "limits.groups_made_day=0",
    "--set",
    "limits.friends=0",
    "--set",
    "limits.conversations=0",
    "--set",
    "limits.members=0",
    "--set",
    "registration.per_address_hour=0",
];

#[test]
fn a_hostile_crowd_does_not_disturb_innocent_users_of_one_node() {
    let _alone = alone();
    let server = Server::start(&[&SETTINGS[..], &LIMITED].concat());
    withstands(&[&server], None, effort(ROUNDS, ROUNDS_LONG));
}

#[test]
fn a_hostile_crowd_does_not_disturb_innocent_users_of_two_nodes() {
    let _alone = alone();
    let nodes = Nodes::start(2, &[&SETTINGS[..], &LIMITED].concat());
    let servers: Vec<&Server> = nodes.nodes.iter().collect();
    withstands(&servers, Some(nodes.redis.address()), effort(ROUNDS, ROUNDS_LONG));
}

#[test]
fn a_hostile_crowd_does_not_disturb_innocent_users_where_no_limit_is_set() {
    let _alone = alone();
    let server = Server::start(&[&SETTINGS[..], &UNLIMITED].concat());
    withstands(&[&server], None, effort(ROUNDS / 2, ROUNDS_LONG));
}

/// Two crowds at once would disturb each other.
fn alone() -> impl Drop {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn withstands(servers: &[&Server], redis: Option<SocketAddr>, rounds: usize) {
    need_descriptors(4_000);
    let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.address).collect();
    let stage = Stage::new();
    let innocents = Innocents::start(&addresses, &stage);
    let attackers = Attackers::start(&addresses, innocents.victim(), redis, &stage);
    let chain = Chain::start(&stage);
    let resident = || -> Vec<u64> { servers.iter().map(|server| resident_mib(server.pid())).collect() };
    let cpu = || -> Duration { servers.iter().map(|server| cpu_time(server.pid())).sum() };
    let before = resident();
    let (mut most, mut busy) = (before.clone(), [Duration::ZERO; 2]);
    for _ in 0..rounds {
        for (phase, time) in [(Phase::Quiet, QUIET), (Phase::Attack, ATTACK), (Phase::Settling, SETTLING)] {
            stage.enter(phase);
            let begun = cpu();
            thread::sleep(time);
            if let Some(busy) = busy.get_mut(phase as usize) {
                *busy += cpu() - begun;
            }
        }
        most = most.into_iter().zip(resident()).map(|(most, now)| most.max(now)).collect();
    }
    stage.end();
    let attempts = attackers.stop();
    let latencies = innocents.stop();
    let machine = chain.stop().of(Phase::Attack);

    eprintln!("{attempts}");
    let [quiet, attacked] = [busy[0].div_duration_f64(QUIET), busy[1].div_duration_f64(ATTACK)]
        .map(|cores| 100.0 * cores / rounds as f64);
    eprintln!("processor time of the server, % of a core: {quiet:.0} quiet, {attacked:.0} under attack");
    eprintln!("resident memory, MiB: {before:?} before, {most:?} at most");
    eprintln!("the chain under attack: {machine}");
    let mut faults = Vec::new();
    for (what, floor, of) in [
        ("SEND", SEND_FLOOR, Latencies::sends as fn(&Latencies) -> &stage::Samples),
        ("LOGIN", LOGIN_FLOOR, Latencies::logins),
    ] {
        let [quiet, attack] = [Phase::Quiet, Phase::Attack].map(|phase| of(&latencies).of(phase));
        eprintln!("{what} quiet:        {quiet}\n{what} under attack: {attack}");
        assert!(quiet.count() >= 3 * rounds && attack.count() >= 10 * rounds, "too few samples");
        let base = quiet.typical_p99().max(machine.typical_p99()).max(floor);
        if attack.typical_p99() > base * RATIO_MAX {
            faults.push(format!(
                "the 99th percentile of {what} is {attack} under attack, {quiet} else, and {machine} of the chain"
            ));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    attempts.assert_made(ATTACK * rounds as u32);
    for (before, most) in before.iter().zip(most) {
        assert!(most <= before + GROWTH_MAX_MIB, "memory grew from {before} to {most} MiB");
    }
    // Everybody who comes afterwards is served as well.
    for &address in &addresses {
        Client::connect(address).settle();
    }
}
