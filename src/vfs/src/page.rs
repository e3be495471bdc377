//! The pages of a database file (sqlite.org/fileformat2.html, 1.6), and what in them belongs to nothing.

#![forbid(unsafe_code)]

use std::ops::Range;

/// The bytes before the header of the first page's B-tree.
const FILE_HEADER: usize = 100;
/// The header of a free block: the place of the next one, and its size.
const BLOCK_HEADER: usize = 4;
/// Bytes that are looked at together.
const BLOCK: usize = 256;
/// Pages by which a file may grow while a checkpoint writes it: more than any log has.
const GROWTH: u64 = 1 << 22;

/// The page with zeros in its free space; `None`: it has them, or is no page of a B-tree. `count` is the number of
/// pages of the file.
pub fn cleared(page: &[u8], is_first: bool, count: impl FnOnce() -> u64) -> Option<Vec<u8>> {
    let free = free_space(page, if is_first { FILE_HEADER } else { 0 })?;
    // In blocks without a branch for each byte, so that it takes vector instructions.
    let is_zero = |block: &[u8]| block.iter().fold(0, |all, byte| all | byte) == 0;
    let is_dirty = |range: &Range<usize>| !page[range.clone()].chunks(BLOCK).all(is_zero);
    if !free.iter().any(is_dirty) || (!is_first && !is_surely_tree(page[0], count())) {
        return None;
    }
    let mut page = page.to_vec();
    free.into_iter().for_each(|range| page[range].fill(0));
    Some(page)
}

/// Whether a page that begins like one of a B-tree is one. Others begin with the number of a page, four bytes with the
/// highest first, which in a file of fewer than 2^25 pages (256 GiB) is never that high. What users write stands in
/// such pages, so their contents prove nothing.
fn is_surely_tree(kind: u8, count: u64) -> bool {
    u64::from(kind) > (count + GROWTH) >> 24
}

/// The unallocated space and the insides of the free blocks; `None`: it does not look like a page of a B-tree. Fragments,
/// of at most three bytes, are left.
fn free_space(page: &[u8], header: usize) -> Option<Vec<Range<usize>>> {
    let number = |at: usize| Some(usize::from(u16::from_be_bytes([*page.get(at)?, *page.get(at + 1)?])));
    let pointers = match page.get(header)? {
        0x0a | 0x0d => header + 8,
        0x02 | 0x05 => header + 12,
        _ => return None,
    };
    let content = match number(header + 5)? {
        0 => 65_536,
        content => content,
    };
    let unallocated = pointers + 2 * number(header + 3)?..content;
    if unallocated.start > content || content > page.len() {
        return None;
    }
    let is_inside =
        |at: usize| number(pointers + 2 * at).is_some_and(|cell| content <= cell && cell < page.len());
    if !(0..number(header + 3)?).all(is_inside) {
        return None;
    }
    let mut free = vec![unallocated];
    let (mut block, mut least) = (number(header + 1)?, content);
    while block != 0 {
        let end = block + number(block + 2)?;
        if block < least || end < block + BLOCK_HEADER || end > page.len() {
            return None;
        }
        free.push(block + BLOCK_HEADER..end);
        (block, least) = (number(block)?, end);
    }
    Some(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A leaf of 64 bytes with a cell at 60, a free block of 8 bytes at 48, a cell at 40 and remains of others.
    fn leaf() -> Vec<u8> {
        let mut page = vec![0xee; 64];
        page[..12].copy_from_slice(&[0x0d, 0, 48, 0, 2, 0, 40, 0, 0, 60, 0, 40]);
        page[48..52].copy_from_slice(&[0, 0, 0, 8]);
        page
    }

    #[test]
    fn only_what_belongs_to_nothing_is_cleared() {
        let page = leaf();
        let clean = cleared(&page, false, || 100).unwrap();
        for (at, (before, after)) in page.iter().zip(&clean).enumerate() {
            let is_free = (12..40).contains(&at) || (52..56).contains(&at);
            assert_eq!(*after, if is_free { 0 } else { *before }, "{at}");
        }
        assert_eq!(cleared(&clean, false, || unreachable!("there is nothing to clear")), None);
    }

    #[test]
    fn what_is_no_page_of_a_tree_is_left() {
        let with = |at: usize, bytes: &[u8]| {
            let mut page = leaf();
            page[at..at + bytes.len()].copy_from_slice(bytes);
            cleared(&page, false, || 100)
        };
        assert!(with(0, &[0x0d]).is_some());
        for (at, bytes) in [
            (0, &[0][..]),
            (0, &[0x0c]),
            // More cells than fit, a cell in the free space, a cell behind the page.
            (3, &[0, 20]),
            (10, &[0, 39]),
            (10, &[0, 64]),
            // The cells begin behind the page.
            (5, &[0, 65]),
            (5, &[0, 0]),
            // A free block outside, one in a circle, too small or too long ones.
            (1, &[0, 39]),
            (48, &[0, 48]),
            (50, &[0, 3]),
            (50, &[0, 17]),
            (48, &[0, 63]),
        ] {
            assert_eq!(with(at, bytes), None, "{bytes:?} at {at}");
        }
        assert_eq!(cleared(&[], false, || 1), None);
        assert_eq!(cleared(&[0x0d; 5], false, || 1), None);
    }

    #[test]
    fn a_page_that_may_begin_with_the_number_of_another_is_left() {
        let page = leaf();
        assert!(cleared(&page, false, || 12 << 24).is_some());
        assert_eq!(cleared(&page, false, || 13 << 24), None);
        assert_eq!(cleared(&page, false, || (13 << 24) - GROWTH), None);
        assert!(cleared(&[vec![1; FILE_HEADER], leaf_at(FILE_HEADER)].concat(), true, || 13 << 24).is_some());
    }

    /// The same page with its header behind `at` other bytes.
    fn leaf_at(at: usize) -> Vec<u8> {
        let mut page = leaf();
        for place in [1, 5, 8, 10] {
            let number = u16::from_be_bytes([page[place], page[place + 1]]) + at as u16;
            page[place..place + 2].copy_from_slice(&number.to_be_bytes());
        }
        page
    }
}
