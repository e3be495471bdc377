//! Entry points for the fuzz targets.

use crate::transport::proxy_header::{Header, parse};

/// The length of the PROXY header that the bytes begin with; `None`: there is no whole one.
#[must_use]
pub fn proxy_header(bytes: &[u8]) -> Option<usize> {
    match parse(bytes) {
        Ok(Header::Whole { length, .. }) => Some(length),
        _ => None,
    }
}
