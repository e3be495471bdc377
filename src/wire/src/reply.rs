//! [`Reply`]: the answer to a request of any noun. A request with a non-zero number gets exactly one.

use crate::frame::{self, REPLY};
use crate::{Refusal, account, change, contact, group, message, node, presence, session, timeline};

macro_rules! reply {
    ($($Noun:ident($noun:ident),)*) => {
        #[derive(Clone, Debug, PartialEq)]
        pub enum Reply {
            /// `errno` 0 without any other field.
            Done,
            $($Noun($noun::Reply),)*
            /// The request was not carried out.
            Refused(Box<Refusal>),
        }

        impl Reply {
            /// Appends the reply to request `request` of type `kind` as one frame to `out`.
            pub fn encode(&self, kind: u16, request: u32, out: &mut Vec<u8>) {
                frame::put_frame(out, REPLY | kind, request, |out| self.encode_value(out));
            }

            /// Appends the value of the reply, a JSON object, to `out`.
            pub fn encode_value(&self, out: &mut Vec<u8>) {
                match self {
                    Reply::Done => out.extend_from_slice(b"{\"errno\":0}"),
                    $(Reply::$Noun(reply) => reply.encode_value(out),)*
                    Reply::Refused(refusal) => refusal.encode_value(out),
                }
            }

            /// Reads the value of a reply whose frame has type `kind`, with or without the reply bit.
            pub fn decode(kind: u16, value: &[u8]) -> Result<Reply, String> {
                if let Some(refusal) = Refusal::decode_value(value)? {
                    return Ok(refusal.into());
                }
                let kind = kind & !REPLY;
                $(
                    if let Some(reply) = $noun::Reply::decode(kind, value)? {
                        return Ok(Reply::$Noun(reply));
                    }
                )*
                Ok(Reply::Done)
            }
        }

        $(
            impl From<$noun::Reply> for Reply {
                fn from(reply: $noun::Reply) -> Reply {
                    Reply::$Noun(reply)
                }
            }
        )*
    };
}

reply! {
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

const _: () = assert!(size_of::<Reply>() == 24);

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        Reply::Refused(Box::new(refusal))
    }
}
