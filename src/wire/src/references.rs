//! What a message refers to: the entry that it answers, and the members whom it mentions.

use crate::{Seq, UserId, json, limits};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// What a message refers to. In JSON the fields `reply_to`, and `mentions` or `mention_all`, each only where it is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Fields")]
pub struct References {
    /// The entry of the same timeline that the message answers.
    pub reply_to: Option<Seq>,
    pub mentions: Mentions,
}

/// The members whom a message mentions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mentions {
    #[default]
    Nobody,
    /// 1 to 50 members, each once.
    Users(Box<[UserId]>),
    All,
}

/// References as they stand in JSON.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    reply_to: Option<Seq>,
    mentions: Box<[UserId]>,
    mention_all: bool,
}

impl From<Fields> for References {
    fn from(Fields { reply_to, mentions, mention_all }: Fields) -> References {
        References { reply_to, mentions: Mentions::of(mentions, mention_all) }
    }
}

impl Serialize for References {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        if let Some(seq) = self.reply_to {
            fields.serialize_entry("reply_to", &seq)?;
        }
        match &self.mentions {
            Mentions::Nobody => {}
            Mentions::Users(users) => fields.serialize_entry("mentions", users)?,
            Mentions::All => fields.serialize_entry("mention_all", &true)?,
        }
        fields.end()
    }
}

impl References {
    /// At most how many bytes they take in JSON.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let mentions = match &self.mentions {
            Mentions::Users(users) => users.len() * "2147483647,".len(),
            Mentions::Nobody | Mentions::All => 0,
        };
        mentions + r#""reply_to":9007199254740991,"mention_all":true,"#.len()
    }

    /// Whether a message with them refers to nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reply_to.is_none() && self.mentions == Mentions::Nobody
    }

    /// The fields as one JSON object, in which form they are stored.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        json::write(&mut out, self);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    /// Reads what [`References::to_json`] wrote; `None`: it is damaged.
    #[must_use]
    pub fn from_json(text: &str) -> Option<References> {
        json::read(text.as_bytes()).ok().filter(|read: &References| !read.is_empty())
    }

    /// Checks the fields of SEND; `None`: it refers to nothing. The error is a sentence that names the field.
    pub(crate) fn from_fields(
        reply_to: Option<Seq>,
        mentions: Option<Box<[UserId]>>,
        mention_all: Option<bool>,
    ) -> Result<Option<Box<References>>, String> {
        if (&reply_to, &mentions, mention_all) == (&None, &None, None) {
            return Ok(None);
        }
        let (mentions, mention_all) = (mentions.unwrap_or_default(), mention_all.unwrap_or_default());
        if mention_all && !mentions.is_empty() {
            return Err("`mention_all` stands alone, without `mentions`".to_owned());
        }
        if mentions.len() > limits::MENTIONS {
            return Err(format!("`mentions` must have at most {} ids", limits::MENTIONS));
        }
        let is_repeated = |(at, user): (usize, &UserId)| mentions[..at].contains(user);
        if mentions.iter().enumerate().any(is_repeated) {
            return Err("`mentions` must have each id once".to_owned());
        }
        let references = References { reply_to, mentions: Mentions::of(mentions, mention_all) };
        Ok((!references.is_empty()).then(|| Box::new(references)))
    }
}

impl Mentions {
    /// All members, or these.
    #[must_use]
    pub fn of(users: Box<[UserId]>, all: bool) -> Mentions {
        match (all, users.is_empty()) {
            (true, _) => Mentions::All,
            (false, true) => Mentions::Nobody,
            (false, false) => Mentions::Users(users),
        }
    }

    /// Whether a member is among them.
    #[must_use]
    pub fn contain(&self, user: UserId) -> bool {
        match self {
            Mentions::Nobody => false,
            Mentions::Users(users) => users.contains(&user),
            Mentions::All => true,
        }
    }
}
