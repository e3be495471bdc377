//! Two users at terminals: menus, chats, crashes of the server and of the client, and hostile text.

use crate::support::terminal::Terminal;
use crate::support::{Client, PASSWORD, PATIENCE, Server};
use wire::account::Who;
use wire::{Command, Credentials, Push, Target, UserId};
use wire::{group, message, session, timeline};

/// Registers at the menu, as a new user would.
pub fn register(terminal: &mut Terminal, name: &str, id: u32) {
    terminal.expect("choice: ");
    terminal.type_line("2");
    terminal.expect("name: ");
    terminal.type_line(name);
    terminal.expect("a password has 6 to 128");
    terminal.expect("password: ");
    terminal.type_line(PASSWORD);
    terminal.expect("password again: ");
    terminal.type_line(PASSWORD);
    terminal.expect("█");
    terminal.expect(&format!("your id is {id}"));
    terminal.expect("> ");
}

fn two_who_know_each_other(server: &Server) -> (Terminal, Terminal) {
    let (mut zhang, mut li) = (Terminal::open(server.address), Terminal::open(server.address));
    register(&mut zhang, "zhang san", 1);
    register(&mut li, "li si", 2);
    (zhang, li)
}

/// The status row, above the prompt.
pub fn status(rows: &[String]) -> &str {
    let row = rows.iter().rev().find(|row| row.starts_with("──"));
    row.map_or("", |row| row)
}

/// How often a text was written to the screen.
pub fn count(terminal: &Terminal, text: &str) -> usize {
    terminal.text().matches(text).count()
}

#[test]
fn two_new_users_register_and_chat() {
    let server = Server::start(&[]);
    let (mut zhang, mut li) = two_who_know_each_other(&server);
    zhang.type_line("chat:2:hello, 李四: how are you?");
    li.expect("zhang san (1): hello, 李四: how are you?");
    li.type_line("chat:zhang san:well");
    zhang.expect("li si (2): well");

    // A misspelt command is not sent as a message.
    zhang.type_line("caht:2:a slip of the fingers");
    zhang.expect("unknown command `caht`; did you mean `chat`?");
    zhang.type_line("gruopchat:2:another slip");
    zhang.expect("did you mean `groupchat`?");
    zhang.type_line("/mgs li si a slip with a slash");
    zhang.expect("did you mean `/msg`?");
    // Plain text goes to the open conversation.
    zhang.type_line("/msg li si");
    zhang.expect("li si> ");
    zhang.type_line("that was all");
    li.expect("zhang san (1): that was all");
    assert_eq!(count(&li, "slip"), 0);

    for terminal in [&mut zhang, &mut li] {
        terminal.type_line("quit");
        assert_eq!(terminal.wait(), 0);
        assert_eq!(count(terminal, PASSWORD), 0, "a password was shown: {:?}", terminal.text());
    }
}

#[test]
fn a_profile_shows_who_a_user_is() {
    let server = Server::start(&[]);
    let (mut zhang, _li) = two_who_know_each_other(&server);
    zhang.type_line("/profile");
    zhang.expect("zhang san (1), you");
    zhang.expect("created  20");
    zhang.type_line("/profile 2");
    zhang.expect("li si (2), not a friend of yours");
    zhang.type_line("/add li si");
    zhang.expect("you and li si (2) are now friends");
    zhang.type_line("/profile li si");
    zhang.expect("li si (2), a friend of yours");
    zhang.type_line("/profile nobody");
    zhang.expect("profile: there is no such user");
}

#[test]
fn a_dumb_terminal_shows_no_password() {
    let server = Server::start(&[]);
    for id in 1..=10 {
        let mut terminal = Terminal::open_as(&[("TERM", "dumb"), ("LANG", "C")], server.address);
        terminal.expect("choice:");
        terminal.type_line("2");
        terminal.expect("name:");
        terminal.type_line(&format!("user {id}"));
        terminal.expect("password:");
        terminal.type_line(PASSWORD);
        terminal.expect("password again:");
        terminal.type_line(PASSWORD);
        terminal.expect(&format!("your id is {id}"));
        terminal.expect("help lists the commands");
        terminal.type_line("quit");
        assert_eq!(terminal.wait(), 0);
        assert_eq!(count(&terminal, PASSWORD), 0, "the password was shown: {:?}", terminal.text());
        assert!(!terminal.bytes().contains(&0x1b), "it was told to do something: {:?}", terminal.text());
    }
}

#[test]
fn a_password_typed_ahead_of_its_prompt_is_not_shown() {
    let server = Server::start(&[]);
    for terminal in [&[("TERM", "dumb")][..], &[("TERM", "xterm")]] {
        let mut terminal = Terminal::open_as(terminal, server.address);
        terminal.expect("choice:");
        let name = format!("user {}", count(&terminal, "choice"));
        terminal.type_keys(&format!("2\r{name} {}\r{PASSWORD}\r{PASSWORD}\r", terminal.text().len()));
        terminal.expect("your id is");
        terminal.expect("help lists the commands");
        assert_eq!(count(&terminal, PASSWORD), 0, "the password was shown: {:?}", terminal.text());
    }
}

#[test]
fn terminals_resume_after_a_crash_and_send_once_what_was_typed_meanwhile() {
    let mut server = Server::start_at_fixed_port(&[]);
    let (mut zhang, mut li) = two_who_know_each_other(&server);
    zhang.type_line("chat:2:before the crash");
    li.expect("before the crash");
    server.kill9();
    zhang.expect("connection lost");
    li.expect("connection lost");
    zhang.expect_to_see("the countdown", |rows| status(rows).contains("offline: next try in"));
    zhang.type_line("chat:2:written in the dark");
    zhang.expect_to_see("the waiting message", |rows| {
        rows.iter().any(|row| row.starts_with(" … ") && row.ends_with("written in the dark"))
    });
    server.restart();
    zhang.expect("reconnected");
    li.expect("zhang san (1): written in the dark");
    zhang.expect_to_see("the stored message", |rows| {
        rows.iter().any(|row| row.starts_with("✓✓ ") && row.ends_with("written in the dark"))
    });
    zhang.type_line("chat:2:after the crash");
    li.expect("after the crash");
    assert_eq!(count(&li, "written in the dark"), 1, "{:?}", li.text());
    zhang.expect_to_see("no word of an outage", |rows| !status(rows).contains("offline"));
    li.type_line("history:1");
    li.expect("history of ");
    for (number, text) in [(1, "before the crash"), (2, "written in the dark"), (3, "after the crash")] {
        li.expect(&format!("#{number} "));
        li.expect(&format!("zhang san (1): {text}"));
    }
}

#[test]
fn text_from_others_cannot_control_the_terminal() {
    const TITLE: &str = "\u{1b}]0;owned\u{7}";
    const BACKWARDS: &str = "\u{202e}gnp.exe\u{202c}\u{2066}";
    let server = Server::start(&[]);
    let (mut zhang, mut li) = two_who_know_each_other(&server);
    let (mut mallory, _) = Client::join(server.address, "mallory");
    let attack = |tail: &str| format!("{TITLE}{BACKWARDS}\u{1b}[2J\u{9b}31m\r\n\u{8}{tail}");
    mallory.send(Target::Name("li si".into()), &attack("END OF MESSAGE"));
    li.expect("END OF MESSAGE");
    let desc = attack("END OF DESCRIPTION").into();
    let made = mallory
        .ask_again(&Command::Group(group::Request::Create(group::Create { name: "trap".into(), desc })));
    let group = match made {
        wire::Reply::Group(group::Reply::Created(made)) => made.conversation,
        other => panic!("CREATE_GROUP was answered {other:?}"),
    };
    li.type_line(&format!("addgroup:{group}"));
    li.expect("you joined");
    mallory.send(Target::Conversation(group), &attack("END OF GROUP MESSAGE"));
    li.expect("END OF GROUP MESSAGE");
    li.type_line("groups");
    li.expect("END OF DESCRIPTION");
    li.type_line("history:3");
    li.expect("history of ");
    li.expect("END OF MESSAGE");
    // Also in the terminal of a user who sees it in the history only.
    zhang.type_line("chat:3:hello");
    mallory.push(PATIENCE, |push| {
        matches!(push, Push::Message(message::Push::New(m)) if &*m.name == "zhang san").then_some(())
    });
    for terminal in [&zhang, &li] {
        let text = terminal.text();
        for control in ["\u{1b}]", "owned\u{7}", "\u{202e}", "\u{202c}", "\u{2066}", "\u{1b}[2J", "\u{9b}"] {
            assert!(!text.contains(control), "{control:?} reached the terminal: {text:?}");
        }
        assert!(!terminal.bytes().contains(&0x9b) || text.chars().all(|c| c != '\u{9b}'));
    }
}

#[test]
fn another_account_can_log_in_on_the_terminal_after_a_logout() {
    let server = Server::start(&[]);
    let (mut zhang, mut li) = two_who_know_each_other(&server);
    zhang.type_line("loginout");
    zhang.expect("logged out");
    let mut stranger = Client::connect(server.address);
    stranger.register("wang wu");
    zhang.expect("choice: ");
    zhang.type_line("1");
    zhang.expect("id or name: ");
    zhang.type_line("wang wu");
    zhang.expect("password: ");
    zhang.type_line("not the password");
    zhang.expect("login failed");
    zhang.expect("choice: ");
    zhang.type_line("1");
    zhang.expect("id or name: ");
    zhang.type_line("3");
    zhang.expect("password: ");
    zhang.type_line(PASSWORD);
    zhang.expect("> ");
    zhang.type_line("chat:2:it is me, wang");
    li.expect("wang wu (3): it is me, wang");
    li.type_line("chat:1:zhang, are you there?");
    li.expect(" ✓\r");
    zhang.type_line("history:1");
    zhang.expect("no messages with");
    zhang.type_line("quit");
    assert_eq!(zhang.wait(), 0);
    assert_eq!(count(&zhang, "are you there"), 0, "what is for another account was shown");
    assert_eq!(count(&zhang, PASSWORD) + count(&zhang, "not the password"), 0, "a password was shown");
}

#[test]
fn a_sent_message_shows_its_delivery_state() {
    let server = Server::start(&[]);
    let (mut zhang, mut li) = two_who_know_each_other(&server);
    zhang.type_line("/msg \"li si\" 你好 🙂");
    li.expect("zhang san (1): 你好 🙂");
    let marked = |mark: &str| {
        let begins = format!("{mark} [");
        move |rows: &[String]| rows.iter().any(|row| row.starts_with(&begins) && row.ends_with("你好 🙂"))
    };
    zhang.expect_to_see("that it was delivered", marked("✓✓"));
    li.expect_to_see("what is unread", |rows| status(rows).contains("1 unread: zhang san 1"));
    // It counts as read when its conversation is opened.
    li.type_line("/msg zhang san");
    zhang.expect_to_see("that it was read", marked(" R"));
    li.expect_to_see("nothing unread", |rows| !status(rows).contains("unread"));
    // A message to an unknown user fails with the reason, and is kept.
    zhang.type_line("chat:99:anybody?");
    zhang.expect("not sent to user 99: there is no such user");
    zhang.expect_to_see("the failure", |rows| {
        rows.iter().any(|row| row.starts_with(" ! ") && row.ends_with("anybody?"))
    });
    zhang.type_line("/retry");
    zhang.expect("not sent to user 99");
    zhang.type_line("/drop");
    zhang.expect("1 message(s) dropped");
}

#[test]
fn messages_taken_by_another_device_are_unread_until_their_conversation_is_opened() {
    let server = Server::start(&[]);
    let (mut script, _) = Client::join(server.address, "li si");
    let (mut ann, _) = Client::join(server.address, "ann");
    for text in ["for the script", "for the script, too"] {
        let sent = ann.send(Target::User(UserId(1)), text);
        assert_eq!(&*script.message().content, text);
        script.ack(sent.conversation, sent.seq).unwrap();
    }
    script.settle();
    let mut li = Terminal::open(server.address);
    for (asked, answer) in [("choice: ", "1"), ("id or name: ", "li si"), ("password: ", PASSWORD)] {
        li.expect(asked);
        li.type_line(answer);
    }
    li.expect_to_see("what is unread", |rows| status(rows).contains("2 unread: ann 2"));
    li.type_line("/msg ann");
    li.expect("ann (2): for the script, too");
    li.expect_to_see("nothing unread", |rows| !status(rows).contains("unread"));
    // Read messages are not unread again after a restart.
    li.type_line("quit");
    assert_eq!(li.wait(), 0);
    let mut again = li.reopen();
    again.type_line("");
    again.expect("online");
    assert_eq!(count(&again, "unread"), 0, "{:?}", again.text());
}

#[test]
fn a_line_typed_after_a_join_goes_to_the_group() {
    let server = Server::start(&[]);
    let (mut zhang, mut li) = two_who_know_each_other(&server);
    li.type_line("creategroup:devs:");
    li.expect("group #1 devs created");
    zhang.type_line("/msg \"li si\" hello");
    li.expect("zhang san (1): hello");
    zhang.type_keys("/join 1\rhello, all\r");
    li.expect("#1 devs | zhang san (1): hello, all");
}

#[test]
fn incoming_messages_do_not_break_the_line_being_typed() {
    let server = Server::start(&[]);
    let (mut zhang, mut li) = two_who_know_each_other(&server);
    zhang.type_line("/msg \"li si\"");
    zhang.expect("li si> ");
    zhang.type_keys("half a li");
    zhang.expect("half a li");
    for number in 1..=5 {
        li.type_line(&format!("chat:1:message {number} 嗨"));
        zhang.expect(&format!("li si (2): message {number} 嗨"));
        zhang.expect_to_see("the line, whole and last", |rows| {
            rows.iter().rfind(|row| !row.is_empty()).is_some_and(|row| row == "li si> half a li")
        });
    }
    zhang.type_keys("ne\r");
    li.expect("zhang san (1): half a line");
}

#[test]
fn after_kill_9_of_the_client_every_message_is_shown_once_and_sent_once() {
    const MESSAGES: usize = 120;
    let mut server = Server::start_at_fixed_port(&[]);
    let mut li = Terminal::open(server.address);
    register(&mut li, "li si", 1);
    let (mut sender, account) = Client::join(server.address, "sender");
    let text = |number: usize| format!("message-{number:04}.");
    for number in 1..=MESSAGES {
        sender.send(Target::Name("li si".into()), &text(number));
        if number == MESSAGES / 3 {
            li.expect(&text(5));
            li.kill9();
        }
    }
    let first_life = li.text();
    let mut again = li.reopen();
    again.expect("4. continue as li si (1)");
    again.type_line("");
    again.expect(&text(MESSAGES));
    let second_life = again.text();
    let mut shown_before = true;
    for number in 1..=MESSAGES {
        let (before, after) =
            (first_life.matches(&text(number)).count(), second_life.matches(&text(number)).count());
        assert!(before <= 1 && after <= 1, "{} was shown {before} and {after} times", text(number));
        assert!(before + after > 0, "{} was never shown", text(number));
        assert!(shown_before || before == 0, "{} came out of order", text(number));
        shown_before = before == 1;
    }
    let places: Vec<_> = (1..=MESSAGES).filter_map(|number| second_life.find(&text(number))).collect();
    assert!(places.is_sorted(), "in order");

    // Written without a server, by a client that is killed before there is one.
    server.kill9();
    again.expect("connection lost");
    again.type_line("chat:sender:written and killed");
    again.expect_to_see("the waiting message", |rows| {
        rows.iter().any(|row| row.starts_with(" … ") && row.ends_with("written and killed"))
    });
    again.kill9();
    server.restart();
    let mut third = again.reopen();
    third.expect("choice: ");
    third.type_line("4");
    third.expect_to_see("that it was sent", |rows| {
        rows.iter().any(|row| row.starts_with(" ✓ ") && row.ends_with("written and killed"))
    });
    let mut sender = Client::login_to(server.address, &account);
    let mut from_li = || {
        sender.push(PATIENCE, |push| match push {
            Push::Message(message::Push::New(message)) if message.from == UserId(1) => {
                Some(message.content.to_string())
            }
            _ => None,
        })
    };
    assert_eq!(from_li(), "written and killed");
    third.type_line("/msg sender");
    third.expect("sender> ");
    third.type_line("and this is the last");
    assert_eq!(from_li(), "and this is the last", "and nothing a second time");
    // The server may be killed before its reply is read.
    third.expect_to_see("that it is stored", |rows| {
        rows.iter().any(|row| row.contains('✓') && row.ends_with("and this is the last"))
    });

    // Stored messages can be read without a server.
    server.kill9();
    third.expect("connection lost");
    third.kill9();
    let mut offline = third.reopen();
    offline.expect("choice: ");
    offline.type_line("4");
    offline.expect("── sender (2), 97 unread (older: /older) ──");
    offline.type_line("/history");
    offline.expect("offline; saved on this machine:");
    offline.expect("written and killed");
    offline.expect("and this is the last");
}

#[test]
fn a_kicked_client_names_the_other_device_and_does_not_reconnect() {
    let server = Server::start(&[]);
    let mut li = Terminal::open(server.address);
    register(&mut li, "li si", 1);
    let mut phone = Client::connect(server.address);
    let login = |device: &str| {
        Command::Session(session::Request::Login(session::Login {
            device: Some(device.into()),
            kind: Some(session::ClientKind::Terminal),
            ..session::Login::new(Credentials::Password {
                who: Who::Id(UserId(1)),
                password: PASSWORD.into(),
            })
        }))
    };
    assert!(matches!(
        phone.ask_again(&login("li's phone")),
        wire::Reply::Session(session::Reply::LoggedIn(_))
    ));
    li.expect("you were logged out at ");
    li.expect(" by a login from li's phone");
    li.expect("1. login");
    // The revoked token is not used again, and the phone stays logged in.
    assert_eq!(count(&li, "continue as"), 0);
    phone.settle();
    assert!(phone.take_pushes().is_empty());
}

#[test]
fn colours_follow_the_terminal_and_no_color() {
    let server = Server::start(&[]);
    let (mut sender, _) = Client::join(server.address, "sender");
    for (number, (environment, colours)) in
        [(&[("TERM", "xterm-256color")][..], true), (&[("TERM", "xterm-256color"), ("NO_COLOR", "1")], false)]
            .into_iter()
            .enumerate()
    {
        let mut terminal = Terminal::open_as(environment, server.address);
        let name = format!("reader {number}");
        terminal.expect("choice: ");
        terminal.type_line("2");
        terminal.expect("name: ");
        terminal.type_line(&name);
        terminal.expect("password: ");
        terminal.type_line(PASSWORD);
        terminal.expect("password again: ");
        terminal.type_line(PASSWORD);
        terminal.expect("help lists the commands");
        sender.send(Target::Name(name.into()), "in which colour?");
        terminal.expect("in which colour?");
        let text = terminal.text();
        assert_eq!(text.contains("msender (1)\u{1b}[39m: in"), colours, "{text:?}");
        assert_eq!(text.contains("\u{1b}[3"), colours, "{text:?}");
    }
}

#[test]
fn a_dumb_terminal_shows_delivery_states_in_ascii() {
    let server = Server::start(&[]);
    let (mut peer, _) = Client::join(server.address, "peer");
    let mut dumb = Terminal::open_as(&[("TERM", "dumb"), ("LANG", "C")], server.address);
    dumb.expect("choice:");
    dumb.type_line("2");
    dumb.expect("name:");
    dumb.type_line("dumb");
    dumb.expect("password:");
    dumb.type_line(PASSWORD);
    dumb.expect("password again:");
    dumb.type_line(PASSWORD);
    dumb.expect("help lists the commands");
    dumb.type_line("/msg 1");
    dumb.expect("peer> ");
    dumb.type_line("hello");
    dumb.expect(" + sent to");
    let message = peer.message();
    peer.ack(message.conversation, message.seq).unwrap();
    dumb.expect("++ delivered to");
    let read = Command::Timeline(timeline::Request::Read(timeline::Cursor {
        conversation: message.conversation,
        seq: message.seq,
    }));
    peer.post(&read).unwrap();
    dumb.expect(" R read by");
    // A half-typed line is shown again below an incoming message.
    dumb.type_keys("half a l");
    dumb.expect("half a l");
    peer.send(Target::Name("dumb".into()), "an interruption");
    dumb.expect("an interruption\r\npeer> half a l");
    dumb.type_line("ine");
    assert_eq!(&*peer.message().content, "half a line");
    assert!(dumb.text().is_ascii(), "{:?}", dumb.text());
}
