//! Attackers with an account.

use super::connection::{Connection, Recent, attacker, frame};
use super::{Attack, Target};
use crate::support::{Account, Client};
use serde_json::{Value, json};
use wire::frame::put_frame;
use wire::kind::request;
use wire::{Command, ConversationId, Reply, group};

pub fn all(target: Target) -> Vec<Box<dyn Attack>> {
    vec![
        Box::new(UnreadPages::new(target)),
        Box::new(Listings::new(target)),
        Box::new(LongNames::new(target)),
        Box::new(Messages::new(target)),
        Box::new(Logins::new(target)),
    ]
}

/// An account with an address of its own.
struct Member {
    account: Account,
    connection: Connection,
}

impl Member {
    /// Makes the account; the client with which it did is logged in.
    fn join(target: Target, group: u8, number: u8) -> (Client, Member) {
        let from = attacker(group + target.number, number);
        let (mut client, _) = Client::connect_from(from, target.address);
        let account = client.register(&format!("attacker {group}-{}-{number}", target.number));
        client.login(&account);
        (client, Member { account, connection: Connection::new(from, target.address) })
    }

    /// Logs in again if the server has closed the connection; whether it did so now.
    fn come_back(&mut self) -> bool {
        let opened = self.connection.open();
        if opened {
            let mut login = Vec::new();
            Client::by_token(&self.account).encode(1, &mut login);
            self.connection.send(&login);
        }
        opened
    }

    /// Sends requests. Their answers are read, and discarded, when the next ones are sent.
    fn send(&mut self, bytes: &[u8]) {
        self.connection.discard();
        self.come_back();
        self.connection.send(bytes);
    }
}

/// Asks for pages and reads none.
struct UnreadPages {
    members: Vec<Member>,
    pages: Vec<u8>,
    next: usize,
}

impl UnreadPages {
    const MEMBERS: u8 = 30;
    /// As many as a connection may ask for at once.
    const PAGES: u32 = 32;
    const MESSAGE_BYTES: usize = 8_000;
    /// More than a page holds.
    const MESSAGES: usize = 30;

    fn new(target: Target) -> UnreadPages {
        let (mut host, first) = Member::join(target, 70, 0);
        let conversation = host.create_group("pages");
        let mut members = vec![first];
        for number in 1..UnreadPages::MEMBERS {
            let (mut client, member) = Member::join(target, 70, number);
            client.join_group(conversation);
            members.push(member);
        }
        // A member sees what was sent after it joined.
        let content = "x".repeat(UnreadPages::MESSAGE_BYTES);
        for _ in 0..UnreadPages::MESSAGES {
            host.send(wire::Target::Conversation(conversation), &content);
        }
        for member in &mut members {
            member.connection.keep_little();
        }
        UnreadPages { members, pages: UnreadPages::pages(conversation), next: 0 }
    }

    fn pages(conversation: ConversationId) -> Vec<u8> {
        let before = UnreadPages::MESSAGES + 1;
        let page = json!({"conversation": conversation.0, "before": before, "limit": 200});
        (0..UnreadPages::PAGES).flat_map(|number| frame(request::HISTORY, 2 + number, &page)).collect()
    }
}

impl Attack for UnreadPages {
    fn name(&self) -> &'static str {
        "HISTORY unread"
    }

    fn rate(&self) -> u32 {
        20
    }

    fn strike(&mut self) {
        self.next = (self.next + 1) % self.members.len();
        let member = &mut self.members[self.next];
        if member.come_back() {
            member.connection.send(&self.pages);
            return;
        }
        // A heartbeat without a number is not answered. It fails where the server has closed the connection.
        let mut beat = Vec::new();
        put_frame(&mut beat, request::HEARTBEAT, 0, |_| {});
        member.connection.send(&beat);
    }
}

/// Lists its many conversations, again and again.
struct Listings {
    member: Member,
    requests: Vec<u8>,
}

impl Listings {
    /// If the server lets it have so many.
    const GROUPS: usize = 1_500;
    const OUTSTANDING: u32 = 20;

    fn new(target: Target) -> Listings {
        let (mut client, member) = Member::join(target, 80, 0);
        for number in 0..Listings::GROUPS {
            let create = group::Create { name: format!("group {number}").into(), desc: "".into() };
            let reply = client.ask(&Command::Group(group::Request::Create(create)));
            if matches!(reply, Reply::Refused(_)) {
                break;
            }
        }
        let requests = (1..=Listings::OUTSTANDING).flat_map(|number| match number % 2 {
            0 => frame(request::CONVERSATIONS, number, &json!({"limit": 1})),
            _ => frame(request::GROUPS, number, &json!({"after": 0, "limit": 200})),
        });
        Listings { member, requests: requests.collect() }
    }
}

impl Attack for Listings {
    fn name(&self) -> &'static str {
        "CONVERSATIONS, GROUPS"
    }

    fn rate(&self) -> u32 {
        20
    }

    fn attempts(&self) -> u32 {
        Listings::OUTSTANDING
    }

    fn strike(&mut self) {
        self.member.send(&self.requests);
    }
}

/// Names nobody, in as many bytes as a frame holds.
struct LongNames {
    member: Member,
    requests: [Vec<u8>; 3],
    next: usize,
}

impl LongNames {
    fn new(target: Target) -> LongNames {
        let (_, member) = Member::join(target, 90, 0);
        // A ligature, which normalization makes longer.
        let name: Value = "\u{fb03}".repeat(80_000).into();
        let requests = [
            frame(request::ADD_FRIEND, 1, &json!({"name": name})),
            frame(request::SEND, 2, &json!({"to_name": name, "content": "x"})),
            frame(request::PROFILE, 3, &json!({"name": name})),
        ];
        LongNames { member, requests, next: 0 }
    }
}

impl Attack for LongNames {
    fn name(&self) -> &'static str {
        "long names"
    }

    fn rate(&self) -> u32 {
        10
    }

    fn strike(&mut self) {
        self.next = (self.next + 1) % self.requests.len();
        self.member.send(&self.requests[self.next]);
    }
}

/// Sends several times as many messages as an account may.
struct Messages {
    member: Member,
    requests: Vec<u8>,
}

impl Messages {
    const MESSAGES: u32 = 20;

    fn new(target: Target) -> Messages {
        let (_, peer) = Member::join(target, 100, 0);
        let (_, member) = Member::join(target, 100, 1);
        let message = json!({"to": peer.account.id.0, "content": "x".repeat(200)});
        let requests = (1..=Messages::MESSAGES).flat_map(|number| frame(request::SEND, number, &message));
        Messages { member, requests: requests.collect() }
    }
}

impl Attack for Messages {
    fn name(&self) -> &'static str {
        "SEND"
    }

    fn rate(&self) -> u32 {
        20
    }

    fn attempts(&self) -> u32 {
        Messages::MESSAGES
    }

    fn strike(&mut self) {
        self.member.send(&self.requests);
    }
}

/// Logs in on ever new connections, in sight of friends who are online.
struct Logins {
    member: Member,
    recent: Recent,
    _friends: Vec<Client>,
}

impl Logins {
    const FRIENDS: u8 = 10;

    fn new(target: Target) -> Logins {
        let (mut client, member) = Member::join(target, 110, 0);
        let mut friends = Vec::new();
        for number in 1..=Logins::FRIENDS {
            let (friend, account) = Member::join(target, 110, number);
            client.befriend(account.account.id);
            friends.push(friend);
        }
        Logins { member, recent: Recent::default(), _friends: friends }
    }
}

impl Attack for Logins {
    fn name(&self) -> &'static str {
        "LOGIN by token"
    }

    fn rate(&self) -> u32 {
        20
    }

    fn strike(&mut self) {
        let another = self.member.connection.another();
        let left = std::mem::replace(&mut self.member.connection, another);
        self.member.come_back();
        self.recent.keep(left);
    }
}
