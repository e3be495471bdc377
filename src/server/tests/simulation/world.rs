//! A whole server on one thread: logic, the real SQLite store on a database in memory, links and devices, and a clock
//! that moves when the dice say so. Every step that a real server takes on some thread is a step here, taken in any
//! order; faults fall between any two of them.

use crate::device::Device;
use crate::dice::Dice;
use crate::link::{LeftOut, Link};
use chatclient::Lost;
use chatserver::storage::{MemoryDisk, SqliteStore, Store, StoreError};
use logic::{
    Conflict, ConnId, Effects, Found, Input, Logic, Now, Order, PasswordJob, PasswordResult, Read, Rules,
    Ticket, Write, Written,
};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use wire::{ConversationId, Dialect, Target, UnixMillis, UserId};

/// 2026-11-29 23:59:00 UTC: most runs cross the end of a day, some that of a month.
const BEGIN: u64 = 1_795_996_740_000;

pub struct World {
    pub dice: Dice,
    pub ms: u64,
    wall: Arc<AtomicU64>,
    logic: Logic,
    fx: Effects,
    store: Option<SqliteStore>,
    /// Whether every commit of tables fails.
    refuses: Arc<AtomicBool>,
    /// What holds the journal, through crashes.
    disk: MemoryDisk,
    writes: VecDeque<(Ticket, Write)>,
    reads: VecDeque<(Ticket, Read)>,
    passwords: VecDeque<(Ticket, PasswordJob)>,
    outcomes: VecDeque<Outcome>,
    inputs: VecDeque<Input>,
    pub links: Vec<Link>,
    pub devices: Vec<Device>,
    pub users: Vec<UserId>,
    pub group: ConversationId,
    left_out: Vec<LeftOut>,
    pub crashes: u32,
    generation: u32,
    boots: u64,
    texts: u32,
}

enum Outcome {
    Written(Vec<(Ticket, Written)>),
    Found(Ticket, Found),
    Password(Ticket, PasswordResult),
}

fn open(conn: Connection, disk: &MemoryDisk, wall: &Arc<AtomicU64>, seed: u64) -> SqliteStore {
    let wall = Arc::clone(wall);
    let mut dice = Dice(seed);
    let random = move |bytes: &mut [u8]| bytes.iter_mut().for_each(|byte| *byte = dice.roll() as u8);
    let clock = move || UnixMillis(wall.load(Ordering::Relaxed));
    SqliteStore::recover(conn, Box::new(disk.clone()), Box::new(clock), Box::new(random))
        .expect("recovery succeeds")
}

fn rules() -> Rules {
    let (node, address) = ("n1".into(), "127.0.0.1:6000".into());
    Rules { conflict: Conflict::Kick, messages_per_second: 0, legacy_object_bytes: 1_024, node, address }
}

impl World {
    /// A server with `users` accounts in one group, and `devices` devices, the first ones one for each user.
    pub fn new(seed: u64, users: usize, devices: usize) -> World {
        let mut dice = Dice(seed);
        let wall = Arc::new(AtomicU64::new(BEGIN + dice.roll() % 120_000));
        let mut conn = Connection::open_in_memory().expect("a database in memory");
        let refuses = Arc::new(AtomicBool::new(false));
        let hook = Arc::clone(&refuses);
        conn.commit_hook(Some(move || hook.load(Ordering::Relaxed))).expect("a hook");
        let disk = MemoryDisk::default();
        let store = open(conn, &disk, &wall, dice.roll());
        let boot = dice.roll();
        let mut world = World {
            ms: 1_000,
            wall,
            logic: Logic::new(rules(), boot),
            fx: Effects::new(1),
            store: Some(store),
            refuses,
            disk,
            writes: VecDeque::new(),
            reads: VecDeque::new(),
            passwords: VecDeque::new(),
            outcomes: VecDeque::new(),
            inputs: VecDeque::new(),
            links: Vec::new(),
            devices: Vec::new(),
            users: Vec::new(),
            group: ConversationId(0),
            left_out: Vec::new(),
            crashes: 0,
            generation: 0,
            boots: 0,
            texts: 0,
            dice,
        };
        world.people(users, devices);
        world
    }

    fn people(&mut self, users: usize, devices: usize) {
        for n in 0..users {
            let name = format!("user{n}").into();
            let made = self.write_now(Write::CreateAccount { name, password: "secret".into(), nick: None });
            let Written::AccountCreated { user, .. } = made else { panic!("an account: {made:?}") };
            self.users.push(user);
        }
        let (name, desc) = ("all".into(), "".into());
        let made = self.write_now(Write::CreateGroup { owner: self.users[0], name, desc });
        let Written::GroupCreated(group) = made else { panic!("a group: {made:?}") };
        self.group = group;
        for user in self.users.clone().into_iter().skip(1) {
            let joined = self.write_now(Write::JoinGroup { user, conversation: group });
            assert!(matches!(joined, Written::Done));
        }
        for n in 0..devices {
            let seed = self.dice.roll();
            self.devices.push(Device::new(self.users[n % users], seed));
        }
    }

    fn write_now(&mut self, write: Write) -> Written {
        let mut answer = None;
        let store = self.store.as_mut().expect("a store");
        store
            .write(vec![(Ticket(0), write)], &mut |mut outcomes| answer = outcomes.pop())
            .expect("the disk is not full yet");
        answer.expect("an answer").1
    }

    pub fn read_now(&mut self, read: &Read) -> Found {
        self.store.as_mut().expect("a store").read(read)
    }

    pub fn now(&self) -> Now {
        Now { monotonic: self.ms, wall: UnixMillis(self.wall.load(Ordering::Relaxed)) }
    }

    pub fn advance(&mut self, ms: u64) {
        self.ms += ms;
        self.wall.fetch_add(ms, Ordering::Relaxed);
    }

    /// Whether the disk has no room from now on, for tables, for the journal, or for both.
    pub fn set_full(&mut self, tables: bool, journal: bool) {
        self.refuses.store(tables, Ordering::Relaxed);
        self.disk.set_full(journal);
    }

    // ---- the server's threads, a step each ----------------------------------------------------------------------

    /// One turn of logic: some of what has come, then everything that it wants done.
    pub fn logic_turn(&mut self, most: usize) {
        let now = self.now();
        for _ in 0..most {
            let Some(outcome) = self.outcomes.pop_front() else { break };
            match outcome {
                Outcome::Written(batch) => {
                    for (ticket, written) in batch {
                        self.logic.handle_written(now, ticket, written, &mut self.fx);
                    }
                }
                Outcome::Found(ticket, found) => self.logic.handle_found(now, ticket, found, &mut self.fx),
                Outcome::Password(ticket, result) => {
                    self.logic.handle_password(now, ticket, result, &mut self.fx);
                }
            }
        }
        for _ in 0..most {
            let Some(input) = self.inputs.pop_front() else { break };
            self.logic.handle_input(now, input, &mut self.fx);
        }
        if self.logic.next_timeout().is_some_and(|due| due <= now.monotonic) {
            self.logic.handle_timeout(now, &mut self.fx);
        }
        self.writes.extend(self.fx.writes.drain(..));
        self.reads.extend(self.fx.reads.drain(..));
        self.passwords.extend(self.fx.passwords.drain(..));
        for order in std::mem::take(&mut self.fx.reactors[0]) {
            self.carry_out(order);
        }
        self.resume_held();
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Reply { conn, kind, request, reply } => self.link(conn).reply(kind, request, &reply),
            Order::Welcome { .. } => unreachable!("no device here is a legacy client"),
            Order::Push { conn, push } => {
                let mut left_out = std::mem::take(&mut self.left_out);
                self.link(conn).push(&push, &mut left_out);
                self.left_out = left_out;
            }
            Order::Deliver { message, to } => {
                for conn in to {
                    let push = wire::Push::Message(Arc::clone(&message));
                    self.carry_out(Order::Push { conn, push });
                }
            }
            Order::LoggedIn { conn, user } => self.link(conn).user = Some(user),
            Order::LoggedOut { conn } => self.link(conn).user = None,
            Order::NotifyDrained { conn } => self.link(conn).notify = true,
            Order::Close { conn, .. } => self.link(conn).closing = true,
        }
    }

    /// Links stay on the list when they are dead; a slot is used once.
    fn link(&mut self, conn: ConnId) -> &mut Link {
        &mut self.links[conn.slot()]
    }

    fn resume_held(&mut self) {
        for at in 0..self.links.len() {
            if !self.links[at].dead_here {
                let requests = self.links[at].decode();
                self.arrived(at, requests);
            }
        }
    }

    fn arrived(&mut self, at: usize, requests: Vec<(u32, wire::Command)>) {
        let conn = self.links[at].conn;
        self.inputs.extend(requests.into_iter().map(|(request, command)| Input::Request {
            conn,
            request,
            command,
        }));
    }

    /// The store thread takes some writes, and the power may fail while it syncs them.
    pub fn store_step_in_a_power_cut(&mut self) {
        self.disk.set_sync_fails(true);
        self.store_step(false);
        self.disk.set_sync_fails(false);
    }

    /// The store thread takes some writes. `crash`: and dies after the commit, before anybody hears of it.
    pub fn store_step(&mut self, crash: bool) {
        let count = (1 + self.dice.below(8)).min(self.writes.len());
        if count == 0 {
            return;
        }
        let batch: Vec<_> = self.writes.drain(..count).collect();
        let outcomes = &mut self.outcomes;
        let store = self.store.as_mut().expect("a store");
        let result = store.write(batch, &mut |written| {
            if !crash {
                outcomes.push_back(Outcome::Written(written));
            }
        });
        self.after(result.map(|_| ()), crash);
    }

    /// The store thread files a slice.
    pub fn housekeep(&mut self) {
        let result = self.store.as_mut().expect("a store").housekeep();
        self.after(result.map(|_| ()), false);
    }

    fn after(&mut self, result: Result<(), StoreError>, crash: bool) {
        // What is fatal ends the process, and it is started again.
        if result.is_err_and(|error| error.is_fatal()) || crash {
            self.crash();
        }
    }

    pub fn read_step(&mut self) {
        // Reads are answered in any order.
        if self.reads.is_empty() {
            return;
        }
        let at = self.dice.below(self.reads.len());
        let (ticket, read) = self.reads.remove(at).expect("within bounds");
        let found = self.read_now(&read);
        self.outcomes.push_back(Outcome::Found(ticket, found));
    }

    pub fn password_step(&mut self) {
        let Some((ticket, job)) = self.passwords.pop_front() else { return };
        let result = match job {
            PasswordJob::Verify { hash, password } => {
                PasswordResult::Verified(hash.is_some_and(|hash| hash == password))
            }
            PasswordJob::Hash { password } => PasswordResult::Hashed(password),
        };
        self.outcomes.push_back(Outcome::Password(ticket, result));
    }

    /// kill -9 and a new start: only the database is left.
    pub fn crash(&mut self) {
        self.crashes += 1;
        // A server that finds its disk full at the start does not start.
        self.refuses.store(false, Ordering::Relaxed);
        self.boots += 1;
        let conn = self.store.take().expect("a store").into_connection();
        let dice = &mut self.dice;
        self.disk.crash(|| dice.once_in(2));
        self.store = Some(open(conn, &self.disk, &self.wall, self.boots));
        self.logic = Logic::new(rules(), self.boots);
        self.fx = Effects::new(1);
        self.writes.clear();
        self.reads.clear();
        self.passwords.clear();
        self.outcomes.clear();
        self.inputs.clear();
        for link in &mut self.links {
            link.dead_here = true;
        }
    }

    // ---- the network ------------------------------------------------------------------------------------------------

    pub fn live_links(&self) -> Vec<usize> {
        (0..self.links.len()).filter(|&at| !(self.links[at].dead_here && self.links[at].dead_there)).collect()
    }

    /// Some bytes reach the server.
    pub fn up(&mut self, at: usize, count: usize) {
        if self.links[at].dead_here {
            return;
        }
        let requests = self.links[at].receive(count);
        self.arrived(at, requests);
        if self.links[at].dead_there && self.links[at].up.is_empty() {
            self.server_notices(at);
        }
    }

    /// Some bytes reach the device.
    pub fn down(&mut self, at: usize, count: usize) {
        let link = &mut self.links[at];
        if link.cut {
            link.down.clear();
        }
        let count = count.min(link.down.len());
        let bytes: Vec<u8> = link.down.drain(..count).collect();
        let (device, empty) = (link.device, link.down.is_empty());
        if empty && link.notify && !link.dead_here {
            link.notify = false;
            let conn = link.conn;
            self.inputs.push_back(Input::Drained { conn });
        }
        if self.links[at].dead_there {
            return;
        }
        if !bytes.is_empty() {
            let ms = self.ms;
            self.devices[device].session.handle_bytes(ms, &bytes);
            self.pump(device);
        }
        if empty && self.links[at].closing && !self.links[at].dead_here {
            self.server_notices(at);
        }
        if empty && self.links[at].dead_here && !self.links[at].dead_there {
            self.device_notices(at);
        }
    }

    /// The server notices that a link is gone.
    pub fn server_notices(&mut self, at: usize) {
        let link = &mut self.links[at];
        if !std::mem::replace(&mut link.dead_here, true) {
            let conn = link.conn;
            self.inputs.push_back(Input::Closed { conn });
        }
    }

    /// The device notices that its link is gone.
    pub fn device_notices(&mut self, at: usize) {
        let (device, ms) = (self.links[at].device, self.ms);
        self.links[at].dead_there = true;
        if self.devices[device].link == Some(at) {
            self.devices[device].link = None;
            self.devices[device].session.handle_disconnected(ms, Lost::Closed);
            self.pump(device);
        }
    }

    /// The network drops a link: what is on its way is lost, each end notices when it notices.
    pub fn drop_link(&mut self, at: usize) {
        self.links[at].cut = true;
        self.links[at].up.clear();
        if self.dice.once_in(2) {
            self.server_notices(at);
        }
        if self.dice.once_in(2) {
            self.links[at].down.clear();
            self.device_notices(at);
        }
    }

    /// A device that wants a link gets one.
    pub fn connect(&mut self, device: usize) {
        if !std::mem::take(&mut self.devices[device].wants_link) {
            return;
        }
        self.generation += 1;
        let conn = ConnId::new(0, self.links.len(), self.generation);
        self.links.push(Link::new(conn, device));
        self.inputs.push_back(Input::Opened { conn, peer: [127, 0, 0, 1].into(), dialect: Dialect::Tlv });
        let (at, ms) = (self.links.len() - 1, self.ms);
        self.devices[device].link = Some(at);
        self.devices[device].session.handle_connected(ms);
        self.pump(device);
    }

    /// Carries out what a device's core wants.
    pub fn pump(&mut self, device: usize) {
        let mut out = Vec::new();
        let ms = self.ms;
        let close = self.devices[device].pump(ms, &mut out);
        let Some(at) = self.devices[device].link else { return };
        if close {
            // It closes its end; what it wrote before still arrives.
            self.links[at].dead_there = true;
            self.devices[device].link = None;
        } else if !self.links[at].cut {
            self.links[at].up.extend(out);
        }
    }

    pub fn tick_devices(&mut self) {
        for device in 0..self.devices.len() {
            let ms = self.ms;
            if self.devices[device].session.next_timeout().is_some_and(|due| due <= ms) {
                self.devices[device].session.handle_timeout(ms);
                self.pump(device);
            }
        }
    }

    pub fn write_text(&mut self, device: usize) {
        let user = self.devices[device].user;
        let others: Vec<_> = self.users.iter().copied().filter(|&other| other != user).collect();
        let target = match self.dice.once_in(3) {
            true => Target::Conversation(self.group),
            false => Target::User(*self.dice.pick(&others).expect("not alone")),
        };
        self.texts += 1;
        let text = format!("text {}", self.texts);
        let ms = self.ms;
        self.devices[device].write(ms, target, text);
        self.pump(device);
    }

    /// Whether nothing is on its way anywhere.
    pub fn is_quiet(&self) -> bool {
        self.writes.is_empty()
            && self.reads.is_empty()
            && self.passwords.is_empty()
            && self.outcomes.is_empty()
            && self.inputs.is_empty()
            && self.logic.is_settled()
            && self.links.iter().all(|link| {
                (link.dead_here && link.dead_there) || (link.up.is_empty() && link.down.is_empty())
            })
    }

    /// What is still going on, for a run that does not come to rest.
    pub fn describe(&self) -> String {
        let devices = self.devices.iter().map(|d| {
            let (online, unsent, settled) =
                (d.session.is_online(), d.session.unsent(), d.session.is_settled());
            format!(
                "\n  {:?}: online {online}, unsent {unsent}, settled {settled}, kicked {}",
                d.user, d.kicked
            )
        });
        let counts = (self.writes.len(), self.reads.len(), self.outcomes.len(), self.inputs.len());
        let settled = self.logic.is_settled();
        format!("waiting {counts:?}, logic settled {settled}{}", devices.collect::<String>())
    }

    pub fn left_out(&mut self) -> Vec<LeftOut> {
        std::mem::take(&mut self.left_out)
    }
}
