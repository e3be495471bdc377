//! A message as it is forwarded: ONE_CHAT_MSG or GROUP_CHAT_MSG. The dialect of its sender makes no difference.

use super::escape;
use super::style::Style;
use crate::json;
use crate::{ConversationKind, Message, UserId};
use std::io::Write;

/// Appends the message as one object without its NUL, addressed to `to`; `time` is its formatted time. A text that
/// would make the object too long is cut after a character and ends with `…`; the timeline keeps the whole text.
pub fn put(out: &mut Vec<u8>, style: &Style, message: &Message, to: UserId, time: &str) {
    let start = out.len();
    let Message { conversation, from, .. } = message;
    let (one_chat, group_chat) = (style.msgids.one_chat, style.msgids.group_chat);
    let head = match message.kind {
        ConversationKind::Direct => {
            write!(out, "{{\"msgid\":{one_chat},\"id\":{from},\"toid\":{to},\"name\":")
        }
        ConversationKind::Group => {
            write!(out, "{{\"msgid\":{group_chat},\"id\":{from},\"groupid\":{conversation},\"name\":")
        }
    };
    head.expect("writing to a Vec cannot fail");
    json::write_string(out, &message.name);
    out.extend_from_slice(b",\"time\":");
    json::write_string(out, time);
    out.extend_from_slice(b",\"msg\":");
    let text = out.len();
    json::write_string(out, &message.content);
    out.push(b'}');
    let too_long = (out.len() - start).saturating_sub(style.room());
    if too_long > 0 {
        let length = out.len() - text - "\"\"}".len();
        out.truncate(text);
        json::write_string(out, &escape::cut(&message.content, length.saturating_sub(too_long)));
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConversationId, Seq, UnixMillis};
    use proptest::prelude::*;

    fn message(kind: ConversationKind, name: &str, content: &str) -> Message {
        Message {
            conversation: ConversationId(7),
            kind,
            seq: Seq(1),
            from: UserId(3),
            name: name.into(),
            content_type: "text".into(),
            content: content.into(),
            time: UnixMillis(0),
            cid: None,
            extra: None,
        }
    }

    fn object(message: &Message, style: &Style) -> String {
        let mut out = Vec::new();
        put(&mut out, style, message, UserId(4), "2021-01-01 12:00:00");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn messages_have_the_form_that_the_clients_read() {
        let style = Style::default();
        assert_eq!(
            object(&message(ConversationKind::Direct, "张三", "a \"b\"\\"), &style),
            r#"{"msgid":6,"id":3,"toid":4,"name":"张三","time":"2021-01-01 12:00:00","msg":"a \"b\"\\"}"#
        );
        assert_eq!(
            object(&message(ConversationKind::Group, "a", "b"), &style),
            r#"{"msgid":10,"id":3,"groupid":7,"name":"a","time":"2021-01-01 12:00:00","msg":"b"}"#
        );
    }

    proptest! {
        #[test]
        fn an_object_always_fits_and_its_text_is_cut_no_more_than_needed(
            content in prop_oneof!["\\PC{0,300}", "[\"\\\\\\n\u{1}é宽🙂]{1,600}", "[a宽]{8000,9000}"],
            name in "[\"宽🙂]{1,50}",
            object_bytes in Style::OBJECT_BYTES_MIN..2_000,
        ) {
            let style = Style { object_bytes, ..Style::default() };
            let object = object(&message(ConversationKind::Direct, &name, &content), &style);
            prop_assert!(object.len() < object_bytes);
            let read: serde_json::Value = serde_json::from_str(&object).unwrap();
            let text = read["msg"].as_str().unwrap();
            if text != content {
                prop_assert!(content.starts_with(text.strip_suffix('…').unwrap()));
                prop_assert!(object.len() + 6 + 3 >= object_bytes, "the text was cut more than needed");
            }
        }
    }
}
