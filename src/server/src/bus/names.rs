//! The names of channels and keys in Redis. All carry the id of the deployment, because publications reach every
//! subscriber of a Redis server, whatever the number of its database.

use logic::bus::Channel;
use wire::{ConversationId, UserId};

/// The names of one deployment.
#[derive(Clone, Debug)]
pub struct Names {
    prefix: Box<str>,
}

impl Names {
    /// `server`: the id of the deployment's database.
    pub fn new(server: &str) -> Names {
        Names { prefix: format!("chat:{server}:").into() }
    }

    pub fn channel(&self, channel: &Channel) -> String {
        let prefix = &self.prefix;
        match channel {
            Channel::User(user) => format!("{prefix}user:{user}"),
            Channel::Group(group) => format!("{prefix}group:{group}"),
            Channel::Node(run) => format!("{prefix}node:{run}"),
        }
    }

    /// The channel with this name; `None` if this program does not use it.
    pub fn parse_channel(&self, name: &str) -> Option<Channel> {
        let (kind, rest) = name.strip_prefix(&*self.prefix)?.split_once(':')?;
        Some(match kind {
            "user" => Channel::User(UserId(rest.parse().ok()?)),
            "group" => Channel::Group(ConversationId(rest.parse().ok()?)),
            "node" => Channel::Node(rest.into()),
            _ => return None,
        })
    }

    /// The key of the lock on a user's logins.
    pub fn lock(&self, user: UserId) -> String {
        format!("{}lock:{user}", self.prefix)
    }

    /// The key that shows that a run lives.
    pub fn lease(&self, run: &str) -> String {
        format!("{}lease:{run}", self.prefix)
    }

    /// The key of the online set: the ids of users by their last life sign, Unix time in milliseconds.
    pub fn online(&self) -> String {
        format!("{}online", self.prefix)
    }

    /// The key of a run's last report.
    pub fn report(&self, run: &str) -> String {
        format!("{}report:{run}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_names_round_trip() {
        let names = Names::new("5e1f");
        for each in [Channel::User(UserId(1)), Channel::Group(ConversationId(2)), Channel::Node("n:1".into())]
        {
            assert_eq!(names.parse_channel(&names.channel(&each)), Some(each));
        }
        for other in ["chat:5e1f:other:1", "chat:5e1e:user:1", "chat:user:1", "chat:5e1f:user:x", ""] {
            assert_eq!(names.parse_channel(other), None, "{other}");
        }
    }
}
