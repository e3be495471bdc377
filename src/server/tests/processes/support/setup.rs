//! The steps on the way to what a test is about: each is asked again, as clients do, while the server cannot answer it.

use super::client::{Closed, text};
use super::{Account, Client, PASSWORD, PATIENCE};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use wire::account::{Register, Who};
use wire::limits::PAGE_MAX;
use wire::message::Sent;
use wire::session::LoggedIn;
use wire::{
    Command, ConversationId, Direction, Errno, Message, Page, Push, Refusal, Reply, Seq, Target, UserId,
};
use wire::{account, contact, group, message, node, session, timeline};

/// When a client asks again what storage could not answer.
pub const UNAVAILABLE_FOR: Duration = Duration::from_millis(200);

/// The answer to a request that may have been asked more than once.
struct Settled {
    reply: Reply,
    /// Whether an earlier try may have been carried out all the same.
    was_in_doubt: bool,
}

/// How long a client waits before it asks again what was refused so; `None`: the refusal stands.
pub fn asks_again_after(refusal: &Refusal) -> Option<Duration> {
    match refusal.errno {
        Errno::Unavailable => Some(UNAVAILABLE_FOR),
        Errno::Busy => Some(refusal.retry_after_ms.map_or(UNAVAILABLE_FOR, Duration::from_millis)),
        _ => None,
    }
}

impl Client {
    /// Asks until the server has an answer. A message keeps its `cid`, which the server makes where there is none.
    #[track_caller]
    pub fn ask_again(&mut self, command: &Command) -> Reply {
        self.ask_until_settled(command).reply
    }

    #[track_caller]
    fn ask_until_settled(&mut self, command: &Command) -> Settled {
        let (mut command, mut was_in_doubt) = (command.clone(), false);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self.ask(&command);
            let Reply::Refused(refusal) = &reply else { return Settled { reply, was_in_doubt } };
            let Some(pause) = asks_again_after(refusal).filter(|_| Instant::now() < deadline) else {
                return Settled { reply, was_in_doubt };
            };
            was_in_doubt |= refusal.errno == Errno::Unavailable;
            if let Command::Message(message::Request::Send(message::Send { cid, .. })) = &mut command {
                *cid = refusal.cid.clone().or(cid.take());
            }
            thread::sleep(pause);
        }
    }

    /// Makes an account and logs in to it.
    pub fn join(address: SocketAddr, name: &str) -> (Client, Account) {
        let mut client = Client::connect(address);
        let account = client.register(name);
        client.login(&account);
        (client, account)
    }

    /// Connects and logs in by token.
    pub fn login_to(address: SocketAddr, account: &Account) -> Client {
        let mut client = Client::connect(address);
        client.login(account);
        client
    }

    /// Makes an account.
    #[track_caller]
    pub fn register(&mut self, name: &str) -> Account {
        let (email, code, nick) = (None, None, None);
        let register = Register { name: name.into(), password: PASSWORD.into(), email, code, nick };
        let Settled { reply, was_in_doubt } =
            self.ask_until_settled(&Command::Account(account::Request::Register(Box::new(register))));
        match reply {
            Reply::Account(account::Reply::Registered(made)) => {
                Account { id: made.id, name: name.to_owned(), token: made.token }
            }
            // It was made by a try that had no answer.
            Reply::Refused(refusal) if refusal.errno == Errno::NameTaken && was_in_doubt => {
                self.account_of(name)
            }
            other => panic!("REGISTER was answered {other:?}"),
        }
    }

    /// The account of this name, by a login on a connection of its own.
    #[track_caller]
    fn account_of(&self, name: &str) -> Account {
        let credentials =
            wire::Credentials::Password { who: Who::Name(name.into()), password: PASSWORD.into() };
        let mut other = Client::connect(self.peer());
        match other.ask_again(&Command::Session(session::Request::Login(session::Login::new(credentials)))) {
            Reply::Session(session::Reply::LoggedIn(session)) => Account {
                id: session.id,
                name: name.to_owned(),
                token: session.token.clone().expect("a login shows its token"),
            },
            other => panic!("LOGIN was answered {other:?}"),
        }
    }

    /// Logs in by token.
    #[track_caller]
    pub fn login(&mut self, account: &Account) -> LoggedIn {
        match self.ask_again(&Client::by_token(account)) {
            Reply::Session(session::Reply::LoggedIn(reply)) => *reply,
            other => panic!("LOGIN was answered {other:?}"),
        }
    }

    /// Makes a friend, who needs not agree.
    #[track_caller]
    pub fn befriend(&mut self, friend: UserId) {
        let add =
            Command::Contact(contact::Request::Add(contact::Add { who: Who::Id(friend), message: None }));
        match self.ask_until_settled(&add) {
            Settled { reply: Reply::Contact(contact::Reply::Added(_)), .. } => {}
            Settled { reply: Reply::Refused(refusal), was_in_doubt: true }
                if refusal.errno == Errno::Conflict => {}
            Settled { reply, .. } => panic!("ADD_FRIEND was answered {reply:?}"),
        }
    }

    /// Makes a group.
    #[track_caller]
    pub fn create_group(&mut self, name: &str) -> ConversationId {
        match self.ask_again(&Command::Group(group::Request::Create(group::Create {
            name: name.into(),
            desc: "".into(),
        }))) {
            Reply::Group(group::Reply::Created(made)) => made.conversation,
            other => panic!("CREATE_GROUP was answered {other:?}"),
        }
    }

    /// Becomes a member.
    #[track_caller]
    pub fn join_group(&mut self, conversation: ConversationId) {
        match self.ask_until_settled(&Command::Group(group::Request::Join(group::Join { conversation }))) {
            Settled { reply: Reply::Group(group::Reply::Joined(_)), .. } => {}
            Settled { reply: Reply::Refused(refusal), was_in_doubt: true }
                if refusal.errno == Errno::Conflict => {}
            Settled { reply, .. } => panic!("JOIN_GROUP was answered {reply:?}"),
        }
    }

    /// Makes a change of a group that must be made.
    #[track_caller]
    pub fn change_group(&mut self, change: group::Request) {
        assert_eq!(self.ask_again(&Command::Group(change)), Reply::Done);
    }

    /// Waits for the entry by which this user ceases to be a member of a group.
    #[track_caller]
    pub fn wait_for_end(&mut self, conversation: ConversationId, user: UserId) {
        self.push(PATIENCE, |push| match push {
            Push::Message(message::Push::New(entry)) if entry.conversation == conversation => {
                entry.ends_view_of(user).then_some(())
            }
            _ => None,
        });
    }

    /// Waits until another user is a member of a group of this one: a legacy client is not told when it is.
    #[track_caller]
    pub fn wait_for_member(&mut self, conversation: ConversationId, user: UserId) {
        let deadline = Instant::now() + PATIENCE;
        let page = Page { after: user.0 - 1, limit: 1 };
        let members = Command::Group(group::Request::Members(group::Members { conversation, page }));
        loop {
            match self.ask_again(&members) {
                Reply::Group(group::Reply::Members(page)) => {
                    if page.members.first().is_some_and(|member| member.id == user) {
                        return;
                    }
                }
                other => panic!("MEMBERS was answered {other:?}"),
            }
            assert!(Instant::now() < deadline, "user {user} is no member of {conversation}");
            thread::sleep(UNAVAILABLE_FOR);
        }
    }

    /// Sends a text and waits until it is stored.
    #[track_caller]
    pub fn send(&mut self, target: Target, content: &str) -> Sent {
        match self.ask_again(&text(target, content, None)) {
            Reply::Message(message::Reply::Sent(sent)) => sent,
            other => panic!("SEND was answered {other:?}"),
        }
    }

    /// The timeline after `after`, all pages of it.
    #[track_caller]
    pub fn history(&mut self, conversation: ConversationId, after: Seq) -> Vec<Arc<Message>> {
        let (mut messages, mut after) = (Vec::<Arc<Message>>::new(), after);
        loop {
            let direction = Direction::After(after);
            match self.ask_again(&Command::Timeline(timeline::Request::History(timeline::History {
                conversation,
                direction,
                limit: PAGE_MAX,
                with_changes: true,
            }))) {
                Reply::Timeline(timeline::Reply::History(page)) => {
                    messages.extend(page.messages);
                    if !page.more {
                        return messages;
                    }
                }
                other => panic!("HISTORY was answered {other:?}"),
            }
            after = messages.last().expect("a page with more behind it is not empty").seq;
        }
    }

    /// Waits for the answer to a request that changes nothing.
    #[track_caller]
    pub fn settle(&mut self) {
        let reply = self.ask(&Command::Node(node::Request::Nodes));
        assert!(matches!(reply, Reply::Node(node::Reply::Nodes(_))), "NODES was answered {reply:?}");
    }
}

/// Asks at a server that may be killed meanwhile, and again while its database is away. A server that sheds load or
/// goes away is left for another one.
pub fn until_available(client: &mut Client, command: &Command) -> Result<Reply, Closed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = client.try_ask(command)?;
        match &reply {
            Reply::Refused(refusal) if refusal.errno == Errno::Busy => return Err(Closed),
            Reply::Refused(refusal) if refusal.errno == Errno::Unavailable && Instant::now() < deadline => {
                thread::sleep(UNAVAILABLE_FOR);
            }
            _ => return Ok(reply),
        }
    }
}
