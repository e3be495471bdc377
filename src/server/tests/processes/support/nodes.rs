//! Several nodes over one database, with a Redis of their own.

use super::redis::Redis;
use super::{Client, MariaDb, PATIENCE, Server};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use wire::node;
use wire::{Command, Reply};

pub struct Nodes {
    pub redis: Redis,
    pub nodes: Vec<Server>,
    /// Where clients connect.
    pub balancer: Arc<Balancer>,
}

/// The nodes that take clients, as a balancer knows them.
pub struct Balancer {
    addresses: Mutex<Vec<Option<SocketAddr>>>,
    opened: Condvar,
}

impl Balancer {
    /// Balances over these addresses, all of them up.
    pub fn over(addresses: &[SocketAddr]) -> Arc<Balancer> {
        let addresses = addresses.iter().copied().map(Some).collect();
        Arc::new(Balancer { addresses: Mutex::new(addresses), opened: Condvar::new() })
    }

    /// The node of this number, or the next one that is up; waits while none is.
    pub fn address_near(&self, number: usize) -> SocketAddr {
        let all_closed = |addresses: &mut Vec<_>| addresses.iter().all(Option::is_none);
        let lock = self.addresses.lock().unwrap();
        let (addresses, _) = self.opened.wait_timeout_while(lock, 3 * PATIENCE, all_closed).unwrap();
        let mut from_it_on = addresses.iter().cycle().skip(number).take(addresses.len());
        from_it_on.find_map(|&address| address).expect("some node is started again")
    }

    /// Takes one out (`None`), or puts it back.
    pub fn set(&self, number: usize, address: Option<SocketAddr>) {
        self.addresses.lock().unwrap()[number] = address;
        self.opened.notify_all();
    }
}

impl Nodes {
    /// Nodes over a database of their own on the shared MariaDB.
    pub fn start(count: usize, settings: &[&str]) -> Nodes {
        let database = MariaDb::shared();
        Nodes::over(&database.url(&database.new_name()), count, settings)
    }

    /// Nodes over this database.
    pub fn over(url: &str, count: usize, settings: &[&str]) -> Nodes {
        let redis = Redis::start();
        let start = |number| {
            let (url, redis) = (format!("storage.url={url}"), format!("cluster.redis={}", redis.url()));
            let name = format!("cluster.node=n{number}");
            let own = ["--set", &url, "--set", &redis, "--set", &name];
            // A node that is restarted keeps its address.
            Server::start_at_fixed_port(&[&own, settings].concat())
        };
        let nodes: Vec<Server> = (1..=count).map(start).collect();
        let balancer = Balancer::over(&nodes.iter().map(|node| node.address).collect::<Vec<_>>());
        let nodes = Nodes { redis, nodes, balancer };
        nodes.wait_for_all();
        nodes
    }

    /// Waits until every node lists all of them as alive.
    pub fn wait_for_all(&self) {
        for node in &self.nodes {
            wait_until_alive(&mut Client::connect(node.address), self.nodes.len());
        }
    }

    /// Kills these nodes, all before waiting for any.
    pub fn kill9(&mut self, numbers: &[usize]) {
        for &number in numbers {
            self.balancer.set(number, None);
            self.nodes[number].signal(Signal::KILL);
        }
        for &number in numbers {
            self.nodes[number].kill9();
        }
    }

    /// Restarts a node that has ended.
    pub fn restart(&mut self, number: usize) {
        self.nodes[number].restart();
        self.balancer.set(number, Some(self.nodes[number].address));
    }
}

/// Waits until the client's node lists this many nodes as alive.
pub fn wait_until_alive(client: &mut Client, count: usize) {
    let until = Instant::now() + PATIENCE;
    loop {
        let Reply::Node(node::Reply::Nodes(page)) = client.ask(&Command::Node(node::Request::Nodes)) else {
            panic!("NODES is answered")
        };
        if page.nodes.iter().filter(|node| node.alive).count() == count {
            return;
        }
        assert!(Instant::now() < until, "the nodes do not find each other: {page:?}");
        thread::sleep(Duration::from_millis(50));
    }
}
