//! Counts while other threads replace the headers that are kept.

use super::super::unread::{Outline, counts};
use super::*;
use crate::conformance::append;
use crate::unread::{Question, Range};
use logic::contract::timeline::UnreadCount;
use wire::{ConversationKind, Seq, Target};

const UNREAD: UnreadCount = UnreadCount { unread: 30, mentions: 0, more: false };

/// A direct conversation with 30 unread messages.
fn asked(fixture: &mut OnServer) -> Question {
    let mut scenario = Scenario::on(fixture);
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let texts = (0..30).map(|n| append(anna, Target::User(ben), &format!("{n}"), "x"));
    scenario.all(texts.collect());
    let conversation = scenario.conversations(ben, None, 1).0[0].conversation;
    let range = Range { after: Seq(0), last: Seq(30) };
    Question::of(conversation, ConversationKind::Direct, ben, Some(anna), range, false).unwrap()
}

#[test]
fn headers_that_are_dropped_during_a_count_are_not_missed() {
    let mut fixture = OnServer::new();
    let question = asked(&mut fixture);
    let mut conn = Connection::open(&fixture.target, Purpose::Reading, true).unwrap();
    let cache = HeaderCache::default();
    assert_eq!(counts(&mut conn, &cache, &[Some(question)]).unwrap(), [UNREAD]);
    let outline = Outline::read(&mut conn, &cache, &[&question]).unwrap();
    cache.clear();
    assert_eq!(outline.count(&mut conn, &cache, &[&question]).unwrap(), [UNREAD]);
    assert_eq!(counts(&mut conn, &cache, &[Some(question)]).unwrap(), [UNREAD], "nothing wrong is kept");
}

#[test]
fn missing_segments_are_read_again_and_never_kept_as_nothing() {
    let mut fixture = OnServer::new();
    let question = asked(&mut fixture);
    let mut conn = Connection::open(&fixture.target, Purpose::Reading, true).unwrap();
    let cache = HeaderCache::default();
    let mut outline = Outline::read(&mut conn, &cache, &[&question]).unwrap();
    outline.segments.clear();
    assert_eq!(outline.count(&mut conn, &cache, &[&question]).unwrap(), [UNREAD]);
    cache.clear();
    let mut ask = |text: &str| {
        let mut sql = Sql::new();
        sql.statement(text);
        conn.ask(&sql).unwrap();
    };
    ask("CREATE TABLE segment_before AS SELECT * FROM segment");
    ask("DELETE FROM segment");
    let mut reading = Connection::open(&fixture.target, Purpose::Reading, true).unwrap();
    assert_eq!(counts(&mut reading, &cache, &[Some(question)]).unwrap(), [UnreadCount::default()]);
    ask("INSERT INTO segment SELECT * FROM segment_before");
    assert_eq!(counts(&mut reading, &cache, &[Some(question)]).unwrap(), [UNREAD]);
}
