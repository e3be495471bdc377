//! Answers to a refused login and to a registration.

use super::escape;
use super::style::Style;
use crate::json;
use crate::{Errno, UserId};
use std::io::Write;

/// Appends LOGIN_MSG_ACK for a login that was refused.
pub fn put_login_refused(out: &mut Vec<u8>, style: &Style, errno: Errno, errmsg: &str) {
    // The clients know three numbers: wrong credentials, already online, anything else.
    let errno = match errno {
        Errno::BadCredentials => 1,
        Errno::AlreadyOnline => 2,
        _ => 3,
    };
    put_refused(out, style, style.msgids.login_answer, errno, errmsg);
}

/// Appends REG_MSG_ACK for an account that was created.
pub fn put_registered(out: &mut Vec<u8>, style: &Style, id: UserId) {
    let msgid = style.msgids.register_answer;
    write!(out, "{{\"msgid\":{msgid},\"errno\":0,\"id\":{id}}}").expect("writing to a Vec cannot fail");
}

/// Appends REG_MSG_ACK for an account that was not created.
pub fn put_register_refused(out: &mut Vec<u8>, style: &Style, errmsg: &str) {
    put_refused(out, style, style.msgids.register_answer, 1, errmsg);
}

fn put_refused(out: &mut Vec<u8>, style: &Style, msgid: i64, errno: u8, errmsg: &str) {
    write!(out, "{{\"msgid\":{msgid},\"errno\":{errno},\"errmsg\":").expect("writing to a Vec cannot fail");
    // A sentence that quotes the request may be long.
    let room = style.object_bytes / 2;
    match escape::length(errmsg) <= room {
        true => json::write_string(out, errmsg),
        false => json::write_string(out, &escape::cut(errmsg, room)),
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_form_that_the_clients_read() {
        let (mut out, style) = (Vec::new(), Style::default());
        put_login_refused(&mut out, &style, Errno::AlreadyOnline, "the account is online elsewhere");
        put_registered(&mut out, &style, UserId(7));
        put_register_refused(&mut out, &style, "`name` is \"taken\"");
        let expected = [
            r#"{"msgid":2,"errno":2,"errmsg":"the account is online elsewhere"}"#,
            r#"{"msgid":5,"errno":0,"id":7}"#,
            r#"{"msgid":5,"errno":1,"errmsg":"`name` is \"taken\""}"#,
        ];
        assert_eq!(String::from_utf8(out).unwrap(), expected.concat());
    }

    #[test]
    fn no_sentence_is_too_long() {
        for sentence in ["\u{1}".repeat(2_000), "宽".repeat(2_000)] {
            let (mut out, style) =
                (Vec::new(), Style { object_bytes: Style::OBJECT_BYTES_MIN, ..Style::default() });
            put_login_refused(&mut out, &style, Errno::Busy, &sentence);
            assert!(
                out.len() < style.object_bytes && serde_json::from_slice::<serde_json::Value>(&out).is_ok()
            );
        }
    }
}
