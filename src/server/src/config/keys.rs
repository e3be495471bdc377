//! The table of all keys: what each means, its default, and what it may be.
//!
//! A new key is one entry here and one in `conf/chatserver.toml`; a test holds the two equal.

use super::value::{
    Literal, RedisUrl, address, boolean, choice, file, host_and_port, integer, msgids, name, networks,
    storage_url,
};
use ipnet::IpNet;
use log::LevelFilter;
use logic::Conflict;
use net::PACE;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use storage::StorageUrl;
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
        /// What the server was told: every value typed, within its bounds, ready for use.
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

        /// Every section and its keys.
        pub(super) const SECTIONS: &[(&str, &[&str])] =
            &[$((stringify!($section), &[$(stringify!($key),)*]),)*];

        impl Config {
            /// Sets one key. The sentence says what the value must be; `None`: there is no such key.
            pub(super) fn set(&mut self, section: &str, key: &str, value: &DeValue<'_>) -> Option<Result<(), String>> {
                match (section, key) {
                    $($((stringify!($section), stringify!($key)) => {
                        Some($read(value).map(|value| self.$section.$key = value))
                    })*)*
                    _ => None,
                }
            }

            /// All of it as TOML that [`Config::load`] reads back.
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
    /// Chat clients.
    chat: Chat {
        /// Where chat clients connect. Port 0 takes a free one, which the log names.
        listen: SocketAddr = loopback(6000), address;
        /// Who is believed when it says, by the PROXY protocol, whose connection it passes on.
        proxies: Vec<IpNet> = Vec::new(), networks;
    }
    /// Browsers and operators.
    http: Http {
        /// Reserved for HTTP and WebSocket; this version does not open it.
        listen: SocketAddr = loopback(6080), address;
    }
    /// What must not be lost.
    storage: Storage {
        /// The database.
        url: StorageUrl = StorageUrl::Sqlite("data/chat.db".into()), storage_url;
        /// A file that holds the password which a `mysql:` URL does not.
        password_file: Option<PathBuf> = None, file;
        /// Whether a database server is good enough that may lose, when its machine fails, what it said was stored.
        accept_weak_durability: bool = false, boolean;
    }
    /// Clients of the muduo cluster chat servers.
    legacy: Legacy {
        /// What they number their messages: login, login answer, logout, register, register answer, one chat, add friend,
        /// create group, add group, group chat.
        msgids: MsgIds = MsgIds::default(), msgids;
        /// Bytes of the longest object that they are sent, its NUL included: what they take from their socket at once.
        object_bytes: usize = Style::default().object_bytes,
            integer(Style::OBJECT_BYTES_MIN..=Style::OBJECT_BYTES_MAX);
        /// Milliseconds between two objects to one connection at least; 0: none.
        pace_ms: u32 = PACE.as_millis() as u32, integer(0..=1_000);
    }
    /// Other nodes.
    cluster: Cluster {
        /// Where Redis is, which joins the nodes over one database; none: this node is alone.
        redis: Option<RedisUrl> = None, RedisUrl::read;
        /// A file that holds the password which Redis asks for.
        password_file: Option<PathBuf> = None, file;
        /// The name of this node; empty: made from where its clients connect.
        node: String = String::new(), name;
        /// Where clients of other nodes are sent to connect here, `host:port`; empty: where this node listens.
        advertise: String = String::new(), host_and_port;
    }
    /// Who is logged in.
    session: Session {
        /// What a second login of an account does to the first.
        conflict: Conflict = Conflict::Kick, choice;
        /// Seconds for which a session outlives its connection.
        grace: u32 = 300, integer(0..=86_400);
    }
    /// Friends.
    contacts: Contacts {
        /// Whether a friendship waits for the other one's consent; this version refuses `true`.
        approval: bool = false, approval;
    }
    /// What clients may use up.
    limits: Limits {
        /// Bytes of a frame's value that a client may send; before login at most 8,192 in any case. Below 204,800 the
        /// longest messages may not fit where each character must be escaped.
        frame_bytes: usize = FRAME_BYTES, integer(1_024..=FRAME_BYTES);
        /// Clients connected at once, on all threads together; each takes a file descriptor.
        connections: usize = 18_000, integer(1..=1_000_000);
        /// Messages that an account may send each second, in bursts of up to ten seconds' worth; 0: any number.
        messages_per_second: u32 = 100, integer(0..=1_000_000);
    }
    /// How passwords are hashed (Argon2id, one lane, RFC 9106). Hashes that exist keep the cost they were made with.
    password: Password {
        /// Memory of one hash, KiB. The least is what Argon2 needs, the default what OWASP's Password Storage Cheat
        /// Sheet asks for with two iterations.
        memory_kib: u32 = 19_456, integer(argon2::Params::MIN_M_COST..=4_194_304);
        /// Passes over that memory.
        iterations: u32 = 2, integer(argon2::Params::MIN_T_COST..=1_000);
    }
    /// What the server says about itself.
    log: Log {
        /// The least severe lines that are written.
        level: LevelFilter = LevelFilter::Info, choice;
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn approval(value: &DeValue<'_>) -> Result<bool, String> {
    if boolean(value)? {
        return Err(
            "cannot be true: the application flow, where the other one is asked first, is not in this version".to_owned()
        );
    }
    Ok(false)
}
