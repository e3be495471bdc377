//! Strict decoding of requests: every field's type, and every limit at its edges.

use wire::account::{Register, Who};
use wire::kind::request::*;
use wire::limits::*;
use wire::message::Send;
use wire::{BadRequest, Command, Credentials, Direction, Mentions, References, Seq, Target, UserId};
use wire::{account, contact, message, session, timeline};

fn decode(kind: u16, value: &str) -> Result<Command, BadRequest> {
    Command::decode(kind, value.as_bytes())
}

/// The sentence of the refusal that the value causes.
fn refusal(kind: u16, value: &[u8]) -> String {
    match Command::decode(kind, value) {
        Err(BadRequest::Value(sentence)) => sentence,
        other => panic!("{} gave {other:?}", String::from_utf8_lossy(&value[..value.len().min(200)])),
    }
}

fn content(value: &str) -> Box<str> {
    match decode(SEND, value) {
        Ok(Command::Message(message::Request::Send(send))) => send.content,
        other => panic!("{value} gave {other:?}"),
    }
}

/// Integer fields: the request, the field, its greatest value, and the other fields of a valid value.
const INTEGERS: &[(u16, &str, u64, &str)] = &[
    (LOGIN, "id", ID_MAX, r#""password":"secret","#),
    (SEND, "to", ID_MAX, r#""content":"hi","#),
    (SEND, "conversation", ID_MAX, r#""content":"hi","#),
    (SEND, "reply_to", INTEGER_MAX, r#""to":1,"content":"hi","#),
    (ADD_FRIEND, "id", ID_MAX, ""),
    (JOIN_GROUP, "conversation", ID_MAX, ""),
    (ACK, "conversation", ID_MAX, r#""seq":1,"#),
    (ACK, "seq", INTEGER_MAX, r#""conversation":1,"#),
    (READ, "seq", INTEGER_MAX, r#""conversation":1,"#),
    (HISTORY, "conversation", ID_MAX, r#""after":1,"#),
    (HISTORY, "after", INTEGER_MAX, r#""conversation":1,"#),
    (HISTORY, "before", INTEGER_MAX, r#""conversation":1,"#),
    (HISTORY, "limit", 200, r#""conversation":1,"after":1,"#),
    (ANSWER_FRIEND, "id", ID_MAX, r#""accept":true,"#),
    (FRIENDS, "after", ID_MAX, ""),
    (FRIENDS, "limit", 200, ""),
    (MEMBERS, "conversation", ID_MAX, ""),
    (MEMBERS, "after", ID_MAX, r#""conversation":1,"#),
    (CONVERSATIONS, "before", INTEGER_MAX, r#""before_id":1,"#),
    (CONVERSATIONS, "before_id", ID_MAX, r#""before":1,"#),
    (GROUPS, "limit", 200, ""),
    (READERS, "conversation", ID_MAX, r#""seq":1,"#),
    (READERS, "seq", INTEGER_MAX, r#""conversation":1,"#),
    (READERS, "after", ID_MAX, r#""conversation":1,"seq":1,"#),
    (READERS, "limit", 200, r#""conversation":1,"seq":1,"#),
    (SEARCH, "conversation", ID_MAX, r#""text":"x","#),
    (SEARCH, "from", ID_MAX, r#""text":"x","#),
    (SEARCH, "since", INTEGER_MAX, r#""text":"x","#),
    (SEARCH, "until", INTEGER_MAX, r#""text":"x","#),
    (SEARCH, "limit", 50, r#""text":"x","#),
    (SET_CONVERSATION, "conversation", ID_MAX, r#""pinned":true,"#),
    (CLEAR, "conversation", ID_MAX, r#""upto":1,"#),
    (CLEAR, "upto", INTEGER_MAX, r#""conversation":1,"#),
    (PROFILE, "id", ID_MAX, ""),
];

#[test]
fn integers_must_be_literals_within_their_bounds() {
    for &(kind, field, max, rest) in INTEGERS {
        let with = |literal: &str| format!("{{{rest}\"{field}\":{literal}}}");
        for good in [1, max] {
            assert!(decode(kind, &with(&good.to_string())).is_ok(), "{} {good}", with("_"));
        }
        let above = (max + 1).to_string();
        for bad in [
            "-1",
            "-0",
            "1.0",
            "1e2",
            "1E0",
            "9007199254740992",
            "18446744073709551616",
            "1e999",
            "\"5\"",
            "true",
            "null",
            "[]",
            "[5]",
            "{}",
            &above,
        ] {
            let sentence = refusal(kind, with(bad).as_bytes());
            assert!(sentence.contains(&format!("`{field}`")), "{} gave {sentence}", with(bad));
        }
        for broken in ["01", "+1", "0x1", "1.", ".5", "NaN", "", "1 1"] {
            refusal(kind, with(broken).as_bytes());
        }
    }
}

#[test]
fn texts_and_flags_must_have_their_type() {
    for (kind, field, rest) in [
        (LOGIN, "name", r#""password":"secret","#),
        (LOGIN, "password", r#""id":1,"#),
        (LOGIN, "token", ""),
        (LOGIN, "known", r#""id":1,"password":"secret","#),
        (LOGIN, "device", r#""token":"t","#),
        (REGISTER, "name", r#""password":"secret","#),
        (SEND, "content", r#""to":1,"#),
        (SEND, "to_name", r#""content":"hi","#),
        (SEND, "type", r#""to":1,"content":"hi","#),
        (SEND, "cid", r#""to":1,"content":"hi","#),
        (CREATE_GROUP, "desc", r#""name":"g","#),
        (ADD_FRIEND, "message", r#""id":1,"#),
        (PROFILE, "name", ""),
    ] {
        assert!(decode(kind, &format!("{{{rest}\"{field}\":\"xxxxxx\"}}")).is_ok(), "{field}");
        for bad in ["1", "true", "null", "[]", "{}", "[\"x\"]"] {
            let sentence = refusal(kind, format!("{{{rest}\"{field}\":{bad}}}").as_bytes());
            assert!(sentence.starts_with(&format!("`{field}`: ")), "{field} {bad} gave {sentence}");
        }
    }
    for bad in ["1", "\"true\"", "null"] {
        let sentence = refusal(ANSWER_FRIEND, format!("{{\"id\":1,\"accept\":{bad}}}").as_bytes());
        assert!(sentence.starts_with("`accept`: "), "{sentence}");
        for field in ["pinned", "muted", "hidden"] {
            let value = format!("{{\"conversation\":1,\"{field}\":{bad}}}");
            let sentence = refusal(SET_CONVERSATION, value.as_bytes());
            assert!(sentence.starts_with(&format!("`{field}`: ")), "{sentence}");
        }
    }
}

#[test]
fn a_value_must_be_one_object() {
    for empty in ["", "{}", " \t\r\n{ } \n"] {
        assert_eq!(decode(LOGOUT, empty), Ok(Command::Session(session::Request::Logout)));
        assert!(matches!(decode(FRIENDS, empty), Ok(Command::Contact(contact::Request::Friends(_)))));
    }
    for bad in [
        "[]",
        "[5,\"hi\"]",
        "null",
        "5",
        "\"x\"",
        " ",
        "{",
        "}",
        "{}{}",
        "{} x",
        "{}\0",
        "{},",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{/**/}",
        "\u{feff}{}",
        "{}\u{feff}",
        "\u{a0}{}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\0\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":tru}",
        "{\"a\":1e}",
    ] {
        refusal(LOGOUT, bad.as_bytes());
    }
    for bad in [&b"{\"a\":\"\xff\"}"[..], b"{\"\xc0\x80\":1}", b"{\"a\":\"\xed\xa0\x80\"}", b"\xff\xfe{\0}\0"]
    {
        assert_eq!(refusal(LOGOUT, bad), "the value is not UTF-8");
    }
}

#[test]
fn unknown_fields_are_ignored_and_repeated_ones_are_refused() {
    let value = r#"{"x":1,"x":{"to":[null,-1.5e3,"\u00e9"]},"to":5,"Content":"no","content":"hi","errno":0}"#;
    assert_eq!(&*content(value), "hi");
    // An escaped field name is the same name.
    assert_eq!(&*content(r#"{"to":5,"c\u006fntent":"hi"}"#), "hi");
    for (kind, value, field) in [
        (SEND, r#"{"to":5,"content":"hi","to":5}"#, "to"),
        (SEND, r#"{"to":5,"content":"hi","content":"hi"}"#, "content"),
        (SEND, r#"{"to":5,"content":"hi","c\u006fntent":"hi"}"#, "content"),
        (SEND, r#"{"to":5,"content":"hi","type":"text","type":"text"}"#, "type"),
        (ACK, r#"{"conversation":1,"seq":1,"seq":2}"#, "seq"),
        (LOGIN, r#"{"token":"a","token":"b"}"#, "token"),
    ] {
        let sentence = refusal(kind, value.as_bytes());
        assert!(sentence.contains(&format!("duplicate field `{field}`")), "{sentence}");
    }
}

#[test]
fn lone_surrogates_are_refused_everywhere() {
    for lone in [
        "\\ud800",
        "\\uDFFF",
        "\\udc00\\ud800",
        "\\ud800\\ud800",
        "\\ud800x",
        "\\ud800\\\\udc00",
        "\\ud83d\\n",
    ] {
        for value in [
            format!(r#"{{"to":5,"content":"a{lone}"}}"#),
            format!(r#"{{"to":5,"content":"hi","unknown":"{lone}"}}"#),
            format!(r#"{{"to":5,"content":"hi","{lone}":1}}"#),
            format!(r#"{{"to":5,"content":"hi","unknown":[{{"a":{{"{lone}b":0}}}}]}}"#),
        ] {
            let sentence = refusal(SEND, value.as_bytes());
            assert!(sentence.contains("surrogate"), "{value} gave {sentence}");
        }
    }
    assert_eq!(&*content(r#"{"to":5,"content":"\ud83d\ude00","\uD83D\uDE00":"\uDBFF\uDFFF"}"#), "😀");
    // An escaped backslash does not begin an escape.
    assert_eq!(&*content(r#"{"to":5,"content":"\\ud800","u":"\\\\udc00"}"#), "\\ud800");
}

#[test]
fn texts_are_kept_unchanged() {
    assert_eq!(&*content(r#"{"to":5,"content":"\u0000"}"#), "\0");
    assert_eq!(&*content("{\"to\":5,\"content\":\" \u{7f}\u{202e}e\u{301} \"}"), " \u{7f}\u{202e}e\u{301} ");
    assert_eq!(&*content(r#"{"to":5,"content":"\"\\\/\b\f\n\r\t\u00e9"}"#), "\"\\/\u{8}\u{c}\n\r\té");
}

#[test]
fn exactly_one_of_the_alternatives_must_be_present() {
    for (kind, value) in [
        (SEND, r#"{"content":"hi"}"#),
        (SEND, r#"{"content":"hi","to":1,"conversation":1}"#),
        (SEND, r#"{"content":"hi","to":1,"to_name":"a"}"#),
        (SEND, r#"{"content":"hi","to":1,"kind":"group"}"#),
        (SEND, r#"{"content":"hi","conversation":1,"kind":"direct"}"#),
        (SEND, r#"{"content":"hi","conversation":1,"kind":1}"#),
        (LOGIN, r#"{"password":"secret"}"#),
        (LOGIN, r#"{"id":1,"name":"a","password":"secret"}"#),
        (LOGIN, r#"{"id":1}"#),
        (LOGIN, r#"{"token":"t","id":1}"#),
        (LOGIN, r#"{"token":"t","password":"secret"}"#),
        (LOGIN, r#"{"token":"t","known":"t"}"#),
        (ADD_FRIEND, "{}"),
        (ADD_FRIEND, r#"{"id":1,"name":"a"}"#),
        (HISTORY, r#"{"conversation":1}"#),
        (HISTORY, r#"{"conversation":1,"after":1,"before":1}"#),
        (CONVERSATIONS, r#"{"before":1}"#),
        (CONVERSATIONS, r#"{"before_id":1}"#),
        (PROFILE, r#"{"id":1,"name":"a"}"#),
    ] {
        assert!(refusal(kind, value.as_bytes()).contains('`'), "{value}");
    }
    for (kind, value, missing) in [
        (SEND, r#"{"to":1}"#, "content"),
        (REGISTER, r#"{"name":"a"}"#, "password"),
        (REGISTER, r#"{"password":"secret"}"#, "name"),
        (ACK, r#"{"seq":1}"#, "conversation"),
        (READ, r#"{"conversation":1}"#, "seq"),
        (JOIN_GROUP, "", "conversation"),
        (SET_CONVERSATION, r#"{"muted":true}"#, "conversation"),
        (CLEAR, r#"{"upto":1}"#, "conversation"),
        (SET_PRESENCE, r#"{"text":"lunch"}"#, "state"),
        (CLEAR, r#"{"conversation":1}"#, "upto"),
        (MEMBERS, "", "conversation"),
        (CREATE_GROUP, "", "name"),
        (ANSWER_FRIEND, r#"{"id":1}"#, "accept"),
        (ANSWER_FRIEND, r#"{"accept":true}"#, "id"),
    ] {
        assert_eq!(refusal(kind, value.as_bytes()), format!("`{missing}` is missing"));
    }
    assert_eq!(decode(14, ""), Err(BadRequest::UnknownType(14)));
    assert_eq!(decode(0x8006, "{}"), Err(BadRequest::UnknownType(0x8006)));
}

/// Checks that a field accepts `min` to `max` times `unit`, and neither one less nor one more.
fn edges(kind: u16, field: &str, rest: &str, unit: &str, min: usize, max: usize) {
    let with = |units: usize| format!("{{{rest}\"{field}\":\"{}\"}}", unit.repeat(units));
    for units in [min, max] {
        assert!(decode(kind, &with(units)).is_ok(), "{units} times {unit} in {field}");
    }
    for units in min.checked_sub(1).into_iter().chain([max + 1]) {
        let sentence = refusal(kind, with(units).as_bytes());
        assert!(
            sentence.contains(&format!("`{field}`")) && sentence.contains(&max.to_string()),
            "{sentence}"
        );
    }
}

#[test]
fn limits_hold_at_their_edges() {
    let send = r#""to":1,"content":"hi","#;
    // In characters.
    for unit in ["x", "张", "\u{10ffff}", "e\u{301}"] {
        let per = unit.chars().count();
        if per == 1 {
            edges(REGISTER, "name", r#""password":"secret","#, unit, 1, NAME_CHARS);
            edges(REGISTER, "nick", r#""name":"a","password":"secret","#, unit, 1, NAME_CHARS);
            edges(CREATE_GROUP, "name", "", unit, 1, GROUP_NAME_CHARS);
            edges(CREATE_GROUP, "desc", r#""name":"g","#, unit, 0, GROUP_DESC_CHARS);
            edges(ADD_FRIEND, "message", r#""id":1,"#, unit, 0, FRIEND_MESSAGE_CHARS);
            edges(SET_PRESENCE, "text", r#""state":"away","#, unit, 0, PRESENCE_TEXT_CHARS);
            edges(ANSWER_FRIEND, "message", r#""id":1,"accept":true,"#, unit, 0, FRIEND_MESSAGE_CHARS);
        } else {
            // Scalar values are counted, not grapheme clusters.
            assert!(decode(CREATE_GROUP, &format!("{{\"name\":\"{}\"}}", unit.repeat(25))).is_ok());
            refusal(CREATE_GROUP, format!("{{\"name\":\"{}\"}}", unit.repeat(26)).as_bytes());
        }
    }
    // In bytes of UTF-8, escaped or not.
    for unit in ["x", "\\u0000", "\\n"] {
        edges(SEND, "content", r#""to":1,"#, unit, 1, CONTENT_BYTES);
        edges(REGISTER, "password", r#""name":"a","#, unit, PASSWORD_BYTES_MIN, PASSWORD_BYTES_MAX);
        edges(LOGIN, "device", r#""token":"t","#, unit, 0, DEVICE_BYTES);
        edges(LOGIN, "token", "", unit, 1, TOKEN_BYTES);
        edges(LOGIN, "known", r#""id":1,"password":"secret","#, unit, 1, TOKEN_BYTES);
    }
    edges(SEND, "cid", send, "x", 1, CID_BYTES);
    edges(SEND, "type", send, "x", 1, TYPE_BYTES);
    edges(REGISTER, "email", r#""name":"a","password":"secret","#, "x", 3, EMAIL_BYTES);
    edges(REGISTER, "code", r#""name":"a","password":"secret","#, "x", 1, CODE_BYTES);
    let two = |units: usize| format!("{{\"to\":1,\"content\":\"x{}\"}}", "é".repeat(units));
    assert!(decode(SEND, &two((CONTENT_BYTES - 1) / 2)).is_ok());
    refusal(SEND, two(CONTENT_BYTES / 2).as_bytes());
    for limit in [0, u64::from(PAGE_MAX) + 1] {
        let sentence = refusal(FRIENDS, format!("{{\"limit\":{limit}}}").as_bytes());
        assert_eq!(sentence, "`limit` must be from 1 to 200");
    }
}

#[test]
fn only_the_server_makes_entries_that_are_not_messages() {
    for reserved in ["system", "edit", "recall", "reaction", "meeting"] {
        let send = format!(r#"{{"to":1,"content":"x","type":"{reserved}"}}"#);
        assert!(refusal(SEND, send.as_bytes()).contains(&format!("`{reserved}`")), "{reserved}");
    }
}

#[test]
fn names_types_and_cids_must_not_contain_hidden_characters() {
    for bad in ["\\u0000", "a\\nb", "\u{202e}a", " a", "a ", "a\u{3000}", "\u{200f}"] {
        assert!(
            refusal(REGISTER, format!("{{\"name\":\"{bad}\",\"password\":\"secret\"}}").as_bytes())
                .contains("`name`")
        );
        assert!(refusal(CREATE_GROUP, format!("{{\"name\":\"{bad}\"}}").as_bytes()).contains("`name`"));
    }
    assert!(refusal(SEND, br#"{"to":1,"content":"x","type":"a\u0000"}"#).contains("`type`"));
    // Only a `cid` made by the server begins with U+0000.
    assert!(refusal(SEND, br#"{"to":1,"content":"x","cid":"\u0000a"}"#).contains("`cid`"));
    let own = message::server_cid(7, 8);
    let value = format!("{{\"to\":1,\"content\":\"x\",\"cid\":\"\\u0000{}\"}}", &own[1..]);
    assert!(
        matches!(decode(SEND, &value), Ok(Command::Message(message::Request::Send(send))) if send.cid.as_ref() == Some(&own))
    );
}

#[test]
fn decoded_requests_hold_the_values_sent() {
    assert_eq!(
        decode(SEND, r#"{"to_name":"bob","content":"hi","type":"image","cid":"c1"}"#),
        Ok(Command::Message(message::Request::Send(Send {
            target: Target::Name("bob".into()),
            content: "hi".into(),
            content_type: Some("image".into()),
            cid: Some("c1".into()),
            references: None,
        })))
    );
    assert!(matches!(
        decode(LOGIN, r#"{"id":7,"password":"x"}"#),
        Ok(Command::Session(session::Request::Login(session::Login {
            credentials: Credentials::Password { who: Who::Id(UserId(7)), .. },
            device: None,
            kind: None,
            known: None,
            with_last: false,
            by_cookie: false
        })))
    ));
    assert!(matches!(
        decode(HISTORY, r#"{"conversation":7,"before":9}"#),
        Ok(Command::Timeline(timeline::Request::History(timeline::History { direction: Direction::Before(seq), limit: PAGE_DEFAULT, .. }))) if seq.0 == 9
    ));
    let register = decode(REGISTER, r#"{"name":"张三","password":"secret","email":"a@b"}"#);
    let Ok(Command::Account(account::Request::Register(register))) = register else { panic!("{register:?}") };
    let expected = Register {
        name: "张三".into(),
        password: "secret".into(),
        email: Some("a@b".into()),
        code: None,
        nick: None,
    };
    assert!(*register == expected);
}

#[test]
fn a_login_without_credentials_is_by_cookie() {
    for value in ["{}", r#"{"device":"tab","kind":"web","last":true}"#] {
        let Ok(Command::Session(session::Request::Login(login))) = decode(LOGIN, value) else {
            panic!("{value}")
        };
        assert!(login.by_cookie && login.credentials == Credentials::Token("".into()), "{value}");
    }
    for value in
        [r#"{"id":7}"#, r#"{"name":"ann"}"#, r#"{"password":"x"}"#, r#"{"known":"t"}"#, r#"{"token":""}"#]
    {
        assert!(decode(LOGIN, value).is_err(), "{value}");
    }
}

#[test]
fn mentions_are_distinct_ids_or_all() {
    let with = |fields: &str| format!(r#"{{"conversation":7,"content":"hi",{fields}}}"#);
    let read = |fields: &str| match decode(SEND, &with(fields)) {
        Ok(Command::Message(message::Request::Send(send))) => send.references.map(|references| *references),
        other => panic!("{fields} gave {other:?}"),
    };
    let ids = |ids: &mut dyn Iterator<Item = u32>| ids.map(UserId).collect::<Box<[UserId]>>();
    let list = |count: u32| {
        let ids: Vec<String> = (1..=count).map(|id| id.to_string()).collect();
        format!(r#""mentions":[{}]"#, ids.join(","))
    };
    let most = MENTIONS as u32;
    assert_eq!(
        read(&format!(r#""reply_to":9,{}"#, list(most))),
        Some(References { reply_to: Some(Seq(9)), mentions: Mentions::Users(ids(&mut (1..=most))) })
    );
    assert_eq!(
        read(r#""mention_all":true,"mentions":[]"#),
        Some(References { reply_to: None, mentions: Mentions::All })
    );
    for nothing in [r#""mentions":[]"#, r#""mention_all":false"#, r#""mention_all":false,"mentions":[]"#] {
        assert_eq!(read(nothing), None, "{nothing}");
    }
    for (bad, field) in [
        (list(most + 1), "`mentions`"),
        (r#""mentions":[1,2,1]"#.to_owned(), "`mentions`"),
        (r#""mentions":1"#.to_owned(), "`mentions`"),
        (r#""mentions":["1"]"#.to_owned(), "`mentions[0]`"),
        (r#""mentions":[2147483648]"#.to_owned(), "`mentions[0]`"),
        (r#""mentions":null"#.to_owned(), "`mentions`"),
        (r#""mention_all":1"#.to_owned(), "`mention_all`"),
        (r#""mention_all":true,"mentions":[1]"#.to_owned(), "`mention_all`"),
        (r#""mentions":[1],"mentions":[2]"#.to_owned(), "mentions"),
    ] {
        let sentence = refusal(SEND, with(&bad).as_bytes());
        assert!(sentence.contains(field), "{bad} gave {sentence}");
    }
}

#[test]
fn a_refusal_is_short_however_long_the_name_of_a_field_is() {
    let name = "龙".repeat(9_000);
    for value in [format!(r#"{{"{name}":"{}"}}"#, '\u{1}'), format!(r#"{{"{name}":[}}"#)] {
        let sentence = refusal(SEND, value.as_bytes());
        assert!(sentence.len() <= 400 && sentence.starts_with("`龙"), "{sentence}");
    }
}
