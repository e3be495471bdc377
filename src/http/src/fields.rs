//! The fields of a head that say what a body is, who sends it, and from which page.

use crate::status::Status;
use shiguredo_http11::RequestHead;
use std::fmt;

/// The value of a field that may stand once.
pub(crate) fn one<'a>(head: &'a RequestHead, name: &str) -> Result<Option<&'a str>, Status> {
    let mut values = head.headers().iter().filter(|(known, _)| known == name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|(_, value)| value.as_str())),
        _ => Err(Status::BadRequest),
    }
}

#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pub content_type: Option<String>,
    pub authorization: Option<String>,
    /// All of them, joined by `; ` (RFC 9113, 8.2.3).
    pub cookies: String,
    pub origin: Option<String>,
    /// Sec-Fetch-Site, which no script of a page can set.
    pub fetch_site: Option<String>,
}

impl Fields {
    /// # Errors
    /// If one of them is given twice.
    pub fn of(head: &RequestHead) -> Result<Fields, Status> {
        let field = |name| Ok(one(head, name)?.map(str::to_owned));
        let cookies = head.headers().iter().filter(|(name, _)| name == "Cookie");
        let cookies: Vec<&str> = cookies.map(|(_, value)| value.as_str()).collect();
        Ok(Fields {
            content_type: field("Content-Type")?,
            authorization: field("Authorization")?,
            cookies: cookies.join("; "),
            origin: field("Origin")?,
            fetch_site: field("Sec-Fetch-Site")?,
        })
    }
}

/// Omits what must not reach a log.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fields")
            .field("content_type", &self.content_type)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
