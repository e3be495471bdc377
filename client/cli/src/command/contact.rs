//! Commands about friends.

use wire::account::Who;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Add { who: Who },
    List,
}
