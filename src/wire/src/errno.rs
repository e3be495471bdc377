//! The error numbers of replies.

use std::fmt;

macro_rules! errnos {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// What a reply's `errno` says.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Errno { $($(#[$doc])* $name = $number,)* }

        impl Errno {
            /// Every error number there is.
            pub const ALL: &[Errno] = &[$(Errno::$name,)*];

            /// The number on the wire.
            pub fn number(self) -> u8 {
                self as u8
            }

            /// The error of this number, if the protocol has one.
            pub fn from_number(number: u8) -> Option<Errno> {
                match number { $($number => Some(Errno::$name),)* _ => None }
            }

            /// The name in capitals, as the protocol's table has it.
            pub fn name(self) -> &'static str {
                match self { $(Errno::$name => $text,)* }
            }
        }
    };
}

errnos! {
    /// All is well.
    Ok = 0, "OK";
    /// id/name or password is wrong (never says which).
    BadCredentials = 1, "BAD_CREDENTIALS";
    /// The account is online elsewhere and the policy is `reject`.
    AlreadyOnline = 2, "ALREADY_ONLINE";
    /// Log in first; also: this session was ended by a newer login.
    NotLoggedIn = 3, "NOT_LOGGED_IN";
    /// Malformed JSON, a missing or ill-typed field, a value outside its bounds.
    BadRequest = 4, "BAD_REQUEST";
    /// No such request type.
    UnknownType = 5, "UNKNOWN_TYPE";
    /// The frame is longer than allowed.
    TooLarge = 6, "TOO_LARGE";
    /// Too fast; nothing was done; try after `retry_after_ms`.
    RateLimited = 7, "RATE_LIMITED";
    /// The server sheds load or drains; nothing was done; try after `retry_after_ms`.
    Busy = 8, "BUSY";
    /// No such user, group or message.
    NotFound = 9, "NOT_FOUND";
    /// Not a member (whether the conversation exists or not), not your role.
    Forbidden = 10, "FORBIDDEN";
    /// The name is taken.
    NameTaken = 11, "NAME_TAKEN";
    /// Verification code wrong or expired.
    CodeWrong = 12, "CODE_WRONG";
    /// Token expired, revoked or unknown.
    TokenInvalid = 13, "TOKEN_INVALID";
    /// Already done, already a member, already friends, already logged in on this connection.
    Conflict = 14, "CONFLICT";
    /// The recipient does not take messages from you.
    Blocked = 15, "BLOCKED";
    /// Storage cannot be reached; the message may or may not be stored: retry with the same `cid`.
    Unavailable = 16, "UNAVAILABLE";
    /// A fault of the server; the log has it.
    Internal = 20, "INTERNAL";
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
