//! The numbers in a frame's `type` field.

/// Requests, client to server.
pub mod request {
    /// Log in by password or token.
    pub const LOGIN: u16 = 1;
    /// End the session and revoke its token.
    pub const LOGOUT: u16 = 3;
    /// Make an account.
    pub const REGISTER: u16 = 4;
    /// Send a message.
    pub const SEND: u16 = 6;
    /// Make, or ask for, a friendship.
    pub const ADD_FRIEND: u16 = 7;
    /// Make a group.
    pub const CREATE_GROUP: u16 = 8;
    /// Become a member of a group.
    pub const JOIN_GROUP: u16 = 9;
    /// All up to a seq has reached this client.
    pub const ACK: u16 = 11;
    /// All up to a seq has been read.
    pub const READ: u16 = 12;
    /// A page of a timeline.
    pub const HISTORY: u16 = 13;
    /// A sign of life; binary value.
    pub const HEARTBEAT: u16 = 14;
    /// Accept or refuse a friend request.
    pub const ANSWER_FRIEND: u16 = 15;
    /// A page of one's friends.
    pub const FRIENDS: u16 = 16;
    /// A page of a conversation's members.
    pub const MEMBERS: u16 = 17;
    /// A page of one's conversations.
    pub const CONVERSATIONS: u16 = 18;
    /// A page of one's groups.
    pub const GROUPS: u16 = 19;
    /// The nodes of the cluster.
    pub const NODES: u16 = 20;
}

/// A reply's type is this bit and the request's type.
pub const REPLY: u16 = 0x8000;

/// Pushes, server to client.
pub mod push {
    /// The first push type.
    pub const FIRST: u16 = 0x4000;
    pub const MESSAGE: u16 = 0x4001;
    /// A friend came or went.
    pub const PRESENCE: u16 = 0x4002;
    /// This session was ended by another.
    pub const KICKED: u16 = 0x4003;
    /// The peer of a direct chat has read.
    pub const READ_RECEIPT: u16 = 0x4004;
    /// Something happened to a friendship.
    pub const FRIEND: u16 = 0x4005;
    /// Answer with a heartbeat.
    pub const PROBE: u16 = 0x4006;
    /// The server drains.
    pub const GOING_AWAY: u16 = 0x4007;
    /// The peer of a direct chat has received.
    pub const DELIVERED: u16 = 0x4008;
    /// Something may have been missed: ask again.
    pub const CHANGED: u16 = 0x4009;
    /// An error that answers no request.
    pub const ERROR: u16 = 0x40FF;
}
