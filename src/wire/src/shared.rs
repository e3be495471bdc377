//! Serde for messages that a page shares with the timeline they come from.

use crate::message::Message;
use serde::{Deserialize, Deserializer, Serializer};
use std::sync::Arc;

pub fn serialize<S: Serializer>(messages: &[Arc<Message>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(messages.iter().map(|message| &**message))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Arc<Message>>, D::Error> {
    Vec::<Message>::deserialize(deserializer).map(|messages| messages.into_iter().map(Arc::new).collect())
}
