//! The identifiers and numbers of the protocol, each a type of its own.

use crate::limits;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), max $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The largest value the protocol carries.
            pub const MAX: $name = $name($max as $inner);
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::json::integer(deserializer, $max).map(|value| $name(value as $inner))
            }
        }
    };
}

number! {
    /// An account. Below 2^31.
    UserId(u32), max limits::ID_MAX
}
number! {
    /// A conversation: a direct chat or a group, whose id it is. Below 2^31.
    ConversationId(u32), max limits::ID_MAX
}
number! {
    /// The place of a message in its conversation's timeline: 1, 2, 3 … without gaps. 0 is "before the first".
    Seq(u64), max limits::INTEGER_MAX
}
number! {
    /// Wall-clock time, milliseconds since 1970-01-01 UTC. For show only: nothing is ordered by it.
    UnixMillis(u64), max limits::INTEGER_MAX
}

impl Seq {
    /// The seq after this one.
    #[must_use]
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }

    /// The seq before this one; 0 stays 0.
    #[must_use]
    pub fn prev(self) -> Seq {
        Seq(self.0.saturating_sub(1))
    }
}
