//! What tests of whole processes share: the built programs, a server in a folder of its own, a client that speaks the
//! protocol, a terminal, and the books of what was promised. Everything waits for events, with a deadline.

#[path = "../../support/beside.rs"]
pub mod beside;
pub mod client;
pub mod crowd;
pub mod ledger;
#[path = "../../support/mariadb.rs"]
pub mod mariadb;
#[path = "../../support/nginx.rs"]
pub mod nginx;
pub mod nodes;
#[path = "../../support/part.rs"]
#[allow(dead_code, reason = "examples do more with it")]
pub mod part;
#[path = "../../support/ports.rs"]
pub mod ports;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod raised;
pub mod redis;
pub mod server;
pub mod standin;
#[path = "../../support/system.rs"]
pub mod system;
pub mod terminal;
pub mod transcript;

pub use client::{Account, Client, Event, PASSWORD};
pub use mariadb::MariaDb;
pub use nginx::Nginx;
pub use raised::Raised;
pub use server::Server;

use std::time::Duration;

/// How long anything may take that takes no time: generous, for machines that do much else.
pub const PATIENCE: Duration = Duration::from_secs(20);
