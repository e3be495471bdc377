//! What the process tests share: built programs, servers in folders of their own, protocol clients, terminals, and
//! a record of what was acknowledged. Everything waits for events, with a deadline.

pub mod busy;
pub mod certificates;
pub mod client;
#[path = "../../support/effort.rs"]
pub mod effort;
pub mod faketime;
pub mod flag;
pub mod http;
pub mod ledger;
pub mod legacy_client;
#[path = "../../support/mariadb.rs"]
pub mod mariadb;
pub mod members;
pub mod mixed_load;
#[path = "../../support/nginx.rs"]
pub mod nginx;
pub mod nodes;
pub mod polled;
#[path = "../../support/ports.rs"]
pub mod ports;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod redis;
pub mod server;
#[path = "../../support/service.rs"]
#[allow(dead_code, reason = "examples do more with it")]
pub mod service;
pub mod setup;
#[path = "../../support/supervised.rs"]
pub mod supervised;
#[path = "../../support/system.rs"]
pub mod system;
pub mod terminal;
pub mod transcript;
pub mod web_nginx;

pub use client::{Account, Client, Event, PASSWORD};
pub use flag::RaiseOnDrop;
pub use mariadb::MariaDb;
pub use nginx::Nginx;
pub use server::Server;

use std::time::Duration;

/// The deadline of everything that should take no time, long enough for a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
