//! Flow control by requests: how many of a connection's requests logic may hold before the connection is not read.

use wire::kind::request;

/// Total weight of unanswered requests at which a connection is not read.
const WEIGHT_MAX: u16 = 1024;
/// Weight at which it is read again: well below the maximum, so that a deep pipeline advances in strides.
const WEIGHT_LOW: u16 = WEIGHT_MAX / 2;
/// Weight of a request that reads a page from storage; any other weighs 1.
const WEIGHT_PAGE: u16 = 32;

#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Weight of the requests that logic has not answered: below `WEIGHT_MAX + WEIGHT_PAGE`.
    weight: u16,
    /// Requests for pages that logic has not answered.
    pages: u16,
    /// A LOGIN or LOGOUT is pending, whose answer decides how the following bytes are interpreted.
    held: bool,
    /// `weight` has reached its maximum and not yet fallen to [`WEIGHT_LOW`].
    throttled: bool,
}

impl Flow {
    pub fn is_open(&self) -> bool {
        !self.held && !self.throttled
    }

    /// Whether every request was answered.
    pub fn is_idle(&self) -> bool {
        self.weight == 0
    }

    /// Requests for pages that logic has not answered.
    pub fn pages(&self) -> usize {
        self.pages.into()
    }

    /// Counts a request that goes to logic.
    pub fn charge(&mut self, kind: u16, request: u32) {
        self.held = matches!(kind, request::LOGIN | request::LOGOUT);
        self.weight += weight(kind, request);
        self.pages += u16::from(is_page(kind));
        self.throttled = self.weight >= WEIGHT_MAX;
    }

    /// Counts the answer to a request.
    pub fn discharge(&mut self, kind: u16, request: u32) {
        if matches!(kind, request::LOGIN | request::LOGOUT) {
            self.held = false;
        }
        self.weight = self.weight.saturating_sub(weight(kind, request));
        self.pages = self.pages.saturating_sub(is_page(kind).into());
        self.throttled &= self.weight > WEIGHT_LOW;
    }
}

/// ACK and READ with number 0 weigh nothing, because they are never answered.
fn weight(kind: u16, request: u32) -> u16 {
    match kind {
        request::ACK | request::READ if request == 0 => 0,
        _ if is_page(kind) => WEIGHT_PAGE,
        _ => 1,
    }
}

/// Whether a request is answered by a page from storage, which may be long.
pub(crate) fn is_page(kind: u16) -> bool {
    matches!(
        kind,
        request::HISTORY
            | request::FRIENDS
            | request::MEMBERS
            | request::CONVERSATIONS
            | request::GROUPS
            | request::READERS
            | request::SEARCH
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttled_connection_is_read_again_well_below_the_maximum() {
        let mut flow = Flow::default();
        (0..WEIGHT_MAX).for_each(|_| flow.charge(request::SEND, 1));
        assert!(!flow.is_open());
        (WEIGHT_LOW + 1..WEIGHT_MAX).for_each(|_| flow.discharge(request::SEND, 1));
        assert!(!flow.is_open());
        flow.discharge(request::SEND, 1);
        assert!(flow.is_open() && !flow.is_idle());
    }

    #[test]
    fn a_login_closes_the_gate_until_its_reply() {
        let mut flow = Flow::default();
        flow.charge(request::LOGIN, 0);
        assert!(!flow.is_open());
        flow.discharge(request::LOGIN, 0);
        assert!(flow.is_open() && flow.is_idle());
    }
}
