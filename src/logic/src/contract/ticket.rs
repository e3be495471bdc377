/// Matches an answer from storage, the password thread or the bus to the pending request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);
