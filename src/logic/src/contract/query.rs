//! A read as it is issued: what to read, on whose behalf, and until when the answer is wanted.

use super::{Read, Ticket};
use std::net::IpAddr;
use wire::{ConversationId, UserId};

/// A read and what the scheduler in front of the database needs to know about it. Every query is answered.
#[derive(Clone, Debug)]
pub struct Query {
    pub ticket: Ticket,
    pub lane: Lane,
    pub requester: Requester,
    /// When its requester stops waiting, on the monotonic clock of the rules, ms. From then on it is answered
    /// [`super::Found::Unavailable`] without being run. `None`: the answer is wanted whenever it comes.
    pub due: Option<u64>,
    pub read: Read,
}

/// The class of a query. Queries of one class are served before those of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// What delivery depends on: claims, rosters, delivery lines, missed messages, presence.
    System,
    /// Steps of a login.
    Login,
    /// Everything else that clients request.
    Request,
}

/// On whose behalf a query is run. The requesters of a lane share it equally.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Requester {
    /// The node itself.
    Node,
    /// The delivery of a conversation.
    Conversation(ConversationId),
    Account(UserId),
    /// A client that is not logged in.
    Network(Network),
}

/// An IPv4 address, or the /64 network of an IPv6 address: what one party may be expected to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    V4(u32),
    V6(u64),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Network {
        match address.to_canonical() {
            IpAddr::V4(address) => Network::V4(address.to_bits()),
            IpAddr::V6(address) => Network::V6((address.to_bits() >> 64) as u64),
        }
    }
}

// Queries pass through queues by value.
const _: () = assert!(size_of::<Query>() <= 96);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_ipv4_address_or_an_ipv6_prefix() {
        let network = |text: &str| Network::from(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:0:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
    }
}
