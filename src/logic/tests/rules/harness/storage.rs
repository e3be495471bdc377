//! The storage of the harness: plain vectors.

use super::{ClaimedSession, Conversation, Harness};
use logic::contract::change::{Place, What};
use logic::contract::contact::{Friend, Notes};
use logic::contract::entry::Entry;
use logic::contract::message::{ReferenceContext, Stored};
use logic::contract::node::{Roster, RosterMember};
use logic::contract::presence::Online;
use logic::contract::session::LoginView;
use logic::contract::session::{Revoked, Which};
use logic::contract::timeline::{NoReaders, Standing, Unread, UnreadPage};
use logic::contract::token::Device;
use logic::contract::{self, Denial, Tokens};
use logic::rights::{Asked, Step};
use logic::{Found, Read, Write, Written, rights};
use std::sync::Arc;
use wire::account::Who;
use wire::entry::Event;
use wire::group::{Group, Role};
use wire::session::ClientKind;
use wire::timeline::{ConversationView, Reader, ReadersPage};
use wire::{ConversationId, ConversationKind, DeviceId, Message, Page, Seq, Target, UnixMillis, UserId};

impl Harness {
    pub fn write(&mut self, write: Write) -> Written {
        match write {
            Write::Message(contract::message::Write::Append(append)) => {
                let at = match append.target {
                    Target::Conversation(id) | Target::Group(id) => id.0 as usize - 1,
                    Target::User(peer) => {
                        if peer.0 as usize > self.users.len() {
                            return Written::Denied(Denial::NotFound);
                        }
                        let mut pair = vec![append.sender.min(peer), append.sender.max(peer)];
                        pair.dedup();
                        let direct =
                            |c: &Conversation| c.kind == ConversationKind::Direct && c.members == pair;
                        match self.conversations.iter().position(direct) {
                            Some(at) => at,
                            None => self.conversation(ConversationKind::Direct, pair).0 as usize - 1,
                        }
                    }
                    Target::Name(_) => return Written::Denied(Denial::NotFound),
                };
                let conversation = &mut self.conversations[at];
                if !conversation.members.contains(&append.sender) || !append.fits(conversation.kind) {
                    return Written::Denied(Denial::Forbidden);
                }
                let stored =
                    |m: &&Arc<Message>| m.from == append.sender && m.cid.as_ref() == Some(&append.cid);
                if let Some(first) = conversation.messages.iter().find(stored) {
                    let (conversation, seq, time) = (first.conversation, first.seq, first.time);
                    let first = Stored { conversation, seq, time };
                    return Written::Message(contract::message::Written::Duplicate(first));
                }
                if let Some(references) = &append.references {
                    let answered = references
                        .reply_to
                        .and_then(|seq| conversation.messages.get((seq.0 as usize).checked_sub(1)?));
                    let members = &conversation.members;
                    let answers_message = answered.map(|message| message.is_message());
                    let context = ReferenceContext { members, role: Role::Normal, answers_message };
                    if let Err(why) = context.check(references) {
                        return Written::Denied(Denial::Reference(why));
                    }
                }
                let (id, seq) = (ConversationId(at as u32 + 1), Seq(conversation.messages.len() as u64 + 1));
                let message = append
                    .into_message(conversation.kind, Stored { conversation: id, seq, time: self.now.wall });
                conversation.messages.push(Arc::clone(&message));
                let members = conversation.members.as_slice().into();
                Written::Message(contract::message::Written::Appended { message, members })
            }
            Write::Message(contract::message::Write::AppendByToken(by)) => self.append_by_token(*by),
            Write::Group(contract::group::Write::Create { by, .. }) => {
                let id = self.conversation(ConversationKind::Group, vec![by.user]);
                let entry = self.append_entry(id, &by, Event::Created);
                Written::Group(contract::group::Written::Created(entry))
            }
            Write::Group(contract::group::Write::Join { by, conversation }) => {
                let Some(group) = self.conversations.get_mut(conversation.0 as usize - 1) else {
                    return Written::Denied(Denial::NotFound);
                };
                let Err(at) = group.members.binary_search(&by.user) else {
                    return Written::Denied(Denial::Conflict);
                };
                let last = Seq(group.messages.len() as u64);
                group.members.insert(at, by.user);
                group.joined.insert(by.user, last);
                group.left.remove(&by.user);
                group.cursors.insert(by.user, (last, last.next()));
                let entry = self.append_entry(conversation, &by, Event::Joined);
                Written::Group(contract::group::Written::Joined(entry))
            }
            Write::Group(contract::group::Write::Change(change)) => self.change_group(&change),
            Write::Change(write) => self.change(&write),
            Write::Fenced(_, write) => self.write(*write),
            Write::Timeline(contract::timeline::Write::MoveCursors(moves)) => {
                for m in moves {
                    let cursors = &mut self.conversations[m.conversation.0 as usize - 1].cursors;
                    let cursor = cursors.get_mut(&m.user).expect("a member");
                    *cursor = m.step.apply(cursor.0, cursor.1);
                }
                Written::Timeline(contract::timeline::Written::CursorsMoved { left_out: Vec::new() })
            }
            Write::Timeline(contract::timeline::Write::Clear { user, conversation, upto }) => {
                let Some(standing) = self.standing(user, conversation).filter(|found| !found.has_left) else {
                    return Written::Denied(Denial::Forbidden);
                };
                let upto = upto.min(standing.last);
                let cleared = &mut self.conversations[conversation.0 as usize - 1];
                cleared.cursors.insert(user, (standing.delivered.max(upto), standing.read.max(upto)));
                Written::Timeline(contract::timeline::Written::Cleared { upto, before: standing })
            }
            Write::Timeline(contract::timeline::Write::Set { user, conversation, .. }) => {
                match self.standing(user, conversation) {
                    Some(standing) if !standing.has_left => Written::Done,
                    _ => Written::Denied(Denial::Forbidden),
                }
            }
            Write::Session(contract::session::Write::CreateToken { password, .. })
                if password.0 != self.password =>
            {
                Written::Denied(Denial::Conflict)
            }
            Write::Session(contract::session::Write::CreateToken { user, client, .. }) => {
                self.networks.push((user, client.network()));
                self.token(user, client.device, client.kind)
            }
            Write::Contact(contract::contact::Write::Remove { user, friend }) => {
                let before = self.friends.len();
                self.friends.retain(|pair| *pair != (user, friend) && *pair != (friend, user));
                if self.friends.len() < before { Written::Done } else { Written::Denied(Denial::NotFound) }
            }
            Write::Contact(contract::contact::Write::Set { user, friend, .. }) => {
                match self.friends.contains(&(user, friend)) {
                    true => Written::Done,
                    false => Written::Denied(Denial::NotFound),
                }
            }
            Write::Presence(contract::presence::Write::Set { .. }) => {
                Written::Presence(contract::presence::Written::Set { changes: true })
            }
            Write::Session(contract::session::Write::Claim(claim)) => self.claim(&claim),
            Write::Session(contract::session::Write::Abandon { user, .. }) => {
                // The claim that was made last.
                let claimed = self.claimed.pop_if(|held| held.fence.user == user);
                let is_another = self.claimed.iter().any(|held| held.fence.user == user);
                let was_last = claimed.is_some() && !is_another;
                Written::Session(contract::session::Written::Ended { was_last, changes_status: false })
            }
            Write::Session(contract::session::Write::End { fence, token, .. }) => {
                let before = self.claimed.len();
                self.claimed.retain(|held| held.fence != fence);
                let is_another = |held: &ClaimedSession| held.fence.user == fence.user;
                let was_last = self.claimed.len() < before && !self.claimed.iter().any(is_another);
                self.revoked.extend(token);
                Written::Session(contract::session::Written::Ended { was_last, changes_status: false })
            }
            Write::Session(contract::session::Write::ExtendToken { token, client }) => {
                self.extend_token(token, client)
            }
            Write::Session(contract::session::Write::Revoke { which, .. }) => {
                let tokens = match which {
                    Which::One(id) if id.0 <= u32::from(self.tokens) => Tokens::One([id.0 as u8; 32]),
                    Which::One(_) => return Written::Denied(Denial::NotFound),
                    Which::Token(token) => {
                        self.revoked.push(token);
                        Tokens::One(token)
                    }
                    Which::AllBut(kept) => Tokens::AllBut(kept),
                };
                let revoked =
                    Revoked { tokens, ended: self.ended.clone(), is_gone: false, changes_status: false };
                Written::Session(contract::session::Written::Revoked(Box::new(revoked)))
            }
            Write::Account(contract::account::Write::ChangePassword(change)) => {
                if self.password != change.old {
                    return Written::Denied(Denial::Conflict);
                }
                (self.password, self.changed_by) = (change.new, Some(change.token));
                let revoked = Revoked {
                    tokens: Tokens::AllBut(change.token),
                    ended: self.ended.clone(),
                    is_gone: false,
                    changes_status: false,
                };
                Written::Account(contract::account::Written::PasswordChanged(Box::new(revoked)))
            }
            Write::Session(contract::session::Write::RevokeToken(hash)) => {
                self.revoked.push(hash);
                Written::Done
            }
            Write::Account(contract::account::Write::Create { name, .. }) => {
                self.users.push((&*name).into());
                let user = UserId(self.users.len() as u32);
                let Written::Session(contract::session::Written::TokenReady(ready)) =
                    self.token(user, None, None)
                else {
                    unreachable!()
                };
                Written::Account(contract::account::Written::Created { user, token: ready.token })
            }
            _ => Written::Done,
        }
    }

    /// Appends the entry of a change of a message. An edit or recall is laid over the message; of reactions no more is
    /// kept.
    fn change(&mut self, write: &contract::change::Write) -> Written {
        let (conversation, time) = (write.conversation, self.now.wall);
        let found = self.conversations.get_mut(conversation.0 as usize - 1);
        let Some(of) = found.filter(|found| found.members.contains(&write.by.user)) else {
            return Written::Denied(Denial::Forbidden);
        };
        let at = of.messages.iter().position(|entry| entry.seq == write.seq);
        let entry = at.map(|at| &*of.messages[at]);
        let role = |user: UserId| match of.kind == ConversationKind::Group && of.members[0] == user {
            true => Role::Creator,
            false => Role::Normal,
        };
        let sender_role = entry.map_or(Role::Normal, |entry| role(entry.from));
        let asked = Asked { entry, role: role(write.by.user), sender_role, now: time };
        let nothing = Written::Change(contract::change::Written::Unchanged(Place { seq: Seq(0), time }));
        match (rights::change(write, asked), &write.what) {
            (Err(why), _) => return Written::Change(contract::change::Written::Refused(why)),
            (Ok(Step::IsDone), _) | (_, What::React { on: false, .. }) => return nothing,
            (Ok(Step::Make), _) => {}
        }
        let seq = Seq(of.messages.len() as u64 + 1);
        let message = write.entry(of.kind, Stored { conversation, seq, time });
        if !matches!(write.what, What::React { .. }) {
            let at = at.expect("it was found");
            Arc::make_mut(&mut of.messages[at]).apply(&message, UserId(0));
        }
        of.messages.push(Arc::clone(&message));
        Written::Change(contract::change::Written::Made(Entry {
            message,
            members: of.members.as_slice().into(),
        }))
    }

    pub(super) fn find(&mut self, read: Read) -> Found {
        match read {
            Read::Account(contract::account::Read::Profile { user, who }) => {
                let is_wanted = |(name, id): &(&Arc<str>, u32)| match &who {
                    Who::Id(user) => user.0 == *id,
                    Who::Name(text) => **text == ***name,
                };
                let found = self.users.iter().zip(1..).find(is_wanted);
                Found::Account(contract::account::Found::Profile(found.map(|(name, id)| {
                    Box::new(contract::account::Profile {
                        user: UserId(id),
                        name: (&**name).into(),
                        nick: None,
                        created: UnixMillis(1),
                        friend: self.friends.contains(&(user, UserId(id))).then(Notes::default),
                    })
                })))
            }
            Read::Account(contract::account::Read::Id(who)) => {
                Found::Account(contract::account::Found::Id(self.id_of(&who)))
            }
            Read::Account(contract::account::Read::Credentials(login)) => {
                let stored = self.id_of(&login.who).map(|user| {
                    let known = login.known.as_deref().and_then(|text| text.split_once(':'));
                    let known = known.filter(|(owner, _)| owner.parse() == Ok(user.0));
                    Box::new(contract::account::Credentials {
                        changed_by: self.changed_by,
                        user,
                        hash: self.password.clone(),
                        is_familiar: self.networks.contains(&(user, login.network)),
                        known: known.map(|(_, number)| [number.parse().expect("a number"); 32]),
                    })
                });
                Found::Account(contract::account::Found::Credentials(stored))
            }
            Read::Session(contract::session::Read::Holder { token }) => self.holder(&token),
            Read::Session(contract::session::Read::Devices { .. }) => {
                let device = |number: u8| Device {
                    id: DeviceId(number.into()),
                    token: [number; 32],
                    device: None,
                    kind: ClientKind::Other,
                    address: None,
                    created: UnixMillis(1),
                    last_used: UnixMillis(2),
                    online: self.online.contains(&number),
                };
                let devices = (1..=self.tokens).map(device).collect();
                Found::Session(contract::session::Found::Devices(devices))
            }
            Read::Session(contract::session::Read::LoginView { user, with_last }) => {
                let unread = UnreadPage { rows: self.unread(user), next: None };
                let friend_ids = self.friend_ids(user);
                let (groups, conversations) = (self.groups(user), self.summaries(user, with_last));
                Found::Session(contract::session::Found::LoginView(Box::new(LoginView {
                    friend_ids,
                    groups,
                    conversations: conversations.into(),
                    unread,
                    ..LoginView::default()
                })))
            }
            Read::Timeline(contract::timeline::Read::Unread { user, after }) => {
                let rows = self.unread(user).into_iter().filter(|row| row.conversation > after).collect();
                Found::Timeline(contract::timeline::Found::Unread(UnreadPage { rows, next: None }))
            }
            Read::Contact(contract::contact::Read::Friends { user, .. }) => {
                let friend = |user: UserId| Friend {
                    user,
                    name: (&*self.users[user.0 as usize - 1]).into(),
                    last_seen: None,
                    notes: Notes::default(),
                };
                let friends = self.friend_ids(user).into_iter().map(friend).collect();
                Found::Contact(contract::contact::Found::Friends { friends, more: false })
            }
            Read::Contact(contract::contact::Read::FriendIds { user }) => {
                Found::Contact(contract::contact::Found::FriendIds(self.friend_ids(user)))
            }
            Read::Timeline(contract::timeline::Read::Standing { user, conversation }) => {
                Found::Timeline(contract::timeline::Found::Standing(self.standing(user, conversation)))
            }
            Read::Timeline(contract::timeline::Read::Feed { conversation, member, after, limit, .. }) => {
                let of = &self.conversations[conversation.0 as usize - 1];
                let left = member.and_then(|member| of.left.get(&member));
                let end = left.map_or(of.messages.len(), |left| left.0 as usize);
                let joined = member.and_then(|member| of.joined.get(&member)).copied().unwrap_or_default();
                let all = &of.messages[(after.max(joined).0 as usize).min(end)..end];
                let messages: Vec<_> = all.iter().take(limit as usize).cloned().collect();
                let more = messages.len() < all.len();
                Found::Timeline(contract::timeline::Found::Feed { messages, more, first: joined.next() })
            }
            Read::Timeline(contract::timeline::Read::Conversations { user, with_last, .. }) => {
                let entries = self.summaries(user, with_last);
                Found::Timeline(contract::timeline::Found::Conversations { entries, more: false })
            }
            Read::Timeline(contract::timeline::Read::Count { user, ranges }) => {
                let counts = ranges.iter().map(|range| self.count(user, range)).collect();
                Found::Timeline(contract::timeline::Found::Counts(counts))
            }
            Read::Timeline(contract::timeline::Read::Readers { user, conversation, seq, page }) => {
                let found = self.conversations.get(conversation.0 as usize - 1);
                let Some(of) = found.filter(|c| c.members.contains(&user)) else {
                    return Found::Denied(Denial::Forbidden);
                };
                Found::Timeline(self.readers(of, user, seq, page))
            }
            Read::Group(contract::group::Read::Members { user, conversation, page }) => {
                let found = self.conversations.get(conversation.0 as usize - 1);
                let Some(Conversation { members, .. }) = found.filter(|found| found.members.contains(&user))
                else {
                    return Found::Denied(Denial::Forbidden);
                };
                let above: Vec<_> = members.iter().filter(|member| member.0 > page.after).collect();
                let row = |&&user: &&UserId| contract::group::Member {
                    user,
                    name: (&*self.users[user.0 as usize - 1]).into(),
                    role: Role::Normal,
                };
                Found::Group(contract::group::Found::Members {
                    members: above.iter().take(page.limit as usize).map(row).collect(),
                    more: above.len() > page.limit as usize,
                })
            }
            Read::Group(contract::group::Read::GroupIds { user }) => {
                Found::Group(contract::group::Found::GroupIds(
                    self.groups(user).into_iter().map(|group| group.conversation).collect(),
                ))
            }
            Read::Node(contract::node::Read::Roster { conversation }) => {
                let found = self.conversations.get(conversation.0 as usize - 1);
                Found::Node(contract::node::Found::Roster(found.map(|c| {
                    let member = |user: &UserId| RosterMember {
                        user: *user,
                        joined: c.joined.get(user).copied().unwrap_or_default(),
                        left: c.left.get(user).copied(),
                        delivered: c.cursors[user].0,
                    };
                    let members = c.members.iter().chain(c.left.keys()).map(member).collect();
                    Box::new(Roster { kind: c.kind, last: Seq(c.messages.len() as u64), members })
                })))
            }
            Read::Presence(contract::presence::Read::Online { users, .. }) => {
                let elsewhere = users.into_iter().filter(|user| self.elsewhere.contains(user));
                let shown = elsewhere.map(|user| Online { user, status: self.elsewhere_shows.clone() });
                Found::Presence(contract::presence::Found::Online(shown.collect()))
            }
            Read::Node(contract::node::Read::Session(fence)) => {
                Found::Node(contract::node::Found::Session(self.ends.get(&fence).copied()))
            }
            Read::Timeline(contract::timeline::Read::View { user, conversation, read }) => {
                let view = self.standing(user, conversation).map(|standing| {
                    Box::new(ConversationView {
                        conversation,
                        read_seq: standing.read.max(read),
                        first_seq: Seq(1),
                        last_seq: standing.last,
                        unread: 0,
                        unread_more: false,
                        mentions: 0,
                        pinned: false,
                        muted: false,
                        hidden: false,
                    })
                });
                Found::Timeline(contract::timeline::Found::View(view))
            }
            _ => Found::Unavailable,
        }
    }

    fn readers(&self, of: &Conversation, user: UserId, seq: Seq, page: Page) -> contract::timeline::Found {
        let joined = |user: &UserId| of.joined.get(user).copied().unwrap_or_default();
        let in_view = Some(seq).filter(|seq| *seq > joined(&user));
        let entry = in_view.and_then(|seq| of.messages.get((seq.0 as usize).checked_sub(1)?));
        if let Err(why) = NoReaders::check(user, of.kind, entry.map(|entry| &**entry)) {
            return contract::timeline::Found::NoReaders(why);
        }
        let members = of.members.iter().copied();
        let recipients: Vec<_> = members.filter(|member| *member != user && joined(member) < seq).collect();
        let readers = recipients.iter().filter(|member| of.cursors[*member].1 >= seq);
        let reader = |id: &UserId| Reader { id: *id, name: (&*self.users[id.0 as usize - 1]).into() };
        let mut on_page: Vec<Reader> = readers.clone().filter(|id| id.0 > page.after).map(reader).collect();
        let more = on_page.len() > page.limit as usize;
        on_page.truncate(page.limit as usize);
        contract::timeline::Found::Readers(Box::new(ReadersPage {
            readers: on_page,
            count: readers.count() as u32,
            of: recipients.len() as u32,
            more,
        }))
    }

    fn standing(&self, user: UserId, conversation: ConversationId) -> Option<Standing> {
        let found = self.conversations.get(conversation.0 as usize - 1)?;
        let left = found.left.get(&user);
        (left.is_some() || found.members.contains(&user)).then(|| Standing {
            kind: found.kind,
            peer: peer(found, user),
            last: left.copied().unwrap_or(Seq(found.messages.len() as u64)),
            has_left: left.is_some(),
            delivered: found.cursors[&user].0,
            read: found.cursors[&user].1,
        })
    }

    fn id_of(&self, who: &Who) -> Option<UserId> {
        let mut users = self.users.iter().zip(1..);
        let found = users.find(|(name, id)| match who {
            Who::Id(user) => user.0 == *id,
            Who::Name(text) => *text == Box::from(&***name),
        });
        found.map(|(_, id)| UserId(id))
    }

    fn groups(&self, user: UserId) -> Vec<Group> {
        let is_theirs = |c: &Conversation| c.kind == ConversationKind::Group && c.members.contains(&user);
        let groups = self.conversations.iter().zip(1..).filter(|(c, _)| is_theirs(c));
        let (name, desc, role) = (Box::<str>::from("group"), Box::<str>::from(""), Role::Normal);
        let group =
            |id| Group { conversation: ConversationId(id), name: name.clone(), desc: desc.clone(), role };
        groups.map(|(_, id)| group(id)).collect()
    }

    fn friend_ids(&self, user: UserId) -> Vec<UserId> {
        self.friends.iter().filter(|(a, _)| *a == user).map(|(_, b)| *b).collect()
    }

    fn unread(&self, user: UserId) -> Vec<Unread> {
        let rows = self.conversations.iter().zip(1..).filter_map(|(c, id)| {
            let left = c.left.get(&user);
            let (delivered, last) =
                (c.cursors.get(&user)?.0, left.copied().unwrap_or(Seq(c.messages.len() as u64)));
            let (conversation, peer, has_left) = (ConversationId(id), peer(c, user), left.is_some());
            (delivered < last).then_some(Unread { conversation, peer, delivered, last, has_left })
        });
        rows.collect()
    }
}

pub(super) fn peer(conversation: &Conversation, user: UserId) -> Option<UserId> {
    match conversation.kind {
        ConversationKind::Direct => conversation.members.iter().copied().find(|&member| member != user),
        ConversationKind::Group => None,
    }
}
