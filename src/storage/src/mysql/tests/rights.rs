//! What a user may do is decided by what is true once its request has locked the conversation, whatever was true when
//! the request began.

use super::super::change::{Change, Work};
use super::super::member_cache::MemberCache;
use super::super::message::{Plan, QueuedAppend, Verdict};
use super::*;
use crate::conformance::{append, change, change_members, changed};
use logic::contract::change::Refused;
use logic::contract::group::What;
use logic::contract::message::BadReference;
use logic::contract::{Denial, change as entry, group};
use std::thread;
use wire::group::Role;
use wire::{ConversationId, Mentions, References, Target, UserId};

/// A group of three.
struct Group {
    conversation: ConversationId,
    owner: UserId,
    admin: UserId,
    member: UserId,
    /// Of a message of the member.
    said: u64,
}

impl Group {
    fn new(scenario: &mut Scenario<'_>, name: &str) -> Group {
        let [owner, admin, member] =
            ["owner", "admin", "member"].map(|role| scenario.user(&format!("{role} of {name}")));
        let conversation = scenario.group(owner, name);
        scenario.join(admin, conversation);
        scenario.join(member, conversation);
        let promote = What::SetRole { user: admin, role: Role::Admin };
        changed(&scenario.one(change_members(owner, conversation, promote)));
        let said = scenario.say(member, Target::Conversation(conversation), "hello", "hello");
        Group { conversation, owner, admin, member, said: said.seq.0 }
    }

    fn remove_member(&self) -> Write {
        change_members(self.owner, self.conversation, What::Remove { user: self.member, bar: false })
    }

    fn demote_admin(&self) -> Write {
        change_members(self.owner, self.conversation, What::SetRole { user: self.admin, role: Role::Normal })
    }

    fn message(&self, sender: UserId, references: Option<References>) -> QueuedAppend {
        let target = Target::Conversation(self.conversation);
        let Write::Message(message::Write::Append(mut append)) = append(sender, target, "late", "late")
        else {
            unreachable!()
        };
        append.references = references.map(Box::new);
        let (conversation, since) = (self.conversation, Instant::now());
        QueuedAppend { ticket: Ticket(1), conversation, append, token: None, since, is_in_doubt: false }
    }
}

fn open(target: &Server) -> Connection {
    Connection::open(target, Purpose::Reading, true).unwrap()
}

fn to_change(write: Write) -> Change {
    let work = match write {
        Write::Group(write) => Work::Group(write),
        Write::Change(write) => Work::Entry(write),
        other => panic!("{other:?}"),
    };
    Change::new(Ticket(1), None, work, Instant::now())
}

fn make(conn: &mut Connection, write: Write) -> Written {
    let made = to_change(write).execute(conn, &mut MemberCache::default(), &mut || ());
    made.unwrap().expect("nobody holds the conversation")
}

fn decide(conn: &mut Connection, cache: &mut MemberCache, entry: QueuedAppend) -> Verdict {
    let plan = Plan::make(conn, cache, &mut None, &[entry]).unwrap();
    conn.roll_back().unwrap();
    plan.verdicts[0]
}

/// Waits until so many connections to this database wait for a table.
fn wait_for_waiting(target: &Server, count: u64) {
    let waiting = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE db = '{}' \
         AND state = 'Waiting for table metadata lock'",
        target.database.name
    );
    let until = Instant::now() + PATIENCE;
    loop {
        let seen: u64 = mysql::from_row(MariaDb::shared().ask(&waiting).remove(0));
        if seen == count {
            return;
        }
        assert!(Instant::now() < until, "{seen} connections wait, not {count}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Changes the members while a request waits for the conversation, and returns what became of the request.
///
/// Requests skip locked rows. To make one wait, another connection asks for the whole table while the change holds the
/// row, and the request comes after it: whatever it reads before it has the conversation is from before the commit.
fn request_during<T: Send>(
    target: &Server,
    change: Write,
    request: impl FnOnce(&mut Connection) -> T + Send,
) -> T {
    let change = to_change(change);
    thread::scope(|scope| {
        let mut conn = open(target);
        let (mut request, mut waiting) = (Some(request), None);
        let made = change.execute(&mut conn, &mut MemberCache::default(), &mut || {
            scope.spawn(|| {
                let mut conn = MariaDb::shared().connect().unwrap();
                for sql in [&format!("USE {}", target.database.name), "LOCK TABLES conversation WRITE"] {
                    mysql::prelude::Queryable::query_drop(&mut conn, sql).unwrap();
                }
            });
            wait_for_waiting(target, 1);
            let request = request.take().expect("it is committed once");
            waiting = Some(scope.spawn(move || request(&mut open(target))));
            wait_for_waiting(target, 2);
        });
        let made = made.unwrap();
        assert!(matches!(made, Some(Written::Group(group::Written::Changed(_)))), "{made:?}");
        waiting.unwrap().join().unwrap()
    })
}

#[test]
fn rights_are_those_of_the_moment_at_which_the_conversation_is_locked() {
    let mut fixture = OnServer::new();
    let target = fixture.target.clone();
    let mut scenario = Scenario::on(&mut fixture);
    let groups = ["send", "send again", "mention", "edit", "recall", "remove"];
    let [send, send_again, mention, edit, recall, remove] =
        groups.map(|name| Group::new(&mut scenario, name));
    let window = 60_000;

    let late = send.message(send.member, None);
    let verdict =
        request_during(&target, send.remove_member(), |conn| decide(conn, &mut MemberCache::default(), late));
    assert_eq!(verdict, Verdict::Forbidden);

    // A node that knows the members of before.
    let mut cache = MemberCache::default();
    let early = send_again.message(send_again.member, None);
    assert!(matches!(decide(&mut open(&target), &mut cache, early), Verdict::Stored(_)));
    let late = send_again.message(send_again.member, None);
    let verdict = request_during(&target, send_again.remove_member(), |conn| decide(conn, &mut cache, late));
    assert_eq!(verdict, Verdict::Forbidden);

    let all = References { reply_to: None, mentions: Mentions::All };
    let late = mention.message(mention.admin, Some(all));
    let verdict = request_during(&target, mention.demote_admin(), |conn| {
        decide(conn, &mut MemberCache::default(), late)
    });
    assert_eq!(verdict, Verdict::BadReference(BadReference::NotAdmin));

    let what = entry::What::Edit { content: "late".into(), window };
    let late = change(edit.member, edit.conversation, edit.said, what);
    let written = request_during(&target, edit.remove_member(), |conn| make(conn, late));
    assert!(matches!(written, Written::Denied(Denial::Forbidden)), "{written:?}");

    // Admins recall what normal members said.
    let late = change(recall.admin, recall.conversation, recall.said, entry::What::Recall { window });
    let written = request_during(&target, recall.demote_admin(), |conn| make(conn, late));
    let refused = Written::Change(entry::Written::Refused(Refused::Foreign));
    assert_eq!(format!("{written:?}"), format!("{refused:?}"));

    let late =
        change_members(remove.admin, remove.conversation, What::Remove { user: remove.member, bar: false });
    let written = request_during(&target, remove.demote_admin(), |conn| make(conn, late));
    let refused = Written::Group(group::Written::Refused(group::Refused::NotAbove));
    assert_eq!(format!("{written:?}"), format!("{refused:?}"));
}
