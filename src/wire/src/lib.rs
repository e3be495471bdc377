//! The wire protocol of the chat server: bytes to typed commands, replies and pushes, and back.
//!
//! Pure: no socket, clock or thread. Both ends use it: the server decodes [`Command`]s and encodes [`Reply`]s and
//! [`Push`]es, a client does the opposite.
//!
//! ```text
//!   bytes --> dialect --> frame --> Command --> (logic) --> Reply / Push --> frame --> bytes
//! ```
//!
//! * [`frame`]: the 12-byte header, incremental splitting, length checked before anything is stored.
//! * [`command`], [`reply`], [`push`]: one typed value each way; JSON lives only inside them.
//! * [`legacy`]: the JSON objects of the muduo cluster chat clients, from and to the same typed values.
//! * [`limits`]: every number that bounds anything.

#![forbid(unsafe_code)]

pub mod command;
pub mod dialect;
pub mod errno;
pub mod frame;
pub mod heartbeat;
pub mod ids;
mod json;
pub mod kind;
pub mod legacy;
pub mod limits;
pub mod message;
pub mod name;
pub mod push;
pub mod reply;

pub use command::{BadRequest, Command, Credentials, Direction, Page, Target};
pub use dialect::Dialect;
pub use errno::Errno;
pub use frame::{Frame, FrameError, split_frame};
pub use heartbeat::Heartbeat;
pub use ids::{ConversationId, Seq, UnixMillis, UserId};
pub use message::{ConversationKind, Message};
pub use push::Push;
pub use reply::{Refusal, Reply};
