//! More connections than there is room for, and connections that never log in.

use crate::support::busy::slack;
use crate::support::{Client, PATIENCE, Server, process};
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use wire::node;
use wire::{Command, Target};

/// Two users who chat while others open connections.
struct Pair {
    ann: Client,
    bob: Client,
    to_bob: Target,
}

impl Pair {
    fn chat_on(server: &Server) -> Pair {
        let (ann, _) = Client::join(server.address, "ann");
        let (bob, account) = Client::join(server.address, "bob");
        Pair { ann, bob, to_bob: Target::User(account.id) }
    }

    #[track_caller]
    fn chat(&mut self) {
        let sent = self.ann.send(self.to_bob.clone(), "are you there?");
        let message = self.bob.message();
        assert_eq!((message.conversation, message.seq), (sent.conversation, sent.seq));
    }
}

/// A new connection, if the server serves it.
fn is_served(address: SocketAddr) -> Option<Client> {
    let mut client = Client::try_connect(address).ok()?;
    client.post(&Command::Node(node::Request::Nodes)).ok()?;
    matches!(client.event(PATIENCE), Ok(Some(_))).then_some(client)
}

/// Opens connections until the server serves no more.
fn fill(address: SocketAddr) -> Vec<Client> {
    let served: Vec<Client> = std::iter::from_fn(|| is_served(address)).take(1_000).collect();
    assert!((1..1_000).contains(&served.len()), "{} connections were served", served.len());
    served
}

/// Waits until the server serves a new connection again.
#[track_caller]
fn wait_until_served(address: SocketAddr) -> Client {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match is_served(address) {
            Some(client) => return client,
            None => assert!(Instant::now() < deadline, "no new connection is served"),
        }
    }
}

/// Asserts what holds without room: existing connections are served, new ones are closed, and the server
/// does not spin.
fn hold(server: &Server, pair: &mut Pair, stranger: SocketAddr) {
    let (cpu, begun) = (process::cpu_time(server.pid()), Instant::now());
    while begun.elapsed() < Duration::from_secs(1) {
        pair.chat();
        assert!(is_served(stranger).is_none(), "there was room after all");
        assert_eq!(pair.bob.event(Duration::from_millis(100)).map(|event| event.is_none()), Ok(true));
    }
    let used = process::cpu_time(server.pid()) - cpu;
    assert!(used < begun.elapsed() / 2, "the server used {used:?} of {:?}", begun.elapsed());
}

#[test]
fn a_low_limit_of_open_files_bounds_connections_and_affects_no_existing_one() {
    let limited = ["sh", "-c", "ulimit -n 96 && exec \"$0\" \"$@\""];
    let server = Server::start_wrapped(&limited, 0, &["--set", "limits.connections=10000"]);
    server.wait_for_log("raise LimitNOFILE");
    let mut pair = Pair::chat_on(&server);
    let mut served = fill(server.address);
    hold(&server, &mut pair, server.address);
    served.truncate(served.len() / 2);
    let mut newcomer = wait_until_served(server.address);
    newcomer.register("newcomer");
    pair.chat();
}

#[test]
fn a_server_out_of_descriptors_serves_on_without_spinning_and_recovers() {
    let server = Server::start(&["--set", "limits.connections=10000"]);
    let mut pair = Pair::chat_on(&server);
    // Fewer than the server saw at its start: accept(2) itself fails now.
    process::limit_descriptors(server.pid(), process::descriptors(server.pid()) + 8);
    let served = fill(server.address);
    assert!(served.len() < 20, "{} were served", served.len());
    hold(&server, &mut pair, server.address);
    drop(served);
    let mut newcomer = wait_until_served(server.address);
    newcomer.register("newcomer");
    pair.chat();
    // Raising the limit makes room again.
    process::limit_descriptors(server.pid(), 1_000);
    let more: Vec<Client> = (0..20).map(|_| wait_until_served(server.address)).collect();
    assert_eq!(more.len(), 20);
}

#[test]
fn of_1300_silent_connections_the_oldest_300_are_closed_after_10_seconds() {
    const SILENT: usize = 1_300;
    const MAY_STAY: usize = 1_000;
    process::need_descriptors(2 * SILENT as u64 + 200);
    let server = Server::start(&[]);
    let mut pair = Pair::chat_on(&server);
    let begun = Instant::now();
    let mut silent: Vec<TcpStream> =
        (0..SILENT).map(|_| TcpStream::connect_timeout(&server.address, PATIENCE).unwrap()).collect();
    // The oldest are closed first, each when it is old enough.
    let surplus = SILENT - MAY_STAY;
    for (number, stream) in silent[..surplus].iter_mut().enumerate() {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(is_closed(stream), "silent connection {number} is open after {:?}", begun.elapsed());
        if number == 0 {
            assert!(begun.elapsed() > Duration::from_secs(9), "closed after {:?} already", begun.elapsed());
        }
    }
    let within = Duration::from_secs(10) + slack(Duration::from_secs(6));
    assert!(begun.elapsed() < within, "it took {:?}", begun.elapsed());
    pair.chat();
    let open = silent[surplus..].iter_mut().filter_map(|stream| {
        stream.set_nonblocking(true).unwrap();
        (!is_closed(stream)).then_some(())
    });
    // Connections that are about to log in count, too.
    let open = open.count();
    assert!((MAY_STAY - 5..=MAY_STAY).contains(&open), "{open} silent connections may stay");
    let mut newcomer = wait_until_served(server.address);
    newcomer.register("newcomer");
}

/// Whether the server has closed it. A connection without data is open.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(count) => {
            assert_eq!(count, 0, "a silent connection is told nothing");
            true
        }
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}
