//! Reading values from TOML and writing them back. An error is the end of a sentence that starts with "`section.key` ".

use http::Origin;
use ipnet::IpNet;
use log::LevelFilter;
use logic::Conflict;
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use storage::StorageUrl;
use tls::TlsRequired;
use toml::de::DeValue;
use wire::legacy::MsgIds;

pub(super) fn storage_url(value: &DeValue<'_>) -> Result<StorageUrl, String> {
    StorageUrl::parse(string(value)?)
}

/// A value that is one of several words.
pub(super) trait Choice: Copy + PartialEq + 'static {
    /// Every word and its value.
    const WORDS: &'static [(&'static str, Self)];
}

impl Choice for Conflict {
    const WORDS: &'static [(&'static str, Conflict)] = &[
        ("kind", Conflict::Kind),
        ("kick", Conflict::Kick),
        ("reject", Conflict::Reject),
        ("multi", Conflict::Multi),
    ];
}

impl Choice for TlsRequired {
    const WORDS: &'static [(&'static str, TlsRequired)] =
        &[("remote", TlsRequired::Remote), ("always", TlsRequired::Always), ("never", TlsRequired::Never)];
}

impl Choice for LevelFilter {
    const WORDS: &'static [(&'static str, LevelFilter)] = &[
        ("off", LevelFilter::Off),
        ("error", LevelFilter::Error),
        ("warn", LevelFilter::Warn),
        ("info", LevelFilter::Info),
        ("debug", LevelFilter::Debug),
        ("trace", LevelFilter::Trace),
    ];
}

pub(super) fn choice<T: Choice>(value: &DeValue<'_>) -> Result<T, String> {
    let word = string(value)?;
    T::WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<_> = T::WORDS.iter().map(|(word, _)| format!("`{word}`")).collect();
        format!("must be one of {}, not `{word}`", known.join(", "))
    })
}

/// Reads `IP:PORT`, with an IPv6 address in brackets.
pub(super) fn address(value: &DeValue<'_>) -> Result<SocketAddr, String> {
    let text = string(value)?;
    text.parse().map_err(|_| {
        format!("must be an IP address and a port, like `127.0.0.1:6000` or `[::1]:6000`, not `{text}`")
    })
}

/// The same, or an empty string.
pub(super) fn address_or_none(value: &DeValue<'_>) -> Result<Option<SocketAddr>, String> {
    match string(value)? {
        "" => Ok(None),
        _ => address(value).map(Some),
    }
}

/// The beginning of a URL of a Redis that speaks TLS.
const SECURE: &str = "rediss://";

/// `redis://host:port`, or `rediss://` with TLS, with or without `user@` before the host and `/database` after the port;
/// without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUrl(pub String);

impl RedisUrl {
    /// Whether connections are encrypted.
    pub fn has_tls(&self) -> bool {
        self.0.starts_with(SECURE)
    }

    pub(super) fn read(value: &DeValue<'_>) -> Result<Option<RedisUrl>, String> {
        const FORM: &str = "must have the form `redis://host:port` or `redis://user@host:port/database` (`rediss://` \
                            with TLS), with one host";
        let url = string(value)?;
        if url.is_empty() {
            return Ok(None);
        }
        let rest = url.strip_prefix("redis://").or_else(|| url.strip_prefix(SECURE)).ok_or(FORM)?;
        let (user, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        if user.contains(':') {
            return Err(
                "must not contain a password: put the password into the file that `cluster.password_file` names"
                    .to_owned(),
            );
        }
        let (server, database) = rest.split_once('/').unwrap_or((rest, ""));
        let is_database = database.is_empty() || database.parse::<u8>().is_ok();
        if !is_database || !is_host_and_port(server) {
            return Err(FORM.to_owned());
        }
        Ok(Some(RedisUrl(url.to_owned())))
    }
}

/// Whether the text is one host and its port.
fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.contains(':') && storage::is_host(host),
        };
        is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// Reads `host:port` or an empty string.
pub(super) fn host_and_port(value: &DeValue<'_>) -> Result<String, String> {
    let text = string(value)?;
    if text.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_unspecified()) {
        return Err(format!(
            "must be an address that clients can reach, like `chat.example:6000`, not `{text}`"
        ));
    }
    if text.is_empty() || is_host_and_port(text) {
        return Ok(text.to_owned());
    }
    Err(format!("must be a host and a port, like `chat.example:6000`, not `{text}`"))
}

/// Reads the origin of a URL, or an empty string.
pub(super) fn origin_or_none(value: &DeValue<'_>) -> Result<Option<Origin>, String> {
    match string(value)? {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|form| format!("{form}, not `{text}`")),
    }
}

pub(super) fn origins(value: &DeValue<'_>) -> Result<Vec<Origin>, String> {
    let wrong = || "must be a list of origins, like `[\"https://chat.example\"]`".to_owned();
    let list = value.as_array().ok_or_else(wrong)?;
    list.iter()
        .map(|item| item.get_ref().as_str().and_then(|text| text.parse().ok()).ok_or_else(wrong))
        .collect()
}

/// Reads the name of a node or an empty string.
pub(super) fn name(value: &DeValue<'_>) -> Result<String, String> {
    const NAME_MAX: usize = 64;
    let text = string(value)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.len() <= NAME_MAX && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(format!("must be at most {NAME_MAX} letters, digits, `-`, `_` and `.`, not `{text}`"))
}

/// Reads a path; an empty string is none.
pub(super) fn file(value: &DeValue<'_>) -> Result<Option<PathBuf>, String> {
    let path = string(value)?;
    Ok((!path.is_empty()).then(|| PathBuf::from(path)))
}

pub(super) fn networks(value: &DeValue<'_>) -> Result<Vec<IpNet>, String> {
    let wrong =
        || "must be a list of IP addresses and networks, like `[\"10.0.0.2\", \"fd00::/8\"]`".to_owned();
    let network = |text: &str| match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address)),
        Err(_) => text.parse().ok(),
    };
    let list = value.as_array().ok_or_else(wrong)?;
    list.iter().map(|item| item.get_ref().as_str().and_then(network).ok_or_else(wrong)).collect()
}

pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("must be true or false, not {}", kind(value)))
}

/// Reads an integer in a range.
pub(super) fn integer<T>(range: RangeInclusive<T>) -> impl Fn(&DeValue<'_>) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + fmt::Display,
{
    move |value| {
        let DeValue::Integer(integer) = value else {
            return Err(format!("must be an integer, not {}", kind(value)));
        };
        i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|integer| T::try_from(integer).ok())
            .filter(|integer| range.contains(integer))
            .ok_or_else(|| format!("must be from {} to {}, not {integer}", range.start(), range.end()))
    }
}

pub(super) fn msgids(value: &DeValue<'_>) -> Result<MsgIds, String> {
    let wrong = || {
        let count = MsgIds::COUNT;
        format!(
            "must be {count} different 32-bit integers: the numbers of login, login answer, logout, register, \
             register answer, one chat, add friend, create group, add group and group chat"
        )
    };
    let list = value.as_array().ok_or_else(wrong)?;
    let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
    let ids = list.iter().map(|id| integer(range.clone())(id.get_ref())).collect::<Result<Vec<_>, _>>();
    let ids: [i64; MsgIds::COUNT] = ids.map_err(|_| wrong())?.try_into().map_err(|_| wrong())?;
    let distinct: BTreeSet<i64> = ids.into_iter().collect();
    if distinct.len() < ids.len() { Err(wrong()) } else { Ok(MsgIds::from_array(ids)) }
}

fn string<'a>(value: &'a DeValue<'_>) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("must be a string, not {}", kind(value)))
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// A value written as TOML.
pub(super) trait Literal {
    fn literal(&self) -> String;
}

impl Literal for bool {
    fn literal(&self) -> String {
        self.to_string()
    }
}

impl Literal for u32 {
    fn literal(&self) -> String {
        self.to_string()
    }
}

impl Literal for usize {
    fn literal(&self) -> String {
        self.to_string()
    }
}

impl Literal for MsgIds {
    fn literal(&self) -> String {
        format!("{:?}", self.to_array())
    }
}

impl Literal for Vec<IpNet> {
    fn literal(&self) -> String {
        let networks: Vec<_> = self.iter().map(|network| quoted(network.to_string())).collect();
        format!("[{}]", networks.join(", "))
    }
}

impl Literal for SocketAddr {
    fn literal(&self) -> String {
        quoted(self.to_string())
    }
}

impl Literal for Option<SocketAddr> {
    fn literal(&self) -> String {
        quoted(self.map_or_else(String::new, |address| address.to_string()))
    }
}

impl Literal for Option<Origin> {
    fn literal(&self) -> String {
        quoted(self.as_ref().map_or_else(String::new, Origin::to_string))
    }
}

impl Literal for Vec<Origin> {
    fn literal(&self) -> String {
        let origins: Vec<_> = self.iter().map(|origin| quoted(origin.to_string())).collect();
        format!("[{}]", origins.join(", "))
    }
}

impl Literal for Option<PathBuf> {
    fn literal(&self) -> String {
        quoted(self.as_ref().map_or_else(String::new, |path| path.display().to_string()))
    }
}

impl Literal for String {
    fn literal(&self) -> String {
        quoted(self.clone())
    }
}

impl Literal for Option<RedisUrl> {
    fn literal(&self) -> String {
        quoted(self.as_ref().map_or_else(String::new, |url| url.0.clone()))
    }
}

impl Literal for StorageUrl {
    fn literal(&self) -> String {
        quoted(self.to_string())
    }
}

impl<T: Choice> Literal for T {
    fn literal(&self) -> String {
        let word = T::WORDS.iter().find(|(_, value)| value == self).map(|(word, _)| *word);
        quoted(word.expect("every value has its word").to_owned())
    }
}

fn quoted(text: String) -> String {
    toml::Value::String(text).to_string()
}
