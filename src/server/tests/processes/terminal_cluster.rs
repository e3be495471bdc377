//! Terminals on nodes that die or drain: the client moves to another node, and no message is lost or doubled.

use crate::support::nodes::Nodes;
use crate::support::terminal::Terminal;
use crate::support::{Client, PATIENCE, Server};
use crate::terminal::{count, register, status};
use rustix::process::Signal;
use wire::{Target, UserId};

const LI: Target = Target::User(UserId(1));

/// Li at a terminal on the first node, Ann on the second.
fn li_and_ann(cluster: &Nodes) -> (Terminal, Client) {
    let mut li = Terminal::open(cluster.nodes[0].address);
    register(&mut li, "li si", 1);
    let (mut ann, _) = Client::join(cluster.nodes[1].address, "ann");
    ann.send(LI, "before");
    li.expect("ann (2): before");
    li.type_line("/msg ann");
    li.expect("ann> ");
    li.type_line("here I am");
    assert_eq!(&*ann.message().content, "here I am");
    (li, ann)
}

/// Asserts that each of these texts was shown once.
fn assert_once(li: &Terminal, texts: &[&str]) {
    for text in texts {
        assert_eq!(count(li, &format!(": {text}")), 1, "{text:?} in {:?}", li.text());
    }
}

#[test]
fn a_terminal_resumes_on_another_node_when_its_node_is_killed() {
    let mut cluster = Nodes::start(2, &[]);
    let (mut li, mut ann) = li_and_ann(&cluster);
    // Like a suspended laptop: the node dies and messages are sent while the client is frozen.
    li.freeze();
    cluster.nodes[0].kill9();
    for text in ["one", "two", "three"] {
        ann.send(LI, text);
    }
    li.thaw();
    li.expect("connection lost");
    li.expect("reconnected");
    for text in ["one", "two", "three"] {
        li.expect(&format!("ann (2): {text}"));
    }
    li.expect("3 new while away");
    li.type_line("at the other node");
    assert_eq!(&*ann.message().content, "at the other node");
    // With no node left it counts down to the next try, and keeps what is typed.
    let Server { address, .. } = cluster.nodes[1];
    cluster.nodes[1].kill9();
    li.expect("connection lost");
    li.expect_to_see("the countdown", |rows| status(rows).contains("offline: next try in"));
    li.type_line("written in the dark");
    li.expect_to_see("the waiting message", |rows| {
        rows.iter().any(|row| row.starts_with(" … ") && row.ends_with("written in the dark"))
    });
    cluster.nodes[1].restart();
    assert_eq!(cluster.nodes[1].address, address);
    li.expect("reconnected");
    li.expect_to_see("the stored message", |rows| {
        rows.iter().any(|row| row.starts_with(" ✓ ") && row.ends_with("written in the dark"))
    });
    li.type_line("history:ann");
    li.expect("history of ");
    for text in ["before", "here I am", "one", "two", "three", "at the other node", "written in the dark"] {
        li.expect(text);
    }
    assert_eq!(count(&li, "new while away"), 1, "own messages are no news: {:?}", li.text());
}

#[test]
fn a_terminal_resumes_on_another_node_when_its_node_drains() {
    let mut cluster = Nodes::start(2, &[]);
    let (mut li, mut ann) = li_and_ann(&cluster);
    cluster.nodes[0].signal(Signal::TERM);
    li.expect("the server is shutting down");
    li.expect("reconnected");
    assert!(cluster.nodes[0].wait(PATIENCE).success());
    ann.send(LI, "after");
    li.expect("ann (2): after");
    li.type_line("still here");
    assert_eq!(&*ann.message().content, "still here");
    // It is shown once it is sent, which may be after Ann has received it.
    li.expect(": still here");
    // What was shown before its conversation was opened is shown again there.
    assert_once(&li, &["here I am", "after", "still here"]);
}
