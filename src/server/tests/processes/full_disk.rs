//! A full disk: sends are refused, everything else works, and the server recovers by itself.

use crate::support::busy::slack;
use crate::support::client::text;
use crate::support::ledger::{Post, Sender, audit};
use crate::support::legacy_client::LegacyClient;
use crate::support::{Account, Client, PATIENCE, Server};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use wire::message;
use wire::{Errno, Reply, Seq, Target, UserId};

/// How soon a send is refused.
fn refused_within() -> Duration {
    slack(Duration::from_secs(2))
}

/// A server with its data on a private file system of 8 MiB.
fn server_on_a_small_disk() -> Server {
    let mount = "mkdir -p data && mount -t tmpfs -o size=8m tmpfs data && exec \"$0\" \"$@\"";
    let mut wrapper = vec!["unshare", "--mount"];
    if !rustix::process::geteuid().is_root() {
        wrapper.push("--map-root-user");
    }
    let possible = std::process::Command::new(wrapper[0])
        .args(&wrapper[1..])
        .args(["sh", "-c", "mount -t tmpfs -o size=1m tmpfs /tmp"])
        .output();
    assert!(
        possible.as_ref().is_ok_and(|output| output.status.success()),
        "this test needs a private mount namespace, and none can be made here ({possible:?}): install util-linux and \
         run it as root, in a container with --cap-add SYS_ADMIN, or allow unprivileged user namespaces \
         (sysctl kernel.unprivileged_userns_clone=1)"
    );
    wrapper.extend(["sh", "-c", mount]);
    Server::start_wrapped(&wrapper, 0, &[])
}

/// Writes a file until the disk is full.
fn fill_up(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [64 << 10, 4 << 10, 1] {
        loop {
            match file.write_all(&vec![0; size]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
}

/// Sends one message and records its reply; returns whether it is stored.
fn try_send(ann: &mut Sender, bob: &Account) -> bool {
    let number = ann.posts.len();
    let (target, cid, content) = (Target::User(bob.id), format!("ann-{number}"), format!("{number:02000}"));
    let begun = Instant::now();
    let reply = ann.client.ask(&text(target.clone(), &content, Some(&cid)));
    let place = match reply {
        Reply::Message(message::Reply::Sent(sent)) => Some((sent.conversation, sent.seq)),
        Reply::Refused(refusal) => {
            assert_eq!(refusal.errno, Errno::Unavailable, "{refusal:?}");
            assert_eq!(refusal.cid.as_deref(), Some(&*cid), "the reply says how to retry");
            assert!(begun.elapsed() < refused_within(), "the refusal took {:?}", begun.elapsed());
            None
        }
        other => panic!("SEND was answered {other:?}"),
    };
    ann.posts.push(Post { cid, target, content, place, first_try: true });
    place.is_some()
}

#[test]
fn a_full_disk_refuses_messages_keeps_connections_and_recovers() {
    let mut server = server_on_a_small_disk();
    let mut ann = Sender::join(server.address, "ann");
    let (mut bob, bob_account) = Client::join(server.address, "bob");
    for _ in 0..100 {
        assert!(try_send(&mut ann, &bob_account), "there is room");
    }
    let ballast = server.path_inside("data/ballast");
    fill_up(&ballast);
    // Space that the database has already allocated may take some more.
    let mut refused = 0;
    for _ in 0..5_000 {
        refused = if try_send(&mut ann, &bob_account) { 0 } else { refused + 1 };
        if refused == 5 {
            break;
        }
    }
    assert_eq!(refused, 5, "the disk is full and messages are acknowledged");

    // All connections are open, and stored messages can be read.
    assert!(ann.client.heartbeat(ann.account.id) < refused_within());
    assert!(bob.heartbeat(bob_account.id) < refused_within());
    let promised: Vec<_> = ann.posts.iter().filter_map(|post| post.place).collect();
    let (conversation, _) = promised[0];
    let (_, last) = *promised.last().unwrap();
    assert!(bob.history(conversation, Seq(0)).len() >= promised.len());
    assert!(bob.history(conversation, last.prev()).iter().any(|message| message.seq == last));
    let mut stranger = Client::connect(server.address);
    stranger.settle();
    // Without a cid of the sender's the refusal carries the server's. (As long as the others: a short one might fit.)
    let nameless = "nameless".repeat(250);
    match ann.client.ask(&text(Target::User(bob_account.id), &nameless, None)) {
        Reply::Refused(refusal) => {
            assert_eq!(refusal.errno, Errno::Unavailable);
            let cid = refusal.cid.expect("the server's own");
            let target = Target::User(bob_account.id);
            ann.posts.push(Post {
                cid: cid.into(),
                target,
                content: nameless,
                place: None,
                first_try: false,
            });
        }
        other => panic!("SEND was answered {other:?}"),
    }

    std::fs::remove_file(&ballast).unwrap();
    let freed = Instant::now();
    while !try_send(&mut ann, &bob_account) {
        assert!(freed.elapsed() < PATIENCE, "there is room again, and messages are refused");
    }
    ann.retry_all(server.address);
    for _ in 0..100 {
        assert!(try_send(&mut ann, &bob_account), "there is room");
    }
    audit_without_server_cids(&mut bob, &ann);
    assert!(server.terminate().success(), "{}", server.stderr());
}

#[test]
fn messages_of_legacy_clients_wait_for_room_on_a_full_disk() {
    let mut server = server_on_a_small_disk();
    let (mut reader, id) = LegacyClient::join(server.address, "reader");
    let (mut writer, _) = LegacyClient::join(server.address, "writer");
    let (mut tlv, account) = Client::join(server.address, "tlv");
    let target = || Target::User(UserId(id as u32));
    let ballast = server.path_inside("data/ballast");
    fill_up(&ballast);
    let full = Instant::now();
    while matches!(
        tlv.ask(&text(target(), &"x".repeat(2_000), None)),
        Reply::Message(message::Reply::Sent(_))
    ) {
        assert!(full.elapsed() < PATIENCE, "there is no room, and messages are stored");
        assert!(reader.shown().text.starts_with("xx"));
    }
    for number in 0..50 {
        writer.chat(id, &format!("{number:0600}"));
    }
    // The disk is still full, and nothing has been delivered.
    assert!(matches!(tlv.ask(&text(target(), &"x".repeat(2_000), None)), Reply::Refused(_)));
    reader.shows_nothing();
    std::fs::remove_file(&ballast).unwrap();
    for number in 0..50 {
        assert_eq!(reader.shown().text, format!("{number:0600}"));
    }
    reader.chat(i64::from(account.id.0), "and on");
    assert_eq!(&*tlv.message().content, "and on");
    assert!(server.terminate().success(), "{}", server.stderr());
}

/// Audits with server-made `cid`s filled in: timelines do not show them.
fn audit_without_server_cids(bob: &mut Client, ann: &Sender) {
    let (conversation, _) = ann.posts[0].place.unwrap();
    let mut timeline = bob.history(conversation, Seq(0));
    for message in timeline.iter_mut().filter(|message| message.cid.is_none()) {
        let post = ann.posts.iter().find(|post| *post.content == *message.content).unwrap();
        assert!(post.content.starts_with("nameless"));
        std::sync::Arc::make_mut(message).cid = Some(post.cid.as_str().into());
    }
    audit(conversation, Seq(0), &timeline, &[ann]);
}
