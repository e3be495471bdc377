//! The attackers. Each has addresses or an account of its own, ignores refusals, and comes back when it is thrown out.

mod accounts;
mod connection;
mod forger;
mod strangers;

use super::stage::{Phase, Stage};
use crate::support::Account;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// An attacker, which strikes at a fixed rate whatever the server does about it.
trait Attack: Send {
    fn name(&self) -> &'static str;

    /// Strikes a second.
    fn rate(&self) -> u32;

    /// What one strike attempts.
    fn attempts(&self) -> u32 {
        1
    }

    /// Attempts it, without waiting for any answer.
    fn strike(&mut self);

    /// Called while there is no attack. Takes back what would keep the server busy for long.
    fn rest(&mut self) {}
}

/// A server that is attacked.
#[derive(Clone, Copy, Debug)]
struct Target {
    address: SocketAddr,
    /// 0 for the first one. Attackers of each have other names and addresses.
    number: u8,
}

/// One thread for each server and one for Redis, which attack in the phase that is for it.
pub struct Attackers(Vec<JoinHandle<Attempts>>);

impl Attackers {
    /// Attackers of all kinds come to each of these servers, and to Redis, where there is one. They prepare what they
    /// need as ordinary users would.
    pub fn start(
        addresses: &[SocketAddr],
        victim: &Account,
        redis: Option<SocketAddr>,
        stage: &Stage,
    ) -> Attackers {
        let mut threads = Vec::new();
        for (&address, number) in addresses.iter().zip(0..) {
            let target = Target { address, number };
            let mut attacks = strangers::all(target, victim);
            attacks.extend(accounts::all(target));
            let stage = stage.clone();
            threads.push(thread::spawn(move || run(attacks, &stage)));
        }
        if let Some(redis) = redis {
            let (forger, stage) = (forger::Forger::new(redis), stage.clone());
            threads.push(thread::spawn(move || run(vec![Box::new(forger)], &stage)));
        }
        Attackers(threads)
    }

    /// Waits until they have left, as they do when the test is over. Returns what they attempted.
    pub fn stop(self) -> Attempts {
        let mut all = Attempts::default();
        for thread in self.0 {
            for (name, Count { nominal, made }) in thread.join().expect("the attackers could attack").0 {
                let count = all.0.entry(name).or_default();
                count.nominal += nominal;
                count.made += made;
            }
        }
        all
    }
}

/// How often each attack was made.
#[derive(Debug, Default)]
pub struct Attempts(BTreeMap<&'static str, Count>);

#[derive(Debug, Default)]
struct Count {
    /// What should be attempted in a second.
    nominal: u32,
    made: u32,
}

impl Attempts {
    /// Checks that the innocent users had something to withstand.
    pub fn assert_made(&self, during: Duration) {
        for (name, Count { nominal, made }) in &self.0 {
            let expected = nominal * during.as_secs() as u32;
            assert!(2 * made > expected, "too weak an attack: {name} {made} times, expected {expected}");
        }
    }
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempts:")?;
        self.0.iter().try_for_each(|(name, count)| write!(f, " {name} {};", count.made))
    }
}

/// Lets each attacker strike at its rate. A thread that was held up does not make up for it.
fn run(mut attacks: Vec<Box<dyn Attack>>, stage: &Stage) -> Attempts {
    const TURN: Duration = Duration::from_millis(10);
    const HELD_UP_MAX: Duration = Duration::from_millis(200);
    let (mut due, mut attempts) = (vec![0.0; attacks.len()], Attempts::default());
    for attack in &attacks {
        let count = Count { nominal: attack.rate() * attack.attempts(), made: 0 };
        attempts.0.insert(attack.name(), count);
    }
    let mut last = Instant::now();
    while let Some(scene) = stage.scene() {
        thread::sleep(TURN);
        let passed = last.elapsed().min(HELD_UP_MAX);
        last = Instant::now();
        if scene.phase != Phase::Attack {
            attacks.iter_mut().for_each(|attack| attack.rest());
            continue;
        }
        for (attack, due) in attacks.iter_mut().zip(&mut due) {
            *due += passed.as_secs_f64() * f64::from(attack.rate());
            while *due >= 1.0 {
                *due -= 1.0;
                attack.strike();
                if let Some(count) = attempts.0.get_mut(attack.name()) {
                    count.made += attack.attempts();
                }
            }
        }
    }
    attempts
}
