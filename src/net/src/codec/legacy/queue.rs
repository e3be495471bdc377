//! Objects that wait to be written to one legacy connection, one at a time.
//!
//! ```text
//!               next object              the kernel took it           the gap elapsed
//!   Ready --------------------> Writing --------------------> Gap --------------------> Ready
//! ```

use crate::context::legacy::Mark;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(crate) struct ObjectQueue {
    objects: VecDeque<Object>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ready,
    /// An object is in the output.
    Writing,
    /// The client has time to read the object before the next one is written.
    Gap,
}

#[derive(Debug)]
pub(crate) struct Object {
    /// Without the final NUL.
    pub text: Box<[u8]>,
    /// The messages in it.
    pub marks: Box<[Mark]>,
}

impl ObjectQueue {
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    pub fn push(&mut self, object: Object) {
        self.objects.push_back(object);
    }

    /// The object to write now, if there is one and the gap after the previous one is over.
    pub fn pop(&mut self) -> Option<Object> {
        if self.state != State::Ready {
            return None;
        }
        let object = self.objects.pop_front()?;
        self.state = State::Writing;
        if self.objects.is_empty() {
            // Idle connections hold no memory for output.
            self.objects = VecDeque::new();
        }
        Some(object)
    }

    /// The kernel took everything. Returns whether a gap begins.
    pub fn written(&mut self) -> bool {
        let begins_gap = self.state == State::Writing;
        if begins_gap {
            self.state = State::Gap;
        }
        begins_gap
    }

    pub fn gap_elapsed(&mut self) {
        self.state = State::Ready;
    }

    /// Drops everything that holds messages.
    pub fn drop_messages(&mut self) {
        self.objects.retain(|object| object.marks.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object { text: text.as_bytes().into(), marks: [].into() }
    }

    #[test]
    fn objects_are_written_one_at_a_time_with_a_gap_after_each() {
        let mut queue = ObjectQueue::default();
        assert!(!queue.written(), "nothing was written");
        queue.push(object("one"));
        queue.push(object("two"));
        assert_eq!(&*queue.pop().unwrap().text, b"one");
        assert!(queue.pop().is_none(), "the kernel has not taken the first object");
        assert!(queue.written());
        assert!(!queue.written(), "the gap has begun already");
        assert!(queue.pop().is_none(), "the gap is not over");
        queue.gap_elapsed();
        assert_eq!(&*queue.pop().unwrap().text, b"two");
        assert!(queue.is_empty());
    }
}
