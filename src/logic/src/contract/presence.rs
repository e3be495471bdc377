//! Online users, across all nodes, and what they show to their friends.

use super::Fence;
use wire::UserId;

#[derive(Clone, Debug)]
pub enum Write {
    /// Records what a claimed session shows from now on. `grace` as in [`Read::Online`]. Outcome: [`Written::Set`].
    Set { fence: Fence, status: Status, grace: u64 },
    /// Records when users were last seen, each as milliseconds before now, unless the user was seen later. Outcome: done.
    Seen(Vec<(UserId, u64)>),
}

#[derive(Clone, Debug)]
pub enum Written {
    Set {
        /// Whether the account shows something else than before.
        changes: bool,
    },
}

#[derive(Clone, Debug)]
pub enum Read {
    /// Which of these users are online: they have a session that is connected, or lost its connection less than `grace`
    /// ago, and its node was seen less than [`super::node::node_grace`] ago. Answer: [`Found::Online`].
    Online {
        users: Vec<UserId>,
        /// How long a session outlives its connection or its node, milliseconds.
        grace: u64,
    },
}

#[derive(Clone, Debug)]
pub enum Found {
    /// Those of the users that are online, by id.
    Online(Vec<Online>),
}

/// A user who is online.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Online {
    pub user: UserId,
    pub status: Status,
}

/// What a session, or an account with a session, shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub is_away: bool,
    /// At most [`wire::limits::PRESENCE_TEXT_CHARS`] characters.
    pub text: Option<Box<str>>,
}

/// What a session has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetStatus {
    pub status: Status,
    /// Ascends from one that a session of the account sets to the next.
    pub at: u64,
}

/// What an account shows, by what each of its sessions has set; `None` where it has no session. It is away if all of them
/// are. The text is that of the session that has set something last.
pub fn of_account<'a>(sessions: impl Iterator<Item = Option<&'a SetStatus>>) -> Option<Status> {
    let mut shown: Option<Status> = None;
    let mut last: Option<&SetStatus> = None;
    for set in sessions {
        let is_away = set.is_some_and(|set| set.status.is_away);
        shown.get_or_insert(Status { is_away: true, text: None }).is_away &= is_away;
        if set.is_some_and(|set| last.is_none_or(|last| set.at >= last.at)) {
            last = set;
        }
    }
    let shown = shown?;
    Some(Status { text: last.and_then(|set| set.status.text.clone()), ..shown })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(is_away: bool, text: Option<&str>, at: u64) -> SetStatus {
        SetStatus { status: Status { is_away, text: text.map(Into::into) }, at }
    }

    fn shown(sessions: &[Option<SetStatus>]) -> Option<(bool, Option<Box<str>>)> {
        of_account(sessions.iter().map(Option::as_ref)).map(|status| (status.is_away, status.text))
    }

    #[test]
    fn an_account_is_away_only_if_all_sessions_are() {
        let away = |at| Some(set(true, None, at));
        assert_eq!(shown(&[]), None);
        assert_eq!(shown(&[None]), Some((false, None)));
        assert_eq!(shown(&[away(1), away(2)]), Some((true, None)));
        assert_eq!(shown(&[away(1), None]), Some((false, None)));
        assert_eq!(shown(&[away(1), Some(set(false, None, 2))]), Some((false, None)));
    }

    #[test]
    fn the_text_is_the_one_that_was_set_last() {
        let (lunch, busy) = (Some(set(true, Some("lunch"), 1)), Some(set(false, Some("busy"), 2)));
        assert_eq!(shown(&[busy.clone(), lunch.clone(), None]), Some((false, Some("busy".into()))));
        assert_eq!(shown(&[lunch.clone(), None]), Some((false, Some("lunch".into()))));
        let removed = Some(set(true, None, 3));
        assert_eq!(shown(&[lunch, removed, busy]), Some((false, None)), "a session has removed it");
    }
}
