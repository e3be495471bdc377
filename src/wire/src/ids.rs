//! The identifiers and numbers of the protocol, each with a type of its own.

use crate::flat::Scalar;
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
            /// The largest value that the protocol carries.
            pub const MAX: $name = $name($max as $inner);

            /// The value of a member, if it is one of these.
            #[allow(dead_code, reason = "the fast path reads few of them")]
            #[inline]
            pub(crate) fn of_scalar(value: Scalar<'_>) -> Option<$name> {
                value.integer($max).map(|value| $name(value as $inner))
            }
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
    /// The id of an account. Below 2^31.
    UserId(u32), max limits::ID_MAX
}
number! {
    /// The id of a conversation, which is a direct chat or a group; also the id of that group. Below 2^31.
    ConversationId(u32), max limits::ID_MAX
}
number! {
    /// The number of a login token among those of its account, as DEVICES lists it. Below 2^31.
    DeviceId(u32), max limits::ID_MAX
}
number! {
    /// The position of a message in its conversation's timeline: 1, 2, 3 … without gaps. 0 stands before the first
    /// message. Below 2^53.
    Seq(u64), max limits::INTEGER_MAX
}
number! {
    /// Wall-clock time, milliseconds since 1970-01-01 UTC. It is for display; messages are ordered by their seq.
    UnixMillis(u64), max limits::INTEGER_MAX
}

impl Seq {
    #[must_use]
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }

    /// 0 stays 0.
    #[must_use]
    pub fn prev(self) -> Seq {
        Seq(self.0.saturating_sub(1))
    }
}
