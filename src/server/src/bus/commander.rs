//! The sending thread: sends all orders of a turn in one pipeline and passes the replies to logic.

use super::codec;
use super::connection::{RETRY_AFTER, SILENCE, SubscriberConnection};
use super::identity::NodeIdentity;
use logic::Ticket;
use logic::bus::{BusInput, BusOrder, LEASE_MS, LOCK_MS, Load, NodeState, REPORT_MS, Report};
use redis::{Client, Cmd, Connection, ConnectionLike, Value, cmd};
use runtime::queue::Outbox;
use runtime::worker::{Mailbox, Next};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use wire::UserId;

/// How often the subscriber's connection is tested.
const PING_EVERY: Duration = Duration::from_millis(500);
/// Renews a lock if the caller still holds it.
const RENEW: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0";
/// Releases a lock if the caller still holds it.
const UNLOCK: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
/// Lists (run, whether it has a lease, report) of all runs, and forgets those that have neither lease nor report.
const NODES: &str = "local out = {} \
    for _, run in ipairs(redis.call('SMEMBERS', KEYS[1])) do \
      local alive = redis.call('EXISTS', 'chat:lease:' .. run) \
      local report = redis.call('GET', 'chat:report:' .. run) or '' \
      if alive == 0 and report == '' then redis.call('SREM', KEYS[1], run) \
      else out[#out + 1] = run; out[#out + 1] = alive; out[#out + 1] = report end \
    end \
    return out";
const ALL_NODES: &str = "chat:nodes";

/// How a command's reply is passed to logic.
#[derive(Clone, Copy, Debug)]
enum ReplyUse {
    Ignored,
    /// Whether Redis accepted a publication.
    Published,
    /// Whether the lock was free.
    Lock {
        ticket: Ticket,
        user: UserId,
    },
    Nodes,
}

/// Sends commands on a connection of its own.
pub(super) struct Commander {
    subscriptions: Arc<SubscriberConnection>,
    identity: NodeIdentity,
    inputs: Outbox<Vec<BusInput>>,
    connection: Option<Connection>,
    /// When connecting may be tried again.
    retry_at: Instant,
    next_ping: Instant,
    cpu: CpuSample,
}

/// Processor time that this process had used, and when it was measured.
#[derive(Clone, Copy, Debug)]
struct CpuSample {
    used: Duration,
    at: Instant,
}

impl Commander {
    /// Not connected yet.
    pub fn new(
        subscriptions: Arc<SubscriberConnection>,
        identity: NodeIdentity,
        inputs: Outbox<Vec<BusInput>>,
    ) -> Commander {
        let now = Instant::now();
        Commander {
            subscriptions,
            identity,
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
        let mut forget = cmd("SREM");
        forget.arg(ALL_NODES).arg(&*self.identity.run);
        let mut delete = cmd("DEL");
        delete.arg(self.key("lease")).arg(self.key("report"));
        self.exchange(&[(forget, ReplyUse::Ignored), (delete, ReplyUse::Ignored)]);
    }

    fn carry_out(&mut self, orders: Vec<BusOrder>) {
        let mut commands = Vec::with_capacity(orders.len());
        for order in orders {
            self.command(order, &mut commands);
        }
        if !commands.is_empty() {
            self.exchange(&commands);
        }
    }

    /// Appends the commands that carry out one order.
    fn command(&mut self, order: BusOrder, commands: &mut Vec<(Cmd, ReplyUse)>) {
        let run = Arc::clone(&self.identity.run);
        let lock = |user: UserId| format!("chat:lock:{user}");
        let owner = |ticket: Ticket| format!("{run}:{}", ticket.0);
        let script = |text: &str, key: String| {
            let mut eval = cmd("EVAL");
            eval.arg(text).arg(1).arg(key);
            eval
        };
        let (command, reply_use) = match order {
            BusOrder::Publish { channel, hint } => {
                let mut publish = cmd("PUBLISH");
                publish.arg(codec::name(&channel)).arg(codec::encode(&run, &hint));
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
                let mut set = cmd("SET");
                set.arg(lock(user)).arg(owner(ticket)).arg("NX").arg("PX").arg(LOCK_MS);
                (set, ReplyUse::Lock { ticket, user })
            }
            BusOrder::Renew { ticket, user } => {
                let mut renew = script(RENEW, lock(user));
                renew.arg(owner(ticket)).arg(LOCK_MS);
                (renew, ReplyUse::Ignored)
            }
            BusOrder::Unlock { ticket, user } => {
                let mut unlock = script(UNLOCK, lock(user));
                unlock.arg(owner(ticket));
                (unlock, ReplyUse::Ignored)
            }
            BusOrder::Lease => {
                let mut lease = cmd("SET");
                lease.arg(self.key("lease")).arg("1").arg("PX").arg(LEASE_MS);
                let mut known = cmd("SADD");
                known.arg(ALL_NODES).arg(&*run);
                commands.push((lease, ReplyUse::Ignored));
                commands.push((known, ReplyUse::Ignored));
                (script(NODES, ALL_NODES.to_owned()), ReplyUse::Nodes)
            }
            BusOrder::Report(load) => {
                let mut report = cmd("SET");
                report.arg(self.key("report")).arg(self.report(load)).arg("PX").arg(REPORT_MS);
                (report, ReplyUse::Ignored)
            }
            BusOrder::Leave => {
                let mut leave = cmd("DEL");
                leave.arg(self.key("report"));
                (leave, ReplyUse::Ignored)
            }
        };
        commands.push((command, reply_use));
    }

    fn key(&self, what: &str) -> String {
        format!("chat:{what}:{}", self.identity.run)
    }

    /// `connections messages/s cpu address node`, separated by spaces. The name of the node may contain some.
    fn report(&mut self, load: Load) -> String {
        let before = std::mem::replace(&mut self.cpu, CpuSample::now());
        let cpu = self.cpu.percent_since(before);
        let NodeIdentity { address, node, .. } = &self.identity;
        format!("{} {} {cpu} {address} {node}", load.connections, load.messages_per_second)
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
        let mut answers = answers.unwrap_or_default().into_iter();
        let mut is_unheard = false;
        for (_, reply_use) in commands {
            let answer = answers.next();
            match *reply_use {
                ReplyUse::Ignored => {}
                ReplyUse::Published => is_unheard |= !matches!(answer, Some(Value::Int(_))),
                ReplyUse::Lock { ticket, user } => {
                    let held = matches!(answer, Some(Value::Okay));
                    self.tell(BusInput::Locked { ticket, user, held });
                }
                ReplyUse::Nodes => {
                    if let Some(Value::Array(words)) = answer {
                        self.tell(BusInput::Nodes(nodes(&words)));
                    }
                }
            }
        }
        if is_unheard {
            self.tell(BusInput::Unheard);
        }
    }

    /// Sends `count` packed commands and returns their replies; `None` without a working connection.
    fn send(&mut self, bytes: &[u8], count: usize) -> Option<Vec<Value>> {
        if self.connection.is_none() && Instant::now() >= self.retry_at {
            self.retry_at = Instant::now() + RETRY_AFTER;
            self.connection = connect(self.subscriptions.redis());
        }
        let answers = self.connection.as_mut()?.req_packed_commands(bytes, 0, count);
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

fn connect(redis: &redis::ConnectionInfo) -> Option<Connection> {
    let conn = Client::open(redis.clone()).and_then(|client| client.get_connection_with_timeout(SILENCE));
    let conn = conn.and_then(|conn| {
        conn.set_read_timeout(Some(SILENCE))?;
        conn.set_write_timeout(Some(SILENCE))?;
        Ok(conn)
    });
    conn.inspect_err(|error| log::debug!("cannot connect to Redis: {error}")).ok()
}

impl CpuSample {
    fn now() -> CpuSample {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        CpuSample { used: Duration::new(time.tv_sec as u64, time.tv_nsec as u32), at: Instant::now() }
    }

    /// Processor time used since then, percent of all cores.
    fn percent_since(self, before: CpuSample) -> u128 {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let elapsed = self.at.duration_since(before.at).max(Duration::from_millis(1));
        self.used.saturating_sub(before.used).as_micros() * 100 / elapsed.as_micros() / cores as u128
    }
}

/// Parses the reply to [`NODES`].
fn nodes(words: &[Value]) -> Vec<NodeState> {
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    };
    let (each, _) = words.as_chunks::<3>();
    let node = |[run, alive, report]: &[Value; 3]| {
        Some(NodeState {
            run: text(run)?.into(),
            alive: *alive == Value::Int(1),
            report: text(report).and_then(|text| parse_report(&text)),
        })
    };
    each.iter().filter_map(node).collect()
}

fn parse_report(text: &str) -> Option<Report> {
    let mut words = text.splitn(5, ' ');
    let mut number = || words.next()?.parse().ok();
    let load = Load { connections: number()?, messages_per_second: number()? };
    let cpu = number()?;
    Some(Report { address: words.next()?.into(), node: words.next()?.into(), load, cpu })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_reports_are_ignored() {
        let report = parse_report("3 40 7 127.0.0.1:6000 a node").unwrap();
        assert_eq!((report.load.connections, report.load.messages_per_second, report.cpu), (3, 40, 7));
        assert_eq!((&*report.address, &*report.node), ("127.0.0.1:6000", "a node"));
        for bad in ["", "1 2 3", "1 2 x a n", "1 2 3 a"] {
            assert_eq!(parse_report(bad), None, "{bad}");
        }
    }
}
