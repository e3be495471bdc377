//! Fifty users who chat in pairs, and some who come and go.

use super::stage::{Samples, Stage};
use crate::support::client::{errno, text};
use crate::support::{Account, Client, PATIENCE};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use wire::{Command, Errno, Reply, Target};
use wire::{message, session};

const PAIRS: u8 = 25;
const VISITORS: u8 = 6;
/// Between two messages of a user: the load of people, not of machines.
const SEND_PAUSE: Duration = Duration::from_millis(100);
/// Between two visits of a user. Passwords of all visitors take a tenth of a core.
const VISIT_PAUSE: Duration = Duration::from_millis(600);

/// How long the requests of innocent users took.
#[derive(Debug, Default)]
pub struct Latencies {
    sends: Samples,
    logins: Samples,
}

impl Latencies {
    pub fn sends(&self) -> &Samples {
        &self.sends
    }

    /// Logins by password, each with its connection.
    pub fn logins(&self) -> &Samples {
        &self.logins
    }
}

pub struct Innocents {
    victim: Account,
    threads: Vec<JoinHandle<Latencies>>,
}

impl Innocents {
    /// They log in, in turn to each of these addresses, and begin to chat.
    pub fn start(addresses: &[SocketAddr], stage: &Stage) -> Innocents {
        let address = |number: u8| addresses[usize::from(number) % addresses.len()];
        let join = |number: u8, kind: &str| {
            let (mut client, _) = Client::connect_from(home(number), address(number));
            let account = client.register(&format!("{kind} {number}"));
            client.login(&account);
            (client, account)
        };
        let mut threads = Vec::new();
        for pair in 0..PAIRS {
            let [(ann, left), (bob, right)] = [2 * pair, 2 * pair + 1].map(|number| join(number, "user"));
            for (client, peer) in [(ann, right), (bob, left)] {
                let stage = stage.clone();
                threads.push(thread::spawn(move || chat(client, &peer, &stage)));
            }
        }
        let mut visitors = Vec::new();
        for number in 2 * PAIRS..2 * PAIRS + VISITORS {
            let (_, account) = join(number, "visitor");
            visitors.push(account.clone());
            let (stage, address) = (stage.clone(), address(number));
            threads.push(thread::spawn(move || visit(&account, home(number), address, &stage)));
        }
        Innocents { victim: visitors.swap_remove(0), threads }
    }

    /// A user who logs in again and again.
    pub fn victim(&self) -> &Account {
        &self.victim
    }

    /// Waits until they have left, as they do when the test is over.
    ///
    /// # Panics
    /// If a message of theirs was refused, lost, duplicated or out of order, or a login was refused.
    pub fn stop(self) -> Latencies {
        let mut all = Latencies::default();
        for thread in self.threads {
            let Latencies { sends, logins } = thread.join().expect("an innocent user noticed something");
            all.sends.append(sends);
            all.logins.append(logins);
        }
        all
    }
}

/// The address from which an innocent user connects.
fn home(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1 + number))
}

/// Sends a message to `peer` after every pause. Both count their messages, so each knows what must come from the other.
fn chat(mut client: Client, peer: &Account, stage: &Stage) -> Latencies {
    let mut latencies = Latencies::default();
    let (mut sent, mut received, mut is_over) = (0, 0, false);
    while let Some(scene) = stage.scene() {
        let begun = Instant::now();
        send(&mut client, peer, &sent.to_string());
        latencies.sends.add(scene, stage, begun);
        sent += 1;
        // The peer may leave first.
        is_over |= receive(&mut client, &mut received, SEND_PAUSE);
    }
    send(&mut client, peer, "end");
    while !is_over {
        is_over = receive(&mut client, &mut received, PATIENCE);
    }
    latencies
}

/// Sends a message. It is sent again where storage could not say in time that it is stored: another program may keep the
/// disk busy. Nothing else is forgiven.
fn send(client: &mut Client, peer: &Account, content: &str) {
    let begun = Instant::now();
    let mut command = text(Target::User(peer.id), content, None);
    loop {
        match client.ask(&command) {
            Reply::Message(message::Reply::Sent(_)) => return,
            Reply::Refused(refusal) if refusal.errno == Errno::Unavailable && begun.elapsed() < PATIENCE => {
                command = text(Target::User(peer.id), content, refusal.cid.as_deref());
            }
            other => panic!("SEND was answered {other:?}"),
        }
    }
}

/// Takes messages for a while; returns whether the last one of the peer was among them.
fn receive(client: &mut Client, received: &mut u64, during: Duration) -> bool {
    let until = Instant::now() + during;
    loop {
        let message = client.try_push(until.saturating_duration_since(Instant::now()), |push| match push {
            wire::Push::Message(message::Push::New(message)) => Some(Arc::clone(message)),
            _ => None,
        });
        let Some(message) = message else { return false };
        client.ack(message.conversation, message.seq).expect("the connection lives");
        if &*message.content == "end" {
            return true;
        }
        assert_eq!(&*message.content, received.to_string(), "messages come once and in order");
        *received += 1;
    }
}

/// Logs in by password on a new connection, leaves, and comes back.
fn visit(account: &Account, from: IpAddr, address: SocketAddr, stage: &Stage) -> Latencies {
    let mut latencies = Latencies::default();
    while let Some(scene) = stage.scene() {
        let begun = Instant::now();
        let (mut client, _) = Client::connect_from(from, address);
        match client.ask(&Client::by_password(account, "phone")) {
            Reply::Session(session::Reply::LoggedIn(_)) => {}
            other => panic!("LOGIN of {} was answered {other:?}", account.name),
        }
        latencies.logins.add(scene, stage, begun);
        let logout = client.ask(&Command::Session(session::Request::Logout));
        assert_eq!(errno(&logout), Errno::Ok, "LOGOUT was answered {logout:?}");
        drop(client);
        thread::sleep(VISIT_PAUSE);
    }
    latencies
}
