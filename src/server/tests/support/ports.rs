//! Ports for servers that must be told one.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

/// Below those that the kernel gives to outgoing connections and to port 0, so that a free one stays free.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port that is free, and that no other test is given while this process runs, also when its server is down.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id().wrapping_mul(101);
    let port = |_| {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        FIRST + (begin.wrapping_add(step) % u32::from(COUNT)) as u16
    };
    let free = |port: &u16| reserve(*port).is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (0..COUNT).map(port).find(free).expect("one of thousands of ports is free")
}

/// Reserves a port among the processes of this machine that take ports here: a socket of a name in the abstract
/// namespace (unix(7)) can be bound once, and is gone with its process.
fn reserve(port: u16) -> io::Result<()> {
    static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let name = SocketAddr::from_abstract_name(format!("chatserver-test-port-{port}"))?;
    let reservation = UnixListener::bind_addr(&name)?;
    RESERVED.lock().unwrap_or_else(PoisonError::into_inner).push(reservation);
    Ok(())
}
