//! Whole nodes on one thread: logic, the real SQLite store on a database in memory, which several nodes may share,
//! links, devices, a bus, and a clock that moves when the dice say so. Every step that a real node takes on some thread
//! is a step here, taken in any order; faults fall between any two of them.

mod acts;
mod months;
mod network;
mod search;

use crate::bus::Bus;
use crate::device::Device;
use crate::dice::Dice;
use crate::link::{Ever, LeftOut, Link};
use crate::node::{Node, Outcome};
use logic::contract::entry::Actor;
use logic::contract::{Epoch, account, change, group, message, session};
use logic::{ConnId, Found, Input, Now, Order, Policy, Read, Rules, Ticket, Write, Written};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use storage::{MemoryDisk, SqliteStore, Store, StoreError};
use wire::message::server_cid;
use wire::{ConversationId, Message, Seq, UnixMillis, UserId};

/// 2026-11-29 23:59:00 UTC: most runs cross the end of a day, some that of a month.
const BEGIN: u64 = 1_795_996_740_000;
/// A node that is cut off from the bus ends what is stale, or stops pushing, within so many milliseconds.
const STALE_MS: u64 = 2_500;

pub struct World {
    pub dice: Dice,
    pub ms: u64,
    wall: Arc<AtomicU64>,
    pub nodes: Vec<Node>,
    pub bus: Bus,
    store: Option<SqliteStore>,
    /// The index of SEARCH, in some runs.
    indexed: Option<search::Indexed>,
    /// Whether every commit of tables fails.
    refuses: Arc<AtomicBool>,
    /// What holds the journal, through crashes.
    disk: MemoryDisk,
    /// Which sessions of a user a login ends.
    pub policy: Policy,
    /// The latest epoch of each user.
    latest: BTreeMap<UserId, Epoch>,
    /// When sessions were ended by others.
    ended: BTreeMap<(UserId, Epoch), u64>,
    pub links: Vec<Link>,
    pub devices: Vec<Device>,
    pub users: Vec<UserId>,
    pub group: ConversationId,
    /// Those who are known to be in the group.
    pub members: BTreeSet<UserId>,
    left_out: Vec<LeftOut>,
    ever: Ever,
    pub crashes: u32,
    generation: u32,
    boots: u64,
    texts: u32,
    /// The entries that were made so old that they are dropped.
    pub past: Past,
    /// How often that was.
    aged: u32,
}

/// Entries of timelines.
pub type Past = BTreeMap<ConversationId, BTreeMap<Seq, Arc<Message>>>;

fn open(conn: Connection, disk: &MemoryDisk, wall: &Arc<AtomicU64>, seed: u64) -> SqliteStore {
    let wall = Arc::clone(wall);
    let mut dice = Dice(seed);
    let random = move |bytes: &mut [u8]| bytes.iter_mut().for_each(|byte| *byte = dice.roll() as u8);
    let clock = move || UnixMillis(wall.load(Ordering::Relaxed));
    SqliteStore::recover(conn, Box::new(disk.clone()), Box::new(clock), Box::new(random))
        .expect("recovery succeeds")
        .with_retention(months::RETENTION_MONTHS)
}

impl World {
    /// `nodes` nodes with `users` accounts in one group, and `devices` devices, the first ones one for each user.
    pub fn new(seed: u64, nodes: usize, users: usize, devices: usize) -> World {
        let policy = Rules::default().sessions;
        World::with_members(seed, nodes, users, devices, users, policy)
    }

    /// The same, with only the first `members` accounts in the group.
    pub fn with_members(
        seed: u64,
        nodes: usize,
        users: usize,
        devices: usize,
        members: usize,
        policy: Policy,
    ) -> World {
        let mut dice = Dice(seed);
        let wall = Arc::new(AtomicU64::new(BEGIN + dice.roll() % 120_000));
        let mut conn = Connection::open_in_memory().expect("a database in memory");
        let refuses = Arc::new(AtomicBool::new(false));
        let hook = Arc::clone(&refuses);
        conn.commit_hook(Some(move || hook.load(Ordering::Relaxed))).expect("a hook");
        let disk = MemoryDisk::default();
        let store = open(conn, &disk, &wall, dice.roll());
        let mut world = World {
            ms: 1_000,
            wall,
            nodes: Vec::new(),
            bus: Bus::default(),
            store: Some(store),
            indexed: None,
            refuses,
            disk,
            policy,
            latest: BTreeMap::new(),
            ended: BTreeMap::new(),
            links: Vec::new(),
            devices: Vec::new(),
            users: Vec::new(),
            group: ConversationId(0),
            members: BTreeSet::new(),
            left_out: Vec::new(),
            ever: Ever::default(),
            crashes: 0,
            generation: 0,
            boots: 0,
            texts: 0,
            past: Past::new(),
            aged: 0,
            dice,
        };
        for name in 0..nodes {
            let node = Node::new(name, nodes > 1, world.dice.roll(), policy);
            world.nodes.push(node);
            world.listen(name);
        }
        world.people(users, devices, members);
        world
    }

    fn listen(&mut self, node: usize) {
        if let Some(run) = &self.nodes[node].run {
            self.bus.begin(node, run);
        }
    }

    pub fn is_clustered(&self) -> bool {
        self.nodes.len() > 1
    }

    fn people(&mut self, users: usize, devices: usize, members: usize) {
        for n in 0..users {
            let name = format!("user{n}").into();
            let made = self.write_now(Write::Account(account::Write::Create {
                name,
                password: "secret".into(),
                nick: None,
            }));
            let Written::Account(account::Written::Created { user, .. }) = made else {
                panic!("an account: {made:?}")
            };
            self.users.push(user);
        }
        let (name, desc) = ("all".into(), "".into());
        let actor = |n: usize, user| Actor {
            user,
            name: format!("user{n}").into(),
            cid: server_cid(u64::MAX, n as u64),
        };
        let by = actor(0, self.users[0]);
        let made = self.write_now(Write::Group(group::Write::Create { by, name, desc }));
        let Written::Group(group::Written::Created(entry)) = made else { panic!("a group: {made:?}") };
        self.group = entry.message.conversation;
        for (n, user) in self.users.clone().into_iter().enumerate().take(members).skip(1) {
            let (by, conversation) = (actor(n, user), self.group);
            let joined = self.write_now(Write::Group(group::Write::Join { by, conversation }));
            assert!(matches!(joined, Written::Group(group::Written::Joined(_))), "{joined:?}");
        }
        self.members.extend(&self.users[..members]);
        for n in 0..devices {
            self.add_device(self.users[n % users]);
        }
    }

    /// A device of a user.
    pub fn add_device(&mut self, user: UserId) {
        let seed = self.dice.roll();
        self.devices.push(Device::new(user, seed));
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

    /// One turn of a node's logic: some of what has come, then everything that it wants done.
    pub fn logic_turn(&mut self, node: usize, most: usize) {
        let (now, is_clustered) = (self.now(), self.is_clustered());
        let (bus, dice) = (&mut self.bus, &mut self.dice);
        let heard = || if is_clustered { bus.arrive(node, dice) } else { None };
        self.nodes[node].turn(now, most, heard);
        let fx = &mut self.nodes[node].fx;
        let (orders, said) = (std::mem::take(&mut fx.reactors[0]), std::mem::take(&mut fx.bus));
        let mut learns = std::mem::take(&mut self.nodes[node].learns).into_iter().peekable();
        for (number, order) in orders.into_iter().enumerate() {
            while let Some((_, knows)) = learns.next_if(|(orders_before, _)| *orders_before <= number) {
                self.nodes[node].knows = self.nodes[node].knows.max(knows);
            }
            self.carry_out(order);
        }
        for (_, knows) in learns {
            self.nodes[node].knows = self.nodes[node].knows.max(knows);
        }
        for order in said {
            self.bus.carry_out(node, order, self.ms, &mut self.dice);
        }
        self.resume_held();
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Reply { conn, kind, request, reply } => {
                self.links[conn.slot()].reply(kind, request, &reply, &mut self.ever);
            }
            Order::Welcome { .. } => unreachable!("no device here is a legacy client"),
            Order::Granted { .. } => unreachable!("every device here has a session"),
            Order::Push { conn, push } => {
                if matches!(push, wire::Push::Message(wire::message::Push::New(_))) {
                    self.check_that_it_may_be_pushed_to(conn.slot());
                }
                let mut left_out = std::mem::take(&mut self.left_out);
                self.links[conn.slot()].push(&push, &mut self.ever, &mut left_out);
                self.left_out = left_out;
            }
            Order::Deliver { message, to } => {
                for conn in to {
                    let push = wire::Push::Message(wire::message::Push::New(Arc::clone(&message)));
                    self.carry_out(Order::Push { conn, push });
                }
            }
            Order::LoggedIn { conn, user } => {
                let epoch = self.epoch_of_login(self.links[conn.slot()].node, user);
                let link = self.link(conn);
                (link.user, link.epoch) = (Some(user), epoch);
            }
            Order::LoggedOut { conn } => self.link(conn).user = None,
            Order::NotifyDrained { conn } => self.link(conn).notify = true,
            Order::Close { conn, .. } => self.link(conn).closing = true,
        }
    }

    /// The session that begins on a node; [`Epoch::NONE`] where it may be one of several.
    fn epoch_of_login(&self, node: usize, user: UserId) -> Epoch {
        let claims = self.nodes[node].claims.get(&user).into_iter().flatten();
        let is_new = |epoch: &&Epoch| {
            !self.ended.contains_key(&(user, **epoch))
                && !self.links.iter().any(|link| link.user == Some(user) && link.epoch == **epoch)
        };
        let mut new = claims.filter(is_new);
        match (new.next(), new.next()) {
            (Some(epoch), None) => *epoch,
            _ => Epoch::NONE,
        }
    }

    /// Asserts that no node pushes to a session that has ended once it has asked the database, and that a node without the
    /// bus does not go on pushing without asking.
    fn check_that_it_may_be_pushed_to(&self, at: usize) {
        let link = &self.links[at];
        let Some(since) = link.user.and_then(|user| self.ended.get(&(user, link.epoch))) else { return };
        if link.dead_here {
            return;
        }
        let node = &self.nodes[link.node];
        assert!(node.knows <= *since, "{:?} is pushed to in a session that has ended", link.user);
        let is_cut_off = self.bus.away_for(link.node, self.ms) > STALE_MS;
        assert!(!is_cut_off || self.ms <= since + STALE_MS, "{:?} is pushed to much too late", link.user);
    }

    /// Dead links stay on the list; a slot is used once.
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
        let (conn, node) = (self.links[at].conn, self.links[at].node);
        let input = |(request, command)| Input::Request { conn, request, command };
        self.nodes[node].inputs.extend(requests.into_iter().map(input));
    }

    /// The store thread of a node takes some writes, and the sync fails.
    pub fn store_step_in_a_power_cut(&mut self, node: usize) {
        self.disk.set_sync_fails(true);
        self.store_step(node, false);
        self.disk.set_sync_fails(false);
    }

    /// The store thread of a node takes some writes. `crash`: the node dies after the commit, before its outcomes are
    /// handled.
    pub fn store_step(&mut self, node: usize, crash: bool) {
        let waiting = &mut self.nodes[node].writes;
        let count = (1 + self.dice.below(8)).min(waiting.len());
        if count == 0 {
            return;
        }
        let batch: Vec<_> = waiting.drain(..count).collect();
        let sessions: Vec<_> = batch.iter().map(|(_, write)| session_of(write)).collect();
        let store = self.store.as_mut().expect("a store");
        let mut outcomes = Vec::new();
        let result = store.write(batch, &mut |written| outcomes.extend(written));
        for ((_, written), session) in outcomes.iter().zip(sessions) {
            self.check_session(node, written, session);
        }
        if !crash {
            self.nodes[node].outcomes.push_back(Outcome::Written(outcomes));
        }
        self.after(node, result.map(|_| ()), crash);
    }

    /// Asserts that a session that has ended has written nothing.
    fn check_session(&mut self, node: usize, written: &Written, session: Option<(UserId, Epoch)>) {
        let Some((user, epoch)) = session else { return };
        let has_ended = self.ended.contains_key(&(user, epoch));
        match written {
            Written::Session(session::Written::Claimed(claimed)) => {
                let before = self.latest.insert(user, claimed.epoch).unwrap_or_default();
                assert!(claimed.epoch > before, "{user:?}: an epoch is given once");
                self.nodes[node].claims.entry(user).or_default().push(claimed.epoch);
                for ended in &claimed.ended {
                    self.ended.insert((user, ended.epoch), self.ms);
                }
            }
            Written::Group(group::Written::Joined(entry)) => {
                assert!(!has_ended, "{user:?}: a session that has ended joined");
                self.members.insert(entry.message.from);
            }
            Written::Group(group::Written::Changed(entry)) => {
                assert!(!has_ended, "{user:?}: a session that has ended changed the group");
                let system = entry.message.system().expect("a system entry");
                if system.removes_members() {
                    system.who.iter().for_each(|user| {
                        self.members.remove(user);
                    });
                }
            }
            Written::Change(change::Written::Made(entry)) => {
                let told = &entry.message;
                assert!(!has_ended, "{user:?}: {} was made by a session that has ended", told.seq);
            }
            Written::Message(message::Written::Appended { message, .. }) => {
                assert!(!has_ended, "{user:?}: {} was written by a session that has ended", message.content);
            }
            _ => {}
        }
    }

    /// The store thread files a slice.
    pub fn housekeep(&mut self) {
        let result = self.store.as_mut().expect("a store").housekeep();
        self.after(0, result.map(|_| ()), false);
    }

    fn after(&mut self, node: usize, result: Result<(), StoreError>, crash: bool) {
        // A fatal error ends the process, which is restarted.
        if result.is_err_and(|error| error.is_fatal()) || crash {
            self.crash(node);
        }
    }

    pub fn read_step(&mut self, node: usize) {
        let Some((ticket, read, issued)) = self.nodes[node].take_read(&mut self.dice) else { return };
        let found = self.read_now(&read);
        self.nodes[node].outcomes.push_back(Outcome::Found(ticket, found, issued));
    }

    pub fn password_step(&mut self, node: usize) {
        self.nodes[node].check_password();
    }

    /// Kills and restarts a node: only the database is left. A single node's database is restarted with it.
    pub fn crash(&mut self, node: usize) {
        self.crashes += 1;
        self.boots += 1;
        if !self.is_clustered() {
            self.restart_database();
        }
        self.nodes[node] = Node::new(node, self.is_clustered(), self.boots, self.policy);
        self.listen(node);
        for link in self.links.iter_mut().filter(|link| link.node == node) {
            link.dead_here = true;
        }
    }

    /// Kills and restarts the database.
    pub fn restart_database(&mut self) {
        // With a full disk a server would not start.
        self.refuses.store(false, Ordering::Relaxed);
        self.boots += 1;
        let conn = self.store.take().expect("a store").into_connection();
        let dice = &mut self.dice;
        self.disk.crash(|| dice.once_in(2));
        self.store = Some(open(conn, &self.disk, &self.wall, self.boots));
        self.restart_index();
    }

    /// Whether nothing is in flight but periodic reads.
    pub fn is_quiet(&self) -> bool {
        self.nodes.iter().all(Node::is_quiet)
            && self.links.iter().all(|link| {
                (link.dead_here && link.dead_there) || (link.up.is_empty() && link.down.is_empty())
            })
    }

    /// What is still in flight, for a run that does not come to rest.
    pub fn describe(&self) -> String {
        let devices = self.devices.iter().map(|d| {
            let (online, unsent, settled) =
                (d.session.is_online(), d.session.unsent(), d.session.is_settled());
            format!(
                "\n  {:?}: online {online}, unsent {unsent}, settled {settled}, kicked {}",
                d.user, d.kicked
            )
        });
        let nodes = self.nodes.iter().map(|n| {
            let counts = (n.writes.len(), n.reads.len(), n.outcomes.len(), n.inputs.len());
            format!("\n  waiting {counts:?}, logic settled {}", n.logic.is_settled())
        });
        format!("{}{}", nodes.collect::<String>(), devices.collect::<String>())
    }

    pub fn left_out(&mut self) -> Vec<LeftOut> {
        std::mem::take(&mut self.left_out)
    }
}

/// The session on whose behalf a write is.
fn session_of(write: &Write) -> Option<(UserId, Epoch)> {
    match write {
        Write::Message(message::Write::Append(append)) => Some((append.sender, append.epoch)),
        Write::Group(group::Write::Join { by, .. } | group::Write::Change(group::Change { by, .. }))
        | Write::Change(change::Write { by, .. }) => Some((by.user, Epoch::NONE)),
        Write::Fenced(fence, _) => Some((fence.user, fence.epoch)),
        Write::Session(session::Write::Claim(claim)) => Some((claim.user, Epoch::NONE)),
        _ => None,
    }
}
