//! The effects of logic: collected during a turn and carried out afterwards by the threads around it.

use crate::attempt::AccountKey;
use crate::bus::BusOrder;
use crate::conn::ConnId;
use crate::contract::{Query, Requester, Ticket, Write, search};
use crate::network::Network;
use std::fmt;
use std::sync::Arc;
use wire::legacy::Welcome;
use wire::{Message, Push, Reply, UnixMillis, UserId};

/// All effects of one turn of logic.
#[derive(Debug)]
pub struct Effects {
    /// Orders for each reactor, to be carried out in order.
    pub reactors: Vec<Vec<Order>>,
    /// Writes to storage, to be carried out in order.
    pub writes: Vec<(Ticket, Write)>,
    /// Reads from storage.
    pub reads: Vec<Query>,
    /// Reads whose answers are not wanted any more. Storage answers them without running them, if they still wait.
    pub unwanted: Vec<(Requester, Ticket)>,
    /// Queries of the search index. The answers are those of reads.
    pub searches: Vec<search::Query>,
    /// Jobs for the password thread, which has at most one at a time.
    pub passwords: Vec<(Ticket, PasswordJob)>,
    /// Orders for the bus; none on a single node.
    pub bus: Vec<BusOrder>,
    /// Lines for the log.
    pub alerts: Vec<Alert>,
}

impl Effects {
    /// No effects, for a server with this many reactors.
    pub fn new(reactors: usize) -> Effects {
        Effects {
            reactors: (0..reactors).map(|_| Vec::new()).collect(),
            writes: Vec::new(),
            reads: Vec::new(),
            unwanted: Vec::new(),
            searches: Vec::new(),
            passwords: Vec::new(),
            bus: Vec::new(),
            alerts: Vec::new(),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.reactors.iter().all(Vec::is_empty)
            && self.writes.is_empty()
            && self.reads.is_empty()
            && self.unwanted.is_empty()
            && self.searches.is_empty()
            && self.passwords.is_empty()
            && self.bus.is_empty()
            && self.alerts.is_empty()
    }

    /// Adds an order for the reactor that owns `conn`.
    pub fn order(&mut self, conn: ConnId, order: Order) {
        self.reactors[conn.reactor()].push(order);
    }
}

/// An order to a reactor, which drops orders about a connection that is gone.
#[derive(Debug)]
pub enum Order {
    /// Answers a request. Comes once for each [`Input::Request`], except a receipt with number 0. Any other request
    /// with number 0 is answered too: nothing is written, but the request no longer counts against its connection.
    ///
    /// [`Input::Request`]: crate::Input::Request
    Reply {
        conn: ConnId,
        /// The request's type.
        kind: u16,
        /// The request's number.
        request: u32,
        reply: Reply,
    },
    /// Tells a legacy client that it is logged in; [`Order::Reply`] follows and ends the request. As many of the missed
    /// messages as fit go out with it, the others right after it.
    Welcome { conn: ConnId, welcome: Box<Welcome> },
    /// Tells a client without a session that the token of its request was issued or extended; [`Order::Reply`] follows.
    Granted { conn: ConnId, grant: Box<Grant> },
    /// Pushes to one connection.
    Push { conn: ConnId, push: Push },
    /// Pushes one message to many connections; it is encoded once.
    Deliver { message: Arc<Message>, to: Vec<ConnId> },
    /// The connection is logged in as this user: frames may be larger, heartbeats carry this id, silence is probed.
    LoggedIn { conn: ConnId, user: UserId },
    /// The connection is logged out: the limits before login apply again.
    LoggedOut { conn: ConnId },
    /// Reports [`Input::Drained`] as soon as the connection's output is empty.
    ///
    /// [`Input::Drained`]: crate::Input::Drained
    NotifyDrained { conn: ConnId },
    /// Flushes the output, then closes the connection.
    Close {
        conn: ConnId,
        /// For the log.
        reason: DisconnectReason,
    },
}

/// A token that was issued or extended, and the account that it logs in.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    pub user: UserId,
    pub name: Arc<str>,
    /// The secret that the client shows.
    pub token: Box<str>,
    pub expires: UnixMillis,
}

/// Omits the secret.
impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grant({}, expires {})", self.user, self.expires)
    }
}

/// Why logic closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The account logged in on another connection.
    Kicked,
    /// A message of a legacy client stayed unstored for too long; the legacy protocol has no reply to refuse it with.
    Unstored,
}

/// A job for the password thread.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordJob {
    /// Compares a password with a hash.
    Verify {
        /// A PHC string. `None` (no such account) takes the same time and never verifies.
        hash: Option<Box<str>>,
        password: Box<str>,
    },
    /// Hashes a new password.
    Hash { password: Box<str> },
}

// Passwords must not reach a log.
impl fmt::Debug for PasswordJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PasswordJob::Verify { .. } => "Verify",
            PasswordJob::Hash { .. } => "Hash",
        })
    }
}

/// The result of a [`PasswordJob`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordResult {
    /// Whether the password is right.
    Verified(bool),
    /// The hash, a PHC string.
    Hashed(Box<str>),
    /// The job failed for lack of memory; see the log.
    Failed,
}

/// Something about clients that the operator should find in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    /// An address tried too many wrong passwords for one account.
    GuessesFromOneAddress { account: AccountKey, network: Network },
    /// Several addresses tried too many wrong passwords for one account; `network` is the last one.
    GuessesFromManyAddresses { account: AccountKey, network: Network },
    /// An address tried wrong passwords for too many accounts.
    GuessesAtManyAccounts { accounts: usize, network: Network },
    /// An address registered as many accounts as it may.
    Registrations { network: Network },
    /// What was refused since the last such line because a budget was used up.
    Refused {
        logins: u64,
        registrations: u64,
        last: Network,
        /// Alerts that got no line of their own.
        unlisted: u64,
    },
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alert::GuessesFromOneAddress { account, network } => {
                write!(f, "throttling password logins to {account} from {network}: too many wrong passwords")
            }
            Alert::GuessesFromManyAddresses { account, network } => write!(
                f,
                "throttling password logins to {account} from addresses it never logged in from: too many wrong \
                 passwords, the last one from {network}"
            ),
            Alert::GuessesAtManyAccounts { accounts, network } => {
                write!(
                    f,
                    "throttling password logins from {network}: wrong passwords for {accounts} accounts"
                )
            }
            Alert::Registrations { network } => {
                write!(f, "throttling registrations from {network}: registration.per_address_hour is reached")
            }
            Alert::Refused { logins, registrations, last, unlisted } => {
                write!(
                    f,
                    "refused {logins} password logins and {registrations} registrations of throttled addresses, the \
                     last one from {last}"
                )?;
                if *unlisted > 0 {
                    write!(f, "; {unlisted} more addresses or accounts were throttled")?;
                }
                Ok(())
            }
        }
    }
}

// Orders pass through queues by value, in large numbers.
const _: () = assert!(size_of::<Order>() <= 40);
