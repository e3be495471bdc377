//! Whoever reaches Redis: publishes again what the nodes published, some of it changed or on another channel.

use super::Attack;
use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::thread;

#[derive(Clone, Debug, Hash)]
struct Publication {
    channel: String,
    payload: Vec<u8>,
}

pub struct Forger {
    publisher: redis::Connection,
    heard: Receiver<Publication>,
    /// What the nodes published of late.
    latest: Vec<Publication>,
    /// What this one published, which it hears as well.
    own: HashSet<u64>,
    hasher: RandomState,
    made: usize,
}

impl Forger {
    const LATEST: usize = 256;

    pub fn new(redis: SocketAddr) -> Forger {
        let client = redis::Client::open(format!("redis://{redis}")).unwrap();
        let mut listener = client.get_connection().unwrap();
        let (sender, heard) = mpsc::channel();
        // Ends with Redis, or with the forger.
        thread::spawn(move || {
            let mut listener = listener.as_pubsub();
            listener.psubscribe("*").unwrap();
            while let Ok(message) = listener.get_message() {
                let (channel, payload) =
                    (message.get_channel_name().to_owned(), message.get_payload_bytes().to_vec());
                if sender.send(Publication { channel, payload }).is_err() {
                    return;
                }
            }
        });
        let publisher = client.get_connection().unwrap();
        let (latest, own, hasher) = (Vec::new(), HashSet::new(), RandomState::new());
        Forger { publisher, heard, latest, own, hasher, made: 0 }
    }

    fn forgery(&mut self) -> Option<Publication> {
        let count = self.latest.len();
        self.made += 1;
        let mut forgery = self.latest.get(self.made % count.max(1))?.clone();
        match self.made % 3 {
            0 if !forgery.payload.is_empty() => {
                let at = self.made % forgery.payload.len();
                forgery.payload[at] ^= 1;
            }
            1 => forgery.channel.clone_from(&self.latest[(self.made * 7) % count].channel),
            _ => {}
        }
        Some(forgery)
    }
}

impl Attack for Forger {
    fn name(&self) -> &'static str {
        "forgeries"
    }

    fn rate(&self) -> u32 {
        20
    }

    fn attempts(&self) -> u32 {
        25
    }

    fn strike(&mut self) {
        while let Ok(publication) = self.heard.try_recv() {
            if !self.own.contains(&self.hasher.hash_one(&publication)) {
                self.latest.push(publication);
            }
        }
        self.latest.drain(..self.latest.len().saturating_sub(Forger::LATEST));
        let mut pipe = redis::pipe();
        for _ in 0..self.attempts() {
            let Some(forgery) = self.forgery() else { return };
            self.own.insert(self.hasher.hash_one(&forgery));
            pipe.cmd("PUBLISH").arg(forgery.channel).arg(forgery.payload).ignore();
        }
        pipe.exec(&mut self.publisher).unwrap();
    }
}
