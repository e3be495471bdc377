//! Requests to `/api` between their heads and their answers: how many there may be, and what each waits for.
//!
//! To logic, each is a connection of its own, opened with the request and closed with its answer or when its client has
//! gone: an answer that comes later finds nobody.

use crate::addresses::{Addresses, Counted};
use crate::auth::Credentials;
use logic::{ConnId, Grant, Input, Sessionless};
use runtime::queue::{Gone, Outbox};
use std::collections::HashMap;
use std::net::IpAddr;
use wire::{Command, Dialect, UnixMillis, UserId};

/// Requests of one address (IPv6: of one /64) other than this machine at a time. Each may hold a body.
const OF_ADDRESS: usize = 64;
/// Requests of all together.
pub(crate) const TOTAL: usize = 1_024;
/// The most orders that logic gives about one request: what REGISTER is answered, the token of the login that follows,
/// and what that is answered.
pub(crate) const ORDERS: usize = 3;

/// What a request waits for.
#[derive(Debug)]
pub(super) enum Step {
    /// The rest of its body.
    Body,
    Login,
    /// The account of this name.
    Register {
        name: Box<str>,
    },
    /// The first use of an account's token, which exists.
    Registered {
        id: UserId,
        name: Box<str>,
        token: Box<str>,
        expires: UnixMillis,
    },
    Logout,
    Send,
}

#[derive(Debug)]
pub(super) struct Call {
    pub step: Step,
    /// Whether its answer may set a cookie that needs TLS.
    pub is_secure: bool,
    /// Whether its token is a cookie, which is renewed with it.
    pub by_cookie: bool,
    /// The token that was issued or extended for it.
    pub grant: Option<Grant>,
    /// `None`: it comes from this machine.
    counted: Option<Counted>,
    /// `None`: logic has not heard of it.
    conn: Option<ConnId>,
}

#[derive(Debug)]
pub(super) struct Calls {
    /// The number that logic knows this thread by.
    number: usize,
    to_logic: Outbox<Vec<Input>>,
    /// Not sent yet.
    inputs: Vec<Input>,
    /// Logic had no room for them.
    is_held_up: bool,
    /// By the slot of the connection.
    calls: HashMap<usize, Call>,
    addresses: Addresses,
    generation: u32,
}

/// There are too many.
pub(super) struct Full;

impl Calls {
    pub fn new(number: usize, to_logic: Outbox<Vec<Input>>) -> Calls {
        let (calls, addresses) = (HashMap::new(), Addresses::new(OF_ADDRESS));
        Calls { number, to_logic, inputs: Vec::new(), is_held_up: false, calls, addresses, generation: 0 }
    }

    /// Admits a request, unless it was admitted already. None is passed on while logic has no room for what is there:
    /// those whose clients go do not count any more, and would heap up.
    pub fn admit(&mut self, slot: usize, address: IpAddr, is_secure: bool) -> Result<(), Full> {
        if self.is_held_up {
            return Err(Full);
        }
        if self.calls.contains_key(&slot) {
            return Ok(());
        }
        if self.calls.len() >= TOTAL {
            return Err(Full);
        }
        let counted = match address.is_loopback() {
            true => None,
            false => Some(self.addresses.enter(address).ok_or(Full)?),
        };
        let call = Call { step: Step::Body, is_secure, by_cookie: false, grant: None, counted, conn: None };
        self.calls.insert(slot, call);
        Ok(())
    }

    /// Passes a request to logic. `from`: who sends it.
    pub fn begin(
        &mut self,
        slot: usize,
        from: IpAddr,
        step: Step,
        credentials: Option<&Credentials>,
    ) -> bool {
        let Some(call) = self.calls.get_mut(&slot) else { return false };
        self.generation = self.generation.wrapping_add(1);
        let conn = ConnId::new(self.number, slot, self.generation);
        call.step = step;
        call.by_cookie = credentials.is_some_and(|credentials| credentials.is_cookie);
        call.conn = Some(conn);
        self.inputs.push(Input::Opened { conn, peer: from, dialect: Dialect::Tlv });
        true
    }

    pub fn ask(&mut self, slot: usize, request: Sessionless) {
        if let Some(conn) = self.conn(slot) {
            self.inputs.push(Input::Sessionless { conn, request: Box::new(request) });
        }
    }

    pub fn command(&mut self, slot: usize, command: Command) {
        if let Some(conn) = self.conn(slot) {
            // Any number but 0, which wants no reply.
            self.inputs.push(Input::Request { conn, request: 1, command });
        }
    }

    fn conn(&self, slot: usize) -> Option<ConnId> {
        self.calls.get(&slot)?.conn
    }

    /// The slot of the call that logic answers, and the call.
    pub fn get_mut(&mut self, conn: ConnId) -> Option<(usize, &mut Call)> {
        let slot = conn.slot();
        self.calls.get_mut(&slot).filter(|call| call.conn == Some(conn)).map(|call| (slot, call))
    }

    /// Ends a call: it is answered, or its client has gone.
    pub fn end(&mut self, slot: usize) -> Option<Call> {
        let call = self.calls.remove(&slot)?;
        if let Some(counted) = call.counted {
            self.addresses.leave(counted);
        }
        self.inputs.extend(call.conn.map(|conn| Input::Closed { conn }));
        Some(call)
    }

    /// Whether something is left to be sent to logic.
    pub fn has_unsent(&self) -> bool {
        !self.inputs.is_empty()
    }

    /// Sends to logic what there is; what does not fit stays. `Err`: logic has ended.
    pub fn flush(&mut self) -> Result<(), Gone> {
        if self.inputs.is_empty() {
            return Ok(());
        }
        let sent = self.to_logic.try_send(std::mem::take(&mut self.inputs))?;
        self.is_held_up = sent.is_err();
        if let Err(back) = sent {
            self.inputs = back;
        }
        Ok(())
    }

    /// The slots of all calls that logic has heard of.
    pub fn waiting(&self) -> Vec<usize> {
        self.calls.iter().filter(|(_, call)| call.conn.is_some()).map(|(slot, _)| *slot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::queue::{Bell, Inbox, queue};
    use std::net::Ipv6Addr;
    use std::sync::Arc;

    fn calls() -> (Calls, Inbox<Vec<Input>>) {
        let (outbox, inbox) = queue(1, &Arc::new(Bell::new()));
        (Calls::new(7, outbox), inbox)
    }

    fn begin(calls: &mut Calls, slot: usize) -> ConnId {
        let from = [127, 0, 0, 1].into();
        assert!(calls.admit(slot, from, false).is_ok());
        assert!(calls.begin(slot, from, Step::Logout, None));
        calls.conn(slot).unwrap()
    }

    #[test]
    fn an_answer_finds_only_the_request_that_it_is_for() {
        let (mut calls, inbox) = calls();
        let first = begin(&mut calls, 3);
        calls.end(3);
        let second = begin(&mut calls, 3);
        assert!(calls.get_mut(first).is_none());
        assert!(matches!(calls.get_mut(second), Some((3, Call { step: Step::Logout, .. }))));
        calls.end(3);
        assert!(calls.end(3).is_none());
        calls.flush().unwrap();
        let kinds: Vec<bool> = inbox
            .try_recv()
            .unwrap()
            .unwrap()
            .iter()
            .map(|input| match input {
                Input::Opened { conn, .. } => conn.reactor() == 7,
                Input::Closed { .. } => false,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(kinds, [true, false, true, false], "whatever is opened is closed");
    }

    #[test]
    fn what_logic_has_no_room_for_stays() {
        let (mut calls, inbox) = calls();
        begin(&mut calls, 0);
        calls.flush().unwrap();
        begin(&mut calls, 1);
        calls.flush().unwrap();
        assert!(calls.has_unsent());
        inbox.try_recv().unwrap();
        calls.flush().unwrap();
        assert!(!calls.has_unsent());
        drop(inbox);
        calls.end(0);
        assert_eq!(calls.flush(), Err(Gone));
    }

    #[test]
    fn requests_whose_clients_go_do_not_heap_up_while_logic_has_no_room() {
        let (mut calls, inbox) = calls();
        let from = [127, 0, 0, 1].into();
        begin(&mut calls, 0);
        calls.flush().unwrap();
        assert!(calls.admit(1, from, false).is_ok(), "its body is still to come");
        begin(&mut calls, 2);
        calls.flush().unwrap();
        let held = calls.inputs.len();
        for _ in 0..10_000 {
            for slot in [1, 3] {
                assert!(calls.admit(slot, from, false).is_err());
                calls.end(slot);
                calls.flush().unwrap();
            }
        }
        assert_eq!(calls.inputs.len(), held);
        inbox.try_recv().unwrap();
        calls.flush().unwrap();
        begin(&mut calls, 3);
    }

    #[test]
    fn the_requests_of_an_address_are_bounded() {
        let (mut calls, _inbox) = calls();
        let of = |n: u128| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) + n));
        for slot in 0..OF_ADDRESS {
            assert!(calls.admit(slot, of(slot as u128), false).is_ok());
        }
        assert!(calls.admit(OF_ADDRESS, of(0), false).is_err());
        assert!(calls.admit(0, of(0), false).is_ok(), "it was admitted before");
        assert!(calls.admit(OF_ADDRESS, of(1 << 64), false).is_ok());
        calls.end(0);
        assert!(calls.admit(0, of(0), false).is_ok());
        for slot in OF_ADDRESS + 1..TOTAL {
            assert!(calls.admit(slot, [127, 0, 0, 1].into(), false).is_ok());
        }
        assert!(calls.admit(TOTAL, [127, 0, 0, 1].into(), false).is_err());
        (0..TOTAL).for_each(|slot| drop(calls.end(slot)));
        assert!(calls.addresses.is_empty() && calls.calls.is_empty());
    }
}
