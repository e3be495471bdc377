//! Damaged rows and pages: the store goes on, requests of others succeed, and nothing is read back as something else.

use super::super::schema;
use super::InMemory;
use crate::conformance::{Fixture, Scenario, append, change, create, join, made};
use crate::store::Store;
use logic::contract::change::What;
use logic::contract::{
    Client, Found, Read, Ticket, Write, Written, account, contact, group, message, session, timeline,
};
use rusqlite::Connection;
use std::collections::BTreeMap;
use wire::account::Who;
use wire::{ConversationId, Direction, Page, Seq, Target, UserId};

/// Values that a damaged column may hold.
const VALUES: [&str; 7] = ["NULL", "x'ff00'", "'what'", "-1", "77", "4294967296", "9223372036854775807"];

/// Two pairs of friends who share nothing: Anna and Ben, whose rows are damaged, and Carl and Dora.
struct World {
    fixture: InMemory,
    users: [UserId; 4],
    /// The direct conversation and the group of each pair.
    conversations: [[ConversationId; 2]; 2],
    /// What was said, by conversation and seq.
    said: BTreeMap<(ConversationId, Seq), String>,
    cids: u32,
}

impl World {
    fn new() -> World {
        let mut fixture = InMemory::new();
        let mut scenario = Scenario::on(&mut fixture);
        let users = ["anna", "ben", "carl", "dora"].map(|name| scenario.user(name));
        let (mut conversations, mut said) = ([[ConversationId(0); 2]; 2], BTreeMap::new());
        for (pair, conversations) in users.chunks(2).zip(&mut conversations) {
            let (one, other) = (pair[0], pair[1]);
            scenario.one(Write::Contact(contact::Write::Add { user: one, who: Who::Id(other) }));
            let shared = scenario.group(one, "all");
            scenario.one(join(other, shared));
            for number in 0..60 {
                if number == 30 {
                    scenario.file();
                }
                let targets = [Target::User(other), Target::Conversation(shared)];
                for (at, target) in targets.into_iter().enumerate() {
                    let text = format!("message {number} of {one} {}", "x".repeat(90));
                    let write = append(one, target, &format!("{one}-{at}-{number}"), &text);
                    match scenario.one(write) {
                        Written::Message(message::Written::Appended { message, .. }) => {
                            conversations[at] = message.conversation;
                            said.insert((message.conversation, message.seq), text);
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
        scenario.file();
        World { fixture, users, conversations, said, cids: 0 }
    }

    fn conn(&mut self) -> &Connection {
        &self.fixture.sqlite().conn
    }

    /// As after a restart, but for what it recovers.
    fn forget_caches(&mut self) {
        let store = self.fixture.sqlite();
        store.cache.clear();
        store.names = Default::default();
    }

    fn write(&mut self, write: Write) -> Written {
        let mut outcome = None;
        // An error that is not fatal is in the outcomes, too.
        let done = self.fixture.sqlite().write(vec![(Ticket(1), write)], &mut |batch| outcome = Some(batch));
        assert!(done.is_ok_and(|()| true) || outcome.is_some(), "a fault is not fatal");
        outcome.expect("every write is answered").pop().expect("there was one write").1
    }

    fn read(&mut self, read: Read) -> Found {
        let found = self.fixture.sqlite().read(&read);
        assert!(!matches!(found, Found::Unavailable), "{read:?}");
        if let Found::Timeline(
            timeline::Found::History { messages, .. } | timeline::Found::Feed { messages, .. },
        ) = &found
        {
            for message in messages {
                if !message.is_message() {
                    let told = format!("name of {} ", message.from);
                    assert!(message.content.starts_with(&told), "{message:?}");
                    continue;
                }
                let said = self.said.get(&(message.conversation, message.seq));
                assert_eq!(said.map(String::as_str), Some(&*message.content), "{message:?}");
            }
        }
        found
    }

    /// All requests of the first user of a pair. Returns those that failed.
    fn all_requests(&mut self, pair: usize) -> Vec<String> {
        let (user, peer) = (self.users[2 * pair], self.users[2 * pair + 1]);
        let [direct, shared] = self.conversations[pair];
        let page = Page { after: 0, limit: 10 };
        let history = |conversation, direction| timeline::Read::History {
            user,
            conversation,
            direction,
            limit: 50,
            with_changes: true,
        };
        let client = Client { device: None, kind: None, address: [192, 0, 2, 1].into() };
        let network = client.network();
        let login = |who| account::Read::Credentials(Box::new(account::Login { who, network, known: None }));
        let reads: Vec<Read> = vec![
            login(Who::Id(user)).into(),
            login(Who::Name(["anna", "carl"][pair].into())).into(),
            account::Read::Id(Who::Id(user)).into(),
            account::Read::Profile { user, who: Who::Id(peer) }.into(),
            session::Read::LoginView { user, with_last: false }.into(),
            contact::Read::Friends { user, page }.into(),
            contact::Read::FriendIds { user }.into(),
            group::Read::Groups { user, page }.into(),
            group::Read::GroupIds { user }.into(),
            group::Read::Members { user, conversation: shared, page }.into(),
            timeline::Read::Standing { user, conversation: direct }.into(),
            timeline::Read::Unread { user: peer, after: ConversationId(0) }.into(),
            timeline::Read::Conversations {
                user,
                before: None,
                limit: 10,
                with_unread: true,
                with_last: false,
            }
            .into(),
            timeline::Read::Feed {
                conversation: shared,
                member: None,
                after: Seq(0),
                limit: 50,
                bytes: 1 << 20,
            }
            .into(),
            history(direct, Direction::After(Seq(0))).into(),
            history(direct, Direction::Before(Seq(1_000))).into(),
            history(shared, Direction::After(Seq(30))).into(),
            history(shared, Direction::Before(Seq(30))).into(),
        ];
        let mut failed = Vec::new();
        for read in reads {
            if matches!(self.read(read.clone()), Found::Failed) {
                failed.push(format!("{read:?}"));
            }
        }
        let mut writes = vec![
            Write::Session(session::Write::CreateToken { user, password: "$hash".into(), client }),
            Write::Contact(contact::Write::Add { user, who: Who::Name(["ben", "dora"][pair].into()) }),
            create(user, "new"),
            join(peer, shared),
            Write::Timeline(timeline::Write::MoveCursors(vec![timeline::CursorMove {
                conversation: direct,
                user,
                epoch: logic::contract::Epoch::NONE,
                step: timeline::CursorStep::Reach { delivered: Seq(5), read: Seq(5) },
            }])),
            // A repeated one.
            append(user, Target::Conversation(shared), &format!("{user}-1-7"), "again"),
        ];
        for target in [Target::User(peer), Target::Conversation(direct), Target::Conversation(shared)] {
            self.cids += 1;
            writes.push(append(user, target, &format!("new-{}", self.cids), "new"));
        }
        for write in writes {
            let text = format!("{write:?}");
            match self.write(write) {
                Written::Message(message::Written::Appended { message, .. }) => {
                    let place = (message.conversation, message.seq);
                    let before = self.said.insert(place, message.content.to_string());
                    assert_eq!(before, None, "{place:?} was given twice");
                }
                Written::Message(message::Written::Duplicate(stored)) => {
                    assert!(self.said.contains_key(&(stored.conversation, stored.seq)), "{stored:?}");
                }
                Written::Failed => failed.push(text),
                Written::Unavailable => panic!("a fault does not pass: {text}"),
                _ => {}
            }
        }
        failed
    }

    /// Damage may cost Anna and Ben requests, and nobody else.
    fn check(&mut self, what: &str) {
        for _ in 0..2 {
            self.forget_caches();
            self.all_requests(0);
            assert_eq!(self.all_requests(1), Vec::<String>::new(), "{what}");
            // Filing goes on. At the second failure of one slice the rest is left for later.
            for _ in 0..1_000 {
                match self.fixture.store().housekeep() {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => panic!("{what}: {error}"),
                }
            }
        }
    }
}

/// Sets a column of the first row of a table. Returns whether the table has such a row and admits the value.
fn damage(conn: &Connection, table: &str, column: &str, value: &str) -> bool {
    let key: Vec<String> = conn
        .prepare(&format!("SELECT name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk"))
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let key = if key.is_empty() { "rowid".to_owned() } else { key.join(", ") };
    conn.pragma_update(None, "ignore_check_constraints", true).unwrap();
    let sql = format!(
        "UPDATE {table} SET {column} = {value} WHERE ({key}) = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1)"
    );
    let changed = conn.execute(&sql, []);
    conn.pragma_update(None, "ignore_check_constraints", false).unwrap();
    changed.is_ok_and(|changed| changed == 1)
}

#[test]
fn a_damaged_value_in_any_column_costs_only_the_requests_that_need_it() {
    let layout = schema::layout(World::new().conn()).unwrap();
    let mut cases = 0;
    for (table, column) in layout.columns().filter(|(table, _)| *table != "schema_version") {
        for value in VALUES {
            let mut world = World::new();
            if !damage(world.conn(), table, column, value) {
                continue;
            }
            let what = format!("{table}.{column} = {value}");
            world.check(&what);
            world.fixture.restart();
            // The random numbers of these tests begin anew, and tokens must differ.
            (world.fixture.sqlite().random)(&mut [0; 1 << 16]);
            world.check(&what);
            cases += 1;
        }
    }
    assert!(cases > 200, "{cases}");
}

#[test]
fn a_damaged_row_brings_no_earlier_text_back() {
    let changes = [
        ("edit", What::Edit { content: "another text".into(), window: u64::MAX }),
        ("recall", What::Recall { window: u64::MAX }),
    ];
    let mut withheld = 0;
    for (name, what) in changes {
        for column in ["change_seq", "reactions", "content", "edit_seq", "edited_at", "recalled_at"] {
            // NULL is a right value.
            for value in VALUES.iter().filter(|value| **value != "NULL") {
                let mut world = World::new();
                let (user, [direct, _]) = (world.users[0], world.conversations[0]);
                let said = world.said[&(direct, Seq(1))].clone();
                let mut scenario = Scenario::on(&mut world.fixture);
                made(&scenario.one(change(user, direct, 1, what.clone())));
                if !damage(world.conn(), "changed", column, value) {
                    continue;
                }
                let (direction, limit, with_changes) = (Direction::After(Seq(0)), 1, true);
                let history =
                    timeline::Read::History { user, conversation: direct, direction, limit, with_changes };
                match Scenario::on(&mut world.fixture).read(history.into()) {
                    Found::Timeline(timeline::Found::History { messages, .. }) => {
                        assert_ne!(*messages[0].content, *said, "{name}: {column} = {value}");
                        withheld += usize::from(messages[0].content.is_empty() && name == "edit");
                    }
                    other => panic!("{name}: {column} = {value}: {other:?}"),
                }
            }
        }
    }
    assert!(withheld > 5, "{withheld}");
}

#[test]
fn a_damaged_byte_of_a_page_is_noticed() {
    for (table, column) in [("message_202601", "page"), ("sent_20260130", "page")] {
        let mut world = World::new();
        let length = format!("SELECT length({column}) FROM {table} LIMIT 1");
        let length: u32 = world.conn().query_row(&length, [], |row| row.get(0)).unwrap();
        for at in (0..length as usize).step_by(53) {
            let mut world = World::new();
            let mut bytes: Vec<u8> = world
                .conn()
                .query_row(&format!("SELECT {column} FROM {table} LIMIT 1"), [], |row| row.get(0))
                .unwrap();
            bytes[at] ^= 0x20;
            let literal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(damage(world.conn(), table, column, &format!("x'{literal}'")));
            world.forget_caches();
            let failed = world.all_requests(0);
            assert!(!failed.is_empty(), "byte {at} of {table}");
            assert_eq!(world.all_requests(1), Vec::<String>::new());
        }
        world.forget_caches();
        assert_eq!(world.all_requests(0), Vec::<String>::new());
    }
}

#[test]
fn a_page_at_another_key_is_not_taken_for_that_one() {
    let mut world = World::new();
    let [direct, shared] = world.conversations[0];
    let sql =
        "UPDATE message_202601 SET page = (SELECT page FROM message_202601 WHERE id = ?2) WHERE id = ?1";
    let first = |conversation: ConversationId| i64::from(conversation.0) << 32 | 1;
    assert_eq!(world.conn().execute(sql, (first(direct), first(shared))).unwrap(), 1);
    let history = timeline::Read::History {
        user: world.users[0],
        conversation: direct,
        direction: Direction::After(Seq(0)),
        limit: 10,
        with_changes: true,
    };
    assert!(matches!(world.read(history.into()), Found::Failed));
    // What lies behind it can still be read.
    let history = timeline::Read::History {
        user: world.users[0],
        conversation: direct,
        direction: Direction::Before(Seq(61)),
        limit: 50,
        with_changes: true,
    };
    match world.read(history.into()) {
        Found::Timeline(timeline::Found::History { messages, more, .. }) => {
            assert!(messages.len() > 5 && more);
        }
        other => panic!("{other:?}"),
    }
    // A session that waits for later messages gets them.
    let feed =
        timeline::Read::Feed { conversation: direct, member: None, after: Seq(0), limit: 50, bytes: 1 << 20 };
    match world.read(feed.into()) {
        Found::Timeline(timeline::Found::Feed { messages, .. }) => assert!(messages.len() > 5),
        other => panic!("{other:?}"),
    }
}
