//! The encoding of publications: the publishing run, the kind, and for a push the same frame that clients receive.
//!
//! ```text
//!   length of run u8 | run | 0: push | member version u32 | TLV frame
//!                          | 1: kick | user u32 | epoch u32 | device name, if there is one
//! ```

use logic::bus::{Channel, Hint};
use logic::contract::Epoch;
use wire::limits::FRAME_BYTES;
use wire::{ConversationId, Push, UserId, split_frame};

const PUSH: u8 = 0;
const KICK: u8 = 1;

/// The name of the Redis channel.
pub fn name(channel: &Channel) -> String {
    match channel {
        Channel::User(user) => format!("chat:user:{user}"),
        Channel::Group(group) => format!("chat:conv:{group}"),
        Channel::Node(run) => format!("chat:node:{run}"),
    }
}

/// The channel with this name; `None` if this program does not use it.
pub fn channel(name: &[u8]) -> Option<Channel> {
    let (kind, rest) = std::str::from_utf8(name).ok()?.strip_prefix("chat:")?.split_once(':')?;
    Some(match kind {
        "user" => Channel::User(UserId(rest.parse().ok()?)),
        "conv" => Channel::Group(ConversationId(rest.parse().ok()?)),
        "node" => Channel::Node(rest.into()),
        _ => return None,
    })
}

/// Encodes a publication by `run`.
pub fn encode(run: &str, hint: &Hint) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.push(
        u8::try_from(run.len())
            .expect("a run is shorter than 256 bytes: a name of at most 64 and a random suffix of 17"),
    );
    out.extend_from_slice(run.as_bytes());
    match hint {
        Hint::Push { push, member_version } => {
            out.push(PUSH);
            out.extend_from_slice(&member_version.to_be_bytes());
            push.encode(&mut out);
        }
        Hint::Kick { user, epoch, device } => {
            out.push(KICK);
            out.extend_from_slice(&user.0.to_be_bytes());
            out.extend_from_slice(&epoch.0.to_be_bytes());
            out.extend_from_slice(device.as_deref().unwrap_or_default().as_bytes());
        }
    }
    out
}

/// Decodes a publication. `None` if `run` published it itself, or if it is malformed or of a kind this version does
/// not know.
pub fn decode(run: &str, bytes: &[u8]) -> Option<Hint> {
    let (length, rest) = bytes.split_first()?;
    let (from, rest) = rest.split_at_checked(usize::from(*length))?;
    if from == run.as_bytes() {
        return None;
    }
    let (kind, rest) = rest.split_first()?;
    let (first, rest) = rest.split_first_chunk()?;
    let first = u32::from_be_bytes(*first);
    match *kind {
        PUSH => {
            let (frame, _) = split_frame(rest, FRAME_BYTES).ok()??;
            let push = Push::decode(frame.kind, frame.value).ok()??;
            Some(Hint::Push { push, member_version: first })
        }
        KICK => {
            let (epoch, device) = rest.split_first_chunk()?;
            let device = std::str::from_utf8(device).ok()?;
            let (user, epoch) = (UserId(first), Epoch(u32::from_be_bytes(*epoch)));
            Some(Hint::Kick { user, epoch, device: (!device.is_empty()).then(|| device.into()) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use wire::{ConversationKind, Message, Seq, UnixMillis};
    use wire::{message, session};

    fn hints() -> [Hint; 4] {
        let message = Message {
            conversation: ConversationId(7),
            kind: ConversationKind::Group,
            seq: Seq(9),
            from: UserId(3),
            name: "zhang san".into(),
            content_type: "text".into(),
            content: "hello \u{1}\u{1F642}".into(),
            time: UnixMillis(1),
            cid: Some("c".into()),
        };
        let kick = |device: Option<&str>| Hint::Kick {
            user: UserId(8),
            epoch: Epoch(70_000),
            device: device.map(Into::into),
        };
        let push = Push::Message(message::Push::New(Arc::new(message)));
        let probe = Hint::Push { push: Push::Session(session::Push::Probe), member_version: 0 };
        [Hint::Push { push, member_version: 5 }, probe, kick(None), kick(Some("phone"))]
    }

    #[test]
    fn a_node_ignores_its_own_publications() {
        for hint in hints() {
            let bytes = encode("n1-1", &hint);
            assert_eq!(decode("n2-1", &bytes), Some(hint));
            assert_eq!(decode("n1-1", &bytes), None);
        }
    }

    #[test]
    fn malformed_publications_are_ignored() {
        for hint in hints() {
            let bytes = encode("n1-1", &hint);
            for cut in 0..bytes.len() {
                let _ = decode("n2-1", &bytes[..cut]);
                let mut bytes = bytes.clone();
                bytes[cut] ^= 0x55;
                let _ = decode("n2-1", &bytes);
            }
        }
    }

    #[test]
    fn channel_names_round_trip() {
        for each in [Channel::User(UserId(1)), Channel::Group(ConversationId(2)), Channel::Node("n:1".into())]
        {
            assert_eq!(channel(name(&each).as_bytes()), Some(each));
        }
        assert_eq!(channel(b"chat:other:1"), None);
        assert_eq!(channel(b"\xff"), None);
    }
}
