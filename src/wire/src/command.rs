//! [`Command`]: a request of any noun.

use crate::table::Property;
use crate::{BadRequest, account, change, contact, frame, group, message, node, presence, session, timeline};

macro_rules! command {
    ($($Noun:ident($noun:ident),)*) => {
        /// A request that is valid: every length, id and choice was checked while it was decoded. It does not name its
        /// sender, which is the user who logged in on the connection.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Command {
            $($Noun($noun::Request),)*
        }

        impl Command {
            /// Reads the value of a request of type `kind`. HEARTBEAT has no command (see [`crate::Heartbeat`]).
            pub fn decode(kind: u16, value: &[u8]) -> Result<Command, BadRequest> {
                $(
                    if $noun::Request::has_kind(kind) {
                        return Ok(Command::$Noun($noun::Request::decode(kind, value)?));
                    }
                )*
                Err(BadRequest::UnknownType(kind))
            }

            /// The type of the request's frame.
            pub fn kind(&self) -> u16 {
                match self {
                    $(Command::$Noun(request) => request.kind(),)*
                }
            }

            fn encode_value(&self, out: &mut Vec<u8>) {
                match self {
                    $(Command::$Noun(request) => request.encode_value(out),)*
                }
            }

            fn has(&self, property: Property) -> bool {
                let properties = match self {
                    $(Command::$Noun(request) => request.properties(),)*
                };
                properties & property as u8 != 0
            }
        }

        $(
            impl From<$noun::Request> for Command {
                fn from(request: $noun::Request) -> Command {
                    Command::$Noun(request)
                }
            }
        )*
    };
}

command! {
    Message(message),
    Change(change),
    Timeline(timeline),
    Session(session),
    Account(account),
    Contact(contact),
    Group(group),
    Presence(presence),
    Node(node),
}

const _: () = assert!(size_of::<Command>() == 80);

impl Command {
    /// Appends the request as one frame to `out`.
    pub fn encode(&self, request: u32, out: &mut Vec<u8>) {
        frame::put_frame(out, self.kind(), request, |out| self.encode_value(out));
    }

    /// Whether it is refused on a connection that is not logged in.
    #[inline]
    pub fn needs_login(&self) -> bool {
        !self.has(Property::BeforeLogin)
    }

    /// Whether it waits until every earlier request of its connection has been answered.
    #[inline]
    pub fn is_barrier(&self) -> bool {
        self.has(Property::Barrier)
    }

    /// Whether nothing is lost where it is dropped, so that it gets no reply if its request number is 0.
    #[inline]
    pub fn is_receipt(&self) -> bool {
        self.has(Property::Receipt)
    }
}
