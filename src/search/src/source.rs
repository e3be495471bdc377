//! Where the index and the answers come from: the database, as a thread of this crate reads it.

use logic::{Found, Read};

/// A reader of the database with a connection of its own.
pub trait Source: Send {
    fn read(&mut self, read: &Read) -> Found;

    /// Waits until logic has the outcomes of all entries that earlier reads returned; `false`: not in time.
    fn settle(&mut self) -> bool {
        true
    }
}

impl<S: Source + ?Sized> Source for &mut S {
    fn read(&mut self, read: &Read) -> Found {
        (**self).read(read)
    }

    fn settle(&mut self) -> bool {
        (**self).settle()
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn read(&mut self, read: &Read) -> Found {
        (**self).read(read)
    }

    fn settle(&mut self) -> bool {
        (**self).settle()
    }
}
