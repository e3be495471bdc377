//! A record of what was sent and what was acknowledged, and its audit against a timeline.

use super::client::{Client, Closed, Event, text};
use super::setup::{UNAVAILABLE_FOR, until_available};
use super::{Account, PATIENCE};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;
use wire::{Command, ConversationId, Message, Push, Reply, Seq, Target, UserId};
use wire::{message, session};

/// A sender acknowledges every message whose `seq` is a multiple of this.
const ACK_EVERY: u64 = 64;
/// One of this many acknowledged messages is sent again, which must be answered `duplicate`.
const RETRY_EVERY: usize = 16;

/// A count that threads raise and wait for, such as messages acknowledged to all senders.
#[derive(Debug, Default)]
pub struct Counter {
    count: Mutex<usize>,
    grown: Condvar,
}

impl Counter {
    /// Raises the count.
    pub fn add_one(&self) {
        *self.count.lock().unwrap() += 1;
        self.grown.notify_one();
    }

    /// The count so far.
    pub fn count(&self) -> usize {
        *self.count.lock().unwrap()
    }

    /// Waits until the count has reached `count`.
    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        self.wait_within(count, 3 * PATIENCE);
    }

    /// Waits until the count has reached `count`, for `patience` at most.
    #[track_caller]
    pub fn wait_within(&self, count: usize, patience: Duration) {
        let lock = self.count.lock().unwrap();
        let (found, _) = self.grown.wait_timeout_while(lock, patience, |found| *found < count).unwrap();
        assert!(*found >= count, "there are only {found} of {count} messages after {patience:?}");
    }
}

/// One message and its acknowledgement.
#[derive(Clone, Debug)]
pub struct Post {
    pub cid: String,
    pub target: Target,
    pub content: String,
    /// Where the server stored it, once acknowledged.
    pub place: Option<(ConversationId, Seq)>,
    /// Whether the first try was acknowledged, or none was yet.
    pub first_try: bool,
}

impl Post {
    /// The SEND again, with the same `cid`.
    fn again(&self) -> Command {
        text(self.target.clone(), &self.content, Some(&self.cid))
    }

    /// Records the reply to [`Post::again`]: an acknowledged message keeps its place.
    fn answered_again(&mut self, reply: Reply) {
        match reply {
            Reply::Message(message::Reply::Sent(sent)) if self.place.is_none() => {
                self.place = Some((sent.conversation, sent.seq));
                self.first_try = false;
            }
            Reply::Message(message::Reply::Sent(sent)) => {
                assert!(sent.duplicate, "{} was stored before, and again", self.cid);
                assert_eq!(Some((sent.conversation, sent.seq)), self.place, "{} has moved", self.cid);
            }
            other => panic!("the retry of {} was answered {other:?}", self.cid),
        }
    }
}

/// A client that sends many messages and records them.
pub struct Sender {
    pub account: Account,
    pub posts: Vec<Post>,
    pub client: Client,
    waiting: HashMap<u32, usize>,
    /// Whether GOING_AWAY has come on this connection.
    pub was_warned: bool,
}

impl Sender {
    /// Registers an account and logs in.
    pub fn join(address: SocketAddr, name: &str) -> Sender {
        let (client, account) = Client::join(address, name);
        Sender { account, posts: Vec::new(), client, waiting: HashMap::new(), was_warned: false }
    }

    /// Sends messages, at most `window` of them unanswered, until the connection is lost or `limit` are
    /// answered. Each acknowledgement raises `promised`.
    pub fn stream(
        &mut self,
        window: usize,
        limit: usize,
        promised: &Counter,
        mut next: impl FnMut(usize) -> (Target, String),
    ) -> Result<(), Closed> {
        let (begin, mut answered) = (self.posts.len(), 0);
        while answered < limit {
            while self.waiting.len() < window && self.posts.len() - begin < limit {
                let number = self.posts.len();
                let (target, content) = next(number);
                let cid = format!("{}-{number}", self.account.name);
                let command = text(target.clone(), &content, Some(&cid));
                self.posts.push(Post { cid, target, content, place: None, first_try: true });
                let request = self.client.post(&command)?;
                self.waiting.insert(request, number);
            }
            answered += self.take_event(promised)?;
        }
        Ok(())
    }

    /// Sends `count` messages, retrying those that are refused until all are stored.
    #[track_caller]
    pub fn store(&mut self, window: usize, count: usize, next: impl FnMut(usize) -> (Target, String)) {
        self.stream(window, count, &Counter::default(), next).expect("the server stays");
        for post in self.posts.iter_mut().filter(|post| post.place.is_none()) {
            post.answered_again(self.client.ask_again(&post.again()));
        }
    }

    /// Waits before going on, if one of the messages from `begin` on was refused.
    pub fn heed_refusals(&self, begin: usize) {
        if self.posts[begin..].iter().any(|post| post.place.is_none()) {
            thread::sleep(UNAVAILABLE_FOR);
        }
    }

    /// Handles one event; returns how many messages it answered.
    fn take_event(&mut self, promised: &Counter) -> Result<usize, Closed> {
        match self.client.event(PATIENCE)? {
            Some(Event::Reply(request, reply)) => {
                let post = &mut self.posts[self.waiting.remove(&request).expect("only messages wait here")];
                match reply {
                    Reply::Message(message::Reply::Sent(sent)) => {
                        assert!(!sent.duplicate, "{} was sent once and is called a duplicate", post.cid);
                        post.place = Some((sent.conversation, sent.seq));
                        promised.add_one();
                    }
                    Reply::Refused(_) => {}
                    other => panic!("SEND was answered {other:?}"),
                }
                Ok(1)
            }
            Some(Event::Push(Push::Message(message::Push::New(message)))) => {
                if message.seq.0.is_multiple_of(ACK_EVERY) {
                    self.client.ack(message.conversation, message.seq)?;
                }
                Ok(0)
            }
            Some(Event::Push(Push::Session(session::Push::GoingAway(_)))) => {
                self.was_warned = true;
                Ok(0)
            }
            Some(_) => Ok(0),
            None => panic!("the server has said nothing for {PATIENCE:?}"),
        }
    }

    /// Handles events until the connection is lost.
    pub fn read_to_the_end(&mut self) {
        let promised = Counter::default();
        while self.take_event(&promised).is_ok() {}
    }

    /// Logs in again, perhaps at another node, and sends every unacknowledged message again with its `cid`, until all
    /// are acknowledged or this connection is lost as well. Returns whether the session was resumed.
    pub fn resume(&mut self, address: SocketAddr) -> Result<bool, Closed> {
        self.go_on_with(Client::try_connect(address).map_err(|_| Closed)?);
        let session = match until_available(&mut self.client, &Client::by_token(&self.account))? {
            Reply::Session(session::Reply::LoggedIn(session)) => session,
            other => panic!("the login of {} was answered {other:?}", self.account.name),
        };
        for post in self.posts.iter_mut().filter(|post| post.place.is_none()) {
            post.answered_again(until_available(&mut self.client, &post.again())?);
        }
        Ok(session.resumed)
    }

    /// Does the same at a server that stays up. Some acknowledged messages are sent again, too, and must be duplicates.
    pub fn retry_all(&mut self, address: SocketAddr) {
        self.go_on_with(Client::login_to(address, &self.account));
        for (number, post) in self.posts.iter_mut().enumerate() {
            if post.place.is_none() || number.is_multiple_of(RETRY_EVERY) {
                let reply = until_available(&mut self.client, &post.again());
                post.answered_again(reply.expect("the server stays"));
            }
        }
    }

    /// Replaces the connection; requests on the old one stay unanswered.
    fn go_on_with(&mut self, client: Client) {
        self.client = client;
        self.waiting.clear();
        self.was_warned = false;
    }
}

/// Checks a timeline, or its part after `after`, against its senders' records. Every acknowledgement must
/// hold: each message is there once, whole, at its place, and each sender's first tries are in order. Nothing
/// else is there, and no `seq` is left out.
pub fn audit(conversation: ConversationId, after: Seq, timeline: &[Arc<Message>], senders: &[&Sender]) {
    // In a group the view of who audits begins with its own entry, before all messages.
    let first = timeline.first().filter(|entry| !entry.is_message()).map_or(after.next(), |entry| entry.seq);
    for (message, seq) in timeline.iter().zip(first.0..) {
        assert_eq!((message.conversation, message.seq), (conversation, Seq(seq)), "a number is left out");
    }
    let mut places: BTreeMap<Seq, (UserId, &Post)> = BTreeMap::new();
    for sender in senders {
        let here = |post: &&Post| post.place.is_none_or(|(place, seq)| place == conversation && seq > after);
        let mut last_of_first_tries = Seq(0);
        for post in sender.posts.iter().filter(here) {
            let (_, seq) = post.place.unwrap_or_else(|| panic!("{} was never promised", post.cid));
            let other = places.insert(seq, (sender.account.id, post));
            assert!(other.is_none(), "{} and {other:?} were promised the same place", post.cid);
            if post.first_try {
                assert!(seq > last_of_first_tries, "{} overtook one that was sent before it", post.cid);
                last_of_first_tries = seq;
            }
        }
    }
    let mut seen = HashSet::new();
    for message in timeline.iter().filter(|message| message.is_message()) {
        let cid = message.cid.as_deref().expect("every message here has a cid");
        assert!(seen.insert((message.from, cid)), "{cid} is there twice");
        let (from, post) = places.remove(&message.seq).unwrap_or_else(|| panic!("nobody was promised {cid}"));
        assert_eq!((from, &*post.cid), (message.from, cid), "another message is at its place");
        assert!(*post.content == *message.content, "{cid} has other words");
    }
    assert!(places.is_empty(), "promised and not there: {:?}", places.keys().collect::<Vec<_>>());
}
