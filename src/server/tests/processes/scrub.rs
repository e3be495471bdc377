//! A recalled text in the folder of a server: gone within a minute.

use crate::changes::changed;
use crate::support::{Client, Server};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use wire::change::{Edit, Recall, Request};
use wire::{ConversationId, Seq, Target};

/// What is promised.
const PROMISED: Duration = Duration::from_secs(60);

/// Whether `grep -r` finds a text in a folder.
fn is_found(text: &str, folder: &Path) -> bool {
    let status = Command::new("grep").args(["-r", "-q", "-a", text]).arg(folder).status().expect("grep runs");
    status.code() == Some(0)
}

/// Sends a message, edits it twice, and recalls it; returns the three texts.
fn recall_one(client: &mut Client, conversation: ConversationId, which: &str) -> [String; 3] {
    let texts = ["first", "second", "third"].map(|nth| format!("{nth} secret of {which}"));
    let seq: Seq = client.send(Target::Conversation(conversation), &texts[0]).seq;
    for text in &texts[1..] {
        let edit = Edit { conversation, seq, content: text.as_str().into(), cid: None };
        changed(&client.ask_again(&Request::Edit(edit).into()));
    }
    changed(&client.ask_again(&Request::Recall(Recall { conversation, seq, cid: None }).into()));
    texts
}

#[test]
fn a_recalled_text_is_gone_from_the_folder_within_a_minute() {
    let server = Server::start(&[]);
    let folder = server.folder();
    let (mut ann, _) = Client::join(server.address, "ann");
    let (mut bob, bob_account) = Client::join(server.address, "bob");
    let direct = ann.send(Target::User(bob_account.id), "hi").conversation;
    let group = bob.create_group("traffic");
    let is_over = AtomicBool::new(false);
    let mut left = Vec::new();
    thread::scope(|scope| {
        let (is_over, address) = (&is_over, server.address);
        for with_traffic in [false, true] {
            if with_traffic {
                scope.spawn(move || {
                    let (mut cleo, _) = Client::join(address, "cleo");
                    cleo.join_group(group);
                    while !is_over.load(Ordering::Relaxed) {
                        cleo.send(Target::Conversation(group), "there is always something to say");
                    }
                });
            }
            // One after the other, so that segments of the journal are used again in between.
            for round in 0..2 {
                if !left.is_empty() {
                    break;
                }
                let mut texts = recall_one(&mut ann, direct, &format!("{with_traffic} {round}")).to_vec();
                let since = Instant::now();
                while !texts.is_empty() && since.elapsed() < PROMISED {
                    // Each look reads the whole folder.
                    thread::sleep(Duration::from_millis(500));
                    texts.retain(|text| is_found(text, folder));
                }
                left.append(&mut texts);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(left, [""; 0], "still there");
    assert!(is_found("there is always something to say", folder));
}
