//! The JSON stream of the muduo cluster chat servers: bare objects one after another, no frame around them.
//!
//! ```text
//!   bytes --> scan --> one object --> request --> Command --> (logic) --> welcome / message / answer --> object, NUL
//! ```
//!
//! * [`scan`]: where an object ends, however the bytes were split.
//! * [`request`]: one object to a typed [`crate::Command`], the same that a frame gives.
//! * [`answer`], [`welcome`], [`message`]: what these clients are told, as they read it and no longer than they can bear.

pub mod answer;
mod escape;
pub mod message;
pub mod request;
pub mod scan;
pub mod welcome;

pub use scan::{Scan, Scanner, Stream};
pub use welcome::Welcome;

/// Writes the numbers' names once: they are fields, and they have an order.
macro_rules! msgids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The numbers of the messages; forks of the family number them differently.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct MsgIds {
            $($(#[$doc])* pub $name: i64),*
        }

        impl MsgIds {
            /// How many there are.
            pub const COUNT: usize = [$(stringify!($name)),*].len();

            /// From their usual order.
            pub fn from_array([$($name),*]: [i64; Self::COUNT]) -> MsgIds {
                MsgIds { $($name),* }
            }

            /// In their usual order.
            pub fn to_array(self) -> [i64; Self::COUNT] {
                [$(self.$name),*]
            }
        }
    };
}

msgids! {
    login,
    login_answer,
    logout,
    register,
    register_answer,
    one_chat,
    add_friend,
    create_group,
    add_group,
    group_chat,
}

impl Default for MsgIds {
    fn default() -> MsgIds {
        MsgIds::from_array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    }
}

/// How objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// What the messages are numbered.
    pub msgids: MsgIds,
    /// Bytes of the longest object, its NUL included: what a client takes from its socket at once.
    pub object_bytes: usize,
}

impl Style {
    /// The least that [`Style::object_bytes`] may be: every name fits, and some text beside it.
    pub const OBJECT_BYTES_MIN: usize = 512;
    /// The most that it may be.
    pub const OBJECT_BYTES_MAX: usize = 65_536;

    /// Bytes of the longest object without its NUL.
    fn room(&self) -> usize {
        self.object_bytes - 1
    }
}

impl Default for Style {
    fn default() -> Style {
        Style { msgids: MsgIds::default(), object_bytes: 1_024 }
    }
}
