//! The reads of one account delay no other account, with quotas and rates off.

use crate::support::{Account, Client, Server};
use rusqlite::Connection;
use wire::{Command, Direction, Errno, Reply, Seq, Target, UserId};
use wire::{group, session, timeline};

/// Groups of the greedy account.
const GROUPS: u32 = 200_000;
/// Requests that it keeps outstanding.
const OUTSTANDING: usize = 31;
const UNLIMITED: &[&str] = &[
    "--set",
    "limits.reads_waiting=0",
    "--set",
    "limits.groups=0",
    "--set",
    "limits.groups_made_day=0",
    "--set",
    "limits.conversations=0",
];

/// Writes groups of an account into the database of a server that is stopped.
fn insert_groups(server: &Server, owner: UserId) {
    let conn = Connection::open(server.folder().join("data/chat.db")).unwrap();
    let numbers =
        format!("WITH RECURSIVE n(x) AS (SELECT 1000 UNION ALL SELECT x + 1 FROM n LIMIT {GROUPS})");
    let statements = [
        format!(
            "INSERT INTO conversation (id, kind, name, updated_at, listed_until) {numbers} SELECT x, 1, 'g', x, x FROM n"
        ),
        format!(
            "INSERT INTO member (conversation_id, user_id, kind, role) {numbers} SELECT x, {owner}, 1, 2 FROM n"
        ),
        format!(
            "INSERT INTO listing (user_id, slack, listed_until, conversation_id) {numbers} SELECT {owner}, 0, x, x FROM n"
        ),
    ];
    for statement in statements {
        conn.execute(&statement, []).unwrap();
    }
}

fn page() -> Command {
    Command::Timeline(timeline::Request::Conversations(timeline::Conversations {
        before: None,
        limit: 1,
        with_last: false,
    }))
}

/// Pages of a long listing, from its middle on: this one does cost something.
fn groups_page(number: u32) -> Command {
    Command::Group(group::Request::Groups(wire::Page { after: 1_000 + number * 200, limit: 200 }))
}

fn is_page(reply: &Reply) -> bool {
    match reply {
        Reply::Timeline(timeline::Reply::Conversations(page)) => page.conversations.len() == 1 && page.more,
        Reply::Group(group::Reply::Groups(_)) => true,
        _ => false,
    }
}

#[test]
fn an_account_with_very_many_groups_delays_no_other() {
    let mut server = Server::start_at_fixed_port(UNLIMITED);
    let (greedy, greedy_account) = Client::join(server.address, "greedy");
    let (mut ann, ann_account) = Client::join(server.address, "ann");
    let (bob, bob_account) = Client::join(server.address, "bob");
    let conversation = ann.send(Target::User(bob_account.id), "hello").conversation;
    drop((greedy, ann, bob));
    server.terminate();
    insert_groups(&server, greedy_account.id);
    server.restart();

    let mut greedy = Client::login_to(server.address, &greedy_account);
    let mut ann = Client::login_to(server.address, &ann_account);
    let mut outstanding: Vec<u32> = (0..OUTSTANDING).map(|_| greedy.post(&page()).unwrap()).collect();
    for round in 0..40 {
        let history = timeline::History {
            conversation,
            direction: Direction::After(Seq(0)),
            limit: 10,
            with_changes: true,
        };
        // Not repeated if it is refused: it must succeed at once.
        let reply = ann.ask(&Command::Timeline(timeline::Request::History(history)));
        let Reply::Timeline(timeline::Reply::History(found)) = reply else { panic!("{reply:?}") };
        assert_eq!(found.messages.len(), 1);
        let mut guest = Client::connect(server.address);
        let reply = guest.ask(&Client::by_password(&bob_account, "phone"));
        assert!(matches!(reply, Reply::Session(session::Reply::LoggedIn(_))), "{reply:?}");
        // All of the greedy account's requests are answered, too, and replaced.
        for request in std::mem::take(&mut outstanding) {
            let reply = greedy.reply(request);
            assert!(is_page(&reply), "{reply:?}");
            let next = if round % 2 == 0 { groups_page(round) } else { page() };
            outstanding.push(greedy.post(&next).unwrap());
        }
    }
}

#[test]
fn a_quota_names_its_limit() {
    let server = Server::start(&["--set", "limits.groups_made_day=2", "--set", "limits.friends=1"]);
    let (mut ann, _) = Client::join(server.address, "ann");
    let others: Vec<Account> =
        ["bob", "cleo"].iter().map(|name| Client::connect(server.address).register(name)).collect();
    ann.create_group("one");
    ann.create_group("two");
    let create = group::Create { name: "three".into(), desc: "".into() };
    let refusal = ann.refusal(&Command::Group(group::Request::Create(create)));
    assert_eq!((refusal.errno, refusal.limit.as_deref()), (Errno::Quota, Some("limits.groups_made_day")));
    assert!(refusal.until.is_some(), "the day ends");
    ann.befriend(others[0].id);
    let add = wire::contact::Add { who: wire::account::Who::Id(others[1].id), message: None };
    let refusal = ann.refusal(&Command::Contact(wire::contact::Request::Add(add)));
    assert_eq!((refusal.errno, refusal.limit.as_deref()), (Errno::Quota, Some("limits.friends")));
    assert_eq!(refusal.until, None);
}
