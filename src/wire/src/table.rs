//! The tables of the nouns: [`requests!`] and [`pushes!`] generate types, numbers, decoding and encoding from one row a
//! verb.
//!
//! ```text
//! requests! {
//!     /// Creates a group.
//!     8 CREATE_GROUP Create(Create) -> Created(Created),
//!     20 NODES Nodes -> Nodes(Box<NodesPage>) [BeforeLogin],
//! }
//! ```
//!
//! A row holds the number and the name in PROTOCOL.md, the variant of the noun's `Request` with the type of its value
//! (without one the value has no fields), the variant of its `Reply` (without one the reply is `Reply::Done`), and the
//! request's properties.

use crate::json;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The properties of a request type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Property {
    /// It is also served before login.
    BeforeLogin = 1,
    /// It waits until every earlier request of its connection has been answered.
    Barrier = 2,
    /// Nothing is lost where it is dropped: with request number 0 it gets no reply.
    Receipt = 4,
}

macro_rules! requests {
    (@fields ($body:ty)) => { <$body as $crate::fields::Value>::FIELDS };
    (@fields) => { &[] };
    (@decode $value:ident $verb:ident ($body:ty)) => {
        Request::$verb(<$body as $crate::fields::Value>::decode($value)?)
    };
    (@decode $value:ident $verb:ident) => {{
        $crate::fields::decode_empty($value)?;
        Request::$verb
    }};
    (@encode $out:ident $name:ident ($body:ty)) => { $crate::fields::Value::encode($name, $out) };
    (@encode $out:ident $name:ident) => { $crate::fields::encode_empty($out) };
    (@bind $name:ident $body:ty) => { $name };
    ($(
        $(#[$doc:meta])*
        $number:literal $NAME:ident $verb:ident $(($body:ty))? $(-> $reply:ident($reply_body:ty))?
        $([$($property:ident)+])?,
    )*) => {
        /// The types of the requests.
        pub mod request {
            $($(#[$doc])* pub const $NAME: u16 = $number;)*
        }

        #[derive(Clone, PartialEq, Eq)]
        pub enum Request {
            $($(#[$doc])* $verb $(($body))?,)*
        }

        impl Request {
            /// The types with their names.
            pub const TABLE: &[(u16, &str)] = &[$(($number, stringify!($NAME)),)*];

            /// The types with the names of their fields.
            pub const FIELDS: &[(u16, &[&str])] =
                &[$(($number, $crate::table::requests!(@fields $(($body))?)),)*];

            #[inline]
            pub(crate) fn has_kind(kind: u16) -> bool {
                [$($number),*].contains(&kind)
            }

            #[inline]
            pub(crate) fn decode(kind: u16, value: &[u8]) -> Result<Request, $crate::BadRequest> {
                Ok(match kind {
                    $($number => $crate::table::requests!(@decode value $verb $(($body))?),)*
                    _ => return Err($crate::BadRequest::UnknownType(kind)),
                })
            }

            #[inline]
            pub(crate) fn kind(&self) -> u16 {
                match self {
                    $(Request::$verb { .. } => $number,)*
                }
            }

            #[inline]
            pub(crate) fn encode_value(&self, out: &mut Vec<u8>) {
                match self {
                    $(
                        Request::$verb $(($crate::table::requests!(@bind body $body)))? => {
                            $crate::table::requests!(@encode out body $(($body))?);
                        }
                    )*
                }
            }

            #[inline]
            pub(crate) fn properties(&self) -> u8 {
                match self {
                    $(Request::$verb { .. } => 0 $($(| $crate::table::Property::$property as u8)+)?,)*
                }
            }
        }

        // The values hold passwords and private texts, which must not reach a log.
        impl std::fmt::Debug for Request {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Request::$verb { .. } => stringify!($NAME),)*
                })
            }
        }

        #[derive(Clone, Debug, PartialEq, ::serde::Serialize)]
        #[serde(untagged)]
        pub enum Reply {
            $($($reply($reply_body),)?)*
        }

        #[allow(unused_variables, unreachable_code, clippy::ptr_arg, reason = "a noun may have no reply with fields")]
        impl Reply {
            #[inline]
            pub(crate) fn encode_value(&self, out: &mut Vec<u8>) {
                match *self {
                    $($(Reply::$reply(ref body) => $crate::table::encode_success::<$reply_body>(out, body),)?)*
                }
            }

            /// Reads the value of a reply to a request of type `kind`; `None` where this noun has no reply with fields
            /// for it.
            pub(crate) fn decode(kind: u16, value: &[u8]) -> Result<Option<Reply>, String> {
                Ok(Some(match kind {
                    $($($number => Reply::$reply(<$reply_body as $crate::table::Body>::decode(value)?),)?)*
                    _ => return Ok(None),
                }))
            }
        }
    };
}

macro_rules! pushes {
    (@decode $value:ident $verb:ident ($body:ty)) => {
        Push::$verb(<$body as $crate::table::Body>::decode($value)?)
    };
    (@decode $value:ident $verb:ident) => { Push::$verb };
    (@encode $out:ident $name:ident ($body:ty)) => { $crate::table::Body::encode($name, $out) };
    (@encode $out:ident $name:ident) => { $out.extend_from_slice(b"{}") };
    ($(
        $(#[$doc:meta])*
        $number:literal $NAME:ident $verb:ident $(($body:ty))?,
    )*) => {
        /// The types of the pushes.
        pub mod push {
            $($(#[$doc])* pub const $NAME: u16 = $number;)*
        }

        #[derive(Clone, Debug, PartialEq)]
        pub enum Push {
            $($(#[$doc])* $verb $(($body))?,)*
        }

        impl Push {
            /// The types with their names.
            pub const TABLE: &[(u16, &str)] = &[$(($number, stringify!($NAME)),)*];

            #[inline]
            pub(crate) fn kind(&self) -> u16 {
                match self {
                    $(Push::$verb { .. } => $number,)*
                }
            }

            #[inline]
            pub(crate) fn encode_value(&self, out: &mut Vec<u8>) {
                match self {
                    $(
                        Push::$verb $(($crate::table::requests!(@bind body $body)))? => {
                            $crate::table::pushes!(@encode out body $(($body))?);
                        }
                    )*
                }
            }

            /// Reads the value of a push of type `kind`; `None` where the type belongs to another noun.
            pub(crate) fn decode(kind: u16, value: &[u8]) -> Result<Option<Push>, String> {
                Ok(Some(match kind {
                    $($number => $crate::table::pushes!(@decode value $verb $(($body))?),)*
                    _ => return Ok(None),
                }))
            }
        }
    };
}

pub(crate) use {pushes, requests};

/// Appends the value of a successful reply: `{"errno":0,` and the fields of `body`.
#[inline]
pub(crate) fn encode_success<T: Body>(out: &mut Vec<u8>, body: &T) {
    out.extend_from_slice(b"{\"errno\":0");
    let brace = out.len();
    body.encode(out);
    debug_assert!(out[brace] == b'{' && out[brace + 1] != b'}', "every body has fields");
    out[brace] = b',';
}

/// The fields of a push or a successful reply, both ways: by serde, unless a type has a faster encoder.
pub(crate) trait Body: Serialize + DeserializeOwned {
    fn encode(&self, out: &mut Vec<u8>) {
        json::write(out, self);
    }

    fn decode(value: &[u8]) -> Result<Self, String> {
        json::read(value)
    }
}

impl<T: Body> Body for Box<T> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl<T: Body> Body for Arc<T> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}
