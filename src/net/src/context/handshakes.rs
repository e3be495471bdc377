//! Connections whose TLS handshake can go on.
//!
//! A handshake costs about 0.25 ms of CPU, as much as a hundred messages. Each turn goes on with a few, so that a storm of
//! them delays messages by less than a millisecond, and takes the addresses in turn, so that one address with many does
//! not hold up the others.

use logic::{ConnId, Network};
use std::collections::{HashMap, VecDeque};

/// Handshakes that one turn goes on with.
pub(crate) const PER_TURN: usize = 4;

#[derive(Debug, Default)]
pub(crate) struct HandshakeQueue {
    /// The addresses with connections in the queue, each once.
    networks: VecDeque<Network>,
    waiting: HashMap<Network, VecDeque<ConnId>>,
}

impl HandshakeQueue {
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    pub fn push(&mut self, network: Network, id: ConnId) {
        let waiting = self.waiting.entry(network).or_default();
        if waiting.is_empty() {
            self.networks.push_back(network);
        }
        waiting.push_back(id);
    }

    /// The next connection, which may be gone.
    pub fn pop(&mut self) -> Option<ConnId> {
        let network = self.networks.pop_front()?;
        let waiting = self.waiting.get_mut(&network)?;
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&network);
        } else {
            self.networks.push_back(network);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_take_turns() {
        let network = |ip: &str| Network::of(ip.parse().unwrap());
        let mut queue = HandshakeQueue::default();
        let id = |slot| ConnId::new(0, slot, 1);
        (0..100).for_each(|slot| queue.push(network("192.0.2.1"), id(slot)));
        queue.push(network("192.0.2.2"), id(200));
        queue.push(network("192.0.2.3"), id(300));
        let turn = |queue: &mut HandshakeQueue| (0..4).map_while(|_| queue.pop()).collect::<Vec<_>>();
        assert_eq!(turn(&mut queue), [0, 200, 300, 1].map(id));
        queue.push(network("192.0.2.2"), id(201));
        assert_eq!(turn(&mut queue), [2, 201, 3, 4].map(id));
        let mut left = 0;
        while !queue.is_empty() {
            left += turn(&mut queue).len();
        }
        assert_eq!(left, 95);
        assert!(queue.waiting.is_empty(), "an address without connections takes no memory");
    }
}
