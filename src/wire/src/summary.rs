//! A faster encoder of the rows of CONVERSATIONS, of which the reply to LOGIN has up to 200.

use crate::json::{put, put_number, put_text};
use crate::last_message::LastMessage;
use crate::timeline::{ConversationSummary, ConversationsPage};
use crate::{ConversationKind, table::Body};

/// About how many bytes a row takes, apart from its texts.
const ROW_BYTES: usize = 400;

impl Body for ConversationsPage {
    /// Writes the same bytes as `Serialize`.
    fn encode(&self, out: &mut Vec<u8>) {
        let ConversationsPage { conversations, more } = self;
        put_rows(out, b"{\"conversations\":", conversations);
        put(out, b",\"more\":", more);
        out.push(b'}');
    }
}

/// Appends a field of an object: `key` with its punctuation, and an array of rows.
pub(crate) fn put_rows(out: &mut Vec<u8>, key: &[u8], rows: &[ConversationSummary]) {
    out.reserve(rows.len() * ROW_BYTES);
    out.extend_from_slice(key);
    out.push(b'[');
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        put_row(out, row);
    }
    out.push(b']');
}

/// Writes the same bytes as `Serialize`.
fn put_row(out: &mut Vec<u8>, row: &ConversationSummary) {
    put_number(out, b"{\"conversation\":", u64::from(row.conversation.0));
    out.extend_from_slice(match row.kind {
        ConversationKind::Direct => b",\"kind\":\"direct\"",
        ConversationKind::Group => b",\"kind\":\"group\"",
    });
    if let Some(peer) = row.peer {
        put_number(out, b",\"peer\":", u64::from(peer.0));
    }
    put_text(out, b",\"name\":", &row.name);
    put_number(out, b",\"last_seq\":", row.last_seq.0);
    put_number(out, b",\"first_seq\":", row.first_seq.0);
    put_number(out, b",\"delivered_seq\":", row.delivered_seq.0);
    put_number(out, b",\"read_seq\":", row.read_seq.0);
    put_number(out, b",\"time\":", row.time.0);
    if let Some(seq) = row.peer_delivered_seq {
        put_number(out, b",\"peer_delivered_seq\":", seq.0);
    }
    if let Some(seq) = row.peer_read_seq {
        put_number(out, b",\"peer_read_seq\":", seq.0);
    }
    out.extend_from_slice(if row.pinned { b",\"pinned\":true" } else { b",\"pinned\":false" });
    out.extend_from_slice(if row.muted { b",\"muted\":true" } else { b",\"muted\":false" });
    if row.hidden {
        out.extend_from_slice(b",\"hidden\":true");
    }
    put_number(out, b",\"unread\":", row.unread);
    if row.unread_more {
        out.extend_from_slice(b",\"unread_more\":true");
    }
    put_number(out, b",\"mentions\":", row.mentions);
    if let Some(last) = row.last.as_deref() {
        put_last(out, last);
    }
    out.push(b'}');
}

fn put_last(out: &mut Vec<u8>, last: &LastMessage) {
    put_number(out, b",\"last\":{\"seq\":", last.seq.0);
    put_number(out, b",\"from\":", u64::from(last.from.0));
    put_text(out, b",\"name\":", &last.name);
    put_text(out, b",\"type\":", &last.content_type);
    put_text(out, b",\"content\":", &last.content);
    put_number(out, b",\"time\":", last.time.0);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::Friend;
    use crate::presence::Presence;
    use crate::session::LoggedIn;
    use crate::{ConversationId, Seq, UnixMillis, UserId};
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0..12u64, any::<u64>(), Just(u64::MAX), Just(10_000_000_000)]
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[a-z]{0,20}", "[\\x00-\\x1f\"\\\\a]{0,9}"]
    }

    fn last() -> impl Strategy<Value = LastMessage> {
        (number(), any::<u32>(), (text(), text(), text()), number()).prop_map(
            |(seq, from, (name, content_type, content), time)| LastMessage {
                seq: Seq(seq),
                from: UserId(from),
                name: name.into(),
                content_type: content_type.into(),
                content: content.into(),
                time: UnixMillis(time),
            },
        )
    }

    fn row() -> impl Strategy<Value = ConversationSummary> {
        let option = |strategy| proptest::option::of(strategy);
        (
            (any::<u32>(), any::<bool>(), proptest::option::of(any::<u32>()), text()),
            [number(), number(), number(), number(), number(), number(), number()],
            (option(number().boxed()), option(number().boxed())),
            any::<[bool; 4]>(),
            proptest::option::of(last()),
        )
            .prop_map(|((id, is_group, peer, name), numbers, (delivered, read), flags, last)| {
                let [last_seq, first_seq, delivered_seq, read_seq, time, unread, mentions] = numbers;
                let [pinned, muted, hidden, unread_more] = flags;
                ConversationSummary {
                    conversation: ConversationId(id),
                    kind: if is_group { ConversationKind::Group } else { ConversationKind::Direct },
                    peer: peer.map(UserId),
                    name: name.into(),
                    last_seq: Seq(last_seq),
                    first_seq: Seq(first_seq),
                    delivered_seq: Seq(delivered_seq),
                    read_seq: Seq(read_seq),
                    time: UnixMillis(time),
                    peer_delivered_seq: delivered.map(Seq),
                    peer_read_seq: read.map(Seq),
                    pinned,
                    muted,
                    hidden,
                    unread,
                    unread_more,
                    mentions,
                    last: last.map(Box::new),
                }
            })
    }

    fn encoded(body: &impl Body) -> String {
        let mut bytes = b"before ".to_vec();
        body.encode(&mut bytes);
        String::from_utf8(bytes.split_off(7)).unwrap()
    }

    proptest! {
        #[test]
        fn the_fast_encoders_write_what_serde_writes(
            conversations in proptest::collection::vec(row(), 0..4),
            texts in [text(), text(), text(), text(), text()],
            (server, history) in (proptest::option::of(text()), proptest::option::of(text())),
            flags in any::<[bool; 4]>(),
            expires in number(),
        ) {
            let page = ConversationsPage { conversations: conversations.clone(), more: flags[0] };
            prop_assert_eq!(encoded(&page), serde_json::to_string(&page).unwrap());
            let [name, token, node, friend, group] = texts.map(String::into_boxed_str);
            let friend = Friend {
                id: UserId(7), name: friend, state: Presence::Online, text: None, last_seen: None,
                remark: None, tag: None,
            };
            let (id, role) = (ConversationId(8), crate::group::Role::Admin);
            let group = crate::group::Group { conversation: id, name: group, desc: "".into(), role };
            let reply = LoggedIn {
                id: UserId(9),
                name,
                token: flags[3].then_some(token),
                token_expires: UnixMillis(expires),
                node,
                server: server.map(Into::into),
                http: history.clone().map(Into::into),
                history: history.map(Into::into),
                resumed: flags[0],
                friends: vec![friend; usize::from(flags[1])],
                groups: vec![group; 2 * usize::from(flags[2])],
                conversations: conversations.into(),
                friends_more: flags[1],
                groups_more: flags[2],
                conversations_more: flags[3],
            };
            prop_assert_eq!(encoded(&reply), serde_json::to_string(&reply).unwrap());
        }
    }
}
