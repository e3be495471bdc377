//! `mysql://user:password@host:port/name`: the address of a database server and its credentials.
//!
//! The password is never shown: neither by `Debug` nor by `Display` nor in an error text.

use std::fmt;
use std::net::IpAddr;

const PORT: u16 = 3306;
/// The longest database name that MySQL accepts, characters.
const NAME_MAX: usize = 64;

/// A database of a MySQL or MariaDB server.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    pub user: String,
    /// `None`: the URL names none.
    pub password: Option<String>,
    /// A name or an IP address.
    pub host: String,
    pub port: u16,
    /// The database on that server.
    pub name: String,
}

impl Database {
    /// Parses what follows `mysql://`. An error reads as a predicate of the configuration key.
    pub(crate) fn read(rest: &str) -> Result<Database, String> {
        const FORM: &str = "must have the form `mysql://user:password@host:port/database`";
        let (server, name) = rest.split_once('/').ok_or(FORM)?;
        if server.ends_with('@') || name.contains(".sock") || name.contains("socket=") {
            return Err(
                "must name a host and a port: connections through a socket file are not supported".to_owned()
            );
        }
        let (account, address) = server.rsplit_once('@').ok_or(FORM)?;
        let (user, password) = match account.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password).ok_or(FORM)?)),
            None => (account, None),
        };
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| "has a port that is not a number from 0 to 65535")?)
            }
            _ => (address, PORT),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let user = decoded(user).ok_or(FORM)?;
        if user.is_empty() || host.is_empty() {
            return Err(FORM.to_owned());
        }
        if !is_host(host) {
            return Err(format!("must name one host by its name or IP address, not `{host}`"));
        }
        if port == 0 {
            return Err("has the port 0, which no server can have".to_owned());
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(plain) {
            return Err(format!(
                "must end in a database's name: 1 to {NAME_MAX} of letters, digits, `_` and `-`"
            ));
        }
        Ok(Database { user, password, host: host.to_owned(), port, name: name.to_owned() })
    }
}

/// Omits the password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "mysql://{}@{host}:{}/{}", encoded(&self.user), self.port, self.name)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Removes what looks like a URL's password from a text, for error messages about malformed URLs.
pub fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    match (rest.find(':'), rest.rfind('@')) {
        (Some(colon), Some(at)) if colon < at => format!("{scheme}://{}:…{}", &rest[..colon], &rest[at..]),
        _ => text.to_owned(),
    }
}

/// Whether the text has the form of a single host: an IP address, or a name (RFC 1123, 2.1, and underscores, which
/// names of containers may have).
pub fn is_host(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.parse::<IpAddr>().is_ok() || (!text.is_empty() && text.chars().all(plain))
}

/// Undoes percent-encoding (RFC 3986, 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown_without_the_password() {
        let read = |url| Database::read(url).unwrap();
        let whole = read("chat:s%40cr:et%2F@db.example:3307/chat_1");
        assert_eq!((&*whole.user, whole.password.as_deref()), ("chat", Some("s@cr:et/")));
        assert_eq!((&*whole.host, whole.port, &*whole.name), ("db.example", 3307, "chat_1"));
        assert_eq!(whole.to_string(), "mysql://chat@db.example:3307/chat_1");
        assert_eq!(format!("{whole:?}"), whole.to_string());
        let short = read("a%20b@[::1]/chat");
        assert_eq!((short.password.as_deref(), &*short.host, short.port), (None, "::1", 3306));
        assert_eq!(short.to_string(), "mysql://a%20b@[::1]:3306/chat");
        assert_eq!(Database::read(short.to_string().strip_prefix("mysql://").unwrap()).unwrap(), short);
        for bad in
            ["", "host/chat", "u@host", "u@/chat", "@host/chat", "u@host:x/chat", "u@h/a b", "u@h/", "u%@h/c"]
        {
            assert!(Database::read(bad).is_err(), "{bad}");
        }
        for (url, why) in [
            ("chat@one,two/chat", "one host"),
            ("chat@one:3306,two:3306/chat", "one host"),
            ("chat@/run/mysqld/mysqld.sock/chat", "socket file"),
            ("chat@host/chat?socket=/run/mysqld.sock", "socket file"),
            ("chat@host:0/chat", "port 0"),
        ] {
            let error = Database::read(url).unwrap_err();
            assert!(error.contains(why), "{url}: {error}");
        }
        assert_eq!(without_password("mysql://u:geheim@h"), "mysql://u:…@h");
        assert_eq!(without_password("sqlite:x"), "sqlite:x");
    }
}
