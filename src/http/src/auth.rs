//! Who sends a request to `/api` or `/ws`, and whether the page that it comes from may.

use crate::fields::Fields;
use crate::settings::Settings;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wire::UnixMillis;

const COOKIE: &str = "chat_session";
/// A browser accepts a cookie of this name only over TLS, from this host, and for all paths (RFC 6265bis, 4.1.3.2).
const SECURE_COOKIE: &str = "__Host-chat_session";

/// What a request shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub token: Box<str>,
    /// A browser adds it by itself, whoever made the page.
    pub is_cookie: bool,
}

/// The credentials of a request; those in `Authorization` count before the cookie.
pub(crate) fn credentials(fields: &Fields, is_secure: bool) -> Option<Credentials> {
    if let Some(token) = fields.authorization.as_deref().and_then(bearer) {
        return Some(Credentials { token: token.into(), is_cookie: false });
    }
    session_cookie(fields, is_secure).map(|token| Credentials { token, is_cookie: true })
}

/// The token in the session cookie.
pub(crate) fn session_cookie(fields: &Fields, is_secure: bool) -> Option<Box<str>> {
    let name = cookie_name(is_secure);
    let mut cookies = fields.cookies.split(';').filter_map(|cookie| cookie.trim().split_once('='));
    cookies.find(|(found, token)| *found == name && !token.is_empty()).map(|(_, token)| token.into())
}

/// The token of `Bearer TOKEN` (RFC 6750, 2.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim_start();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Whether the request comes from a page of this server, or of one that the operator trusts.
pub(crate) fn is_same_site(fields: &Fields, host: &str, settings: &Settings, is_secure: bool) -> bool {
    match &fields.origin {
        Some(origin) => admits(settings, origin, host, is_secure),
        None => fields.fetch_site.as_deref() == Some("same-origin"),
    }
}

/// Whether the request comes from a page that is neither.
pub(crate) fn is_foreign(fields: &Fields, host: &str, settings: &Settings, is_secure: bool) -> bool {
    fields.origin.as_ref().is_some_and(|origin| !admits(settings, origin, host, is_secure))
}

/// Over TLS, a page that came without it may be anybody's on the way, unless the operator has named it.
fn admits(settings: &Settings, origin: &str, host: &str, is_secure: bool) -> bool {
    let matches_host = !is_secure || origin.starts_with("https:");
    settings.admits(origin, if matches_host { host } else { "" })
}

fn cookie_name(is_secure: bool) -> &'static str {
    if is_secure { SECURE_COOKIE } else { COOKIE }
}

/// The value of `Set-Cookie` for a token that expires then.
pub(crate) fn cookie(token: &str, expires: UnixMillis, is_secure: bool) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_millis(expires.0).saturating_sub(now);
    format!("{}={token}; {}", cookie_name(is_secure), attributes(left.as_secs(), is_secure))
}

/// The value of `Set-Cookie` that deletes it.
pub(crate) fn no_cookie(is_secure: bool) -> String {
    format!("{}=; {}", cookie_name(is_secure), attributes(0, is_secure))
}

fn attributes(seconds: u64, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    format!("Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Limits;

    fn settings(url: Option<&str>) -> Settings {
        let url = url.map(|url| url.parse().unwrap());
        Settings { url, ..Settings::plain(Limits { connections: 1, per_address: 1 }) }
    }

    #[test]
    fn a_bearer_counts_before_the_cookie_and_the_name_says_whether_it_was_sent_over_tls() {
        let found = |authorization: Option<&str>, cookies: &str, is_secure| {
            let authorization = authorization.map(str::to_owned);
            let fields = Fields { authorization, cookies: cookies.to_owned(), ..Fields::default() };
            credentials(&fields, is_secure).map(|found| (found.token.to_string(), found.is_cookie))
        };
        let by = |token: &str, is_cookie| Some((token.to_owned(), is_cookie));
        assert_eq!(found(Some("Bearer t"), "chat_session=c", false), by("t", false));
        assert_eq!(found(Some("bearer  t"), "", false), by("t", false));
        assert_eq!(found(Some("Basic x"), "a=b; chat_session=c; d", false), by("c", true));
        assert_eq!(found(None, "chat_session=c", true), None);
        assert_eq!(found(None, "chat_session=x; __Host-chat_session=c", true), by("c", true));
        assert_eq!(found(None, "__Host-chat_session=c", false), None);
        for (authorization, cookies) in [(None, ""), (Some("Bearer"), ""), (Some("Bearer "), "chat_session=")]
        {
            assert_eq!(found(authorization, cookies, false), None);
        }
    }

    #[test]
    fn an_origin_matches_by_host_and_port() {
        for (origin, host, url, is_own) in [
            ("http://chat.example", "10.0.0.1:6080", Some("http://chat.example"), true),
            ("http://chat.example", "chat.example", None, true),
            ("http://chat.example", "chat.example:80", None, true),
            ("https://chat.example", "chat.example", None, true),
            ("https://chat.example", "Chat.Example:443", None, true),
            ("http://127.0.0.1:6080", "127.0.0.1:6080", None, true),
            ("http://127.0.0.1:6081", "127.0.0.1:6080", None, false),
            ("https://chat.example", "chat.example:80", None, false),
            ("https://evil.example", "chat.example", None, false),
            ("https://chat.example.evil.example", "chat.example", None, false),
            ("null", "chat.example", None, false),
            ("", "", None, false),
            ("https://chat.example", "10.0.0.1:6080", Some("https://chat.example"), true),
            ("http://chat.example", "10.0.0.1:6080", Some("https://chat.example"), false),
        ] {
            let fields = Fields { origin: Some(origin.to_owned()), ..Fields::default() };
            for is_secure in [false, true] {
                // Host alone says nothing about who made a page that came without TLS.
                let is_own = is_own && !(is_secure && url.is_none() && origin.starts_with("http:"));
                let settings = settings(url);
                assert_eq!(is_same_site(&fields, host, &settings, is_secure), is_own, "{origin} {host}");
                assert_eq!(is_foreign(&fields, host, &settings, is_secure), !is_own, "{origin} {host}");
            }
        }
        let fetched = |site: Option<&str>| {
            let fields = Fields { fetch_site: site.map(str::to_owned), ..Fields::default() };
            let settings = settings(None);
            (is_same_site(&fields, "h", &settings, true), is_foreign(&fields, "h", &settings, true))
        };
        assert_eq!(fetched(Some("same-origin")), (true, false));
        for site in [None, Some("none"), Some("same-site"), Some("cross-site")] {
            assert_eq!(fetched(site), (false, false));
        }
    }

    #[test]
    fn a_cookie_lives_as_long_as_its_token() {
        assert_eq!(
            cookie("t", UnixMillis(0), false),
            "chat_session=t; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            no_cookie(true),
            "__Host-chat_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"
        );
        let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3_600);
        let cookie = cookie("t", UnixMillis(hour.as_millis() as u64), true);
        assert!(cookie.contains("Max-Age=3600;") || cookie.contains("Max-Age=3599;"), "{cookie}");
    }
}
