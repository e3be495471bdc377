//! Entry points for the fuzz targets: what is decoded from the disk.

use super::codec::{Bytes, Entry, end_page, open_page};
use super::journal::records;
use super::run::Run;
use crate::column::Texts;
use std::collections::BTreeMap;

/// Reads a segment of the journal, and loads its records as a start does.
pub fn journal_segment(bytes: &[u8]) {
    let mut run = Run::default();
    for record in records(bytes) {
        if run.load(record.number, record.payload, &mut BTreeMap::new(), |_, _| 0).is_err() {
            return;
        }
    }
    for slot in run.slots() {
        Bytes::entry_of(run.entry(slot)).expect("a loaded entry was decoded before");
    }
    // Records have checksums, which mutations break: their payload is tried by itself, too.
    let _ = Run::default().load(1, bytes, &mut BTreeMap::new(), |_, _| 0);
}

/// Decodes a page of messages.
pub fn message_page(bytes: &[u8]) {
    let decode = |page: &[u8]| {
        let Ok(mut page) = open_page(page, &[]) else { return };
        while !page.is_empty()
            && let Ok(Entry { sort, content_type, content, references, sender, .. }) = page.entry()
        {
            let _ = Texts { sort, content_type, content, references }.body(sender);
        }
    };
    decode(bytes);
    // Pages have checksums, which mutations break: the contents are tried under a right one, too.
    let mut page = bytes.to_vec();
    if page.len() >= super::codec::PAGE_HEADER {
        end_page(&mut page, &[]);
        decode(&page);
    }
}
