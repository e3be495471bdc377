//! Requests that wait for storage or the password thread, parked as data: one table, one deadline rule.

use crate::cluster::channel::Listening;
use crate::cluster::entry::Entering;
use crate::conn::ConnId;
use crate::contract::session::LoginView;
use crate::contract::{Epoch, Ticket};
use crate::guard::Suspect;
use crate::limits::{ANSWER_MS, LINE_MS};
use crate::session::SessionRef;
use crate::welcome::Welcoming;
use slab::Slab;
use wire::account::{Register, Who};
use wire::{ConversationId, Reply, Seq, UserId};

/// A request as its answer needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub conn: ConnId,
    pub kind: u16,
    pub request: u32,
}

/// What a parked request does when its answer comes.
#[derive(Debug)]
pub(crate) enum Stage {
    /// A message is being stored.
    Send(Sending),
    /// LOGIN by password: the account is looked up.
    LoginAccount(Box<LoginAccount>),
    /// LOGIN by password: the password is being checked.
    LoginPassword {
        user: Option<UserId>,
        suspect: Suspect,
        device: Option<Box<str>>,
    },
    /// LOGIN: the token is being made or extended.
    LoginToken {
        device: Option<Box<str>>,
        made: bool,
    },
    /// LOGIN: the session exists and what it needs is being read.
    LoginView {
        session: SessionRef,
        token: Box<TokenReply>,
    },
    /// LOGIN on a node of a cluster: the session is being taken over.
    Entering(Box<Entering>),
    /// LOGIN on a node of a cluster: the groups to listen to are being read.
    LoginGroups {
        session: SessionRef,
        token: Box<TokenReply>,
    },
    /// LOGIN on a node of a cluster: which friends are online?
    LoginFriends {
        session: SessionRef,
        token: Box<TokenReply>,
        view: Box<LoginView>,
    },
    /// Something goes on when its channels are listened to.
    Listening(Box<Listening>),
    /// LOGOUT: the token is being revoked.
    Logout(SessionRef),
    /// REGISTER: is the name free?
    RegisterName(Box<Register>),
    /// REGISTER: the password is being hashed.
    RegisterPassword(Box<Register>),
    /// REGISTER: the account is being made.
    RegisterAccount,
    AddFriend {
        user: UserId,
        message: Option<Box<str>>,
    },
    CreateGroup,
    JoinGroup {
        session: SessionRef,
        conversation: ConversationId,
    },
    /// CREATE_GROUP: the group exists and is being listened to.
    GroupReady(ConversationId),
    /// A listing or a page of history.
    Listing {
        user: UserId,
    },
    /// ACK or READ of what this connection was not pushed lately: who may, and how far?
    Standing {
        session: SessionRef,
        conversation: ConversationId,
        seq: Seq,
        read: bool,
    },
    /// LOGIN of a legacy client: its groups' members are being read, then what it has missed.
    Welcome(Box<Welcoming>),
    /// A listing or the reply to LOGIN: which of its users are online?
    ListingOnline(Box<Reply>),
    /// ADD_FRIEND: is the new friend online?
    FriendOnline {
        user: UserId,
        peer: UserId,
    },
    /// Messages for a connection that is behind.
    Feed {
        session: SessionRef,
        conversation: ConversationId,
    },
    /// Further conversations in which a new session is behind.
    Unread(SessionRef),
    /// Who is to know that a user went.
    Presence(UserId),
    /// The grace of a user's session is over: is it still this node's?
    Expire(UserId),
    /// What a conversation's line lacks.
    Line {
        conversation: ConversationId,
        serial: u32,
    },
    /// That this node lives is being written, and whether it may not have been heard.
    Seen {
        unheard: bool,
    },
    /// Claims of other nodes.
    Claims,
    /// Conversations that have changed.
    Changes,
    /// This many cursors are being written.
    Cursors(usize),
    Nothing,
}

impl Stage {
    /// The session of a login whose reply is being made.
    pub fn session(&self) -> Option<SessionRef> {
        match self {
            Stage::LoginGroups { session, .. }
            | Stage::LoginView { session, .. }
            | Stage::LoginFriends { session, .. } => Some(*session),
            Stage::Welcome(welcoming) => Some(welcoming.session),
            Stage::Listening(listening) => listening.then.session(),
            _ => None,
        }
    }
}

/// A message that is being stored.
#[derive(Debug)]
pub(crate) struct Sending {
    pub sender: UserId,
    pub epoch: Epoch,
    pub session: SessionRef,
    pub cid: Box<str>,
    pub bytes: usize,
    /// Whether it stands in its connection's line (see [`crate::waiting_line`]).
    pub in_line: bool,
}

/// LOGIN by password, before the account is known.
#[derive(Debug)]
pub(crate) struct LoginAccount {
    pub who: Who,
    pub password: Box<str>,
    pub device: Option<Box<str>>,
}

/// What the reply to LOGIN says of the token.
#[derive(Debug)]
pub(crate) struct TokenReply {
    pub text: Box<str>,
    pub expires: wire::UnixMillis,
}

/// A parked request.
#[derive(Debug)]
pub(crate) struct Parked {
    /// Who waits for an answer; `None` where nobody does, or no longer.
    pub asked: Option<Asked>,
    pub stage: Stage,
    pub since: u64,
    serial: u32,
}

/// All parked requests.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    slots: Slab<Parked>,
    serial: u32,
    /// Passwords with the password thread.
    pub passwords: usize,
    /// Messages with storage, and the bytes of their contents.
    pub appends: usize,
    pub append_bytes: usize,
    /// Whether cursors are with storage.
    pub writes_cursors: bool,
}

impl Parking {
    /// Parks a request; its answer will carry the ticket.
    pub fn park(&mut self, asked: Option<Asked>, stage: Stage, now: u64) -> Ticket {
        self.serial = self.serial.wrapping_add(1);
        self.count(&stage, 1);
        let key = self.slots.insert(Parked { asked, stage, since: now, serial: self.serial });
        Ticket(u64::from(self.serial) << 32 | key as u64)
    }

    /// Takes the request that an answer belongs to; `None` for one that was taken before.
    pub fn take(&mut self, ticket: Ticket) -> Option<Parked> {
        let key = ticket.0 as u32 as usize;
        if self.slots.get(key)?.serial != (ticket.0 >> 32) as u32 {
            return None;
        }
        let parked = self.slots.remove(key);
        self.count(&parked.stage, -1);
        Some(parked)
    }

    fn count(&mut self, stage: &Stage, by: isize) {
        match stage {
            Stage::Send(sending) => {
                self.appends = self.appends.wrapping_add_signed(by);
                self.append_bytes = self.append_bytes.wrapping_add_signed(by * sending.bytes as isize);
            }
            Stage::LoginPassword { .. } | Stage::RegisterPassword(_) => {
                self.passwords = self.passwords.wrapping_add_signed(by);
            }
            Stage::Cursors(_) => self.writes_cursors = by > 0,
            _ => {}
        }
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether nothing is left but what a node of a cluster asks again and again.
    pub fn is_settled(&self) -> bool {
        self.slots
            .iter()
            .all(|(_, parked)| matches!(parked.stage, Stage::Seen { .. } | Stage::Claims | Stage::Changes))
    }

    /// Those that have waited for storage too long, their `asked` taken. A message stays parked, since it may be
    /// stored yet; so does a login that has a session, for its caller to end.
    pub fn overdue(&mut self, now: u64) -> Vec<(Asked, Overdue)> {
        let mut found = Vec::new();
        for (_, parked) in &mut self.slots {
            let patience = match &parked.stage {
                Stage::LoginPassword { .. } | Stage::RegisterPassword(_) => continue,
                Stage::Send(sending) if sending.in_line => LINE_MS,
                _ => ANSWER_MS,
            };
            if parked.since + patience > now {
                continue;
            }
            let Some(asked) = parked.asked.take() else { continue };
            found.push((
                asked,
                match &parked.stage {
                    Stage::Send(sending) if sending.in_line => Overdue::Line,
                    Stage::Send(sending) => Overdue::Send(sending.cid.clone()),
                    stage => stage.session().map_or(Overdue::Other, Overdue::Login),
                },
            ));
        }
        found
    }
}

/// What has waited too long.
#[derive(Debug)]
pub(crate) enum Overdue {
    /// A message; with its `cid` for the retry.
    Send(Box<str>),
    /// A message that stands in its connection's line.
    Line,
    /// A login whose session is to be ended.
    Login(SessionRef),
    Other,
}
