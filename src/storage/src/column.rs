//! The meaning of columns that both databases share.

use std::borrow::Cow;
use wire::ConversationKind;
use wire::group::Role;

/// The value of the column `role` for the owner of a group.
pub const OWNER: u8 = 2;

/// The kind of a column `kind`; `None`: the value is damaged.
pub fn kind_of(kind: i64) -> Option<ConversationKind> {
    match kind {
        0 => Some(ConversationKind::Direct),
        1 => Some(ConversationKind::Group),
        _ => None,
    }
}

/// The content type of a column `type`; the usual one is not allocated.
pub fn content_type_of(text: &str) -> Cow<'static, str> {
    match text {
        wire::message::TEXT => wire::message::TEXT.into(),
        other => other.to_owned().into(),
    }
}

/// The role of a column `role`; `None`: the value is damaged.
pub fn role_of(role: i64) -> Option<Role> {
    match role {
        0 => Some(Role::Member),
        1 => Some(Role::Admin),
        2 => Some(Role::Owner),
        _ => None,
    }
}

/// How long a dead node stays in the table, milliseconds.
pub const NODE_KEPT_MS: u64 = 24 * 60 * 60 * 1000;
