//! SEARCH: how a query is issued, bounded and answered.

use super::harness::{Harness, errno, rules};
use logic::contract::Denial;
use logic::contract::search::Found as Answer;
use logic::{ConnId, Found, Rules};
use wire::search::{Search, SearchPage};
use wire::timeline::{Reply as TimelineReply, Request};
use wire::{Command, ConversationId, Errno, Refusal, Reply, UnixMillis, UserId};

fn search(conversation: Option<u32>) -> Command {
    Command::Timeline(Request::Search(Box::new(Search {
        conversation: conversation.map(ConversationId),
        ..Search::new("word", 50)
    })))
}

/// Answers the only search.
fn answer(t: &mut Harness, found: Found) {
    let [query] = &t.searches[..] else { panic!("{:?}", t.searches) };
    let ticket = query.ticket;
    t.searches.clear();
    t.answer_search(ticket, found);
}

fn refusal(t: &Harness, conn: ConnId, request: u32) -> Refusal {
    match t.reply(conn, request) {
        Some(Reply::Refused(refusal)) => *refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_search_is_asked_for_its_account_and_answered_with_what_was_found() {
    let mut t = Harness::new(rules(), &["alice", "bob"]);
    let bob = t.login("bob");
    let request = t.ask(bob, search(None));
    assert!(t.reply(bob, request).is_none() && t.reads.is_empty(), "storage has nothing to do with it");
    let [query] = &t.searches[..] else { panic!("{:?}", t.searches) };
    assert_eq!((query.user, &*query.search.text), (UserId(2), "word"));
    assert!(query.due > t.now.monotonic);
    let page = SearchPage { messages: vec![], cursor: None, indexed_to: UnixMillis(7) };
    answer(&mut t, Found::Search(Answer::Results(Box::new(page.clone()))));
    let Some(Reply::Timeline(TimelineReply::Results(found))) = t.reply(bob, request) else { panic!() };
    assert_eq!(*found, page);
}

#[test]
fn a_search_that_was_not_done_says_why() {
    let mut t = Harness::new(rules(), &["alice"]);
    let alice = t.login("alice");
    for (found, expected, waits) in [
        (Found::Search(Answer::Busy), Errno::Busy, true),
        (Found::Unavailable, Errno::Unavailable, true),
        (Found::Denied(Denial::Forbidden), Errno::Forbidden, false),
        (Found::Failed, Errno::Internal, false),
    ] {
        let request = t.ask(alice, search(Some(1)));
        answer(&mut t, found);
        let refusal = refusal(&t, alice, request);
        assert_eq!((refusal.errno, refusal.retry_after_ms.is_some()), (expected, waits), "{refusal:?}");
    }
}

#[test]
fn searches_count_as_reads_that_wait() {
    let mut t = Harness::new(Rules { reads_waiting: 2, ..rules() }, &["alice", "bob"]);
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    let waiting = [t.ask(alice, search(None)), t.ask(alice, search(None))];
    let third = t.ask(alice, search(None));
    assert_eq!(refusal(&t, alice, third).limit.as_deref(), Some("limits.reads_waiting"));
    t.ask(bob, search(None));
    assert_eq!(t.searches.len(), 3);
    for query in std::mem::take(&mut t.searches) {
        t.answer_search(query.ticket, Found::Search(Answer::Busy));
    }
    assert!(waiting.iter().all(|request| errno(&t.reply(alice, *request).unwrap()) == Errno::Busy));
    t.ask(alice, search(None));
    assert_eq!(t.searches.len(), 1);
}

#[test]
fn a_server_without_an_index_says_so() {
    let mut t = Harness::new(Rules { search: false, ..rules() }, &["alice"]);
    let alice = t.login("alice");
    let request = t.ask(alice, search(None));
    let refusal = refusal(&t, alice, request);
    assert_eq!((refusal.errno, refusal.limit.as_deref()), (Errno::Forbidden, Some("search.enabled")));
    assert!(t.searches.is_empty());
}

#[test]
fn a_search_without_an_answer_is_given_up() {
    let mut t = Harness::new(rules(), &["alice"]);
    let alice = t.login("alice");
    let request = t.ask(alice, search(None));
    t.advance(3_000);
    assert_eq!(refusal(&t, alice, request).errno, Errno::Unavailable);
    // The late answer finds nobody.
    answer(&mut t, Found::Search(Answer::Busy));
}
