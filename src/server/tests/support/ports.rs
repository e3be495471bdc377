//! Ports for servers that must be told one.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that the kernel gives to outgoing connections and to port 0, so that a free one stays free.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port that is free, and that nobody else in this process was given. Other processes begin elsewhere.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id().wrapping_mul(101);
    let port = |_| {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        FIRST + (begin.wrapping_add(step) % u32::from(COUNT)) as u16
    };
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (0..COUNT).map(port).find(free).expect("one of thousands of ports is free")
}
