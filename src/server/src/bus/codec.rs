//! The encoding of hints: the kind, and for a push the same frame that clients receive.
//!
//! ```text
//!   0: push | TLV frame
//!   1: kick | user u32 | epoch u32 | device name, if there is one
//!   2: password tried | flags u32 | account u64 | client u64 | network
//!   3: joined | user u32
//!   4: entered | conversation u32 | seq u64
//!   5: left | conversation u32 | seq u64
//!   6: missed
//! ```

use logic::Network;
use logic::attempt::{AccountKey, Attempt, ClientKey};
use logic::bus::Hint;
use logic::contract::Epoch;
use logic::contract::node::End;
use wire::limits::FRAME_BYTES;
use wire::{ConversationId, Push, Seq, UserId, split_frame};

const PUSH: u8 = 0;
const KICK: u8 = 1;
const PASSWORD_TRIED: u8 = 2;
const JOINED: u8 = 3;
const ENTERED: u8 = 4;
const LEFT: u8 = 5;
const MISSED: u8 = 6;

// Flags of a password that was tried.
const IS_RIGHT: u32 = 1;
const IS_FAMILIAR: u32 = 2;
const HAS_CLIENT: u32 = 4;

/// Appends a hint.
pub fn encode(hint: &Hint, out: &mut Vec<u8>) {
    match hint {
        Hint::Push { push } => {
            out.push(PUSH);
            push.encode(out);
        }
        Hint::Kick { user, epoch, device } => {
            out.push(KICK);
            out.extend_from_slice(&user.0.to_be_bytes());
            out.extend_from_slice(&epoch.0.to_be_bytes());
            out.extend_from_slice(device.as_deref().unwrap_or_default().as_bytes());
        }
        Hint::Joined { user } => {
            out.push(JOINED);
            out.extend_from_slice(&user.0.to_be_bytes());
        }
        Hint::Entered { entry } => {
            out.push(ENTERED);
            encode_end(entry, out);
        }
        Hint::Left { entry } => {
            out.push(LEFT);
            encode_end(entry, out);
        }
        Hint::Missed => out.push(MISSED),
        Hint::PasswordTried { attempt, is_right } => {
            let Attempt { account, network, client, is_familiar } = attempt;
            let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
            let flags = flag(*is_right, IS_RIGHT)
                | flag(*is_familiar, IS_FAMILIAR)
                | flag(client.is_some(), HAS_CLIENT);
            out.push(PASSWORD_TRIED);
            out.extend_from_slice(&flags.to_be_bytes());
            out.extend_from_slice(&account.0.to_be_bytes());
            out.extend_from_slice(&client.map_or(0, |client| client.0).to_be_bytes());
            out.extend_from_slice(&network.bytes());
        }
    }
}

fn encode_end(end: &End, out: &mut Vec<u8>) {
    out.extend_from_slice(&end.conversation.0.to_be_bytes());
    out.extend_from_slice(&end.last.0.to_be_bytes());
}

fn decode_end(bytes: &[u8]) -> Option<End> {
    let (conversation, seq) = bytes.split_first_chunk()?;
    let conversation = ConversationId(u32::from_be_bytes(*conversation));
    Some(End { conversation, last: Seq(u64::from_be_bytes(seq.try_into().ok()?)) })
}

/// Decodes a hint; `None` if it is malformed or of a kind this version does not know.
pub fn decode(bytes: &[u8]) -> Option<Hint> {
    let (kind, rest) = bytes.split_first()?;
    match *kind {
        PUSH => {
            let (frame, length) = split_frame(rest, FRAME_BYTES).ok()??;
            let push = Push::decode(frame.kind, frame.value).ok()??;
            (length == rest.len()).then_some(Hint::Push { push })
        }
        KICK => {
            let (user, rest) = rest.split_first_chunk()?;
            let (epoch, device) = rest.split_first_chunk()?;
            let device = std::str::from_utf8(device).ok()?;
            let (user, epoch) = (UserId(u32::from_be_bytes(*user)), Epoch(u32::from_be_bytes(*epoch)));
            Some(Hint::Kick { user, epoch, device: (!device.is_empty()).then(|| device.into()) })
        }
        JOINED => Some(Hint::Joined { user: UserId(u32::from_be_bytes(rest.try_into().ok()?)) }),
        ENTERED => Some(Hint::Entered { entry: decode_end(rest)? }),
        LEFT => Some(Hint::Left { entry: decode_end(rest)? }),
        MISSED => rest.is_empty().then_some(Hint::Missed),
        PASSWORD_TRIED => {
            let (flags, rest) = rest.split_first_chunk()?;
            let flags = u32::from_be_bytes(*flags);
            let (account, rest) = rest.split_first_chunk()?;
            let (client, network) = rest.split_first_chunk()?;
            let client = ClientKey(u64::from_be_bytes(*client));
            let attempt = Attempt {
                account: AccountKey(u64::from_be_bytes(*account)),
                network: Network::from_bytes(network)?,
                client: (flags & HAS_CLIENT != 0).then_some(client),
                is_familiar: flags & IS_FAMILIAR != 0,
            };
            Some(Hint::PasswordTried { attempt, is_right: flags & IS_RIGHT != 0 })
        }
        _ => None,
    }
}
