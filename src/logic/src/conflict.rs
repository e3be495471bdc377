//! Which sessions of an account a login ends.

use wire::session::{ClientKind, KickCode};

/// What becomes of the sessions that an account has when another login comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Those of clients of the same kind end.
    Kind,
    /// All of them end.
    Kick,
    /// The login is refused while another client is connected.
    Reject,
    /// None of them ends.
    Multi,
}

/// The rules for the sessions of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub conflict: Conflict,
    /// How many sessions an account may have; 0: any number.
    pub sessions_max: u32,
}

impl Policy {
    /// Whether a login may end a session because it is the longest silent one.
    #[must_use]
    pub fn ends_silent_ones(&self) -> bool {
        let most = match self.conflict {
            Conflict::Multi => u32::MAX,
            Conflict::Kind => ClientKind::ALL.len() as u32,
            Conflict::Kick | Conflict::Reject => 1,
        };
        (1..most).contains(&self.sessions_max)
    }
}

/// A client that has a session, or logs in. Clients with the same identity, which is the token and the device, have one
/// session.
#[derive(Clone, Copy, Debug)]
pub struct Party<I> {
    pub identity: I,
    pub kind: ClientKind,
}

/// A session in force.
#[derive(Clone, Copy, Debug)]
pub struct Standing<I> {
    pub party: Party<I>,
    /// Whether it has a connection, to a node that is not silent.
    pub is_connected: bool,
    /// How long nothing was heard of its client, milliseconds.
    pub silent: u64,
}

/// The login is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// Decides for each session whether the login of `party` ends it, and why.
///
/// # Errors If the login is refused: no session ends.
pub fn decide<I: PartialEq>(
    policy: Policy,
    party: &Party<I>,
    sessions: &[Standing<I>],
) -> Result<Vec<Option<KickCode>>, Refused> {
    let is_same = |session: &Standing<I>| session.party.identity == party.identity;
    if policy.conflict == Conflict::Reject
        && sessions.iter().any(|session| session.is_connected && !is_same(session))
    {
        return Err(Refused);
    }
    let ends = |session: &Standing<I>| {
        is_same(session)
            || match policy.conflict {
                Conflict::Kind => session.party.kind == party.kind,
                Conflict::Kick | Conflict::Reject => true,
                Conflict::Multi => false,
            }
    };
    let mut decided: Vec<Option<KickCode>> =
        sessions.iter().map(|session| ends(session).then_some(KickCode::Login)).collect();
    if policy.sessions_max > 0 {
        let stays = |decided: &[Option<KickCode>]| decided.iter().filter(|why| why.is_none()).count();
        while stays(&decided) >= policy.sessions_max as usize {
            let staying = (0..sessions.len()).filter(|&at| decided[at].is_none());
            let Some(silent) = staying.max_by_key(|&at| sessions[at].silent) else { break };
            decided[silent] = Some(KickCode::Limit);
        }
    }
    Ok(decided)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token and a device.
    type Identity = (u8, u8);

    const LAPTOP: u8 = 1;
    const PHONE: u8 = 2;

    fn session(token: u8, device: u8, kind: ClientKind, silent: u64) -> Standing<Identity> {
        Standing { party: Party { identity: (token, device), kind }, is_connected: true, silent }
    }

    fn decided(
        conflict: Conflict,
        sessions_max: u32,
        sessions: &[Standing<Identity>],
    ) -> Vec<Option<KickCode>> {
        let login = Party { identity: (LAPTOP, 1), kind: ClientKind::Terminal };
        decide(Policy { conflict, sessions_max }, &login, sessions).expect("it is not refused")
    }

    #[test]
    fn each_rule_ends_the_sessions_that_it_names() {
        let sessions = [
            session(LAPTOP, 1, ClientKind::Web, 0),
            session(LAPTOP, 2, ClientKind::Terminal, 0),
            session(PHONE, 1, ClientKind::Mobile, 0),
        ];
        let login = Some(KickCode::Login);
        assert_eq!(decided(Conflict::Kind, 10, &sessions), [login, login, None]);
        assert_eq!(decided(Conflict::Kick, 10, &sessions), [login, login, login]);
        assert_eq!(decided(Conflict::Multi, 10, &sessions), [login, None, None], "the same client has one");
    }

    #[test]
    fn a_login_is_refused_while_another_client_is_connected() {
        let policy = Policy { conflict: Conflict::Reject, sessions_max: 10 };
        let login = Party { identity: (LAPTOP, 1), kind: ClientKind::Terminal };
        let mut sessions =
            [session(LAPTOP, 1, ClientKind::Terminal, 0), session(PHONE, 1, ClientKind::Web, 0)];
        assert_eq!(decide(policy, &login, &sessions), Err(Refused));
        assert_eq!(decide(policy, &login, &sessions[..1]), Ok(vec![Some(KickCode::Login)]));
        sessions[1].is_connected = false;
        assert_eq!(decide(policy, &login, &sessions), Ok(vec![Some(KickCode::Login); 2]));
    }

    #[test]
    fn beyond_the_limit_the_longest_silent_sessions_end() {
        let sessions = [
            session(PHONE, 1, ClientKind::Mobile, 20),
            session(PHONE, 2, ClientKind::Mobile, 40),
            session(LAPTOP, 1, ClientKind::Terminal, 90),
            session(PHONE, 3, ClientKind::Web, 30),
        ];
        let (login, limit) = (Some(KickCode::Login), Some(KickCode::Limit));
        assert_eq!(decided(Conflict::Multi, 4, &sessions), [None, None, login, None]);
        assert_eq!(decided(Conflict::Multi, 2, &sessions), [None, limit, login, limit]);
        assert_eq!(decided(Conflict::Multi, 0, &sessions), [None, None, login, None]);
    }
}
