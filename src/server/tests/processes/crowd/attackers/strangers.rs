//! Attackers without an account.

use super::connection::{Connection, Recent, attacker, frame};
use super::{Attack, Target};
use crate::support::Account;
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use wire::UserId;
use wire::kind::request;

pub fn all(target: Target, victim: &Account) -> Vec<Box<dyn Attack>> {
    let connection = |group| Connection::new(attacker(group, target.number), target.address);
    vec![
        Box::new(Registrations { connections: [connection(2), connection(2)], target, made: 0 }),
        Box::new(GuessesOfOnePassword { victim: victim.id, target, made: 0, recent: Recent::default() }),
        Box::new(CommonPasswords { connection: connection(4), made: 0 }),
        Box::new(Garbage { target, made: 0, recent: Recent::default() }),
        Box::new(IdleConnections { target, held: Vec::new(), next: 0 }),
    ]
}

/// Pipelines registrations on two connections that never log in.
struct Registrations {
    connections: [Connection; 2],
    target: Target,
    made: u32,
}

impl Attack for Registrations {
    fn name(&self) -> &'static str {
        "REGISTER"
    }

    fn rate(&self) -> u32 {
        20
    }

    fn attempts(&self) -> u32 {
        20
    }

    fn strike(&mut self) {
        for connection in &mut self.connections {
            let mut bytes = Vec::new();
            for number in 1..=10 {
                self.made += 1;
                let name = format!("bulk {}-{}", self.target.number, self.made);
                let value = json!({"name": name, "password": "12345678"});
                bytes.extend(frame(request::REGISTER, number, &value));
            }
            connection.discard();
            connection.open();
            connection.send(&bytes);
        }
    }

    fn rest(&mut self) {
        self.connections.iter_mut().for_each(Connection::close);
    }
}

/// Guesses the password of one account, from ever new addresses.
struct GuessesOfOnePassword {
    victim: UserId,
    target: Target,
    made: u32,
    recent: Recent,
}

impl Attack for GuessesOfOnePassword {
    fn name(&self) -> &'static str {
        "LOGIN to one account"
    }

    fn rate(&self) -> u32 {
        20
    }

    fn strike(&mut self) {
        self.made += 1;
        let [_, _, high, low] = self.made.to_be_bytes();
        let from = IpAddr::V4(Ipv4Addr::new(127, 30 + self.target.number, high, low.max(1)));
        let mut connection = Connection::new(from, self.target.address);
        connection.open();
        let login = json!({"id": self.victim.0, "password": "wrong password"});
        connection.send(&frame(request::LOGIN, 1, &login));
        self.recent.keep(connection);
    }
}

/// Tries common passwords on all accounts, from one address.
struct CommonPasswords {
    connection: Connection,
    made: u32,
}

impl Attack for CommonPasswords {
    fn name(&self) -> &'static str {
        "LOGIN to all accounts"
    }

    fn rate(&self) -> u32 {
        10
    }

    fn attempts(&self) -> u32 {
        20
    }

    fn strike(&mut self) {
        const COMMON: [&str; 8] =
            ["123456", "12345678", "password", "qwertyuiop", "iloveyou", "admin123", "letmein1", "welcome1"];
        const ACCOUNTS: u32 = 100;
        let mut bytes = Vec::new();
        for _ in 0..self.attempts() {
            let (id, password) = (1 + self.made % ACCOUNTS, self.made / ACCOUNTS);
            let password = COMMON[password as usize % COMMON.len()];
            self.made += 1;
            bytes.extend(frame(request::LOGIN, self.made, &json!({"id": id, "password": password})));
        }
        self.connection.discard();
        self.connection.open();
        self.connection.send(&bytes);
    }
}

/// Sends what no client would send.
struct Garbage {
    target: Target,
    made: usize,
    recent: Recent,
}

impl Attack for Garbage {
    fn name(&self) -> &'static str {
        "garbage"
    }

    fn rate(&self) -> u32 {
        60
    }

    fn strike(&mut self) {
        const GARBAGE: [&[u8]; 7] = [
            b"{\"msgid\":1,\"id\":\"x\",\"password\":{}}{\"msgid\":}",
            b"{\"msgid\":99999}{\"msgid\":5}{\"msgid\":6,\"toid\":1}",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
            b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x0c\x01\x02\x03\x04",
            b"\x43\x01\x00\x06\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x43\x02",
            b"\x00\xff\xfe\r\n\r\n",
        ];
        const ADDRESSES: usize = 200;
        let from = attacker(50 + self.target.number, (self.made % ADDRESSES) as u8);
        let mut connection = Connection::new(from, self.target.address);
        connection.open();
        connection.send(GARBAGE[self.made % GARBAGE.len()]);
        self.made += 1;
        self.recent.keep(connection);
    }
}

/// Holds connections open with the first byte of a request, more of them than the server grants to all strangers.
struct IdleConnections {
    target: Target,
    held: Vec<Connection>,
    next: usize,
}

impl Attack for IdleConnections {
    fn name(&self) -> &'static str {
        "idle connections"
    }

    fn rate(&self) -> u32 {
        100
    }

    fn strike(&mut self) {
        const HELD: usize = 600;
        if self.held.len() < HELD {
            self.held.push(Connection::new(attacker(6, self.target.number), self.target.address));
        }
        self.next = (self.next + 1) % self.held.len();
        // The one that was opened last, or looked at the longest ago.
        let all = self.held.len();
        let connection = &mut self.held[if all < HELD { all - 1 } else { self.next }];
        connection.discard();
        if connection.open() {
            connection.send(b"{");
        }
    }
}
