//! What other nodes do in the database of the harness, and its table of sessions.

use super::{ClaimedSession, Harness};
use logic::conflict::{self, Party};
use logic::contract::session::{Claim, Claimed, Ended};
use logic::contract::{self, Denial, Epoch, Fence, TokenHash, node};
use logic::{Found, Read, Written};
use std::sync::Arc;
use wire::session::KickCode;
use wire::{ConversationId, Message, Seq, UnixMillis, UserId};

impl Harness {
    /// Lets the node read what is due for itself, and answers the read that is wanted; `found` is given the time.
    pub fn answer_node(
        &mut self,
        is_wanted: impl Fn(&node::Read) -> bool,
        found: impl FnOnce(UnixMillis) -> node::Found,
    ) {
        self.advance(10_000);
        let is_it = |(_, read): &(_, Read)| matches!(read, Read::Node(read) if is_wanted(read));
        let at = self.reads.iter().position(is_it).expect("it is read");
        let (ticket, _) = self.reads.remove(at).expect("it is there");
        let found = Found::Node(found(self.now.wall));
        self.logic.handle_found(self.now, ticket, found, &mut self.effects);
        self.advance(0);
        self.settle();
    }

    pub(super) fn claim(&mut self, claim: &Claim) -> Written {
        let (user, epoch) = (claim.user, Epoch(self.next_epoch));
        let (held, others): (Vec<_>, Vec<_>) =
            self.claimed.drain(..).partition(|held| held.fence.user == user);
        self.claimed = others;
        fn identity(held: &ClaimedSession) -> (&TokenHash, Option<&str>) {
            (&held.token, held.device.as_deref())
        }
        let party = Party { identity: (&claim.token, claim.device.as_deref()), kind: claim.kind };
        let standing = |held: &ClaimedSession| conflict::Standing {
            party: Party { identity: (held.token, held.device.clone()), kind: held.kind },
            is_connected: true,
            silent: 0,
        };
        let standings: Vec<_> = held.iter().map(standing).collect();
        let owned = Party { identity: (claim.token, claim.device.clone()), kind: claim.kind };
        let Ok(decided) = conflict::decide(claim.policy, &owned, &standings) else {
            self.claimed.extend(held);
            return Written::Denied(Denial::Conflict);
        };
        self.next_epoch += 1;
        let was_present = !held.is_empty();
        let (mut resumed, mut ended, mut others) = (false, Vec::new(), Vec::new());
        for (held, why) in held.into_iter().zip(decided) {
            match why {
                Some(why) => {
                    resumed |= identity(&held) == party.identity;
                    ended.push(Ended { node: held.node, epoch: held.fence.epoch, why });
                    self.ends.insert(held.fence, why);
                }
                None => {
                    others.push(held.node.clone());
                    self.claimed.push(held);
                }
            }
        }
        self.claimed.push(ClaimedSession {
            fence: Fence { user, epoch },
            node: (&*claim.node).into(),
            token: claim.token,
            device: claim.device.clone(),
            kind: claim.kind,
        });
        let (status, changes_status, forgotten) = (None, false, vec![]);
        let claimed =
            Claimed { epoch, resumed, was_present, status, changes_status, ended, forgotten, others };
        Written::Session(contract::session::Written::Claimed(Box::new(claimed)))
    }

    /// Stores a message, as another node does.
    pub fn store_directly(&mut self, from: UserId, conversation: ConversationId, text: &str) -> Arc<Message> {
        let time = self.now.wall;
        let of = &mut self.conversations[conversation.0 as usize - 1];
        let message = Arc::new(Message {
            conversation,
            kind: of.kind,
            seq: Seq(of.messages.len() as u64 + 1),
            from,
            name: Arc::clone(&self.users[from.0 as usize - 1]),
            content_type: wire::message::TEXT.into(),
            content: text.into(),
            time,
            cid: None,
            extra: None,
        });
        of.messages.push(Arc::clone(&message));
        message
    }

    /// Ends a claimed session, as another node does.
    pub fn end(&mut self, fence: Fence, why: KickCode) {
        self.claimed.retain(|held| held.fence != fence);
        self.ends.insert(fence, why);
    }
}
