//! The table of all keys: meaning, default, and allowed values.
//!
//! A new key is one entry here and one in `conf/chatserver.toml`; a test compares the two.

use super::value::{
    Literal, RedisUrl, address, address_or_none, boolean, choice, file, host_and_port, integer, msgids, name,
    networks, origin_or_none, origins, storage_url,
};
use http::Origin;
use ipnet::IpNet;
use log::LevelFilter;
use logic::Conflict;
use net::PACE;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use storage::StorageUrl;
use tls::TlsRequired;
use toml::de::DeValue;
use wire::legacy::{MsgIds, Style};
use wire::limits::FRAME_BYTES;

macro_rules! sections {
    ($(
        $(#[$section_doc:meta])*
        $section:ident: $Section:ident {
            $($(#[$doc:meta])* $key:ident: $type:ty = $default:expr, $read:expr;)*
        }
    )*) => {
        /// The configuration: every value typed and within its bounds.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Config {
            $($(#[$section_doc])* pub $section: $Section,)*
        }

        $(
            $(#[$section_doc])*
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $Section {
                $($(#[$doc])* pub $key: $type,)*
            }

            impl Default for $Section {
                fn default() -> Self {
                    $Section { $($key: $default,)* }
                }
            }
        )*

        /// Every section with its keys.
        pub(super) const SECTIONS: &[(&str, &[&str])] =
            &[$((stringify!($section), &[$(stringify!($key),)*]),)*];

        impl Config {
            /// Sets one key. The error says what the value must be; `None` if there is no such key.
            pub(super) fn set(&mut self, section: &str, key: &str, value: &DeValue<'_>) -> Option<Result<(), String>> {
                match (section, key) {
                    $($((stringify!($section), stringify!($key)) => {
                        Some($read(value).map(|value| self.$section.$key = value))
                    })*)*
                    _ => None,
                }
            }

            /// The configuration as TOML that [`Config::load`] reads back.
            pub fn to_toml(&self) -> String {
                let mut text = String::new();
                $(
                    text += concat!("[", stringify!($section), "]\n");
                    $(text += &format!("{} = {}\n", stringify!($key), self.$section.$key.literal());)*
                    text += "\n";
                )*
                text.truncate(text.trim_end().len() + 1);
                text
            }
        }
    };
}

sections! {
    /// Connections of chat clients.
    chat: Chat {
        /// Where chat clients connect. Port 0 picks a free port, which is printed at the start.
        listen: SocketAddr = loopback(6000), address;
        /// Proxies whose PROXY protocol header is trusted to name the client.
        proxies: Vec<IpNet> = Vec::new(), networks;
        /// For how long after it was stored a message may be edited by its sender, minutes; 0: never.
        edit_minutes: u32 = 15, integer(0..=5_256_000);
        /// For how long after it was stored a message may be recalled by its sender, minutes; 0: never.
        recall_minutes: u32 = 2, integer(0..=5_256_000);
    }
    /// Connections of browsers.
    http: Http {
        /// Where browsers connect; `None`: nowhere.
        listen: Option<SocketAddr> = Some(loopback(6080)), address_or_none;
        /// Proxies whose PROXY header or X-Forwarded-For is trusted to name the client.
        proxies: Vec<IpNet> = Vec::new(), networks;
        /// Where browsers reach this server; `None`: wherever they say.
        url: Option<Origin> = None, origin_or_none;
        /// Whose pages may use this server, beside its own.
        origins: Vec<Origin> = Vec::new(), origins;
    }
    /// Metrics, probes and the status page.
    ops: Ops {
        /// Where operators and their tools connect; `None`: nowhere.
        listen: Option<SocketAddr> = Some(loopback(6081)), address_or_none;
    }
    /// TLS towards clients.
    tls: Tls {
        /// A file with the server's certificate and those that lead to an authority, PEM; `None`: no TLS.
        certificate: Option<PathBuf> = None, file;
        /// A file with the key of the certificate, PEM.
        key: Option<PathBuf> = None, file;
        /// Whose connections must be encrypted; without a certificate nobody's.
        required: TlsRequired = TlsRequired::Remote, choice;
    }
    /// Accounts and messages.
    storage: Storage {
        /// Where the database is.
        url: StorageUrl = StorageUrl::Sqlite("data/chat.db".into()), storage_url;
        /// A file with the password for a `mysql:` URL that contains none.
        password_file: Option<PathBuf> = None, file;
        /// Whether connections to a `mysql:` URL are encrypted with TLS, and refused otherwise.
        tls: bool = false, boolean;
        /// A file with the certificates of the authorities that may sign the database server's; `None`: those that the
        /// system trusts.
        ca_file: Option<PathBuf> = None, file;
        /// Whether to accept a database server that may lose committed data when its machine fails.
        accept_weak_durability: bool = false, boolean;
        /// How many whole months of messages are kept before the current month; 0: all.
        retention_months: u32 = 0, integer(0..=1_200);
    }
    /// Search in messages.
    search: Search {
        /// Whether messages can be searched.
        enabled: bool = true, boolean;
        /// Where the index is; `None`: beside an SQLite database, as `PATH.search`, and with a `mysql:` URL
        /// `data/search-PORT.db`, where PORT is that of `chat.listen`.
        file: Option<PathBuf> = None, file;
    }
    /// Clients of the muduo chat servers.
    legacy: Legacy {
        /// Whether they are accepted without TLS, of which they know nothing, whatever `tls.required` says.
        plain: bool = true, boolean;
        /// Their message numbers: login, login answer, logout, register, register answer, one chat, add friend, create
        /// group, add group, group chat.
        msgids: MsgIds = MsgIds::default(), msgids;
        /// The longest object sent to them, bytes including its NUL: as much as they read from their socket at once.
        object_bytes: usize = Style::default().object_bytes,
            integer(Style::OBJECT_BYTES_MIN..=Style::OBJECT_BYTES_MAX);
        /// The least time between two objects to one connection, milliseconds; 0: none.
        pace_ms: u32 = PACE.as_millis() as u32, integer(0..=1_000);
    }
    /// The other nodes of a cluster.
    cluster: Cluster {
        /// Where Redis is, which connects the nodes of a cluster; `None` on a single node.
        redis: Option<RedisUrl> = None, RedisUrl::read;
        /// A file with the password of Redis.
        password_file: Option<PathBuf> = None, file;
        /// A file with the certificates of the authorities that may sign that of Redis at a `rediss:` URL; `None`: those
        /// that the system trusts.
        ca_file: Option<PathBuf> = None, file;
        /// The name of this node; empty: its listening address.
        node: String = String::new(), name;
        /// The `host:port` at which clients of other nodes can reach this one; empty: its listening address.
        advertise: String = String::new(), host_and_port;
    }
    /// Sessions of logged-in accounts.
    session: Session {
        /// Which sessions of an account end when it logs in again.
        conflict: Conflict = Conflict::Kind, choice;
        /// How long a session outlives its connection, seconds.
        grace: u32 = 300, integer(0..=86_400);
    }
    /// Limits on the registration of accounts.
    registration: Registration {
        /// Accounts that may be registered from one address (IPv6: from one /64) in an hour; 0: unlimited.
        per_address_hour: u32 = 20, integer(0..=1_000_000);
    }
    /// Friends of an account.
    contacts: Contacts {
        /// Whether a friend request needs the other user's consent; this version refuses `true`.
        approval: bool = false, approval;
    }
    /// Limits on what clients may use.
    limits: Limits {
        /// The largest frame value that a client may send, bytes; before login at most 8,192. Below 204,800 a message
        /// of the greatest length may not fit if each of its characters must be escaped.
        frame_bytes: usize = FRAME_BYTES, integer(1_024..=FRAME_BYTES);
        /// Open client connections, on all threads together; each takes a file descriptor.
        connections: usize = 18_000, integer(1..=1_000_000);
        /// Memory for output that clients do not read, MiB, as far as a connection has more than 64 KiB of it.
        output_mib: usize = 256, integer(16..=1_048_576);
        /// Messages an account may send per second, in bursts of up to ten seconds' worth; 0: unlimited.
        messages_per_second: u32 = 100, integer(0..=1_000_000);
        /// What an account may request per second, in bursts of up to ten seconds' worth; 0: unlimited.
        requests_per_second: u32 = 100, integer(0..=1_000_000);
        /// Reads that an account may have waiting; 0: unlimited.
        reads_waiting: u32 = 32, integer(0..=1_000_000);
        /// Sessions that an account may have; beyond it, the login ends the one that was silent for longest. 0: unlimited.
        sessions: u32 = 10, integer(0..=1_000);
        /// Groups that an account may own; 0: unlimited.
        groups: u32 = 500, integer(0..=1_000_000);
        /// Groups that an account may create in a day, UTC; 0: unlimited.
        groups_made_day: u32 = 50, integer(0..=1_000_000);
        /// Friends that an account may add; 0: unlimited.
        friends: u32 = 5_000, integer(0..=1_000_000);
        /// Conversations that an account may create, join or open; 0: unlimited.
        conversations: u32 = 20_000, integer(0..=10_000_000);
        /// Members of a group; 0: unlimited.
        members: u32 = 10_000, integer(0..=10_000_000);
    }
    /// The cost of new password hashes (Argon2id, one lane, RFC 9106). Existing hashes keep theirs.
    password: Password {
        /// Memory of one hash, KiB. The default is what OWASP's Password Storage Cheat Sheet asks for with two
        /// iterations.
        memory_kib: u32 = 19_456, integer(argon2::Params::MIN_M_COST..=4_194_304);
        /// Passes over the memory.
        iterations: u32 = 2, integer(argon2::Params::MIN_T_COST..=1_000);
    }
    /// The log on stderr.
    log: Log {
        /// The least severe level that is written.
        level: LevelFilter = LevelFilter::Info, choice;
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn approval(value: &DeValue<'_>) -> Result<bool, String> {
    if boolean(value)? {
        return Err("cannot be true: this version has no friend requests that wait for consent".to_owned());
    }
    Ok(false)
}
