//! The error numbers of replies.

use std::fmt;

macro_rules! errnos {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// The result of a request: the `errno` of its reply.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Errno { $($(#[$doc])* $name = $number,)* }

        impl Errno {
            pub const ALL: &[Errno] = &[$(Errno::$name,)*];

            pub fn number(self) -> u8 {
                self as u8
            }

            /// `None` for a number that the protocol does not have.
            pub fn from_number(number: u8) -> Option<Errno> {
                match number { $($number => Some(Errno::$name),)* _ => None }
            }

            /// The name in PROTOCOL.md, in capitals.
            pub fn name(self) -> &'static str {
                match self { $(Errno::$name => $text,)* }
            }
        }
    };
}

errnos! {
    /// The request was carried out.
    Ok = 0, "OK";
    /// The user or the password is wrong; the reply never tells which.
    BadCredentials = 1, "BAD_CREDENTIALS";
    /// The account is logged in elsewhere and the server's policy is `reject`.
    AlreadyOnline = 2, "ALREADY_ONLINE";
    /// The connection is not logged in, or a newer login ended its session.
    NotLoggedIn = 3, "NOT_LOGGED_IN";
    /// The value is not valid JSON, a field is missing or has a wrong type, or a value exceeds its bounds.
    BadRequest = 4, "BAD_REQUEST";
    /// The protocol has no request of this type.
    UnknownType = 5, "UNKNOWN_TYPE";
    /// The frame is longer than its limit.
    TooLarge = 6, "TOO_LARGE";
    /// The client exceeded a rate. Nothing was done; try again after `retry_after_ms`.
    RateLimited = 7, "RATE_LIMITED";
    /// The server sheds load or drains. Nothing was done; try again after `retry_after_ms`.
    Busy = 8, "BUSY";
    /// The user, group or message does not exist.
    NotFound = 9, "NOT_FOUND";
    /// The user is no member of the conversation (which may not exist), or the user's role does not permit it.
    Forbidden = 10, "FORBIDDEN";
    /// Another account or group has the name.
    NameTaken = 11, "NAME_TAKEN";
    /// The verification code is wrong or expired.
    CodeWrong = 12, "CODE_WRONG";
    /// The token is expired, revoked or unknown.
    TokenInvalid = 13, "TOKEN_INVALID";
    /// The requested state already exists: a membership, a friendship, a login on this connection.
    Conflict = 14, "CONFLICT";
    /// The recipient does not accept messages from the user.
    Blocked = 15, "BLOCKED";
    /// Storage cannot be reached. The message may or may not be stored: retry with the same `cid`.
    Unavailable = 16, "UNAVAILABLE";
    /// A limit of the account or the group is reached. Nothing was done; `limit` names it.
    Quota = 17, "QUOTA";
    /// The server has a fault, which its log reports.
    Internal = 20, "INTERNAL";
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
