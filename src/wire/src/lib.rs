//! The wire protocol of the chat server: bytes to typed commands, replies and pushes, and back.
//!
//! Pure: no socket, clock or thread. Both ends use it: the server decodes [`Command`]s and encodes [`Reply`]s and
//! [`Push`]es, a client does the opposite.
//!
//! ```text
//!   bytes --> dialect --> frame --> Command --> (logic) --> Reply / Push --> frame --> bytes
//! ```
//!
//! * [`frame`]: the 12-byte header; splits a stream incrementally and checks the length before anything is stored.
//! * One module a noun ([`session`], [`account`], [`contact`], [`group`], [`message`], [`change`], [`timeline`],
//!   [`presence`], [`node`]): its requests, replies and pushes, their fields and bounds, decoding and encoding. JSON stays inside
//!   these modules. A table at the head of each module lists its verbs; a new verb changes no other module.
//! * [`entry`]: what a timeline contains besides messages. [`references`]: what a message answers and whom it mentions.
//! * [`search`]: the fields of SEARCH. [`words`]: what it finds in texts.
//! * [`command`], [`reply`], [`push`]: the sums of the nouns. [`kind`]: the type numbers of all nouns.
//! * [`legacy`]: the JSON objects of the muduo cluster chat clients, from and to the same typed values.
//! * [`proxy_header`]: what a proxy says about the client before its first byte.
//! * [`limits`]: every number that bounds anything.

#![forbid(unsafe_code)]

pub mod account;
mod applied;
pub mod change;
pub mod characters;
mod cid;
pub mod command;
pub mod contact;
pub mod dialect;
pub mod entry;
pub mod errno;
mod extra;
mod fields;
mod flat;
pub mod frame;
pub mod group;
pub mod heartbeat;
pub mod ids;
mod json;
pub mod kind;
mod last_message;
pub mod legacy;
pub mod limits;
pub mod message;
pub mod name;
pub mod node;
pub mod presence;
pub mod proxy_header;
pub mod push;
pub mod references;
mod refusal;
pub mod reply;
pub mod search;
pub mod session;
mod shared;
mod summary;
mod table;
pub mod timeline;
pub mod words;

pub use change::{Change, ChangeKind};
pub use command::Command;
pub use dialect::Dialect;
pub use entry::System;
pub use errno::Errno;
pub use fields::Page;
pub use frame::{Frame, FrameError, split_frame};
pub use heartbeat::Heartbeat;
pub use ids::{ConversationId, DeviceId, Seq, UnixMillis, UserId};
pub use message::{ConversationKind, Message, Target};
pub use push::Push;
pub use references::{Mentions, References};
pub use refusal::{BadRequest, Refusal};
pub use reply::Reply;
pub use session::Credentials;
pub use timeline::Direction;
