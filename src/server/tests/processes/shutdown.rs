//! Signals: an orderly stop under load, an immediate one, and the data after either.

use crate::support::busy::slack;
use crate::support::client::log_in_and_never_read;
use crate::support::ledger::{Counter, Sender, audit};
use crate::support::{Account, Client, PATIENCE, Server};
use rustix::process::Signal;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};
use wire::session;
use wire::{ConversationId, Push, Seq, Target};

const SENDERS: usize = 3;

/// Streams messages to Bob from several senders until the server ends; `signal` is sent in the middle.
fn stream_through(server: &Server, bob: &Account, signal: Signal) -> Vec<Sender> {
    let mut senders: Vec<Sender> =
        (0..SENDERS).map(|number| Sender::join(server.address, &format!("sender {number}"))).collect();
    let promised = Counter::default();
    thread::scope(|scope| {
        for sender in &mut senders {
            scope.spawn(|| {
                let post = |number| (Target::User(bob.id), format!("message {number}"));
                let _gone = sender.stream(200, usize::MAX, &promised, post);
                // Replies sent before the end are still in the socket, though nothing can be written any more.
                sender.read_to_the_end();
            });
        }
        promised.wait_for(1_000);
        server.signal(signal);
    });
    senders
}

/// Asserts after a restart that every acknowledged message is there and that the others can be retried.
fn audit_after_restart(server: &Server, bob: &Account, senders: &mut [Sender]) {
    let mut bob = Client::login_to(server.address, bob);
    for sender in senders {
        assert!(sender.posts.iter().any(|post| post.place.is_some()));
        sender.retry_all(server.address);
        let conversation: ConversationId = sender.posts[0].place.unwrap().0;
        audit(conversation, Seq(0), &bob.history(conversation, Seq(0)), &[sender]);
    }
}

#[test]
fn a_stop_under_load_warns_everybody_and_loses_nothing_that_was_answered() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        let bob = Client::connect(server.address).register("bob");
        let (mut idle, _) = Client::join(server.address, "idle");
        let begun = Instant::now();
        let mut senders = stream_through(&server, &bob, signal);
        let status = server.wait(PATIENCE);
        assert!(status.success(), "{status}: {}", server.stderr());
        assert!(begun.elapsed() < slack(Duration::from_secs(20)), "it took {:?}", begun.elapsed());
        wait_for_going_away(&mut idle);
        idle.wait_closed(PATIENCE);
        assert!(senders.iter().all(|sender| sender.was_warned), "a sender was not told");
        server.restart();
        audit_after_restart(&server, &bob, &mut senders);
    }
}

/// A server with a client that does not read what it is sent; Ann, who has sent all of that; and Bob.
fn server_with_a_stalled_reader() -> (Server, Sender, Account, Client, TcpStream) {
    let server = Server::start(&[]);
    let (bob, _) = Client::join(server.address, "bob");
    let slow = Client::connect(server.address).register("slow");
    let stalled = log_in_and_never_read(server.address, &slow);
    let mut ann = Sender::join(server.address, "ann");
    let post = |number| (Target::User(slow.id), format!("{number:032000}"));
    ann.store(20, 400, post);
    (server, ann, slow, bob, stalled)
}

fn wait_for_going_away(client: &mut Client) {
    client.push(PATIENCE, |push| matches!(push, Push::Session(session::Push::GoingAway(_))).then_some(()));
}

#[test]
fn a_stalled_reader_does_not_prevent_a_stop() {
    let (mut server, ann, slow, mut bob, _stalled) = server_with_a_stalled_reader();
    server.signal(Signal::TERM);
    wait_for_going_away(&mut bob);
    assert!(server.wait(PATIENCE).success(), "{}", server.stderr());
    server.restart();
    audit_after_restart(&server, &slow, &mut [ann]);
}

#[test]
fn a_second_signal_ends_the_server_at_once_and_loses_nothing() {
    let (mut server, ann, slow, mut bob, _stalled) = server_with_a_stalled_reader();
    server.signal(Signal::TERM);
    // From here on a second signal counts; without one the server would wait 3 s for the stalled reader.
    wait_for_going_away(&mut bob);
    server.signal(Signal::TERM);
    let status = server.wait(PATIENCE);
    assert!(!status.success(), "it had time to stop in order");
    server.restart();
    audit_after_restart(&server, &slow, &mut [ann]);
}

#[test]
fn sighup_reloads_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.toml");
    let level = |level| std::fs::write(&path, format!("[log]\nlevel = \"{level}\"\n")).unwrap();
    level("info");
    let mut server = Server::start(&["--config", path.to_str().unwrap()]);
    let (mut ann, _) = Client::join(server.address, "ann");
    let reload = |server: &Server, outcome: &str| {
        let before = server.stderr().len();
        server.signal(Signal::HUP);
        let until = Instant::now() + PATIENCE;
        while !server.stderr()[before..].contains(outcome) {
            assert!(Instant::now() < until, "{}", server.stderr());
            thread::yield_now();
        }
    };
    level("loud");
    reload(&server, "kept the old configuration");
    assert!(!server.stderr().contains("DEBUG"));
    level("debug");
    reload(&server, "reloaded log.level");
    drop(Client::join(server.address, "bob"));
    server.wait_for_log("DEBUG");
    ann.settle();
    assert!(server.terminate().success());
}
