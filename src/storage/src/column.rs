//! What columns mean, in every database.

use std::borrow::Cow;
use wire::ConversationKind;
use wire::group::Role;

/// The column `role` of who made a group.
pub const OWNER: u8 = 2;

/// What the column `kind` means.
pub fn kind_of(kind: u8) -> ConversationKind {
    if kind == 0 { ConversationKind::Direct } else { ConversationKind::Group }
}

/// What the column `type` means; nearly every message's is the usual one, which costs nothing.
pub fn content_type_of(text: &str) -> Cow<'static, str> {
    match text {
        wire::message::TEXT => wire::message::TEXT.into(),
        other => other.to_owned().into(),
    }
}

/// What the column `role` means.
pub fn role_of(role: u8) -> Role {
    match role {
        OWNER => Role::Owner,
        1 => Role::Admin,
        _ => Role::Member,
    }
}

/// How long a run of a node that is gone is remembered, milliseconds.
pub const NODE_KEPT_MS: u64 = 24 * 60 * 60 * 1000;
