//! Every bound of the protocol, in one place.

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 12;
/// Bytes of a frame's value in either direction; `limits.frame_bytes` in the configuration changes it.
pub const FRAME_BYTES: usize = 262_144;
/// Bytes of a frame's value before the connection is logged in.
pub const FRAME_BYTES_BEFORE_LOGIN: usize = 8_192;
/// The largest integer of the protocol: 2^53 - 1, up to which every JSON reader is exact.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;
/// The largest user or conversation id: 2^31 - 1.
pub const ID_MAX: u64 = (1 << 31) - 1;
/// Characters (Unicode scalar values) of a user's name.
pub const NAME_CHARS: usize = 50;
/// Characters of a name that a request only looks up. It may be in another normalization form than the name that was
/// registered: canonical decomposition yields up to four characters for one (Unicode, UAX #15).
pub const NAME_SOUGHT_CHARS: usize = 4 * NAME_CHARS;
/// The shortest password, bytes.
pub const PASSWORD_BYTES_MIN: usize = 6;
/// The longest password, bytes.
pub const PASSWORD_BYTES_MAX: usize = 128;
/// The longest password that LOGIN accepts, bytes. Longer than any account's, so that a wrong one is answered as such.
pub const PASSWORD_TRIED_BYTES: usize = 4_096;
/// Bytes of a message's content.
pub const CONTENT_BYTES: usize = 32_768;
/// Bytes of a `cid`.
pub const CID_BYTES: usize = 64;
/// Bytes of a reaction: one character as a reader sees it, which may consist of many code points.
pub const REACTION_BYTES: usize = 64;
/// Kinds of reactions to one message.
pub const REACTION_KINDS: usize = 20;
/// Users that are listed for each kind of reaction to a message: the first ones.
pub const REACTION_IDS: usize = 10;
/// Bytes of a message's `type`.
pub const TYPE_BYTES: usize = 32;
/// Members that a message mentions by their ids.
pub const MENTIONS: usize = 50;
/// Bytes of the `device` of a login.
pub const DEVICE_BYTES: usize = 64;
/// Bytes of a login token as text.
pub const TOKEN_BYTES: usize = 128;
/// Characters of a group's name.
pub const GROUP_NAME_CHARS: usize = 50;
/// Characters of a group's description.
pub const GROUP_DESC_CHARS: usize = 200;
/// Characters of the message with a friend request.
pub const FRIEND_MESSAGE_CHARS: usize = 200;
/// Users that FIND_USERS finds at most.
pub const FIND_MAX: u32 = 20;
/// Characters of the beginning of a name that FIND_USERS looks for, at least.
pub const FIND_CHARS_MIN: usize = 2;
/// Characters of a remark about a friend, and of its tag.
pub const FRIEND_NOTE_CHARS: usize = 64;
/// Characters of the text of a presence.
pub const PRESENCE_TEXT_CHARS: usize = 64;
/// Bytes of an e-mail address (RFC 5321, 4.5.3.1.3: a path of 256 with its two angle brackets).
pub const EMAIL_BYTES: usize = 254;
/// Bytes of a verification code.
pub const CODE_BYTES: usize = 16;
/// Rows of a HISTORY page or listing at most.
pub const PAGE_MAX: u32 = 200;
/// Rows of a HISTORY page or listing where the request has no `limit`.
pub const PAGE_DEFAULT: u32 = 50;
/// Characters of the last message of a conversation that a listing shows.
pub const LAST_CHARS: usize = 200;
/// Entries at the end of a group's timeline in which unread messages are counted; in a direct chat there is no limit.
pub const UNREAD_WINDOW: u64 = 1_000;
/// Bytes of message JSON after which a HISTORY page ends early; it always contains one message where there is one.
pub const HISTORY_BYTES: usize = 200 * 1024;
/// Bytes of the text that SEARCH looks for.
pub const SEARCH_BYTES: usize = 512;
/// Words of that text.
pub const SEARCH_WORDS: usize = 16;
/// Messages in a reply of SEARCH at most, and where the request has no `limit`.
pub const SEARCH_MAX: u32 = 50;
/// Messages that may be pushed on one connection without being acknowledged, all conversations together.
pub const UNACKED_MAX: usize = 500;

// A message with the longest content must fit into a frame, even where every byte is escaped as \u00XX.
const _: () = assert!(CONTENT_BYTES * 6 + 8 * 1024 < FRAME_BYTES);
const _: () = assert!(HISTORY_BYTES < FRAME_BYTES - 32 * 1024);
