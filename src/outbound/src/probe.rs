//! Finding out which protocol a port speaks.

use super::stream::Stream;
use std::time::{Duration, Instant};
use tls::{Fault, Trust, fault_in};

/// Whether a server speaks TLS: whether it presents a certificate, which is refused here, or ends the handshake as TLS
/// does. `limit` is the time for each address of the host and for the handshake.
pub fn speaks_tls(host: &str, port: u16, limit: Duration) -> bool {
    let Ok(mut stream) = Stream::dial(host, port, limit) else { return false };
    stream.set_deadline(Instant::now() + limit);
    match stream.start_tls(&Trust::of_nobody(), host) {
        Ok(()) => true,
        Err(error) => fault_in(&error).is_some_and(|fault| !matches!(fault, Fault::NotTls { .. })),
    }
}
