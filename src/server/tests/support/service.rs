//! Services of a cluster: programs that listen on free ports.

use super::ports::free_port;
use super::supervised::Supervised;
use super::system::find;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

const REDIS_MISSING: &str = "these tests start redis-server: apt-get install redis-server";

/// A program that listens.
pub struct Service {
    pub name: &'static str,
    pub address: SocketAddr,
    pub process: Supervised,
}

impl Service {
    /// Starts a program with what `arguments` makes of an address, and waits until it listens there.
    pub fn start(
        name: &'static str,
        program: &Path,
        folder: &Path,
        arguments: impl Fn(SocketAddr) -> Vec<String>,
    ) -> Service {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let log = folder.join(format!("{name}.log"));
        let process = Supervised::start(program, &arguments(address), &log);
        process.wait_for(address);
        Service { name, address, process }
    }

    /// Starts a Redis without persistence.
    pub fn redis(folder: &Path) -> Service {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        Service { name: "redis", address, process: redis(folder, address) }
    }
}

/// Starts a Redis without persistence, and waits until it listens at this address.
pub fn redis(folder: &Path, address: SocketAddr) -> Supervised {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let dir = folder.to_str().expect("a folder whose name is text");
    let arguments = ["--port", &port, "--bind", &ip, "--dir", dir, "--appendonly", "no", "--save", ""];
    let program = find("redis-server", REDIS_MISSING);
    let process = Supervised::start(&program, &arguments.map(str::to_owned), &folder.join("redis.log"));
    process.wait_for(address);
    process
}

/// The path of a program that was built beside this example.
pub fn built(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let folder = here.parent().and_then(Path::parent).expect("examples lie in a folder of their own");
    let program = folder.join(name);
    assert!(program.exists(), "{} is missing: make builds it first", program.display());
    program
}
