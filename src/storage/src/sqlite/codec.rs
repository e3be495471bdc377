//! The encoding of messages, in the journal and in the pages of the monthly tables.
//!
//! ```text
//!   journal batch   version, then per message: conversation, seq, ENTRY
//!   page            version, checksum, then per message: ENTRY  (conversation and seq follow from the page's key)
//!   ENTRY           flags u8, cid length u8, cid, sender, time, [type length u8, type], content length, content,
//!                   [references length, references]
//!                   (type and content of an entry that is no message, and the references of a message: see
//!                   `column::Texts`)
//! ```
//!
//! Numbers without a width are LEB128. The bytes come from a disk, so every decoder returns errors. The checksum of a
//! page (CRC-32) covers its key, so that a page is never taken for another one; pages of earlier versions have none. A
//! batch has that of its journal record.

use crate::calendar::TIME_MAX;
use crate::column::Sort;
use crate::error::StoreError;
use crate::unread::Header;
use wire::message::TEXT;
use wire::{ConversationKind, Mentions, References, UnixMillis, UserId};

/// The first byte of every batch, and of pages without a checksum.
pub const VERSION: u8 = 1;

/// The first byte of pages with a checksum.
const SUMMED: u8 = 2;

/// The bytes before the contents of a page.
pub const PAGE_HEADER: usize = 5;

/// Begins a page in an empty buffer: room for its header.
pub fn begin_page(page: &mut Vec<u8>) {
    page.clear();
    page.resize(PAGE_HEADER, 0);
}

/// Completes a page: writes its header. `key` is the key of its row.
pub fn end_page(page: &mut [u8], key: &[&[u8]]) {
    let sum = checksum(key, &page[PAGE_HEADER..]);
    page[0] = SUMMED;
    page[1..PAGE_HEADER].copy_from_slice(&sum.to_le_bytes());
}

/// The contents of a stored page, if they are as they were written. `key` is the key of its row.
pub fn open_page<'a>(stored: &'a [u8], key: &[&[u8]]) -> Result<Bytes<'a>, Damaged> {
    match stored.split_first_chunk::<PAGE_HEADER>() {
        Some(([SUMMED, sum @ ..], contents)) => {
            if u32::from_le_bytes(*sum) != checksum(key, contents) {
                return Err(Damaged("the checksum of the page is wrong"));
            }
            Ok(Bytes { rest: contents })
        }
        _ => Bytes::open(stored),
    }
}

fn checksum(key: &[&[u8]], contents: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    key.iter().for_each(|part| sum.update(part));
    sum.update(contents);
    sum.finalize()
}

/// The type is not [`TEXT`] and is written out.
const TYPED: u8 = 1;
/// The conversation is a group.
const GROUP: u8 = 2;
/// It is a system entry, not a message.
const SYSTEM: u8 = 4;
/// It is a message that refers to an entry or to members.
const REFERS: u8 = 16;
/// It tells of a change, and is no message.
const CHANGE: u8 = 8;

/// Stored bytes that do not decode.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored messages are damaged: {0}")]
pub struct Damaged(pub &'static str);

impl From<Damaged> for StoreError {
    fn from(damaged: Damaged) -> StoreError {
        StoreError::Fault(damaged.to_string())
    }
}

/// A message without conversation and seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The sender's idempotency key, or the server's own.
    pub cid: &'a str,
    pub sender: UserId,
    pub time: UnixMillis,
    pub kind: ConversationKind,
    pub sort: Sort,
    pub content_type: &'a str,
    pub content: &'a str,
    /// What a message refers to, as JSON; `None` in nearly all.
    pub references: Option<&'a str>,
}

impl Entry<'_> {
    /// What a count of unread messages needs. Damaged references mention nobody.
    pub fn header(&self) -> Header {
        let references = self.references.and_then(References::from_json);
        Header {
            sender: (self.sort == Sort::Message).then_some(self.sender),
            mentions: references.map(|references| references.mentions).unwrap_or_default(),
        }
    }
}

/// Encodes an entry.
pub fn put_entry(out: &mut Vec<u8>, entry: &Entry<'_>) {
    let typed = entry.content_type != TEXT;
    let flags = if typed { TYPED } else { 0 }
        | if entry.kind == ConversationKind::Group { GROUP } else { 0 }
        | match entry.sort {
            Sort::Message => 0,
            Sort::System => SYSTEM,
            Sort::Change => CHANGE,
        }
        | if entry.references.is_some() { REFERS } else { 0 };
    out.push(flags);
    put_short(out, entry.cid);
    put_number(out, u64::from(entry.sender.0));
    put_number(out, entry.time.0);
    if typed {
        put_short(out, entry.content_type);
    }
    put_long(out, entry.content);
    if let Some(references) = entry.references {
        put_long(out, references);
    }
}

/// Encodes a text of any length.
fn put_long(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Encodes a text of at most 255 bytes; the protocol's limits of `cid` and `type` are lower.
fn put_short(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).expect("cid and type are at most 64 bytes"));
    out.extend_from_slice(text.as_bytes());
}

/// Encodes a number, seven bits a byte, the lowest first.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The `cid` of an encoded entry, without decoding the rest.
pub fn cid_of(entry: &[u8]) -> &[u8] {
    &entry[2..2 + usize::from(entry[1])]
}

/// Whether an encoded entry is a message.
pub fn is_message(entry: &[u8]) -> bool {
    entry[0] & (SYSTEM | CHANGE) == 0
}

/// Whether the conversation of an encoded entry is a group.
pub fn is_of_group(entry: &[u8]) -> bool {
    entry[0] & GROUP != 0
}

/// What a count of unread messages needs of an encoded entry. Damaged references mention nobody.
pub fn header_of(entry: &[u8]) -> Result<Header, Damaged> {
    if !is_message(entry) {
        return Ok(Header::default());
    }
    if entry[0] & REFERS != 0 {
        return Ok(Bytes::entry_of(entry)?.header());
    }
    let mut read = Bytes { rest: &entry[1..] };
    read.short_bytes()?;
    let sender = u32::try_from(read.number()?).map_err(|_| Damaged("sender out of range"))?;
    Ok(Header { sender: Some(UserId(sender)), mentions: Mentions::Nobody })
}

/// The time of an encoded entry.
pub fn time_of(entry: &[u8]) -> Result<UnixMillis, Damaged> {
    let mut read = Bytes { rest: &entry[1..] };
    read.short_bytes()?;
    read.number()?;
    Ok(UnixMillis(read.number()?))
}

/// A decoder of stored bytes.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    /// Checks and skips the version byte.
    pub fn open(stored: &'a [u8]) -> Result<Bytes<'a>, Damaged> {
        match stored.split_first() {
            Some((&VERSION, rest)) => Ok(Bytes { rest }),
            Some(_) => Err(Damaged("unknown version")),
            None => Err(Damaged("empty")),
        }
    }

    /// Decodes a single entry.
    pub fn entry_of(stored: &'a [u8]) -> Result<Entry<'a>, Damaged> {
        Bytes { rest: stored }.entry()
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn entry(&mut self) -> Result<Entry<'a>, Damaged> {
        let flags = self.byte()?;
        if flags & !(TYPED | GROUP | SYSTEM | CHANGE | REFERS) != 0 {
            return Err(Damaged("unknown flags"));
        }
        let cid = self.short()?;
        let sender = self.number()?;
        let sender = UserId(u32::try_from(sender).map_err(|_| Damaged("sender out of range"))?);
        let time = match self.number()? {
            time if time <= TIME_MAX.0 => UnixMillis(time),
            _ => return Err(Damaged("time out of range")),
        };
        let content_type = if flags & TYPED == 0 { TEXT } else { self.short()? };
        let content = self.long()?;
        let references = if flags & REFERS == 0 { None } else { Some(self.long()?) };
        let kind = if flags & GROUP == 0 { ConversationKind::Direct } else { ConversationKind::Group };
        let sort = match flags & (SYSTEM | CHANGE) {
            0 => Sort::Message,
            SYSTEM => Sort::System,
            CHANGE => Sort::Change,
            _ => return Err(Damaged("unknown flags")),
        };
        Ok(Entry { cid, sender, time, kind, sort, content_type, content, references })
    }

    pub fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged("number too long"))
    }

    /// Bytes with a one-byte length before them.
    pub fn short_bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let length = usize::from(self.byte()?);
        self.take(length)
    }

    fn short(&mut self) -> Result<&'a str, Damaged> {
        let length = usize::from(self.byte()?);
        self.text(length)
    }

    fn long(&mut self) -> Result<&'a str, Damaged> {
        let length = usize::try_from(self.number()?).map_err(|_| Damaged("text too long"))?;
        self.text(length)
    }

    fn text(&mut self, length: usize) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.take(length)?).map_err(|_| Damaged("text is not UTF-8"))
    }

    fn byte(&mut self) -> Result<u8, Damaged> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Damaged("cut short"))?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Fields = (String, u32, u64, (bool, Sort), String, (String, Option<String>));

    fn fields() -> impl Strategy<Value = Fields> {
        let types = prop_oneof![Just(TEXT.to_owned()), "[a-z]{1,32}"];
        let sort = prop_oneof![Just(Sort::Message), Just(Sort::System), Just(Sort::Change)];
        let texts = (".{0,200}", prop::option::of(".{0,200}"));
        (".{0,16}", any::<u32>(), 0..=TIME_MAX.0, (any::<bool>(), sort), types, texts)
    }

    fn entry((cid, sender, time, (group, sort), content_type, texts): &Fields) -> Entry<'_> {
        let (content, references) = (&*texts.0, texts.1.as_deref());
        let kind = if *group { ConversationKind::Group } else { ConversationKind::Direct };
        let (sender, time, sort) = (UserId(*sender), UnixMillis(*time), *sort);
        Entry { cid, sender, time, kind, sort, content_type, content, references }
    }

    proptest! {
        #[test]
        fn entries_are_decoded_as_encoded(all in prop::collection::vec((any::<u64>(), fields()), 0..8)) {
            let mut out = vec![VERSION];
            for (number, fields) in &all {
                put_number(&mut out, *number);
                let start = out.len();
                put_entry(&mut out, &entry(fields));
                prop_assert_eq!(cid_of(&out[start..]), fields.0.as_bytes());
                prop_assert_eq!(time_of(&out[start..]).unwrap(), UnixMillis(fields.2));
                prop_assert_eq!(is_message(&out[start..]), fields.3.1 == Sort::Message);
                prop_assert_eq!(is_of_group(&out[start..]), fields.3.0);
                prop_assert_eq!(header_of(&out[start..]).unwrap(), entry(fields).header());
            }
            let mut bytes = Bytes::open(&out).unwrap();
            for (number, fields) in &all {
                prop_assert_eq!(bytes.number().unwrap(), *number);
                prop_assert_eq!(bytes.entry().unwrap(), entry(fields));
            }
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn damaged_bytes_are_an_error_and_never_a_panic(
            mut stored in prop::collection::vec(any::<u8>(), 0..80),
            good in fields(),
            at in any::<prop::sample::Index>(),
            with in any::<u8>(),
        ) {
            let read = |stored: &[u8]| -> Result<(), Damaged> {
                let mut bytes = Bytes::open(stored)?;
                while !bytes.is_empty() {
                    bytes.number()?;
                    bytes.entry()?;
                }
                Ok(())
            };
            let _ = read(&stored);
            stored.clear();
            stored.push(VERSION);
            put_number(&mut stored, 7);
            put_entry(&mut stored, &entry(&good));
            let whole = stored.len();
            for cut in 2..whole {
                prop_assert!(read(&stored[..cut]).is_err());
            }
            let at = at.index(whole);
            stored[at] = with;
            let _ = read(&stored);
        }
    }
}
