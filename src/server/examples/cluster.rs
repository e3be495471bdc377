//! A complete cluster on this machine, for trying things out: MariaDB, Redis, three nodes and nginx in front of them,
//! all private, in one directory and on free ports. `make cluster` starts it. Ctrl-C stops it, and so does the end of
//! any part.
//!
//!     cluster [DIRECTORY]    a directory to create; without one, a temporary one that is deleted afterwards
//!
//! The parts are started in the same way as in the tests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "built on test support")]

#[path = "../tests/support/mariadb.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod mariadb;
#[path = "../tests/support/nginx.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod nginx;
#[path = "../tests/support/ports.rs"]
mod ports;
#[path = "../tests/support/service.rs"]
mod service;
#[path = "../tests/support/supervised.rs"]
mod supervised;
#[path = "../tests/support/system.rs"]
mod system;

use mariadb::MariaDb;
use nginx::Nginx;
use service::{Service, built};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;
use supervised::is_running;

const NODES: [&str; 3] = ["n1", "n2", "n3"];
const DATABASE: &str = "chat";
/// How often the parts are checked.
const CHECK_EVERY: Duration = Duration::from_millis(200);

/// All parts, in the order in which they stop.
struct Cluster {
    nginx: Nginx,
    nodes: Vec<Service>,
    redis: Service,
    database: MariaDb,
}

fn main() -> ExitCode {
    // From here on a signal does not end this process, so that every part is stopped whenever it arrives.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).unwrap();
    let (folder, _temporary) = folder();
    println!("starting MariaDB, Redis, {} nodes and nginx in {}", NODES.len(), folder.display());
    let mut cluster = Cluster::start(&folder);
    cluster.announce();
    let outcome = loop {
        if signals.pending().next().is_some() {
            println!("stopping");
            break ExitCode::SUCCESS;
        }
        if let Some(part) = cluster.ended() {
            eprintln!("{part} exited unexpectedly; stopping the others. Its log is in {}", folder.display());
            break ExitCode::FAILURE;
        }
        thread::sleep(CHECK_EVERY);
    };
    cluster.nodes.iter_mut().for_each(|node| node.process.tell_to_end());
    outcome
}

/// The directory for all parts. Dropping the second value deletes a temporary one.
fn folder() -> (PathBuf, Option<tempfile::TempDir>) {
    match std::env::args_os().nth(1) {
        Some(folder) => {
            fs::create_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            (fs::canonicalize(folder).unwrap(), None)
        }
        None => {
            let temporary = tempfile::Builder::new().prefix("chatserver-cluster-").tempdir().unwrap();
            (temporary.path().to_owned(), Some(temporary))
        }
    }
}

impl Cluster {
    fn start(folder: &Path) -> Cluster {
        let database = MariaDb::start_in(folder.join("mariadb"), &[]);
        let redis = Service::redis(folder);
        // Not in an argument, which every local user can see.
        let secret = folder.join("password");
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&secret).unwrap();
        writeln!(file, "{}", mariadb::PASSWORD).unwrap();
        let settings = [
            format!("storage.url={}", url(&database)),
            format!("storage.password_file={}", secret.display()),
            format!("cluster.redis=redis://{}", redis.address),
            r#"chat.proxies=["127.0.0.1"]"#.to_owned(),
            "http.listen=".to_owned(),
            "ops.listen=".to_owned(),
        ];
        let start = |name| {
            Service::start(name, &built("chatserver"), folder, |address| {
                let index = folder.join(name).with_extension("search");
                let own = [format!("cluster.node={name}"), format!("search.file={}", index.display())];
                let settings = settings.iter().chain(&own);
                let words = settings.flat_map(|setting| ["--set".to_owned(), setting.clone()]);
                words.chain([address.ip().to_string(), address.port().to_string()]).collect()
            })
        };
        let nodes: Vec<Service> = NODES.into_iter().map(start).collect();
        let addresses: Vec<SocketAddr> = nodes.iter().map(|node| node.address).collect();
        let nginx = folder.join("nginx");
        fs::create_dir(&nginx).unwrap();
        Cluster { nginx: Nginx::start_in(nginx, &addresses), nodes, redis, database }
    }

    fn announce(&self) {
        let talk = |address: SocketAddr| format!("chatclient {} {}", address.ip(), address.port());
        println!("talk:  {}", talk(self.nginx.address));
        for node in &self.nodes {
            println!("{}:    {}", node.name, talk(node.address));
        }
        println!("redis: redis://{}", self.redis.address);
        println!("data:  {}", url(&self.database));
        println!("stop:  Ctrl-C");
    }

    /// A part that exited.
    fn ended(&self) -> Option<&'static str> {
        let parts = self.nodes.iter().chain([&self.redis]).map(|part| (part.name, part.process.pid));
        let others = [("nginx", self.nginx.process.pid), ("mariadb", self.database.pid)];
        parts.chain(others).find(|&(_, pid)| !is_running(pid)).map(|(name, _)| name)
    }
}

/// The value of `storage.url`, without the password.
fn url(database: &MariaDb) -> String {
    format!("mysql://{}@127.0.0.1:{}/{DATABASE}", mariadb::USER, database.port)
}
