//! How objects are written for the clients: their message numbers and their longest object.

/// Declares the message numbers as fields that have an order.
macro_rules! msgids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The `msgid` of every message. Forks of the muduo cluster chat number them differently.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct MsgIds {
            $($(#[$doc])* pub $name: i64),*
        }

        impl MsgIds {
            pub const COUNT: usize = [$(stringify!($name)),*].len();

            /// From the order of the configuration, `legacy.msgids`.
            pub fn from_array([$($name),*]: [i64; Self::COUNT]) -> MsgIds {
                MsgIds { $($name),* }
            }

            /// In the order of the configuration, `legacy.msgids`.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub msgids: MsgIds,
    /// The longest object with its NUL, bytes: what a client reads from its socket at once.
    pub object_bytes: usize,
}

impl Style {
    /// The least [`Style::object_bytes`]: any name and some text fit into it.
    pub const OBJECT_BYTES_MIN: usize = 512;
    /// The greatest [`Style::object_bytes`].
    pub const OBJECT_BYTES_MAX: usize = 65_536;

    /// The longest object without its NUL, bytes.
    pub(super) fn room(&self) -> usize {
        self.object_bytes - 1
    }
}

impl Default for Style {
    fn default() -> Style {
        Style { msgids: MsgIds::default(), object_bytes: 1_024 }
    }
}
