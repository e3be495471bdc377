//! The meaning of columns that both databases share.

use std::borrow::Cow;
use wire::ConversationKind;
use wire::group::Role;

/// The value of the column `role` for the owner of a group.
pub const OWNER: u8 = 2;

pub fn kind_of(kind: u8) -> ConversationKind {
    if kind == 0 { ConversationKind::Direct } else { ConversationKind::Group }
}

/// The content type of a column `type`; the usual one is not allocated.
pub fn content_type_of(text: &str) -> Cow<'static, str> {
    match text {
        wire::message::TEXT => wire::message::TEXT.into(),
        other => other.to_owned().into(),
    }
}

pub fn role_of(role: u8) -> Role {
    match role {
        OWNER => Role::Owner,
        1 => Role::Admin,
        _ => Role::Member,
    }
}

/// How long a dead node stays in the table, milliseconds.
pub const NODE_KEPT_MS: u64 = 24 * 60 * 60 * 1000;
