//! chatbench against the real server.

use crate::support::nodes::Nodes;
use crate::support::{Server, programs};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;
use wire::kind::{REPLY, request};
use wire::timeline::Reply as TimelineReply;
use wire::{ChangeKind, Frame, Message, Push, Reply, message, split_frame};

#[test]
fn chatbench_accounts_for_every_message() {
    let server = Server::start(&[]);
    let output = Command::new(programs::chatbench())
        .args(["pairs", "--address", &server.address.to_string()])
        .args(["--pairs", "4", "--window", "8", "--size", "64", "--seconds", "1", "--warmup", "0.2"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Everything that users do, often enough for each to happen.
fn mixed(addresses: &[SocketAddr], seconds: &str) -> Output {
    let mut command = Command::new(programs::chatbench());
    command.args(["mixed", "--circles", "3", "--members", "5", "--rate", "400", "--seed", "7"]);
    command.args(["--mix", "30:20:6:4:1:14:5:14:6", "--warmup", "0.2", "--drain", "60"]);
    command.args(["--seconds", seconds]);
    for address in addresses {
        command.args(["--address", &address.to_string()]);
    }
    command.output().unwrap()
}

fn check_mixed(addresses: &[SocketAddr]) {
    let output = mixed(addresses, "3");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{output:?}");
    let acts = ["edits", "recalls", "reactions", "searches", "entries compared", "searches that found all"];
    let counted = said.lines().find(|line| line.contains(acts[0])).unwrap();
    for act in acts {
        let count = counted.split(", ").find_map(|part| part.trim().strip_prefix(act));
        assert!(count.is_some_and(|count| count != " 0"), "{act}: {said}");
    }
}

#[test]
fn every_client_shows_the_timelines_after_a_mixed_load() {
    check_mixed(&[Server::start(&[]).address]);
}

#[test]
fn every_client_of_two_nodes_shows_the_timelines_after_a_mixed_load() {
    let nodes = Nodes::start(2, &[]);
    check_mixed(&[nodes.nodes[0].address, nodes.nodes[1].address]);
}

#[test]
fn a_client_that_shows_something_else_fails_a_mixed_load() {
    let server = Server::start(&[]);
    for (fault, why) in [
        (Fault::OtherEdit, "\"something else\" at"),
        (Fault::OppositeReaction, "shown as reaction"),
        (Fault::OtherHistory, "in HISTORY text"),
        (Fault::NothingFound, "which was indexed"),
    ] {
        let output = mixed(&[fault.before(server.address)], "1.5");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{fault:?}: {said}{output:?}");
        let shown = said.lines().filter(|line| line.trim_start().starts_with("DIFFERENT: "));
        assert!(shown.clone().any(|line| line.contains(why)), "{fault:?}: {said}");
        assert!(said.contains("messages    none lost"), "only the end state differs: {said}");
    }
}

/// What a proxy makes of what the server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Clients are told of other texts of edits.
    OtherEdit,
    /// Clients are told the opposite of reactions.
    OppositeReaction,
    /// HISTORY shows other texts.
    OtherHistory,
    /// SEARCH finds nothing.
    NothingFound,
}

impl Fault {
    /// A proxy before a server. Its threads end with the test process.
    fn before(self, server: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(server).unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
                thread::spawn(move || self.pass_on(server, client));
            }
        });
        address
    }

    fn pass_on(self, mut server: TcpStream, mut client: TcpStream) {
        let (mut chunk, mut input) = (vec![0; 1 << 16], Vec::new());
        while let Ok(count) = server.read(&mut chunk)
            && count > 0
        {
            input.extend_from_slice(&chunk[..count]);
            let (mut output, mut taken) = (Vec::new(), 0);
            while let Some((frame, length)) = split_frame(&input[taken..], 1 << 24).unwrap() {
                if !self.replace(frame, &mut output) {
                    output.extend_from_slice(&input[taken..taken + length]);
                }
                taken += length;
            }
            input.drain(..taken);
            if client.write_all(&output).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
    }

    /// Appends what is sent instead of a frame; `false`: the frame stays.
    fn replace(self, frame: Frame<'_>, output: &mut Vec<u8>) -> bool {
        if let Ok(Some(Push::Message(message::Push::New(mut entry)))) = Push::decode(frame.kind, frame.value)
        {
            let is_replaced = self.replace_entry(Arc::make_mut(&mut entry));
            if is_replaced {
                Push::Message(message::Push::New(entry)).encode(output);
            }
            return is_replaced;
        }
        let is_paged = [REPLY | request::HISTORY, REPLY | request::SEARCH].contains(&frame.kind);
        let reply = if is_paged { Reply::decode(frame.kind, frame.value) } else { return false };
        let mut reply = reply.unwrap();
        match (self, &mut reply) {
            (Fault::OtherHistory, Reply::Timeline(TimelineReply::History(page))) => {
                let texts = page.messages.iter_mut().map(Arc::make_mut);
                let texts = texts.filter(|entry| entry.is_message() && !entry.content.is_empty());
                texts.for_each(|text| text.content = "something else".into());
            }
            (Fault::NothingFound, Reply::Timeline(TimelineReply::Results(page))) => page.messages.clear(),
            _ => return false,
        }
        reply.encode(frame.kind & !REPLY, frame.request, output);
        true
    }

    fn replace_entry(self, entry: &mut Message) -> bool {
        let extra = entry.extra.as_deref_mut();
        let Some(change) = extra.and_then(|extra| extra.change.as_mut()) else { return false };
        match (self, &mut change.kind) {
            (Fault::OtherEdit, ChangeKind::Edit) => entry.content = "something else".into(),
            (Fault::OppositeReaction, ChangeKind::Reaction { on }) => *on = !*on,
            _ => return false,
        }
        true
    }
}
