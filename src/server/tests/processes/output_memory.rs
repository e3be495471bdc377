//! Output that clients do not read takes a bounded amount of memory, and its bound affects nobody who reads.

use crate::support::{Account, Client, PATIENCE, Server, process};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use wire::kind::request;
use wire::limits::PAGE_MAX;
use wire::timeline::{self, Direction, History};
use wire::{Command, ConversationId, Reply, Seq, Target};

const ATTACKERS: usize = 80;
/// Pages that each attacker asks for: as many as a connection may ask for at once.
const PAGES: u32 = 32;
/// Bytes of each message, so that a page is as long as it may be.
const MESSAGE_BYTES: usize = 1_000;
/// `limits.output_mib` of the test.
const OUTPUT_MIB: u64 = 16;
/// What the attack may add to the memory of the server: the limit, the free share of each connection, and what the
/// allocator, the journal and SQLite take. All the pages together take 500 MiB.
const GROWTH_MIB: u64 = 96;

fn history(conversation: ConversationId) -> Command {
    let direction = Direction::Before(Seq(u64::from(PAGE_MAX) + 1));
    Command::Timeline(timeline::Request::History(History {
        conversation,
        direction,
        limit: PAGE_MAX,
        with_changes: true,
    }))
}

/// Logs in, asks for pages, and reads nothing.
fn attack(address: SocketAddr, account: &Account, conversation: ConversationId) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.connect(&address.into()).unwrap();
    let (mut stream, mut bytes) = (TcpStream::from(socket), Vec::new());
    Client::by_token(account).encode(1, &mut bytes);
    (0..PAGES).for_each(|page| history(conversation).encode(2 + page, &mut bytes));
    stream.write_all(&bytes).unwrap();
    stream
}

/// Whether the server has closed a connection that has unread input.
fn is_closed(stream: &mut TcpStream) -> bool {
    // A heartbeat without a number is not answered, and a closed connection takes none for long.
    let mut probe = Vec::new();
    wire::frame::put_frame(&mut probe, request::HEARTBEAT, 0, |_| {});
    stream.set_nonblocking(true).unwrap();
    matches!(stream.write(&probe), Err(error) if error.kind() != ErrorKind::WouldBlock)
}

#[test]
fn clients_that_ask_for_pages_and_read_nothing_take_bounded_memory_and_delay_nobody() {
    let server = Server::start(&["--set", &format!("limits.output_mib={OUTPUT_MIB}")]);
    let (mut ann, _) = Client::join(server.address, "ann");
    let (mut bob, bobs_account) = Client::join(server.address, "bob");
    let conversation = ann.create_group("all");
    bob.join_group(conversation);
    let accounts: Vec<Account> = (0..ATTACKERS)
        .map(|number| {
            let (mut client, account) = Client::join(server.address, &format!("attacker {number}"));
            client.join_group(conversation);
            account
        })
        .collect();
    let text = "x".repeat(MESSAGE_BYTES);
    for _ in 0..PAGE_MAX {
        ann.send(Target::Conversation(conversation), &text);
        bob.message();
    }
    assert!(bob.history(conversation, Seq(0)).len() > 100);

    let idle = process::resident_mib(server.pid());
    let mut attackers: Vec<TcpStream> =
        accounts.iter().map(|account| attack(server.address, account, conversation)).collect();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        let sent = ann.send(Target::User(bobs_account.id), "still there?");
        let message = bob.message();
        assert_eq!((message.conversation, message.seq), (sent.conversation, sent.seq));
        bob.ack(message.conversation, message.seq).unwrap();
        // Whoever reads gets pages.
        match bob.ask(&history(conversation)) {
            Reply::Timeline(timeline::Reply::History(page)) => assert!(page.messages.len() > 100),
            other => panic!("HISTORY was answered {other:?}"),
        }
    }
    let peak = process::peak_mib(server.pid());
    assert!(peak <= idle + GROWTH_MIB, "the server grew from {idle} to {peak} MiB");

    // The attackers are closed in the end, and their memory is free.
    let deadline = Instant::now() + PATIENCE;
    while !attackers.iter_mut().all(is_closed) {
        assert!(Instant::now() < deadline, "a client that does not read is never closed");
        thread::sleep(Duration::from_millis(100));
    }
    ann.settle();
    bob.settle();
}
