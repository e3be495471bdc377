//! The sending thread: sends all orders of a turn in one pipeline and passes the replies to logic.

use super::client::Client;
use super::codec;
use super::connection::{RETRY_AFTER, SubscriberConnection};
use super::identity::NodeIdentity;
use super::load_report::{self, CpuSample};
use super::names::Names;
use super::rejection::{Rejection, Rejections};
use super::seal::Sealer;
use super::values::Values;
use logic::Ticket;
use logic::bus::{BusInput, BusOrder, LEASE_MS, LOCK_MS, NodeState, REPORT_MS};
use redis::{Cmd, Value, cmd};
use runtime::queue::Outbox;
use runtime::worker::{Mailbox, Next};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::UserId;

/// How often the subscriber's connection is tested.
const PING_EVERY: Duration = Duration::from_millis(500);
/// Takes a lock that nobody holds; returns the present holder's value, or an empty one.
const LOCK: &str = "local held = redis.call('GETRANGE', KEYS[1], 0, ARGV[3]) \
    if held == '' then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end \
    return held";
/// Renews a lock if the caller still holds it.
const RENEW: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0";
/// Releases a lock if the caller still holds it.
const UNLOCK: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
/// How long after its last life sign a user stays in the online set, milliseconds: five renewals.
const ONLINE_KEPT_MS: u64 = 300_000;
/// The last byte that is read of a value: sealed locks, leases and reports are shorter.
const VALUE_END: usize = 1_023;

/// How a command's reply is used.
#[derive(Debug)]
enum ReplyUse {
    Ignored,
    /// Whether Redis accepted a publication.
    Published,
    /// Whether the lock was free.
    Lock {
        ticket: Ticket,
        user: UserId,
    },
    /// Whether this run lives.
    Lease(Box<str>),
    /// The report of the run whose lease was read before.
    Report,
}

/// Sends commands on a connection of its own.
pub(super) struct Commander {
    subscriptions: Arc<SubscriberConnection>,
    identity: NodeIdentity,
    names: Names,
    sealer: Sealer,
    values: Values,
    rejections: Rejections,
    /// The values of the locks that are asked for or held.
    locks: HashMap<Ticket, Vec<u8>>,
    inputs: Outbox<Vec<BusInput>>,
    connection: Option<Client>,
    /// When connecting may be tried again.
    retry_at: Instant,
    next_ping: Instant,
    cpu: CpuSample,
}

impl Commander {
    /// Not connected yet.
    pub fn new(
        subscriptions: Arc<SubscriberConnection>,
        identity: NodeIdentity,
        names: Names,
        sealer: Sealer,
        inputs: Outbox<Vec<BusInput>>,
    ) -> Commander {
        let now = Instant::now();
        Commander {
            subscriptions,
            identity,
            names,
            sealer,
            values: Values::default(),
            rejections: Rejections::default(),
            locks: HashMap::new(),
            inputs,
            connection: None,
            retry_at: now,
            next_ping: now,
            cpu: CpuSample::now(),
        }
    }

    /// Carries out orders until it is stopped, then withdraws the node's lease.
    pub fn run(mut self, mut mailbox: Mailbox<Vec<BusOrder>>) {
        loop {
            let now = Instant::now();
            if now >= self.next_ping {
                self.next_ping = now + PING_EVERY;
                let since_start = now.duration_since(self.identity.clock_start);
                self.subscriptions.ping(since_start.as_millis() as u64);
            }
            match mailbox.next(Some(self.next_ping.saturating_duration_since(now))) {
                Next::Batch(mut orders) => {
                    while let Some(more) = mailbox.try_next() {
                        orders.extend(more);
                    }
                    self.carry_out(orders);
                }
                Next::Idle => {}
                Next::Stop => return self.leave(),
            }
        }
    }

    /// Withdraws the lease and the report of this run.
    fn leave(&mut self) {
        let run = &self.identity.run;
        let mut delete = cmd("DEL");
        delete.arg(self.names.lease(run)).arg(self.names.report(run));
        self.exchange(&[(delete, ReplyUse::Ignored)]);
    }

    fn carry_out(&mut self, orders: Vec<BusOrder>) {
        let mut commands = Vec::with_capacity(orders.len());
        for order in orders {
            self.command(order, &mut commands);
        }
        if !commands.is_empty() {
            self.exchange(&commands);
        }
        self.rejections.report();
    }

    /// Appends the commands that carry out one order.
    fn command(&mut self, order: BusOrder, commands: &mut Vec<(Cmd, ReplyUse)>) {
        let run = Arc::clone(&self.identity.run);
        let script = |text: &str, key: String| {
            let mut eval = cmd("EVAL");
            eval.arg(text).arg(1).arg(key);
            eval
        };
        let (command, reply_use) = match order {
            BusOrder::Publish { channel, hint } => {
                let channel = self.names.channel(&channel);
                let sealed = self.sealer.seal(&channel, |out| codec::encode(&hint, out));
                let mut publish = cmd("PUBLISH");
                publish.arg(channel).arg(sealed);
                (publish, ReplyUse::Published)
            }
            BusOrder::Subscribe { ticket, channels } => {
                if let Some(answer) = self.subscriptions.subscribe(ticket, &channels) {
                    self.tell(answer);
                }
                return;
            }
            BusOrder::Unsubscribe(channels) => return self.subscriptions.unsubscribe(&channels),
            BusOrder::Lock { ticket, user } => {
                let key = self.names.lock(user);
                let owner = self.sealer.seal(&key, |out| out.extend_from_slice(&ticket.0.to_be_bytes()));
                let mut lock = script(LOCK, key);
                lock.arg(&owner).arg(LOCK_MS).arg(VALUE_END);
                self.locks.insert(ticket, owner);
                (lock, ReplyUse::Lock { ticket, user })
            }
            BusOrder::Renew { ticket, user } => {
                let Some(owner) = self.locks.get(&ticket) else { return };
                let mut renew = script(RENEW, self.names.lock(user));
                renew.arg(owner).arg(LOCK_MS);
                (renew, ReplyUse::Ignored)
            }
            BusOrder::Unlock { ticket, user } => {
                let Some(owner) = self.locks.remove(&ticket) else { return };
                let mut unlock = script(UNLOCK, self.names.lock(user));
                unlock.arg(owner);
                (unlock, ReplyUse::Ignored)
            }
            BusOrder::Lease => {
                let key = self.names.lease(&run);
                let mut lease = cmd("SET");
                lease.arg(&key).arg(self.sealer.seal(&key, |_| ())).arg("PX").arg(LEASE_MS);
                commands.push((lease, ReplyUse::Ignored));
                return self.ask_nodes(&run, commands);
            }
            BusOrder::Report(load) => {
                let key = self.names.report(&run);
                let before = std::mem::replace(&mut self.cpu, CpuSample::now());
                let text = load_report::text(load, self.cpu.percent_since(before), &self.identity);
                let sealed = self.sealer.seal(&key, |out| out.extend_from_slice(text.as_bytes()));
                let mut report = cmd("SET");
                report.arg(key).arg(sealed).arg("PX").arg(REPORT_MS);
                (report, ReplyUse::Ignored)
            }
            BusOrder::Seen { users, at } => {
                let key = self.names.online();
                let mut trim = cmd("ZREMRANGEBYSCORE");
                trim.arg(&key).arg("-inf").arg(at.0.saturating_sub(ONLINE_KEPT_MS));
                commands.push((trim, ReplyUse::Ignored));
                let mut seen = cmd("ZADD");
                seen.arg(key);
                for user in users {
                    seen.arg(at.0).arg(user.0);
                }
                (seen, ReplyUse::Ignored)
            }
            BusOrder::Unseen(user) => {
                let mut unseen = cmd("ZREM");
                unseen.arg(self.names.online()).arg(user.0);
                (unseen, ReplyUse::Ignored)
            }
            BusOrder::Leave => {
                let mut leave = cmd("DEL");
                leave.arg(self.names.report(&run));
                (leave, ReplyUse::Ignored)
            }
        };
        commands.push((command, reply_use));
    }

    /// Reads the leases and reports of the runs that the database lists, and of this one.
    fn ask_nodes(&mut self, own: &str, commands: &mut Vec<(Cmd, ReplyUse)>) {
        self.sealer.keys().refresh();
        let listed = self.sealer.keys().peers().runs.iter().map(|run| &**run);
        let runs: BTreeSet<&str> = listed.chain([own]).collect();
        let read = |key: String| {
            let mut read = cmd("GETRANGE");
            read.arg(key).arg(0).arg(VALUE_END);
            read
        };
        for run in runs {
            commands.push((read(self.names.lease(run)), ReplyUse::Lease(run.into())));
            commands.push((read(self.names.report(run)), ReplyUse::Report));
        }
    }

    /// Sends all commands at once and passes their replies to logic. A lost connection is replaced once; every command
    /// may safely be sent twice.
    fn exchange(&mut self, commands: &[(Cmd, ReplyUse)]) {
        let bytes: Vec<u8> = commands.iter().flat_map(|(command, _)| command.get_packed_command()).collect();
        let was_connected = self.connection.is_some();
        let mut answers = self.send(&bytes, commands.len());
        if answers.is_none() && was_connected {
            self.retry_at = Instant::now();
            answers = self.send(&bytes, commands.len());
        }
        let is_answered = answers.is_some();
        let mut answers = answers.unwrap_or_default().into_iter();
        let mut is_unheard = false;
        let mut nodes: Vec<NodeState> = Vec::new();
        for (_, reply_use) in commands {
            let answer = answers.next();
            match reply_use {
                ReplyUse::Ignored => {}
                ReplyUse::Published => is_unheard |= !matches!(answer, Some(Value::Int(_))),
                ReplyUse::Lock { ticket, user } => self.lock_answered(*ticket, *user, answer),
                ReplyUse::Lease(run) => {
                    let alive = self.check(&self.names.lease(run), run, LEASE_MS, answer).is_some();
                    nodes.push(NodeState { run: run.clone(), alive, report: None });
                }
                ReplyUse::Report => {
                    let Some(node) = nodes.last_mut() else { continue };
                    let text = self.check(&self.names.report(&node.run), &node.run, REPORT_MS, answer);
                    let text = text.and_then(|text| String::from_utf8(text).ok());
                    node.report = text.and_then(|text| load_report::parse(&text));
                }
            }
        }
        if is_answered && !nodes.is_empty() {
            self.tell(BusInput::Nodes(nodes));
        }
        if is_unheard {
            self.tell(BusInput::Unheard);
        }
    }

    /// The payload of a value that this run has sealed for this key, at most `age` milliseconds ago. Anything else is
    /// dropped and counted.
    fn check(&mut self, key: &str, run: &str, age: u64, answer: Option<Value>) -> Option<Vec<u8>> {
        let Some(Value::BulkString(value)) = answer.filter(|answer| !is_empty(answer)) else { return None };
        let checked = self.values.check(self.sealer.keys(), key, &value, age);
        match checked
            .and_then(|sealed| if sealed.run == run { Ok(sealed.payload) } else { Err(Rejection::Misplaced) })
        {
            Ok(payload) => Some(payload.to_vec()),
            Err(rejection) => {
                self.rejections.note(rejection);
                None
            }
        }
    }

    /// Handles the value that a lock had. What no live node has put there is replaced.
    fn lock_answered(&mut self, ticket: Ticket, user: UserId, answer: Option<Value>) {
        let key = self.names.lock(user);
        let held = match answer {
            Some(Value::BulkString(holder)) => {
                let own = self.locks.get(&ticket);
                // A command that was sent twice finds its own value.
                if holder.is_empty() || own == Some(&holder) {
                    true
                } else if let Err(rejection) = self.values.check(self.sealer.keys(), &key, &holder, LOCK_MS) {
                    self.rejections.note(rejection);
                    let mut set = cmd("SET");
                    set.arg(key).arg(own).arg("PX").arg(LOCK_MS);
                    self.send(&set.get_packed_command(), 1).is_some()
                } else {
                    false
                }
            }
            _ => false,
        };
        if !held {
            self.locks.remove(&ticket);
        }
        self.tell(BusInput::Locked { ticket, user, held });
    }

    /// Sends `count` packed commands and returns their replies; `None` without a working connection.
    fn send(&mut self, bytes: &[u8], count: usize) -> Option<Vec<Value>> {
        if self.connection.is_none() && Instant::now() >= self.retry_at {
            self.retry_at = Instant::now() + RETRY_AFTER;
            self.connection = Client::connect(self.subscriptions.endpoint())
                .inspect_err(|error| log::debug!("cannot connect to Redis: {error}"))
                .ok();
        }
        let answers = self.connection.as_mut()?.exchange(bytes, count);
        if let Err(error) = &answers {
            log::debug!("lost the Redis command connection: {error}");
            self.connection = None;
            self.retry_at = Instant::now() + RETRY_AFTER;
        }
        answers.ok()
    }

    fn tell(&self, input: BusInput) {
        // Waiting is safe, since logic never waits for this thread. Logic may have ended already.
        let _ = self.inputs.send(vec![input]);
    }
}

fn is_empty(value: &Value) -> bool {
    matches!(value, Value::BulkString(bytes) if bytes.is_empty())
}
