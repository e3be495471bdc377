//! Online users, across all nodes.

use wire::UserId;

#[derive(Clone, Debug)]
pub enum Read {
    /// Which of these users are online: their session is connected, or lost its connection less than `grace` ago, and
    /// its node was seen less than [`super::node::node_grace`] ago. Answer: [`Found::Online`].
    Online {
        users: Vec<UserId>,
        /// How long a session outlives its connection or its node, milliseconds.
        grace: u64,
    },
}

#[derive(Clone, Debug)]
pub enum Found {
    /// Those of the users that are online, by id.
    Online(Vec<UserId>),
}
