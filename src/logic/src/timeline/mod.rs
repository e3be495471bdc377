//! Timelines: ACK, READ, HISTORY, CONVERSATIONS, READERS, SEARCH, SET_CONVERSATION, CLEAR and TYPING, the pushes
//! READ_RECEIPT, DELIVERED and CONVERSATION, and the cursors that are written once a second.

mod receipts;
mod views;

use crate::contract::timeline::{CursorMove, NoReaders};
use crate::contract::{Denial, Found, Written, search, timeline as storage};
use crate::delivery;
use crate::limits::{LISTINGS_BYTES, SEARCH_BUSY, SEARCH_RETRY_MS, SEARCH_UNAVAILABLE, UNAVAILABLE_RETRY_MS};
use crate::listing;
use crate::request::Caller;
use crate::simple;
use crate::state::pending::timeline::{Pending, PendingReceipt, ReceiptKind, Recount};
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use crate::typing;
use wire::timeline::{
    Clear, Conversations, ConversationsPage, Cursor, History, HistoryPage, Readers, Reply, Request, Set,
    Typing,
};
use wire::{Errno, Refusal};

/// Receipts are always accepted: applying them avoids repeated pushes.
pub(crate) fn begins_when_busy(request: &Request) -> bool {
    matches!(request, Request::Ack(_) | Request::Read(_))
}

/// Whether it begins with a read of a page. A receipt is checked where it turns out to need a read.
pub(crate) fn is_read(request: &Request) -> bool {
    matches!(
        request,
        Request::History(_) | Request::Conversations(_) | Request::Readers(_) | Request::Search(_)
    )
}

pub(crate) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, caller: Caller, request: Request) {
    let session = caller.session();
    let (pending, read) = match request {
        Request::Ack(Cursor { conversation, seq }) => {
            let receipt = PendingReceipt { session, conversation, seq, kind: ReceiptKind::Delivered };
            return receipts::arrive(turn, reply_to, receipt);
        }
        Request::Read(Cursor { conversation, seq }) => {
            let receipt = PendingReceipt { session, conversation, seq, kind: ReceiptKind::Read };
            return receipts::arrive(turn, reply_to, receipt);
        }
        Request::Typing(Typing { conversation }) => {
            return typing::arrive(turn, reply_to, session, conversation);
        }
        Request::History(History { conversation, direction, limit, with_changes }) => {
            let user = turn.state.sessions.of_caller(session).user;
            let read = storage::Read::History { user, conversation, direction, limit, with_changes };
            (Pending::History, read)
        }
        Request::Conversations(Conversations { before, limit, with_last }) => {
            let user = turn.state.sessions.of_caller(session).user;
            (
                Pending::Conversations { user },
                storage::Read::Conversations { user, before, limit, with_unread: true, with_last },
            )
        }
        Request::Readers(Readers { conversation, seq, page }) => {
            let user = turn.state.sessions.of_caller(session).user;
            (Pending::Readers, storage::Read::Readers { user, conversation, seq, page })
        }
        Request::Search(search) => {
            if !turn.state.rules.search {
                let refusal = Refusal::new(Errno::Forbidden, "this server does not search messages");
                return turn.answer(reply_to, refusal.with_limit("search.enabled"));
            }
            let user = turn.state.sessions.of_caller(session).user;
            return turn.search(reply_to, Pending::Search, user, search);
        }
        Request::Set(Set { conversation, change }) => {
            let user = turn.state.sessions.of_caller(session).user;
            let write = storage::Write::Set { user, conversation, change };
            return simple::submit(turn, reply_to, session, Pending::Set { session, conversation }, write);
        }
        Request::Clear(Clear { conversation, upto }) => {
            let user = turn.state.sessions.of_caller(session).user;
            let write = storage::Write::Clear { user, conversation, upto };
            return simple::submit(turn, reply_to, session, Pending::Clear { session, conversation }, write);
        }
    };
    turn.read(reply_to, pending, read);
}

pub(crate) fn found(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, found: Found) {
    match (pending, found) {
        (
            Pending::Feed { session, conversation },
            Found::Timeline(storage::Found::Feed { messages, more, first }),
        ) => {
            delivery::fed(turn, session, conversation, delivery::Fed { messages, more, first });
        }
        (Pending::Feed { session, .. }, _) => delivery::feed_failed(turn, session),
        (Pending::Typing(step), found) => typing::found(turn, reply_to, step, found),
        (Pending::Unread(session), Found::Timeline(storage::Found::Unread(page))) => {
            delivery::unread_known(turn, session, &page);
        }
        (Pending::Unread(session), _) => delivery::unread_failed(turn, session),
        (Pending::View { user, conversation, by }, Found::Timeline(storage::Found::View(view))) => {
            views::known(turn, user, by, conversation, view);
        }
        (Pending::View { user, conversation, by }, _) => views::known(turn, user, by, conversation, None),
        (Pending::Standing(receipt), Found::Timeline(storage::Found::Standing(standing))) => {
            receipts::standing_known(turn, reply_to, receipt, standing);
        }
        (Pending::History, Found::Timeline(storage::Found::History { messages, more, first_seq })) => {
            turn.answer(reply_to, Reply::History(Box::new(HistoryPage { messages, more, first_seq })));
        }
        (Pending::Readers, Found::Timeline(storage::Found::Readers(page))) => {
            turn.answer(reply_to, Reply::Readers(page));
        }
        (Pending::Readers, Found::Timeline(storage::Found::NoReaders(why))) => {
            let (errno, sentence) = no_readers(why);
            turn.refuse(reply_to, errno, sentence);
        }
        (Pending::Search, Found::Search(search::Found::Results(page))) => {
            turn.answer(reply_to, Reply::Results(page));
        }
        (Pending::Search, Found::Search(search::Found::Busy)) => {
            turn.answer(reply_to, Refusal::later(Errno::Busy, SEARCH_BUSY, SEARCH_RETRY_MS));
        }
        (Pending::Search, Found::Unavailable) => {
            turn.answer(
                reply_to,
                Refusal::later(Errno::Unavailable, SEARCH_UNAVAILABLE, UNAVAILABLE_RETRY_MS),
            );
        }
        (Pending::History | Pending::Readers | Pending::Search, Found::Denied(Denial::Forbidden)) => {
            turn.refuse(reply_to, Errno::Forbidden, "only members may see a conversation");
        }
        (
            Pending::Conversations { user },
            Found::Timeline(storage::Found::Conversations { mut entries, more }),
        ) => {
            let more = more | listing::cut_conversations(&mut entries, LISTINGS_BYTES);
            let ranges = listing::lay_cursors_over(turn.state, user, &mut entries);
            let page = ConversationsPage { conversations: entries, more };
            if ranges.is_empty() {
                return turn.answer(reply_to, Reply::Conversations(Box::new(page)));
            }
            let read = storage::Read::Count { user, ranges: ranges.clone() };
            turn.read(reply_to, Pending::Recount(Box::new(Recount { page, ranges })), read);
        }
        (Pending::Recount(recount), Found::Timeline(storage::Found::Counts(counts))) => {
            let Recount { mut page, ranges } = *recount;
            listing::recount(&mut page.conversations, &ranges, &counts);
            turn.answer(reply_to, Reply::Conversations(Box::new(page)));
        }
        (_, Found::Unavailable) => turn.unavailable(reply_to),
        (_, _) => turn.internal(reply_to),
    }
}

fn no_readers(why: NoReaders) -> (Errno, &'static str) {
    match why {
        NoReaders::Direct => (Errno::BadRequest, "a direct chat has receipts instead of readers"),
        NoReaders::Absent => (Errno::NotFound, "there is no such message"),
        NoReaders::NoMessage => (Errno::BadRequest, "only messages have readers"),
        NoReaders::NotOwn => (Errno::Forbidden, "only the sender of a message may see who has read it"),
    }
}

pub(crate) fn written(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, written: Written) {
    match (pending, written) {
        (Pending::Cursors(count), Written::Timeline(storage::Written::CursorsMoved { left_out })) => {
            if let Some(moves) = turn.state.cursors.end_write(Some(count), &left_out) {
                write_moves(turn, moves);
            }
        }
        (Pending::Cursors(_), _) => {
            turn.state.cursors.end_write(None, &[]);
        }
        (Pending::Set { session, conversation }, Written::Done) => {
            turn.answer(reply_to, wire::Reply::Done);
            views::changed(turn, session, conversation);
        }
        (
            Pending::Clear { session, conversation },
            Written::Timeline(storage::Written::Cleared { upto, before }),
        ) => {
            receipts::cleared(turn, session, Cursor { conversation, seq: upto }, before);
            turn.answer(reply_to, wire::Reply::Done);
            views::changed(turn, session, conversation);
        }
        (_, other) => {
            simple::refuse(turn, reply_to, &other, |_| "only members may change how they see a conversation");
        }
    }
}

/// Writes the cursors that have moved. Moves of a failed write are retried. Does nothing while a write is in flight.
pub(crate) fn write_cursors(turn: &mut Turn<'_>) {
    let moves = match turn.state.cursors.begin_write() {
        Some(moves) => Some(moves),
        None if !turn.state.pending.writes_cursors => turn.state.cursors.retry_write(),
        None => None,
    };
    if let Some(moves) = moves {
        write_moves(turn, moves);
    }
}

fn write_moves(turn: &mut Turn<'_>, moves: Vec<CursorMove>) {
    turn.write(ReplyTo::Nowhere, Pending::Cursors(moves.len()), storage::Write::MoveCursors(moves));
}
