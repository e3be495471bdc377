//! The column `user.networks`: the networks that an account logged in from last, the newest first. For each its length
//! and its bytes.

use logic::Network;
use logic::contract::account::NETWORKS_MAX;

/// Whether a network is listed.
pub fn contain(column: &[u8], network: Network) -> bool {
    entries(column).any(|entry| *entry == *network.bytes())
}

/// The column after a login from a network; `None` if that is in the newer half already, so that reconnecting writes
/// nothing.
pub fn with(column: &[u8], network: Network) -> Option<Vec<u8>> {
    let newest = network.bytes();
    if entries(column).take(NETWORKS_MAX / 2).any(|entry| *entry == *newest) {
        return None;
    }
    let others = entries(column).filter(|entry| **entry != *newest);
    let mut list = Vec::with_capacity(NETWORKS_MAX * 9);
    for entry in std::iter::once(&*newest).chain(others).take(NETWORKS_MAX) {
        list.push(entry.len() as u8);
        list.extend_from_slice(entry);
    }
    Some(list)
}

/// The bytes of each network. A damaged rest is ignored: those networks become unfamiliar.
fn entries(column: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = column;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first()?;
        let (entry, after) = after.split_at_checked(usize::from(*length))?;
        rest = after;
        Some(entry)
    })
    .filter(|entry| Network::from_bytes(entry).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: u16) -> Network {
        match n % 2 {
            0 => Network::of(std::net::Ipv4Addr::from_bits(n.into()).into()),
            _ => Network::of(std::net::Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, 1).into()),
        }
    }

    #[test]
    fn the_last_eight_are_kept() {
        let mut column = Vec::new();
        for n in 0..20 {
            column = with(&column, network(n)).unwrap();
            assert_eq!(with(&column, network(n)), None);
        }
        let kept: Vec<_> = (0..30).filter(|n| contain(&column, network(*n))).collect();
        assert_eq!(kept, (12..20).collect::<Vec<_>>());
        assert!(column.len() <= NETWORKS_MAX * 9);
    }

    #[test]
    fn a_network_that_is_used_again_is_kept() {
        let mut column = with(&[], network(0)).unwrap();
        for n in 1..100 {
            column = with(&column, network(n)).unwrap();
            column = with(&column, network(0)).unwrap_or(column);
            assert!(contain(&column, network(0)));
        }
    }

    #[test]
    fn a_damaged_column_is_read_as_far_as_it_goes() {
        let column = with(&with(&[], network(1)).unwrap(), network(2)).unwrap();
        for cut in 0..column.len() {
            assert_eq!(contain(&column[..cut], network(2)), cut >= 5);
            assert!(!contain(&column[..cut], network(1)));
        }
        assert_eq!(with(&[200, 1, 2], network(2)).unwrap(), with(&[], network(2)).unwrap());
    }
}
