//! How long things may take, in milliseconds.

/// The longest a connection attempt to the configured address may take.
pub const CONNECT_MS: u64 = 10_000;
/// The longest a connection attempt to another node may take; its address may be unreachable from here.
pub const NODE_CONNECT_MS: u64 = 3_000;
/// The interval between two requests for the list of nodes.
pub const NODES_MS: u64 = 300_000;
/// The longest wait for a reply. The server answers or refuses within 2 s; the rest is the network.
pub const REPLY_MS: u64 = 15_000;
/// The longest wait for the reply to a logout: the user wants to leave.
pub const LOGOUT_MS: u64 = 2_000;
/// The interval between two heartbeats.
pub const HEARTBEAT_MS: u64 = 30_000;
/// A connection that has received nothing for this long counts as dead. Longer than the server's 70 s.
pub const SILENCE_MS: u64 = 75_000;
/// How long the server may still answer after it announced that it will close the connection.
pub const LEAVING_MS: u64 = 2_000;
/// A login that lasted this long resets the backoff.
pub const STEADY_MS: u64 = 5_000;
/// The longest `retry_after_ms` that is honoured, which is the longest that the server sends.
pub const WAIT_MAX_MS: u64 = 300_000;
