//! The tokens of the harness. The text of one is the account's id and the token's number, which fills its hash.

use super::Harness;
use logic::contract::message::AppendByToken;
use logic::contract::session::{self, Holder, TokenReady};
use logic::contract::{Client, Denial, Token, message};
use logic::{Found, Write, Written};
use std::sync::Arc;
use wire::session::ClientKind;
use wire::{UnixMillis, UserId};

impl Harness {
    pub(super) fn token(
        &mut self,
        user: UserId,
        device: Option<Box<str>>,
        kind: Option<ClientKind>,
    ) -> Written {
        self.tokens += 1;
        let text = format!("{}:{}", user.0, self.tokens).into();
        let token = Token { text, hash: [self.tokens; 32], expires: UnixMillis(0) };
        self.ready(user, token, device, kind)
    }

    pub(super) fn extend_token(&mut self, text: Box<str>, client: Client) -> Written {
        let Some((user, hash)) = parts(&text) else { return Written::Denied(Denial::TokenInvalid) };
        let device = client.device.or_else(|| self.device.clone());
        self.ready(user, Token { text, hash, expires: UnixMillis(0) }, device, client.kind)
    }

    fn ready(
        &self,
        user: UserId,
        token: Token,
        device: Option<Box<str>>,
        kind: Option<ClientKind>,
    ) -> Written {
        let (name, kind) = (self.name(user), kind.unwrap_or_default());
        Written::Session(session::Written::TokenReady(Box::new(TokenReady {
            user,
            name,
            token,
            device,
            kind,
        })))
    }

    pub(super) fn holder(&self, text: &str) -> Found {
        let holder = parts(text).filter(|(_, token)| !self.revoked.contains(token)).map(|(user, token)| {
            Box::new(Holder { user, name: self.name(user), token, is_stale: self.has_stale_tokens })
        });
        Found::Session(session::Found::Holder(holder))
    }

    pub(super) fn append_by_token(&mut self, by: AppendByToken) -> Written {
        match self.revoked.contains(&by.token) {
            true => Written::Superseded,
            false => self.write(Write::Message(message::Write::Append(by.append))),
        }
    }

    fn name(&self, user: UserId) -> Arc<str> {
        Arc::clone(&self.users[user.0 as usize - 1])
    }
}

fn parts(text: &str) -> Option<(UserId, [u8; 32])> {
    let (user, number) = text.split_once(':')?;
    Some((UserId(user.parse().expect("a number")), [number.parse().expect("a number"); 32]))
}
