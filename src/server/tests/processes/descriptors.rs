//! More connections than there is room for, and connections that never log in.

use crate::support::client::{connect_from, errno};
use crate::support::{Account, Client, PATIENCE, Server, process};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};
use wire::node;
use wire::{Command, Errno, Target};

/// Threads of clients that connect at the same time.
const THREADS: usize = 8;

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

/// Logs in on new connections until the server serves no more.
fn fill(address: SocketAddr) -> Vec<Client> {
    let mut number = 0;
    let logged_in = || {
        number += 1;
        let mut client = is_served(address)?;
        let account = client.register(&format!("user {number}"));
        client.login(&account);
        Some(client)
    };
    let served: Vec<Client> = std::iter::from_fn(logged_in).take(1_000).collect();
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

/// Connections from an address of this machine that send the first byte of a legacy object, as strangers would.
fn begin_objects(source: &str, count: usize, address: SocketAddr) -> Vec<TcpStream> {
    let begin = || {
        let mut stream = connect_from(source.parse().unwrap(), address).0;
        stream.write_all(b"{").unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    (0..count).map(|_| begin()).collect()
}

#[test]
fn connections_that_never_log_in_take_half_of_the_room_and_the_address_with_most_loses_first() {
    const ROOM: usize = 60;
    let server = Server::start(&["--set", &format!("limits.connections={ROOM}")]);
    let mut pair = Pair::chat_on(&server);
    let mut menu = begin_objects("127.0.0.3", 1, server.address);
    let mut attackers = begin_objects("127.0.0.2", ROOM, server.address);
    // They may have half of the room. Of those of one address, the oldest are closed.
    for (number, closed) in attackers[..ROOM / 2].iter_mut().enumerate() {
        assert!(is_closed(closed), "connection {number} is open");
    }
    pair.chat();
    // Users who log in get their room at once, and what the attackers hold of the other half.
    let members: Vec<Client> = (0..ROOM - 10)
        .map(|number| {
            let mut client = Client::connect(server.address);
            let account = client.register(&format!("member {number}"));
            client.login(&account);
            client
        })
        .collect();
    // A client that waits at another address stays.
    menu[0].set_nonblocking(true).unwrap();
    assert!(!is_closed(&mut menu[0]));
    server.wait_for_log("closing the oldest of the address with most of them: 127.0.0.2:");
    pair.chat();
    drop(members);
}

#[test]
fn a_storm_of_logins_from_one_address_loses_no_connection() {
    const CLIENTS: usize = 800;
    process::need_descriptors(2 * CLIENTS as u64 + 200);
    // More clients than half of the room.
    let server = Server::start(&["--set", "limits.connections=1000"]);
    let accounts: Vec<Account> =
        (0..CLIENTS).map(|number| Client::join(server.address, &format!("user {number}")).1).collect();
    let (address, barrier) = (server.address, Arc::new(Barrier::new(THREADS)));
    let threads: Vec<_> = accounts
        .chunks(CLIENTS / THREADS)
        .map(|accounts| {
            let (accounts, barrier) = (accounts.to_vec(), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                let mut clients: Vec<(Client, u32)> = accounts
                    .iter()
                    .map(|account| {
                        let mut client = Client::connect(address);
                        let login = client.post(&Client::by_token(account)).expect("the connection lives");
                        (client, login)
                    })
                    .collect();
                for (client, login) in &mut clients {
                    assert_eq!(errno(&client.reply(*login)), Errno::Ok);
                }
                clients
            })
        })
        .collect();
    let mut clients: Vec<_> =
        threads.into_iter().flat_map(|thread| thread.join().expect("every login succeeds")).collect();
    clients.iter_mut().for_each(|(client, _)| client.settle());
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
