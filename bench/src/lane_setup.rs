//! Set-up of lanes before the clock starts: logged-in connections and their conversations.

use crate::accounts::{Account, in_batches, in_parallel, log_in, unexpected};
use crate::client::{Client, ReplyOrPush};
use crate::endpoints::Endpoints;
use crate::error::Error;
use wire::message::{self, Send};
use wire::{Command, ConversationId, ConversationKind, Dialect, Push, Reply, Seq, Target, group, timeline};

/// A conversation that every lane has.
#[derive(Clone, Debug)]
pub struct ConversationSpec {
    /// The two members of a direct chat; `None` for a group of all members.
    pub pair: Option<(usize, usize)>,
    /// The members who send.
    pub senders: Vec<usize>,
}

impl ConversationSpec {
    /// A direct chat in which `from` writes to `to`.
    pub fn direct(from: usize, to: usize) -> ConversationSpec {
        ConversationSpec { pair: Some((from, to)), senders: vec![from] }
    }

    /// A group of all members, in which the first `senders` write.
    pub fn group(senders: usize) -> ConversationSpec {
        ConversationSpec { pair: None, senders: (0..senders).collect() }
    }

    pub fn kind(&self) -> ConversationKind {
        if self.pair.is_some() { ConversationKind::Direct } else { ConversationKind::Group }
    }
}

/// A lane whose members are logged in and whose conversations exist.
#[derive(Debug)]
pub struct OpenLane {
    pub accounts: Vec<Account>,
    pub conversations: Vec<OpenConversation>,
}

#[derive(Clone, Copy, Debug)]
pub struct OpenConversation {
    /// 0 for a direct chat over the legacy dialect, which has no id and opens itself.
    pub id: ConversationId,
    pub last_seq: u64,
}

/// Logs all accounts in, `members` to a lane, and opens the conversations of each lane. The connections are in the
/// order of the accounts.
pub fn open(
    endpoints: &Endpoints,
    dialect: Dialect,
    accounts: &[Account],
    members: usize,
    specs: &[ConversationSpec],
) -> Result<(Vec<OpenLane>, Vec<Client>), Error> {
    let has_groups = specs.iter().any(|spec| spec.pair.is_none());
    if dialect == Dialect::Legacy && !has_groups {
        let conversations = vec![OpenConversation { id: ConversationId(0), last_seq: 0 }; specs.len()];
        let lane = |accounts: &[Account]| OpenLane {
            accounts: accounts.to_vec(),
            conversations: conversations.clone(),
        };
        return Ok((accounts.chunks(members).map(lane).collect(), log_in(endpoints, dialect, 0, accounts)?));
    }
    let clients = log_in(endpoints, Dialect::Tlv, 0, accounts)?;
    let mut users = accounts.iter().cloned().zip(clients);
    let lanes = std::iter::from_fn(|| {
        let lane: Vec<_> = users.by_ref().take(members).collect();
        (!lane.is_empty()).then_some(lane)
    });
    let opened = in_parallel(lanes.collect(), |lanes| {
        in_batches(lanes, |batch: Vec<Vec<(Account, Client)>>| {
            batch.into_iter().map(|lane| open_lane(lane, dialect, specs)).collect()
        })
    })?;
    let (opened, clients): (Vec<_>, Vec<_>) = opened.into_iter().unzip();
    if dialect == Dialect::Tlv {
        return Ok((opened, clients.into_iter().flatten().collect()));
    }
    // The legacy dialect never tells the creator of a group its id, so groups are created over TLV.
    drop(clients);
    Ok((opened, log_in(endpoints, dialect, accounts.len() as u64, accounts)?))
}

fn open_lane(
    lane: Vec<(Account, Client)>,
    dialect: Dialect,
    specs: &[ConversationSpec],
) -> Result<(OpenLane, Vec<Client>), Error> {
    let (accounts, mut clients): (Vec<_>, Vec<_>) = lane.into_iter().unzip();
    let mut conversations = Vec::with_capacity(specs.len());
    for (number, spec) in specs.iter().enumerate() {
        conversations.push(match (spec.pair, dialect) {
            (Some((from, to)), Dialect::Tlv) => open_direct(&accounts, &mut clients, from, to)?,
            (Some(_), Dialect::Legacy) => OpenConversation { id: ConversationId(0), last_seq: 0 },
            (None, _) => open_group(&mut clients, number)?,
        });
    }
    Ok((OpenLane { accounts, conversations }, clients))
}

/// Opens a direct chat by a first message, which the receiver acknowledges.
fn open_direct(
    accounts: &[Account],
    clients: &mut [Client],
    from: usize,
    to: usize,
) -> Result<OpenConversation, Error> {
    let opening = Send::text(Target::User(accounts[to].id), "hello");
    let opening = Command::Message(message::Request::Send(opening));
    clients[from].send(&opening, 1)?;
    let sent = match clients[from].answer("SEND", &opening)? {
        Reply::Message(message::Reply::Sent(sent)) => sent,
        other => return Err(unexpected("SEND", &other)),
    };
    // Earlier runs by the same accounts may have left unread messages.
    let message = loop {
        match clients[to].receive()? {
            ReplyOrPush::Push(Push::Message(message::Push::New(message)))
                if message.conversation == sent.conversation && message.seq >= sent.seq =>
            {
                break message;
            }
            _ => {}
        }
    };
    if message.seq != sent.seq {
        return Err(Error::Protocol(format!("SEND was answered {sent:?} and delivered as {message:?}")));
    }
    let cursor = timeline::Cursor { conversation: sent.conversation, seq: sent.seq };
    clients[to].send(&Command::Timeline(timeline::Request::Ack(cursor)), 0)?;
    Ok(OpenConversation { id: sent.conversation, last_seq: sent.seq.0 })
}

/// Creates a group of all members, owned by the first. The server tells them of each who joins by an entry of the
/// group's timeline, which they acknowledge.
fn open_group(clients: &mut [Client], number: usize) -> Result<OpenConversation, Error> {
    let (owner, others) =
        clients.split_first_mut().ok_or_else(|| Error::Usage("a group needs members".to_owned()))?;
    let create = group::Create { name: format!("bench {number}").into(), desc: "".into() };
    let create = Command::Group(group::Request::Create(create));
    owner.send(&create, 1)?;
    let conversation = match owner.answer("CREATE_GROUP", &create)? {
        Reply::Group(group::Reply::Created(made)) => made.conversation,
        other => return Err(unexpected("CREATE_GROUP", &other)),
    };
    let join = Command::Group(group::Request::Join(group::Join { conversation }));
    for client in &mut *others {
        client.send(&join, 1)?;
    }
    for client in others {
        match client.answer("JOIN_GROUP", &join)? {
            Reply::Group(group::Reply::Joined(_)) => {}
            other => return Err(unexpected("JOIN_GROUP", &other)),
        }
    }
    // One entry for the group, and one for each who joined.
    let last_seq = clients.len() as u64;
    for client in clients {
        loop {
            if let ReplyOrPush::Push(Push::Message(message::Push::New(entry))) = client.receive()?
                && (entry.conversation, entry.seq.0) == (conversation, last_seq)
            {
                break;
            }
        }
        let cursor = timeline::Cursor { conversation, seq: Seq(last_seq) };
        client.send(&Command::Timeline(timeline::Request::Ack(cursor)), 0)?;
    }
    Ok(OpenConversation { id: conversation, last_seq })
}
