//! What is still to be written to a connection.
//!
//! ```text
//!   +----------------+------------------+-----------+
//!   | with the kernel|     unwritten    |  (spare)  |
//!   +----------------+------------------+-----------+
//!   0             written             len       capacity
//! ```
//!
//! The buffer comes from the loop's pool with the first byte and goes back with the last: a connection that has
//! nothing to say holds no memory for it.

use std::io::{self, ErrorKind, Write};

/// Past this many written bytes at its front, a buffer that is full is moved together before it grows.
const WORTH_MOVING: usize = 64 * 1024;

/// The unwritten output of one connection.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    written: u32,
}

/// How far a write came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Everything is with the kernel.
    Done,
    /// The kernel took some, and takes no more for now.
    Some,
    /// The kernel took nothing.
    None,
}

impl Output {
    /// Bytes that the kernel has not taken.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.written as usize
    }

    /// Whether the kernel has taken everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn tail(&mut self, pool: &mut Pool) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take();
        }
        let written = self.written as usize;
        if written > WORTH_MOVING && written > self.bytes.len() / 2 {
            self.bytes.drain(..written);
            self.written = 0;
        }
        &mut self.bytes
    }

    /// One write. A write that falls short says the same as `WouldBlock` (epoll(7), on edge triggers), so there is
    /// no second one to hear it.
    pub fn write_to(&mut self, socket: &mut impl Write, pool: &mut Pool) -> io::Result<Progress> {
        let unwritten = &self.bytes[self.written as usize..];
        let taken = loop {
            match socket.write(unwritten) {
                Ok(taken) => break taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break 0,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        if taken == unwritten.len() {
            self.recycle(pool);
            return Ok(Progress::Done);
        }
        self.written += taken as u32;
        Ok(if taken > 0 { Progress::Some } else { Progress::None })
    }

    /// Forgets what is unwritten.
    pub fn recycle(&mut self, pool: &mut Pool) {
        self.written = 0;
        pool.give(std::mem::take(&mut self.bytes));
    }
}

/// Output buffers of one loop that no connection needs at the moment.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    spare: Vec<Vec<u8>>,
    /// The sum of their capacities.
    bytes: usize,
}

impl Pool {
    /// What a new buffer holds: some replies.
    const FIRST_BYTES: usize = 1024;
    /// A larger buffer is given back to the allocator.
    const BUFFER_BYTES_MAX: usize = 256 * 1024;
    /// What all of them may hold.
    const BYTES_MAX: usize = 1024 * 1024;

    fn take(&mut self) -> Vec<u8> {
        match self.spare.pop() {
            Some(buffer) => {
                self.bytes -= buffer.capacity();
                buffer
            }
            None => Vec::with_capacity(Self::FIRST_BYTES),
        }
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity > 0 && capacity <= Self::BUFFER_BYTES_MAX && self.bytes + capacity <= Self::BYTES_MAX {
            buffer.clear();
            self.bytes += capacity;
            self.spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes, then would block.
    struct Narrow {
        room: usize,
        taken: Vec<u8>,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room - self.taken.len());
            if taken == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.taken.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_byte_is_written_once_and_in_order_through_a_narrow_socket() {
        let (mut output, mut pool) = (Output::default(), Pool::default());
        let mut socket = Narrow { room: 0, taken: Vec::new() };
        let mut expected = Vec::new();
        for round in 0..200u8 {
            output.tail(&mut pool).extend_from_slice(&[round; 5_000]);
            expected.extend_from_slice(&[round; 5_000]);
            socket.room += 4_800;
            assert_eq!(output.write_to(&mut socket, &mut pool).unwrap(), Progress::Some);
            assert_eq!(output.write_to(&mut socket, &mut pool).unwrap(), Progress::None);
        }
        assert_eq!(output.len(), 200 * 200);
        socket.room += output.len();
        assert_eq!(output.write_to(&mut socket, &mut pool).unwrap(), Progress::Done);
        assert!(output.is_empty() && socket.taken == expected);
        assert_eq!(output.bytes.capacity(), 0, "an idle connection keeps no buffer");
    }

    #[test]
    fn the_pool_is_bounded() {
        let mut pool = Pool::default();
        for _ in 0..100 {
            pool.give(Vec::with_capacity(60 * 1024));
            pool.give(Vec::with_capacity(10 * 1024 * 1024));
        }
        assert!(pool.bytes <= Pool::BYTES_MAX && pool.spare.len() <= 17);
    }
}
