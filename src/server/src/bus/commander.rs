//! The thread that speaks: all orders of a turn in one pipeline, and the answers back to logic.

use super::link::{self, Link};
use super::{Member, PING_EVERY, RETRY_AFTER, SILENCE, codec};
use logic::Ticket;
use logic::bus::{BusInput, BusOrder, LEASE_MS, LOCK_MS, Load, NodeState, REPORT_MS, Report};
use redis::{Client, Cmd, Connection, ConnectionLike, Value, cmd};
use runtime::queue::{Bell, Inbox, Outbox};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wire::UserId;

/// Gives a lock another life, or back, only if it is still its holder's.
const RENEW: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0";
const UNLOCK: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
/// All runs that have a lease or a report: name, whether it has a lease, report. Those that have neither are forgotten.
const NODES: &str = "local out = {} \
    for _, run in ipairs(redis.call('SMEMBERS', KEYS[1])) do \
      local alive = redis.call('EXISTS', 'chat:lease:' .. run) \
      local report = redis.call('GET', 'chat:report:' .. run) or '' \
      if alive == 0 and report == '' then redis.call('SREM', KEYS[1], run) \
      else out[#out + 1] = run; out[#out + 1] = alive; out[#out + 1] = report end \
    end \
    return out";
const ALL_NODES: &str = "chat:nodes";

/// What the answer to a command is for.
#[derive(Clone, Copy, Debug)]
enum Awaits {
    Nothing,
    /// A publication: how many heard it.
    Heard,
    Lock(Ticket, UserId),
    Nodes,
}

/// The commander's state.
pub struct Commander {
    link: Arc<Link>,
    member: Member,
    inputs: Outbox<Vec<BusInput>>,
    conn: Option<Connection>,
    /// When a connection is tried again.
    retry_at: Instant,
    next_ping: Instant,
    /// Processor time of this process when it was last looked at, and when that was.
    cpu: (Duration, Instant),
}

impl Commander {
    /// One that is not connected.
    pub fn new(link: Arc<Link>, member: Member, inputs: Outbox<Vec<BusInput>>) -> Commander {
        let now = Instant::now();
        Commander { link, member, inputs, conn: None, retry_at: now, next_ping: now, cpu: (cpu_time(), now) }
    }

    /// Carries out orders until told to stop; gives the lease back then.
    pub fn run(mut self, inbox: &Inbox<Vec<BusOrder>>, bell: &Bell, stopping: &AtomicBool) {
        loop {
            let mut orders = Vec::new();
            while let Ok(Some(more)) = inbox.try_recv() {
                orders.extend(more);
            }
            if !orders.is_empty() {
                self.carry_out(orders);
            } else if stopping.load(Ordering::SeqCst) {
                let (lease, report) = (self.key("lease"), self.key("report"));
                let mut gone = cmd("SREM");
                gone.arg(ALL_NODES).arg(&*self.member.run);
                let mut del = cmd("DEL");
                del.arg(lease).arg(report);
                self.exchange(&[(gone, Awaits::Nothing), (del, Awaits::Nothing)]);
                return;
            }
            let now = Instant::now();
            if now >= self.next_ping {
                self.next_ping = now + PING_EVERY;
                self.link.ping(now.duration_since(self.member.started).as_millis() as u64);
            }
            let until = self.next_ping.saturating_duration_since(Instant::now());
            bell.wait(Some(until), || !inbox.is_empty() || stopping.load(Ordering::SeqCst));
        }
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

    fn command(&mut self, order: BusOrder, commands: &mut Vec<(Cmd, Awaits)>) {
        let run = Arc::clone(&self.member.run);
        let lock = |user: UserId| format!("chat:lock:{user}");
        let owner = |ticket: Ticket| format!("{run}:{}", ticket.0);
        let script = |text: &str, key: String| {
            let mut eval = cmd("EVAL");
            eval.arg(text).arg(1).arg(key);
            eval
        };
        let (command, awaits) = match order {
            BusOrder::Publish { channel, news } => {
                let mut publish = cmd("PUBLISH");
                publish.arg(codec::name(&channel)).arg(codec::encode(&run, &news));
                (publish, Awaits::Heard)
            }
            BusOrder::Subscribe { ticket, channels } => {
                if let Some(answer) = self.link.subscribe(ticket, &channels) {
                    self.tell(answer);
                }
                return;
            }
            BusOrder::Unsubscribe(channels) => return self.link.unsubscribe(&channels),
            BusOrder::Lock { ticket, user } => {
                let mut set = cmd("SET");
                set.arg(lock(user)).arg(owner(ticket)).arg("NX").arg("PX").arg(LOCK_MS);
                (set, Awaits::Lock(ticket, user))
            }
            BusOrder::Renew { ticket, user } => {
                let mut renew = script(RENEW, lock(user));
                renew.arg(owner(ticket)).arg(LOCK_MS);
                (renew, Awaits::Nothing)
            }
            BusOrder::Unlock { ticket, user } => {
                let mut unlock = script(UNLOCK, lock(user));
                unlock.arg(owner(ticket));
                (unlock, Awaits::Nothing)
            }
            BusOrder::Lease => {
                let mut lease = cmd("SET");
                lease.arg(self.key("lease")).arg("1").arg("PX").arg(LEASE_MS);
                let mut known = cmd("SADD");
                known.arg(ALL_NODES).arg(&*run);
                commands.push((lease, Awaits::Nothing));
                commands.push((known, Awaits::Nothing));
                (script(NODES, ALL_NODES.to_owned()), Awaits::Nodes)
            }
            BusOrder::Report(load) => {
                let mut report = cmd("SET");
                report.arg(self.key("report")).arg(self.report(load)).arg("PX").arg(REPORT_MS);
                (report, Awaits::Nothing)
            }
            BusOrder::Leave => {
                let mut leave = cmd("DEL");
                leave.arg(self.key("report"));
                (leave, Awaits::Nothing)
            }
        };
        commands.push((command, awaits));
    }

    fn key(&self, what: &str) -> String {
        format!("chat:{what}:{}", self.member.run)
    }

    /// `connections messages/s cpu address node`, the last one with whatever is in it.
    fn report(&mut self, load: Load) -> String {
        let (before, then) = self.cpu;
        self.cpu = (cpu_time(), Instant::now());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let elapsed = self.cpu.1.duration_since(then).max(Duration::from_millis(1));
        let cpu = self.cpu.0.saturating_sub(before).as_micros() * 100 / elapsed.as_micros() / cores as u128;
        let Member { address, node, .. } = &self.member;
        format!("{} {} {cpu} {address} {node}", load.connections, load.messages_per_second)
    }

    /// Sends all commands at once and tells logic what came of them. A connection that turns out to be lost is made
    /// once more: what is sent twice does no harm.
    fn exchange(&mut self, commands: &[(Cmd, Awaits)]) {
        let bytes: Vec<u8> = commands.iter().flat_map(|(command, _)| command.get_packed_command()).collect();
        let had = self.conn.is_some();
        let mut answers = self.send(&bytes, commands.len());
        if answers.is_none() && had {
            self.retry_at = Instant::now();
            answers = self.send(&bytes, commands.len());
        }
        let mut answers = answers.unwrap_or_default().into_iter();
        let mut unheard = false;
        for (_, awaits) in commands {
            let answer = answers.next();
            match *awaits {
                Awaits::Nothing => {}
                Awaits::Heard => unheard |= !matches!(answer, Some(Value::Int(_))),
                Awaits::Lock(ticket, user) => {
                    let held = matches!(answer, Some(Value::Okay));
                    self.tell(BusInput::Locked { ticket, user, held });
                }
                Awaits::Nodes => {
                    if let Some(Value::Array(words)) = answer {
                        self.tell(BusInput::Nodes(nodes(&words)));
                    }
                }
            }
        }
        if unheard {
            self.tell(BusInput::Unheard);
        }
    }

    fn send(&mut self, bytes: &[u8], count: usize) -> Option<Vec<Value>> {
        if self.conn.is_none() && Instant::now() >= self.retry_at {
            self.retry_at = Instant::now() + RETRY_AFTER;
            self.conn = connect(self.link.redis());
        }
        let answers = self.conn.as_mut()?.req_packed_commands(bytes, 0, count);
        if let Err(error) = &answers {
            log::debug!("an exchange with Redis failed: {error}");
            self.conn = None;
            self.retry_at = Instant::now() + RETRY_AFTER;
        }
        answers.ok()
    }

    fn tell(&self, input: BusInput) {
        // Logic never waits for this thread; at the end it may be gone.
        let _ = self.inputs.send(vec![input]);
    }
}

fn connect(redis: &redis::ConnectionInfo) -> Option<Connection> {
    let conn =
        Client::open(redis.clone()).and_then(|client| client.get_connection_with_timeout(link::CONNECT));
    let conn = conn.and_then(|conn| {
        conn.set_read_timeout(Some(SILENCE))?;
        conn.set_write_timeout(Some(SILENCE))?;
        Ok(conn)
    });
    conn.inspect_err(|error| log::debug!("Redis cannot be reached: {error}")).ok()
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The answer to [`NODES`].
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
    fn reports_are_read_and_others_ignored() {
        let report = parse_report("3 40 7 127.0.0.1:6000 a node").unwrap();
        assert_eq!((report.load.connections, report.load.messages_per_second, report.cpu), (3, 40, 7));
        assert_eq!((&*report.address, &*report.node), ("127.0.0.1:6000", "a node"));
        for bad in ["", "1 2 3", "1 2 x a n", "1 2 3 a"] {
            assert_eq!(parse_report(bad), None, "{bad}");
        }
    }
}
