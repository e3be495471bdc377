//! Identifiers of messages and changes: given by their senders, or by the server where they gave none.

use crate::fields::sized_option;
use crate::limits;

/// Checks a `cid`. One that begins with U+0000 must be the server's own ([`server_cid`]), given back for a retry.
pub(crate) fn check_cid(cid: Option<Box<str>>) -> Result<Option<Box<str>>, String> {
    let cid = sized_option("cid", cid, 1, limits::CID_BYTES)?;
    match cid.as_deref().and_then(|cid| cid.strip_prefix('\0')) {
        Some(rest) if rest.len() != 32 || !rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
            Err("`cid` must not begin with U+0000".to_owned())
        }
        _ => Ok(cid),
    }
}

/// The `cid` that the server gives to a message that came without one: U+0000 and 32 hexadecimal digits.
///
/// `boot` must differ between any two runs of any node, `count` between any two messages of one run.
pub fn server_cid(boot: u64, count: u64) -> Box<str> {
    format!("\0{boot:016x}{count:016x}").into_boxed_str()
}

/// Whether the server made this `cid`.
pub fn is_server_cid(cid: &str) -> bool {
    cid.starts_with('\0')
}
