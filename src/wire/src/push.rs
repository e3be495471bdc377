//! [`Push`]: an unsolicited message from the server, of any noun. Its request number is 0.

use crate::{Refusal, contact, frame, message, presence, session, timeline};

macro_rules! push {
    ($($Noun:ident($noun:ident),)*) => {
        #[derive(Clone, Debug, PartialEq)]
        pub enum Push {
            $($Noun($noun::Push),)*
            /// An error that answers no request.
            Error(Box<Refusal>),
        }

        impl Push {
            /// The type of an ERROR push.
            pub const ERROR: u16 = 0x40FF;

            /// The type of the push's frame.
            pub fn kind(&self) -> u16 {
                match self {
                    $(Push::$Noun(push) => push.kind(),)*
                    Push::Error(_) => Push::ERROR,
                }
            }

            /// Appends the push as one frame to `out`.
            pub fn encode(&self, out: &mut Vec<u8>) {
                frame::put_frame(out, self.kind(), 0, |out| match self {
                    $(Push::$Noun(push) => push.encode_value(out),)*
                    Push::Error(refusal) => refusal.encode_value(out),
                });
            }

            /// Reads a push; `None` for a type that this version does not know, which a client ignores.
            pub fn decode(kind: u16, value: &[u8]) -> Result<Option<Push>, String> {
                if kind == Push::ERROR {
                    let refusal = Refusal::decode_value(value)?.ok_or("an ERROR push with errno 0")?;
                    return Ok(Some(Push::Error(Box::new(refusal))));
                }
                $(
                    if let Some(push) = $noun::Push::decode(kind, value)? {
                        return Ok(Some(Push::$Noun(push)));
                    }
                )*
                Ok(None)
            }
        }

        $(
            impl From<$noun::Push> for Push {
                fn from(push: $noun::Push) -> Push {
                    Push::$Noun(push)
                }
            }
        )*
    };
}

push! {
    Message(message),
    Timeline(timeline),
    Presence(presence),
    Contact(contact),
    Session(session),
}

const _: () = assert!(size_of::<Push>() == 24);
